//! What a test expects of a recorder.

use std::fmt::{self, Write as _};

use super::recorded::RecordedEvent;
use crate::{Filter, Value, field};

/// Which events are expected, as [`Recorder::expect`](super::Recorder::expect) begins it; said in
/// full by [`once`](Self::once), [`times`](Self::times) and their like, which look.
#[must_use = "an expectation that does not say how often expects nothing"]
pub struct Expectation {
    method: String,
    events: Vec<RecordedEvent>,
    conditions: Vec<Condition>,
}

/// What an event has to be like.
struct Condition {
    text: String,
    test: Test,
}

enum Test {
    Criteria(Filter),
    Where(String, Box<dyn Fn(&Value) -> bool>),
    Equal(String, Value),
}

impl Expectation {
    pub(super) fn new(method: String, events: Vec<RecordedEvent>) -> Self {
        Self {
            method,
            events,
            conditions: Vec::new(),
        }
    }

    /// Expects this value of a parameter, or of something inside of it: `order.city`. Numbers are
    /// compared by what they count, whatever their types.
    pub fn with(self, parameter: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let text = format!("{parameter} = {value}");
        let test = match value {
            // Criteria have no constants of these kinds.
            Value::List(_) | Value::Record(_) => Test::Equal(parameter.to_owned(), value),
            value => Test::Criteria(Filter::from(field(parameter).eq(value))),
        };
        self.and(text, test)
    }

    /// Expects a value of a parameter of which this is true.
    pub fn with_where(self, parameter: &str, holds: impl Fn(&Value) -> bool + 'static) -> Self {
        let text = format!("{parameter} as asked");
        self.and(text, Test::Where(parameter.to_owned(), Box::new(holds)))
    }

    /// Expects an event that filter criteria select.
    ///
    /// # Panics
    ///
    /// If the text is none.
    #[track_caller]
    pub fn matching(self, criteria: &str) -> Self {
        match Filter::parse(criteria) {
            Ok(filter) => self.and(filter.to_string(), Test::Criteria(filter)),
            Err(error) => panic!("{error:#}"),
        }
    }

    /// Says that exactly one such event came, and returns it.
    ///
    /// # Panics
    ///
    /// If it is otherwise, or a condition is not about the events of this method: here and in the
    /// others like it.
    #[track_caller]
    pub fn once(self) -> RecordedEvent {
        let mut matched = self.check("once", |count| count == 1);
        matched.swap_remove(0)
    }

    /// Says that exactly so many such events came, and returns them.
    ///
    /// # Panics
    ///
    /// As [`once`](Self::once).
    #[track_caller]
    pub fn times(self, count: usize) -> Vec<RecordedEvent> {
        self.check(&times(count), |found| found == count)
    }

    /// Says that so many such events came, or more, and returns them.
    ///
    /// # Panics
    ///
    /// As [`once`](Self::once).
    #[track_caller]
    pub fn at_least(self, count: usize) -> Vec<RecordedEvent> {
        self.check(&format!("at least {}", times(count)), |found| {
            found >= count
        })
    }

    /// Says that no more than so many such events came, and returns them.
    ///
    /// # Panics
    ///
    /// As [`once`](Self::once).
    #[track_caller]
    pub fn at_most(self, count: usize) -> Vec<RecordedEvent> {
        self.check(&format!("at most {}", times(count)), |found| found <= count)
    }

    /// Says that no such event came.
    ///
    /// # Panics
    ///
    /// As [`once`](Self::once).
    #[track_caller]
    pub fn never(self) {
        self.check("never", |count| count == 0);
    }

    fn and(mut self, text: String, test: Test) -> Self {
        self.conditions.push(Condition { text, test });
        self
    }

    #[track_caller]
    fn check(self, how_often: &str, fits: impl Fn(usize) -> bool) -> Vec<RecordedEvent> {
        let verdicts = self.verdicts();
        let count = verdicts.iter().filter(|verdict| verdict.is_none()).count();
        if !fits(count) {
            let came = listed(&self.events, &verdicts);
            panic!(
                "expected {self}, {how_often}; it came {}\n{came}",
                times(count)
            );
        }
        let judged = self.events.into_iter().zip(verdicts);
        judged
            .filter_map(|(event, verdict)| verdict.is_none().then_some(event))
            .collect()
    }

    /// Returns what each event is not like; nothing for those that are as expected.
    #[track_caller]
    fn verdicts(&self) -> Vec<Option<String>> {
        self.events.iter().map(|event| self.judge(event)).collect()
    }

    #[track_caller]
    fn judge(&self, event: &RecordedEvent) -> Option<String> {
        if event.method() != self.method {
            return Some(format!("not {}", self.method));
        }
        let unlike = |condition: &&Condition| match condition.holds(event) {
            Ok(holds) => !holds,
            Err(message) => panic!("{self} cannot be expected: {message}"),
        };
        let broken = self.conditions.iter().find(unlike)?;
        Some(format!("not {}", broken.text))
    }
}

impl Condition {
    fn holds(&self, event: &RecordedEvent) -> Result<bool, String> {
        let value_of = |name: &str| {
            let missing = || format!("{} has no parameter {name}", event.method());
            event.get(name).ok_or_else(missing)
        };
        match &self.test {
            Test::Criteria(filter) => event
                .select(filter)
                .map(|outcome| outcome == Some(true))
                .map_err(|error| error.to_string()),
            Test::Where(name, holds) => value_of(name).map(holds),
            Test::Equal(name, value) => value_of(name).map(|found| found == value),
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.method)?;
        for (index, condition) in self.conditions.iter().enumerate() {
            let joined = if index > 0 { " and" } else { " with" };
            write!(f, "{joined} {}", condition.text)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expectation({self})")
    }
}

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}

/// Returns a list of what came, for a person.
pub(super) fn what_came(events: &[RecordedEvent]) -> String {
    listed(events, &[])
}

/// Returns a list of what came and what it is not like.
fn listed(events: &[RecordedEvent], verdicts: &[Option<String>]) -> String {
    if events.is_empty() {
        return "nothing came".to_owned();
    }
    let mut text = "what came:".to_owned();
    for (index, event) in events.iter().take(SHOWN).enumerate() {
        let verdict = match verdicts.get(index) {
            None => "",
            Some(None) => "  as expected",
            Some(Some(unlike)) => &format!("  {unlike}"),
        };
        // A `String` takes whatever is written to it.
        let _ = write!(text, "\n  {}. {event}{verdict}", index + 1);
    }
    if events.len() > SHOWN {
        let _ = write!(text, "\n  and {} more", events.len() - SHOWN);
    }
    text
}

/// What a person reads before looking elsewhere.
const SHOWN: usize = 50;

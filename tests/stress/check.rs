//! Whether the calls are those that the history asks for.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::history::{History, Moment, Possible, Window, at, during, in_order, within};
use crate::log::{Call, Evidence, Fire};
use crate::plan::State;
use crate::replay::replay;

/// Something that the contract does not allow.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A subscription that matched all the while was not called.
    Missed,
    /// One was called that matched at no moment.
    Unwanted,
    /// One was called twice.
    Twice,
    /// The call was for another object or with other values than those of the event.
    Mistaken,
    /// Each call could be, but no revision is one at which all of them could.
    Torn,
    /// Calls were not by priority and store order.
    Order,
    /// A report does not say what happened.
    Report,
    /// An object was called after it had been waited for.
    Released,
    /// The change log or the revisions are not those of the changes.
    Log,
    /// The subscriptions at the end are not those that the changes lead to.
    Listed,
    /// A thread met what it did not expect.
    Trouble,
}

impl Finding {
    pub(crate) fn new(kind: Kind, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { kind, text }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.text)
    }
}

/// Returns everything in which a round was not as the contract has it.
pub(crate) fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    let troubles = evidence.log.troubles.iter();
    findings.extend(troubles.map(|text| Finding::new(Kind::Trouble, text)));
    let history = History::new(evidence, &mut findings);
    replay(evidence, &history, &mut findings);
    let mut calls = by_event(&evidence.log.calls);
    for fire in &evidence.log.fires {
        let heard = calls.remove(&fire.event).unwrap_or_default();
        check_fire(fire, &heard, &history, &mut findings);
    }
    findings.extend(calls.into_values().flatten().map(|call| {
        let text = format!("{call:?} is of no event that was fired");
        Finding::new(Kind::Unwanted, text)
    }));
    check_released(evidence, &mut findings);
    findings
}

fn by_event(calls: &[Call]) -> HashMap<u64, Vec<&Call>> {
    let mut by_event: HashMap<_, Vec<_>> = HashMap::new();
    for call in calls {
        by_event.entry(call.event).or_default().push(call);
    }
    for calls in by_event.values_mut() {
        calls.sort_by_key(|call| call.tick);
    }
    by_event
}

/// What a subscription may have been during a fire, and the calls that it got.
pub(crate) struct Case<'a> {
    pub(crate) moments: Possible<'a>,
    pub(crate) calls: Vec<&'a Call>,
}

/// The subscriptions that a fire may have had to do with, by number.
pub(crate) type Cases<'a> = BTreeMap<u64, Case<'a>>;

fn check_fire(fire: &Fire, calls: &[&Call], history: &History, findings: &mut Vec<Finding>) {
    let before = findings.len();
    let window = history.window(fire.span);
    let cases = cases(fire, calls, history, window);
    for (number, case) in &cases {
        findings.extend(case.judge(fire).map(|kind| {
            let text = format!(
                "{number} got {:?} for {fire:?}, in the course of {:?}",
                case.calls, case.moments
            );
            Finding::new(kind, text)
        }));
    }
    let delivered = fire.delivered.is_none_or(|count| count == calls.len());
    let inside = |call: &&&Call| (fire.span.begin..fire.span.end).contains(&call.tick);
    if !delivered || fire.lines > 0 || calls.iter().filter(inside).count() != calls.len() {
        let text = format!("{} calls were heard of {fire:?}", calls.len());
        findings.push(Finding::new(Kind::Report, text));
    }
    // What is wrong by itself fits no revision either.
    if findings.len() == before {
        findings.extend(check_together(fire, calls, &cases, history, window));
    }
}

fn cases<'a>(fire: &Fire, calls: &[&'a Call], history: &'a History, window: Window) -> Cases<'a> {
    let stored = history.stored.iter();
    let stored = stored.map(|(number, course)| (*number, within(course, window)));
    let transient = history.transient[fire.broker].iter();
    let transient = transient.map(|(number, course)| (*number, during(course, fire.span)));
    let mut cases: Cases<'_> = stored
        .chain(transient)
        .map(|(number, moments)| {
            let calls = Vec::new();
            (number, Case { moments, calls })
        })
        .collect();
    for call in calls {
        let unknown = || Case {
            moments: Possible::NOTHING,
            calls: Vec::new(),
        };
        let case = cases.entry(call.subscription).or_insert_with(unknown);
        case.calls.push(call);
    }
    cases
}

impl Case<'_> {
    /// Returns what is wrong with the calls, looked at one subscription at a time.
    fn judge(&self, fire: &Fire) -> Option<Kind> {
        let states = || self.moments.iter().map(state);
        let wants = |state: &Option<&State>| state.is_some_and(|s| s.wants(&fire.quote));
        match self.calls[..] {
            [] => states().all(|state| wants(&state)).then_some(Kind::Missed),
            [_] if !states().any(|state| wants(&state)) => Some(Kind::Unwanted),
            [call] => {
                let heard = (call.method, call.symbol, call.price);
                let fired = (fire.quote.method, fire.quote.symbol, fire.quote.price);
                let mut wanting = states().filter(wants).flatten();
                let fits = heard == fired && wanting.any(|state| state.object == call.object);
                (!fits).then_some(Kind::Mistaken)
            }
            _ => Some(Kind::Twice),
        }
    }

    /// Returns whether the calls are those of one state.
    fn agrees(&self, state: Option<&State>, fire: &Fire) -> bool {
        let object = state.filter(|s| s.wants(&fire.quote)).map(|s| s.object);
        self.calls.first().map(|call| call.object) == object
    }
}

pub(crate) fn state(moment: Option<&Moment>) -> Option<&State> {
    moment.and_then(|moment| moment.state.as_ref())
}

/// A fire uses one snapshot: there must be one revision at which all of its calls of stored
/// subscriptions are right, and in order.
fn check_together(
    fire: &Fire,
    calls: &[&Call],
    cases: &Cases<'_>,
    history: &History,
    window: Window,
) -> Option<Finding> {
    let mut kind = Kind::Torn;
    let changing: Vec<_> = cases
        .iter()
        .filter(|(_, case)| !case.moments.is_certain())
        .filter_map(|(number, case)| Some((history.stored.get(number)?, case)))
        .collect();
    for step in window.from..=window.to {
        let agrees = changing
            .iter()
            .all(|(course, case)| case.agrees(state(at(course, step)), fire));
        if !agrees {
            continue;
        }
        kind = Kind::Order;
        let moments: Option<Vec<_>> = calls
            .iter()
            .map(|call| match history.stored.get(&call.subscription) {
                Some(course) => at(course, step),
                None => cases.get(&call.subscription)?.of_object(call.object),
            })
            .collect();
        if moments.is_some_and(|moments| in_order(&moments)) {
            return None;
        }
    }
    let calls: Vec<_> = calls.iter().map(|c| (c.subscription, c.object)).collect();
    let text = format!("{fire:?} called {calls:?}, at a step of {window:?}");
    Some(Finding::new(kind, text))
}

impl<'a> Case<'a> {
    /// Returns the moment of a transient subscription at which it had this object.
    fn of_object(&self, object: u64) -> Option<&'a Moment> {
        let mut moments = self.moments.iter().flatten();
        moments.find(|moment| moment.state.as_ref().is_some_and(|s| s.object == object))
    }
}

fn check_released(evidence: &Evidence, findings: &mut Vec<Finding>) {
    let released: HashMap<_, _> = evidence.log.released.iter().copied().collect();
    let late = evidence.log.calls.iter().filter(|call| {
        let end = released.get(&call.object);
        end.is_some_and(|end| call.tick > *end)
    });
    findings.extend(late.map(|call| {
        let text = format!("{call:?} came after the wait for its object");
        Finding::new(Kind::Released, text)
    }));
}

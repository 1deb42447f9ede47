//! What a trigger makes of events, whoever they go to.

mod memory;

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

pub(super) use self::memory::Memory;
use super::Triggered;
use super::table::KeyTable;
use super::verdict::{HeldEvent, Output, Sight, Verdict};
use crate::model::{Trigger, TriggerKind};

/// The state of a trigger: what is known of each key.
///
/// Where a key has no state nothing is known of it, which is the same as that its condition is
/// false, that none of its events was delivered for long enough, or that none ever came: so what
/// needs no memory takes none.
pub(super) struct Machine {
    rule: Rule,
    keys: KeyTable<State>,
    /// The places of edges that are still to last for a while, by when they will have; and of
    /// absences that were remembered, which are due out of the order of their last use.
    lasting: BTreeSet<(Instant, u32)>,
    /// Whether anything has changed since somebody said that nothing has.
    pub(super) changed: bool,
}

/// What of a [`Trigger`] decides.
#[derive(Debug, Clone, Copy)]
enum Rule {
    Edge {
        lasting: Option<Duration>,
        resolved: bool,
    },
    /// So many in each interval.
    Limit {
        count: u32,
        per: Duration,
    },
    Absence(Duration),
}

/// What is known of a key.
enum State {
    /// The condition is true, and that was said.
    True,
    /// An event is to be delivered when it is time, unless another one comes.
    Waits {
        due: Instant,
        held: Option<HeldEvent>,
    },
    /// So many were delivered of the interval that began then.
    Counted { since: Instant, count: u32 },
}

impl Machine {
    pub(super) fn new(trigger: &Trigger) -> Self {
        let rule = match *trigger.kind() {
            TriggerKind::BecomingTrue => Rule::Edge {
                lasting: trigger.lasting_for(),
                resolved: trigger.tells_resolved(),
            },
            TriggerKind::AtMost { count, per } => Rule::Limit { count, per },
            TriggerKind::OnceWithin(per) => Rule::Limit { count: 1, per },
            TriggerKind::Absence(after) => Rule::Absence(after),
        };
        Self {
            rule,
            keys: KeyTable::new(trigger.max_keys()),
            lasting: BTreeSet::new(),
            changed: false,
        }
    }

    /// Takes note of an event of a key. What may have to be delivered later is taken out of `held`.
    #[inline]
    pub(super) fn see(
        &mut self,
        key: &[u8],
        sight: Sight,
        now: &dyn Fn() -> Instant,
        held: &mut Option<HeldEvent>,
        out: &mut Output,
    ) -> Verdict {
        let place = self.keys.find(key);
        match (self.rule, sight, place) {
            (Rule::Edge { lasting, .. }, Sight::Match, None) => {
                self.begin_edge(key, lasting, now, held, out)
            }
            (Rule::Edge { .. }, Sight::Match, Some(place)) => {
                self.keys.touch(place);
                match self.keys.get_mut(place) {
                    Some(State::Waits { .. }) => self.go_on(place, now, held, out),
                    _ => Verdict::Suppressed,
                }
            }
            (Rule::Edge { resolved, .. }, Sight::End, Some(place)) => {
                self.end_edge(place, resolved, now, out)
            }
            (Rule::Limit { count, per }, Sight::Match, _) => {
                self.count(key, place, count, per, now(), out)
            }
            (Rule::Absence(after), Sight::Match, _) => self.hear(key, place, after, now, held, out),
            (_, Sight::End, _) => Verdict::Unmatched,
        }
    }

    /// Takes back that an event of a key was delivered for a reason, as nobody got it: the next one
    /// is as this was.
    #[cold]
    pub(super) fn take_back(&mut self, key: &[u8], why: Option<Triggered>, out: &mut Output) {
        let place = self.keys.find(key);
        let state = place.and_then(|place| self.keys.get_mut(place));
        match (self.rule, why, place, state) {
            (Rule::Edge { .. }, Some(Triggered::BecameTrue), Some(place), Some(State::True)) => {
                self.keys.remove(place);
            }
            (Rule::Edge { .. }, Some(Triggered::Resolved), None, _) => {
                self.insert(key, State::True, out);
            }
            (Rule::Limit { .. }, _, _, Some(State::Counted { count, .. })) => {
                *count = count.saturating_sub(1);
            }
            _ => return,
        }
        self.changed = true;
    }

    /// Returns what [`see`](Self::see) would say, and changes nothing.
    pub(super) fn foresee(&mut self, key: &[u8], sight: Sight, now: Instant) -> Verdict {
        let place = self.keys.find(key);
        let state = place.and_then(|place| self.keys.get_mut(place));
        match (self.rule, sight, state) {
            (Rule::Edge { lasting: None, .. }, Sight::Match, None) => {
                Verdict::Deliver(Some(Triggered::BecameTrue))
            }
            (Rule::Edge { .. }, Sight::Match, Some(State::Waits { due, .. })) if *due <= now => {
                Verdict::Deliver(Some(Triggered::BecameTrue))
            }
            (Rule::Edge { resolved: true, .. }, Sight::End, Some(state)) => match state {
                State::Waits { due, held } if *due > now || held.is_none() => Verdict::Unmatched,
                _ => Verdict::Deliver(Some(Triggered::Resolved)),
            },
            (_, Sight::End, _) => Verdict::Unmatched,
            (Rule::Limit { .. }, _, None) => Verdict::Deliver(None),
            (Rule::Limit { count: max, per }, _, Some(State::Counted { since, count }))
                if *count < max || is_over(*since, per, now) =>
            {
                Verdict::Deliver(None)
            }
            _ => Verdict::Suppressed,
        }
    }

    /// Takes out what is due by now.
    pub(super) fn look(&mut self, now: Instant, out: &mut Output) {
        while let Some((due, place)) = self.first_due().filter(|(due, _)| *due <= now) {
            self.changed = true;
            self.lasting.remove(&(due, place));
            match self.rule {
                Rule::Edge { .. } => {
                    let Some(state) = self.keys.get_mut(place) else {
                        continue;
                    };
                    // Where no event was kept, the next one that matches is delivered.
                    if let State::Waits { held: Some(_), .. } = state {
                        let was = std::mem::replace(state, State::True);
                        out.deliver(was.into_held(), Triggered::BecameTrue);
                    }
                }
                _ => {
                    if let Some(state) = self.keys.remove(place) {
                        out.deliver(state.into_held(), Triggered::Absent);
                    }
                }
            }
        }
    }

    /// Returns when something is due next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.first_due().map(|(due, _)| due)
    }

    /// Forgets everything, and returns the events that were to be delivered.
    pub(super) fn forget(&mut self) -> Vec<HeldEvent> {
        self.lasting.clear();
        let states = self.keys.clear().into_iter();
        states.filter_map(State::into_held).collect()
    }

    #[cold]
    fn begin_edge(
        &mut self,
        key: &[u8],
        lasting: Option<Duration>,
        now: &dyn Fn() -> Instant,
        held: &mut Option<HeldEvent>,
        out: &mut Output,
    ) -> Verdict {
        let Some(lasting) = lasting else {
            self.insert(key, State::True, out);
            return Verdict::Deliver(Some(Triggered::BecameTrue));
        };
        let Some(held) = held.take() else {
            return Verdict::Wanted;
        };
        let due = after(now(), lasting);
        let held = Some(held);
        self.insert(key, State::Waits { due, held }, out);
        Verdict::Suppressed
    }

    /// Sees another event of a condition that is still to last.
    fn go_on(
        &mut self,
        place: u32,
        now: &dyn Fn() -> Instant,
        held: &mut Option<HeldEvent>,
        out: &mut Output,
    ) -> Verdict {
        let Some(state) = self.keys.get_mut(place) else {
            return Verdict::Suppressed;
        };
        let State::Waits { due, held: last } = state else {
            return Verdict::Suppressed;
        };
        self.changed = true;
        if *due <= now() {
            self.lasting.remove(&(*due, place));
            out.unused.extend(last.take());
            *state = State::True;
            return Verdict::Deliver(Some(Triggered::BecameTrue));
        }
        match held.take() {
            Some(held) => {
                out.unused.extend(last.replace(held));
                Verdict::Suppressed
            }
            None => Verdict::Wanted,
        }
    }

    #[cold]
    fn end_edge(
        &mut self,
        place: u32,
        resolved: bool,
        now: &dyn Fn() -> Instant,
        out: &mut Output,
    ) -> Verdict {
        self.changed = true;
        let told = match self.keys.remove(place) {
            Some(State::Waits { due, held }) => {
                self.lasting.remove(&(due, place));
                // It had lasted, though nobody has looked since.
                let told = due <= now() && held.is_some();
                match told {
                    true => out
                        .due
                        .extend(held.map(|held| (held, Triggered::BecameTrue))),
                    false => out.unused.extend(held),
                }
                told
            }
            state => state.is_some(),
        };
        match told && resolved {
            true => Verdict::Deliver(Some(Triggered::Resolved)),
            false => Verdict::Unmatched,
        }
    }

    fn count(
        &mut self,
        key: &[u8],
        place: Option<u32>,
        max: u32,
        per: Duration,
        now: Instant,
        out: &mut Output,
    ) -> Verdict {
        let Some(place) = place else {
            self.drop_old(per, now);
            let (since, count) = (now, 1);
            self.insert(key, State::Counted { since, count }, out);
            return Verdict::Deliver(None);
        };
        self.keys.touch(place);
        let Some(State::Counted { since, count }) = self.keys.get_mut(place) else {
            return Verdict::Suppressed;
        };
        if is_over(*since, per, now) {
            (*since, *count) = (now, 0);
        }
        if *count >= max {
            return Verdict::Suppressed;
        }
        *count += 1;
        self.changed = true;
        Verdict::Deliver(None)
    }

    /// Gives up keys of which nothing has to be known any more: more than come.
    fn drop_old(&mut self, per: Duration, now: Instant) {
        for _ in 0..2 {
            match self.keys.oldest() {
                Some((place, State::Counted { since, .. })) if is_over(*since, per, now) => {
                    self.keys.remove(place);
                }
                _ => return,
            }
        }
    }

    fn hear(
        &mut self,
        key: &[u8],
        place: Option<u32>,
        span: Duration,
        now: &dyn Fn() -> Instant,
        held: &mut Option<HeldEvent>,
        out: &mut Output,
    ) -> Verdict {
        let Some(new) = held.take() else {
            return Verdict::Wanted;
        };
        let now = now();
        let waits = State::Waits {
            due: after(now, span),
            held: Some(new),
        };
        let Some(place) = place else {
            self.insert(key, waits, out);
            return Verdict::Suppressed;
        };
        self.keys.touch(place);
        self.changed = true;
        if let Some(state) = self.keys.get_mut(place) {
            let before = std::mem::replace(state, waits);
            if let State::Waits { due, .. } = &before {
                self.lasting.remove(&(*due, place));
            }
            match before {
                // It was missed, though nobody has looked since.
                State::Waits { due, .. } if due <= now => {
                    out.deliver(before.into_held(), Triggered::Absent)
                }
                _ => out.unused.extend(before.into_held()),
            }
        }
        Verdict::Suppressed
    }

    fn insert(&mut self, key: &[u8], state: State, out: &mut Output) {
        let due = match (self.rule, &state) {
            (Rule::Edge { .. }, State::Waits { due, .. }) => Some(*due),
            _ => None,
        };
        self.insert_due(key, state, due, out);
    }

    /// Adds a key that is due by its own time, if it is.
    fn insert_due(&mut self, key: &[u8], state: State, due: Option<Instant>, out: &mut Output) {
        self.changed = true;
        let (place, displaced) = self.keys.insert(key, state);
        if let Some((place, displaced)) = displaced {
            if let State::Waits { due, .. } = &displaced {
                self.lasting.remove(&(*due, place));
            }
            out.unused.extend(displaced.into_held());
        }
        self.lasting.extend(due.map(|due| (due, place)));
    }

    fn first_due(&self) -> Option<(Instant, u32)> {
        let first = self.lasting.first().copied();
        if let Rule::Absence(_) = self.rule {
            // All others wait for equally long since their last event.
            let oldest = self.keys.oldest().and_then(|(place, state)| match state {
                State::Waits { due, .. } => Some((*due, place)),
                _ => None,
            });
            return first.into_iter().chain(oldest).min();
        }
        first
    }
}

impl State {
    fn into_held(self) -> Option<HeldEvent> {
        match self {
            Self::Waits { held, .. } => held,
            _ => None,
        }
    }
}

/// Returns whether an interval is over.
fn is_over(since: Instant, per: Duration, now: Instant) -> bool {
    now.saturating_duration_since(since) >= per
}

/// Returns a later instant; one that no clock will ever show is as late as can be.
fn after(now: Instant, span: Duration) -> Instant {
    let century = Duration::from_secs(100 * 365 * 24 * 3_600);
    let later = now.checked_add(span);
    later.unwrap_or_else(|| now.checked_add(century).unwrap_or(now))
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("rule", &self.rule)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

use std::any::Any;
use std::cell::Cell;
use std::sync::Arc;

use super::*;
use crate::delivery::{Carried, Parcel, carried};
use crate::value::{InterfaceSchema, ValueKey, ValueRef};

const SECOND: Duration = Duration::from_secs(1);

/// An event that is known by its number.
struct Numbered(u64, Carried);

impl Parcel for Numbered {
    fn schema(&self) -> &InterfaceSchema {
        unreachable!("nobody reads the events of these tests")
    }

    fn method(&self) -> usize {
        0
    }

    fn values(&self) -> Vec<ValueRef<'_>> {
        vec![ValueRef::U64(self.0)]
    }

    fn fire(&self) -> &Carried {
        &self.1
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// A machine to which events come, numbered from 1.
struct Rig {
    machine: Machine,
    start: Instant,
    now: Cell<Duration>,
    count: u64,
    /// What was delivered without an event, and the second in which.
    due: Vec<(u64, Triggered, u64)>,
}

impl Rig {
    fn new(trigger: &Trigger) -> Self {
        Self {
            machine: Machine::new(trigger),
            start: Instant::now(),
            now: Cell::default(),
            count: 0,
            due: Vec::new(),
        }
    }

    fn at(&mut self, second: u64) -> &mut Self {
        self.now.set(Duration::from_secs(second));
        self
    }

    fn see(&mut self, key: &str, sight: Sight) -> Verdict {
        self.count += 1;
        let (start, now) = (self.start, self.now.get());
        let now = move || start + now;
        let mut out = Output::default();
        let mut held = None;
        let foreseen = self.machine.foresee(key.as_bytes(), sight, now());
        let mut verdict = self
            .machine
            .see(key.as_bytes(), sight, &now, &mut held, &mut out);
        if verdict == Verdict::Wanted {
            held = Some(HeldEvent {
                parcel: Arc::new(Numbered(self.count, carried())),
                key: ValueKey::ONLY,
            });
            verdict = self
                .machine
                .see(key.as_bytes(), sight, &now, &mut held, &mut out);
            assert!(held.is_none(), "what was wanted is taken");
        }
        assert_eq!(verdict, foreseen, "what is foreseen is what comes");
        self.note(out);
        verdict
    }

    fn matches(&mut self, key: &str) -> Verdict {
        self.see(key, Sight::Match)
    }

    fn ends(&mut self, key: &str) -> Verdict {
        self.see(key, Sight::End)
    }

    fn look(&mut self) -> Vec<(u64, Triggered, u64)> {
        let mut out = Output::default();
        self.machine.look(self.start + self.now.get(), &mut out);
        self.note(out);
        std::mem::take(&mut self.due)
    }

    fn note(&mut self, out: Output) {
        for (held, why) in out.due {
            let number = match held.parcel.values()[..] {
                [ValueRef::U64(number)] => number,
                _ => 0,
            };
            self.due.push((number, why, self.now.get().as_secs()));
        }
    }

    fn due_at(&self) -> Option<u64> {
        let due = self.machine.next_due()?;
        Some((due - self.start).as_secs())
    }
}

const BECAME_TRUE: Verdict = Verdict::Deliver(Some(Triggered::BecameTrue));
const RESOLVED: Verdict = Verdict::Deliver(Some(Triggered::Resolved));

#[test]
fn edge_is_delivered_once_until_it_has_ended() {
    let mut rig = Rig::new(&Trigger::on_becoming_true());
    assert_eq!(rig.ends("a"), Verdict::Unmatched);
    assert_eq!(rig.matches("a"), BECAME_TRUE);
    assert_eq!(rig.matches("a"), Verdict::Suppressed);
    assert_eq!(rig.ends("a"), Verdict::Unmatched);
    assert_eq!(rig.machine.keys.len(), 0, "what is false needs no memory");
    assert_eq!(rig.matches("a"), BECAME_TRUE);
}

#[test]
fn each_key_has_an_edge_of_its_own() {
    let mut rig = Rig::new(&Trigger::on_becoming_true().resolved());
    assert_eq!([rig.matches("a"), rig.matches("b")], [BECAME_TRUE; 2]);
    assert_eq!(rig.ends("a"), RESOLVED);
    assert_eq!(rig.ends("a"), Verdict::Unmatched);
    assert_eq!(rig.matches("b"), Verdict::Suppressed);
    assert_eq!(rig.matches("a"), BECAME_TRUE);
}

#[test]
fn key_that_gave_way_begins_anew() {
    let mut rig = Rig::new(&Trigger::on_becoming_true().with_max_keys(2));
    rig.matches("a");
    rig.matches("b");
    assert_eq!(rig.matches("a"), Verdict::Suppressed);
    assert_eq!(rig.matches("c"), BECAME_TRUE);
    assert_eq!(rig.matches("a"), Verdict::Suppressed);
    assert_eq!(rig.matches("b"), BECAME_TRUE);
}

#[test]
fn edge_that_has_to_last_is_delivered_by_the_time_with_the_latest_event() {
    let mut rig = Rig::new(&Trigger::on_becoming_true().lasting(10 * SECOND).resolved());
    assert_eq!(rig.matches("a"), Verdict::Suppressed);
    assert_eq!(rig.at(4).matches("a"), Verdict::Suppressed);
    assert_eq!((rig.at(9).look(), rig.due_at()), (vec![], Some(10)));
    assert_eq!(rig.at(10).look(), [(2, Triggered::BecameTrue, 10)]);
    assert_eq!(
        (rig.matches("a"), rig.due_at()),
        (Verdict::Suppressed, None)
    );
    assert_eq!(rig.ends("a"), RESOLVED);
}

#[test]
fn edge_that_did_not_last_is_not_delivered_nor_resolved() {
    let mut rig = Rig::new(&Trigger::on_becoming_true().lasting(10 * SECOND).resolved());
    for second in [0, 9, 18, 27] {
        assert_eq!(rig.at(second).matches("a"), Verdict::Suppressed);
        assert_eq!(rig.at(second + 5).ends("a"), Verdict::Unmatched);
    }
    assert_eq!((rig.at(100).look(), rig.due_at()), (vec![], None));
}

#[test]
fn event_that_comes_before_anybody_looked_finds_what_was_due() {
    let trigger = Trigger::on_becoming_true().lasting(10 * SECOND).resolved();
    let mut rig = Rig::new(&trigger);
    rig.matches("a");
    rig.matches("b");
    assert_eq!(rig.at(12).matches("a"), BECAME_TRUE);
    assert_eq!(rig.ends("b"), RESOLVED);
    assert_eq!(rig.look(), [(2, Triggered::BecameTrue, 12)]);
    assert_eq!(rig.due_at(), None);
}

#[test]
fn edge_that_gave_way_while_it_was_to_last_is_not_delivered() {
    let trigger = Trigger::on_becoming_true().lasting(10 * SECOND);
    let mut rig = Rig::new(&trigger.with_max_keys(1));
    rig.matches("a");
    rig.at(5).matches("b");
    assert_eq!((rig.at(14).look(), rig.due_at()), (vec![], Some(15)));
    assert_eq!(rig.at(15).look(), [(2, Triggered::BecameTrue, 15)]);
}

#[test]
fn so_many_are_delivered_in_each_interval() {
    let mut rig = Rig::new(&Trigger::at_most(2, 10 * SECOND));
    let mut delivered = Vec::new();
    for second in [0, 1, 2, 9, 10, 11, 19, 25, 35] {
        if rig.at(second).matches("a") == Verdict::Deliver(None) {
            delivered.push(second);
        }
    }
    assert_eq!(delivered, [0, 1, 10, 11, 25, 35]);
    assert_eq!(rig.matches("b"), Verdict::Deliver(None));
}

#[test]
fn what_repeats_itself_within_the_window_is_delivered_once() {
    let mut rig = Rig::new(&Trigger::once_within(10 * SECOND));
    assert_eq!(rig.matches("a"), Verdict::Deliver(None));
    assert_eq!(rig.at(9).matches("a"), Verdict::Suppressed);
    assert_eq!(rig.matches("b"), Verdict::Deliver(None));
    assert_eq!(rig.at(10).matches("a"), Verdict::Deliver(None));
}

#[test]
fn keys_whose_window_is_over_are_given_up_as_others_come() {
    let mut rig = Rig::new(&Trigger::once_within(10 * SECOND));
    for key in 0..100 {
        rig.at(key).matches(&key.to_string());
    }
    assert_eq!(rig.machine.keys.len(), 10);
}

#[test]
fn last_event_is_delivered_when_none_followed_it_and_once() {
    let mut rig = Rig::new(&Trigger::absence(10 * SECOND));
    assert_eq!(rig.matches("a"), Verdict::Suppressed);
    rig.at(3).matches("b");
    rig.at(6).matches("a");
    assert_eq!((rig.at(12).look(), rig.due_at()), (vec![], Some(13)));
    assert_eq!(rig.at(13).look(), [(2, Triggered::Absent, 13)]);
    assert_eq!(rig.at(16).look(), [(3, Triggered::Absent, 16)]);
    assert_eq!((rig.at(99).look(), rig.due_at()), (vec![], None));
    rig.matches("a");
    assert_eq!(rig.due_at(), Some(109));
}

#[test]
fn event_after_an_absence_that_nobody_saw_begins_anew() {
    let mut rig = Rig::new(&Trigger::absence(10 * SECOND));
    rig.matches("a");
    assert_eq!(rig.at(11).matches("a"), Verdict::Suppressed);
    assert_eq!(rig.due, [(1, Triggered::Absent, 11)]);
    assert_eq!(rig.due_at(), Some(21));
}

#[test]
fn what_was_remembered_is_known() {
    let mut before = Rig::new(&Trigger::on_becoming_true().lasting(10 * SECOND));
    before.matches("a");
    before.at(10).look();
    before.matches("b");
    let trigger = Trigger::on_becoming_true().lasting(10 * SECOND).resolved();
    let mut rig = Rig::new(&trigger);
    rig.start = before.start;
    let mut out = Output::default();
    for (key, memory, _) in before.machine.memories() {
        rig.machine.remember(key, memory, None, &mut out);
    }
    assert_eq!(rig.at(15).matches("a"), Verdict::Suppressed);
    assert_eq!(rig.at(20).look(), [], "its event was not kept");
    assert_eq!(rig.at(21).matches("b"), BECAME_TRUE);
    assert_eq!(rig.matches("b"), Verdict::Suppressed);
}

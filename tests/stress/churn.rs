//! The changes that go on beside the fires.

use std::sync::Arc;
use std::time::Duration;

use loosely::{Broker, Ensured, ErrorKind, EventContext, Result, Subscription, SubscriptionGuard};

use crate::desk::{SLOTS, trouble, with};
use crate::log::{Commit, Span, Turn, tick};
use crate::plan::{COMPONENTS, Criteria, Deed, State};
use crate::world::{GROUPS, Quotes, Recorder, given, group, id, number, record};

/// A transient subscription of this thread.
pub(crate) struct Held {
    guard: SubscriptionGuard,
    object: Arc<Recorder>,
    state: State,
}

/// How many subscriptions there may be in the store.
pub(crate) const STORED: u64 = 420;
/// Few that all threads like best, so that they get into each other's way.
const FAVOURITES: u64 = 4;
/// The numbers from which on subscriptions are transient.
const TRANSIENT: u64 = 1_000_000;
/// Far longer than any fire takes: one that is waited for longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Makes one change, whatever the dice say.
pub(crate) fn change() {
    match with(|desk| desk.dice.below(32)) {
        0..=7 => store(),
        8..=11 => switch(),
        12..=15 => edit(),
        16..=18 => remove(),
        19 => import(12),
        20..=22 => ensure(),
        23 => remove_group(),
        _ => turn(),
    }
}

/// Stores several in one commit.
pub(crate) fn import(count: u64) {
    let mut some: Vec<_> = (0..count).map(|_| drawn()).collect();
    some.sort_by_key(|(number, _)| *number);
    some.dedup_by_key(|(number, _)| *number);
    let records: Vec<_> = some
        .iter()
        .map(|(number, state)| record(*number, state).unwrap())
        .collect();
    let (done, imported) = committed(|broker| broker.import(&records));
    let imported = imported.unwrap();
    if Some(imported.revision().get()) != done.revision() {
        trouble(format!("an import returned {imported:?} for {done:?}"));
    }
    note(done, some.into_iter().map(|(n, s)| (n, Deed::Put(s))));
}

fn store() {
    let (number, state) = drawn();
    let record = record(number, &state).unwrap();
    let (done, stored) = committed(|broker| broker.store(&record));
    let revision = stored.unwrap().get();
    if Some(revision) != done.revision() {
        trouble(format!("a store returned {revision} for {done:?}"));
    }
    note(done, [(number, Deed::Put(state))]);
}

fn ensure() {
    let (number, state) = drawn();
    let record = record(number, &state).unwrap();
    let (done, ensured) = committed(|broker| broker.ensure(&record));
    let ensured = ensured.unwrap();
    let changed = matches!(ensured, Ensured::Added | Ensured::Updated);
    if changed != done.revision().is_some() {
        trouble(format!("ensure returned {ensured:?} for {done:?}"));
    }
    note(done, [(number, Deed::Put(state))]);
}

fn switch() {
    let (number, on) = (favourite(), with(|desk| desk.dice.one_in(2)));
    let (done, switched) = committed(|broker| {
        if on {
            broker.enable(id(number))
        } else {
            broker.disable(id(number))
        }
    });
    expect_or(ErrorKind::NotFound, switched);
    note(done, [(number, Deed::Enable(on))]);
}

/// Changes a record that was read, unless somebody else changes it meanwhile.
fn edit() {
    let number = favourite();
    let (broker, deed) = with(|desk| {
        let deed = if desk.dice.one_in(2) {
            Deed::Prioritise(desk.dice.priority())
        } else {
            Deed::Refilter(Criteria::draw(&mut desk.dice))
        };
        (desk.world.brokers[desk.broker].clone(), deed)
    });
    let Some(read) = broker.subscription(id(number)) else {
        return;
    };
    let edited = match &deed {
        Deed::Prioritise(priority) => read.with_priority(*priority),
        Deed::Refilter(criteria) => match criteria.text() {
            Some(text) => read.with_filter(text),
            None => read.without_filter(),
        },
        other => unreachable!("{other:?} is no edit"),
    };
    let (done, stored) = committed(|broker| broker.store(&edited));
    expect_or(ErrorKind::Conflict, stored.map(drop));
    note(done, [(number, deed)]);
}

fn remove() {
    let number = favourite();
    let (done, removed) = committed(|broker| broker.remove(id(number)));
    removed.unwrap();
    note(done, [(number, Deed::Remove)]);
}

fn remove_group() {
    let one = with(|desk| desk.dice.below(GROUPS));
    let criteria = format!("description = '{}'", group(one));
    let (done, removed) = committed(|broker| broker.remove_where(&criteria));
    let removed: Vec<Subscription> = removed.unwrap();
    note(done, removed.iter().map(|r| (number(r.id()), Deed::Remove)));
}

/// A change by a broker: when it was and what revision it was given, if it made any.
#[derive(Debug)]
struct Done {
    span: Span,
    broker: usize,
    revision: Option<u64>,
}

impl Done {
    fn revision(&self) -> Option<u64> {
        self.revision
    }
}

fn committed<R>(work: impl FnOnce(&Broker) -> Result<R>) -> (Done, Result<R>) {
    let (index, broker) = with(|desk| (desk.broker, desk.world.brokers[desk.broker].clone()));
    given();
    let begin = tick();
    let result = work(&broker);
    let span = Span { begin, end: tick() };
    let revision = given().map(|revision| revision.get());
    let done = Done {
        span,
        broker: index,
        revision,
    };
    (done, result)
}

fn note(done: Done, deeds: impl IntoIterator<Item = (u64, Deed)>) {
    let Done {
        span,
        broker,
        revision: Some(revision),
    } = done
    else {
        return;
    };
    let deeds: Vec<_> = deeds.into_iter().collect();
    if !deeds.is_empty() {
        let commit = Commit {
            revision,
            broker,
            span,
            deeds,
        };
        with(|desk| desk.log.commits.push(commit));
    }
}

fn expect_or(kind: ErrorKind, result: Result<()>) {
    if let Err(error) = result
        && error.kind() != kind
    {
        trouble(format!("{error}"));
    }
}

/// Draws the number of a subscription, one time in four one that everybody draws.
fn favourite() -> u64 {
    with(|desk| {
        let end = if desk.dice.one_in(4) {
            FAVOURITES
        } else {
            STORED
        };
        desk.dice.below(end)
    })
}

fn drawn() -> (u64, State) {
    let number = favourite();
    (number, with(|desk| State::draw(&mut desk.dice)))
}

/// Subscribes, replaces or lets go a live object of this thread.
fn turn() {
    let (slot, holds, replaces) = with(|desk| {
        let slot = desk.dice.below(SLOTS as u64) as usize;
        (slot, desk.held[slot].is_some(), desk.dice.one_in(2))
    });
    match (holds, replaces) {
        (false, _) => subscribe(slot),
        (true, true) => replace(slot),
        (true, false) => unsubscribe(slot),
    }
}

fn subscribe(slot: usize) {
    let (number, broker, state) = with(|desk| {
        let mut state = State::draw(&mut desk.dice);
        state.object = object();
        let number = TRANSIENT + desk.thread * SLOTS as u64 + slot as u64;
        (number, desk.world.brokers[desk.broker].clone(), state)
    });
    let record = record(number, &state).unwrap();
    let object = Arc::new(Recorder::new(state.object));
    let begin = tick();
    let guard = broker.subscribe_with::<dyn Quotes>(&record, Arc::clone(&object));
    let held = Held {
        guard: guard.unwrap(),
        object,
        state,
    };
    let end = tick();
    settle(number, slot, Span { begin, end }, Some(held));
}

/// Puts another object in the place of the present one: no fire is to miss both, or call both.
fn replace(slot: usize) {
    let Some(mut held) = with(|desk| desk.held[slot].take()) else {
        return;
    };
    held.state.object = object();
    held.object = Arc::new(Recorder::new(held.state.object));
    let number = number(held.guard.id());
    let begin = tick();
    let replaced = held.guard.replace::<dyn Quotes>(Arc::clone(&held.object));
    replaced.unwrap();
    let end = tick();
    settle(number, slot, Span { begin, end }, Some(held));
}

/// Unsubscribes, and one time in two waits until nobody can call the object any more.
pub(crate) fn unsubscribe(slot: usize) {
    let (held, waits) = with(|desk| (desk.held[slot].take(), desk.dice.one_in(2)));
    let Some(held) = held else { return };
    let number = number(held.guard.id());
    let begin = tick();
    let waited = if waits {
        held.guard.close_and_wait(PATIENCE).map(|()| true)
    } else {
        drop(held.guard);
        Ok(false)
    };
    let end = tick();
    settle(number, slot, Span { begin, end }, None);
    let inside = EventContext::current().is_some();
    match waited {
        Ok(true) => {
            with(|desk| desk.log.released.push((held.state.object, end)));
            if inside || Arc::strong_count(&held.object) != 1 {
                trouble(format!("{number} was not waited for"));
            }
        }
        Ok(false) => {}
        Err(error) if inside && error.kind() == ErrorKind::WouldDeadlock => {}
        Err(error) => trouble(format!("{number} cannot be waited for: {error}")),
    }
}

/// Writes a turn down and keeps what is held now.
fn settle(number: u64, slot: usize, span: Span, held: Option<Held>) {
    with(|desk| {
        desk.log.turns.push(Turn {
            subscription: number,
            broker: desk.broker,
            span,
            state: held.as_ref().map(|held| held.state.clone()),
        });
        desk.held[slot] = held;
    });
}

/// Returns a number that no object has had: ticks rise, and start behind the components.
fn object() -> u64 {
    COMPONENTS.len() as u64 + tick()
}

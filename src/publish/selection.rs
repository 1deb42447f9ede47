//! What a publisher filter may fire, and what became of it.

use std::fmt;
use std::sync::Arc;

use super::entry::SubscriptionEntry;
use super::report::Tally;
use crate::delivery::{DeliveryOutcome, Failure};
use crate::model::{Principal, Subscription, SubscriptionId};
use crate::value::Properties;

/// The subscriptions that a publisher filter may fire: those of the event's method that are
/// switched on, or those that the filter before it selected, in the order of calling.
///
/// It is made anew for each event, from the subscriptions as they are when the event is fired.
#[doc(alias("IFiringControl", "GetSubscriptions"))]
pub struct Selection<'a> {
    entries: &'a [Arc<SubscriptionEntry>],
    /// The places in `entries` that are in view; all, if it is none.
    view: Option<&'a [u32]>,
    /// Place -> one of the states below. Zeroes, since of those a million cost nothing.
    states: Vec<u8>,
    /// What there is to report, in the order of firing.
    lines: Vec<(u32, DeliveryOutcome)>,
    delivered: usize,
    filtered: usize,
    /// How many are too new for the event.
    past: usize,
    then: Then<'a>,
}

/// A subscription that a publisher filter may fire.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    place: u32,
    entry: &'a Arc<SubscriptionEntry>,
}

/// Does with one subscription what comes behind the publisher filter.
pub(super) trait Deliver {
    /// Matches, finds the target and calls it.
    fn deliver(&mut self, place: u32) -> Fired;

    /// Returns whether several may be called at the same time.
    fn is_parallel(&self) -> bool;

    /// Does the same with several at the same time, and returns what became of each.
    fn deliver_together(&mut self, places: &[u32]) -> Vec<Fired>;
}

/// What became of one subscription; small, as it is returned for each.
pub(super) enum Fired {
    Delivered,
    FilteredOut,
    /// Nothing: the subscription is too new for the event.
    Past,
    /// Something that the report has a line for.
    Noted(Box<DeliveryOutcome>),
}

/// What becomes of a subscription that is fired.
pub(super) enum Then<'a> {
    Deliver(&'a mut dyn Deliver),
    /// The next filter sees it; the places selected so far, in the order of selection.
    Select(Vec<u32>),
}

const OPEN: u8 = 0;
const DELIVERED: u8 = 1;
const FILTERED: u8 = 2;
const SELECTED: u8 = 3;
/// There is a line.
const NOTED: u8 = 4;
const OUT_OF_VIEW: u8 = 5;
const PAST: u8 = 6;

const IS_DELIVERED: &DeliveryOutcome = &DeliveryOutcome::Delivered;
const IS_FILTERED: &DeliveryOutcome = &DeliveryOutcome::FilteredOut;
const IS_SELECTED: &DeliveryOutcome = &DeliveryOutcome::Selected;
const IS_WITHHELD: &DeliveryOutcome = &DeliveryOutcome::Withheld;

impl<'a> Selection<'a> {
    pub(super) fn new(
        entries: &'a [Arc<SubscriptionEntry>],
        view: Option<&'a [u32]>,
        then: Then<'a>,
    ) -> Self {
        let mut states;
        match view {
            None => states = vec![OPEN; entries.len()],
            Some(view) => {
                states = vec![OUT_OF_VIEW; entries.len()];
                for place in view {
                    states[*place as usize] = OPEN;
                }
            }
        }
        Self {
            entries,
            view,
            states,
            lines: Vec::new(),
            delivered: 0,
            filtered: 0,
            past: 0,
            then,
        }
    }

    /// Returns the subscriptions in the order of calling, fired or not.
    ///
    /// The iterator does not borrow the selection, so that they can be fired on the way.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Candidate<'a>> + use<'a> {
        let (entries, view) = (self.entries, self.view);
        (0..self.len()).map(move |index| {
            let place = view.map_or(index, |view| view[index] as usize);
            Candidate {
                place: u32::try_from(place).unwrap_or(u32::MAX),
                entry: &entries[place],
            }
        })
    }

    /// Returns how many there are, fired or not.
    pub fn len(&self) -> usize {
        self.view.map_or(self.entries.len(), <[u32]>::len)
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Matches the event against the subscription's own filter, calls the subscriber, and
    /// returns what became of it. What the subscriber fails with is returned too, and is in the
    /// report.
    ///
    /// Each subscription is called once at most: when it was fired before, this returns what became
    /// of it then. In a filter that is not the last of its chain it returns
    /// [`Selected`](DeliveryOutcome::Selected), and of a candidate that is not in view
    /// [`Withheld`](DeliveryOutcome::Withheld).
    #[doc(alias = "FireSubscription")]
    #[inline]
    pub fn fire(&mut self, candidate: &Candidate<'_>) -> &DeliveryOutcome {
        let place = candidate.place as usize;
        let known = self.entries.get(place);
        if !known.is_some_and(|entry| Arc::ptr_eq(entry, candidate.entry)) {
            return IS_WITHHELD;
        }
        if self.states[place] == OPEN {
            match &mut self.then {
                Then::Select(selected) => {
                    selected.push(candidate.place);
                    self.states[place] = SELECTED;
                }
                Then::Deliver(control) => {
                    let fired = control.deliver(candidate.place);
                    self.note(candidate.place, fired);
                }
            }
        }
        self.outcome(candidate.place)
    }

    /// Fires all that were not fired yet, in the order of calling; where the class fires in
    /// [parallel](crate::Firing::Parallel), several at the same time.
    pub fn fire_all(&mut self) {
        self.fire_together();
        for candidate in self.iter() {
            self.fire(&candidate);
        }
    }

    /// Fires all that were not fired yet, if they may be called at the same time.
    fn fire_together(&mut self) {
        let places = self.iter().map(|candidate| candidate.place);
        let Then::Deliver(control) = &mut self.then else {
            return;
        };
        if !control.is_parallel() {
            return;
        }
        let open = places.filter(|place| self.states[*place as usize] == OPEN);
        let open: Vec<_> = open.collect();
        let all = control.deliver_together(&open);
        for (place, fired) in open.into_iter().zip(all) {
            self.note(place, fired);
        }
    }

    /// Notes what became of a subscription.
    #[inline]
    fn note(&mut self, place: u32, fired: Fired) {
        self.states[place as usize] = match fired {
            Fired::Delivered => {
                self.delivered += 1;
                DELIVERED
            }
            Fired::FilteredOut => {
                self.filtered += 1;
                FILTERED
            }
            Fired::Past => {
                self.past += 1;
                PAST
            }
            Fired::Noted(outcome) => {
                self.lines.push((place, *outcome));
                NOTED
            }
        };
    }

    #[inline]
    fn outcome(&self, place: u32) -> &DeliveryOutcome {
        match self.states[place as usize] {
            DELIVERED => IS_DELIVERED,
            FILTERED => IS_FILTERED,
            SELECTED => IS_SELECTED,
            NOTED => self.noted(place),
            _ => IS_WITHHELD,
        }
    }

    #[cold]
    fn noted(&self, place: u32) -> &DeliveryOutcome {
        // Mostly the last one.
        let mut lines = self.lines.iter().rev();
        let line = lines.find(|(noted, _)| *noted == place);
        line.map_or(IS_WITHHELD, |(_, outcome)| outcome)
    }

    /// Returns what the next filter sees, if there is one.
    pub(super) fn selected(self) -> Vec<u32> {
        match self.then {
            Then::Select(selected) => selected,
            Then::Deliver(_) => Vec::new(),
        }
    }

    /// Makes a failure of each that was in view and was not called.
    pub(super) fn fail_rest(&mut self, why: &str) {
        for candidate in self.iter() {
            let state = &mut self.states[candidate.place as usize];
            if matches!(*state, OPEN | SELECTED) {
                *state = NOTED;
                let failure = Failure::PublisherFilter(why.to_owned());
                let line = (candidate.place, DeliveryOutcome::Failed(failure));
                self.lines.push(line);
            }
        }
    }

    /// Counts what was fired, and all others as withheld.
    pub(super) fn count(self, tally: &mut Tally) {
        let fired = self.delivered + self.filtered + self.past + self.lines.len();
        tally.deliver(self.delivered);
        tally.filter_out(self.filtered);
        tally.withhold(self.entries.len() - fired);
        for (place, outcome) in self.lines {
            tally.add(&self.entries[place as usize], outcome);
        }
    }
}

impl<'a> Candidate<'a> {
    /// Returns the subscription's id.
    pub fn id(&self) -> SubscriptionId {
        self.entry.record.id()
    }

    /// Returns the subscription's name.
    pub fn name(&self) -> &'a str {
        self.entry.record.name()
    }

    /// Returns the subscription's priority; the higher is called first.
    pub fn priority(&self) -> i32 {
        self.entry.record.priority()
    }

    /// Returns the subscription's owner.
    pub fn owner(&self) -> Option<&'a Principal> {
        self.entry.record.owner()
    }

    /// Returns the bag that is meant for publisher filters.
    #[doc(alias = "GetPublisherProperty")]
    pub fn for_publisher(&self) -> &'a Properties {
        self.entry.record.for_publisher()
    }

    /// Returns the bag that is meant for the component.
    #[doc(alias = "GetSubscriberProperty")]
    pub fn for_subscriber(&self) -> &'a Properties {
        self.entry.record.for_subscriber()
    }

    /// Returns the subscription.
    pub fn subscription(&self) -> &'a Subscription {
        &self.entry.record
    }
}

impl fmt::Debug for Selection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Debug for Candidate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Candidate").field(&self.name()).finish()
    }
}

//! A fire of a publisher object that has private subscriptions: of those and of everybody's.

use std::sync::Arc;

use super::channel::Channel;
use super::event_row::EventRow;
use super::facet::Facet;
use super::guarded::{Filters, Guarded, Lineup};
use super::indexed::{Found, NotFound};
use super::lane::Lane;
use super::payload::Call;
use super::pipeline::too_deep;
use super::plan::Plan;
use super::prepared::{Prepared, Reached};
use super::privates::PrivateLanes;
use super::report::{FireReport, Tally};
use super::roster::Roster;
use super::steered;
use super::steering::{Course, DefaultQuery};
use crate::sync::Mutex;

/// The subscriptions of a lane that an event may reach, in the order of calling.
enum Part<'a, I: ?Sized> {
    /// Their filters are still to be asked.
    Few(&'a [Arc<Prepared<I>>]),
    Found(Found<'a, I>),
    /// A value could not be read, and each filter is to be asked by itself.
    Each(Vec<Prepared<I>>),
}

/// Fires the lane of everybody and the lane of the publisher object as if they were one.
pub(super) fn fire<I: Facet + ?Sized>(
    channel: &Channel<I>,
    lane: &Lane<I>,
    private: &PrivateLanes<I>,
    method: usize,
    course: Option<&Course<'_>>,
    row: EventRow<'_>,
    call: &impl Call<I>,
) -> Option<FireReport> {
    let query = match course {
        None => None,
        Some(Course::Query(query)) => Some(&***query),
        Some(course @ (Course::Filters(_) | Course::Broken(_))) => {
            let members = channel.members_with(private, method);
            return Some(steered::fire(channel, &members, method, course, row, call));
        }
    };
    loop {
        let snapshot = private.cache.load();
        // Everybody's first: if that lane was replaced, the fire begins again.
        let common = Part::by(lane, &channel.roster, method, &row)?;
        let Some(own) = snapshot.method(method) else {
            return Some(FireReport::default());
        };
        if let Some(own) = Part::by(own, &private.roster, method, &row) {
            return Some(fire_both(channel, [common, own], method, query, row, call));
        }
    }
}

fn fire_both<I: Facet + ?Sized>(
    channel: &Channel<I>,
    parts: [Part<'_, I>; 2],
    method: usize,
    query: Option<&DefaultQuery>,
    row: EventRow<'_>,
    call: &impl Call<I>,
) -> FireReport {
    let mut all = merge(parts[0].list(), parts[1].list());
    let before = all.len();
    if let Some(query) = query {
        all.retain(|reached| query.matches(&reached.plan().entry.record));
    }
    let Some(_entered) = row.enter(channel.key.class) else {
        return too_deep(channel, all.iter().map(|reached| &reached.plan().entry));
    };
    let mut tally = Tally::default();
    let guarded = Guarded::new(channel, method, row);
    // Of what an index has found, nothing is left to ask.
    guarded.fire(&all, Filters::Asked, call, &mut tally);
    tally.filter_out(parts.iter().map(Part::others).sum());
    tally.withhold(before - all.len());
    tally.finish(&channel.around.hook, channel.key.class)
}

/// Merges two lists that are in the order of calling into one that is. Where the class leaves those
/// of one priority in any order, so does this.
pub(super) fn merge<'a, I: ?Sized>(
    one: Vec<Reached<'a, I>>,
    other: Vec<Reached<'a, I>>,
) -> Vec<Reached<'a, I>> {
    let mut merged = Vec::with_capacity(one.len() + other.len());
    let mut one = one.into_iter().peekable();
    for next in other {
        let rank = next.plan().entry.rank();
        while let Some(first) = one.next_if(|first| first.plan().entry.rank() <= rank) {
            merged.push(first);
        }
        merged.push(next);
    }
    merged.extend(one);
    merged
}

impl<'a, I: Facet + ?Sized> Part<'a, I> {
    /// Returns what an event may reach of a lane, unless the lane was replaced.
    fn by(
        lane: &'a Lane<I>,
        roster: &Mutex<Roster<I>>,
        method: usize,
        row: &EventRow<'_>,
    ) -> Option<Self> {
        match lane {
            Lane::Plain { prepared, .. } => Some(Self::Few(prepared)),
            Lane::Guarded { slots, .. } => Some(Self::Few(slots)),
            Lane::Indexed(lane) => match lane.find(method, row) {
                Ok(found) => Some(Self::Found(found)),
                Err(NotFound::Replaced) => None,
                Err(NotFound::Unreadable) => {
                    let called = |plan: &Plan| plan.is_called_for(method);
                    Some(Self::Each(Roster::whole(roster, called)))
                }
            },
        }
    }

    fn list(&self) -> Vec<Reached<'_, I>> {
        match self {
            Self::Few(slots) => slots.iter().map(|slot| slot.reached()).collect(),
            Self::Found(found) => {
                let hits = found.places().iter();
                hits.filter_map(|hit| found.get(hit)).collect()
            }
            Self::Each(all) => all.iter().map(Prepared::reached).collect(),
        }
    }

    /// Returns how many an index has left out.
    fn others(&self) -> usize {
        match self {
            Self::Found(found) => found.others,
            _ => 0,
        }
    }
}

//! What is called for one method, in order.

use std::sync::{Arc, OnceLock};

use smallvec::SmallVec;

use super::demand::Few;
use super::facet::Facet;
use super::hit::Hit;
use super::indexed::{FilterIndex, Found, NotFound};
use super::metrics::{ChannelMeter, LaneMeter};
use super::prepared::Prepared;
use crate::filter::Row;
use crate::model::SubscriptionId;

/// The subscriptions of one method.
pub(crate) enum Lane<I: ?Sized> {
    /// Only subscribers to be called as they are: the plain fire, which reifies no event.
    Plain {
        /// In the order of calling. A single one inline, where it is reached without another
        /// pointer.
        slots: SmallVec<[PlainSlot<I>; 1]>,
        /// The subscription behind the slot of the same index; read when one fails, or when they
        /// are called among others.
        prepared: Box<[Arc<Prepared<I>>]>,
        /// Counts its fires, if anybody does.
        meter: Option<Arc<LaneMeter>>,
    },
    /// A few, in the order of calling, and at least one with a filter, a time, or a target that
    /// must be made or found first; or several that are called at the same time.
    Guarded {
        slots: Box<[Arc<Prepared<I>>]>,
        /// What they ask for, once somebody wants to know.
        few: OnceLock<Box<Few>>,
    },
    /// So many with filters that those an event matches are found by an index.
    Indexed(IndexedLane<I>),
}

/// A subscriber that is ready to be called.
pub(crate) struct PlainSlot<I: ?Sized> {
    pub(crate) target: Arc<I>,
    pub(crate) id: SubscriptionId,
}

/// A lane whose filtered subscriptions are in an index, which outlives the snapshot.
pub(crate) struct IndexedLane<I: ?Sized> {
    /// Those without a filter, in the order of calling.
    pub(super) loose: Box<[Arc<Prepared<I>>]>,
    /// What stands for them beside those that an index finds.
    pub(super) hits: Box<[Hit]>,
    /// Whether one of them has another priority than most.
    pub(super) prioritized: bool,
    /// How many of them are not suspended.
    pub(crate) unfiltered: usize,
    pub(crate) index: Arc<FilterIndex<I>>,
    /// What the index has to say of itself if it belongs to this lane.
    pub(crate) generation: u64,
    /// Whether subscribers of one priority are called in any order.
    pub(crate) unordered: bool,
}

impl<I: ?Sized> IndexedLane<I> {
    pub(super) fn new(
        index: &Arc<FilterIndex<I>>,
        generation: u64,
        loose: Box<[Arc<Prepared<I>>]>,
        unordered: bool,
    ) -> Self {
        let hit = |(place, loose): (u32, &Arc<Prepared<I>>)| Hit::loose(loose.entry.order, place);
        let wanting = loose.iter().filter(|loose| loose.suspended().is_none());
        Self {
            hits: (0..).zip(&loose).map(hit).collect(),
            prioritized: loose.iter().any(|loose| loose.is_prioritized()),
            unfiltered: wanting.count(),
            index: Arc::clone(index),
            loose,
            generation,
            unordered,
        }
    }

    /// Finds the subscriptions that an event reaches.
    pub(crate) fn find(&self, method: usize, row: &impl Row) -> Result<Found<'_, I>, NotFound> {
        self.index.find(self, method, row)
    }
}

impl<I: Facet + ?Sized> Lane<I> {
    /// Returns the lane of `method` out of all prepared subscriptions, which are in order. One that
    /// is `watched` is never plain: a fire of it looks at the class, who selects, what is retained
    /// or how it is fired.
    pub(crate) fn new<'a>(
        method: usize,
        all: impl Iterator<Item = &'a Arc<Prepared<I>>> + Clone,
        watched: bool,
        meter: Option<&ChannelMeter>,
    ) -> Self
    where
        I: 'a,
    {
        let here = || {
            all.clone()
                .filter(|prepared| prepared.is_called_for(method))
        };
        let plain: Option<SmallVec<_>> = here()
            .map(|prepared| {
                let target = prepared.ready(method)?;
                Some(PlainSlot {
                    target,
                    id: prepared.id,
                })
            })
            .collect();
        match plain {
            Some(slots) if !watched => Self::Plain {
                slots,
                prepared: here().cloned().collect(),
                meter: meter.and_then(|it| it.lane(method, here().map(|it| &it.plan))),
            },
            _ => Self::Guarded {
                slots: here().cloned().collect(),
                few: OnceLock::new(),
            },
        }
    }
}

//! The filtered subscriptions of one method, where there are many.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use parking_lot::{RwLock, RwLockWriteGuard};
use smallvec::SmallVec;

use super::prepared::{Prepared, Rank};
use crate::filter::{Predicate, Row};
use crate::index::{Columns, EntryId, PredicateIndex, Scratch};
use crate::model::SubscriptionId;
use crate::store::Trash;

/// The filtered subscriptions of one method, found by what they select.
///
/// Changed in place under a lock, inside which a fire runs library code alone: the event's values are
/// read before, the subscribers are called behind. What a fire has found is its snapshot.
pub(crate) struct IndexedMethod<I: ?Sized> {
    state: RwLock<IndexState<I>>,
}

/// What the lock protects.
pub(super) struct IndexState<I: ?Sized> {
    index: PredicateIndex<Slot<I>>,
    /// subscription -> its place in the index
    places: HashMap<SubscriptionId, EntryId>,
    /// Which lane the index belongs to. A lane of another generation was replaced while its fire was
    /// on its way here, and may miss what moved between the lane and the index.
    generation: u64,
}

/// A subscription in the index, with what its place in the order of calling is told by.
pub(crate) struct Slot<I: ?Sized> {
    rank: (Reverse<i32>, u64),
    pub(crate) prepared: Arc<Prepared<I>>,
}

/// What a fire has found. Few of an event's matches are more than this, and then one allocation is
/// the least of their cost.
pub(crate) type Found<I> = SmallVec<[Slot<I>; 16]>;

/// The lane was replaced: load the snapshot again.
pub(crate) struct Replaced;

impl<I: ?Sized> IndexedMethod<I> {
    pub(super) fn new() -> Self {
        let (index, places) = (PredicateIndex::new(), HashMap::new());
        Self {
            state: RwLock::new(IndexState {
                index,
                places,
                generation: 0,
            }),
        }
    }

    /// Keeps every fire out, for a change.
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, IndexState<I>> {
        self.state.write()
    }

    /// Finds the subscriptions that `row` matches, and returns how many it does not match.
    pub(crate) fn find(
        &self,
        generation: u64,
        row: &impl Row,
        found: &mut Found<I>,
    ) -> Result<usize, Replaced> {
        let mut reader = READER.take().unwrap_or_default();
        let outcome = self.find_with(&mut reader, generation, row, found);
        READER.set(Some(reader));
        outcome
    }

    fn find_with(
        &self,
        reader: &mut Reader,
        generation: u64,
        row: &impl Row,
        found: &mut Found<I>,
    ) -> Result<usize, Replaced> {
        let mut columns = reader.columns_of(self);
        loop {
            // Without the lock: the row's values may be the user's own code.
            let known = match &columns {
                Some(columns) => columns,
                None => columns.insert(Arc::clone(self.state.read().index.columns())),
            };
            reader.scratch.read(known, row);
            let state = self.state.read();
            if state.generation != generation {
                return Err(Replaced);
            }
            let mut slots = SmallVec::<[&Slot<I>; 64]>::new();
            let visit = &mut |visited| slots.extend(visited);
            if state.index.matches(&mut reader.scratch, visit).is_ok() {
                copy(&slots, found);
                drop(slots);
                let others = state.places.len() - found.len();
                drop(state);
                reader.keep(self, columns);
                return Ok(others);
            }
            columns = None;
        }
    }
}

impl<I: ?Sized> IndexState<I> {
    pub(super) fn insert(&mut self, predicate: &Predicate, prepared: &Arc<Prepared<I>>) {
        let (priority, order, id): Rank = prepared.entry.rank();
        let slot = Slot {
            rank: (priority, order),
            prepared: Arc::clone(prepared),
        };
        let place = self.index.insert(predicate, slot);
        self.places.insert(id, place);
    }

    pub(super) fn remove(&mut self, id: SubscriptionId, trash: &mut Trash)
    where
        Prepared<I>: Send + Sync,
        I: 'static,
    {
        let removed = self
            .places
            .remove(&id)
            .and_then(|place| self.index.remove(place));
        if let Some(slot) = removed {
            trash.add(slot.prepared);
        }
    }

    pub(super) fn belong_to(&mut self, generation: u64) {
        self.generation = generation;
    }
}

/// Copies the slots, for which it reads something of each before: the processor then fetches them
/// side by side.
///
/// They lie scattered in memory, as do the subscriptions behind them. A copy's locked increment alone
/// would wait for each in turn, since nothing behind it is read before it is done.
fn copy<I: ?Sized>(slots: &[&Slot<I>], found: &mut Found<I>) {
    found.reserve(slots.len());
    for some in slots.chunks(TOGETHER) {
        let near = |slot: &&Slot<I>| slot.rank.1;
        black_box(some.iter().map(near).fold(0, u64::wrapping_add));
        let far = |slot: &&Slot<I>| {
            Arc::strong_count(&slot.prepared) + usize::from(slot.prepared.is_conditional())
        };
        black_box(some.iter().map(far).fold(0, usize::wrapping_add));
        found.extend(some.iter().copied().cloned());
    }
}

/// Brings what was found into the order of calling.
pub(crate) fn sort<I: ?Sized>(found: &mut Found<I>, unordered: bool) {
    if unordered {
        let by_priority = found.windows(2).all(|two| two[0].rank.0 <= two[1].rank.0);
        if !by_priority {
            found.sort_unstable_by_key(|slot| slot.rank.0);
        }
        return;
    }
    found.sort_unstable_by_key(Slot::place);
    // Two brokers of one store may have given one place; then the id decides.
    if found.windows(2).any(|two| two[0].rank == two[1].rank) {
        found.sort_unstable_by_key(|slot| (slot.rank, slot.prepared.id));
    }
}

impl<I: ?Sized> Slot<I> {
    /// Returns the rank as one number, which is compared without a branch.
    #[inline]
    fn place(&self) -> u128 {
        let (Reverse(priority), order) = self.rank;
        // Higher priorities come first, and the lowest of all is negative.
        let priority = i64::from(i32::MAX) - i64::from(priority);
        (u128::from(priority.unsigned_abs()) << 64) | u128::from(order)
    }

    pub(crate) fn of(prepared: &Arc<Prepared<I>>) -> Self {
        let (priority, order, _) = prepared.entry.rank();
        Self {
            rank: (priority, order),
            prepared: Arc::clone(prepared),
        }
    }
}

impl<I: ?Sized> Clone for Slot<I> {
    fn clone(&self) -> Self {
        Self {
            rank: self.rank,
            prepared: Arc::clone(&self.prepared),
        }
    }
}

/// Far more than memory can be asked for at a time, far less than the first-level cache holds.
const TOGETHER: usize = 32;

/// What a thread keeps from one fire to the next.
#[derive(Default)]
struct Reader {
    scratch: Scratch,
    /// The index that the thread looked at last, as a number, and what it read events by there.
    last: Option<(usize, Arc<Columns>)>,
}

thread_local! {
    /// Taken by a fire while it matches: one that is nested inside a value's own code makes another.
    static READER: RefCell<Option<Box<Reader>>> = const { RefCell::new(None) };
}

impl Reader {
    /// Returns what to read an event by, if this thread was at the index last. It may be out of date,
    /// which the index says.
    fn columns_of<I: ?Sized>(&mut self, index: &IndexedMethod<I>) -> Option<Arc<Columns>> {
        let (last, columns) = self.last.take()?;
        (last == identity(index)).then_some(columns)
    }

    fn keep<I: ?Sized>(&mut self, index: &IndexedMethod<I>, columns: Option<Arc<Columns>>) {
        self.last = columns.map(|columns| (identity(index), columns));
    }
}

fn identity<I: ?Sized>(index: &IndexedMethod<I>) -> usize {
    std::ptr::from_ref(index).addr()
}

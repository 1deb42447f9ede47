//! The filtered subscriptions of a channel, where there are many.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::entry::Rank;
use super::facet::Facet;
use super::guarded::Lineup;
use super::hit::{Goal, Hit, Place};
use super::lane::IndexedLane;
use super::order::sort_by_order;
use super::plan::Plan;
use super::prepared::{Prepared, Reached};
use super::target::Bound;
use super::targets::TargetTable;
use crate::cache::{Root, SlotTable, Slots};
use crate::delivery::{Numbered, Numbers, enter_by_id, enter_number};
use crate::filter::Row;
use crate::index::{Columns, PredicateIndex, Scratch};
use crate::model::SubscriptionId;
use crate::sync::LocalKey;
use crate::sync::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::value::panic_message;

/// The filtered subscriptions of a channel, found by what they select.
///
/// Changed in place under a lock, inside which a fire runs library code alone: the event's values
/// are read before, the subscribers are called behind. What a fire has found is its snapshot.
pub(crate) struct FilterIndex<I: ?Sized> {
    state: RwLock<IndexState<I>>,
    identity: Arc<()>,
    /// Held while all ranges at one place are looked at.
    pub(super) covering: Mutex<()>,
}

/// What the lock protects.
pub(super) struct IndexState<I: ?Sized> {
    /// Method -> its subscriptions.
    pub(super) methods: Box<[PredicateIndex<Hit>]>,
    /// Who receives: what every fire reads, apart from what few read. Dropped before the slots, as
    /// in each [`Prepared`].
    pub(super) targets: TargetTable<I>,
    pub(super) slots: SlotTable<Slot>,
    /// How many of the slots have a priority other than 0.
    pub(super) prioritized: usize,
    /// Which lanes the index belongs to. A lane of another generation was replaced while its fire
    /// was on its way here, and may miss what moved between the lane and the index.
    pub(super) generation: u64,
}

/// What of a subscription in an index no fire reads that has nothing to ask.
#[derive(Clone)]
pub(super) struct Slot {
    pub(super) plan: Plan,
    pub(super) goal: Goal,
}

/// The subscriptions that an event reaches, in the order of calling.
///
/// None of them is counted: they are kept by one snapshot of all slots, as a count of each would be
/// a wait for memory.
pub(crate) struct Found<'a, I: ?Sized> {
    /// Dropped before the slots, as in each [`Prepared`].
    targets: Slots<Bound<I>>,
    slots: Slots<Slot>,
    /// Those that every event reaches, which the lane has.
    loose: &'a [Arc<Prepared<I>>],
    hits: Vec<Hit>,
    /// Whether the fire may name them by number.
    numbered: bool,
    /// How many the event does not reach.
    pub(crate) others: usize,
}

/// Why an index has found nothing.
pub(crate) enum NotFound {
    /// The lane was replaced: load the snapshot again.
    Replaced,
    /// A value of the event panicked when it was read: ask each filter for itself.
    Unreadable,
}

impl<I: ?Sized> FilterIndex<I> {
    pub(super) fn new(methods: usize) -> Self {
        Self {
            state: RwLock::new(IndexState {
                methods: (0..methods).map(|_| PredicateIndex::new()).collect(),
                slots: SlotTable::new(),
                targets: TargetTable::default(),
                prioritized: 0,
                generation: 0,
            }),
            identity: Arc::default(),
            covering: Mutex::default(),
        }
    }

    /// Returns what no other index has.
    pub(super) fn identity(&self) -> &Arc<()> {
        &self.identity
    }

    /// Keeps every fire out, for a change.
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, IndexState<I>> {
        self.state.write()
    }

    /// Keeps every change out.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, IndexState<I>> {
        self.state.read()
    }

    /// Finds the subscriptions of `method` that `row` matches and those of the lane that every
    /// event reaches, in the order of calling.
    pub(super) fn find<'a>(
        &self,
        lane: &'a IndexedLane<I>,
        method: usize,
        row: &impl Row,
    ) -> Result<Found<'a, I>, NotFound> {
        let mut reader = take(&READER).unwrap_or_default();
        // Reading may run the user's code, and a reader that it panicked in is of no use.
        let find = || self.find_with(&mut reader, lane, method, row);
        match catch_unwind(AssertUnwindSafe(find)) {
            Ok(outcome) => {
                give(&READER, Some(reader));
                outcome
            }
            Err(payload) => {
                drop(panic_message(payload));
                Err(NotFound::Unreadable)
            }
        }
    }

    fn find_with<'a>(
        &self,
        reader: &mut Reader,
        lane: &'a IndexedLane<I>,
        method: usize,
        row: &impl Row,
    ) -> Result<Found<'a, I>, NotFound> {
        let mut columns = reader.columns_of(self, method);
        let mut hits = take(&SPARE);
        hits.clear();
        loop {
            // Without the lock: the row's values may be the user's own code.
            let known = match &columns {
                Some(columns) => columns,
                None => columns.insert(Arc::clone(self.state.read().methods[method].columns())),
            };
            reader.scratch.read(known, row);
            let state = self.state.read();
            if state.generation != lane.generation {
                give(&SPARE, hits);
                return Err(NotFound::Replaced);
            }
            let index = &state.methods[method];
            let mut visit = |visited: &[Hit]| match visited {
                // Most filters have one, which is sooner pushed than copied as a slice.
                [hit] => hits.push(*hit),
                _ => hits.extend_from_slice(visited),
            };
            if index.matches(&mut reader.scratch, &mut visit).is_ok() {
                let mut found = Found {
                    others: index.len().saturating_sub(hits.len()),
                    slots: state.slots.snapshot(),
                    targets: state.targets.snapshot(),
                    loose: &lane.loose,
                    hits,
                    numbered: false,
                };
                let prioritized = lane.prioritized || state.prioritized > 0;
                drop(state);
                reader.keep(self, method, columns);
                found.hits.extend_from_slice(&lane.hits);
                found.sort(prioritized, lane.unordered);
                return Ok(found);
            }
            columns = None;
        }
    }
}

impl<I: ?Sized> IndexState<I> {
    /// Returns what is in a slot, with its target.
    pub(super) fn prepared(&self, slot: &Slot) -> Option<Prepared<I>> {
        let target = self.targets.get(slot.goal.target())?;
        Some(Prepared::of_index(&slot.plan, target))
    }
}

impl<I: ?Sized> Found<'_, I> {
    /// Returns the plans of those that were found, in the order of calling.
    pub(crate) fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.hits.iter().filter_map(|hit| self.plan(*hit))
    }

    fn plan(&self, hit: Hit) -> Option<&Plan> {
        match hit.place() {
            Place::Loose(place) => self.loose.get(place as usize).map(|loose| &loose.plan),
            Place::Slot(slot) => self.slots.get(slot).map(|slot| &slot.plan),
        }
    }

    /// Lets the fire that this thread is inside of name the subscriptions of slots by number.
    pub(crate) fn number(&mut self) -> Option<Numbers> {
        let root = self.slots.root()?;
        let numbers = Numbers::of(Arc::clone(root) as _);
        self.numbered = numbers.is_some();
        numbers
    }

    /// Leaves out those that are not to be kept, and returns how many.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Plan) -> bool) -> usize {
        let mut hits = std::mem::take(&mut self.hits);
        let before = hits.len();
        hits.retain(|hit| self.plan(*hit).is_some_and(&keep));
        self.hits = hits;
        before - self.hits.len()
    }

    /// Brings what was found into the order of calling.
    fn sort(&mut self, prioritized: bool, unordered: bool) {
        match (prioritized, unordered) {
            (false, true) => {}
            (true, true) => self.sort_by_rank(|(priority, ..)| *priority),
            (false, false) if self.sort_by_order() => {}
            _ => self.sort_by_rank(|rank| *rank),
        }
    }

    /// Sorts by the places in store order alone, or says that they do not tell all apart.
    fn sort_by_order(&mut self) -> bool {
        let mut spare = take(&SORTED);
        sort_by_order(&mut self.hits, &mut spare);
        give_small(&SORTED, spare);
        // Two brokers of one store may have given one place; then the id decides.
        let mut pairs = self.hits.windows(2);
        pairs.all(|two| two[0].order != two[1].order)
    }

    fn sort_by_rank<K: Ord>(&mut self, key: impl Fn(&Rank) -> K) {
        let mut hits = std::mem::take(&mut self.hits);
        hits.sort_by_cached_key(|hit| self.plan(*hit).map(|plan| key(&plan.entry.rank())));
        self.hits = hits;
    }
}

impl<I: Facet + ?Sized> Lineup<I> for Found<'_, I> {
    type Place = Hit;

    fn places(&self) -> &[Hit] {
        &self.hits
    }

    fn get<'s>(&'s self, hit: &'s Hit) -> Option<Reached<'s, I>> {
        match hit.place() {
            Place::Loose(place) => Some(self.loose.get(place as usize)?.reached()),
            Place::Slot(slot) => {
                let Slot { plan, goal } = self.slots.get(slot)?;
                let target = self.targets.get(goal.target())?;
                Some(Reached::new(plan, goal.is_conditional(), target))
            }
        }
    }

    #[inline]
    fn at_hand(&self, hit: &Hit) -> Option<&I> {
        let Some((target, slot)) = hit.at_hand() else {
            return self.loose_at_hand(*hit);
        };
        let target = self.targets.get(target)?.ready()?;
        match self.numbered {
            true => enter_number(slot),
            false => enter_by_id(self.slots.get(slot)?.plan.id),
        }
        Some(target)
    }
}

impl<I: Facet + ?Sized> Found<'_, I> {
    fn loose_at_hand(&self, hit: Hit) -> Option<&I> {
        let Place::Loose(place) = hit.place() else {
            return None;
        };
        let loose = self.loose.get(place as usize)?;
        let target = loose.at_hand()?;
        enter_by_id(loose.id);
        Some(target)
    }
}

impl<I: ?Sized> Drop for Found<'_, I> {
    fn drop(&mut self) {
        give_small(&SPARE, std::mem::take(&mut self.hits));
    }
}

impl Numbered for Root<Slot> {
    fn subscription(&self, number: u32) -> Option<SubscriptionId> {
        self.get(number).map(|slot| slot.plan.id)
    }
}

/// What a thread keeps from one fire to the next.
#[derive(Default)]
struct Reader {
    scratch: Scratch,
    /// The index and the method that the thread looked at last, as numbers, and what it read events
    /// by there.
    last: Option<(usize, usize, Arc<Columns>)>,
}

crate::sync::thread_local! {
    /// Taken by a fire while it matches: one that is nested inside a value's own code makes
    /// another.
    static READER: Cell<Option<Box<Reader>>> = const { Cell::new(None) };

    /// Taken by a fire until its end: one that is nested inside makes another.
    static SPARE: Cell<Vec<Hit>> = const { Cell::new(Vec::new()) };

    /// Taken while what was found is sorted.
    static SORTED: Cell<Vec<Hit>> = const { Cell::new(Vec::new()) };
}

/// Takes what a thread keeps, which may be a thread that is ending and keeps nothing any more.
fn take<T: Default>(kept: &'static LocalKey<Cell<T>>) -> T {
    kept.try_with(Cell::take).unwrap_or_default()
}

fn give<T>(kept: &'static LocalKey<Cell<T>>, item: T) {
    // Dropped where the thread is ending.
    let _ = kept.try_with(|cell| cell.set(item));
}

/// Lets a thread keep a list, unless it is one that few events need.
fn give_small(kept: &'static LocalKey<Cell<Vec<Hit>>>, list: Vec<Hit>) {
    if list.capacity() <= KEPT {
        give(kept, list);
    }
}

/// Half a megabyte.
const KEPT: usize = 1 << 16;

impl Reader {
    /// Returns what to read an event by, if this thread was at the index last. It may be out of
    /// date, which the index says.
    fn columns_of<I: ?Sized>(
        &mut self,
        index: &FilterIndex<I>,
        method: usize,
    ) -> Option<Arc<Columns>> {
        let (last, of, columns) = self.last.take()?;
        (last == identity(index) && of == method).then_some(columns)
    }

    fn keep<I: ?Sized>(
        &mut self,
        index: &FilterIndex<I>,
        method: usize,
        columns: Option<Arc<Columns>>,
    ) {
        self.last = columns.map(|columns| (identity(index), method, columns));
    }
}

fn identity<I: ?Sized>(index: &FilterIndex<I>) -> usize {
    std::ptr::from_ref(index).addr()
}

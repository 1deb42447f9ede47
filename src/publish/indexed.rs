//! The filtered subscriptions of a channel, where there are many.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::LocalKey;

use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::entry::Rank;
use super::lane::IndexedLane;
use super::order::{UPPER_HALF, sort_by_upper_half};
use super::prepared::Prepared;
use crate::cache::{SlotTable, Slots};
use crate::filter::Row;
use crate::index::{Columns, PredicateIndex, Scratch};
use crate::value::panic_message;

/// The filtered subscriptions of a channel, found by what they select.
///
/// Changed in place under a lock, inside which a fire runs library code alone: the event's values are
/// read before, the subscribers are called behind. What a fire has found is its snapshot.
pub(crate) struct FilterIndex<I: ?Sized> {
    state: RwLock<IndexState<I>>,
    identity: Arc<()>,
    /// Held while all ranges at one place are looked at.
    pub(super) covering: Mutex<()>,
}

/// What the lock protects.
pub(super) struct IndexState<I: ?Sized> {
    /// Method -> its subscriptions, each as a number that [`number`] makes.
    pub(super) methods: Box<[PredicateIndex<u64>]>,
    pub(super) slots: SlotTable<Prepared<I>>,
    /// How many of the slots have a priority other than 0.
    pub(super) prioritized: usize,
    /// Which lanes the index belongs to. A lane of another generation was replaced while its fire was
    /// on its way here, and may miss what moved between the lane and the index.
    pub(super) generation: u64,
}

/// The subscriptions that an event reaches, in the order of calling.
///
/// None of them is counted: they are kept by one snapshot of all slots, as a count of each would be
/// a wait for memory.
pub(crate) struct Found<'a, I: ?Sized> {
    slots: Slots<Prepared<I>>,
    /// Those that every event reaches, which the lane has.
    loose: &'a [Arc<Prepared<I>>],
    /// As [`number`] makes them, of slots, or of loose ones from [`LOOSE`] on.
    numbers: Vec<u64>,
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

    /// Finds the subscriptions of `method` that `row` matches and those of the lane that every event
    /// reaches, in the order of calling.
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
        let mut numbers = take(&SPARE);
        numbers.clear();
        loop {
            // Without the lock: the row's values may be the user's own code.
            let known = match &columns {
                Some(columns) => columns,
                None => columns.insert(Arc::clone(self.state.read().methods[method].columns())),
            };
            reader.scratch.read(known, row);
            let state = self.state.read();
            if state.generation != lane.generation {
                give(&SPARE, numbers);
                return Err(NotFound::Replaced);
            }
            let index = &state.methods[method];
            let mut visit = |visited: &[u64]| numbers.extend_from_slice(visited);
            if index.matches(&mut reader.scratch, &mut visit).is_ok() {
                let mut found = Found {
                    others: index.len().saturating_sub(numbers.len()),
                    slots: state.slots.snapshot(),
                    loose: &lane.loose,
                    numbers,
                };
                let prioritized = lane.prioritized || state.prioritized > 0;
                drop(state);
                reader.keep(self, method, columns);
                found.numbers.extend_from_slice(&lane.numbers);
                found.sort(prioritized, lane.unordered);
                return Ok(found);
            }
            columns = None;
        }
    }
}

impl<I: ?Sized> Found<'_, I> {
    /// Returns the numbers to ask [`get`](Self::get) with, in the order of calling.
    pub(crate) fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    /// Returns the subscription of a number.
    #[inline]
    pub(crate) fn get(&self, number: u64) -> Option<&Prepared<I>> {
        let number = number as u32;
        match number.checked_sub(LOOSE) {
            Some(place) => self.loose.get(place as usize).map(|loose| &**loose),
            None => self.slots.get(number),
        }
    }

    /// Leaves out those that are not to be kept, and returns how many.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Prepared<I>) -> bool) -> usize {
        let mut numbers = std::mem::take(&mut self.numbers);
        let before = numbers.len();
        numbers.retain(|number| self.get(*number).is_some_and(&keep));
        self.numbers = numbers;
        before - self.numbers.len()
    }

    /// Brings what was found into the order of calling.
    fn sort(&mut self, prioritized: bool, unordered: bool) {
        match (prioritized, unordered) {
            (false, true) => {}
            (true, true) => {
                let numbers = std::mem::take(&mut self.numbers);
                self.numbers = self.sorted_by(numbers, |(priority, ..)| *priority);
            }
            (false, false) if self.sort_by_order() => {}
            _ => {
                let numbers = std::mem::take(&mut self.numbers);
                self.numbers = self.sorted_by(numbers, |rank| *rank);
            }
        }
    }

    /// Sorts by the places in store order alone, or says that they do not tell all apart.
    fn sort_by_order(&mut self) -> bool {
        let mut spare = take(&SORTED);
        sort_by_upper_half(&mut self.numbers, &mut spare);
        give_small(&SORTED, spare);
        // Two brokers of one store may have given one place; then the id decides.
        let place = |number: u64| number >> UPPER_HALF;
        let mut pairs = self.numbers.windows(2);
        pairs.all(|two| place(two[0]) != place(two[1]))
    }

    fn sorted_by<K: Ord>(&self, mut numbers: Vec<u64>, key: impl Fn(&Rank) -> K) -> Vec<u64> {
        numbers.sort_by_cached_key(|number| {
            let prepared = self.get(*number);
            prepared.map(|prepared| key(&prepared.entry.rank()))
        });
        numbers
    }
}

impl<I: ?Sized> Drop for Found<'_, I> {
    fn drop(&mut self) {
        give_small(&SPARE, std::mem::take(&mut self.numbers));
    }
}

/// Returns the number of a slot: with its place in store order in the upper half, so that numbers
/// can be sorted where they are found. Beyond four billion all places are the same, and who sorts
/// finds that they do not tell apart.
pub(super) fn number(order: u64, slot: u32) -> u64 {
    order.min(u32::MAX.into()) << UPPER_HALF | u64::from(slot)
}

/// Returns the number of a subscription that every event reaches, by its place in the lane.
pub(super) fn loose_number(order: u64, place: u32) -> u64 {
    number(order, LOOSE | place)
}

/// The first number that stands for no slot; more slots than this need more memory than there is.
const LOOSE: u32 = 1 << 31;

/// What a thread keeps from one fire to the next.
#[derive(Default)]
struct Reader {
    scratch: Scratch,
    /// The index and the method that the thread looked at last, as numbers, and what it read events
    /// by there.
    last: Option<(usize, usize, Arc<Columns>)>,
}

thread_local! {
    /// Taken by a fire while it matches: one that is nested inside a value's own code makes another.
    static READER: Cell<Option<Box<Reader>>> = const { Cell::new(None) };

    /// Taken by a fire until its end: one that is nested inside makes another.
    static SPARE: Cell<Vec<u64>> = const { Cell::new(Vec::new()) };

    /// Taken while what was found is sorted.
    static SORTED: Cell<Vec<u64>> = const { Cell::new(Vec::new()) };
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
fn give_small(kept: &'static LocalKey<Cell<Vec<u64>>>, list: Vec<u64>) {
    if list.capacity() <= KEPT {
        give(kept, list);
    }
}

/// Half a megabyte.
const KEPT: usize = 1 << 16;

impl Reader {
    /// Returns what to read an event by, if this thread was at the index last. It may be out of date,
    /// which the index says.
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

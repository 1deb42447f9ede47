//! Filters, each once, and the slots that share them.

use hashbrown::HashTable;

use super::columns::put;
use super::hash::{Mixer, Seed};
use super::sharers::Sharers;
use super::term::{Term, same_terms};

/// The distinct filters: conjunctions, and those that are several conjunctions or none.
///
/// A conjunction that is a filter by itself is found by its terms. Of the others each has its own
/// conjunctions, so that what a conjunction leads to is always one thing.
#[derive(Debug)]
pub(super) struct Pool<S> {
    seed: Seed,
    /// Conjunction -> its terms, in the order in which the tree asks.
    terms: Vec<Box<[Term]>>,
    /// Conjunction -> what it leads to; apart from the terms, as a match reads it alone.
    held: Vec<Held<S>>,
    free: Vec<u32>,
    wholes: Vec<Whole<S>>,
    free_wholes: Vec<u32>,
    sharers: Vec<Sharers<S>>,
    free_sharers: Vec<u32>,
    by_terms: HashTable<u32>,
    by_parts: HashTable<u32>,
}

/// A distinct filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FilterId {
    Conjunction(u32),
    Whole(u32),
}

/// What a conjunction, or a whole, leads to.
#[derive(Debug)]
enum Held<S> {
    Vacant,
    One(S),
    /// In `sharers`.
    Many(u32),
    /// A part of one of `wholes`.
    Part(u32),
}

/// A filter of several conjunctions, or of none.
#[derive(Debug)]
struct Whole<S> {
    parts: Box<[u32]>,
    held: Held<S>,
}

impl<S> Pool<S> {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            seed,
            terms: Vec::new(),
            held: Vec::new(),
            free: Vec::new(),
            wholes: Vec::new(),
            free_wholes: Vec::new(),
            sharers: Vec::new(),
            free_sharers: Vec::new(),
            by_terms: HashTable::new(),
            by_parts: HashTable::new(),
        }
    }

    /// Returns the terms of all conjunctions.
    pub(super) fn terms(&self) -> &[Box<[Term]>] {
        &self.terms
    }

    /// Returns the filter that is one of these conjunctions.
    pub(super) fn find(&self, parts: &[Box<[Term]>]) -> Option<FilterId> {
        if let [terms] = parts {
            let same = |id: &u32| same_terms(&self.terms[*id as usize], terms);
            let found = self.by_terms.find(hash_terms(self.seed, terms), same);
            return found.map(|id| FilterId::Conjunction(*id));
        }
        let hash = hash_parts(self.seed, parts.iter().map(|part| &**part));
        let same = |id: &u32| {
            let mine = &self.wholes[*id as usize].parts;
            let pairs = || mine.iter().zip(parts);
            let terms = |id: &u32| &self.terms[*id as usize];
            mine.len() == parts.len() && pairs().all(|(id, part)| same_terms(terms(id), part))
        };
        let found = self.by_parts.find(hash, same);
        found.map(|id| FilterId::Whole(*id))
    }

    /// Adds a filter that [`find`](Self::find) does not know.
    pub(super) fn add(&mut self, mut parts: Vec<Box<[Term]>>) -> FilterId {
        if parts.len() == 1 {
            let terms = parts.swap_remove(0);
            let id = self.add_terms(terms, Held::Vacant);
            let (seed, all) = (self.seed, &self.terms);
            let hash = |id: &u32| hash_terms(seed, &all[*id as usize]);
            self.by_terms.insert_unique(hash(&id), id, hash);
            return FilterId::Conjunction(id);
        }
        let whole = Whole {
            parts: Box::default(),
            held: Held::Vacant,
        };
        let id = put(&mut self.wholes, &mut self.free_wholes, whole);
        let part = |terms| self.add_terms(terms, Held::Part(id));
        let parts = parts.into_iter().map(part).collect();
        self.wholes[id as usize].parts = parts;
        let (seed, wholes, all) = (self.seed, &self.wholes, &self.terms);
        let hash = |id: &u32| hash_parts(seed, terms_of(all, &wholes[*id as usize].parts));
        self.by_parts.insert_unique(hash(&id), id, hash);
        FilterId::Whole(id)
    }

    fn add_terms(&mut self, terms: Box<[Term]>, held: Held<S>) -> u32 {
        let Some(id) = self.free.pop() else {
            self.terms.push(terms);
            return put(&mut self.held, &mut self.free, held);
        };
        self.terms[id as usize] = terms;
        self.held[id as usize] = held;
        id
    }

    /// Returns the conjunctions of the filter.
    pub(super) fn parts<'a>(&'a self, filter: &'a FilterId) -> &'a [u32] {
        match filter {
            FilterId::Conjunction(id) => std::slice::from_ref(id),
            FilterId::Whole(id) => &self.wholes[*id as usize].parts,
        }
    }

    /// Takes the terms of a filter that nothing holds any more.
    pub(super) fn remove(&mut self, filter: FilterId) -> Vec<(u32, Box<[Term]>)> {
        self.forget(filter);
        let parts: Box<[u32]> = match filter {
            FilterId::Conjunction(id) => [id].into(),
            FilterId::Whole(id) => {
                self.free_wholes.push(id);
                std::mem::take(&mut self.wholes[id as usize].parts)
            }
        };
        let take = |id: &u32| {
            self.held[*id as usize] = Held::Vacant;
            self.free.push(*id);
            (*id, std::mem::take(&mut self.terms[*id as usize]))
        };
        parts.iter().map(take).collect()
    }

    fn forget(&mut self, filter: FilterId) {
        let (table, hash, id) = match filter {
            FilterId::Conjunction(id) => {
                let hash = hash_terms(self.seed, &self.terms[id as usize]);
                (&mut self.by_terms, hash, id)
            }
            FilterId::Whole(id) => {
                let parts = terms_of(&self.terms, &self.wholes[id as usize].parts);
                (&mut self.by_parts, hash_parts(self.seed, parts), id)
            }
        };
        if let Ok(entry) = table.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
    }

    /// Adds a slot to the filter and returns its number there.
    pub(super) fn hold(&mut self, filter: FilterId, slot: S) -> u32 {
        let held = held_mut(&mut self.held, &mut self.wholes, filter);
        match std::mem::replace(held, Held::Vacant) {
            Held::One(first) => {
                let mut sharers = Sharers::new(first);
                let number = sharers.insert(slot);
                *held = Held::Many(put(&mut self.sharers, &mut self.free_sharers, sharers));
                number
            }
            Held::Many(id) => {
                *held = Held::Many(id);
                self.sharers[id as usize].insert(slot)
            }
            Held::Vacant | Held::Part(_) => {
                *held = Held::One(slot);
                0
            }
        }
    }

    /// Takes the slot of this number from the filter.
    pub(super) fn release(&mut self, filter: FilterId, number: u32) -> Option<S> {
        let held = match filter {
            FilterId::Conjunction(id) => self.held.get_mut(id as usize)?,
            FilterId::Whole(id) => &mut self.wholes.get_mut(id as usize)?.held,
        };
        match held {
            Held::Many(id) => {
                let id = *id;
                let sharers = &mut self.sharers[id as usize];
                let slot = sharers.remove(number);
                if sharers.slots().is_empty() {
                    *held = Held::Vacant;
                    self.free_sharers.push(id);
                }
                slot
            }
            Held::One(_) if number == 0 => match std::mem::replace(held, Held::Vacant) {
                Held::One(slot) => Some(slot),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns whether no slot is left.
    pub(super) fn is_unused(&self, filter: FilterId) -> bool {
        let held = match filter {
            FilterId::Conjunction(id) => &self.held[id as usize],
            FilterId::Whole(id) => &self.wholes[id as usize].held,
        };
        matches!(held, Held::Vacant)
    }

    /// Calls `visit` with the slots behind each conjunction, or notes the whole that it is a part
    /// of: of that, other parts may hold too.
    pub(super) fn visit<'a>(
        &'a self,
        ids: &[u32],
        wholes: &mut Vec<u32>,
        visit: &mut dyn FnMut(&'a [S]),
    ) {
        for ids in ids.chunks(BATCH) {
            let one = |id: &u32| matches!(self.held[*id as usize], Held::One(_));
            // Without a branch between them, all these cache misses are under way at once.
            let ones = ids.iter().fold(0, |count, id| count + usize::from(one(id)));
            if ones < ids.len() {
                ids.iter().for_each(|id| self.visit_one(*id, wholes, visit));
                continue;
            }
            for id in ids {
                if let Held::One(slot) = &self.held[*id as usize] {
                    visit(std::slice::from_ref(slot));
                }
            }
        }
    }

    fn visit_one<'a>(&'a self, id: u32, wholes: &mut Vec<u32>, visit: &mut dyn FnMut(&'a [S])) {
        match &self.held[id as usize] {
            Held::One(slot) => visit(std::slice::from_ref(slot)),
            Held::Many(id) => visit(self.sharers[*id as usize].slots()),
            Held::Part(whole) => wholes.push(*whole),
            Held::Vacant => {}
        }
    }

    /// Calls `visit` with the slots of filters that `visit` noted.
    pub(super) fn visit_wholes<'a>(&'a self, ids: &[u32], visit: &mut dyn FnMut(&'a [S])) {
        for id in ids {
            match &self.wholes[*id as usize].held {
                Held::One(slot) => visit(std::slice::from_ref(slot)),
                Held::Many(id) => visit(self.sharers[*id as usize].slots()),
                Held::Part(_) | Held::Vacant => {}
            }
        }
    }

    /// Returns how many slots share the filter.
    pub(super) fn slot_count(&self, filter: FilterId) -> usize {
        let held = match filter {
            FilterId::Conjunction(id) => &self.held[id as usize],
            FilterId::Whole(id) => &self.wholes[id as usize].held,
        };
        match held {
            Held::One(_) => 1,
            Held::Many(id) => self.sharers[*id as usize].slots().len(),
            Held::Vacant | Held::Part(_) => 0,
        }
    }

    /// Returns how many conjunctions there are.
    pub(super) fn conjunction_count(&self) -> usize {
        self.terms.len() - self.free.len()
    }

    /// Returns how many distinct filters there are.
    pub(super) fn len(&self) -> usize {
        self.by_terms.len() + self.by_parts.len()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let terms = self.terms.iter().flat_map(|terms| terms.iter());
        let sharers = self.sharers.iter().map(Sharers::heap_bytes);
        let parts = self.wholes.iter().map(|whole| size_of_val(&*whole.parts));
        self.terms.capacity() * size_of::<Box<[Term]>>()
            + terms
                .map(|term| size_of::<Term>() + term.heap_bytes())
                .sum::<usize>()
            + self.held.capacity() * size_of::<Held<S>>()
            + self.wholes.capacity() * size_of::<Whole<S>>()
            + parts.sum::<usize>()
            + self.sharers.capacity() * size_of::<Sharers<S>>()
            + sharers.sum::<usize>()
            + self.by_terms.allocation_size()
            + self.by_parts.allocation_size()
    }
}

fn held_mut<'a, S>(
    held: &'a mut [Held<S>],
    wholes: &'a mut [Whole<S>],
    filter: FilterId,
) -> &'a mut Held<S> {
    match filter {
        FilterId::Conjunction(id) => &mut held[id as usize],
        FilterId::Whole(id) => &mut wholes[id as usize].held,
    }
}

fn terms_of<'a>(all: &'a [Box<[Term]>], parts: &'a [u32]) -> impl Iterator<Item = &'a [Term]> {
    parts.iter().map(|id| &*all[*id as usize])
}

/// The same whatever the order of the terms.
fn hash_terms(seed: Seed, terms: &[Term]) -> u64 {
    let mixer = seed.mixer();
    let add = |sum: u64, term: &Term| sum.wrapping_add(term.hash(mixer));
    terms.iter().fold(0, add)
}

fn hash_parts<'a>(seed: Seed, parts: impl Iterator<Item = &'a [Term]>) -> u64 {
    let add = |mixer: Mixer, terms: &[Term]| mixer.word(hash_terms(seed, terms));
    parts.fold(seed.mixer(), add).finish()
}

/// How many conjunctions are read before the first of them is visited.
const BATCH: usize = 32;

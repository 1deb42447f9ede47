//! The tree that conjunctions are found by.

use std::mem;

use hashbrown::HashTable;

use super::columns::put;
use super::hash::Seed;
use super::live::Live;
use super::ordered::insert_tight;
use super::ranges::{Range, RangeSet};
use super::reading::Reading;
use super::term::Term;

/// Conjunctions by their terms: a node at depth n is reached by n symbols that an event has, and knows
/// the conjunctions that begin with these.
///
/// A conjunction sinks as deep as there are many others at the same node. A range ends the way down.
/// (Access predicates: Fabret et al. 2001; made recursive as in BE-Tree, 2011.)
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Node {
    /// Conjunctions without a further term.
    done: Vec<u32>,
    /// Conjunctions that are checked one by one.
    waiting: Vec<u32>,
    branches: Option<Box<Branches>>,
}

#[derive(Debug, Default)]
struct Branches {
    /// The attributes of all below, modulo 64.
    mask: u64,
    /// The symbol and the node that it leads to.
    children: HashTable<(u32, u32)>,
    /// Attribute -> ranges that are the last term.
    ends: Vec<(u32, RangeSet)>,
    /// Attribute -> ranges that more terms follow.
    gates: Vec<(u32, RangeSet)>,
}

/// What an event is searched with.
pub(super) struct Search<'a> {
    pub(super) terms: &'a [Box<[Term]>],
    pub(super) live: &'a Live,
    pub(super) readings: &'a Vec<Reading>,
    /// How many conjunctions were checked term by term.
    pub(super) checks: u64,
}

impl Tree {
    pub(super) fn new() -> Self {
        Self {
            nodes: vec![Node::default()],
            free: Vec::new(),
        }
    }

    /// Calls `visit` with the conjunctions that hold. One may come twice only if an attribute of it has
    /// several symbols.
    pub(super) fn search(&self, search: &mut Search<'_>, visit: &mut impl FnMut(&[u32])) {
        self.search_at(ROOT, 0, search, visit);
    }

    fn search_at(
        &self,
        node: u32,
        depth: usize,
        search: &mut Search<'_>,
        visit: &mut impl FnMut(&[u32]),
    ) {
        let node = &self.nodes[node as usize];
        if !node.done.is_empty() {
            visit(&node.done);
        }
        for id in &node.waiting {
            if search.holds(*id, depth) {
                visit(std::slice::from_ref(id));
            }
        }
        let Some(branches) = &node.branches else {
            return;
        };
        branches.search_ranges(depth, search, visit);
        let live = search.live;
        for attribute in live.attributes() {
            if branches.mask & bit(*attribute) == 0 {
                continue;
            }
            for symbol in live.symbols(*attribute) {
                if let Some(child) = branches.child(*symbol) {
                    self.search_at(child, depth + 1, search, visit);
                }
            }
        }
    }

    /// Adds a conjunction.
    pub(super) fn insert(&mut self, id: u32, terms: &[Box<[Term]>]) {
        self.insert_at(ROOT, 0, id, terms);
    }

    fn insert_at(&mut self, at: u32, depth: usize, id: u32, terms: &[Box<[Term]>]) {
        let node = &mut self.nodes[at as usize];
        match terms[id as usize].get(depth) {
            None => insert_id(&mut node.done, id),
            Some(term) if node.branches.is_some() && term.attribute().is_some() => {
                self.branch(at, depth, id, terms);
            }
            Some(_) => {
                insert_id(&mut node.waiting, id);
                if node.branches.is_none() && node.waiting.len() > WAITING {
                    self.split(at, depth, terms);
                }
            }
        }
    }

    /// Sends those that wait at the node on their ways.
    fn split(&mut self, at: u32, depth: usize, terms: &[Box<[Term]>]) {
        let node = &mut self.nodes[at as usize];
        let can_go = |id: &u32| terms[*id as usize][depth].attribute().is_some();
        if !node.waiting.iter().any(can_go) {
            return;
        }
        node.branches = Some(Box::default());
        let (go, stay) = mem::take(&mut node.waiting).into_iter().partition(can_go);
        node.waiting = stay;
        node.waiting.shrink_to_fit();
        let go: Vec<_> = go;
        for id in go {
            self.branch(at, depth, id, terms);
        }
    }

    /// Puts a conjunction behind its next term.
    fn branch(&mut self, at: u32, depth: usize, id: u32, terms: &[Box<[Term]>]) {
        let all = &terms[id as usize];
        let term = &all[depth];
        if let Some(range) = range(term, id) {
            if let Some((attribute, branches)) = term.attribute().zip(self.branches(at)) {
                branches
                    .ranges(attribute, depth + 1 == all.len())
                    .insert(range);
            }
            return;
        }
        for symbol in term.symbols() {
            let child = self.child_or_new(at, *symbol, term.attribute());
            self.insert_at(child, depth + 1, id, terms);
        }
    }

    fn branches(&mut self, at: u32) -> Option<&mut Branches> {
        self.nodes[at as usize].branches.as_deref_mut()
    }

    fn child_or_new(&mut self, at: u32, symbol: u32, attribute: Option<u32>) -> u32 {
        let known = self
            .branches(at)
            .and_then(|branches| branches.child(symbol));
        if let Some(child) = known {
            return child;
        }
        let child = put(&mut self.nodes, &mut self.free, Node::default());
        if let Some(branches) = self.branches(at) {
            branches.mask |= attribute.map_or(0, bit);
            let hash = |(symbol, _): &(u32, u32)| hash(*symbol);
            branches
                .children
                .insert_unique(hash(&(symbol, child)), (symbol, child), hash);
        }
        child
    }

    /// Removes a conjunction that is in the tree.
    pub(super) fn remove(&mut self, id: u32, terms: &[Term]) {
        self.remove_at(ROOT, 0, id, terms);
    }

    fn remove_at(&mut self, at: u32, depth: usize, id: u32, terms: &[Term]) {
        let node = &mut self.nodes[at as usize];
        let Some(term) = terms.get(depth) else {
            remove_id(&mut node.done, id);
            return;
        };
        if remove_id(&mut node.waiting, id) {
            return;
        }
        if let Some(range) = range(term, id)
            && let Some((attribute, branches)) = term.attribute().zip(self.branches(at))
        {
            branches.remove_range(attribute, depth + 1 == terms.len(), range);
        }
        for symbol in term.symbols() {
            self.remove_below(at, *symbol, depth + 1, id, terms);
        }
        let node = &mut self.nodes[at as usize];
        if node
            .branches
            .as_ref()
            .is_some_and(|branches| branches.is_empty())
        {
            node.branches = None;
        }
    }

    fn remove_below(&mut self, at: u32, symbol: u32, depth: usize, id: u32, terms: &[Term]) {
        let Some(child) = self
            .branches(at)
            .and_then(|branches| branches.child(symbol))
        else {
            return;
        };
        self.remove_at(child, depth, id, terms);
        if !self.nodes[child as usize].is_empty() {
            return;
        }
        self.nodes[child as usize] = Node::default();
        self.free.push(child);
        if let Some(branches) = self.branches(at) {
            let found = branches
                .children
                .find_entry(hash(symbol), |(of, _)| *of == symbol);
            if let Ok(entry) = found {
                entry.remove();
            }
        }
    }

    /// Returns how many conjunctions every event is checked against.
    pub(super) fn always_checked(&self, terms: &[Box<[Term]>]) -> usize {
        let waiting = self.nodes[ROOT as usize].waiting.iter();
        let without_way = |id: &&u32| terms[**id as usize].iter().all(|t| t.attribute().is_none());
        waiting.filter(without_way).count()
    }

    /// Returns how many nodes there are, the root included.
    pub(super) fn node_count(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.free.capacity() * size_of::<u32>()
            + self.nodes.iter().map(Node::heap_bytes).sum::<usize>()
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        self.done.is_empty() && self.waiting.is_empty() && self.branches.is_none()
    }

    fn heap_bytes(&self) -> usize {
        let ids = self.done.capacity() + self.waiting.capacity();
        let branches = self
            .branches
            .as_ref()
            .map_or(0, |branches| branches.heap_bytes());
        ids * size_of::<u32>() + branches
    }
}

impl Branches {
    fn child(&self, symbol: u32) -> Option<u32> {
        let found = self.children.find(hash(symbol), |(of, _)| *of == symbol);
        found.map(|(_, child)| *child)
    }

    fn search_ranges(&self, depth: usize, search: &mut Search<'_>, visit: &mut impl FnMut(&[u32])) {
        for (attribute, ranges) in &self.ends {
            if let Some(key) = search.live.key(*attribute) {
                ranges.holding(key, visit);
            }
        }
        for (attribute, ranges) in &self.gates {
            let Some(key) = search.live.key(*attribute) else {
                continue;
            };
            ranges.holding(key, &mut |ids: &[u32]| {
                for id in ids {
                    if search.holds(*id, depth + 1) {
                        visit(std::slice::from_ref(id));
                    }
                }
            });
        }
    }

    fn ranges(&mut self, attribute: u32, last: bool) -> &mut RangeSet {
        let sets = if last {
            &mut self.ends
        } else {
            &mut self.gates
        };
        let at = sets.iter().position(|(of, _)| *of == attribute);
        let at = at.unwrap_or_else(|| {
            sets.push((attribute, RangeSet::default()));
            sets.len() - 1
        });
        &mut sets[at].1
    }

    fn remove_range(&mut self, attribute: u32, last: bool, range: Range) {
        self.ranges(attribute, last).remove(range);
        let sets = if last {
            &mut self.ends
        } else {
            &mut self.gates
        };
        sets.retain(|(of, ranges)| *of != attribute || !ranges.is_empty());
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.ends.is_empty() && self.gates.is_empty()
    }

    fn heap_bytes(&self) -> usize {
        let sets = self.ends.iter().chain(&self.gates);
        let slots = self.ends.capacity() + self.gates.capacity();
        size_of::<Self>()
            + self.children.allocation_size()
            + slots * size_of::<(u32, RangeSet)>()
            + sets.map(|(_, ranges)| ranges.heap_bytes()).sum::<usize>()
    }
}

impl Search<'_> {
    fn holds(&mut self, id: u32, depth: usize) -> bool {
        self.checks += 1;
        let mut rest = self.terms[id as usize][depth..].iter();
        rest.all(|term| term.holds(self.live, self.readings))
    }
}

fn range(term: &Term, id: u32) -> Option<Range> {
    match term {
        Term::Within { low, high, .. } => Some(Range {
            low: *low,
            high: *high,
            id,
        }),
        _ => None,
    }
}

/// Ids are kept in their order: most are new, and go to the end.
fn insert_id(ids: &mut Vec<u32>, id: u32) {
    if let Err(at) = ids.binary_search(&id) {
        insert_tight(ids, at, id);
    }
}

fn remove_id(ids: &mut Vec<u32>, id: u32) -> bool {
    let Ok(at) = ids.binary_search(&id) else {
        return false;
    };
    ids.remove(at);
    true
}

fn bit(attribute: u32) -> u64 {
    1 << (attribute % u64::BITS)
}

fn hash(symbol: u32) -> u64 {
    Seed::FIXED.mixer().word(symbol).finish()
}

const ROOT: u32 = 0;
/// The most conjunctions that are checked one by one where others could be told apart.
/// Small under test, so that few reach what many do.
const WAITING: usize = if cfg!(test) { 3 } else { 48 };

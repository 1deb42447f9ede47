//! The tree that conjunctions are found by.

use std::mem;

use hashbrown::HashTable;
use smallvec::SmallVec;

use super::columns::put;
use super::hash::Seed;
use super::ordered::insert_tight;
use super::ranges::{Range, RangeSet};
use super::term::Term;
use super::waiting::{Search, Waiting};

/// Conjunctions by their terms: a node at depth n is reached by n symbols that an event has, and
/// knows the conjunctions that begin with these.
///
/// A conjunction sinks as deep as there are many others at the same node. A range ends the way
/// down. (Access predicates: Fabret et al. 2001; made recursive as in BE-Tree, 2011.)
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    free: Vec<u32>,
    /// Symbol -> node below the root, or the root itself where there is none: every event passes
    /// here.
    first: Vec<u32>,
}

#[derive(Debug, Default)]
struct Node {
    /// Conjunctions without a further term.
    done: Vec<u32>,
    /// Conjunctions that are checked one by one, in the order of their ids.
    waiting: Vec<Waiting>,
    branches: Option<Box<Branches>>,
}

#[derive(Debug, Default)]
struct Branches {
    /// The attributes of all below, modulo 64.
    mask: u64,
    /// The symbol and the node that it leads to.
    children: HashTable<(u32, u32)>,
    /// Attribute -> ranges that are the last term; mostly one, without a further jump in memory.
    ends: SmallVec<[(u32, RangeSet); 1]>,
    /// Attribute -> ranges that more terms follow.
    gates: Vec<(u32, RangeSet)>,
}

impl Tree {
    pub(super) fn new() -> Self {
        Self {
            nodes: vec![Node::default()],
            free: Vec::new(),
            first: Vec::new(),
        }
    }

    /// Calls `visit` with the conjunctions that hold. One may come twice only if an attribute of it
    /// has several symbols.
    pub(super) fn search(&self, search: &mut Search<'_>, visit: &mut impl FnMut(&[u32])) {
        self.search_node(ROOT, 0, search, visit);
        let live = search.live;
        for symbol in live.all_symbols() {
            match self.first.get(*symbol as usize) {
                None | Some(&ROOT) => {}
                Some(child) => self.search_at(*child, 1, search, visit),
            }
        }
    }

    fn search_at(
        &self,
        node: u32,
        depth: usize,
        search: &mut Search<'_>,
        visit: &mut impl FnMut(&[u32]),
    ) {
        self.search_node(node, depth, search, visit);
        let Some(branches) = &self.nodes[node as usize].branches else {
            return;
        };
        if branches.children.is_empty() {
            return;
        }
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

    /// Searches what stands at the node itself.
    fn search_node(
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
        for waiting in &node.waiting {
            if search.admits(waiting, depth) {
                visit(std::slice::from_ref(&waiting.id));
            }
        }
        if let Some(branches) = &node.branches {
            branches.search_ranges(depth, search, visit);
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
                if let Err(at) = node.waiting.binary_search_by_key(&id, |other| other.id) {
                    let waiting = Waiting::new(id, &terms[id as usize], depth);
                    insert_tight(&mut node.waiting, at, waiting);
                }
                if node.branches.is_none() && node.waiting.len() > WAITING {
                    self.split(at, depth, terms);
                }
            }
        }
    }

    /// Sends those that wait at the node on their ways.
    fn split(&mut self, at: u32, depth: usize, terms: &[Box<[Term]>]) {
        let node = &mut self.nodes[at as usize];
        let can_go = |of: &Waiting| terms[of.id as usize][depth].attribute().is_some();
        if !node.waiting.iter().any(can_go) {
            return;
        }
        node.branches = Some(Box::default());
        let (go, stay): (Vec<_>, Vec<_>) =
            mem::take(&mut node.waiting).into_iter().partition(can_go);
        node.waiting = stay;
        node.waiting.shrink_to_fit();
        for waiting in go {
            self.branch(at, depth, waiting.id, terms);
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

    fn child(&self, at: u32, symbol: u32) -> Option<u32> {
        if at == ROOT {
            let child = self.first.get(symbol as usize).copied();
            return child.filter(|child| *child != ROOT);
        }
        self.nodes[at as usize].branches.as_ref()?.child(symbol)
    }

    fn child_or_new(&mut self, at: u32, symbol: u32, attribute: Option<u32>) -> u32 {
        if let Some(child) = self.child(at, symbol) {
            return child;
        }
        let child = put(&mut self.nodes, &mut self.free, Node::default());
        if at == ROOT {
            let width = self.first.len().max(symbol as usize + 1);
            self.first.resize(width, ROOT);
            self.first[symbol as usize] = child;
        } else if let Some(branches) = self.branches(at) {
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
        if let Ok(place) = node.waiting.binary_search_by_key(&id, |other| other.id) {
            node.waiting.remove(place);
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
        let branches = node.branches.as_ref();
        // The root's children are not among its branches.
        if at != ROOT && branches.is_some_and(|branches| branches.is_empty()) {
            node.branches = None;
        }
    }

    fn remove_below(&mut self, at: u32, symbol: u32, depth: usize, id: u32, terms: &[Term]) {
        let Some(child) = self.child(at, symbol) else {
            return;
        };
        self.remove_at(child, depth, id, terms);
        if !self.nodes[child as usize].is_empty() {
            return;
        }
        self.nodes[child as usize] = Node::default();
        self.free.push(child);
        if at == ROOT {
            self.first[symbol as usize] = ROOT;
        } else if let Some(branches) = self.branches(at) {
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
        let without_way = |of: &&Waiting| {
            let mut all = terms[of.id as usize].iter();
            all.all(|term| term.attribute().is_none())
        };
        waiting.filter(without_way).count()
    }

    /// Returns how many nodes there are, the root included.
    pub(super) fn node_count(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + (self.free.capacity() + self.first.capacity()) * size_of::<u32>()
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
        let known = self.sets(last).iter().position(|(of, _)| *of == attribute);
        let at = known.unwrap_or_else(|| {
            let new = (attribute, RangeSet::default());
            match last {
                true => self.ends.push(new),
                false => self.gates.push(new),
            }
            self.sets(last).len() - 1
        });
        &mut self.sets(last)[at].1
    }

    fn sets(&mut self, last: bool) -> &mut [(u32, RangeSet)] {
        match last {
            true => &mut self.ends,
            false => &mut self.gates,
        }
    }

    fn remove_range(&mut self, attribute: u32, last: bool, range: Range) {
        self.ranges(attribute, last).remove(range);
        self.ends.retain(|(_, ranges)| !ranges.is_empty());
        self.gates.retain(|(_, ranges)| !ranges.is_empty());
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.ends.is_empty() && self.gates.is_empty()
    }

    fn heap_bytes(&self) -> usize {
        let sets = self.ends.iter().chain(&self.gates);
        let outside = if self.ends.spilled() {
            self.ends.capacity()
        } else {
            0
        };
        let slots = outside + self.gates.capacity();
        size_of::<Self>()
            + self.children.allocation_size()
            + slots * size_of::<(u32, RangeSet)>()
            + sets.map(|(_, ranges)| ranges.heap_bytes()).sum::<usize>()
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

fn remove_id(ids: &mut Vec<u32>, id: u32) {
    if let Ok(at) = ids.binary_search(&id) {
        ids.remove(at);
    }
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

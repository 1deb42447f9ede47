//! What filters are about: columns, and the attributes that are views of them.

use std::sync::Arc;

use hashbrown::HashTable;

use super::cover::Cover;
use super::hash::Seed;
use super::key::Domain;
use super::sections::{Columns, Section, hash_steps};
use crate::filter::Path;

/// All columns and attributes, counted by their uses.
///
/// A column that nobody uses any more stays until they are as many as those in use: making it again
/// then changes nothing, and what comes and goes does not have all columns copied each time.
#[derive(Debug)]
pub(super) struct ColumnTable {
    seed: Seed,
    columns: Vec<Column>,
    /// Those in use and the unused ones that stay.
    by_path: HashTable<u32>,
    /// Level -> the columns in that section of `current`.
    levels: Vec<Vec<u32>>,
    /// How many of the columns in `by_path` nobody uses.
    unused: usize,
    attributes: Vec<Attribute>,
    free_columns: Vec<u32>,
    free_attributes: Vec<u32>,
    /// The columns with a presence attribute: these are live also where there is no value.
    nullable: Vec<u32>,
    current: Arc<Columns>,
}

#[derive(Debug)]
struct Column {
    path: Arc<Path>,
    uses: u32,
    /// Domain -> attribute, or `NONE`.
    attributes: [u32; Domain::COUNT],
    asked: Asked,
}

/// How many conjunctions ask for something at one place.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    /// How many say anything about the value: where all do, NULL has to be asked for.
    pub(super) at_all: u32,
    /// How many of these want more than that there is a value.
    pub(super) narrowly: u32,
}

/// One view of a column.
#[derive(Debug, Default)]
pub(super) struct Attribute {
    /// How many terms are about it.
    pub(super) terms: u32,
    /// How many symbols belong to it.
    pub(super) symbols: u32,
    /// How many of the terms are ranges.
    pub(super) ranges: u32,
    /// Of prefixes, each length in use and how many symbols have it.
    pub(super) lengths: Vec<(u32, u32)>,
    /// What its ranges hold together, once somebody has asked.
    pub(super) cover: Option<Box<Cover>>,
    pub(super) column: u32,
    pub(super) domain: Domain,
}

impl ColumnTable {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            seed,
            columns: Vec::new(),
            by_path: HashTable::new(),
            levels: Vec::new(),
            unused: 0,
            attributes: Vec::new(),
            free_columns: Vec::new(),
            free_attributes: Vec::new(),
            nullable: Vec::new(),
            current: Arc::default(),
        }
    }

    /// Returns the columns as they are now.
    pub(super) fn current(&self) -> &Arc<Columns> {
        &self.current
    }

    /// Returns how many columns are in use.
    pub(super) fn len(&self) -> usize {
        self.by_path.len() - self.unused
    }

    /// Returns the columns of which the absence of a value is asked for.
    pub(super) fn nullable(&self) -> &[u32] {
        &self.nullable
    }

    /// Returns how many numbers attributes have.
    pub(super) fn attribute_count(&self) -> usize {
        self.attributes.len()
    }

    pub(super) fn attribute(&self, id: u32) -> &Attribute {
        &self.attributes[id as usize]
    }

    pub(super) fn attribute_mut(&mut self, id: u32) -> &mut Attribute {
        &mut self.attributes[id as usize]
    }

    /// Returns the attribute of a column, if any term is about it.
    pub(super) fn attribute_of(&self, column: u32, domain: Domain) -> Option<u32> {
        let id = self.columns[column as usize].attributes[domain as usize];
        (id != NONE).then_some(id)
    }

    /// Returns the column at `path`, if there is one; it may be unused by now.
    pub(super) fn column_of(&self, path: &Path) -> Option<u32> {
        let same = |id: &u32| *self.columns[*id as usize].path == *path;
        self.by_path.find(hash_path(self.seed, path), same).copied()
    }

    /// Returns how many conjunctions ask for something in the column.
    pub(super) fn asked(&self, column: u32) -> Asked {
        self.columns[column as usize].asked
    }

    pub(super) fn asked_mut(&mut self, column: u32) -> &mut Asked {
        &mut self.columns[column as usize].asked
    }

    /// Counts one more use of the column at `path` and returns its number.
    pub(super) fn acquire(&mut self, path: &Path) -> u32 {
        let Some(id) = self.column_of(path) else {
            return self.add(path);
        };
        let uses = &mut self.columns[id as usize].uses;
        self.unused -= usize::from(*uses == 0);
        *uses += 1;
        id
    }

    /// Counts one use of the column less.
    pub(super) fn release(&mut self, id: u32) {
        let column = &mut self.columns[id as usize];
        column.uses -= 1;
        if column.uses == 0 {
            self.unused += 1;
            if self.unused > self.len() {
                self.publish_all();
            }
        }
    }

    /// Counts one more term about the view of the column at `path` and returns its attribute.
    pub(super) fn acquire_attribute(&mut self, path: &Path, domain: Domain) -> u32 {
        let column = self.acquire(path);
        let id = match self.attribute_of(column, domain) {
            Some(id) => id,
            None => self.add_attribute(column, domain),
        };
        self.attributes[id as usize].terms += 1;
        id
    }

    /// Counts one term about the attribute less.
    pub(super) fn release_attribute(&mut self, id: u32) {
        let attribute = &mut self.attributes[id as usize];
        attribute.terms -= 1;
        let (column, domain) = (attribute.column, attribute.domain);
        if attribute.terms == 0 {
            self.columns[column as usize].attributes[domain as usize] = NONE;
            self.free_attributes.push(id);
            if domain == Domain::Presence {
                self.nullable.retain(|other| *other != column);
            }
        }
        self.release(column);
    }

    fn add(&mut self, path: &Path) -> u32 {
        let column = Column {
            path: Arc::new(path.clone()),
            uses: 1,
            attributes: [NONE; Domain::COUNT],
            asked: Asked::default(),
        };
        let id = put(&mut self.columns, &mut self.free_columns, column);
        let (seed, columns) = (self.seed, &self.columns);
        let rehash = |id: &u32| hash_path(seed, &columns[*id as usize].path);
        let hash = rehash(&id);
        self.by_path.insert_unique(hash, id, rehash);
        self.publish_with(id);
        id
    }

    fn add_attribute(&mut self, column: u32, domain: Domain) -> u32 {
        let attribute = Attribute {
            column,
            domain,
            ..Attribute::default()
        };
        let id = put(&mut self.attributes, &mut self.free_attributes, attribute);
        self.columns[column as usize].attributes[domain as usize] = id;
        if domain == Domain::Presence {
            self.nullable.push(column);
        }
        id
    }

    /// Makes a new `current` with one column more: readers may hold the old one.
    ///
    /// A level that has become too large goes to the next one as a whole, so that a column is
    /// copied a few times at each level, however many there are.
    fn publish_with(&mut self, id: u32) {
        let mut moved = vec![id];
        let mut replaced = Vec::new();
        loop {
            let level = replaced.len();
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            let mut there = std::mem::take(&mut self.levels[level]);
            there.retain(|id| self.stays(*id));
            moved.extend(there);
            if moved.len() <= limit(level) {
                replaced.push(self.section(&moved));
                self.levels[level] = moved;
                break;
            }
            replaced.push(Arc::default());
        }
        self.current = Arc::new(self.current.with(replaced, self.columns.len()));
    }

    /// Makes a new `current` of the columns in use.
    fn publish_all(&mut self) {
        let mut all: Vec<_> = std::mem::take(&mut self.levels).concat();
        all.retain(|id| self.stays(*id));
        let levels = (0..).take_while(|level| limit(*level) < all.len());
        let mut sections = vec![Arc::default(); levels.count()];
        self.levels.resize_with(sections.len(), Vec::new);
        sections.push(self.section(&all));
        self.levels.push(all);
        self.current = Arc::new(Columns::default().with(sections, self.columns.len()));
    }

    /// Returns whether the column is in use; one that is not is gone then.
    fn stays(&mut self, id: u32) -> bool {
        let column = &self.columns[id as usize];
        if column.uses > 0 {
            return true;
        }
        let hash = hash_path(self.seed, &column.path);
        if let Ok(entry) = self.by_path.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        self.unused -= 1;
        self.free_columns.push(id);
        false
    }

    fn section(&self, ids: &[u32]) -> Arc<Section> {
        let columns = ids.iter().map(|id| (*id, &self.columns[*id as usize].path));
        Arc::new(Section::of(columns))
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let lengths = self.attributes.iter().map(|of| of.lengths.capacity() * 8);
        let covers = self.attributes.iter().filter_map(|of| of.cover.as_ref());
        let covers = covers.map(|cover| size_of::<Cover>() + cover.heap_bytes());
        self.columns.capacity() * size_of::<Column>()
            + self.attributes.capacity() * size_of::<Attribute>()
            + lengths.sum::<usize>()
            + covers.sum::<usize>()
            + self.by_path.allocation_size()
            + self.current.len() * size_of::<(u32, Arc<Path>)>()
    }
}

impl Attribute {
    /// Counts a symbol more; `length` is that of a prefix.
    pub(super) fn count_symbol(&mut self, length: Option<u32>) {
        self.symbols += 1;
        let Some(length) = length else { return };
        match self.lengths.binary_search_by_key(&length, |(of, _)| *of) {
            Ok(at) => self.lengths[at].1 += 1,
            Err(at) => self.lengths.insert(at, (length, 1)),
        }
    }

    /// Counts a range less.
    pub(super) fn discount_range(&mut self) {
        self.ranges -= 1;
        if self.ranges == 0 {
            self.cover = None;
        }
    }

    /// Counts a symbol less.
    pub(super) fn discount_symbol(&mut self, length: Option<u32>) {
        self.symbols -= 1;
        let Some(length) = length else { return };
        if let Ok(at) = self.lengths.binary_search_by_key(&length, |(of, _)| *of) {
            self.lengths[at].1 -= 1;
            if self.lengths[at].1 == 0 {
                self.lengths.remove(at);
            }
        }
    }
}

/// Puts the item where one was removed, or at the end.
pub(super) fn put<T>(items: &mut Vec<T>, free: &mut Vec<u32>, item: T) -> u32 {
    if let Some(id) = free.pop() {
        items[id as usize] = item;
        return id;
    }
    // Four billion of anything here need more memory than there is.
    let id = u32::try_from(items.len()).unwrap_or(u32::MAX);
    items.push(item);
    id
}

fn hash_path(seed: Seed, path: &Path) -> u64 {
    hash_steps(seed, &path.root, &path.steps)
}

/// Returns how many columns a level may have. The first takes every new one and is copied for it,
/// so it is small; few filters have names for more than one level.
fn limit(level: usize) -> usize {
    let doublings = u32::try_from(6 + 3 * level).unwrap_or(u32::MAX);
    1_usize.checked_shl(doublings).unwrap_or(usize::MAX)
}

/// No attribute.
const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{Root, Step};

    fn path(index: usize) -> Path {
        key(index, "a")
    }

    fn key(index: usize, key: &str) -> Path {
        Path {
            root: Root::Index(index),
            steps: [Step::Key(key.into())].into(),
        }
    }

    /// Returns the columns of the keys as a reader finds them, each with its number.
    fn found(columns: &Columns) -> Vec<(String, u32)> {
        let maps = columns.sections().iter().flat_map(|section| &section.maps);
        let keys = maps.flat_map(|map| map.iter().map(|(key, id)| (key.to_owned(), id)));
        let mut keys: Vec<_> = keys.collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn column_lives_as_long_as_something_uses_it() {
        let mut table = ColumnTable::new(Seed::random());
        let a = table.acquire_attribute(&path(1), Domain::Text);
        let b = table.acquire_attribute(&path(1), Domain::Presence);
        assert_ne!(a, b);
        assert_eq!((table.len(), table.nullable()), (1, &[0][..]));
        table.release_attribute(b);
        assert!(table.nullable().is_empty());
        assert_eq!(table.attribute_of(0, Domain::Text), Some(a));
        table.release_attribute(a);
        assert_eq!((table.len(), table.current().len()), (0, 0));
        assert_eq!(table.acquire(&path(2)), 0, "the number is used again");
    }

    #[test]
    fn columns_stay_the_same_while_none_comes_or_goes() {
        let mut table = ColumnTable::new(Seed::random());
        table.acquire(&path(1));
        let before = Arc::clone(table.current());
        table.acquire_attribute(&path(1), Domain::Number);
        table.release(0);
        assert!(Arc::ptr_eq(&before, table.current()));
        table.acquire(&path(2));
        assert!(!Arc::ptr_eq(&before, table.current()));
    }

    #[test]
    fn column_that_comes_back_while_few_went_changes_nothing() {
        let mut table = ColumnTable::new(Seed::random());
        let ids = [1, 2, 3].map(|index| table.acquire(&path(index)));
        let before = Arc::clone(table.current());
        table.release(ids[1]);
        assert_eq!(table.len(), 2);
        assert_eq!(table.acquire(&path(2)), ids[1]);
        assert!(Arc::ptr_eq(&before, table.current()));
    }

    #[test]
    fn number_is_used_again_only_when_no_reader_of_now_knows_it() {
        let mut table = ColumnTable::new(Seed::random());
        let ids = [1, 2, 3].map(|index| table.acquire(&path(index)));
        table.release(ids[0]);
        let new = table.acquire(&path(4));
        assert!(
            !ids.contains(&new),
            "the old snapshot of this moment had them"
        );
        assert_eq!((table.len(), table.current().len()), (3, 3));
        assert_eq!(table.acquire(&path(5)), ids[0]);
    }

    #[test]
    fn each_of_many_keys_is_found_and_copied_a_few_times() {
        let mut table = ColumnTable::new(Seed::random());
        let (mut wanted, mut copied) = (Vec::new(), 0);
        for number in 0..20_000 {
            let before = Arc::clone(table.current());
            let text = format!("key {number}");
            wanted.push((text.clone(), table.acquire(&key(0, &text))));
            copied += table.current().len_apart_from(&before);
        }
        wanted.sort_unstable();
        assert_eq!(found(table.current()), wanted);
        assert!(copied < 60 * wanted.len(), "{copied}");

        let (gone, kept) = wanted.split_at(15_000);
        gone.iter().for_each(|(_, id)| table.release(*id));
        assert_eq!(table.len(), kept.len());
        assert!(table.current().len() <= 2 * kept.len());
        let used = |text: &str| {
            kept.binary_search_by(|(kept, _)| (**kept).cmp(text))
                .is_ok()
        };
        let mut left = found(table.current());
        left.retain(|(text, _)| used(text));
        assert_eq!(left, kept);
    }

    #[test]
    fn lengths_of_prefixes_are_counted() {
        let mut attribute = Attribute::default();
        attribute.count_symbol(Some(3));
        attribute.count_symbol(Some(2));
        attribute.count_symbol(Some(3));
        attribute.discount_symbol(Some(3));
        assert_eq!(attribute.lengths, [(2, 1), (3, 1)]);
        attribute.discount_symbol(Some(3));
        assert_eq!((attribute.lengths.len(), attribute.symbols), (1, 1));
    }
}

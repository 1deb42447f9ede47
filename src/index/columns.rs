//! What filters are about: columns, and the attributes that are views of them.

use std::collections::HashMap;
use std::sync::Arc;

use hashbrown::HashTable;

use super::cover::Cover;
use super::hash::{Mixer, Seed};
use super::key::Domain;
use crate::filter::{Path, Root, Step};

/// The columns that an event is read into; immutable, and to be had without a lock.
///
/// [`Scratch::read`](super::Scratch::read) fills a scratch by one, and an index that has had other
/// columns since asks for a new reading.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    /// The number of each column that is not in `maps`, and where its value is.
    pub(super) paths: Vec<(u32, Arc<Path>)>,
    /// The columns that are keys of maps.
    pub(super) maps: Vec<MapColumns>,
    /// One more than the highest number.
    pub(super) width: usize,
}

/// The columns that are keys of one map.
#[derive(Debug)]
pub(super) struct MapColumns {
    /// Where the map is.
    pub(super) path: Path,
    /// Key -> column.
    pub(super) keys: HashMap<Box<str>, u32>,
}

/// All columns and attributes, counted by their uses.
#[derive(Debug)]
pub(super) struct ColumnTable {
    seed: Seed,
    columns: Vec<Column>,
    by_path: HashTable<u32>,
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

impl Columns {
    /// Returns how many columns there are.
    pub(super) fn len(&self) -> usize {
        self.paths.len() + self.maps.iter().map(|map| map.keys.len()).sum::<usize>()
    }

    fn add(&mut self, id: u32, path: &Arc<Path>) {
        let Some((Step::Key(key), steps)) = path.steps.split_last() else {
            self.paths.push((id, Arc::clone(path)));
            return;
        };
        let same = |map: &MapColumns| map.path.root == path.root && *map.path.steps == *steps;
        let at = self.maps.iter().position(same).unwrap_or_else(|| {
            self.maps.push(MapColumns {
                path: Path {
                    root: path.root.clone(),
                    steps: steps.into(),
                },
                keys: HashMap::new(),
            });
            self.maps.len() - 1
        });
        self.maps[at].keys.insert(key.clone(), id);
    }
}

impl ColumnTable {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            seed,
            columns: Vec::new(),
            by_path: HashTable::new(),
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

    /// Returns the column at `path`, if anything uses it.
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
        let id = match self.column_of(path) {
            Some(id) => id,
            None => self.add(path),
        };
        self.columns[id as usize].uses += 1;
        id
    }

    /// Counts one use of the column less.
    pub(super) fn release(&mut self, id: u32) {
        let column = &mut self.columns[id as usize];
        column.uses -= 1;
        if column.uses > 0 {
            return;
        }
        let hash = hash_path(self.seed, &column.path);
        if let Ok(entry) = self.by_path.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        self.free_columns.push(id);
        self.publish();
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
            uses: 0,
            attributes: [NONE; Domain::COUNT],
            asked: Asked::default(),
        };
        let id = put(&mut self.columns, &mut self.free_columns, column);
        let (seed, columns) = (self.seed, &self.columns);
        let rehash = |id: &u32| hash_path(seed, &columns[*id as usize].path);
        let hash = rehash(&id);
        self.by_path.insert_unique(hash, id, rehash);
        self.publish();
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

    /// Makes a new `current`: readers may hold the old one.
    fn publish(&mut self) {
        let mut columns = Columns {
            width: self.columns.len(),
            ..Columns::default()
        };
        let mut numbers: Vec<_> = self.by_path.iter().copied().collect();
        numbers.sort_unstable();
        for id in numbers {
            columns.add(id, &self.columns[id as usize].path);
        }
        self.current = Arc::new(columns);
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
    let start = seed.mixer();
    let root = match &path.root {
        Root::Index(index) => start.word(*index as u64),
        Root::Publisher(name) => start.bytes(name.as_bytes()),
    };
    let step = |mixer: Mixer, step: &Step| match step {
        Step::Field { index, name } => mixer.word(*index as u64).bytes(name.as_bytes()),
        Step::Key(name) => mixer.bytes(name.as_bytes()),
    };
    path.steps.iter().fold(root, step).finish()
}

/// No attribute.
const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn path(index: usize) -> Path {
        Path {
            root: Root::Index(index),
            steps: [Step::Key("a".into())].into(),
        }
    }

    #[test]
    fn column_lives_as_long_as_something_uses_it() {
        let mut table = ColumnTable::new(Seed::random());
        let a = table.acquire_attribute(&path(1), Domain::Text);
        let b = table.acquire_attribute(&path(1), Domain::Presence);
        assert_ne!(a, b);
        assert_eq!((table.current().len(), table.nullable()), (1, &[0][..]));
        table.release_attribute(b);
        assert!(table.nullable().is_empty());
        assert_eq!(table.attribute_of(0, Domain::Text), Some(a));
        table.release_attribute(a);
        assert_eq!(table.current().len(), 0);
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

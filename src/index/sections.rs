//! The columns that an event is read into, in sections of which few are replaced at a time.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hashbrown::HashTable;

use super::hash::{Mixer, Seed};
use crate::filter::{Path, Root, Step};

/// The columns that an event is read into; immutable, and to be had without a lock.
///
/// [`Scratch::read`](super::Scratch::read) fills a scratch by one, and an index that has had other
/// columns since asks for a new reading.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    /// Level -> the columns there. The next snapshot shares what it does not replace.
    sections: Vec<Arc<Section>>,
    /// One more than the highest number.
    pub(super) width: usize,
}

/// Some of the columns.
#[derive(Debug, Default)]
pub(super) struct Section {
    /// The number of each column that is not in `maps`, and where its value is.
    pub(super) paths: Vec<(u32, Arc<Path>)>,
    /// The columns that are keys of maps.
    pub(super) maps: Vec<MapColumns>,
}

/// The columns that are keys of one map.
#[derive(Debug)]
pub(super) struct MapColumns {
    /// Where the map is.
    pub(super) path: Path,
    /// Key -> column.
    keys: HashMap<Key, u32>,
}

/// The last step of a path to a value in a map, hashed and compared as the text that it is.
#[derive(Debug)]
struct Key(Arc<Path>);

impl Columns {
    /// Returns the sections; most hold something.
    pub(super) fn sections(&self) -> &[Arc<Section>] {
        &self.sections
    }

    /// Returns the columns with these sections in place of the first ones.
    pub(super) fn with(&self, first: Vec<Arc<Section>>, width: usize) -> Self {
        let mut sections = first;
        sections.extend(self.sections.iter().skip(sections.len()).cloned());
        Self { sections, width }
    }

    /// Returns how many columns there are.
    pub(super) fn len(&self) -> usize {
        self.sections.iter().map(|section| section.len()).sum()
    }

    /// Returns how many columns are in sections that `other` does not have.
    #[cfg(test)]
    pub(super) fn len_apart_from(&self, other: &Self) -> usize {
        let is_shared = |one: &&Arc<Section>| other.sections.iter().any(|o| Arc::ptr_eq(one, o));
        let own = self.sections.iter().filter(|one| !is_shared(one));
        own.map(|section| section.len()).sum()
    }
}

impl Section {
    /// Returns the section of these columns.
    pub(super) fn of<'p>(columns: impl Iterator<Item = (u32, &'p Arc<Path>)>) -> Self {
        let mut section = Self::default();
        // Path of a map -> its place in `maps`.
        let mut by_path = HashTable::new();
        for (id, path) in columns {
            let Some((Step::Key(_), steps)) = path.steps.split_last() else {
                section.paths.push((id, Arc::clone(path)));
                continue;
            };
            let at = section.map(&path.root, steps, &mut by_path);
            section.maps[at].keys.insert(Key(Arc::clone(path)), id);
        }
        section
    }

    /// Returns the place in `maps` of the map at this path.
    fn map(&mut self, root: &Root, steps: &[Step], by_path: &mut HashTable<usize>) -> usize {
        let same = |at: &usize| {
            let path = &self.maps[*at].path;
            path.root == *root && *path.steps == *steps
        };
        let hash = hash_steps(Seed::of_process(), root, steps);
        if let Some(at) = by_path.find(hash, same) {
            return *at;
        }
        let path = Path {
            root: root.clone(),
            steps: steps.into(),
        };
        let keys = HashMap::new();
        self.maps.push(MapColumns { path, keys });
        let rehash = |at: &usize| {
            let path = &self.maps[*at].path;
            hash_steps(Seed::of_process(), &path.root, &path.steps)
        };
        let at = self.maps.len() - 1;
        by_path.insert_unique(hash, at, rehash);
        at
    }

    fn len(&self) -> usize {
        self.paths.len() + self.maps.iter().map(MapColumns::len).sum::<usize>()
    }
}

impl MapColumns {
    /// Returns how many keys there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns the column of the key.
    pub(super) fn column(&self, key: &str) -> Option<u32> {
        self.keys.get(key).copied()
    }

    /// Returns the keys and their columns.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        self.keys.iter().map(|(key, column)| (key.text(), *column))
    }
}

impl Key {
    fn text(&self) -> &str {
        match self.0.steps.last() {
            Some(Step::Key(key) | Step::Field { name: key, .. }) => key,
            None => "",
        }
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        self.text()
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text().hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Key {}

/// Returns the hash of the path that begins at `root` and takes these steps.
pub(super) fn hash_steps(seed: Seed, root: &Root, steps: &[Step]) -> u64 {
    let start = seed.mixer();
    let root = match root {
        Root::Index(index) => start.word(*index as u64),
        Root::Publisher(name) => start.bytes(name.as_bytes()),
    };
    let step = |mixer: Mixer, step: &Step| match step {
        Step::Field { index, name } => mixer.word(*index as u64).bytes(name.as_bytes()),
        Step::Key(name) => mixer.bytes(name.as_bytes()),
    };
    steps.iter().fold(root, step).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{EventRow, Filter, Scope, check, field};
    use crate::index::{PredicateIndex, Scratch};
    use crate::value::{EventMethod, Parameter, Properties, ValueRef, ValueType};

    fn path(index: usize, keys: &[&str]) -> Arc<Path> {
        let key = |key: &&str| Step::Key((*key).into());
        Arc::new(Path {
            root: Root::Index(index),
            steps: keys.iter().map(key).collect(),
        })
    }

    #[test]
    fn keys_of_one_map_are_together_and_of_others_apart() {
        let paths = [
            path(0, &[]),
            path(1, &["a"]),
            path(2, &["a"]),
            path(1, &["b"]),
            path(1, &["a", "b"]),
        ];
        let section = Section::of((0..).zip(&paths));
        assert_eq!((section.len(), section.paths.len()), (5, 1));
        let maps: Vec<_> = section.maps.iter().map(MapColumns::len).collect();
        assert_eq!(maps, [2, 1, 1]);
        assert_eq!(section.maps[0].column("b"), Some(3));
        assert_eq!(section.maps[1].column("b"), None);
        assert_eq!(section.maps[2].iter().next(), Some(("b", 4)));
    }

    #[test]
    fn sections_that_are_not_replaced_are_shared() {
        let one = |id, path: &Arc<Path>| Arc::new(Section::of([(id, path)].into_iter()));
        let (a, b) = (path(0, &[]), path(1, &[]));
        let before = Columns::default().with(vec![one(0, &a), one(1, &b)], 2);
        let after = before.with(vec![Arc::default()], 2);
        assert_eq!((before.len(), after.len()), (2, 1));
        assert!(Arc::ptr_eq(&before.sections()[1], &after.sections()[1]));
    }

    #[test]
    fn event_is_read_by_every_section_whether_it_has_few_keys_or_many() {
        let labels = Parameter::new("labels", ValueType::Map(Box::new(ValueType::Str)));
        let method = EventMethod::new("m", [labels]);
        let mut index = PredicateIndex::new();
        for number in 0..600_u32 {
            let filter = Filter::from(field(&format!("labels.k{number}")).eq("x"));
            let Ok(predicate) = check(&filter, &Scope::for_method(&method)) else {
                unreachable!("the filter is valid");
            };
            index.insert(&predicate, number);
        }
        assert!(index.columns().sections().len() > 1);
        let finds = |numbers: Vec<u32>| {
            let bag: Properties = numbers.iter().map(|n| (format!("k{n}"), "x")).collect();
            let (values, publisher) = (&[ValueRef::from(&bag)], &Properties::new());
            let mut scratch = Scratch::default();
            scratch.read(index.columns(), &EventRow { values, publisher });
            let mut found = Vec::new();
            let visit = &mut |slots: &[u32]| found.extend_from_slice(slots);
            assert!(index.matches(&mut scratch, visit).is_ok());
            found.sort_unstable();
            assert_eq!(found, numbers);
        };
        finds(vec![3, 599]);
        finds((0..600).collect());
    }
}

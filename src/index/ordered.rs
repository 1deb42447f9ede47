//! Numbers under keys, in the order of the keys.

/// Ids in the order of their keys, handed out from the front as slices.
///
/// Chunks keep keys and ids apart: handing out ids reads no keys, and an insertion moves at most
/// `CHUNK` of each.
#[derive(Debug, Default)]
pub(super) struct OrderedList {
    chunks: Vec<Chunk>,
}

/// Entries in the order of key and id; never empty.
#[derive(Debug)]
struct Chunk {
    /// The first key: a search that ends before it reads no more than this.
    first: u64,
    /// The last key and id.
    last: (u64, u32),
    keys: Vec<u64>,
    ids: Vec<u32>,
}

impl OrderedList {
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Calls `visit` with the ids whose keys are at most `key`.
    pub(super) fn up_to(&self, key: u64, visit: &mut impl FnMut(&[u32])) {
        for chunk in &self.chunks {
            if chunk.last.0 <= key {
                visit(&chunk.ids);
                continue;
            }
            if chunk.first <= key {
                let count = chunk.keys.partition_point(|other| *other <= key);
                visit(&chunk.ids[..count]);
            }
            return;
        }
    }

    pub(super) fn insert(&mut self, key: u64, id: u32) {
        let last = self.chunks.len().saturating_sub(1);
        let at = self.chunk_of(key, id).min(last);
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.chunks.push(Chunk::new(key, id));
            return;
        };
        chunk.insert(key, id);
        if chunk.keys.len() > CHUNK {
            let upper = chunk.split();
            self.chunks.insert(at + 1, upper);
        }
    }

    /// Removes the entry and returns whether it was there.
    pub(super) fn remove(&mut self, key: u64, id: u32) -> bool {
        let at = self.chunk_of(key, id);
        let Some(chunk) = self.chunks.get_mut(at) else {
            return false;
        };
        let Ok(place) = chunk.find(key, id) else {
            return false;
        };
        chunk.keys.remove(place);
        chunk.ids.remove(place);
        match (chunk.keys.last(), chunk.ids.last()) {
            (Some(key), Some(id)) => {
                chunk.last = (*key, *id);
                chunk.first = chunk.keys[0];
                self.join(at);
            }
            _ => {
                self.chunks.remove(at);
            }
        }
        true
    }

    /// Joins a chunk that became small with a small one beside it.
    fn join(&mut self, at: usize) {
        let small = |at: usize| {
            self.chunks
                .get(at)
                .is_some_and(|c| c.keys.len() < CHUNK / 4)
        };
        if small(at) && small(at + 1) {
            let upper = self.chunks.remove(at + 1);
            self.chunks[at].append(upper);
        }
    }

    /// Returns the first chunk that ends at or after the entry.
    fn chunk_of(&self, key: u64, id: u32) -> usize {
        self.chunks.partition_point(|chunk| chunk.last < (key, id))
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let inner = self.chunks.iter().map(|chunk| {
            chunk.keys.capacity() * size_of::<u64>() + chunk.ids.capacity() * size_of::<u32>()
        });
        self.chunks.capacity() * size_of::<Chunk>() + inner.sum::<usize>()
    }
}

impl Chunk {
    fn new(key: u64, id: u32) -> Self {
        Self {
            first: key,
            last: (key, id),
            keys: vec![key],
            ids: vec![id],
        }
    }

    fn find(&self, key: u64, id: u32) -> Result<usize, usize> {
        let from = self.keys.partition_point(|other| *other < key);
        let to = from + self.keys[from..].partition_point(|other| *other == key);
        match self.ids[from..to].binary_search(&id) {
            Ok(at) => Ok(from + at),
            Err(at) => Err(from + at),
        }
    }

    fn insert(&mut self, key: u64, id: u32) {
        if let Err(at) = self.find(key, id) {
            insert_tight(&mut self.keys, at, key);
            insert_tight(&mut self.ids, at, id);
            self.first = self.first.min(key);
            self.last = self.last.max((key, id));
        }
    }

    fn split(&mut self) -> Self {
        let half = self.keys.len() / 2;
        let upper = Self {
            first: self.keys[half],
            last: self.last,
            keys: self.keys.split_off(half),
            ids: self.ids.split_off(half),
        };
        self.keys.shrink_to_fit();
        self.ids.shrink_to_fit();
        self.last = (self.keys[half - 1], self.ids[half - 1]);
        upper
    }

    fn append(&mut self, upper: Self) {
        self.keys.extend(upper.keys);
        self.ids.extend(upper.ids);
        self.last = upper.last;
    }
}

/// Inserts with a quarter of room to grow: at a million entries the half that a vector takes is
/// most of the memory.
pub(super) fn insert_tight<T>(items: &mut Vec<T>, at: usize, item: T) {
    if items.len() == items.capacity() {
        items.reserve_exact(items.len() / 4 + 1);
    }
    items.insert(at, item);
}

/// The most entries of a chunk; moving 3 KiB on an insertion costs as much as a cache miss or two.
/// Small under test, so that few reach what many do.
const CHUNK: usize = if cfg!(test) { 16 } else { 256 };

#[cfg(test)]
mod tests {
    use super::*;

    fn up_to(list: &OrderedList, key: u64) -> Vec<u32> {
        let mut found = Vec::new();
        list.up_to(key, &mut |ids| found.extend_from_slice(ids));
        found.sort_unstable();
        found
    }

    #[test]
    fn ids_up_to_a_key_are_handed_out_whatever_the_order_of_insertion() {
        let mut list = OrderedList::default();
        for i in 0..2_000_u32 {
            let key = i.wrapping_mul(7_919) % 2_000;
            list.insert(u64::from(key / 4), key);
        }
        assert_eq!(up_to(&list, 0), [0, 1, 2, 3]);
        assert_eq!(up_to(&list, 299), (0..1_200).collect::<Vec<_>>());
        assert_eq!(up_to(&list, u64::MAX).len(), 2_000);
        for id in (0..2_000).filter(|id| id % 3 > 0) {
            assert!(list.remove(u64::from(id / 4), id));
        }
        assert_eq!(up_to(&list, 2), [0, 3, 6, 9]);
        assert!(!list.remove(0, 1));
        for id in (0..2_000).step_by(3) {
            assert!(list.remove(u64::from(id / 4), id));
        }
        assert!(list.is_empty());
    }

    #[test]
    fn equal_keys_in_several_chunks_are_told_apart_by_id() {
        let mut list = OrderedList::default();
        (0..1_000).for_each(|id| list.insert(5, id));
        assert!(up_to(&list, 4).is_empty());
        assert!((0..1_000).all(|id| list.remove(5, id)));
        assert!(list.is_empty());
    }
}

//! Ranges of keys, and which of them hold a key.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::hash::{Mixer, Seed};
use super::ordered::{OrderedList, insert_tight};

/// Ranges of keys with an id each. A search costs what it finds, and a little for each level of the
/// forks: not one range is looked at that does not hold the key, once there are many.
#[derive(Debug, Default)]
pub(super) struct RangeSet {
    /// Ranges without an upper end, by their lower one.
    from: OrderedList,
    /// Ranges without a lower end, by the complement of their upper one.
    to: OrderedList,
    between: Between,
}

/// Ranges with both ends.
#[derive(Debug)]
enum Between {
    Few(Few),
    Many(Box<Forks>),
}

/// Ranges that are looked at one by one.
#[derive(Debug, Default)]
struct Few {
    lows: Vec<u64>,
    highs: Vec<u64>,
    ids: Vec<u32>,
}

/// Ranges at their forks: the longest prefix that the bits of both ends have in common (a
/// relational interval tree; Kriegel, Poetke, Seidl 2000).
///
/// A key with that prefix lies between both ends on one side at least: below the fork it need only
/// be compared with the lower end, above it with the upper one.
#[derive(Debug, Default)]
struct Forks {
    forks: HashMap<ForkId, Fork, BuildHasherDefault<ForkHasher>>,
    /// Level -> how many forks it has.
    levels: Vec<u32>,
    count: usize,
}

/// The level, which is how many bits follow the common prefix, and the prefix.
type ForkId = (u8, u64);

#[derive(Debug, Default)]
struct Fork {
    few: Few,
    many: Option<Box<ByEnd>>,
}

/// Ranges by their lower end and by the complement of their upper one.
#[derive(Debug, Default)]
struct ByEnd {
    lows: OrderedList,
    highs: OrderedList,
}

/// A range and its id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) low: u64,
    pub(super) high: u64,
    pub(super) id: u32,
}

impl RangeSet {
    pub(super) fn is_empty(&self) -> bool {
        self.from.is_empty() && self.to.is_empty() && self.between.is_empty()
    }

    pub(super) fn insert(&mut self, range: Range) {
        match (range.low, range.high) {
            (low, u64::MAX) => self.from.insert(low, range.id),
            (0, high) => self.to.insert(!high, range.id),
            _ => self.between.insert(range),
        }
    }

    /// Removes the range and returns whether it was there.
    pub(super) fn remove(&mut self, range: Range) -> bool {
        match (range.low, range.high) {
            (low, u64::MAX) => self.from.remove(low, range.id),
            (0, high) => self.to.remove(!high, range.id),
            _ => self.between.remove(range),
        }
    }

    /// Calls `visit` with the ids of the ranges that hold the key, each once.
    pub(super) fn holding(&self, key: u64, visit: &mut impl FnMut(&[u32])) {
        self.from.up_to(key, visit);
        self.to.up_to(!key, visit);
        match &self.between {
            Between::Few(few) => few.holding(key, visit),
            Between::Many(forks) => forks.holding(key, visit),
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let between = match &self.between {
            Between::Few(few) => few.heap_bytes(),
            Between::Many(forks) => size_of::<Forks>() + forks.heap_bytes(),
        };
        self.from.heap_bytes() + self.to.heap_bytes() + between
    }
}

impl Between {
    fn is_empty(&self) -> bool {
        match self {
            Self::Few(few) => few.ids.is_empty(),
            Self::Many(forks) => forks.count == 0,
        }
    }

    fn insert(&mut self, range: Range) {
        match self {
            Self::Few(few) if few.ids.len() < SET => few.insert(range),
            Self::Few(few) => {
                let mut forks = Forks::default();
                few.iter().for_each(|range| forks.insert(range));
                forks.insert(range);
                *self = Self::Many(Box::new(forks));
            }
            Self::Many(forks) => forks.insert(range),
        }
    }

    fn remove(&mut self, range: Range) -> bool {
        match self {
            Self::Few(few) => few.remove(range.id),
            Self::Many(forks) => {
                let removed = forks.remove(range);
                if forks.count == 0 {
                    *self = Self::default();
                }
                removed
            }
        }
    }
}

impl Default for Between {
    fn default() -> Self {
        Self::Few(Few::default())
    }
}

impl Few {
    fn insert(&mut self, range: Range) {
        let end = self.ids.len();
        insert_tight(&mut self.lows, end, range.low);
        insert_tight(&mut self.highs, end, range.high);
        insert_tight(&mut self.ids, end, range.id);
    }

    fn remove(&mut self, id: u32) -> bool {
        let Some(at) = self.ids.iter().position(|other| *other == id) else {
            return false;
        };
        self.lows.swap_remove(at);
        self.highs.swap_remove(at);
        self.ids.swap_remove(at);
        true
    }

    fn iter(&self) -> impl Iterator<Item = Range> {
        let ends = self.lows.iter().zip(&self.highs);
        ends.zip(&self.ids).map(|((low, high), id)| Range {
            low: *low,
            high: *high,
            id: *id,
        })
    }

    /// Compares blocks of ranges without branches, as most hold nothing.
    fn holding(&self, key: u64, visit: &mut impl FnMut(&[u32])) {
        const BLOCK: usize = 8;
        let ends = self.lows.chunks(BLOCK).zip(self.highs.chunks(BLOCK));
        for ((lows, highs), ids) in ends.zip(self.ids.chunks(BLOCK)) {
            let mut hits = 0_u32;
            for (at, (low, high)) in lows.iter().zip(highs).enumerate() {
                hits |= u32::from((*low <= key) & (key <= *high)) << at;
            }
            while hits != 0 {
                let at = hits.trailing_zeros() as usize;
                visit(&ids[at..=at]);
                hits &= hits - 1;
            }
        }
    }

    fn heap_bytes(&self) -> usize {
        let ends = self.lows.capacity() + self.highs.capacity();
        ends * size_of::<u64>() + self.ids.capacity() * size_of::<u32>()
    }
}

impl Forks {
    fn insert(&mut self, range: Range) {
        let id = fork_of(range);
        let level = usize::from(id.0);
        if self.levels.len() <= level {
            self.levels.resize(level + 1, 0);
        }
        let levels = &mut self.levels;
        let fork = self.forks.entry(id).or_insert_with(|| {
            levels[level] += 1;
            Fork::default()
        });
        fork.insert(range);
        self.count += 1;
    }

    fn remove(&mut self, range: Range) -> bool {
        let id = fork_of(range);
        let Some(fork) = self.forks.get_mut(&id) else {
            return false;
        };
        let removed = fork.remove(range);
        self.count -= usize::from(removed);
        if fork.is_empty() {
            self.forks.remove(&id);
            self.levels[usize::from(id.0)] -= 1;
        }
        removed
    }

    fn holding(&self, key: u64, visit: &mut impl FnMut(&[u32])) {
        for (level, count) in (0_u8..).zip(&self.levels) {
            if *count == 0 {
                continue;
            }
            if let Some(fork) = self.forks.get(&(level, prefix(key, level))) {
                fork.holding(key, level, visit);
            }
        }
    }

    fn heap_bytes(&self) -> usize {
        let inner = self.forks.values().map(Fork::heap_bytes).sum::<usize>();
        self.forks.capacity() * (size_of::<(ForkId, Fork)>() + 1) + inner
    }
}

impl Fork {
    fn is_empty(&self) -> bool {
        self.many
            .as_ref()
            .map_or(self.few.ids.is_empty(), |many| many.lows.is_empty())
    }

    fn insert(&mut self, range: Range) {
        if self.many.is_none() && self.few.ids.len() < FORK {
            self.few.insert(range);
            return;
        }
        let few = &mut self.few;
        let many = self.many.get_or_insert_with(|| {
            let mut many = Box::<ByEnd>::default();
            few.iter().for_each(|range| many.insert(range));
            *few = Few::default();
            many
        });
        many.insert(range);
    }

    fn remove(&mut self, range: Range) -> bool {
        match &mut self.many {
            Some(many) => {
                many.lows.remove(range.low, range.id) && many.highs.remove(!range.high, range.id)
            }
            None => self.few.remove(range.id),
        }
    }

    fn holding(&self, key: u64, level: u8, visit: &mut impl FnMut(&[u32])) {
        match &self.many {
            None => self.few.holding(key, visit),
            Some(many) if level > 0 && (key >> (level - 1)) & 1 == 0 => {
                many.lows.up_to(key, visit);
            }
            Some(many) => many.highs.up_to(!key, visit),
        }
    }

    fn heap_bytes(&self) -> usize {
        let many = self.many.as_ref().map_or(0, |many| {
            size_of::<ByEnd>() + many.lows.heap_bytes() + many.highs.heap_bytes()
        });
        self.few.heap_bytes() + many
    }
}

impl ByEnd {
    fn insert(&mut self, range: Range) {
        self.lows.insert(range.low, range.id);
        self.highs.insert(!range.high, range.id);
    }
}

fn fork_of(range: Range) -> ForkId {
    let level = u64::BITS - (range.low ^ range.high).leading_zeros();
    // At most 64.
    let level = level as u8;
    (level, prefix(range.low, level))
}

fn prefix(key: u64, level: u8) -> u64 {
    key.checked_shr(level.into()).unwrap_or(0)
}

/// Hashes the two numbers of a [`ForkId`].
#[derive(Debug, Default)]
struct ForkHasher(Option<Mixer>);

impl ForkHasher {
    fn add(&mut self, word: u64) {
        let mixer = self.0.unwrap_or_else(|| Seed::of_process().mixer());
        self.0 = Some(mixer.word(word));
    }
}

impl Hasher for ForkHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.add(u64::from(*byte)));
    }

    fn write_u8(&mut self, number: u8) {
        self.add(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.add(number);
    }

    fn finish(&self) -> u64 {
        self.0.map_or(0, Mixer::finish)
    }
}

/// The most ranges of a set that are looked at one by one: as dear as probing the levels of forks.
/// Small under test, so that few reach what many do.
const SET: usize = if cfg!(test) { 8 } else { 256 };
/// The most ranges of a fork that are looked at one by one.
/// Small under test, so that few reach what many do.
const FORK: usize = if cfg!(test) { 2 } else { 32 };

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs of numbers without a pattern.
    fn ranges(count: u32, domain: u64, width: u64) -> Vec<Range> {
        let mut state = 1_u64;
        let mut next = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(99);
            (state >> 33) % below
        };
        let one = |id| {
            let low = next(domain);
            let high = low + next(width);
            Range { low, high, id }
        };
        (0..count).map(one).collect()
    }

    fn holding(set: &RangeSet, key: u64) -> Vec<u32> {
        let mut found = Vec::new();
        set.holding(key, &mut |ids| found.extend_from_slice(ids));
        found.sort_unstable();
        found
    }

    fn assert_like_a_scan(set: &RangeSet, all: &[Range], key: u64) {
        let holds = |range: &&Range| (range.low..=range.high).contains(&key);
        let expected: Vec<_> = all.iter().filter(holds).map(|range| range.id).collect();
        assert_eq!(holding(set, key), expected, "of {key}");
    }

    #[test]
    fn ranges_that_hold_a_key_are_found_once_like_by_a_scan() {
        for (count, width) in [
            (100, 50),
            (300, 5),
            (3_000, 1),
            (3_000, 400),
            (9_000, 3_000),
        ] {
            let all = ranges(count, 1_000, width);
            let mut set = RangeSet::default();
            all.iter().for_each(|range| set.insert(*range));
            (0..1_200).for_each(|key| assert_like_a_scan(&set, &all, key));
            let (gone, kept): (Vec<_>, Vec<_>) = all.iter().partition(|range| range.id % 3 > 0);
            assert!(gone.iter().all(|range| set.remove(*range)));
            (0..1_200).for_each(|key| assert_like_a_scan(&set, &kept, key));
            assert!(kept.iter().all(|range| set.remove(*range)));
            assert!(set.is_empty() && !set.remove(all[0]));
        }
    }

    #[test]
    fn open_ends_hold_everything_on_their_side() {
        let mut set = RangeSet::default();
        let ends = [
            (0, u64::MAX),
            (5, u64::MAX),
            (0, 5),
            (u64::MAX, u64::MAX),
            (0, 0),
        ];
        let all = ends.iter().zip(0..).map(|((low, high), id)| Range {
            low: *low,
            high: *high,
            id,
        });
        let all: Vec<_> = all.collect();
        all.iter().for_each(|range| set.insert(*range));
        for key in [0, 4, 5, 6, u64::MAX] {
            assert_like_a_scan(&set, &all, key);
        }
        assert!(all.iter().all(|range| set.remove(*range)) && set.is_empty());
    }

    #[test]
    fn keys_of_all_lengths_fork_at_all_levels() {
        let mut set = RangeSet::default();
        let one = |id: u32| Range {
            low: 1 + (1_u64 << (id % 63)),
            high: u64::MAX - 1 - (1_u64 << (id % 61)),
            id,
        };
        let all: Vec<_> = (0..1_000).map(one).collect();
        all.iter().for_each(|range| set.insert(*range));
        for key in (0..64)
            .map(|bit| 1_u64 << bit)
            .flat_map(|key| [key - 1, key, key + 2])
        {
            assert_like_a_scan(&set, &all, key);
        }
    }
}

//! A table of slots that changes in place while nobody has a snapshot of it, and is copied in small
//! parts while somebody has.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::value::panic_message;

/// Slots under numbers. A number is used again when its slot was removed.
///
/// Three levels of shared nodes: a snapshot is one reference count, whatever it will be asked for,
/// and a change copies three nodes if a snapshot has them, and nothing otherwise.
pub(crate) struct SlotTable<T> {
    snapshot: Slots<T>,
    free: Vec<u32>,
    /// One more than the greatest number that was given.
    end: u32,
}

/// The slots at one moment.
///
/// Whoever lets go last drops what was removed since, and that may be a publisher at the end of a
/// fire: a subscriber whose drop panics is none of its business.
pub(crate) struct Slots<T>(Option<Arc<Root<T>>>);

/// The slots at one moment, for whoever shares a [`Slots`] that is dropped later.
pub(crate) struct Root<T>(Vec<Arc<Branch<T>>>);

struct Branch<T>([Option<Arc<Leaf<T>>>; LEAVES]);

struct Leaf<T>([Option<T>; SLOTS]);

/// Copied with two reference counts a slot where a fire has the leaf: a microsecond at most.
const SLOTS: usize = 32;

/// With these a root has five hundred branches for a million slots.
const LEAVES: usize = 64;

impl<T: Clone> SlotTable<T> {
    pub(crate) fn new() -> Self {
        Self {
            snapshot: Slots(None),
            free: Vec::new(),
            end: 0,
        }
    }

    /// Returns the slots as they are now, and will be in the eyes of whoever has them.
    pub(crate) fn snapshot(&self) -> Slots<T> {
        Slots(self.snapshot.0.clone())
    }

    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        self.snapshot.get(number)
    }

    /// Returns how many slots are taken.
    pub(crate) fn len(&self) -> usize {
        self.end as usize - self.free.len()
    }

    /// Returns the slots that are taken, with their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..self.end).filter_map(|number| Some((number, self.get(number)?)))
    }

    /// Puts something into a free slot and returns its number.
    pub(crate) fn insert(&mut self, item: T) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.end += 1;
            self.end - 1
        });
        *self.slot_mut(number) = Some(item);
        number
    }

    /// Takes out what is in a slot.
    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        self.get(number)?;
        self.free.push(number);
        let removed = self.slot_mut(number).take();
        if self.len() == 0 {
            // Gives back what a million slots needed.
            *self = Self::new();
        }
        removed
    }

    /// Puts something into a slot that is taken and returns what was there.
    pub(crate) fn replace(&mut self, number: u32, item: T) -> Option<T> {
        self.get(number)?;
        self.slot_mut(number).replace(item)
    }

    fn slot_mut(&mut self, number: u32) -> &mut Option<T> {
        let (branch, leaf, slot) = place(number);
        let branches = &mut Arc::make_mut(self.snapshot.0.get_or_insert_default()).0;
        if branches.len() <= branch {
            branches.resize_with(branch + 1, Arc::default);
        }
        let leaves = &mut Arc::make_mut(&mut branches[branch]).0;
        let leaf = leaves[leaf].get_or_insert_default();
        &mut Arc::make_mut(leaf).0[slot]
    }
}

impl<T> Slots<T> {
    /// Returns what is in a slot.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        self.0.as_ref()?.get(number)
    }

    /// Returns the slots, to be let go of before this is dropped; `None` if there are none.
    pub(crate) fn root(&self) -> Option<&Arc<Root<T>>> {
        self.0.as_ref()
    }
}

impl<T> Root<T> {
    /// Returns what is in a slot.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        let (branch, leaf, slot) = place(number);
        let leaves = &self.0.get(branch)?.0;
        leaves[leaf].as_ref()?.0[slot].as_ref()
    }
}

/// Returns where a slot is: its branch, its leaf there, its place there.
#[inline]
fn place(number: u32) -> (usize, usize, usize) {
    let number = number as usize;
    let leaf = number / SLOTS;
    (leaf / LEAVES, leaf % LEAVES, number % SLOTS)
}

impl<T> Default for Root<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Default for Branch<T> {
    fn default() -> Self {
        Self([const { None }; LEAVES])
    }
}

impl<T> Default for Leaf<T> {
    fn default() -> Self {
        Self([const { None }; SLOTS])
    }
}

/// By hand: a copy of a root or a branch copies no slot.
impl<T> Clone for Root<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Clone for Branch<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Clone> Clone for Leaf<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Drop for Slots<T> {
    fn drop(&mut self) {
        let root = self.0.take();
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(root))) {
            drop(panic_message(payload));
        }
    }
}

impl<T> fmt::Debug for SlotTable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotTable")
            .field("end", &self.end)
            .field("free", &self.free.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(count: u32) -> SlotTable<u32> {
        let mut table = SlotTable::new();
        (0..count).for_each(|item| assert_eq!(table.insert(item), item));
        table
    }

    #[test]
    fn slot_keeps_its_number_over_all_levels() {
        let count = 3 * (SLOTS * LEAVES) as u32 + 5;
        let table = filled(count);
        assert!((0..count).all(|number| table.get(number) == Some(&number)));
        assert_eq!((table.get(count), table.len()), (None, count as usize));
    }

    #[test]
    fn snapshot_stays_as_it_was_while_the_table_changes() {
        let mut table = filled(100);
        let before = table.snapshot();
        assert_eq!(table.remove(40), Some(40));
        assert_eq!(table.replace(41, 0), Some(41));
        assert_eq!((before.get(40), before.get(41)), (Some(&40), Some(&41)));
        assert_eq!((table.get(40), table.get(41)), (None, Some(&0)));
        assert_eq!((table.remove(40), table.replace(40, 1)), (None, None));
        assert_eq!((table.insert(7), table.len()), (40, 100));
        assert_eq!(table.iter().filter(|(_, item)| **item == 7).count(), 2);
    }

    #[test]
    fn table_without_snapshots_changes_in_place() {
        let mut table = filled(100);
        let place = std::ptr::from_ref(table.get(50).unwrap_or(&0)).addr();
        table.remove(49);
        table.insert(1);
        assert_eq!(
            std::ptr::from_ref(table.get(50).unwrap_or(&0)).addr(),
            place
        );
    }
}

//! The targets of the subscriptions that an index has.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::target::Bound;
use crate::cache::{SlotTable, Slots};
use crate::model::ComponentId;

/// Targets under numbers, each once: a singleton with a thousand subscriptions is one.
///
/// What a fire calls is then a small table, most of which the processor has in its caches, however
/// many subscriptions there are.
pub(super) struct TargetTable<I: ?Sized> {
    targets: SlotTable<Bound<I>>,
    /// Number -> how many subscriptions have it.
    uses: Vec<u32>,
    hasher: DefaultHashBuilder,
    /// The numbers, by where the targets lie.
    numbers: HashTable<u32>,
}

impl<I: ?Sized> TargetTable<I> {
    /// Returns the targets as they are now, and will be in the eyes of whoever has them.
    pub(super) fn snapshot(&self) -> Slots<Bound<I>> {
        self.targets.snapshot()
    }

    pub(super) fn get(&self, number: u32) -> Option<&Bound<I>> {
        self.targets.get(number)
    }

    /// Returns the numbers of a component; one, unless it was bound anew under a number of another.
    pub(super) fn of_component(&self, id: ComponentId) -> Vec<u32> {
        let all = self.targets.iter();
        let of_it = all.filter(|(_, target)| target.is_component(id));
        of_it.map(|(number, _)| number).collect()
    }

    /// Takes in the target of one more subscription, and returns its number.
    pub(super) fn enter(&mut self, target: Bound<I>) -> u32 {
        let hash = self.hasher.hash_one(target.address());
        let is_it = |number: &u32| is_same(&self.targets, *number, &target);
        if let Some(number) = self.numbers.find(hash, is_it) {
            self.uses[*number as usize] += 1;
            // The table has the same, so that this is not the last of it.
            return *number;
        }
        let number = self.targets.insert(target);
        if self.uses.len() <= number as usize {
            self.uses.resize(number as usize + 1, 0);
        }
        self.uses[number as usize] = 1;
        self.enlist(hash, number);
        number
    }

    /// Forgets one subscription of a target, and returns the target if that was the last.
    pub(super) fn leave(&mut self, number: u32) -> Option<Bound<I>> {
        let uses = self.uses.get_mut(number as usize)?;
        *uses = uses.checked_sub(1)?;
        if *uses > 0 {
            return None;
        }
        self.strike(number);
        let left = self.targets.remove(number);
        if self.targets.len() == 0 {
            // Gives back what a million needed.
            *self = Self::default();
        }
        left
    }

    /// Puts another target in the place of one, for all its subscriptions, and returns that.
    pub(super) fn replace(&mut self, number: u32, target: Bound<I>) -> Option<Bound<I>> {
        self.strike(number);
        let hash = self.hasher.hash_one(target.address());
        let replaced = self.targets.replace(number, target)?;
        self.enlist(hash, number);
        Some(replaced)
    }

    fn enlist(&mut self, hash: u64, number: u32) {
        let (hasher, targets) = (&self.hasher, &self.targets);
        let address = |number: &u32| targets.get(*number).map_or(0, Bound::address);
        let rehash = |number: &u32| hasher.hash_one(address(number));
        self.numbers.insert_unique(hash, number, rehash);
    }

    fn strike(&mut self, number: u32) {
        let Some(target) = self.targets.get(number) else {
            return;
        };
        let hash = self.hasher.hash_one(target.address());
        if let Ok(entry) = self.numbers.find_entry(hash, |other| *other == number) {
            entry.remove();
        }
    }
}

fn is_same<I: ?Sized>(targets: &SlotTable<Bound<I>>, number: u32, target: &Bound<I>) -> bool {
    let other = targets.get(number);
    other.is_some_and(|other| other.is_same(target))
}

impl<I: ?Sized> Default for TargetTable<I> {
    fn default() -> Self {
        Self {
            targets: SlotTable::new(),
            uses: Vec::new(),
            hasher: DefaultHashBuilder::default(),
            numbers: HashTable::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    trait Numbered {}

    struct Number(#[expect(dead_code, reason = "gives each an address of its own")] u8);

    impl Numbered for Number {}

    fn object() -> Arc<dyn Numbered> {
        Arc::new(Number(0))
    }

    #[test]
    fn target_of_several_subscriptions_stays_until_the_last_goes() {
        let mut table = TargetTable::default();
        let (first, second) = (object(), object());
        let enter =
            |table: &mut TargetTable<_>, object| table.enter(Bound::Live(Arc::clone(object)));
        assert_eq!(enter(&mut table, &first), 0);
        assert_eq!(enter(&mut table, &second), 1);
        assert_eq!(enter(&mut table, &first), 0);
        assert_eq!(Arc::strong_count(&first), 2);
        assert!(table.leave(0).is_none() && table.get(0).is_some());
        assert!(table.leave(0).is_some() && table.get(0).is_none());
        assert!(table.leave(0).is_none());
        assert_eq!(Arc::strong_count(&first), 1);
        // The number is used again, and the first object is not found under it.
        let third = object();
        assert_eq!(enter(&mut table, &third), 0);
        assert_eq!(enter(&mut table, &first), 2);
    }

    #[test]
    fn replaced_target_is_found_where_it_was_put() {
        let mut table = TargetTable::default();
        let (old, new) = (object(), object());
        assert_eq!(table.enter(Bound::Live(Arc::clone(&old))), 0);
        assert!(table.replace(0, Bound::Live(Arc::clone(&new))).is_some());
        assert_eq!(table.enter(Bound::Live(Arc::clone(&new))), 0);
        assert_eq!(table.enter(Bound::Live(old)), 1);
        assert!(table.leave(0).is_none() && table.leave(0).is_some());
        assert!(table.get(0).is_none() && table.get(1).is_some());
    }

    #[test]
    fn targets_of_which_nothing_is_known_are_one() {
        let mut table = TargetTable::<dyn Numbered>::default();
        let numbers = [Bound::Moniker, Bound::Mismatch, Bound::Moniker].map(|it| table.enter(it));
        assert_eq!(numbers, [0, 1, 0]);
    }
}

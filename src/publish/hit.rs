//! What an index hands out for each subscription that it finds.

/// As much of a subscription as a fire needs to call it.
///
/// An index has it beside the filter, where a match has to look anyway. The rest of a subscription
/// is somewhere among a million others: to read it would be a wait for memory for each that is
/// found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit {
    /// The place in store order. Beyond four billion all places are the same, and who sorts finds
    /// that they do not tell apart.
    pub(super) order: u32,
    /// The number of the subscription; of those that every event reaches, from [`LOOSE`] on.
    number: u32,
    goal: Goal,
}

/// Where a [`Hit`] leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A slot of the index.
    Slot(u32),
    /// A place in the lane, among those that every event reaches.
    Loose(u32),
}

/// The number of a target, and whether a fire has anything to ask before it calls it but the
/// filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Goal(u32);

impl Hit {
    /// Stands for nothing.
    pub(super) const NONE: Self = Self {
        order: 0,
        number: u32::MAX,
        goal: Goal(CONDITIONAL),
    };

    pub(super) fn new(order: u64, slot: u32, goal: Goal) -> Self {
        Self {
            order: capped(order),
            number: slot,
            goal,
        }
    }

    /// Returns what stands for a subscription that every event reaches.
    pub(super) fn loose(order: u64, place: u32) -> Self {
        Self {
            order: capped(order),
            number: LOOSE | place,
            goal: Goal(CONDITIONAL),
        }
    }

    #[inline]
    pub(super) fn place(self) -> Place {
        match self.number.checked_sub(LOOSE) {
            Some(place) => Place::Loose(place),
            None => Place::Slot(self.number),
        }
    }

    /// Returns the number of the target, and that of the slot, if there is nothing to ask.
    #[inline]
    pub(super) fn at_hand(self) -> Option<(u32, u32)> {
        (!self.goal.is_conditional()).then_some((self.goal.0, self.number))
    }
}

impl Goal {
    pub(super) fn new(target: u32, conditional: bool) -> Self {
        Self(target | if conditional { CONDITIONAL } else { 0 })
    }

    /// Returns the number of the target.
    pub(super) fn target(self) -> u32 {
        self.0 & !CONDITIONAL
    }

    #[inline]
    pub(super) fn is_conditional(self) -> bool {
        self.0 >= CONDITIONAL
    }
}

fn capped(order: u64) -> u32 {
    u32::try_from(order).unwrap_or(u32::MAX)
}

/// The first number that stands for no slot; more slots than this need more memory than there is.
const LOOSE: u32 = 1 << 31;

/// More targets than this need more memory than there is.
const CONDITIONAL: u32 = 1 << 31;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hit_needs_no_more_memory_than_the_tag_of_an_index_leaves() {
        assert_eq!((size_of::<Hit>(), align_of::<Hit>()), (12, 4));
    }

    #[test]
    fn conditional_and_loose_ones_are_not_at_hand() {
        let hit = |conditional| Hit::new(u64::MAX, 3, Goal::new(5, conditional));
        assert_eq!(hit(false).at_hand(), Some((5, 3)));
        assert_eq!((hit(true).at_hand(), hit(true).goal.target()), (None, 5));
        assert_eq!(hit(true).place(), Place::Slot(3));
        assert_eq!(Hit::loose(1, 7).at_hand(), None);
        assert_eq!(Hit::loose(1, 7).place(), Place::Loose(7));
    }
}

//! The slots of one filter.

/// Slots that share a filter, as one slice, each under a number that stays when others go.
#[derive(Debug)]
pub(super) struct Sharers<S> {
    slots: Vec<S>,
    /// Place in `slots` -> number.
    numbers: Vec<u32>,
    /// Number -> place in `slots`; of one that is not in use, the next such number.
    places: Vec<u32>,
    unused: u32,
}

impl<S> Sharers<S> {
    /// Returns the slots of a filter that had the one, under the number 0, alone.
    pub(super) fn new(first: S) -> Self {
        Self {
            slots: vec![first],
            numbers: vec![0],
            places: vec![0],
            unused: NONE,
        }
    }

    pub(super) fn slots(&self) -> &[S] {
        &self.slots
    }

    /// Adds a slot and returns its number.
    pub(super) fn insert(&mut self, slot: S) -> u32 {
        // Four billion slots need more memory than there is.
        let place = u32::try_from(self.slots.len()).unwrap_or(NONE);
        let number = match self.places.get_mut(self.unused as usize) {
            Some(next) => {
                let number = self.unused;
                self.unused = std::mem::replace(next, place);
                number
            }
            None => {
                self.places.push(place);
                u32::try_from(self.places.len() - 1).unwrap_or(NONE)
            }
        };
        self.slots.push(slot);
        self.numbers.push(number);
        number
    }

    /// Removes the slot of this number, which the last slot takes the place of.
    pub(super) fn remove(&mut self, number: u32) -> Option<S> {
        let place = *self.places.get(number as usize)?;
        if self.numbers.get(place as usize) != Some(&number) {
            return None;
        }
        let slot = self.slots.swap_remove(place as usize);
        self.numbers.swap_remove(place as usize);
        if let Some(moved) = self.numbers.get(place as usize) {
            self.places[*moved as usize] = place;
        }
        self.places[number as usize] = self.unused;
        self.unused = number;
        Some(slot)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<S>()
            + (self.numbers.capacity() + self.places.capacity()) * size_of::<u32>()
    }
}

/// No number.
const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_while_places_change() {
        let mut sharers = Sharers::new('a');
        let numbers: Vec<_> = "bcdef".chars().map(|slot| sharers.insert(slot)).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5]);
        assert_eq!(
            (sharers.remove(0), sharers.remove(3)),
            (Some('a'), Some('d'))
        );
        assert_eq!((sharers.remove(3), sharers.remove(9)), (None, None));
        assert_eq!((sharers.remove(5), sharers.slots().len()), (Some('f'), 3));
        assert_eq!(sharers.insert('g'), 5);
        assert_eq!(
            (sharers.remove(5), sharers.remove(4)),
            (Some('g'), Some('e'))
        );
        assert_eq!(
            (sharers.remove(1), sharers.remove(2)),
            (Some('b'), Some('c'))
        );
        assert!(sharers.slots().is_empty());
    }
}

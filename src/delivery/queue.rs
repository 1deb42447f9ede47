//! Events of one key, in order, with the gaps between them.

use std::collections::VecDeque;

use super::lane::Gap;

/// What is taken out of a lane.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry<T> {
    Item(T),
    /// So many events are missing here.
    Gap(u64),
}

/// Events of one key.
pub(super) struct Queue<T> {
    pub(super) entries: VecDeque<Entry<T>>,
    pub(super) items: usize,
    /// Whether somebody was told that there is something to take, and has not found it empty since.
    pub(super) told: bool,
}

impl<T> Entry<T> {
    pub(super) fn into_item(self) -> Option<T> {
        match self {
            Self::Item(item) => Some(item),
            Self::Gap(_) => None,
        }
    }
}

impl<T> Queue<T> {
    #[inline]
    pub(super) fn push(&mut self, item: T) -> bool {
        self.entries.push_back(Entry::Item(item));
        self.items += 1;
        !std::mem::replace(&mut self.told, true)
    }

    pub(super) fn replace(&mut self, item: T) -> Result<T, T> {
        match self.entries.back_mut() {
            Some(Entry::Item(last)) => Ok(std::mem::replace(last, item)),
            _ => Err(item),
        }
    }

    pub(super) fn drop_oldest(&mut self) -> Option<(T, Gap)> {
        let (gap, count) = match self.entries.front() {
            Some(Entry::Gap(count)) if self.items > 0 => (Gap::GoesOn, *count),
            Some(Entry::Item(_)) => (Gap::Begins, 0),
            _ => return None,
        };
        if count > 0 {
            self.entries.pop_front();
        }
        let Some(Entry::Item(oldest)) = self.entries.pop_front() else {
            return None;
        };
        self.items -= 1;
        match self.entries.front_mut() {
            // Two gaps meet.
            Some(Entry::Gap(next)) => *next += count + 1,
            _ => self.entries.push_front(Entry::Gap(count + 1)),
        }
        Some((oldest, gap))
    }

    pub(super) fn miss(&mut self) -> Gap {
        match self.entries.back_mut() {
            Some(Entry::Gap(count)) => {
                *count += 1;
                Gap::GoesOn
            }
            _ => {
                self.entries.push_back(Entry::Gap(1));
                Gap::Begins
            }
        }
    }

    /// Takes up to `max` events, and the gaps before them.
    pub(super) fn take(&mut self, max: usize, taken: &mut VecDeque<Entry<T>>) {
        let (mut count, mut items) = (0, 0);
        while items < max
            && let Some(entry) = self.entries.get(count)
        {
            count += 1;
            items += usize::from(matches!(entry, Entry::Item(_)));
        }
        self.items -= items;
        taken.extend(self.entries.drain(..count));
    }

    pub(super) fn put_back(&mut self, taken: &mut VecDeque<Entry<T>>) {
        let items = |entry: &&Entry<T>| matches!(entry, Entry::Item(_));
        self.items += taken.iter().filter(items).count();
        while let Some(entry) = taken.pop_back() {
            match (entry, self.entries.front_mut()) {
                // Two gaps meet.
                (Entry::Gap(count), Some(Entry::Gap(next))) => *next += count,
                (entry, _) => self.entries.push_front(entry),
            }
        }
    }

    pub(super) fn take_out(&mut self, is_out: impl Fn(&T) -> bool) -> Vec<T> {
        let entries = std::mem::take(&mut self.entries).into_iter();
        let (out, left): (VecDeque<_>, VecDeque<_>) =
            entries.partition(|entry| matches!(entry, Entry::Item(item) if is_out(item)));
        self.entries = left;
        self.items -= out.len();
        out.into_iter().filter_map(Entry::into_item).collect()
    }

    pub(super) fn clear(&mut self) -> Vec<T> {
        self.items = 0;
        self.entries
            .drain(..)
            .filter_map(Entry::into_item)
            .collect()
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            items: 0,
            told: false,
        }
    }
}

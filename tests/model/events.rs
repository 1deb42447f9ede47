//! What the model knows of events: who is to have them, and how.

use std::collections::BTreeMap;
use std::ops::Range;

use loosely::ErrorKind;

use crate::backlog::{Backlog, Certainty, Due, Way};
use crate::model::{Called, Counts, Model, Outcome, Record};
use crate::operations::{CLASSES, Cell, Mode, Shot, Step};
use crate::records::is_bound;

/// Who is to have what of a fire.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    Queues,
    Others,
}

impl Model {
    pub(crate) fn fire(&mut self, shot: Shot, serial: u64) -> Outcome {
        if self.classes[shot.class].is_none() {
            return Outcome::Refused(ErrorKind::NotFound);
        }
        Outcome::Fired(self.deliver(shot, serial, Part::All))
    }

    fn deliver(&mut self, shot: Shot, serial: u64, part: Part) -> Counts {
        let mut counts = Counts::default();
        let Some(class) = self.classes[shot.class].map(|it| it.value) else {
            return counts;
        };
        let mut bound = self.in_store_order();
        bound.retain(|record| is_bound(record.wish.slot, shot));
        bound.sort_by_key(|record| -record.wish.priority);
        for Record { wish, .. } in bound {
            let in_part = match part {
                Part::All => true,
                Part::Queues => wish.mode.is_queued(),
                Part::Others => !wish.mode.is_queued(),
            };
            if !in_part || !(wish.enabled || wish.mode == Mode::Keeping) {
                continue;
            }
            if !wish.filter.select(shot) {
                counts.filtered += 1;
                continue;
            }
            let is_there = self.components[wish.component].is_some();
            let fails = !is_there || (self.flawed[wish.component] && shot.amount < 0);
            let way = match wish.mode {
                Mode::Queued | Mode::Keeping => Some(Way::Queue),
                Mode::Keyed => Some(Way::Keyed(shot.symbol)),
                Mode::Detached => Some(Way::Lane),
                Mode::Unsaid => class.detached.then_some(Way::Lane),
                Mode::Inline => None,
            };
            let Some(way) = way else {
                match fails {
                    true => counts.failed += 1,
                    false => counts.delivered += 1,
                }
                if is_there {
                    self.called.push(Called {
                        slot: wish.slot,
                        component: wish.component,
                        priority: wish.priority,
                    });
                }
                continue;
            };
            counts.accepted += 1;
            let mut due = Due::new(serial, shot, way, self.tick());
            if way == Way::Lane && !is_there {
                due.certainty = Certainty::May;
            }
            self.backlogs[wish.slot].add(due);
        }
        counts
    }

    pub(crate) fn transaction(&mut self, steps: &[Step], serial: u64) -> Outcome {
        if let Some(kind) = self.refusal(steps) {
            return Outcome::Refused(kind);
        }
        let shots: Vec<_> = steps.iter().filter_map(Step::shot).zip(serial..).collect();
        let mut queued = 0;
        for (shot, serial) in &shots {
            queued += self.deliver(*shot, *serial, Part::Queues).accepted;
        }
        let (mut ensured, mut removed) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Insert(cell, value) => self.write(*cell, Some(*value)),
                Step::RemoveKey(cell) => self.write(*cell, None),
                Step::Ensure(wish) => ensured.push((wish.slot, self.ensure(*wish))),
                Step::Store(wish) => self.put(*wish, None),
                Step::Remove(slot) => {
                    if self.remove(*slot) {
                        removed.push(*slot);
                    }
                }
                Step::Expect(..) | Step::Fire(_) => {}
            }
        }
        self.touch();
        for (shot, serial) in shots {
            self.deliver(shot, serial, Part::Others);
            // When the commit returned they were called, but nothing tells by which of two ways.
            for called in std::mem::take(&mut self.called) {
                let due = Due::new(serial, shot, Way::Apart, self.tick());
                self.backlogs[called.slot].add(due);
            }
        }
        Outcome::Committed {
            ensured,
            removed,
            queued,
        }
    }

    /// Returns why a transaction cannot be, if it cannot.
    fn refusal(&self, steps: &[Step]) -> Option<ErrorKind> {
        let mut slots = Vec::new();
        let mut expected: BTreeMap<Cell, Option<u8>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Expect(cell, value) if *expected.entry(*cell).or_insert(*value) != *value => {
                    return Some(ErrorKind::Invalid);
                }
                Step::Fire(shot) if self.classes[shot.class].is_none() => {
                    return Some(ErrorKind::NotFound);
                }
                _ => {}
            }
            if let Some(slot) = step.slot() {
                if slots.contains(&slot) {
                    return Some(ErrorKind::Invalid);
                }
                slots.push(slot);
            }
        }
        let is_other = |((tree, key), value): (&Cell, &Option<u8>)| {
            self.trees[*tree].get(key).copied() != *value
        };
        let conflicts = expected.iter().any(is_other);
        conflicts.then_some(ErrorKind::Conflict)
    }

    pub(crate) fn replay(&mut self, nth: usize) -> Outcome {
        let Some((slot, serial)) = self.nth_letter(nth) else {
            return Outcome::Done;
        };
        let mode = self.records.get(&slot).map(|record| record.wish.mode);
        if !mode.is_some_and(Mode::is_queued) {
            return Outcome::Refused(ErrorKind::NotFound);
        }
        if let Some(letter) = self.backlogs[slot].take_letter(serial) {
            // It stays among those of its key, whatever the queue goes by now.
            let due = Due::new(serial, letter.shot, letter.way, self.tick());
            self.backlogs[slot].add(due);
        }
        Outcome::Done
    }

    pub(crate) fn purge(&mut self, nth: usize) -> Outcome {
        if let Some((slot, serial)) = self.nth_letter(nth) {
            self.backlogs[slot].take_letter(serial);
        }
        Outcome::Done
    }

    pub(crate) fn shot_of_letter(&self, (slot, serial): (usize, u64)) -> Option<Shot> {
        let letters = self.backlogs[slot].letters();
        let letter = letters.iter().find(|letter| letter.serial == serial);
        letter.map(|letter| letter.shot)
    }

    /// Says that nobody knows what was delivered to whom.
    pub(crate) fn blur(&mut self) {
        self.backlogs.iter_mut().for_each(Backlog::blur);
    }

    /// Says that events with these serials may not have been stored.
    pub(crate) fn doubt(&mut self, serials: Range<u64>) {
        for serial in serials {
            self.backlogs.iter_mut().for_each(|it| it.doubt(serial));
        }
    }

    /// Says that the program ended without a word and left these dead letters.
    pub(crate) fn crash(&mut self, letters: &[(usize, u64)]) {
        for (slot, backlog) in self.backlogs.iter_mut().enumerate() {
            backlog.crash(&of_slot(slot, letters));
        }
    }

    /// Says that the program ended in good order and left these dead letters.
    pub(crate) fn close(&mut self, letters: &[(usize, u64)]) -> Result<(), String> {
        for (slot, backlog) in self.backlogs.iter_mut().enumerate() {
            let closed = backlog.close(&of_slot(slot, letters));
            closed.map_err(|why| format!("slot {slot}: {why}"))?;
        }
        Ok(())
    }

    /// Forgets what was read to be updated.
    pub(crate) fn forget_read(&mut self) {
        self.read_records.clear();
        self.read_classes = [None; CLASSES];
    }

    /// Returns the dead letter that an operation is about.
    pub(crate) fn nth_letter(&self, nth: usize) -> Option<(usize, u64)> {
        let letters = self.letters();
        letters.get(nth % letters.len().max(1)).copied()
    }
}

/// Returns the serials of the dead letters of a slot.
fn of_slot(slot: usize, letters: &[(usize, u64)]) -> Vec<u64> {
    let of_slot = letters.iter().filter(|letter| letter.0 == slot);
    of_slot.map(|letter| letter.1).collect()
}

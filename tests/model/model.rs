//! What the broker is to be like, in plain collections, and what each operation is to return.

use std::collections::BTreeMap;
use std::ops::Range;

use loosely::{Ensured, ErrorKind};

use crate::backlog::{Backlog, Certainty, Due, Way};
use crate::operations::{
    Attributes, Bound, CLASSES, COMPONENTS, Cell, Instances, Mode, Operation, Reading, SLOTS, Shot,
    Step, TREES, Wish,
};
use crate::records::{class_of, is_bound};

/// What an operation returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    WasThere(bool),
    Ensured(Ensured),
    Refused(ErrorKind),
    Fired(Counts),
    Committed {
        ensured: Vec<(usize, Ensured)>,
        removed: Vec<usize>,
        queued: usize,
    },
    Selected(Vec<usize>),
}

/// The counts of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) delivered: usize,
    pub(crate) failed: usize,
    pub(crate) accepted: usize,
    pub(crate) filtered: usize,
}

impl Counts {
    /// Returns whether these are the counts of a fire whose events could not be stored.
    pub(crate) fn is_cut(&self, expected: &Self) -> bool {
        let all = |it: &Self| (it.delivered, it.filtered, it.failed + it.accepted);
        all(self) == all(expected) && self.failed > expected.failed
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) classes: [Option<Versioned<Attributes>>; CLASSES],
    pub(crate) components: [Option<Instances>; COMPONENTS],
    pub(crate) flawed: [bool; COMPONENTS],
    pub(crate) records: BTreeMap<usize, Record>,
    pub(crate) trees: [BTreeMap<u8, u8>; TREES],
    pub(crate) backlogs: [Backlog; SLOTS],
    /// Whom the last fire is to have called by itself, in order.
    pub(crate) called: Vec<Called>,
    /// What was read to be updated later.
    read_classes: [Option<u64>; CLASSES],
    read_records: BTreeMap<usize, u64>,
    /// Counts commits of records, places in store order, events, and acceptances.
    clock: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Versioned<T> {
    pub(crate) value: T,
    pub(crate) version: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) wish: Wish,
    /// What a program said last that it is to be.
    ensured: Option<Wish>,
    pub(crate) order: u64,
    version: u64,
}

/// A call by the fire itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Called {
    pub(crate) slot: usize,
    pub(crate) component: usize,
    pub(crate) priority: i32,
}

/// Who is to have what of a fire.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    Queues,
    Others,
}

impl Model {
    pub(crate) fn new() -> Self {
        Self {
            classes: [None; CLASSES],
            components: [None; COMPONENTS],
            flawed: [true; COMPONENTS],
            records: BTreeMap::new(),
            trees: Default::default(),
            backlogs: Default::default(),
            called: Vec::new(),
            read_classes: [None; CLASSES],
            read_records: BTreeMap::new(),
            clock: 0,
        }
    }

    /// Does what an operation is to do, and returns what that is to return. `serial` is the number
    /// of the first event of it.
    pub(crate) fn apply(&mut self, operation: &Operation, serial: u64) -> Outcome {
        self.called.clear();
        self.touch();
        let outcome = match operation {
            Operation::RegisterClass(class, like) => self.register_class(*class, *like),
            Operation::UpdateClass(class, like, of) => self.update_class(*class, *like, *of),
            Operation::UnregisterClass(class, bound) => self.unregister_class(*class, *bound),
            Operation::RegisterComponent(it, how) => self.register_component(*it, *how),
            Operation::UnregisterComponent(it) => {
                let was_there = self.components[*it].take().is_some();
                self.doubt_component(*it);
                Outcome::WasThere(was_there)
            }
            Operation::Turn(component) => {
                self.flawed[*component] = !self.flawed[*component];
                Outcome::Done
            }
            Operation::Ensure(wish) => Outcome::Ensured(self.ensure(*wish)),
            Operation::Store(wish) => {
                self.put(*wish, None);
                Outcome::Done
            }
            Operation::Update(wish, of) => self.update(*wish, *of),
            Operation::Remove(slot) => Outcome::WasThere(self.remove(*slot)),
            Operation::Switch(slot, on) => self.switch(*slot, *on),
            Operation::Read => {
                let versions = self.records.iter();
                self.read_records = versions.map(|(slot, it)| (*slot, it.version)).collect();
                self.read_classes = self.classes.map(|class| class.map(|it| it.version));
                Outcome::Done
            }
            Operation::Fire(shot) => self.fire(*shot, serial),
            Operation::Insert((tree, key), value) => {
                self.trees[*tree].insert(*key, *value);
                Outcome::Done
            }
            Operation::RemoveKey((tree, key)) => {
                Outcome::WasThere(self.trees[*tree].remove(key).is_some())
            }
            Operation::Swap(cell, old, new) => self.swap(*cell, *old, *new),
            Operation::Transaction(steps) => self.transaction(steps, serial),
            Operation::Replay(nth) => self.replay(*nth),
            Operation::Purge(nth) => self.purge(*nth),
            Operation::Query(criterion) => {
                let all = self.in_store_order();
                let found = all.into_iter().filter(|it| criterion.select(&it.wish));
                Outcome::Selected(found.map(|it| it.wish.slot).collect())
            }
            Operation::Settle | Operation::Close(_) | Operation::Crash(_) => Outcome::Done,
        };
        self.touch();
        outcome
    }

    /// Returns the records in the order in which they were stored first.
    pub(crate) fn in_store_order(&self) -> Vec<Record> {
        let mut all: Vec<_> = self.records.values().copied().collect();
        all.sort_by_key(|record| record.order);
        all
    }

    /// Returns whether what waits for a slot is delivered.
    pub(crate) fn flows(&self, slot: usize) -> bool {
        let record = self.records.get(&slot);
        record.is_some_and(|record| {
            record.wish.enabled && self.components[record.wish.component].is_some()
        })
    }

    /// Returns the slots and serials of all dead letters.
    pub(crate) fn letters(&self) -> Vec<(usize, u64)> {
        let of = |slot: usize| {
            let letters = self.backlogs[slot].letters().iter();
            letters.map(move |letter| (slot, letter.serial))
        };
        (0..SLOTS).flat_map(of).collect()
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn touch(&mut self) {
        for (slot, record) in &self.records {
            let flows = self.flows(*slot);
            self.backlogs[*slot].touch(record.wish.component, flows);
        }
    }

    fn doubt_component(&mut self, component: usize) {
        for (slot, record) in &self.records {
            if record.wish.component == component {
                self.backlogs[*slot].doubt_lane(|_| true);
            }
        }
    }

    fn doubt_class(&mut self, class: usize) {
        for backlog in &mut self.backlogs {
            backlog.doubt_lane(|due| due.shot.class == class);
        }
    }

    fn register_class(&mut self, class: usize, like: Attributes) -> Outcome {
        if self.classes[class].is_none() {
            let version = self.tick();
            self.classes[class] = Some(Versioned {
                value: like,
                version,
            });
            self.doubt_class(class);
        }
        Outcome::Done
    }

    fn update_class(&mut self, class: usize, like: Attributes, of: Reading) -> Outcome {
        let read = match of {
            Reading::Fresh => self.classes[class].map(|it| it.version),
            Reading::Earlier => self.read_classes[class],
        };
        let Some(read) = read else {
            return Outcome::Done;
        };
        match self.classes[class] {
            None => Outcome::Refused(ErrorKind::NotFound),
            Some(present) if present.version != read => Outcome::Refused(ErrorKind::Conflict),
            Some(_) => {
                let version = self.tick();
                self.classes[class] = Some(Versioned {
                    value: like,
                    version,
                });
                self.doubt_class(class);
                Outcome::Done
            }
        }
    }

    fn unregister_class(&mut self, class: usize, bound: Bound) -> Outcome {
        if self.classes[class].is_none() {
            return Outcome::WasThere(false);
        }
        let slots: Vec<_> = self.records.keys().copied().collect();
        let slots = slots
            .into_iter()
            .filter(|slot| class_of(*slot) == Some(class));
        let slots: Vec<_> = slots.collect();
        if bound == Bound::Refuse && !slots.is_empty() {
            return Outcome::Refused(ErrorKind::InUse);
        }
        for slot in slots {
            self.remove(slot);
        }
        self.classes[class] = None;
        self.doubt_class(class);
        Outcome::WasThere(true)
    }

    fn register_component(&mut self, component: usize, how: Instances) -> Outcome {
        match self.components[component] {
            Some(present) if present == how => Outcome::Done,
            Some(_) => Outcome::Refused(ErrorKind::AlreadyExists),
            None => {
                self.components[component] = Some(how);
                self.doubt_component(component);
                Outcome::Done
            }
        }
    }

    fn ensure(&mut self, wish: Wish) -> Ensured {
        let outcome = match self.records.get(&wish.slot) {
            None => Ensured::Added,
            Some(present) if present.wish == wish => Ensured::Present,
            Some(present) if present.ensured == Some(present.wish) => Ensured::Updated,
            Some(_) => Ensured::Differs,
        };
        if matches!(outcome, Ensured::Added | Ensured::Updated) {
            self.put(wish, Some(wish));
        }
        outcome
    }

    fn put(&mut self, wish: Wish, ensured: Option<Wish>) {
        let version = self.tick();
        let present = self.records.get(&wish.slot).copied();
        let record = Record {
            wish,
            ensured: ensured.or(present.and_then(|it| it.ensured)),
            order: present.map_or(version, |it| it.order),
            version,
        };
        self.records.insert(wish.slot, record);
        self.backlogs[wish.slot].doubt_lane(|_| true);
    }

    fn update(&mut self, wish: Wish, of: Reading) -> Outcome {
        let present = self.records.get(&wish.slot).map(|it| it.version);
        let read = match of {
            Reading::Fresh => present,
            Reading::Earlier => self.read_records.get(&wish.slot).copied(),
        };
        match (read, present) {
            (None, _) => Outcome::Done,
            (read, present) if read != present => Outcome::Refused(ErrorKind::Conflict),
            _ => {
                self.put(wish, None);
                Outcome::Done
            }
        }
    }

    fn remove(&mut self, slot: usize) -> bool {
        let was_there = self.records.remove(&slot).is_some();
        if was_there {
            self.backlogs[slot].give_up();
        }
        was_there
    }

    fn switch(&mut self, slot: usize, on: bool) -> Outcome {
        match self.records.get(&slot).map(|it| it.wish) {
            None => Outcome::Refused(ErrorKind::NotFound),
            Some(wish) if wish.enabled == on => Outcome::Done,
            Some(wish) => {
                self.put(
                    Wish {
                        enabled: on,
                        ..wish
                    },
                    None,
                );
                Outcome::Done
            }
        }
    }

    fn swap(&mut self, (tree, key): Cell, old: Option<u8>, new: Option<u8>) -> Outcome {
        if self.trees[tree].get(&key).copied() != old {
            return Outcome::Refused(ErrorKind::Conflict);
        }
        self.write((tree, key), new);
        Outcome::Done
    }

    fn write(&mut self, (tree, key): Cell, value: Option<u8>) {
        match value {
            Some(value) => _ = self.trees[tree].insert(key, value),
            None => _ = self.trees[tree].remove(&key),
        }
    }

    fn fire(&mut self, shot: Shot, serial: u64) -> Outcome {
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

    fn transaction(&mut self, steps: &[Step], serial: u64) -> Outcome {
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
                let due = Due::new(serial, shot, Way::Lane, self.tick());
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
                Step::Expect(cell, value) => {
                    if *expected.entry(*cell).or_insert(*value) != *value {
                        return Some(ErrorKind::Invalid);
                    }
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

    fn replay(&mut self, nth: usize) -> Outcome {
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

    fn purge(&mut self, nth: usize) -> Outcome {
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
            let of_slot = letters.iter().filter(|letter| letter.0 == slot);
            let serials: Vec<_> = of_slot.map(|letter| letter.1).collect();
            backlog.crash(&serials);
        }
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

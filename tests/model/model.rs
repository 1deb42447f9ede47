//! What the broker is to be like, in plain collections, and what each operation is to return.

use std::collections::BTreeMap;

use loosely::{Ensured, ErrorKind};

use crate::backlog::Backlog;
use crate::operations::{
    Attributes, Bound, CLASSES, COMPONENTS, Cell, Instances, Operation, Reading, SLOTS, TREES, Wish,
};
use crate::records::class_of;

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
    pub(crate) read_classes: [Option<u64>; CLASSES],
    pub(crate) read_records: BTreeMap<usize, u64>,
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

    pub(crate) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    pub(crate) fn touch(&mut self) {
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

    pub(crate) fn ensure(&mut self, wish: Wish) -> Ensured {
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

    pub(crate) fn put(&mut self, wish: Wish, ensured: Option<Wish>) {
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

    pub(crate) fn remove(&mut self, slot: usize) -> bool {
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

    pub(crate) fn write(&mut self, (tree, key): Cell, value: Option<u8>) {
        match value {
            Some(value) => _ = self.trees[tree].insert(key, value),
            None => _ = self.trees[tree].remove(&key),
        }
    }
}

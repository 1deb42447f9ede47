//! The program under test: a broker on a medium, and all that is done with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use loosely::testing::{Fault, FaultyEngine, VirtualClock, VolatileEngine};
use loosely::{
    Broker, Cascade, DeadLetter, Error, EventClass, FireReport, LocalStore, Revision, Store,
    StoreOptions, Subscription, Value,
};

use crate::model::{Counts, Outcome};
use crate::operations::{
    Bound, CLASSES, COMPONENTS, Crash, Instant, Operation, Reading, Shot, Step,
};
use crate::records::{class_id, component_id, id_of, slot_of};
use crate::subscriber::{Orders, OrdersPublisher, Tape, component, event};

/// Longer than anything takes here: what takes longer hangs.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Where the wiring is kept.
pub(crate) enum Medium {
    Memory(VolatileEngine),
    #[cfg(feature = "sled")]
    Directory(tempfile::TempDir),
}

pub(crate) struct Program {
    medium: Medium,
    /// The engine as the store has it, and the store, where the medium is memory.
    store: Option<Stored>,
    pub(crate) broker: Broker,
    pub(crate) tape: Arc<Tape>,
    publishers: [Option<OrdersPublisher>; CLASSES],
    read_records: BTreeMap<usize, Subscription>,
    read_classes: [Option<EventClass>; CLASSES],
    newest: Revision,
}

impl Program {
    pub(crate) fn begin(medium: Medium, flawed: [bool; COMPONENTS]) -> Result<Self, String> {
        let (broker, store) = open(&medium)?;
        Ok(Self {
            medium,
            store,
            broker,
            tape: Tape::new(flawed),
            publishers: Default::default(),
            read_records: BTreeMap::new(),
            read_classes: Default::default(),
            newest: Revision::ZERO,
        })
    }

    /// Returns whether power can be lost.
    pub(crate) fn is_volatile(&self) -> bool {
        matches!(self.medium, Medium::Memory(_))
    }

    /// Has the power cut when it is time.
    pub(crate) fn arm(&self, crash: &Crash) {
        let (Medium::Memory(engine), Some((faulty, _))) = (&self.medium, &self.store) else {
            return;
        };
        let faults = match crash.at {
            Instant::Write => faulty.writes(),
            Instant::Sync => faulty.syncs(),
        };
        let (engine, kept) = (engine.clone(), crash.kept);
        faults.at(crash.nth, Fault::run(move || engine.cut_power(kept)));
    }

    /// Cuts the power, if it is not.
    pub(crate) fn cut(&self, kept: usize) {
        match &self.medium {
            Medium::Memory(engine) => engine.cut_power(kept),
            #[cfg(feature = "sled")]
            Medium::Directory(_) => {}
        }
    }

    /// Ends in good order.
    pub(crate) fn close(&mut self) -> Result<(), String> {
        self.broker.close(LONG).map_err(text)?;
        match &self.store {
            Some((_, store)) => store.close().map_err(text),
            None => Ok(()),
        }
    }

    /// Begins again with what is on the medium.
    pub(crate) fn restart(&mut self, flawed: [bool; COMPONENTS]) -> Result<(), String> {
        match &mut self.medium {
            Medium::Memory(engine) => *engine = engine.restarted(),
            #[cfg(feature = "sled")]
            Medium::Directory(_) => {}
        }
        (self.broker, self.store) = open(&self.medium)?;
        self.publishers = Default::default();
        self.tape = Tape::new(flawed);
        Ok(())
    }

    /// Forgets what was read to be updated.
    pub(crate) fn forget_read(&mut self) {
        self.read_records.clear();
        self.read_classes = Default::default();
    }

    /// Does something, of which the first event has the number `serial`; what is done with dead
    /// letters is with this one.
    pub(crate) fn perform(
        &mut self,
        operation: &Operation,
        serial: u64,
        letter: Option<(usize, u64)>,
    ) -> Result<Outcome, String> {
        let broker = &self.broker;
        let outcome = match operation {
            Operation::RegisterClass(class, like) => {
                self.publishers[*class] = None;
                let record = like.new_class(*class);
                broker
                    .register_class::<dyn Orders>(record)
                    .map(|_| Outcome::Done)
            }
            Operation::UpdateClass(class, like, of) => {
                let read = match of {
                    Reading::Fresh => broker.class(class_id(*class)),
                    Reading::Earlier => self.read_classes[*class].clone(),
                };
                let Some(read) = read else {
                    return Ok(Outcome::Done);
                };
                broker
                    .update_class(&like.over(read))
                    .map(|()| Outcome::Done)
            }
            Operation::UnregisterClass(class, bound) => {
                self.publishers[*class] = None;
                let cascade = match bound {
                    Bound::Refuse => Cascade::Refuse,
                    Bound::Remove => Cascade::Remove,
                };
                let found = broker.unregister_class(class_id(*class), cascade);
                found.map(Outcome::WasThere)
            }
            Operation::RegisterComponent(number, how) => {
                let component = component(*number, *how, &self.tape);
                broker.register_component(component).map(|()| Outcome::Done)
            }
            Operation::UnregisterComponent(number) => Ok(Outcome::WasThere(
                broker.unregister_component(component_id(*number)),
            )),
            Operation::Ensure(wish) => broker.ensure(&wish.to_record()).map(Outcome::Ensured),
            Operation::Store(wish) => match broker.store(&wish.to_record()) {
                Ok(revision) => return self.revised(revision),
                Err(error) => Err(error),
            },
            Operation::Remove(slot) => broker.remove(id_of(*slot)).map(Outcome::WasThere),
            Operation::Switch(slot, true) => broker.enable(id_of(*slot)).map(|()| Outcome::Done),
            Operation::Switch(slot, false) => broker.disable(id_of(*slot)).map(|()| Outcome::Done),
            Operation::Update(..) | Operation::Read => return self.edit(operation),
            Operation::Fire(shot) => self.fire(*shot, serial),
            Operation::Transaction(steps) => self.transaction(steps, serial),
            Operation::Replay(_) | Operation::Purge(_) => return self.see_to(operation, letter),
            Operation::Query(criterion) => {
                let found = broker.subscriptions(&criterion.text());
                found.map(|all| Outcome::Selected(all.iter().filter_map(slot).collect()))
            }
            Operation::Insert(..) | Operation::RemoveKey(_) | Operation::Swap(..) => {
                return self.write(operation);
            }
            Operation::Turn(_) | Operation::Settle | Operation::Close(_) | Operation::Crash(_) => {
                Ok(Outcome::Done)
            }
        };
        Ok(outcome.unwrap_or_else(|error| Outcome::Refused(error.kind())))
    }

    /// Takes in the revision of a commit, which is greater than all before.
    fn revised(&mut self, revision: Revision) -> Result<Outcome, String> {
        if revision <= self.newest {
            return Err(format!("{revision} came behind {}", self.newest));
        }
        self.newest = revision;
        Ok(Outcome::Done)
    }

    fn edit(&mut self, operation: &Operation) -> Result<Outcome, String> {
        let broker = &self.broker;
        let Operation::Update(wish, of) = operation else {
            let all = broker.subscriptions("ALL").map_err(text)?.into_iter();
            self.read_records = all.filter_map(|it| Some((slot(&it)?, it))).collect();
            let classes: Vec<_> = (0..CLASSES).map(|it| broker.class(class_id(it))).collect();
            self.read_classes = classes.try_into().unwrap_or_default();
            return Ok(Outcome::Done);
        };
        let read = match of {
            Reading::Fresh => broker.subscription(id_of(wish.slot)),
            Reading::Earlier => self.read_records.get(&wish.slot).cloned(),
        };
        let Some(read) = read else {
            return Ok(Outcome::Done);
        };
        let Some(revision) = read.revision() else {
            return Err(format!("{read:?} has no revision"));
        };
        match broker.store(&wish.to_record_at(&read)) {
            Ok(stored) if stored <= revision => Err(format!("{stored} came behind {revision}")),
            Ok(stored) => self.revised(stored),
            Err(error) => Ok(Outcome::Refused(error.kind())),
        }
    }

    fn write(&mut self, operation: &Operation) -> Result<Outcome, String> {
        let written = match operation {
            Operation::Insert(cell, value) => {
                let tree = self.broker.tree(tree_name(cell.0)).map_err(text)?;
                tree.insert([cell.1], [*value])
            }
            Operation::Swap(cell, old, new) => {
                let tree = self.broker.tree(tree_name(cell.0)).map_err(text)?;
                let [old, new] = [old, new].map(|it| it.map(|value| [value]));
                let [old, new] = [&old, &new].map(|it| it.as_ref().map(<[u8; 1]>::as_slice));
                tree.compare_and_swap([cell.1], old, new)
            }
            Operation::RemoveKey(cell) => {
                let tree = self.broker.tree(tree_name(cell.0)).map_err(text)?;
                let removed = tree.remove([cell.1]).map(Outcome::WasThere);
                return Ok(removed.unwrap_or_else(|error| Outcome::Refused(error.kind())));
            }
            _ => return Ok(Outcome::Done),
        };
        match (written, operation) {
            // What was not there and is not to be there is no change.
            (Ok(_), Operation::Swap(_, None, None)) => Ok(Outcome::Done),
            (Ok(revision), _) => self.revised(revision),
            (Err(error), _) => Ok(Outcome::Refused(error.kind())),
        }
    }

    fn publisher(&mut self, class: usize) -> Result<&OrdersPublisher, Error> {
        let slot = &mut self.publishers[class];
        if slot.is_none() {
            *slot = Some(self.broker.publisher_of::<dyn Orders>(class_id(class))?);
        }
        Ok(slot.as_ref().unwrap())
    }

    fn fire(&mut self, shot: Shot, serial: u64) -> Result<Outcome, Error> {
        let orders = self.publisher(shot.class)?;
        let report = match shot.symbol {
            Some(symbol) => orders.placed(serial, &symbol.to_string(), shot.amount),
            None => orders.cancelled(serial, shot.amount),
        };
        Ok(Outcome::Fired(counts(&report)))
    }

    fn transaction(&mut self, steps: &[Step], mut serial: u64) -> Result<Outcome, Error> {
        let mut transaction = self.broker.transaction();
        for step in steps {
            match step {
                Step::Insert(cell, value) => {
                    let mut tree = transaction.tree(tree_name(cell.0))?;
                    tree.insert([cell.1], [*value])?;
                }
                Step::RemoveKey(cell) => {
                    transaction.tree(tree_name(cell.0))?.remove([cell.1])?;
                }
                Step::Expect(cell, Some(value)) => {
                    let mut tree = transaction.tree(tree_name(cell.0))?;
                    tree.expect([cell.1], [*value])?;
                }
                Step::Expect(cell, None) => {
                    let mut tree = transaction.tree(tree_name(cell.0))?;
                    tree.expect_absent([cell.1])?;
                }
                Step::Ensure(wish) => _ = transaction.ensure(&wish.to_record())?,
                Step::Store(wish) => _ = transaction.store(&wish.to_record())?,
                Step::Remove(slot) => _ = transaction.remove(id_of(*slot))?,
                Step::Fire(shot) => {
                    let orders = self.publisher(shot.class)?;
                    transaction.fire(orders, event(serial, *shot))?;
                    serial += 1;
                }
            }
        }
        let committed = transaction.commit()?;
        let ensured = committed.ensured().iter();
        let ensured = ensured.filter_map(|(id, what)| Some((slot_of(*id)?, *what)));
        let removed = committed.removed().iter();
        Ok(Outcome::Committed {
            ensured: ensured.collect(),
            removed: removed.filter_map(|id| slot_of(*id)).collect(),
            queued: committed.queued(),
        })
    }

    /// Replays or purges a dead letter.
    fn see_to(
        &mut self,
        operation: &Operation,
        letter: Option<(usize, u64)>,
    ) -> Result<Outcome, String> {
        let Some((slot, serial)) = letter else {
            return Ok(Outcome::Done);
        };
        let of = |letter: &DeadLetter| key_of_letter(letter) == Some((slot, serial));
        let found = match self.broker.dead_letters() {
            Ok(letters) => letters.into_iter().find(of),
            Err(error) => return Ok(Outcome::Refused(error.kind())),
        };
        let letter = found.ok_or_else(|| format!("the dead letter {serial} is gone"))?;
        let outcome = match operation {
            Operation::Replay(_) => self.broker.replay(&letter),
            _ => self.broker.purge(&letter),
        };
        let outcome = outcome.map(|()| Outcome::Done);
        Ok(outcome.unwrap_or_else(|error| Outcome::Refused(error.kind())))
    }

    /// Returns the slots and serials of all dead letters.
    pub(crate) fn letters(&self) -> Result<Vec<(usize, u64)>, String> {
        let letters = self.broker.dead_letters().map_err(text)?;
        let mut keys: Vec<_> = letters.iter().filter_map(key_of_letter).collect();
        // Those of each subscription are in order.
        keys.sort_by_key(|(slot, _)| *slot);
        Ok(keys)
    }
}

fn open(medium: &Medium) -> Result<(Broker, Option<Stored>), String> {
    let clock = VirtualClock::new();
    let builder = Broker::builder().on_failure(|_, _| {}).clock(&clock);
    let builder = builder.delivery_threads(2);
    let (builder, store) = match medium {
        Medium::Memory(engine) => {
            let engine = FaultyEngine::over(engine.clone());
            let options = StoreOptions::new().without_copy().clock(&clock);
            let store = LocalStore::with_engine(engine.clone(), options).map_err(text)?;
            let store: Arc<dyn Store> = Arc::new(store);
            (builder.store(Arc::clone(&store)), Some((engine, store)))
        }
        #[cfg(feature = "sled")]
        Medium::Directory(directory) => (builder.path(directory.path()).without_copy(), None),
    };
    Ok((builder.open().map_err(text)?, store))
}

type Stored = (FaultyEngine<VolatileEngine>, Arc<dyn Store>);

fn key_of_letter(letter: &DeadLetter) -> Option<(usize, u64)> {
    match letter.values().get("serial") {
        Some(Value::U64(serial)) => Some((slot_of(letter.subscription())?, *serial)),
        _ => None,
    }
}

fn counts(report: &FireReport) -> Counts {
    Counts {
        delivered: report.delivered(),
        failed: report.failed(),
        accepted: report.accepted(),
        filtered: report.filtered(),
    }
}

fn slot(record: &Subscription) -> Option<usize> {
    slot_of(record.id())
}

pub(crate) fn tree_name(tree: usize) -> String {
    format!("tree {tree}")
}

pub(crate) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

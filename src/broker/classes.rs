//! Event classes: registering, reading, removing.

use std::sync::Arc;

use super::Broker;
use super::wiring::Wiring;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{EventClass, EventClassId, Revision, Right};
use crate::publish::{ClassCriteria, SubscriptionCriteria, SubscriptionEntry};
use crate::store::Batch;
use crate::store::record::{self, RecordKey};
use crate::value::{EventInterface, InterfaceId, InterfaceSchema, RustType};

/// What becomes of the subscriptions that are bound to a class when it is removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cascade {
    /// A class that is in use is not removed.
    #[default]
    Refuse,
    /// Stored subscriptions that are bound to the class are removed with it, in one commit.
    Remove,
}

impl Broker {
    /// Registers an event class on the interface `I`.
    ///
    /// Code owns the interface's schema; the store owns every attribute of the class after the
    /// first registration. So registering it again changes nothing but what it must: the interface,
    /// if the class did not have it. Without an explicit registration a default class is made, with
    /// the interface's name and the id that this name stands for.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) with all that is wrong with the record,
    /// [`Filter`](ErrorKind::Filter) if a default query does not parse or does not fit the columns,
    /// [`NotFound`](ErrorKind::NotFound) if a publisher filter that it bears compares bags by a
    /// name that no event of it has, [`AlreadyExists`](ErrorKind::AlreadyExists) if another Rust
    /// type has claimed the interface's id, [`Denied`](ErrorKind::Denied) if this is a view that
    /// lacks the right to define and there is something to write, [`Corrupt`](ErrorKind::Corrupt)
    /// if a class with the id is stored and cannot be read, and what the store reports.
    pub fn register_class<I: EventInterface + ?Sized>(
        &self,
        class: EventClass,
    ) -> Result<EventClassId> {
        self.claim::<I>()?;
        self.register(class.with_interface(I::schema().id()), I::schema())
    }

    /// Registers an event class on an interface that has no Rust type in this program.
    ///
    /// # Errors
    ///
    /// As [`register_class`](Self::register_class).
    pub fn register_dynamic_class(
        &self,
        class: EventClass,
        schema: &InterfaceSchema,
    ) -> Result<EventClassId> {
        self.register(class.with_interface(schema.id()), schema)
    }

    fn register(&self, class: EventClass, schema: &InterfaceSchema) -> Result<EventClassId> {
        class.validate()?;
        SubscriptionCriteria::check_criteria(&class)?;
        self.core
            .wiring
            .with(|state, _| state.check_bags(&class, Some(schema)))?;
        self.until_settled(|| {
            let present = self.known_class(class.id());
            let mut batch = Batch::new();
            match &present {
                None => {
                    self.require(Right::Define, Some(&class))?;
                    batch.expect_absent(RecordKey::Class(class.id()).to_bytes());
                    put_class(&mut batch, &class)?;
                }
                Some(record) if !record.interfaces().contains(&schema.id()) => {
                    expect(&mut batch, record);
                    put_class(
                        &mut batch,
                        &EventClass::clone(record).with_interface(schema.id()),
                    )?;
                }
                Some(_) => {}
            }
            self.put_schema(&mut batch, schema)?;
            if batch.is_empty() {
                return self.core.check_open();
            }
            if let Some(present) = &present {
                self.require(Right::Define, Some(present))?;
            }
            self.core.commit(batch).map(drop)
        })?;
        Ok(class.id())
    }

    /// Makes the schema the newest of its interface in the store, for programs without the Rust
    /// type; an older version that comes back makes its own the newest again.
    pub(super) fn keep_schema(&self, schema: &InterfaceSchema) -> Result<()> {
        let mut batch = Batch::new();
        self.put_schema(&mut batch, schema)?;
        if batch.is_empty() {
            return Ok(());
        }
        self.core.commit(batch).map(drop)
    }

    fn put_schema(&self, batch: &mut Batch, schema: &InterfaceSchema) -> Result<()> {
        if self.core.wiring.with(|state, _| state.has_stored(schema)) {
            return Ok(());
        }
        let key = RecordKey::of_schema(schema).to_bytes();
        batch.put(key, record::encode_schema(schema)?);
        Ok(())
    }

    /// Returns the class of this id.
    pub fn class(&self, id: impl Into<EventClassId>) -> Option<EventClass> {
        let class = self.known_class(id.into())?;
        let may_read = self.access().may_read(Some(&class));
        may_read.then(|| EventClass::clone(&class))
    }

    /// Returns the classes of which `criteria` are true, by name; `"ALL"` selects every one.
    ///
    /// The columns are those of the record: `id`, `name`, `publisher`, `description`, `owner`,
    /// `open_properties`, `unordered`, `publisher_filters` (a list: those for all methods),
    /// `parallel`, `revision`; COM+'s names for them are taken too. The built-in classes, such as
    /// [`WIRING_CHANGES`](crate::WIRING_CHANGES), have no record unless somebody stored one, and
    /// are found by their ids alone.
    ///
    /// # Errors
    ///
    /// [`Filter`](ErrorKind::Filter) if the criteria do not parse or do not fit the columns.
    #[doc(alias("Query", "QueryS"))]
    pub fn classes(&self, criteria: &str) -> Result<Vec<EventClass>> {
        let select = ClassCriteria::parse(criteria)?;
        let all: Vec<_> = self.core.wiring.with(|state, _| {
            state
                .classes
                .values()
                .map(|entry| Arc::clone(&entry.record))
                .filter(|class| class.revision().is_some())
                .collect()
        });
        let access = self.access();
        let mut found: Vec<_> = all
            .iter()
            .filter(|class| select.matches(class))
            .filter(|class| access.may_read(Some(class)))
            .map(|class| EventClass::clone(class))
            .collect();
        found.sort_by(|a, b| (a.name(), a.id()).cmp(&(b.name(), b.id())));
        Ok(found)
    }

    /// Returns the classes that offer an interface, by id.
    #[doc(alias = "EventClassesForIID")]
    pub fn classes_of_interface(&self, interface: impl Into<InterfaceId>) -> Vec<EventClass> {
        let classes = self
            .core
            .wiring
            .with(|state, _| state.classes_of(interface.into()));
        let access = self.access();
        classes
            .iter()
            .filter(|class| access.may_read(Some(class)))
            .map(|class| EventClass::clone(class))
            .collect()
    }

    /// Replaces the attributes of a class that is in the store, if it is still at the revision at
    /// which `class` was read.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) with all that is wrong with the record,
    /// [`Filter`](ErrorKind::Filter) if a default query does not parse or does not fit the columns,
    /// [`NotFound`](ErrorKind::NotFound) if there is no such class, or a publisher filter that it
    /// bears compares bags by a name that no event of it has,
    /// [`Conflict`](ErrorKind::Conflict) if somebody else changed it since,
    /// [`Denied`](ErrorKind::Denied) if this is a view that lacks the right to define, and what the
    /// store reports.
    pub fn update_class(&self, class: &EventClass) -> Result<()> {
        class.validate()?;
        SubscriptionCriteria::check_criteria(class)?;
        let Some(present) = self.known_class(class.id()) else {
            let message = format!("there is no event class {}", class.id());
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        self.require(Right::Define, Some(&present))?;
        self.core
            .wiring
            .with(|state, _| state.check_bags(class, None))?;
        let mut batch = Batch::new();
        if class.revision().is_some() {
            expect(&mut batch, class);
        } else {
            expect(&mut batch, &present);
        }
        put_class(&mut batch, class)?;
        self.core.commit(batch).map(drop)
    }

    /// Removes a class; publishers that still have it reach nobody from then on. Subscriptions to
    /// its interface from any class are not bound to it, and stay. Returns whether there was one.
    /// A built-in class is there all the same: what goes is the record that somebody stored of it.
    ///
    /// # Errors
    ///
    /// [`InUse`](ErrorKind::InUse) if stored subscriptions are bound to it and `cascade` refuses;
    /// [`Denied`](ErrorKind::Denied) if this is a view that lacks the right to define, or may not
    /// remove what is bound to it;
    /// else what the store reports.
    pub fn unregister_class(&self, id: impl Into<EventClassId>, cascade: Cascade) -> Result<bool> {
        let id = id.into();
        let key = RecordKey::Class(id).to_bytes();
        let access = self.access();
        let mut found = false;
        self.until_quiet(|| {
            let (revision, class, bound) = self.with_bound(id);
            let Some(class) = class else {
                found = self.remove_stored(key.clone(), Right::Define)?;
                return Ok(());
            };
            found = class.revision().is_some();
            if !found {
                return self.core.check_open();
            }
            access.require(Right::Define, Some(&class))?;
            if cascade == Cascade::Refuse && !bound.is_empty() {
                let message = format!(
                    "{} subscriptions are bound to {:?}",
                    bound.len(),
                    class.name()
                );
                return Err(Error::new(ErrorKind::InUse, message));
            }
            access.require_writing(bound.iter().map(|entry| &entry.record))?;
            let mut batch = Batch::new();
            // A subscription that was bound to the class meanwhile is in none of its records.
            batch.expect_nothing_under(record::PREFIX, revision);
            batch.delete(key.clone());
            for entry in &bound {
                batch.delete(RecordKey::Subscription(entry.record.id()).to_bytes());
            }
            self.core.commit(batch).map(drop)
        })?;
        Ok(found)
    }

    /// Returns a class and the stored subscriptions that are bound to it by its id, as of a
    /// revision.
    fn with_bound(
        &self,
        id: EventClassId,
    ) -> (
        Revision,
        Option<Arc<EventClass>>,
        Vec<Arc<SubscriptionEntry>>,
    ) {
        self.core.wiring.with(|state, _| {
            let stored = |entry: &&Arc<SubscriptionEntry>| {
                let record = &entry.record;
                record.binding().class() == Some(id) && !record.is_object()
            };
            let bound = state.bound_to(id).filter(stored).cloned().collect();
            let class = state.classes.get(&id);
            let class = class.map(|entry| Arc::clone(&entry.record));
            (state.revision, class, bound)
        })
    }

    /// Makes the schema of `I` known, and `I` its only Rust type.
    pub(super) fn claim<I: EventInterface + ?Sized>(&self) -> Result<()> {
        claim(&self.core.wiring, I::schema(), RustType::of::<I>())
    }

    /// Repeats a commit that was prepared from what somebody else has changed meanwhile.
    ///
    /// Whoever causes a conflict has committed, and this broker was told of it under the commit
    /// lock. If it was told of nothing, the record that conflicts is one that it cannot read.
    pub(super) fn until_settled(&self, attempt: impl FnMut() -> Result<()>) -> Result<()> {
        self.until_still(Self::wiring_changed, attempt)
    }

    /// As [`until_settled`](Self::until_settled), for a commit that expects nothing to have changed
    /// since a revision: what the log of changes has forgotten is a conflict too, and whatever was
    /// committed may have brought that about.
    pub(super) fn until_quiet(&self, attempt: impl FnMut() -> Result<()>) -> Result<()> {
        self.until_still(Self::revision, attempt)
    }

    fn until_still(
        &self,
        seen: impl Fn(&Self) -> Revision,
        mut attempt: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        loop {
            let before = seen(self);
            match attempt() {
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    self.core.check_open()?;
                    if seen(self) == before {
                        return Err(unreadable(error));
                    }
                }
                settled => return settled,
            }
        }
    }

    /// Returns the newest commit that changed a record, as far as this broker was told: commits of
    /// trees and of what triggers know come between, and settle nothing.
    pub(super) fn wiring_changed(&self) -> Revision {
        self.core.wiring.with(|state, _| state.changed)
    }

    /// Removes a record that is in the store, be it one that was not listed since it cannot be
    /// read, if that right is there where no class is concerned. Returns whether there was one:
    /// whoever lacks the right and would have nothing removed is refused nothing.
    pub(super) fn remove_stored(&self, key: Vec<u8>, right: Right) -> Result<bool> {
        self.core.check_open()?;
        if self.core.store.get(&key)?.is_none() {
            return Ok(false);
        }
        self.require(right, None)?;
        let mut batch = Batch::new();
        batch.delete(key);
        self.core.commit(batch).map(|_| true)
    }
}

pub(super) fn unreadable(conflict: Error) -> Error {
    let message = "the stored record cannot be read, and is kept until it is replaced or removed";
    Error::new(ErrorKind::Corrupt, message).because(conflict)
}

/// Makes a schema known, and `rust_type` its only Rust type.
pub(super) fn claim(wiring: &Wiring, schema: &InterfaceSchema, rust_type: RustType) -> Result<()> {
    let claimed = wiring.change(|state, changes| state.claim(schema, rust_type, changes));
    claimed.map_err(|present| {
        let message = format!(
            "the interface {:?} ({}) is {present} in this program, not {}",
            schema.name(),
            schema.id(),
            rust_type.name
        );
        Error::new(ErrorKind::AlreadyExists, message)
    })
}

fn put_class(batch: &mut Batch, class: &EventClass) -> Result<()> {
    let key = RecordKey::Class(class.id()).to_bytes();
    batch.put(key, record::encode_class(class)?);
    Ok(())
}

/// Expects the class to be at the revision at which the record was read; one that has none is built
/// in, and nobody has stored another.
fn expect(batch: &mut Batch, class: &EventClass) {
    let key = RecordKey::Class(class.id()).to_bytes();
    match class.revision() {
        Some(revision) => batch.expect_revision(key, revision),
        None => batch.expect_absent(key),
    };
}

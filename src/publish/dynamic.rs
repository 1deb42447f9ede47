//! Publishing without the Rust type.

use std::fmt;
use std::sync::Arc;

use super::channel::AnyChannel;
use super::explain::Explanation;
use super::interest::Interest;
use super::publisher::{Own, checked_method};
use super::report::FireReport;
use super::versions::event_in;
use super::with::Origin;
use crate::delivery::{depth, settle, wait};
use crate::error::Result;
use crate::model::{EventClass, EventClassId, PublisherId};
use crate::sync::RwLock;
use crate::value::{InterfaceSchema, Value, ValueRef};

/// Where the channel of a class and interface is found; the untyped one gives way to the typed one
/// when the Rust type becomes known.
pub(crate) type ChannelCell = RwLock<Arc<dyn AnyChannel>>;

/// A publisher object that fires methods by name, with values checked against the schema.
#[derive(Clone)]
pub struct DynamicPublisher {
    pub(super) cell: Arc<ChannelCell>,
    pub(super) own: Arc<Own>,
}

impl DynamicPublisher {
    pub(crate) fn new(cell: Arc<ChannelCell>, own: Own) -> Self {
        Self {
            cell,
            own: Arc::new(own),
        }
    }

    /// Returns what belongs to the publisher object.
    pub(crate) fn own(&self) -> &Own {
        &self.own
    }

    pub(crate) fn channel(&self) -> Arc<dyn AnyChannel> {
        Arc::clone(&self.cell.read())
    }

    /// Fires `method` with these arguments, in the order of its parameters; trailing ones that may
    /// be NULL can be left out.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) if the interface has no such method;
    /// [`SchemaMismatch`](crate::ErrorKind::SchemaMismatch) if an argument does not fit its
    /// parameter. Then nobody was called.
    pub fn fire(&self, method: &str, arguments: &[ValueRef<'_>]) -> Result<FireReport> {
        self.fire_from(Origin::from(&*self.own), method, arguments)
    }

    pub(super) fn fire_from(
        &self,
        origin: Origin<'_>,
        method: &str,
        arguments: &[ValueRef<'_>],
    ) -> Result<FireReport> {
        let channel = self.channel();
        let (method, arguments) = checked_method(channel.schema(), method, arguments)?;
        if channel.must_wait() {
            let values: Vec<_> = arguments.iter().map(ValueRef::to_value).collect();
            let (own, cell) = (origin.captured(), Arc::clone(&self.cell));
            wait(Box::new(move || {
                let views: Vec<_> = values.iter().map(Value::view).collect();
                // The channel may be another by then, with another schema.
                let present = Arc::clone(&cell.read());
                match event_in(channel.schema(), method, &views, present.schema()) {
                    Some((method, views)) => present.fire_values(method, &views, (&own).into()),
                    None => channel.fire_values(method, &views, (&own).into()),
                };
            }));
            return Ok(FireReport::waiting());
        }
        let report = channel.fire_values(method, &arguments, origin);
        if depth() == 0 {
            settle();
        }
        Ok(report)
    }

    /// Returns what subscriptions ask for, as [`Publisher::interest`](crate::Publisher::interest).
    pub fn interest(&self) -> Interest {
        Interest::new(Arc::clone(&self.cell), Arc::clone(&self.own))
    }

    /// Says what a fire with these arguments would do, and calls nobody.
    ///
    /// # Errors
    ///
    /// As [`fire`](Self::fire).
    pub fn explain(&self, method: &str, arguments: &[ValueRef<'_>]) -> Result<Explanation> {
        self.explain_from(Origin::from(&*self.own), method, arguments)
    }

    pub(super) fn explain_from(
        &self,
        origin: Origin<'_>,
        method: &str,
        arguments: &[ValueRef<'_>],
    ) -> Result<Explanation> {
        let channel = self.channel();
        let (method, arguments) = checked_method(channel.schema(), method, arguments)?;
        Ok(channel.explain(method, &arguments, origin))
    }

    /// Sets a publisher property, which filters read as `publisher.NAME`.
    ///
    /// # Errors
    ///
    /// As [`Publisher::set`](crate::Publisher::set).
    pub fn set(&self, name: &str, value: impl Into<Value>) -> Result<()> {
        self.own.set(&self.channel().class(), name, value.into())
    }

    /// Returns the value of a publisher property: the object's own, or the class's default.
    pub fn property(&self, name: &str) -> Option<Value> {
        self.channel().property(&self.own, name)
    }

    /// Gives the publisher object an id, as [`Publisher::set_id`](crate::Publisher::set_id).
    pub fn set_id(&self, id: impl Into<PublisherId>) {
        self.own.set_id(id.into());
    }

    /// Returns the id that the publisher object was given, or that its class has.
    pub fn id(&self) -> Option<PublisherId> {
        self.own.id(&self.channel().class())
    }

    /// Returns the class that it fires.
    pub fn class(&self) -> EventClass {
        EventClass::clone(&self.channel().class())
    }

    /// Returns the id of the class that it fires.
    pub fn class_id(&self) -> EventClassId {
        self.channel().class().id()
    }

    /// Returns the interface's schema.
    pub fn schema(&self) -> InterfaceSchema {
        InterfaceSchema::clone(self.channel().schema())
    }
}

impl fmt::Debug for DynamicPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = self.channel().class();
        f.debug_struct("DynamicPublisher")
            .field("class", &class.name())
            .finish_non_exhaustive()
    }
}

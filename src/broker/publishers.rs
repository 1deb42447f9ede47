//! Publisher objects, typed and by name.

use std::any::Any;
use std::sync::Arc;

use super::Broker;
use super::classes::claim;
use super::wiring::Wiring;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{EventClass, EventClassId, Right};
use crate::publish::{DynamicPublisher, Explanation, Own, Publisher, Publishes};
use crate::value::{EventInterface, InterfaceId, RustType, ValueRef};

impl Broker {
    /// Returns a new publisher object that fires the interface `I`: of the one class that offers
    /// it, or of a default class, made now, if none does.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if several classes offer the interface and none of them is
    /// the default one: say which with [`publisher_of`](Self::publisher_of).
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if another Rust type has claimed the interface's
    /// id, and what the store reports when the default class is made.
    pub fn publisher<I: Publishes + ?Sized>(&self) -> Result<I::Publisher> {
        self.core.check_open()?;
        self.claim::<I>()?;
        let schema = I::schema();
        let classes = self
            .core
            .wiring
            .with(|state, _| state.classes_of(schema.id()));
        let default = EventClassId::named(schema.name());
        let class = match classes.as_slice() {
            [] => self.register_class::<I>(EventClass::new(default, schema.name()))?,
            [only] => only.id(),
            several if several.iter().any(|class| class.id() == default) => default,
            several => {
                let names: Vec<_> = several.iter().map(|class| class.name()).collect();
                let message = format!(
                    "{} classes offer the interface {}: {}; name one with publisher_of",
                    several.len(),
                    schema.name(),
                    names.join(", ")
                );
                return Err(Error::new(ErrorKind::Invalid, message));
            }
        };
        self.publisher_of::<I>(class)
    }

    /// Returns a new publisher object that fires the interface `I` of this class.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if there is no such class, or it does not offer the
    /// interface; [`Denied`](ErrorKind::Denied) if this is a view of a principal who lacks the
    /// right to publish; [`AlreadyExists`](ErrorKind::AlreadyExists) if another Rust type has
    /// claimed the interface's id; [`Closed`](ErrorKind::Closed) after the broker was closed; what
    /// the store reports, if the interface is not as it was when the store was last told of it.
    pub fn publisher_of<I: Publishes + ?Sized>(
        &self,
        class: impl Into<EventClassId>,
    ) -> Result<I::Publisher> {
        self.core.check_open()?;
        Ok(self.plain_publisher::<I>(class.into())?.into())
    }

    fn plain_publisher<I: EventInterface + ?Sized>(
        &self,
        id: EventClassId,
    ) -> Result<Publisher<I>> {
        self.claim::<I>()?;
        let (class, _) = self.offered(id, Some(I::schema().id()))?;
        let own = Arc::new(Own::new(self.gate(&class)?));
        self.keep_schema(I::schema())?;
        let channel = self
            .core
            .wiring
            .with(|state, trash| state.channel::<I>(id, &self.core.around, trash));
        let channel = channel.ok_or_else(|| no_class(id))?;
        Ok(Publisher::new(channel, own))
    }

    /// Returns a new publisher object that fires by name, for a program without the Rust type.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if there is no such class,
    /// [`Denied`](ErrorKind::Denied) as [`publisher_of`](Self::publisher_of),
    /// [`Invalid`](ErrorKind::Invalid) if it offers several interfaces: say which with
    /// [`dynamic_publisher_of`](Self::dynamic_publisher_of).
    pub fn dynamic_publisher(&self, class: impl Into<EventClassId>) -> Result<DynamicPublisher> {
        let class = class.into();
        let (_, interface) = self.offered(class, None)?;
        self.dynamic_publisher_of(class, interface)
    }

    /// Returns a new publisher object that fires one interface of a class by name.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if there is no such class, or it does not offer the
    /// interface, or nobody ever stored the interface's schema; [`Denied`](ErrorKind::Denied) as
    /// [`publisher_of`](Self::publisher_of).
    pub fn dynamic_publisher_of(
        &self,
        class: impl Into<EventClassId>,
        interface: impl Into<InterfaceId>,
    ) -> Result<DynamicPublisher> {
        self.core.check_open()?;
        let (class, interface) = self.offered(class.into(), Some(interface.into()))?;
        let own = Own::new(self.gate(&class)?);
        self.untyped(class.id(), interface, own)
    }

    fn untyped(
        &self,
        class: EventClassId,
        interface: InterfaceId,
        own: Own,
    ) -> Result<DynamicPublisher> {
        let cell = self
            .core
            .wiring
            .with(|state, trash| state.untyped(class, interface, &self.core.around, trash));
        let publisher = cell.map(|cell| DynamicPublisher::new(cell, own));
        publisher.ok_or_else(|| {
            let message = format!("the schema of the interface {interface} is not known");
            Error::new(ErrorKind::NotFound, message)
        })
    }

    /// Says what a fire of `method` with these values would do if the system fired it, and calls
    /// nobody.
    ///
    /// # Errors
    ///
    /// [`Denied`](ErrorKind::Denied) if this is a view that lacks the right to read the class;
    /// [`NotFound`](ErrorKind::NotFound) if there is no such class, or none of its interfaces that
    /// are known has such a method; [`Invalid`](ErrorKind::Invalid) if several have: ask
    /// [`dynamic_publisher_of`](Self::dynamic_publisher_of) one of them. Else as
    /// [`DynamicPublisher::explain`].
    pub fn explain(
        &self,
        class: impl Into<EventClassId>,
        method: &str,
        values: &[ValueRef<'_>],
    ) -> Result<Explanation> {
        self.core.check_open()?;
        let (class, interface) = self.interface_with(class.into(), method)?;
        self.require(Right::Read, Some(&class))?;
        self.untyped(class.id(), interface, Own::new(None))?
            .explain(method, values)
    }

    /// Returns the one interface of a class that has a method of this name; of a class with one
    /// interface, that.
    fn interface_with(
        &self,
        id: EventClassId,
        method: &str,
    ) -> Result<(Arc<EventClass>, InterfaceId)> {
        let class = self.known_class(id).ok_or_else(|| no_class(id))?;
        if let [only] = class.interfaces() {
            let only = *only;
            return Ok((class, only));
        }
        let having: Vec<_> = self.core.wiring.with(|state, _| {
            let offered = class.interfaces().iter();
            let known = offered.filter_map(|id| Some((*id, state.interfaces.get(id)?)));
            known
                .filter(|(_, known)| known.schema.method(method).is_some())
                .map(|(id, _)| id)
                .collect()
        });
        let (kind, message) = match having.as_slice() {
            [only] => return Ok((class, *only)),
            [] => (
                ErrorKind::NotFound,
                format!(
                    "no known interface of {:?} has a method {method:?}",
                    class.name()
                ),
            ),
            several => (
                ErrorKind::Invalid,
                format!(
                    "{} interfaces of {:?} have a method {method:?}; name one with \
                     dynamic_publisher_of",
                    several.len(),
                    class.name()
                ),
            ),
        };
        Err(Error::new(kind, message))
    }

    /// Returns the interface that a class offers: the one asked for, or the only one.
    fn offered(
        &self,
        id: EventClassId,
        interface: Option<InterfaceId>,
    ) -> Result<(Arc<EventClass>, InterfaceId)> {
        let class = self.known_class(id).ok_or_else(|| no_class(id))?;
        let found = match (interface, class.interfaces()) {
            (Some(interface), offered) if offered.contains(&interface) => Ok(interface),
            (None, [only]) => Ok(*only),
            (Some(interface), _) => Err(not_offered(&class, interface)),
            (None, offered) => {
                let message = format!(
                    "{:?} offers {} interfaces; name one with dynamic_publisher_of",
                    class.name(),
                    offered.len()
                );
                Err(Error::new(ErrorKind::Invalid, message))
            }
        };
        found.map(|interface| (class, interface))
    }
}

impl<I: EventInterface + ?Sized> Publisher<I> {
    /// Returns another interface of the same publisher object: of the same class, with the same
    /// properties.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if the class does not offer the interface,
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if another Rust type has claimed the interface's
    /// id, [`Closed`](ErrorKind::Closed) if the broker is gone.
    #[doc(alias = "QueryInterface")]
    pub fn interface<J: Publishes + ?Sized>(&self) -> Result<J::Publisher> {
        let upkeep: Option<Arc<dyn Any + Send + Sync>> =
            self.around().upkeep.upgrade().map(|upkeep| upkeep as _);
        let wiring: Option<Arc<Wiring>> = upkeep.and_then(|upkeep| upkeep.downcast().ok());
        let wiring = wiring.ok_or_else(|| Error::new(ErrorKind::Closed, "the broker is gone"))?;
        let (class, schema) = (self.class(), J::schema());
        if !class.interfaces().contains(&schema.id()) {
            return Err(not_offered(&class, schema.id()));
        }
        claim(&wiring, schema, RustType::of::<J>())?;
        let channel =
            wiring.with(|state, trash| state.channel::<J>(class.id(), self.around(), trash));
        let channel = channel.ok_or_else(|| no_class(class.id()))?;
        Ok(Publisher::new(channel, Arc::clone(self.own())).into())
    }
}

fn not_offered(class: &EventClass, interface: InterfaceId) -> Error {
    let message = format!(
        "{:?} does not offer the interface {interface}",
        class.name()
    );
    Error::new(ErrorKind::NotFound, message)
}

fn no_class(id: EventClassId) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no event class {id}"))
}

//! Private subscriptions: what one publisher object alone knows.

use super::Broker;
use super::core::core_of;
use super::transient::{IntoSubscriber, IntoTarget, SubscriptionGuard};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{EventClass, Subscription, SubscriptionId};
use crate::publish::{DynamicPublisher, LiveObject, Own, Publisher, Surroundings};
use crate::value::{EventInterface, InterfaceSchema};

/// Private subscriptions: of this publisher object, its clones and its other interfaces, whatever
/// id it has, and of no other one.
///
/// They are transient ones of which nobody else knows: queries of the broker do not find them, and
/// neither do the events about the wiring tell of them; the object's own
/// [`subscriptions`](Self::subscriptions), its `explain`, its `interest` and its publisher filters
/// do. They are stored nowhere and are gone with their guard, or with the last clone of the
/// publisher. Their ids are the object's own too: one record serves any number of publishers.
///
/// An [`Interest`](crate::Interest) and a view of the object hold it as a clone does. A subscriber
/// that holds a clone of the publisher whose private subscriber it is keeps both alive until its
/// guard is closed. An object that ever had a private subscription looks for some at each fire.
impl<I: EventInterface + ?Sized> Publisher<I> {
    /// Subscribes a live object to all events that this publisher object fires of the interface
    /// `I`, until the guard is dropped.
    ///
    /// It is called by its priority, 0, among all others, behind those that were there before.
    /// Events that the class [retains](crate::Retained) are not given to it.
    ///
    /// # Errors
    ///
    /// [`Denied`](ErrorKind::Denied) if the publisher object was made for a principal who lacks the
    /// right to subscribe to the class; [`Closed`](ErrorKind::Closed) after the broker was closed.
    ///
    /// # Consistency
    ///
    /// When it returned, every fire of this object that begins afterwards calls it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use loosely::{Broker, event_interface};
    ///
    /// #[event_interface]
    /// trait Progress {
    ///     fn advanced(&self, percent: u8);
    /// }
    ///
    /// let broker = Broker::in_memory()?;
    /// let copy = broker.publisher::<dyn Progress>()?;
    /// let check = broker.publisher::<dyn Progress>()?;
    /// let _bar = copy.subscribe(Arc::new(ProgressHandlers::new()))?;
    /// assert_eq!(copy.advanced(50).delivered(), 1);
    /// assert_eq!(check.advanced(50).delivered(), 0);
    /// # Ok::<(), loosely::Error>(())
    /// ```
    #[doc(alias = "private subscription")]
    pub fn subscribe(&self, target: impl IntoTarget<I>) -> Result<SubscriptionGuard> {
        let record = plain(&self.class(), self.schema())?;
        self.subscribe_with(&record, target)
    }

    /// Subscribes a live object as the record says, whose target is `object`, to events of this
    /// publisher object, until the guard is dropped.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if the record's target is not `object`, or it asks for
    /// another class than the publisher's, or for another interface than `I`;
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if this object has a private subscription of its
    /// id; for the filter as [`Broker::ensure`], else as [`subscribe`](Self::subscribe).
    pub fn subscribe_with(
        &self,
        record: &Subscription,
        target: impl IntoTarget<I>,
    ) -> Result<SubscriptionGuard> {
        let (class, target) = (self.class(), target.into_target());
        add(self.own(), self.around(), &class, record, target)
    }

    /// Subscribes a live object that takes any event, by name and values, as the record says: of
    /// all interfaces of this publisher object, if the record names the class alone.
    ///
    /// # Errors
    ///
    /// As [`subscribe_with`](Self::subscribe_with); any interface of the class fits.
    pub fn subscribe_untyped(
        &self,
        record: &Subscription,
        target: impl IntoSubscriber,
    ) -> Result<SubscriptionGuard> {
        let (class, target) = (self.class(), target.into_subscriber());
        add(self.own(), self.around(), &class, record, target)
    }
}

/// Private subscriptions, as those of a [`Publisher`].
impl DynamicPublisher {
    /// Subscribes a live object to all events that this publisher object fires of its interface,
    /// until the guard is dropped.
    ///
    /// # Errors
    ///
    /// As [`Publisher::subscribe`].
    pub fn subscribe(&self, target: impl IntoSubscriber) -> Result<SubscriptionGuard> {
        let channel = self.channel();
        let record = plain(&channel.class(), channel.schema())?;
        self.subscribe_with(&record, target)
    }

    /// Subscribes a live object as the record says, whose target is `object`, to events of this
    /// publisher object, until the guard is dropped.
    ///
    /// # Errors
    ///
    /// As [`Publisher::subscribe_with`]; any interface of the class fits.
    pub fn subscribe_with(
        &self,
        record: &Subscription,
        target: impl IntoSubscriber,
    ) -> Result<SubscriptionGuard> {
        let (channel, target) = (self.channel(), target.into_subscriber());
        let class = channel.class();
        add(self.own(), channel.around(), &class, record, target)
    }
}

/// Returns the record of a subscription to all methods of an interface.
fn plain(class: &EventClass, schema: &InterfaceSchema) -> Result<Subscription> {
    Subscription::builder(format!("a private subscriber of {}", schema.name()))
        .id(SubscriptionId::random())
        .class(class.id())
        .interface(schema.id())
        .object()
        .build()
}

/// Adds a private subscription in the name of the principal for whom the object was made.
fn add(
    own: &Own,
    around: &Surroundings,
    class: &EventClass,
    record: &Subscription,
    target: impl LiveObject,
) -> Result<SubscriptionGuard> {
    let core = core_of(around.host.as_ref());
    let broker = Broker {
        core: core.ok_or_else(|| Error::new(ErrorKind::Closed, "the broker is gone"))?,
        principal: own.gate().map(|gate| gate.principal().clone()),
    };
    let record = of_class(record, class)?;
    let object = own.identify(&around.upkeep);
    broker.add_live(&record, target, Some(object))
}

/// Returns the same subscription to this class alone: the object fires no other.
fn of_class(record: &Subscription, class: &EventClass) -> Result<Subscription> {
    let binding = record.binding();
    let offers = |interface| class.interfaces().contains(&interface);
    let is_of_it = binding.class().is_none_or(|id| id == class.id());
    if !is_of_it || !binding.interface().is_none_or(offers) {
        let message = format!(
            "the subscription {:?} asks for {binding}, which is not what a publisher of {:?} fires",
            record.name(),
            class.name()
        );
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let mut parts = record.to_parts();
    parts.binding.class = Some(class.id());
    Ok(Subscription::from_parts(parts))
}

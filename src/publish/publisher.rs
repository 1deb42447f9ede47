//! Publisher objects.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock, Weak};

use super::channel::{AnyChannel, Channel};
use super::explain::Explanation;
use super::gate::Gate;
use super::interest::Interest;
use super::payload::TypedPayload;
use super::pipeline;
use super::privates::{Identity, ObjectId};
use super::report::FireReport;
use super::steering::Steering;
use super::surroundings::{Surroundings, Upkeep};
use super::with::{Origin, With};
use crate::delivery::{depth, wait};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{EventClass, EventClassId, PUBLISHER_ID, PublisherId};
use crate::sync::ArcSwap;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU8, Ordering};
use crate::value::view::fields;
use crate::value::{
    ConversionError, EventInterface, EventMethod, InterfaceEvent, InterfaceSchema, Properties,
    SubscriberError, Value, ValueRef,
};

/// Says which publisher type the macro made for an event interface.
pub trait Publishes: EventInterface {
    /// The publisher object: only event methods, and a deref to its [`Publisher`] for control.
    type Publisher: From<Publisher<Self>> + Deref<Target = Publisher<Self>>;

    /// The publisher object with properties for single events: the same event methods, and a deref
    /// to its [`With`].
    type With<'a>: From<With<'a, Self>> + Deref<Target = With<'a, Self>>;
}

/// A publisher object, without its event methods: what they share.
///
/// A clone is the same publisher object, with the same properties. It holds the class and its
/// subscriptions strongly and the broker weakly: it goes on firing from its cache when the broker
/// was closed.
#[doc(alias("IEventControl", "IMultiInterfaceEventControl"))]
pub struct Publisher<I: ?Sized> {
    pub(super) channel: Arc<Channel<I>>,
    pub(super) own: Arc<Own>,
}

/// What belongs to the publisher object, whichever interface it is seen through.
pub(crate) struct Own {
    /// What a fire has to do beside calling: all that a plain one looks at here.
    marks: AtomicU8,
    steering: ArcSwap<Steering>,
    properties: ArcSwap<Properties>,
    /// Held while a changed copy of either is made, so that no change is lost.
    changing: Mutex<()>,
    /// What stands before the object, if it was made for a principal.
    gate: Option<Arc<Gate>>,
    /// What its private subscriptions know it by, once there was one.
    identity: OnceLock<Arc<Identity>>,
}

/// Something stands before the object.
const GATED: u8 = 1;
/// It selects subscriptions, or had some of its own.
const STEERED: u8 = 2;
/// It has properties.
const SHOWS: u8 = 4;

impl Own {
    pub(crate) fn new(gate: Option<Gate>) -> Self {
        let properties = ArcSwap::from_pointee(Properties::new());
        Self {
            marks: AtomicU8::new(if gate.is_some() { GATED } else { 0 }),
            steering: ArcSwap::from_pointee(Steering::default()),
            properties,
            changing: Mutex::new(()),
            gate: gate.map(Arc::new),
            identity: OnceLock::new(),
        }
    }

    /// Returns whether it has anything: a gate, publisher filters, queries, private subscriptions,
    /// properties.
    #[inline]
    pub(crate) fn is_unusual(&self) -> bool {
        self.marks.load(Ordering::Acquire) != 0
    }

    /// Returns what private subscriptions know the object by, from now on.
    pub(crate) fn identify(&self, upkeep: &Weak<dyn Upkeep>) -> ObjectId {
        let _changing = self.changing.lock();
        let identity = self
            .identity
            .get_or_init(|| Arc::new(Identity::new(upkeep)));
        self.look();
        identity.object()
    }

    /// Returns the same, if it ever had a private subscription.
    pub(super) fn object(&self) -> Option<ObjectId> {
        self.identity.get().map(|identity| identity.object())
    }

    /// Returns whether a publisher filter or a default query was set, or a private subscription
    /// made.
    #[inline]
    pub(crate) fn is_steered(&self) -> bool {
        self.marks.load(Ordering::Acquire) & STEERED != 0
    }

    /// Notes what it has, before the change is over that may have made it so.
    fn look(&self) {
        let mark = |has: bool, mark: u8| if has { mark } else { 0 };
        let steered = !self.steering.load().is_empty() || self.object().is_some();
        let marks = mark(self.gate.is_some(), GATED)
            | mark(steered, STEERED)
            | mark(!self.properties.load().is_empty(), SHOWS);
        self.marks.store(marks, Ordering::Release);
    }

    /// Returns the publisher filters and default queries as they are now.
    pub(super) fn steering(&self) -> crate::sync::Guard<Arc<Steering>> {
        self.steering.load()
    }

    /// Changes the publisher filters and default queries; a fire that begins when this returned
    /// sees the change.
    pub(super) fn steer(&self, change: impl FnOnce(&mut Steering)) {
        let changing = self.changing.lock();
        let mut steering = Steering::clone(&self.steering.load());
        change(&mut steering);
        let old = self.steering.swap(Arc::new(steering));
        self.look();
        drop(changing);
        drop(old);
    }

    /// Returns the properties as they are now.
    pub(crate) fn properties(&self) -> crate::sync::Guard<Arc<Properties>> {
        self.properties.load()
    }

    /// Returns an object with the properties and the steering as they are now, and with these
    /// properties in place of those of their names.
    pub(crate) fn captured(&self, others: Properties) -> Self {
        let mut properties = self.properties.load_full();
        if !others.is_empty() {
            Arc::make_mut(&mut properties).extend(others);
        }
        let captured = Self {
            marks: AtomicU8::new(0),
            steering: ArcSwap::new(self.steering.load_full()),
            properties: ArcSwap::new(properties),
            changing: Mutex::new(()),
            gate: self.gate.clone(),
            identity: self.identity.clone(),
        };
        captured.look();
        captured
    }

    /// Returns what stands before the object, if it was made for a principal.
    #[inline]
    pub(crate) fn gate(&self) -> Option<&Gate> {
        self.gate.as_deref()
    }

    /// Sets a property, if `class` allows it.
    pub(crate) fn set(&self, class: &EventClass, name: &str, value: Value) -> Result<()> {
        Self::check(class, name, value.view())?;
        self.replace(name, value);
        Ok(())
    }

    /// Returns Ok if `class` has a property that takes the value.
    pub(super) fn check(class: &EventClass, name: &str, value: ValueRef<'_>) -> Result<()> {
        let fits = match class.declaration(name) {
            Some(declared) => declared.value_type().check_nullable(value),
            None if class.has_open_properties() => Ok(()),
            None => {
                let message = format!(
                    "the class {:?} declares no publisher property {name:?}",
                    class.name()
                );
                return Err(Error::new(ErrorKind::NotFound, message));
            }
        };
        fits.map_err(|error| {
            let message = format!("the publisher property {name:?} does not take the value");
            Error::new(ErrorKind::SchemaMismatch, format!("{message}: {error}")).because(error)
        })
    }

    /// Gives the object an id.
    pub(crate) fn set_id(&self, id: PublisherId) {
        self.replace(PUBLISHER_ID, Value::Uuid(id.into()));
    }

    /// Returns the id that the object was given, or that its class has.
    pub(crate) fn id(&self, class: &EventClass) -> Option<PublisherId> {
        match self.properties.load().get(PUBLISHER_ID) {
            Some(Value::Uuid(id)) => Some((*id).into()),
            _ => class.publisher(),
        }
    }

    fn replace(&self, name: &str, value: Value) {
        let changing = self.changing.lock();
        let mut properties = Properties::clone(&self.properties.load());
        let replaced = properties.insert(name, value);
        let old = self.properties.swap(Arc::new(properties));
        self.look();
        drop(changing);
        drop((replaced, old));
    }
}

impl<I: EventInterface + ?Sized> Publisher<I> {
    pub(crate) fn new(channel: Arc<Channel<I>>, own: Arc<Own>) -> Self {
        Self { channel, own }
    }

    /// Returns the object's part that all its interfaces share.
    pub(crate) fn own(&self) -> &Arc<Own> {
        &self.own
    }

    pub(crate) fn around(&self) -> &Arc<Surroundings> {
        &self.channel.around
    }
}

impl<I: EventInterface + ?Sized> Publisher<I> {
    /// Returns the class that it fires.
    pub fn class(&self) -> EventClass {
        EventClass::clone(&self.channel.class())
    }

    /// Returns the id of the class that it fires.
    pub fn class_id(&self) -> EventClassId {
        self.channel.key.class
    }

    /// Returns the interface's schema.
    pub fn schema(&self) -> &InterfaceSchema {
        &self.channel.schema
    }

    /// Sets a publisher property, which filters read as `publisher.NAME`.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if the class neither declares the property nor has open
    /// ones; [`SchemaMismatch`](ErrorKind::SchemaMismatch) if the value is not of the declared
    /// type.
    ///
    /// # Consistency
    ///
    /// A fire captures all properties once, at its beginning: one that began before the change uses
    /// the old value for all its subscriptions.
    #[doc(alias = "PutPublisherProperty")]
    pub fn set(&self, name: &str, value: impl Into<Value>) -> Result<()> {
        self.own.set(&self.channel.class(), name, value.into())
    }

    /// Returns the value of a publisher property: the object's own, or the class's default.
    #[doc(alias = "GetPublisherProperty")]
    pub fn property(&self, name: &str) -> Option<Value> {
        self.channel.property(&self.own, name)
    }

    /// Gives the publisher object an id, in place of the one that its class has, if any.
    /// Subscriptions that are bound to a publisher get the events of objects with its id, and no
    /// others.
    ///
    /// Filters read it as `publisher.publisher_id`. A fire that began before uses the old one.
    #[doc(alias = "PublisherID")]
    pub fn set_id(&self, id: impl Into<PublisherId>) {
        self.own.set_id(id.into());
    }

    /// Returns the id that the publisher object was given, or that its class has.
    pub fn id(&self) -> Option<PublisherId> {
        self.own.id(&self.channel.class_facts().record)
    }

    /// Returns what subscriptions ask for, so that only events are made that somebody wants. Takes
    /// about a microsecond.
    pub fn interest(&self) -> Interest {
        Interest::of_channel(Arc::clone(&self.channel) as _, &self.own)
    }

    /// Says what a fire with these arguments would do, and calls nobody.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if the interface has no such method;
    /// [`SchemaMismatch`](ErrorKind::SchemaMismatch) if an argument does not fit its parameter.
    pub fn explain(&self, method: &str, arguments: &[ValueRef<'_>]) -> Result<Explanation> {
        self.explain_from(self.origin(), method, arguments)
    }

    pub(super) fn explain_from(
        &self,
        origin: Origin<'_>,
        method: &str,
        arguments: &[ValueRef<'_>],
    ) -> Result<Explanation> {
        let (method, arguments) = checked_method(&self.channel.schema, method, arguments)?;
        Ok(self.channel.explain(method, &arguments, origin))
    }

    fn origin(&self) -> Origin<'_> {
        Origin::from(&*self.own)
    }

    /// Fires the method at index `method` of the schema: `values` makes the event's values if
    /// anything needs them, `call` calls the method on one subscriber, `owned` makes the event
    /// if it has to outlive the call, or to go to another thread.
    #[doc(hidden)]
    #[inline]
    pub fn __fire<'e, const N: usize>(
        &self,
        method: usize,
        values: impl Fn() -> [ValueRef<'e>; N],
        call: impl Fn(&I) -> Result<(), SubscriberError>,
        owned: impl Fn() -> I::Event,
    ) -> FireReport {
        self.fire_from(self.origin(), method, values, call, owned)
    }

    #[inline]
    pub(super) fn fire_from<'e, const N: usize>(
        &self,
        origin: Origin<'_>,
        method: usize,
        values: impl Fn() -> [ValueRef<'e>; N],
        call: impl Fn(&I) -> Result<(), SubscriberError>,
        owned: impl Fn() -> I::Event,
    ) -> FireReport {
        let depth = depth();
        if depth > 0 && self.channel.queues_nested() {
            return self.wait(origin, method, owned());
        }
        let parcel = |fire| TypedPayload::shared::<I>(owned(), fire);
        let is_outermost = depth == 0;
        pipeline::fire(
            &self.channel,
            method,
            origin,
            values,
            &call,
            parcel,
            is_outermost,
        )
    }

    /// Keeps the event until the outermost fire is over.
    #[cold]
    fn wait(&self, origin: Origin<'_>, method: usize, event: I::Event) -> FireReport {
        let channel = Arc::clone(&self.channel);
        let own = origin.captured();
        wait(Box::new(move || {
            let call = |target: &I| event.deliver(target);
            let values = || fields(&event).map(|(_, value)| value).collect::<Vec<_>>();
            let parcel = |fire| TypedPayload::shared::<I>(event.clone(), fire);
            let origin = (&own).into();
            pipeline::fire(&channel, method, origin, values, &call, parcel, false);
        }));
        FireReport::waiting()
    }
}

/// Returns the index of `method` and a value for each of its parameters, once the arguments were
/// checked: whoever receives the event may read it by place.
pub(super) fn checked_method<'a, 'e>(
    schema: &InterfaceSchema,
    method: &str,
    arguments: &'a [ValueRef<'e>],
) -> Result<(usize, Cow<'a, [ValueRef<'e>]>)> {
    let Some((index, found)) = schema.method(method) else {
        return Err(no_method(schema, method));
    };
    found.check(arguments).map_err(|error: ConversionError| {
        let message = format!("the arguments do not fit {}: {error}", found.name());
        Error::new(ErrorKind::SchemaMismatch, message).because(error)
    })?;
    let mut whole = Cow::Borrowed(arguments);
    let parameters = found.parameters().len();
    if arguments.len() < parameters {
        whole.to_mut().resize(parameters, ValueRef::Null);
    }
    Ok((index, whole))
}

/// Returns the error of naming a method that the interface does not have.
pub(super) fn no_method(schema: &InterfaceSchema, method: &str) -> Error {
    let known: Vec<_> = schema.methods().iter().map(EventMethod::name).collect();
    let message = format!(
        "the interface {} has no method {method:?}; it has {}",
        schema.name(),
        known.join(", ")
    );
    Error::new(ErrorKind::NotFound, message)
}

impl<I: ?Sized> Clone for Publisher<I> {
    fn clone(&self) -> Self {
        Self {
            channel: Arc::clone(&self.channel),
            own: Arc::clone(&self.own),
        }
    }
}

impl<I: ?Sized> fmt::Debug for Publisher<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("class", &self.channel.key.class)
            .field("interface", &self.channel.schema.name())
            .finish_non_exhaustive()
    }
}

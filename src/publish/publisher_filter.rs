//! The publisher's say before filter criteria: which subscriptions are called, and in which order.

use std::fmt;
use std::sync::Arc;

use super::bag_equality::BagEquality;
use super::event_row::EventRow;
use super::selection::Selection;
use crate::filter::{Predicate, Row};
use crate::model::{EventClass, EventClassId};
use crate::value::{Event, InterfaceSchema, ValueRef};

/// Selects and orders the subscriptions of an event before their own filters are asked.
///
/// It is installed on one publisher object
/// ([`install_filter`](crate::Publisher::install_filter)), or registered under a name
/// ([`register_publisher_filter`](crate::Broker::register_publisher_filter)) that classes bear
/// ([`with_publisher_filter`](EventClass::with_publisher_filter)) and publishers install. It sees
/// the event and all subscriptions of its method that are switched on, with their bags, and fires
/// those that it wants: each is then matched against its own filter and called before
/// [`fire`](Selection::fire) returns.
///
/// In a class that fires in [parallel](crate::Firing::Parallel) those are called at the same time
/// that the filter fires together, by [`fire_all`](Selection::fire_all).
///
/// Several make a chain, those of the class first: what one selects is what the next one sees, and
/// the last one's selection is called. A subscription that is not selected is counted in
/// [`FireReport::withheld`](crate::FireReport::withheld).
///
/// ```
/// use std::sync::Arc;
///
/// use loosely::{Broker, FilteredEvent, PublisherFilter, Selection, event_interface};
///
/// #[event_interface]
/// trait JobEvents {
///     fn job_offered(&self, name: &str);
/// }
///
/// /// Offers each job to one subscriber, the first that takes it.
/// struct FirstTaker;
///
/// impl PublisherFilter for FirstTaker {
///     fn fire(&self, _event: &FilteredEvent<'_>, subscriptions: &mut Selection<'_>) {
///         for candidate in subscriptions.iter() {
///             if subscriptions.fire(&candidate).is_delivered() {
///                 break;
///             }
///         }
///     }
/// }
///
/// let broker = Broker::in_memory()?;
/// let jobs = broker.publisher::<dyn JobEvents>()?;
/// let handlers = || Arc::new(JobEventsHandlers::new());
/// let _guards = [(); 3].map(|()| broker.subscribe::<dyn JobEvents>(handlers()));
/// jobs.install_filter(Arc::new(FirstTaker));
/// let report = jobs.job_offered("backup");
/// assert_eq!((report.delivered(), report.withheld()), (1, 2));
/// # Ok::<(), loosely::Error>(())
/// ```
#[doc(alias("IPublisherFilter", "IMultiInterfacePublisherFilter", "PrepareToFire"))]
pub trait PublisherFilter: Send + Sync {
    /// Fires the subscriptions that are to have the event, in the order in which they are to have
    /// it.
    ///
    /// It is called for each event, on the publisher's thread and by several threads at a time,
    /// with no lock held. When it panics, each subscription that it saw and had not fired is a
    /// failure of this fire; those that it had fired stay as they are.
    fn fire(&self, event: &FilteredEvent<'_>, subscriptions: &mut Selection<'_>);

    /// Returns the comparison of bags that this filter is, if it is nothing else: for classes that
    /// bear its name, the index makes it in the filter's place.
    fn as_bag_equality(&self) -> Option<&BagEquality> {
        None
    }
}

/// An event as publisher filters and predicates see it.
#[derive(Clone, Copy)]
pub struct FilteredEvent<'a> {
    event: Event<'a>,
    row: &'a EventRow<'a>,
}

/// A publisher filter as it is installed: the object itself, or the name under which it is
/// registered.
///
/// Made of an `Arc` of the object, or of the name. A name is looked up at each event: while nothing
/// is registered under it, every subscription of the event fails.
#[derive(Clone)]
pub struct PublisherFilterSource(pub(super) Source);

#[derive(Clone)]
pub(super) enum Source {
    Object(Arc<dyn PublisherFilter>),
    Named(Arc<str>),
}

impl<'a> FilteredEvent<'a> {
    /// Returns the event at index `method`, or `None` if there is no such method.
    pub(super) fn new(
        schema: &'a InterfaceSchema,
        method: usize,
        row: &'a EventRow<'a>,
    ) -> Option<Self> {
        let event = Event::new(schema, method, row.values)?;
        Some(Self { event, row })
    }

    /// Returns the class that is fired.
    pub fn class(&self) -> &'a EventClass {
        &self.row.facts.record
    }

    /// Returns the id of the class that is fired.
    pub fn class_id(&self) -> EventClassId {
        self.class().id()
    }

    /// Returns the schema of the interface that is fired.
    pub fn interface(&self) -> &'a InterfaceSchema {
        self.event.interface()
    }

    /// Returns the name of the method that is fired.
    pub fn method(&self) -> &'a str {
        self.event.name()
    }

    /// Returns the event as an untyped subscriber would get it.
    pub fn event(&self) -> Event<'a> {
        self.event
    }

    /// Returns the value of the parameter of this name or alias.
    pub fn get(&self, parameter: &str) -> Option<ValueRef<'a>> {
        self.event.get(parameter)
    }

    /// Returns the value of a publisher property: the publisher's own, or the class's default.
    #[doc(alias = "GetPublisherProperty")]
    pub fn property(&self, name: &str) -> Option<ValueRef<'a>> {
        match self.row.publisher(name) {
            ValueRef::Null => None,
            value => Some(value),
        }
    }

    /// Returns whether a filter lets it pass.
    pub(super) fn passes(&self, predicate: &Predicate) -> bool {
        predicate.evaluate(self.row) == Some(true)
    }

    /// Returns the value of the parameter of this name, or else of the publisher property.
    pub fn value(&self, name: &str) -> Option<ValueRef<'a>> {
        self.get(name).or_else(|| self.property(name))
    }
}

impl Source {
    /// Says that nothing is registered under the name.
    pub(super) fn unregistered(&self) -> String {
        format!("{self} is not registered")
    }

    /// Returns whether it is the same object, or the same name.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Object(one), Self::Object(other)) => {
                std::ptr::addr_eq(&raw const **one, &raw const **other)
            }
            (Self::Named(one), Self::Named(other)) => one == other,
            _ => false,
        }
    }
}

impl<F: PublisherFilter + 'static> From<Arc<F>> for PublisherFilterSource {
    fn from(filter: Arc<F>) -> Self {
        Self(Source::Object(filter))
    }
}

impl From<Arc<dyn PublisherFilter>> for PublisherFilterSource {
    fn from(filter: Arc<dyn PublisherFilter>) -> Self {
        Self(Source::Object(filter))
    }
}

impl From<&str> for PublisherFilterSource {
    fn from(name: &str) -> Self {
        Self(Source::Named(name.into()))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(_) => f.write_str("a publisher filter"),
            Self::Named(name) => write!(f, "the publisher filter {name:?}"),
        }
    }
}

impl fmt::Debug for PublisherFilterSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Object(_) => f.write_str("PublisherFilterSource(an object)"),
            Source::Named(name) => write!(f, "PublisherFilterSource({name:?})"),
        }
    }
}

impl fmt::Display for FilteredEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.event.fmt(f)
    }
}

impl fmt::Debug for FilteredEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FilteredEvent({self})")
    }
}

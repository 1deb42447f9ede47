//! Values in the bags of subscriptions that an event has to have.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::publisher_filter::{FilteredEvent, PublisherFilter};
use super::selection::Selection;
use super::site::scope;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{CompareOp, Expr, Literal, Name, Operand, check_beside};
use crate::model::EventClass;
use crate::value::{EventMethod, InterfaceSchema, Properties, Value};

/// The publisher filter that compares bags with events: a value in a subscription's bag for the
/// publisher side must be equal to the event's parameter of that name, or else to the publisher
/// property.
///
/// A subscription without the value in its bag gets every event; one with a list, the events that
/// have one of its members; one with the value gets no event that has neither parameter nor
/// property of the name.
///
/// Registered under a name that a class bears, it is asked by nobody: the values become part of the
/// subscriptions' filters and are found by the index with them, so a million subscriptions that a
/// bag tells apart cost what a million filters do. What it keeps from a subscription counts as
/// filtered out there, and other filters of the class come first. A value that cannot be compared
/// with the parameter is refused when its subscription is stored, and suspends one that is stored
/// already. Installed on a publisher object it compares the bags of all subscriptions, one by one.
///
/// ```
/// use std::sync::Arc;
///
/// use loosely::{BagEquality, Broker, EventClass, Subscription, event_interface};
///
/// #[event_interface]
/// trait Orders {
///     fn placed(&self, region: &str, amount: i64);
/// }
///
/// let broker = Broker::in_memory()?;
/// broker.register_publisher_filter("by region", Arc::new(BagEquality::on(["region"])))?;
/// let class = EventClass::new("Orders", "Orders").with_publisher_filter("by region");
/// broker.register_class::<dyn Orders>(class)?;
/// let north = Subscription::builder("north").to::<dyn Orders>().object();
/// let north = north.for_publisher([("region", "north")]).build()?;
/// let _guard = broker.subscribe_with::<dyn Orders>(&north, Arc::new(OrdersHandlers::new()))?;
///
/// let orders = broker.publisher::<dyn Orders>()?;
/// assert_eq!(orders.placed("north", 10).delivered(), 1);
/// assert_eq!(orders.placed("south", 10).filtered(), 1);
/// # Ok::<(), loosely::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BagEquality {
    names: Arc<[Box<str>]>,
}

impl BagEquality {
    /// Returns the filter that compares the values of these names.
    pub fn on<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        let names = names.into_iter().map(|name| name.into().into());
        Self {
            names: names.collect(),
        }
    }

    /// Returns the names.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Refuses a name that can be no event's: neither the class nor one of the methods has it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] with the name.
    pub(crate) fn check<'a>(
        &self,
        class: &EventClass,
        schemas: impl Iterator<Item = &'a InterfaceSchema> + Clone,
    ) -> Result<()> {
        for name in &*self.names {
            let mut methods = schemas.clone().flat_map(InterfaceSchema::methods);
            let known = class.has_open_properties()
                || class.declaration(name).is_some()
                || methods.any(|method| method.parameter(name).is_some());
            if !known {
                let message = format!(
                    "no event of {:?} has a parameter {name:?}, nor is it a publisher property",
                    class.name()
                );
                return Err(Error::new(ErrorKind::NotFound, message));
            }
        }
        Ok(())
    }

    /// Returns what a subscription with this bag asks of the events of a method, if anything.
    pub(super) fn condition(
        &self,
        bag: &Properties,
        class: &EventClass,
        method: &EventMethod,
    ) -> Option<Expr> {
        if bag.is_empty() {
            return None;
        }
        let named = |name: &str| {
            let value = bag.get(name).filter(|value| !value.view().is_null())?;
            let steps = match method.parameter(name) {
                Some(_) => vec![name],
                None if class.has_open_properties() || class.declaration(name).is_some() => {
                    vec!["publisher", name]
                }
                // Nobody's name: NULL, to which nothing is equal.
                None => vec![name],
            };
            Some(equal(Name::new(steps), value))
        };
        let mut parts = self.names().filter_map(named);
        let first = parts.next()?;
        Some(parts.fold(first, Expr::and))
    }
}

impl PublisherFilter for BagEquality {
    fn fire(&self, event: &FilteredEvent<'_>, subscriptions: &mut Selection<'_>) {
        let (class, method) = (event.class(), event.event().method());
        for candidate in subscriptions.iter() {
            let asked = self.condition(candidate.for_publisher(), class, method);
            // What cannot be compared is not equal.
            let checked = check_beside(None, &[(scope(class, method), asked)]).ok();
            let predicate = checked.map(|mut checked| checked.swap_remove(0));
            if predicate.is_some_and(|asked| asked.is_none_or(|asked| event.passes(&asked))) {
                subscriptions.fire(&candidate);
            }
        }
    }

    fn as_bag_equality(&self) -> Option<&BagEquality> {
        Some(self)
    }
}

/// The comparisons of bags that a class asks for, by the name of the publisher filter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Compared(Arc<BTreeMap<Box<str>, BagEquality>>);

impl Compared {
    /// Returns what a class asks for of all that are registered.
    pub(crate) fn of(class: &EventClass, registered: &BTreeMap<Box<str>, BagEquality>) -> Self {
        let borne = registered.iter().filter(|(name, _)| bears(class, name));
        Self(Arc::new(
            borne.map(|(name, it)| (name.clone(), it.clone())).collect(),
        ))
    }

    /// Returns whether a filter of this name is one of them.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether it says the same.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }

    /// Returns what a subscription with this bag asks of the events of a method, if anything.
    pub(super) fn condition(
        &self,
        bag: &Properties,
        class: &EventClass,
        method: &EventMethod,
    ) -> Option<Expr> {
        if self.is_empty() || bag.is_empty() {
            return None;
        }
        let settings = class.settings_of(method);
        let names = settings.publisher_filters().iter();
        let compared = names.filter_map(|name| self.0.get(name.as_str()));
        let parts = compared.filter_map(|it| it.condition(bag, class, method));
        parts.reduce(Expr::and)
    }
}

/// Returns whether a class asks for the publisher filter of this name, for one method at least.
pub(crate) fn bears(class: &EventClass, name: &str) -> bool {
    let methods = class.method_settings().map(|(_, settings)| settings);
    let mut all = std::iter::once(class.settings()).chain(methods);
    all.any(|settings| settings.publisher_filters().iter().any(|it| it == name))
}

fn equal(name: Name, value: &Value) -> Expr {
    match value {
        Value::List(members) => Expr::In {
            name,
            negated: false,
            values: members.iter().cloned().map(Literal::from).collect(),
            collation: Default::default(),
        },
        value => Expr::Compare {
            name,
            op: CompareOp::Eq,
            operand: Operand::Constant(value.clone().into()),
            collation: Default::default(),
        },
    }
}

//! Events of older versions of an interface, made events of newer ones by the program.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::payload::{UntypedPayload, no_method};
use super::versions::{fits, named_in};
use crate::delivery::{Letter, Parcel};
use crate::sync::RwLock;
use crate::value::{
    InterfaceId, InterfaceSchema, Properties, SchemaHash, Value, ValueRef, panic_message,
};

/// Makes stored events of an older version of an interface events of a newer one.
///
/// What waits in a [queue](crate::Queued) while its interface changes is delivered by name: a
/// parameter that is new has its `#[event(default = ...)]`, or is NULL, and one that is gone is
/// left out. Where that cannot be, because a method is gone, a parameter has another type, or a new
/// one has no default and may not be NULL, upcasters are asked
/// ([`Broker::register_upcaster`](crate::Broker::register_upcaster)), until one makes an event that
/// fits; where none does, the event becomes a dead letter, of the cause
/// [`SchemaChanged`](crate::DeadLetterCause::SchemaChanged).
///
/// An upcaster takes one step. If what it made does not fit yet, those are asked that are of the
/// version that it [makes](Self::makes), and then those of any version; each once for an event.
/// The stored event stays what it is until it was delivered, so an upcaster may be asked again, for
/// every attempt and each subscription: it should do nothing but compute. It runs on a thread that
/// delivers, without a lock; one that panics has refused.
///
/// Events that are not stored, such as those that a class retains, are of the program that runs:
/// for them no upcaster is asked.
///
/// # Examples
///
/// Prices were in euros, and are in cents:
///
/// ```
/// use loosely::{Broker, Upcaster, event_interface};
///
/// mod v1 {
///     #[loosely::event_interface]
///     pub trait Orders {
///         fn placed(&self, item: &str, price: f64);
///     }
/// }
///
/// #[event_interface]
/// pub trait Orders {
///     fn placed(&self, item: &str, cents: u64);
/// }
///
/// let cents = Upcaster::new("Orders", |event| {
///     let euros = event.values().get_as::<f64>("price").ok()?;
///     Some(event.with("cents", (euros * 100.0).round() as u64))
/// });
/// let older = <dyn v1::Orders as loosely::EventInterface>::schema();
/// let broker = Broker::in_memory()?;
/// broker.register_upcaster(cents.of_version(older))?;
/// # Ok::<(), loosely::Error>(())
/// ```
pub struct Upcaster {
    interface: InterfaceId,
    of: Option<SchemaHash>,
    makes: Option<SchemaHash>,
    upcast: Box<Upcast>,
}

type Upcast = dyn Fn(OlderEvent) -> Option<OlderEvent> + Send + Sync;

/// An event on its way from one version of its interface to another: a method and values by name.
#[derive(Debug, Clone, PartialEq)]
pub struct OlderEvent {
    method: String,
    values: Properties,
}

/// The upcasters of a broker.
#[derive(Default)]
pub(crate) struct Upcasters(RwLock<HashMap<InterfaceId, Vec<Arc<Upcaster>>>>);

impl Upcaster {
    /// Returns an upcaster for an interface that is asked about events of any version that do not
    /// fit. It returns `None` for those that it has nothing to do with.
    pub fn new<F>(interface: impl Into<InterfaceId>, upcast: F) -> Self
    where
        F: Fn(OlderEvent) -> Option<OlderEvent> + Send + Sync + 'static,
    {
        Self {
            interface: interface.into(),
            of: None,
            makes: None,
            upcast: Box::new(upcast),
        }
    }

    /// Has it asked about events of this version alone, before those of any version: the schema, or
    /// its fingerprint, such as [`DeadLetter::schema`](crate::DeadLetter::schema).
    #[must_use]
    pub fn of_version(mut self, schema: impl Into<SchemaHash>) -> Self {
        self.of = Some(schema.into());
        self
    }

    /// Says that what it makes is of this version, which may be an older one too.
    #[must_use]
    pub fn makes(mut self, schema: impl Into<SchemaHash>) -> Self {
        self.makes = Some(schema.into());
        self
    }
}

impl OlderEvent {
    /// Returns the event in a parcel, by the names that it was fired with.
    fn new(parcel: &dyn Parcel) -> Option<Self> {
        let method = parcel.schema().methods().get(parcel.method())?;
        let names = method.parameters().iter().map(|it| it.name().to_owned());
        let values = parcel.values();
        Some(Self {
            method: method.name().to_owned(),
            values: names.zip(values.iter().map(ValueRef::to_value)).collect(),
        })
    }

    /// Returns the name of its method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Returns its values by the names of their parameters.
    pub fn values(&self) -> &Properties {
        &self.values
    }

    /// Gives it another method. Values stay: those that it has no parameter for are left out in the
    /// end.
    #[must_use]
    pub fn into_method(mut self, name: impl Into<String>) -> Self {
        self.method = name.into();
        self
    }

    /// Gives it a value, in place of the one of that name, if there is one.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.values.insert(name, value);
        self
    }

    /// Takes a value away.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.values.remove(name);
        self
    }
}

impl Upcasters {
    pub(crate) fn add(&self, upcaster: Upcaster) {
        let mut all = self.0.write();
        all.entry(upcaster.interface)
            .or_default()
            .push(Arc::new(upcaster));
    }

    /// Returns a stored event as an interface with this schema has it, or says why that has none.
    /// Calls the user's code.
    pub(super) fn fitted(
        &self,
        parcel: &Arc<dyn Parcel>,
        schema: &Arc<InterfaceSchema>,
    ) -> Result<Arc<dyn Parcel>, String> {
        if fits(&**parcel, schema) {
            return Ok(Arc::clone(parcel));
        }
        let upcasters = self.0.read().get(&schema.id()).cloned();
        let upcasters = upcasters.unwrap_or_default();
        if upcasters.is_empty() {
            return Err(no_method(&**parcel));
        }
        let event = OlderEvent::new(&**parcel).ok_or_else(|| no_method(&**parcel))?;
        let made = Steps::new(upcasters, parcel.schema()).take(event, schema);
        let (method, values) = made.map_err(|why| match why {
            None => format!("{}, and no upcaster makes one", no_method(&**parcel)),
            Some(panic) => format!("its upcaster panicked: {panic}"),
        })?;
        let made = UntypedPayload::owned(schema, method, values, parcel.fire().clone());
        Ok(Letter::sealed(made, parcel.triggered()))
    }
}

/// The steps that are left for an event.
struct Steps {
    left: Vec<Arc<Upcaster>>,
    version: Option<SchemaHash>,
}

impl Steps {
    fn new(upcasters: Vec<Arc<Upcaster>>, fired: &InterfaceSchema) -> Self {
        Self {
            left: upcasters,
            version: Some(fired.hash()),
        }
    }

    /// Returns the method and the values that fit; or, if there are none, with what an upcaster
    /// panicked, if one did.
    fn take(
        mut self,
        mut event: OlderEvent,
        to: &InterfaceSchema,
    ) -> Result<(usize, Vec<Value>), Option<String>> {
        loop {
            event = self.step(&event)?.ok_or(None)?;
            if let Some(fitting) = named_in(&event.method, &event.values, to) {
                return Ok(fitting);
            }
        }
    }

    /// Returns what the first that does not refuse makes of the event.
    fn step(&mut self, event: &OlderEvent) -> Result<Option<OlderEvent>, Option<String>> {
        let of = |version| self.left.iter().filter(move |it| it.of == version).cloned();
        let exact = self
            .version
            .into_iter()
            .flat_map(|version| of(Some(version)));
        let asked: Vec<_> = exact.chain(of(None)).collect();
        for upcaster in asked {
            let upcast = || (upcaster.upcast)(event.clone());
            let made = catch_unwind(AssertUnwindSafe(upcast));
            if let Some(made) = made.map_err(|panic| Some(panic_message(panic)))? {
                self.left.retain(|it| !Arc::ptr_eq(it, &upcaster));
                self.version = upcaster.makes;
                return Ok(Some(made));
            }
        }
        Ok(None)
    }
}

impl fmt::Debug for Upcaster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upcaster")
            .field("interface", &self.interface)
            .field("of", &self.of)
            .field("makes", &self.makes)
            .finish_non_exhaustive()
    }
}

//! Publisher properties of single events.

use std::fmt;

use smallvec::SmallVec;

use super::channel::AnyChannel;
use super::dynamic::DynamicPublisher;
use super::explain::Explanation;
use super::publisher::{Own, Publisher, Publishes};
use super::report::FireReport;
use crate::delivery::Drawn;
use crate::error::Result;
use crate::model::EventClass;
use crate::value::{EventInterface, Properties, SubscriberError, ValueRef};

/// Properties lent to one event; a few without an allocation.
type Lent<'a> = SmallVec<[(&'a str, ValueRef<'a>); 4]>;

/// Who fires an event, and what it lends to this one.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(super) own: &'a Own,
    pub(super) lent: &'a [(&'a str, ValueRef<'a>)],
    pub(super) part: FirePart,
}

/// Which of the subscriptions a fire is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirePart {
    Whole,
    /// Those that have a queue, for a transaction that has not committed.
    Queues,
    /// The others, when it has; and what the event is then, if that is known.
    Others(Option<Drawn>),
}

/// A publisher object with properties for the events that are fired through it: the object itself
/// keeps its own.
///
/// Made by [`Publisher::with`]. What the macro makes of it has the event methods and dereferences
/// to this.
pub struct With<'a, I: ?Sized> {
    publisher: &'a Publisher<I>,
    lent: Lent<'a>,
}

/// A [`DynamicPublisher`] with properties for the events that are fired through it.
#[derive(Clone)]
pub struct DynamicWith<'a> {
    publisher: &'a DynamicPublisher,
    lent: Lent<'a>,
}

impl<'a> Origin<'a> {
    /// Returns whether more than plain calls may be asked of a fire.
    #[inline]
    pub(super) fn is_unusual(&self) -> bool {
        !self.lent.is_empty() || self.own.is_unusual() || self.part != FirePart::Whole
    }

    /// Returns what it lends, to be kept until the event is fired.
    pub(super) fn captured(&self) -> Own {
        let lent = self.lent.iter();
        let lent = lent.map(|(name, value)| (*name, value.to_value()));
        self.own.captured(lent.collect::<Properties>())
    }
}

impl<'a> From<&'a Own> for Origin<'a> {
    #[inline]
    fn from(own: &'a Own) -> Self {
        Self {
            own,
            lent: &[],
            part: FirePart::Whole,
        }
    }
}

impl<I: Publishes + ?Sized> Publisher<I> {
    /// Returns the publisher with a property for the events that are fired through what it returns,
    /// in place of the object's own: `stocks.with("exchange", "NYSE")?.price_changed("T", 27.5)`.
    ///
    /// The value is borrowed, and few properties allocate nothing. Filters read it as
    /// `publisher.NAME`, subscribers by [`EventContext::property`](crate::EventContext::property).
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn with<'a>(
        &'a self,
        name: &'a str,
        value: impl Into<ValueRef<'a>>,
    ) -> Result<I::With<'a>> {
        self.with_all([(name, value.into())])
    }

    /// Returns the publisher with several properties; of those with one name the last one counts.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn with_all<'a>(
        &'a self,
        properties: impl IntoIterator<Item = (&'a str, ValueRef<'a>)>,
    ) -> Result<I::With<'a>> {
        let lent = checked(&self.channel.class(), properties)?;
        Ok(I::With::from(With {
            publisher: self,
            lent,
        }))
    }
}

impl<I: EventInterface + ?Sized> With<'_, I> {
    /// Says what a fire with these arguments would do, as
    /// [`Publisher::explain`](Publisher::explain).
    ///
    /// # Errors
    ///
    /// Those of [`Publisher::explain`].
    pub fn explain(&self, method: &str, arguments: &[ValueRef<'_>]) -> Result<Explanation> {
        self.publisher
            .explain_from(self.origin(), method, arguments)
    }

    fn origin(&self) -> Origin<'_> {
        Origin {
            own: self.publisher.own(),
            lent: &self.lent,
            part: FirePart::Whole,
        }
    }

    /// Fires a method, as the publisher's does.
    #[doc(hidden)]
    pub fn __fire<'e, const N: usize>(
        &self,
        method: usize,
        values: impl Fn() -> [ValueRef<'e>; N],
        call: impl Fn(&I) -> Result<(), SubscriberError>,
        owned: impl Fn() -> I::Event,
    ) -> FireReport {
        let publisher = self.publisher;
        publisher.fire_from(self.origin(), method, values, call, owned)
    }
}

impl DynamicPublisher {
    /// Returns the publisher with a property for the events that are fired through what it returns,
    /// as [`Publisher::with`] does.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn with<'a>(
        &'a self,
        name: &'a str,
        value: impl Into<ValueRef<'a>>,
    ) -> Result<DynamicWith<'a>> {
        self.with_all([(name, value.into())])
    }

    /// Returns the publisher with several properties; of those with one name the last one counts.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn with_all<'a>(
        &'a self,
        properties: impl IntoIterator<Item = (&'a str, ValueRef<'a>)>,
    ) -> Result<DynamicWith<'a>> {
        let lent = checked(&self.channel().class(), properties)?;
        Ok(DynamicWith {
            publisher: self,
            lent,
        })
    }
}

impl DynamicWith<'_> {
    /// Fires `method` with these arguments, as [`DynamicPublisher::fire`] does.
    ///
    /// # Errors
    ///
    /// Those of [`DynamicPublisher::fire`].
    pub fn fire(&self, method: &str, arguments: &[ValueRef<'_>]) -> Result<FireReport> {
        self.publisher.fire_from(self.origin(), method, arguments)
    }

    /// Says what a fire with these arguments would do, as [`DynamicPublisher::explain`] does.
    ///
    /// # Errors
    ///
    /// Those of [`DynamicPublisher::explain`].
    pub fn explain(&self, method: &str, arguments: &[ValueRef<'_>]) -> Result<Explanation> {
        self.publisher
            .explain_from(self.origin(), method, arguments)
    }

    fn origin(&self) -> Origin<'_> {
        Origin {
            own: &self.publisher.own,
            lent: &self.lent,
            part: FirePart::Whole,
        }
    }
}

/// Returns the properties, the last of each name, if the class takes them all.
fn checked<'a>(
    class: &EventClass,
    properties: impl IntoIterator<Item = (&'a str, ValueRef<'a>)>,
) -> Result<Lent<'a>> {
    let mut lent = Lent::new();
    for (name, value) in properties {
        Own::check(class, name, value)?;
        match lent.iter_mut().find(|(present, _)| *present == name) {
            Some((_, present)) => *present = value,
            None => lent.push((name, value)),
        }
    }
    Ok(lent)
}

impl<I: ?Sized> Clone for With<'_, I> {
    fn clone(&self) -> Self {
        Self {
            publisher: self.publisher,
            lent: self.lent.clone(),
        }
    }
}

impl<I: EventInterface + ?Sized> fmt::Debug for With<'_, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("With")
            .field("publisher", self.publisher)
            .field("properties", &self.lent)
            .finish()
    }
}

impl fmt::Debug for DynamicWith<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamicWith")
            .field("publisher", self.publisher)
            .field("properties", &self.lent)
            .finish()
    }
}

//! Retained events, for those who fire them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::channel::{AnyChannel, Channel};
use super::dynamic::DynamicPublisher;
use super::event_row::{EventRow, Kept};
use super::facet::Facet;
use super::keep::Lost;
use super::kept::KeptEvent;
use super::publisher::{Own, Publisher, no_method};
use super::report::FireReport;
use super::versions::event_in;
use super::with::Origin;
use crate::error::{Error, ErrorKind, Result};
use crate::notices::Notice;
use crate::value::{EventInterface, Value, ValueKey, panic_message};

/// Makes the event of a row one that can be kept, if its values can be read.
pub(super) fn read(method: usize, row: &EventRow<'_>) -> Option<Arc<KeptEvent>> {
    let make = || KeptEvent::new(method, row, row.facts.draw());
    let made = catch_unwind(AssertUnwindSafe(make));
    made.map_err(|payload| drop(panic_message(payload)))
        .map(Arc::new)
        .ok()
}

/// Keeps an event and says what its place is; or returns the channel that is to fire it.
pub(super) fn keep<'e, I: Facet + ?Sized>(
    channel: &Channel<I>,
    method: usize,
    event: Option<&'e Arc<KeptEvent>>,
) -> std::result::Result<Kept<'e>, Arc<dyn AnyChannel>> {
    let drawn = event.map_or_else(|| channel.class_facts().draw(), |event| event.drawn);
    let put = channel.keep.put(
        event.ok_or(method),
        &channel.schema,
        &channel.successor,
        channel.around.retained_keys,
    )?;
    if let Some(lost) = put.lost {
        tell(channel, method, lost);
    }
    Ok(Kept {
        place: put.place,
        event,
        drawn,
    })
}

/// Has the event fired by the channel that has taken the place of the one that it was fired on.
#[cold]
pub(super) fn fire_by<I: Facet + ?Sized>(
    successor: &dyn AnyChannel,
    channel: &Channel<I>,
    method: usize,
    origin: Origin<'_>,
    row: &EventRow<'_>,
) -> FireReport {
    match event_in(&channel.schema, method, row.values, successor.schema()) {
        Some((method, values)) => successor.fire_values(method, &values, origin),
        None => {
            tell(channel, method, Lost::Unfit);
            FireReport::default()
        }
    }
}

#[cold]
fn tell<I: Facet + ?Sized>(channel: &Channel<I>, method: usize, lost: Lost) {
    let class = channel.class_facts().record.name().to_owned();
    let name = channel.schema.methods().get(method);
    let reason = match lost {
        Lost::TooMany(limit) => format!(
            "{limit} are, each of another key, and the one that was fired longest ago gave way"
        ),
        Lost::Unreadable => "its values cannot be read".to_owned(),
        Lost::Unfit => "the interface has another version by now that has no such event".to_owned(),
    };
    channel.around.notices.push(Notice::NotRetained {
        class,
        method: name.map_or_else(String::new, |method| method.name().to_owned()),
        reason,
    });
}

impl<I: EventInterface + ?Sized> Publisher<I> {
    /// Returns how many events of a method its class retains now: see
    /// [`Retained`](crate::Retained).
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if the interface has no such method.
    pub fn retained(&self, method: &str) -> Result<usize> {
        count(&*self.channel, method)
    }

    /// Forgets what its class retains of a method, whoever fired it, and returns how many events
    /// that were. A subscription that is being given them may still get them.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if the interface has no such method,
    /// [`Denied`](ErrorKind::Denied) if the publisher object was made for a principal who lacks the
    /// right to publish.
    pub fn forget_retained(&self, method: &str) -> Result<usize> {
        forget(&*self.channel, &self.own, method)
    }

    /// Forgets the event that its class retains of a method for one value of the parameter that it
    /// retains them by, and returns whether there was one: such as for a thing that is gone.
    ///
    /// # Errors
    ///
    /// As [`forget_retained`](Self::forget_retained).
    pub fn forget_retained_of(&self, method: &str, key: impl Into<Value>) -> Result<bool> {
        forget_key(&*self.channel, &self.own, method, &key.into())
    }
}

impl DynamicPublisher {
    /// Returns how many events of a method its class retains now, as
    /// [`Publisher::retained`](crate::Publisher::retained).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn retained(&self, method: &str) -> Result<usize> {
        count(&*self.channel(), method)
    }

    /// Forgets what its class retains of a method, as
    /// [`Publisher::forget_retained`](crate::Publisher::forget_retained).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn forget_retained(&self, method: &str) -> Result<usize> {
        forget(&*self.channel(), &self.own, method)
    }

    /// Forgets the event of one key, as
    /// [`Publisher::forget_retained_of`](crate::Publisher::forget_retained_of).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn forget_retained_of(&self, method: &str, key: impl Into<Value>) -> Result<bool> {
        forget_key(&*self.channel(), &self.own, method, &key.into())
    }
}

fn count(channel: &dyn AnyChannel, method: &str) -> Result<usize> {
    let index = index_of(channel, method)?;
    Ok(channel.keep().count(channel.schema(), index))
}

fn forget(channel: &dyn AnyChannel, own: &Own, method: &str) -> Result<usize> {
    let index = index_of(channel, method)?;
    must_publish(channel, own)?;
    Ok(channel.keep().forget(channel.schema(), index))
}

fn forget_key(channel: &dyn AnyChannel, own: &Own, method: &str, key: &Value) -> Result<bool> {
    let index = index_of(channel, method)?;
    must_publish(channel, own)?;
    let key = ValueKey::of(key.view());
    Ok(channel.keep().forget_key(channel.schema(), index, &key))
}

fn index_of(channel: &dyn AnyChannel, method: &str) -> Result<usize> {
    let schema = channel.schema();
    let found = schema.method(method).map(|(index, _)| index);
    found.ok_or_else(|| no_method(schema, method))
}

fn must_publish(channel: &dyn AnyChannel, own: &Own) -> Result<()> {
    if channel.may_publish(own) {
        return Ok(());
    }
    let message = format!(
        "the right to publish {:?} is lacking",
        channel.class().name()
    );
    Err(Error::new(ErrorKind::Denied, message))
}

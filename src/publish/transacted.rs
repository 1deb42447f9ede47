//! Events that leave when a transaction commits.

use std::fmt;
use std::sync::Arc;

use super::Surroundings;
use super::channel::AnyChannel;
use super::dynamic::{ChannelCell, DynamicPublisher};
use super::publisher::{Own, Publisher, checked_method};
use super::queueing::{Gathered, gathered};
use super::versions::event_in;
use super::with::{FirePart, Origin};
use crate::delivery::{Drawn, depth, settle};
use crate::error::Result;
use crate::value::view::fields;
use crate::value::{EventInterface, InterfaceEvent, Value, ValueRef};

/// An event that is fired when a transaction commits: stored in it for those who have a queue, and
/// delivered to the others behind it.
pub(crate) struct Transacted {
    source: Source,
    /// The channel that it was checked against.
    channel: Arc<dyn AnyChannel>,
    own: Own,
    method: usize,
    values: Vec<Value>,
    drawn: Option<Drawn>,
}

enum Source {
    Typed,
    /// Another channel may come in place of the present one.
    Named(Arc<ChannelCell>),
}

impl Transacted {
    /// Returns an event that a publisher object is to fire.
    pub(crate) fn typed<I: EventInterface + ?Sized>(
        publisher: &Publisher<I>,
        event: &I::Event,
    ) -> Self {
        let values = fields(event).map(|(_, value)| value.to_value());
        Self {
            source: Source::Typed,
            channel: Arc::clone(&publisher.channel) as _,
            own: Origin::from(&**publisher.own()).captured(),
            method: event.method(),
            values: values.collect(),
            drawn: None,
        }
    }

    /// Returns an event that a publisher object is to fire by name.
    pub(crate) fn named(
        publisher: &DynamicPublisher,
        method: &str,
        arguments: &[ValueRef<'_>],
    ) -> Result<Self> {
        let channel = publisher.channel();
        let (method, arguments) = checked_method(channel.schema(), method, arguments)?;
        let values = arguments.iter().map(ValueRef::to_value).collect();
        Ok(Self {
            source: Source::Named(Arc::clone(&publisher.cell)),
            own: Origin::from(publisher.own()).captured(),
            channel,
            method,
            values,
            drawn: None,
        })
    }

    /// Returns whether it is fired at a broker with these surroundings.
    pub(crate) fn is_at(&self, around: &Arc<Surroundings>) -> bool {
        Arc::ptr_eq(self.channel.around(), around)
    }

    /// Returns the values of its parameters.
    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }

    /// Finds those who have a queue and want the event, and calls nobody. To ask filters is the
    /// user's code.
    pub(crate) fn gather(&mut self) -> Vec<Gathered> {
        let all = gathered(|| self.fire(FirePart::Queues));
        self.drawn = all.first().map(|one| one.parcel.fire().drawn());
        all
    }

    /// Delivers the event to all who have no queue.
    pub(crate) fn fire_others(&self) {
        self.fire(FirePart::Others(self.drawn));
        if depth() == 0 {
            settle();
        }
    }

    fn fire(&self, part: FirePart) {
        let origin = Origin {
            own: &self.own,
            lent: &[],
            part,
        };
        let views: Vec<_> = self.values.iter().map(Value::view).collect();
        let present = match &self.source {
            Source::Typed => Arc::clone(&self.channel),
            Source::Named(cell) => Arc::clone(&cell.read()),
        };
        match event_in(self.channel.schema(), self.method, &views, present.schema()) {
            Some((method, views)) => present.fire_values(method, &views, origin),
            None => self.channel.fire_values(self.method, &views, origin),
        };
    }
}

impl fmt::Debug for Transacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.values).finish()
    }
}

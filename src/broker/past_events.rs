//! The events that classes keep.

use std::time::SystemTime;

use serde::Serialize;

use super::Broker;
use super::dead_letters::{as_timestamp, named_values};
use crate::delivery::{EventId, Recalled};
use crate::error::{Error, ErrorKind, Result};
use crate::model::EventClassId;
use crate::value::{InterfaceId, Properties};

/// An event in the [history](crate::History) of its class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PastEvent {
    position: u64,
    class: EventClassId,
    interface: InterfaceId,
    method: Option<String>,
    values: Properties,
    event_id: EventId,
    #[serde(serialize_with = "as_timestamp")]
    fired: SystemTime,
}

impl Broker {
    /// Returns the past events that a class keeps, from this position on, so many at most; from 0
    /// on are all. The next ones are behind the position of the last.
    ///
    /// To have a subscriber called for past events, let its queue [begin](crate::Start) with one.
    ///
    /// # Errors
    ///
    /// [`Denied`](ErrorKind::Denied) if the handle is a principal's who may not read the class,
    /// [`Closed`](ErrorKind::Closed) after the broker was closed, and what reading the store meets.
    pub fn past_events(
        &self,
        class: impl Into<EventClassId>,
        from: u64,
        limit: usize,
    ) -> Result<Vec<PastEvent>> {
        self.core.check_open()?;
        let class = class.into();
        if !self.access().may_read(self.known_class(class).as_deref()) {
            let message = format!("the right to read the class {class} is lacking");
            return Err(Error::new(ErrorKind::Denied, message));
        }
        let found = self.core.around.journal.past_events(class, from, limit)?;
        Ok(found.into_iter().map(PastEvent::from).collect())
    }
}

impl PastEvent {
    /// Returns its place in the history: a greater one than that of any event before. Positions
    /// have gaps.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns the event's class.
    pub fn class(&self) -> EventClassId {
        self.class
    }

    /// Returns the interface that it was fired of.
    pub fn interface(&self) -> InterfaceId {
        self.interface
    }

    /// Returns the event's method, if the schema that it was fired with is still known.
    pub fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// Returns the event's values by the names of their parameters, or by their places where the
    /// schema is not known.
    pub fn values(&self) -> &Properties {
        &self.values
    }

    /// Returns the event's id.
    pub fn event_id(&self) -> EventId {
        self.event_id
    }

    /// Returns when the event was fired.
    pub fn fired(&self) -> SystemTime {
        self.fired
    }
}

impl From<Recalled> for PastEvent {
    fn from(recalled: Recalled) -> Self {
        let event = recalled.event;
        Self {
            position: recalled.number,
            class: event.class.into(),
            interface: event.interface.into(),
            method: recalled.method,
            values: named_values(event.values, recalled.parameters),
            event_id: event.id.into(),
            fired: event.time,
        }
    }
}

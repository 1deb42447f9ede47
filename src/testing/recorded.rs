//! An event that a recorder was called with.

use std::fmt;

use crate::{Event, EventContext, EventMethod, Filter, FilterError, Value, ValueRef};

/// An event as it came to a [`Recorder`](super::Recorder).
///
/// `Display` prints it as an [`Event`] does: `price_changed(symbol = 'MSFT', price = 185.5)`.
#[derive(Debug, Clone)]
pub struct RecordedEvent {
    interface: String,
    method: EventMethod,
    values: Vec<Value>,
    context: Option<EventContext>,
}

impl RecordedEvent {
    pub(super) fn of(event: &Event<'_>) -> Self {
        Self {
            interface: event.interface().name().to_owned(),
            method: event.method().clone(),
            values: event.values().iter().map(ValueRef::to_value).collect(),
            context: EventContext::current(),
        }
    }

    /// Returns the name of the interface.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// Returns the name of the method.
    pub fn method(&self) -> &str {
        self.method.name()
    }

    /// Returns the values, in the order of the parameters.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// Returns the value of a parameter.
    pub fn get(&self, parameter: &str) -> Option<&Value> {
        let (index, _) = self.method.parameter(parameter)?;
        self.values.get(index)
    }

    /// Returns what the recorder could know about the event: its id, time, subscription and so on;
    /// none if the recorder was called by something else than a broker.
    pub fn context(&self) -> Option<&EventContext> {
        self.context.as_ref()
    }

    /// Returns what criteria come to for it.
    pub(super) fn select(&self, filter: &Filter) -> Result<Option<bool>, FilterError> {
        filter.matches(&self.method, &self.views())
    }

    fn views(&self) -> Vec<ValueRef<'_>> {
        self.values.iter().map(Value::view).collect()
    }
}

impl fmt::Display for RecordedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.method())?;
        let named = self.method.parameters().iter().zip(&self.values);
        for (index, (parameter, value)) in named.enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{} = {value}", parameter.name())?;
        }
        f.write_str(")")
    }
}

//! What generated code needs; not part of the public interface.

pub use crate::value::event_value::{ReferencedValue, argument_from, field_from, record_type};

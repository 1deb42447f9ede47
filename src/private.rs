//! What generated code needs; not part of the public interface.

pub use crate::broker::{deduplicated, deduplicated_fallible};
pub use crate::index::door as index;
pub use crate::publish::LiveTarget;
pub use crate::value::event_value::{ReferencedValue, record_type};
pub use crate::value::handlers::{AsyncHandler, async_handler};
pub use crate::value::untyped::{SubscriberFailed, Untyped, call, no_such_method};
use crate::value::{ConversionError, EventValue, RecordView, ValueRef, ValueType};

/// Converts a value to a `T`, and says what a `T` is.
///
/// Generated code hands over the two functions instead of naming a bound here, so that a type that
/// is no event value is one error of the compiler and not one for every use.
pub type Conversion<T> = (
    fn(ValueRef<'_>) -> Result<T, ConversionError>,
    fn() -> ValueType,
);

/// Returns the argument at `index`; one that is missing is NULL.
///
/// # Errors
///
/// When the argument does not fit.
pub fn argument<T>(
    arguments: &[ValueRef<'_>],
    index: usize,
    name: &str,
    conversion: Conversion<T>,
) -> Result<T, ConversionError> {
    convert(arguments.get(index).copied(), conversion).map_err(|error| error.within(&name))
}

/// Returns the value of a struct's field out of `record`, by name or former name; one that is
/// missing is NULL.
///
/// # Errors
///
/// When the value does not fit.
pub fn field<T>(
    record: &dyn RecordView,
    names: &[&str],
    conversion: Conversion<T>,
) -> Result<T, ConversionError> {
    let name = names.first().copied().unwrap_or_default();
    let value = names.iter().find_map(|name| record.field_named(name));
    convert(value, conversion).map_err(|error| error.within(&name))
}

/// Returns the error for a value that is not a `T`.
pub fn unexpected<T: EventValue>(found: ValueRef<'_>) -> ConversionError {
    ConversionError::new(&T::value_type(), found)
}

fn convert<T>(
    value: Option<ValueRef<'_>>,
    (from_view, value_type): Conversion<T>,
) -> Result<T, ConversionError> {
    match value {
        Some(value) => from_view(value),
        None => from_view(ValueRef::Null).map_err(|_| ConversionError::missing(&value_type())),
    }
}

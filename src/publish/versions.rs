//! Events of one version of an interface, for another.

use crate::delivery::Parcel;
use crate::value::{EventMethod, InterfaceSchema, Properties, Value, ValueRef};

/// Returns whether two schemas are one version of an interface, without taking fingerprints.
pub(super) fn is_same(a: &InterfaceSchema, b: &InterfaceSchema) -> bool {
    std::ptr::eq(a, b) || a == b
}

/// Returns whether a subscriber of an interface that has this schema can take an event.
pub(super) fn fits(parcel: &dyn Parcel, to: &InterfaceSchema) -> bool {
    let fired = parcel.schema();
    is_same(fired, to) || event_in(fired, parcel.method(), &parcel.values(), to).is_some()
}

/// Returns the method at index `method` as another version of its interface has it, under its name
/// or a former one.
pub(super) fn method_in<'s>(
    from: &InterfaceSchema,
    method: usize,
    to: &'s InterfaceSchema,
) -> Option<(usize, &'s EventMethod)> {
    let method = from.methods().get(method)?;
    let former = method.aliases().iter().map(String::as_str);
    let mut names = std::iter::once(method.name()).chain(former);
    names.find_map(|name| to.method(name))
}

/// Returns the method of an event in another version of its interface, and the values as it takes
/// them: parameter by name, or former name, and its default where there was none. Nothing, if there
/// is no such method or the values do not fit.
pub(super) fn event_in<'v>(
    from: &InterfaceSchema,
    method: usize,
    values: &[ValueRef<'v>],
    to: &'v InterfaceSchema,
) -> Option<(usize, Vec<ValueRef<'v>>)> {
    let (index, target) = method_in(from, method, to)?;
    let source = from.methods().get(method)?;
    let value = |name: &str| {
        let (index, _) = source.parameter(name)?;
        values.get(index).copied()
    };
    let values = target.parameters().iter().map(|parameter| {
        let former = parameter.aliases().iter().map(String::as_str);
        let mut names = std::iter::once(parameter.name()).chain(former);
        names.find_map(value).unwrap_or(parameter.default_value())
    });
    let values: Vec<_> = values.collect();
    target.check(&values).ok()?;
    Some((index, values))
}

/// Returns the method of this name, or former name, and the values as it takes them, as
/// [`event_in`] does with those of another version.
pub(super) fn named_in(
    method: &str,
    values: &Properties,
    to: &InterfaceSchema,
) -> Option<(usize, Vec<Value>)> {
    let (index, target) = to.method(method)?;
    let values = target.parameters().iter().map(|parameter| {
        let former = parameter.aliases().iter().map(String::as_str);
        let mut names = std::iter::once(parameter.name()).chain(former);
        let value = names.find_map(|name| values.get(name)).cloned();
        value.unwrap_or_else(|| parameter.default_value().to_value())
    });
    let values: Vec<_> = values.collect();
    let views: Vec<_> = values.iter().map(Value::view).collect();
    target.check(&views).ok()?;
    Some((index, values))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::value::{Parameter, ValueType};

    fn quotes(methods: impl IntoIterator<Item = EventMethod>) -> InterfaceSchema {
        InterfaceSchema::new("Quotes", "Quotes", methods)
    }

    fn quote(parameters: [&str; 2]) -> EventMethod {
        let of = |name| Parameter::new(name, ValueType::F64);
        EventMethod::new("quoted", parameters.map(of))
    }

    #[test]
    fn method_and_values_are_found_by_name_wherever_they_stand() {
        let other = || EventMethod::new("closed", []);
        let old = quotes([quote(["bid", "ask"]), other()]);
        let new = quotes([other(), quote(["ask", "bid"])]);
        let values = [ValueRef::F64(1.0), ValueRef::F64(2.0)];
        let (index, swapped) = event_in(&old, 0, &values, &new).unwrap();
        assert_eq!(index, 1);
        let numbers: Vec<_> = swapped.iter().map(ValueRef::to_value).collect();
        assert_eq!(numbers, [2.0.into(), 1.0.into()]);
        assert!(event_in(&old, 0, &values, &quotes([other()])).is_none());
        // A price that may not be NULL and that nobody gave.
        let stricter = quotes([quote(["bid", "volume"])]);
        assert!(event_in(&old, 0, &values, &stricter).is_none());
    }
}

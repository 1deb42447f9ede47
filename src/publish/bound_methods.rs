//! Which methods of an interface a subscription asks for.

use smallvec::SmallVec;

use crate::model::Binding;
use crate::value::InterfaceSchema;

/// The methods of one interface that a subscription is bound to, by index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum BoundMethods {
    All,
    /// Sorted, each once; empty if the interface has none of those that are named.
    Some(SmallVec<[usize; 2]>),
}

impl BoundMethods {
    /// Finds the methods that the binding names; two names may be those of one method, which has
    /// another under which it was known before.
    pub(super) fn new(schema: &InterfaceSchema, binding: &Binding) -> Self {
        if binding.methods.is_all() {
            return Self::All;
        }
        let found = binding.methods().filter_map(|name| schema.method(name));
        let mut found: SmallVec<_> = found.map(|(index, _)| index).collect();
        found.sort_unstable();
        found.dedup();
        Self::Some(found)
    }

    pub(super) fn contains(&self, method: usize) -> bool {
        match self {
            Self::All => true,
            Self::Some(bound) => bound.contains(&method),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "the record is valid")]
    use super::*;
    use crate::model::Subscription;
    use crate::value::EventMethod;

    fn bound(names: &[&str]) -> BoundMethods {
        let methods = ["a", "b", "c"].map(|name| EventMethod::new(name, []));
        let [a, b, c] = methods;
        let schema = InterfaceSchema::new("i", "I", [a, b, c.alias("old")]);
        let builder = Subscription::builder("s").interface("i").component("x");
        let names = names.iter().copied();
        let record = names.fold(builder, |builder, name| builder.method(name));
        BoundMethods::new(&schema, record.build().unwrap().binding())
    }

    #[test]
    fn methods_are_found_by_name_and_by_alias() {
        let of = |names: &[&str]| [0, 1, 2].map(|index| bound(names).contains(index));
        assert_eq!(of(&[]), [true, true, true]);
        assert_eq!(of(&["b"]), [false, true, false]);
        assert_eq!(of(&["old", "a", "a"]), [true, false, true]);
        assert_eq!(of(&["gone"]), [false, false, false]);
    }

    #[test]
    fn names_that_mean_the_same_methods_are_equal() {
        assert_eq!(bound(&["c", "old", "a"]), bound(&["a", "c"]));
        assert_ne!(bound(&["gone"]), bound(&[]));
    }
}

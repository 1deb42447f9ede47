//! Compiled criteria.

use super::expr::{Collation, CompareOp};
use super::operand::Name;
use super::pattern::Pattern;
use super::{Filter, evaluate};
use crate::value::{Properties, Value, ValueRef};

/// Criteria compiled against a [`Scope`](super::Scope): names are places in a [`Row`], constants
/// have the types that they are compared with.
#[derive(Debug, Clone)]
pub(crate) struct Predicate {
    pub(super) filter: Filter,
    pub(super) condition: Condition,
    /// Each name in the criteria that is not read from a row, and its value, for explanations. The
    /// places of the others are in the condition.
    pub(super) known: Box<[(Name, Value)]>,
}

/// What criteria are evaluated on.
pub(crate) trait Row {
    /// Returns the value at `index` of the names that the scope was made of; one that is missing is
    /// NULL.
    fn root(&self, index: usize) -> ValueRef<'_>;

    /// Returns the publisher property of this name; one that is missing is NULL.
    fn publisher(&self, name: &str) -> ValueRef<'_>;
}

/// An event and who fires it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventRow<'a> {
    /// The arguments in the order of the method's parameters.
    pub(crate) values: &'a [ValueRef<'a>],
    /// The publisher properties.
    pub(crate) publisher: &'a Properties,
}

/// A condition in the shape of the [`Expr`](super::Expr) that it was compiled from, as far as AND,
/// OR and NOT go.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    /// The same for every row; `None` is UNKNOWN.
    Constant(Option<bool>),
    Not(Box<Condition>),
    And(Box<[Condition]>),
    Or(Box<[Condition]>),
    /// A test of one value.
    Test {
        path: Path,
        test: Test,
    },
    /// A comparison of two values of the row; apart, as it is larger than a test and rare.
    Compare(Box<Comparison>),
}

/// A comparison of two values of the row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) left: Path,
    pub(crate) op: CompareOp,
    pub(crate) right: Path,
    pub(crate) collation: Collation,
}

/// A test of one value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    /// `op value`
    Compare {
        op: CompareOp,
        value: Value,
        collation: Collation,
    },
    /// `IN values`; NOT IN is its negation.
    In(Members),
    /// All members of one of the groups.
    Groups {
        groups: Box<[Box<[Value]>]>,
        collation: Collation,
    },
    /// `LIKE pattern`
    Like(Pattern),
    /// `IS NULL`
    IsNull,
}

/// The members of an IN.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Members {
    /// Sorted by [`compare`](super::compare::compare) if they have an order; none is NULL.
    pub(super) values: Box<[Value]>,
    pub(super) sorted: bool,
    /// Whether NULL was among them: then nothing is surely outside.
    pub(super) with_null: bool,
    pub(super) collation: Collation,
}

/// Where a value is found in a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Path {
    pub(crate) root: Root,
    pub(crate) steps: Box<[Step]>,
}

/// Where a path begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Root {
    /// The value at this index.
    Index(usize),
    /// The publisher property of this name.
    Publisher(Box<str>),
}

/// One step into a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A field of a struct. The index says where to look first: a value made without the Rust type
    /// may have its fields in another order.
    Field { index: usize, name: Box<str> },
    /// A key of a map.
    Key(Box<str>),
}

impl Predicate {
    /// Returns the compiled form, for an index.
    pub(crate) fn condition(&self) -> &Condition {
        &self.condition
    }

    /// Returns whether the row is selected, `Some(true)`, or not; `None` is UNKNOWN.
    ///
    /// Allocates nothing; of a conjunction, stops at the first part that is FALSE.
    pub(crate) fn evaluate<R: Row + ?Sized>(&self, row: &R) -> Option<bool> {
        evaluate::condition(&self.condition, row)
    }
}

impl Condition {
    /// Returns whether it holds for the row; `None` is UNKNOWN.
    pub(crate) fn evaluate<R: Row + ?Sized>(&self, row: &R) -> Option<bool> {
        evaluate::condition(self, row)
    }
}

impl Members {
    /// Returns the members without NULL.
    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }

    /// Returns how text is compared.
    pub(crate) fn collation(&self) -> Collation {
        self.collation
    }
}

impl Path {
    /// Returns the value in `row`; NULL where a step leads nowhere.
    pub(crate) fn read<'r, R: Row + ?Sized>(&self, row: &'r R) -> ValueRef<'r> {
        let mut value = match &self.root {
            Root::Index(index) => row.root(*index),
            Root::Publisher(name) => row.publisher(name),
        };
        for step in &self.steps {
            value = step.read(value);
        }
        value
    }
}

impl Step {
    fn read<'r>(&self, value: ValueRef<'r>) -> ValueRef<'r> {
        let ValueRef::Record(record) = value else {
            return ValueRef::Null;
        };
        let found = match self {
            Self::Field { index, name } => match record.field(*index) {
                Some((found, value)) if *found == **name => Some(value),
                _ => record.field_named(name),
            },
            Self::Key(key) => record.field_named(key),
        };
        found.unwrap_or(ValueRef::Null)
    }
}

impl Row for EventRow<'_> {
    fn root(&self, index: usize) -> ValueRef<'_> {
        self.values.get(index).copied().unwrap_or(ValueRef::Null)
    }

    fn publisher(&self, name: &str) -> ValueRef<'_> {
        self.publisher.get(name).map_or(ValueRef::Null, Value::view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn step(index: usize, name: &str) -> Step {
        let name = name.into();
        Step::Field { index, name }
    }

    /// A broker holds the condition of each filter, and lists hold them in place.
    #[test]
    fn condition_is_no_larger_than_a_test_and_its_path() {
        assert!(size_of::<Condition>() <= size_of::<Path>() + size_of::<Test>());
        assert!(size_of::<Test>() <= 40);
    }

    #[test]
    fn fields_are_found_by_name_where_the_order_differs() {
        let record = Value::from(Properties::from([("a", 1), ("b", 2)]));
        assert_eq!(step(1, "b").read(record.view()).to_value(), Value::I64(2));
        assert_eq!(step(0, "b").read(record.view()).to_value(), Value::I64(2));
        assert_eq!(step(9, "b").read(record.view()).to_value(), Value::I64(2));
        assert!(step(0, "c").read(record.view()).is_null());
    }

    #[test]
    fn step_into_what_is_no_record_is_null() {
        assert!(step(0, "a").read(ValueRef::I64(1)).is_null());
        assert!(Step::Key("a".into()).read(ValueRef::Null).is_null());
    }

    #[test]
    fn missing_arguments_and_properties_are_null() {
        let values = [ValueRef::I64(1)];
        let publisher = Properties::new();
        let row = EventRow {
            values: &values,
            publisher: &publisher,
        };
        assert!(row.root(1).is_null() && row.publisher("name").is_null());
    }
}

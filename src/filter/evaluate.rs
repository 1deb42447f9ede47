//! Compiled criteria on a row, in SQL's three-valued logic.

use std::cmp::Ordering;

use super::compare::{compare, is_null, test};
use super::expr::{Collation, CompareOp};
use super::predicate::{Condition, Members, Row, Test};
use crate::value::view::elements;
use crate::value::{Value, ValueRef};

/// Returns whether the condition holds; `None` is UNKNOWN.
pub(super) fn condition<R: Row + ?Sized>(of: &Condition, row: &R) -> Option<bool> {
    match of {
        Condition::Constant(value) => *value,
        Condition::Not(inner) => condition(inner, row).map(|holds| !holds),
        Condition::And(all) => conjunction(all.iter().map(|one| condition(one, row))),
        Condition::Or(all) => disjunction(all.iter().map(|one| condition(one, row))),
        Condition::Test { path, test } => test.holds(path.read(row)),
        Condition::Compare(of) => {
            let (left, right) = (of.left.read(row), of.right.read(row));
            test(of.op, left, right, of.collation)
        }
    }
}

/// FALSE if one is FALSE, else UNKNOWN if one is UNKNOWN; asks no further than the first FALSE.
fn conjunction(all: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut result = Some(true);
    for one in all {
        match one {
            Some(true) => {}
            Some(false) => return one,
            None => result = None,
        }
    }
    result
}

/// TRUE if one is TRUE, else UNKNOWN if one is UNKNOWN; asks no further than the first TRUE.
fn disjunction(all: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut result = Some(false);
    for one in all {
        match one {
            Some(false) => {}
            Some(true) => return one,
            None => result = None,
        }
    }
    result
}

impl Test {
    /// Returns whether the value passes; `None` is UNKNOWN.
    pub(super) fn holds(&self, of: ValueRef<'_>) -> Option<bool> {
        match self {
            Self::Compare {
                op,
                value,
                collation,
            } => test(*op, of, value.view(), *collation),
            Self::In(members) => members.matches(of),
            Self::Groups { groups, collation } => {
                let group = |group: &[Value]| holds_all(of, group, *collation);
                disjunction(groups.iter().map(|values| group(values)))
            }
            Self::Like(pattern) => Some(pattern.matches(of.as_str()?)),
            Self::IsNull => Some(is_null(of)),
        }
    }
}

fn holds_all(of: ValueRef<'_>, group: &[Value], collation: Collation) -> Option<bool> {
    let equal = |value: &Value| test(CompareOp::Eq, of, value.view(), collation);
    conjunction(group.iter().map(equal))
}

impl Members {
    /// Returns the members, sorted where they have an order.
    pub(super) fn new(mut values: Vec<Value>, collation: Collation) -> Self {
        let all = values.len();
        values.retain(|value| !is_null(value.view()));
        let with_null = values.len() < all;
        let order = |a: &Value, b: &Value| compare(a.view(), b.view(), collation);
        // Of one kind with the first means of one kind with each other.
        let sorted = match values.split_first() {
            Some((first, others)) => others.iter().all(|other| order(first, other).is_some()),
            None => true,
        };
        if sorted {
            values.sort_by(|a, b| order(a, b).unwrap_or(Ordering::Equal));
            values.dedup_by(|a, b| order(a, b) == Some(Ordering::Equal));
        }
        Self {
            values: values.into(),
            sorted,
            with_null,
            collation,
        }
    }

    /// Returns whether the value, or an element of the list, is a member.
    fn matches(&self, of: ValueRef<'_>) -> Option<bool> {
        let found = match of {
            ValueRef::List(list) => Some(elements(list).any(|one| self.find(one) == Some(true))),
            one => self.find(one),
        };
        match found {
            Some(false) if self.with_null => None,
            found => found,
        }
    }

    /// Returns whether the single value is a member; `None` if it is NULL, or of another kind than
    /// one that it might equal.
    fn find(&self, one: ValueRef<'_>) -> Option<bool> {
        let order = |value: &Value| compare(value.view(), one, self.collation);
        if !self.sorted {
            let equal = |value| order(value).map(Ordering::is_eq);
            return disjunction(self.values.iter().map(equal));
        }
        match self.values.first() {
            Some(first) => order(first)?,
            None if is_null(one) => return None,
            None => return Some(false),
        };
        let place = |value: &Value| order(value).unwrap_or(Ordering::Equal);
        Some(self.values.binary_search_by(place).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(values: Vec<Value>) -> Members {
        Members::new(values, Collation::Exact)
    }

    #[test]
    fn unknown_yields_to_what_decides() {
        let and = |all: &[Option<bool>]| conjunction(all.iter().copied());
        let or = |all: &[Option<bool>]| disjunction(all.iter().copied());
        assert_eq!(and(&[None, Some(false)]), Some(false));
        assert_eq!(and(&[None, Some(true)]), None);
        assert_eq!(or(&[None, Some(true)]), Some(true));
        assert_eq!(or(&[None, Some(false)]), None);
        assert_eq!((and(&[]), or(&[])), (Some(true), Some(false)));
    }

    #[test]
    fn conjunction_stops_at_the_first_part_that_is_false() {
        let mut asked = 0;
        let all = [Some(true), Some(false), Some(true)];
        conjunction(all.into_iter().inspect(|_| asked += 1));
        assert_eq!(asked, 2);
    }

    #[test]
    fn members_are_found_by_value_across_number_types() {
        let set = members(vec![3.into(), 1.into(), 2.5.into(), u64::MAX.into()]);
        assert!(set.sorted);
        assert_eq!(set.matches(ValueRef::F64(3.0)), Some(true));
        assert_eq!(set.matches(ValueRef::U64(u64::MAX)), Some(true));
        assert_eq!(set.matches(ValueRef::I64(2)), Some(false));
        assert_eq!(set.matches(ValueRef::Str("3")), None);
        assert_eq!(set.matches(ValueRef::F64(f64::NAN)), None);
    }

    #[test]
    fn null_among_the_members_makes_the_rest_unknown() {
        let set = members(vec![1.into(), Value::Null]);
        assert_eq!(set.matches(ValueRef::I64(1)), Some(true));
        assert_eq!(set.matches(ValueRef::I64(2)), None);
    }

    #[test]
    fn members_of_several_kinds_are_compared_one_by_one() {
        let set = members(vec![1.into(), "a".into()]);
        assert_eq!(set.matches(ValueRef::Str("a")), Some(true));
        assert_eq!(set.matches(ValueRef::Str("b")), None);
    }

    #[test]
    fn list_is_in_the_set_if_one_element_is() {
        let list = Value::from(vec![Value::Null, "b".into()]);
        assert_eq!(
            members(vec!["a".into(), "b".into()]).matches(list.view()),
            Some(true)
        );
        assert_eq!(members(vec!["a".into()]).matches(list.view()), Some(false));
    }
}

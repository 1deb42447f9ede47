//! How two values compare.

use std::cmp::Ordering;

use super::expr::{Collation, CompareOp};
use crate::value::view::elements;
use crate::value::{ListView, ValueRef};

/// Returns whether `left op right` holds, or `None` where that is unknown: one side is NULL, or the
/// two have no common order.
///
/// Of a list and a single value, `=` says that the list contains it and `<>` that it does not; NULL
/// elements, and those of another kind, are not it.
pub(super) fn test(
    op: CompareOp,
    left: ValueRef<'_>,
    right: ValueRef<'_>,
    collation: Collation,
) -> Option<bool> {
    match (left, right) {
        (ValueRef::List(_), ValueRef::List(_)) => None,
        (ValueRef::List(list), one) | (one, ValueRef::List(list)) => {
            if is_null(one) || !op.is_equality() {
                return None;
            }
            Some(contains(list, one, collation) == (op == CompareOp::Eq))
        }
        _ => compare(left, right, collation).map(|order| op.accepts(order)),
    }
}

/// Returns whether the value counts as NULL, as NaN does.
pub(super) fn is_null(value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::Null => true,
        ValueRef::F64(number) => number.is_nan(),
        _ => false,
    }
}

fn contains(list: &dyn ListView, wanted: ValueRef<'_>, collation: Collation) -> bool {
    elements(list).any(|element| compare(element, wanted, collation) == Some(Ordering::Equal))
}

/// Returns the order of two single values of one kind; text by its bytes, numbers by value.
pub(super) fn compare(
    left: ValueRef<'_>,
    right: ValueRef<'_>,
    collation: Collation,
) -> Option<Ordering> {
    match (left, right) {
        (ValueRef::Str(a), ValueRef::Str(b)) => Some(compare_text(a, b, collation)),
        (ValueRef::F64(a), ValueRef::F64(b)) => a.partial_cmp(&b),
        (ValueRef::I64(a), ValueRef::I64(b)) => Some(a.cmp(&b)),
        (ValueRef::F64(a), b) => compare_float(a, integer(b)?),
        (a, ValueRef::F64(b)) => compare_float(b, integer(a)?).map(Ordering::reverse),
        (ValueRef::I64(_) | ValueRef::U64(_), b) => Some(integer(left)?.cmp(&integer(b)?)),
        (ValueRef::Bool(a), ValueRef::Bool(b)) => Some(a.cmp(&b)),
        (ValueRef::Bytes(a), ValueRef::Bytes(b)) => Some(a.cmp(b)),
        (ValueRef::Uuid(a), ValueRef::Uuid(b)) => Some(a.cmp(&b)),
        (ValueRef::Time(a), ValueRef::Time(b)) => Some(a.cmp(&b)),
        (ValueRef::Duration(a), ValueRef::Duration(b)) => Some(a.cmp(&b)),
        _ => None,
    }
}

fn compare_text(a: &str, b: &str, collation: Collation) -> Ordering {
    match collation {
        Collation::Exact => a.cmp(b),
        Collation::IgnoreAsciiCase => {
            let lower = |byte: u8| byte.to_ascii_lowercase();
            a.bytes().map(lower).cmp(b.bytes().map(lower))
        }
    }
}

/// Returns an integer of either sign in a type that holds both.
fn integer(value: ValueRef<'_>) -> Option<i128> {
    match value {
        ValueRef::I64(number) => Some(number.into()),
        ValueRef::U64(number) => Some(number.into()),
        _ => None,
    }
}

/// Returns the order of the exact values; converting the integer to `f64` would round it.
fn compare_float(float: f64, integer: i128) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    let whole = float.trunc();
    // Saturates where `i128` ends, far beyond every integer here.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the fraction was cut off before, and is looked at after"
    )]
    let order = (whole as i128).cmp(&integer);
    Some(order.then(float.partial_cmp(&whole)?))
}

impl CompareOp {
    /// Returns whether two values in this order fulfil the operator.
    pub(super) fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Eq => order.is_eq(),
            Self::Ne => order.is_ne(),
            Self::Lt => order.is_lt(),
            Self::Le => order.is_le(),
            Self::Gt => order.is_gt(),
            Self::Ge => order.is_ge(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn order(left: impl Into<Value>, right: impl Into<Value>) -> Option<Ordering> {
        compare(left.into().view(), right.into().view(), Collation::Exact)
    }

    #[test]
    fn integers_and_floats_compare_by_exact_value() {
        // 2^53 + 1 and 2^53 are the same `f64`.
        let big = 9_007_199_254_740_993_i64;
        assert_eq!(order(big, 9_007_199_254_740_992.0), Some(Ordering::Greater));
        assert_eq!(order(9_007_199_254_740_992.0, big), Some(Ordering::Less));
        assert_eq!(
            order(u64::MAX, 18_446_744_073_709_551_616.0),
            Some(Ordering::Less)
        );
        assert_eq!(order(i64::MAX, u64::MAX), Some(Ordering::Less));
        assert_eq!(order(-1_i64, 0_u64), Some(Ordering::Less));
        assert_eq!(order(2.5, 2), Some(Ordering::Greater));
        assert_eq!(order(-2.5, -2), Some(Ordering::Less));
        assert_eq!(order(-2, -2.5), Some(Ordering::Greater));
        assert_eq!(order(f64::INFINITY, u64::MAX), Some(Ordering::Greater));
        assert_eq!(order(f64::NEG_INFINITY, i64::MIN), Some(Ordering::Less));
    }

    #[test]
    fn nan_has_no_order_and_zeros_are_equal() {
        assert_eq!(order(f64::NAN, f64::NAN), None);
        assert_eq!(order(f64::NAN, 1), None);
        assert_eq!(order(-0.0, 0.0), Some(Ordering::Equal));
        assert_eq!(order(-0.0, 0), Some(Ordering::Equal));
    }

    #[test]
    fn values_of_different_kinds_have_no_order() {
        assert_eq!(order("1", 1), None);
        assert_eq!(order(true, 1), None);
        assert_eq!(order(Value::Null, Value::Null), None);
    }

    #[test]
    fn nocase_folds_ascii_alone() {
        let order = |a, b| compare_text(a, b, Collation::IgnoreAsciiCase);
        assert_eq!(order("MsFt", "mSfT"), Ordering::Equal);
        assert_eq!(order("\u{dc}", "\u{fc}"), "\u{dc}".cmp("\u{fc}"));
        assert_eq!(order("Z", "_"), Ordering::Greater, "as after folding to z");
    }

    #[test]
    fn equality_with_a_list_is_membership() {
        let list = Value::from(vec![Value::Null, 1.into(), "a".into()]);
        let holds = |op, one: Value| test(op, list.view(), one.view(), Collation::Exact);
        assert_eq!(holds(CompareOp::Eq, 1.0.into()), Some(true));
        assert_eq!(holds(CompareOp::Eq, 2.into()), Some(false));
        assert_eq!(holds(CompareOp::Ne, 2.into()), Some(true));
        assert_eq!(holds(CompareOp::Eq, Value::Null), None);
        assert_eq!(holds(CompareOp::Lt, 1.into()), None);
        assert_eq!(holds(CompareOp::Eq, list.clone()), None);
    }
}

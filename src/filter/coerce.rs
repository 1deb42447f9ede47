//! Constants as values of the type that they are compared with.

use std::sync::LazyLock;

use uuid::Uuid;

use super::error::{FilterError, FilterErrorKind, quoted};
use super::expr::{Collation, CompareOp};
use super::literal::{DURATION, TIME, parse_duration, parse_time};
use super::operand::{Name, Span};
use super::suggest::nearest;
use crate::value::{Value, ValueRef, ValueType};

/// What values have an order with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Not known before a value is there.
    Any,
    Bool,
    Number,
    Text,
    Bytes,
    Uuid,
    Time,
    Duration,
    /// None: they have no order at all.
    List,
    Record,
}

impl Kind {
    pub(super) fn of(ty: &ValueType) -> Self {
        match ty.not_null() {
            ValueType::Any | ValueType::Option(_) => Self::Any,
            ValueType::Bool => Self::Bool,
            ValueType::I8
            | ValueType::I16
            | ValueType::I32
            | ValueType::I64
            | ValueType::U8
            | ValueType::U16
            | ValueType::U32
            | ValueType::U64
            | ValueType::F32
            | ValueType::F64 => Self::Number,
            ValueType::Str | ValueType::Enum(_) => Self::Text,
            ValueType::Bytes => Self::Bytes,
            ValueType::Uuid => Self::Uuid,
            ValueType::Time => Self::Time,
            ValueType::Duration => Self::Duration,
            ValueType::List(_) => Self::List,
            ValueType::Map(_) | ValueType::Record(_) => Self::Record,
        }
    }

    /// Returns the type of a value by itself, of the widest of its kind.
    pub(super) fn type_of(value: ValueRef<'_>) -> &'static ValueType {
        static LIST: LazyLock<ValueType> =
            LazyLock::new(|| ValueType::List(Box::new(ValueType::Any)));
        static MAP: LazyLock<ValueType> =
            LazyLock::new(|| ValueType::Map(Box::new(ValueType::Any)));
        match value {
            ValueRef::Null => &ValueType::Any,
            ValueRef::Bool(_) => &ValueType::Bool,
            ValueRef::I64(_) => &ValueType::I64,
            ValueRef::U64(_) => &ValueType::U64,
            ValueRef::F64(_) => &ValueType::F64,
            ValueRef::Str(_) => &ValueType::Str,
            ValueRef::Bytes(_) => &ValueType::Bytes,
            ValueRef::Uuid(_) => &ValueType::Uuid,
            ValueRef::Time(_) => &ValueType::Time,
            ValueRef::Duration(_) => &ValueType::Duration,
            ValueRef::List(_) => &LIST,
            ValueRef::Record(_) => &MAP,
        }
    }

    /// Returns the kind with an article, as error messages use it.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Any => "a value",
            Self::Bool => "TRUE or FALSE",
            Self::Number => "a number",
            Self::Text => "text in quotes",
            Self::Bytes => "bytes, such as x'0aff'",
            Self::Uuid => "a UUID in braces",
            Self::Time => TIME,
            Self::Duration => DURATION,
            Self::List => "a list",
            Self::Record => "a record",
        }
    }
}

/// A constant in criteria, and what an error about it has to say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Constant<'a> {
    pub(super) value: ValueRef<'a>,
    pub(super) span: Span,
    /// The name that it is compared with.
    pub(super) name: &'a Name,
}

impl Constant<'_> {
    /// Returns the constant as a value of the single type `ty`; NULL is one of every type.
    pub(super) fn to_type(
        self,
        ty: &ValueType,
        collation: Collation,
    ) -> Result<Value, FilterError> {
        let ty = ty.not_null();
        let Some(text) = self.value.as_str() else {
            let kind = Kind::of(Kind::type_of(self.value));
            return match Kind::of(ty) {
                wanted if kind == wanted || kind == Kind::Any || wanted == Kind::Any => {
                    Ok(self.value.to_value())
                }
                _ => Err(self.mismatch(ty)),
            };
        };
        let unreadable = |_| self.unreadable(Kind::of(ty).noun());
        match ty {
            ValueType::Any | ValueType::Str => Ok(text.into()),
            ValueType::Enum(names) => self.variant(text, names, collation),
            ValueType::Uuid => Uuid::try_parse(text.trim())
                .map(Value::Uuid)
                .map_err(unreadable),
            ValueType::Time => parse_time(text)
                .map(Value::Time)
                .ok_or(())
                .map_err(|()| self.unreadable(TIME)),
            ValueType::Duration => parse_duration(text)
                .map(Value::Duration)
                .ok_or_else(|| self.unreadable(DURATION)),
            _ => Err(self.mismatch(ty)),
        }
    }

    fn variant(
        self,
        text: &str,
        names: &[String],
        collation: Collation,
    ) -> Result<Value, FilterError> {
        let same = |name: &String| match collation {
            Collation::Exact => name == text,
            Collation::IgnoreAsciiCase => name.eq_ignore_ascii_case(text),
        };
        if names.iter().any(same) {
            return Ok(text.into());
        }
        let names = names.iter().map(String::as_str);
        let suggestion = nearest(text, names.clone()).map(|name| ValueRef::Str(name).to_string());
        let listed: Vec<_> = names.take(LISTED).map(|name| format!("'{name}'")).collect();
        let expected = format!("one of {}", listed.join(", "));
        Err(self.unreadable(&expected).suggesting(suggestion))
    }

    fn unreadable(self, expected: &str) -> FilterError {
        let expected = format!("{expected}, as {} is compared with it", self.quoted_name());
        FilterError::new(FilterErrorKind::Literal, self.span, self.shown(), expected)
    }

    fn mismatch(self, ty: &ValueType) -> FilterError {
        let noun = Kind::of(ty).noun();
        let expected = format!("{noun}, as {} is {}", self.quoted_name(), brief(ty));
        FilterError::new(FilterErrorKind::Type, self.span, self.shown(), expected)
    }

    fn quoted_name(self) -> String {
        quoted(&self.name.to_string())
    }

    fn shown(self) -> String {
        match self.value {
            ValueRef::List(_) | ValueRef::Record(_) => self.value.kind_name().to_owned(),
            value => {
                let shown = quoted(&value.to_string());
                format!("{} {shown}", value.kind_name())
            }
        }
    }
}

/// Returns the type as an error message names it: a record by its name alone.
pub(super) fn brief(ty: &ValueType) -> String {
    match ty.not_null() {
        ValueType::Record(record) => record.name().to_owned(),
        ValueType::List(inner) => format!("a list of {}", brief(inner)),
        ValueType::Map(inner) => format!("a map of {}", brief(inner)),
        other => other.to_string(),
    }
}

/// Returns the comparison with a number that a parameter of type `ty` can have, which holds for the
/// same values of that type.
///
/// `n > 2.5` of an integer is `n >= 3`. Of an `f32`, a fraction is what the same digits are as an
/// `f32`: else `ratio = 0.1` would never hold.
pub(super) fn to_width(op: CompareOp, value: Value, ty: &ValueType) -> (CompareOp, Value) {
    let Value::F64(number) = value else {
        return (op, value);
    };
    match ty.not_null() {
        ValueType::F32 => (op, Value::F64(nearest_f32(number))),
        ValueType::F64 => (op, value),
        _ if Kind::of(ty) == Kind::Number => to_integer(op, number),
        _ => (op, value),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding to the nearest is what is wanted"
)]
fn nearest_f32(number: f64) -> f64 {
    let narrow = number as f32;
    // Beyond every finite `f32` the exact number keeps its place in the order.
    if narrow.is_finite() {
        narrow.into()
    } else {
        number
    }
}

fn to_integer(op: CompareOp, number: f64) -> (CompareOp, Value) {
    let (op, rounded) = match op {
        CompareOp::Lt | CompareOp::Le if number.fract() != 0.0 => (CompareOp::Le, number.floor()),
        CompareOp::Gt | CompareOp::Ge if number.fract() != 0.0 => (CompareOp::Ge, number.ceil()),
        _ => (op, number),
    };
    // A fraction under `=` stays one, and equals no integer; so does what lies beyond `u64`.
    let value = exact_integer(rounded).unwrap_or(Value::F64(rounded));
    (op, value)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "whole numbers convert exactly, and the range is checked after"
)]
fn exact_integer(number: f64) -> Option<Value> {
    if number.fract() != 0.0 {
        return None;
    }
    let whole = number as i128;
    let signed = i64::try_from(whole).ok().map(Value::I64);
    signed.or_else(|| u64::try_from(whole).ok().map(Value::U64))
}

/// How many variants an error lists.
const LISTED: usize = 8;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failure shows the error")]
    use super::*;
    use crate::filter::expr::Collation::{Exact, IgnoreAsciiCase};

    fn converted(
        value: &Value,
        ty: &ValueType,
        collation: Collation,
    ) -> Result<Value, FilterError> {
        let constant = Constant {
            value: value.view(),
            span: Span::new(0, 0),
            name: &Name::new(["a"]),
        };
        constant.to_type(ty, collation)
    }

    fn text_as(text: &str, ty: &ValueType) -> Result<Value, FilterErrorKind> {
        converted(&text.into(), ty, Exact).map_err(|error| error.kind())
    }

    #[test]
    fn text_is_read_as_the_type_it_is_compared_with() {
        let uuid = Uuid::from_u128(5);
        assert_eq!(
            text_as(&format!("{{{uuid}}}"), &ValueType::Uuid),
            Ok(uuid.into())
        );
        assert!(matches!(
            text_as("2000-01-01", &ValueType::Time),
            Ok(Value::Time(_))
        ));
        assert!(matches!(
            text_as("1h 30m", &ValueType::Duration),
            Ok(Value::Duration(_))
        ));
        assert_eq!(
            text_as("soon", &ValueType::Time),
            Err(FilterErrorKind::Literal)
        );
        assert_eq!(text_as("5", &ValueType::I32), Err(FilterErrorKind::Type));
        assert_eq!(
            text_as("TRUE", &ValueType::Bool),
            Err(FilterErrorKind::Type)
        );
    }

    #[test]
    fn null_is_of_every_type_and_any_takes_everything() {
        let null = Value::Null;
        assert_eq!(
            converted(&null, &ValueType::Uuid, Exact).unwrap(),
            Value::Null
        );
        let five = Value::I64(5);
        assert_eq!(converted(&five, &ValueType::Any, Exact).unwrap(), five);
    }

    #[test]
    fn variants_are_checked_by_the_collation() {
        let side = ValueType::Enum(vec!["Buy".into(), "Sell".into()]);
        assert_eq!(text_as("Buy", &side), Ok("Buy".into()));
        let error = converted(&"buy".into(), &side, Exact).unwrap_err();
        assert_eq!(error.suggestion(), Some("'Buy'"));
        let folded = converted(&"buy".into(), &side, IgnoreAsciiCase);
        assert_eq!(folded.unwrap(), "buy".into());
    }

    #[test]
    fn fractions_round_towards_what_holds_for_the_same_integers() {
        let width = |op, number: f64| to_width(op, number.into(), &ValueType::I32);
        assert_eq!(width(CompareOp::Gt, 2.5), (CompareOp::Ge, Value::I64(3)));
        assert_eq!(width(CompareOp::Le, -2.5), (CompareOp::Le, Value::I64(-3)));
        assert_eq!(width(CompareOp::Gt, 2.0), (CompareOp::Gt, Value::I64(2)));
        assert_eq!(width(CompareOp::Eq, 2.5), (CompareOp::Eq, Value::F64(2.5)));
        assert_eq!(
            width(CompareOp::Lt, 1e30),
            (CompareOp::Lt, Value::F64(1e30))
        );
        assert_eq!(
            width(CompareOp::Lt, 9.3e18),
            (CompareOp::Lt, Value::U64(9_300_000_000_000_000_000))
        );
    }

    #[test]
    fn fractions_are_f32_where_the_parameter_is() {
        let (_, value) = to_width(CompareOp::Eq, 0.1.into(), &ValueType::F32);
        assert_eq!(value, Value::F64(f64::from(0.1_f32)));
        let (_, value) = to_width(CompareOp::Lt, 1e300.into(), &ValueType::F32);
        assert_eq!(value, Value::F64(1e300));
    }
}

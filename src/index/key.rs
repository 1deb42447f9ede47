//! What values are looked up by: equality by constants, order by one number.

use std::time::{Duration, SystemTime};

use smallvec::SmallVec;
use uuid::Uuid;

use super::hash::Mixer;
use crate::filter::Collation;
use crate::value::ValueRef;

/// One of the views of a column that a term can be about; each is an attribute of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Domain {
    /// Whether there is a value.
    #[default]
    Presence,
    Bool,
    Number,
    Text,
    /// Text after `A` to `Z` became `a` to `z`.
    Folded,
    /// The beginnings of the text.
    Prefix,
    FoldedPrefix,
    Bytes,
    Uuid,
    Time,
    Duration,
}

/// A value that another can be equal to, in the one form that equal values share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Constant<B> {
    Absent,
    Present,
    Bool(bool),
    /// Every whole number that `i64` has.
    Signed(i64),
    /// Every whole number above those.
    Unsigned(u64),
    /// The bits of any other number.
    Float(u64),
    Text(B),
    Bytes(B),
    Uuid(Uuid),
    Time(SystemTime),
    Duration(Duration),
}

/// A constant of an event.
pub(super) type ConstantRef<'a> = Constant<&'a [u8]>;

/// A constant that is kept; in place if it is short, as most symbols are that a match compares.
pub(super) type OwnedConstant = Constant<SmallVec<[u8; 16]>>;

/// A number in the order of the values of one domain.
///
/// Keys never decrease as values grow. Where `exact`, no other value has the same key, so that a
/// comparison with the key is one with the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OrderKey {
    pub(super) key: u64,
    pub(super) exact: bool,
}

impl Domain {
    pub(super) const COUNT: usize = Self::Duration as usize + 1;

    /// Returns the domain of what is compared with this value; a list, a record and NULL have none.
    pub(super) fn of(value: ValueRef<'_>, collation: Collation) -> Option<Self> {
        match value {
            ValueRef::Bool(_) => Some(Self::Bool),
            ValueRef::I64(_) | ValueRef::U64(_) => Some(Self::Number),
            ValueRef::F64(number) if !number.is_nan() => Some(Self::Number),
            ValueRef::Str(_) => Some(match collation {
                Collation::Exact => Self::Text,
                Collation::IgnoreAsciiCase => Self::Folded,
            }),
            ValueRef::Bytes(_) => Some(Self::Bytes),
            ValueRef::Uuid(_) => Some(Self::Uuid),
            ValueRef::Time(_) => Some(Self::Time),
            ValueRef::Duration(_) => Some(Self::Duration),
            _ => None,
        }
    }

    /// Returns whether the text of the domain is folded.
    pub(super) fn is_folded(self) -> bool {
        matches!(self, Self::Folded | Self::FoldedPrefix)
    }

    /// Returns whether it is of numbers or times, whose ranges can be told as values.
    pub(super) fn is_measured(self) -> bool {
        matches!(self, Self::Number | Self::Time | Self::Duration)
    }

    /// Returns whether its symbols are beginnings, of which a value can have several.
    pub(super) fn is_prefix(self) -> bool {
        matches!(self, Self::Prefix | Self::FoldedPrefix)
    }
}

impl<'a> ConstantRef<'a> {
    /// Returns what an equal value has in common with this one; text as it stands.
    pub(super) fn of(value: ValueRef<'a>) -> Option<Self> {
        match value {
            ValueRef::Bool(value) => Some(Self::Bool(value)),
            ValueRef::I64(value) => Some(Self::Signed(value)),
            ValueRef::U64(value) => Some(match i64::try_from(value) {
                Ok(value) => Self::Signed(value),
                Err(_) => Self::Unsigned(value),
            }),
            ValueRef::F64(value) => Self::of_float(value),
            ValueRef::Str(value) => Some(Self::Text(value.as_bytes())),
            ValueRef::Bytes(value) => Some(Self::Bytes(value)),
            ValueRef::Uuid(value) => Some(Self::Uuid(value)),
            ValueRef::Time(value) => Some(Self::Time(value)),
            ValueRef::Duration(value) => Some(Self::Duration(value)),
            _ => None,
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole numbers within the bounds of the integer convert exactly"
    )]
    fn of_float(value: f64) -> Option<Self> {
        const TWO_63: f64 = 9_223_372_036_854_775_808.0;
        if value.is_nan() {
            return None;
        }
        let whole = value.trunc() == value;
        Some(if whole && (-TWO_63..TWO_63).contains(&value) {
            Self::Signed(value as i64)
        } else if whole && (TWO_63..2.0 * TWO_63).contains(&value) {
            Self::Unsigned(value as u64)
        } else {
            Self::Float(value.to_bits())
        })
    }

    pub(super) fn hash(self, mixer: Mixer) -> Mixer {
        match self {
            Self::Absent => mixer.word(0_u64),
            Self::Present => mixer.word(1_u64),
            Self::Bool(value) => mixer.word(2_u64 + u64::from(value)),
            Self::Signed(value) => mixer.word(value.cast_unsigned()),
            Self::Unsigned(value) | Self::Float(value) => mixer.word(value),
            Self::Text(bytes) | Self::Bytes(bytes) => mixer.bytes(bytes),
            Self::Uuid(uuid) => mixer.bytes(uuid.as_bytes()),
            Self::Time(time) => mixer.word(time_key(time).key),
            Self::Duration(span) => mixer.word(span.as_secs()).word(span.subsec_nanos()),
        }
    }

    pub(super) fn to_owned(self) -> OwnedConstant {
        self.convert(|bytes| SmallVec::from_slice(bytes))
    }
}

impl OwnedConstant {
    pub(super) fn view(&self) -> ConstantRef<'_> {
        self.convert(|bytes| &**bytes)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Text(bytes) | Self::Bytes(bytes) if bytes.spilled() => bytes.capacity(),
            _ => 0,
        }
    }
}

impl<B> Constant<B> {
    fn convert<'a, C>(&'a self, bytes: impl FnOnce(&'a B) -> C) -> Constant<C> {
        match self {
            Self::Absent => Constant::Absent,
            Self::Present => Constant::Present,
            Self::Bool(value) => Constant::Bool(*value),
            Self::Signed(value) => Constant::Signed(*value),
            Self::Unsigned(value) => Constant::Unsigned(*value),
            Self::Float(value) => Constant::Float(*value),
            Self::Text(value) => Constant::Text(bytes(value)),
            Self::Bytes(value) => Constant::Bytes(bytes(value)),
            Self::Uuid(value) => Constant::Uuid(*value),
            Self::Time(value) => Constant::Time(*value),
            Self::Duration(value) => Constant::Duration(*value),
        }
    }
}

impl OrderKey {
    /// Returns the key of a value; text as it stands.
    pub(super) fn of(value: ValueRef<'_>) -> Option<Self> {
        match value {
            ValueRef::Bool(value) => Some(exact(1 + u64::from(value))),
            ValueRef::I64(value) => Some(integer_key(value < 0, value.unsigned_abs())),
            ValueRef::U64(value) => Some(integer_key(false, value)),
            ValueRef::F64(value) if value.is_nan() => None,
            ValueRef::F64(value) => Some(float_key(value)),
            ValueRef::Str(text) => Some(bytes_key(text.as_bytes())),
            ValueRef::Bytes(bytes) => Some(bytes_key(bytes)),
            ValueRef::Uuid(uuid) => {
                let key = uuid.as_u64_pair().0;
                Some(OrderKey { key, exact: false })
            }
            ValueRef::Time(time) => Some(time_key(time)),
            ValueRef::Duration(span) => Some(span_key(false, span)),
            _ => None,
        }
    }
}

fn exact(key: u64) -> OrderKey {
    OrderKey { key, exact: true }
}

fn signed(negative: bool, magnitude: u64, exact: bool) -> OrderKey {
    let key = match negative {
        true => ZERO - magnitude,
        false => ZERO + magnitude,
    };
    OrderKey { key, exact }
}

/// Floats have a key each, in their order, and where they are further apart than whole numbers, one
/// more stands for all whole numbers up to the next float. Pairs of the floats next to zero share a
/// key to make room for that.
fn float_key(value: f64) -> OrderKey {
    let (magnitude, exact) = float_magnitude(value.abs().to_bits());
    signed(value.is_sign_negative(), magnitude, exact)
}

fn float_magnitude(bits: u64) -> (u64, bool) {
    if bits < DENSE {
        return (bits.div_ceil(2), bits == 0);
    }
    let base = DENSE / 2 + 1;
    let gaps = bits.clamp(GAPS_FROM, GAPS_TO) - GAPS_FROM;
    (base + (bits - DENSE) + gaps, true)
}

fn integer_key(negative: bool, magnitude: u64) -> OrderKey {
    const MANTISSA_BITS: u32 = 53;
    let length = u64::BITS - magnitude.leading_zeros();
    let cut = length.saturating_sub(MANTISSA_BITS);
    let whole = magnitude >> cut << cut;
    #[expect(
        clippy::cast_precision_loss,
        reason = "what does not fit was cut off before"
    )]
    let (key, _) = float_magnitude((whole as f64).to_bits());
    match magnitude - whole {
        0 => signed(negative, key, true),
        // Of two floats that are two apart, one whole number lies between.
        _ => signed(negative, key + 1, cut == 1),
    }
}

/// The first seven bytes, then how many there were: shorter is less where the rest is equal.
fn bytes_key(bytes: &[u8]) -> OrderKey {
    const SHOWN: usize = 7;
    let shown = bytes.len().min(SHOWN);
    let mut key = [0; 8];
    key[..shown].copy_from_slice(&bytes[..shown]);
    key[SHOWN] = bytes.len().min(SHOWN + 1) as u8;
    OrderKey {
        key: u64::from_be_bytes(key),
        exact: bytes.len() <= SHOWN,
    }
}

fn time_key(time: SystemTime) -> OrderKey {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => span_key(false, after),
        Err(before) => span_key(true, before.duration()),
    }
}

/// Nanoseconds as far as they fit, 292 years; beyond lies one key.
fn span_key(negative: bool, span: Duration) -> OrderKey {
    const BEYOND: u64 = ZERO - 1;
    match u64::try_from(span.as_nanos()) {
        Ok(nanos) if nanos < BEYOND => signed(negative, nanos, true),
        _ => signed(negative, BEYOND, false),
    }
}

/// The key of zero.
pub(super) const ZERO: u64 = 1 << 63;
/// The bits of the first float that has a key of its own. As many exponents below it share keys as
/// two for each one between `GAPS_FROM` and `GAPS_TO`.
const DENSE: u64 = 22 << 52;
/// The bits of 2^53, above which not every whole number is a float.
const GAPS_FROM: u64 = (1023 + 53) << 52;
/// The bits of 2^64, above which no integer lies.
const GAPS_TO: u64 = (1023 + 64) << 52;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn key(value: impl Into<Value>) -> OrderKey {
        OrderKey::of(value.into().view()).unwrap_or(exact(0))
    }

    /// Asserts that the values, in rising order, have rising keys where one of two is exact.
    fn assert_rising(values: &[Value]) {
        for (i, low) in values.iter().enumerate() {
            for high in &values[i + 1..] {
                let (a, b) = (key(low.clone()), key(high.clone()));
                let rising = a.key < b.key || (a.key == b.key && !a.exact && !b.exact);
                assert!(rising, "{low} is {a:?}, {high} is {b:?}");
            }
        }
    }

    #[test]
    fn numbers_of_all_types_lie_in_the_order_of_their_values() {
        let two_53 = 1_i64 << 53;
        assert_rising(&[
            f64::NEG_INFINITY.into(),
            (-1e300).into(),
            i64::MIN.into(),
            (i64::MIN + 1).into(),
            (-two_53 - 2).into(),
            (-two_53 - 1).into(),
            (-two_53).into(),
            (-1.5).into(),
            (-f64::MIN_POSITIVE).into(),
            (-5e-324).into(),
            0.into(),
            5e-324.into(),
            1e-323.into(),
            f64::MIN_POSITIVE.into(),
            1e-303.into(),
            0.5.into(),
            1.into(),
            (two_53 - 1).into(),
            two_53.into(),
            (two_53 + 1).into(),
            ((two_53 + 2) as f64).into(),
            (two_53 * 2 + 2).into(),
            (two_53 * 2 + 3).into(),
            (two_53 * 2 + 4).into(),
            i64::MAX.into(),
            (1_u64 << 63).into(),
            u64::MAX.into(),
            18_446_744_073_709_551_616.0.into(),
            f64::MAX.into(),
            f64::INFINITY.into(),
        ]);
    }

    #[test]
    fn equal_numbers_of_different_types_have_one_key_and_one_constant() {
        for (a, b) in [
            (Value::from(3), Value::from(3.0)),
            (0.0.into(), (-0.0).into()),
            ((1_i64 << 60).into(), ((1_u64 << 60) as f64).into()),
            ((1_u64 << 63).into(), 9_223_372_036_854_775_808.0.into()),
        ] {
            assert_eq!(key(a.clone()), key(b.clone()));
            assert_eq!(ConstantRef::of(a.view()), ConstantRef::of(b.view()));
        }
        let (a, b) = (
            Value::from((1_i64 << 60) + 1),
            Value::from((1_i64 << 60) as f64),
        );
        assert_ne!(ConstantRef::of(a.view()), ConstantRef::of(b.view()));
    }

    #[test]
    fn only_whole_numbers_between_distant_floats_share_a_key() {
        assert!(key((1_i64 << 53) + 1).exact);
        assert!(!key((1_i64 << 54) + 1).exact);
        assert!(key((1_i64 << 54) + 4).exact);
        assert!(key(0.1).exact && key(-1e18).exact && key(u64::MAX >> 11).exact);
    }

    #[test]
    fn texts_lie_in_the_order_of_their_bytes() {
        let texts = [
            "",
            "\0",
            "\0\0",
            "a",
            "a\0",
            "ab",
            "abcdefg",
            "abcdefg\0",
            "abcdefgh",
            "b",
        ];
        assert_rising(&texts.map(Value::from));
        assert!(key("abcdefg").exact && !key("abcdefgh").exact);
    }

    #[test]
    fn times_and_spans_lie_in_their_order_and_end_inexactly() {
        let epoch = SystemTime::UNIX_EPOCH;
        let second = Duration::from_secs(1);
        let century = Duration::from_secs(100 * 365 * 86_400);
        assert_rising(&[
            (epoch - century * 4).into(),
            (epoch - century).into(),
            (epoch - Duration::from_nanos(1)).into(),
            epoch.into(),
            (epoch + second).into(),
            (epoch + century * 4).into(),
        ]);
        assert_rising(&[Duration::ZERO.into(), second.into(), Duration::MAX.into()]);
        assert!(!key(Duration::MAX).exact);
    }
}

//! Ranges of keys as ranges of the values that have them.

use std::ops::Bound;
use std::time::{Duration, SystemTime};

use super::cover::{Span, Spans};
use super::key::{Domain, OrderKey, ZERO};
use crate::value::{Value, ValueRef, ValueType};

/// The values of one domain whose keys lie in a span.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyRange {
    domain: Domain,
    span: Span,
}

impl KeyRange {
    pub(super) fn new(domain: Domain, span: Span) -> Self {
        Self { domain, span }
    }

    /// Returns the union of ranges: those that overlap as one, and the closest where they are more
    /// than a few.
    pub(crate) fn joined(ranges: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut domains: Vec<(Domain, Spans)> = Vec::new();
        for Self { domain, span } in ranges {
            let known = domains.iter().position(|(known, _)| *known == domain);
            let at = known.unwrap_or_else(|| {
                domains.push((domain, Spans::default()));
                domains.len() - 1
            });
            domains[at].1.add(span);
        }
        let spans = domains.iter();
        spans
            .flat_map(|(domain, spans)| spans.iter().map(|span| Self::new(*domain, span)))
            .collect()
    }

    /// Returns the bounds of the range, in values of the type. Between them lies each value with
    /// such a key, and where several values share one, a few more.
    pub(crate) fn bounds(&self, ty: &ValueType) -> (Bound<Value>, Bound<Value>) {
        let Span { low, high } = self.span;
        let scale: &dyn Scale = match (self.domain, ty) {
            (Domain::Time, _) => &Times,
            (Domain::Duration, _) => &Durations,
            (_, ValueType::I8 | ValueType::I16 | ValueType::I32 | ValueType::I64) => &Signed,
            (_, ValueType::U8 | ValueType::U16 | ValueType::U32 | ValueType::U64) => &Unsigned,
            (_, ValueType::F32) => &Singles,
            _ => &Doubles,
        };
        let low = match low {
            0 => Bound::Unbounded,
            low => lower(scale, low),
        };
        let high = match high {
            u64::MAX => Bound::Unbounded,
            high => upper(scale, high),
        };
        (low, high)
    }
}

/// The values of a type in their order, each at a place.
trait Scale {
    /// The first place and the last.
    fn ends(&self) -> (i128, i128);

    fn value(&self, place: i128) -> Value;

    /// Returns how much there is to write of the value at a place; of two bounds that say the same,
    /// the shorter one is what was written in a filter.
    fn length(&self, place: i128) -> usize;

    fn key(&self, place: i128) -> u64 {
        // Every value of a scale has a key.
        OrderKey::of(self.value(place).view()).map_or(0, |key| key.key)
    }

    /// Returns the first place whose key is at least `key`; the one behind the last if there is
    /// none.
    fn first(&self, key: u64) -> i128 {
        let (mut from, last) = self.ends();
        let mut to = last + 1;
        while from < to {
            let middle = (from + to).div_euclid(2);
            match self.key(middle) < key {
                true => from = middle + 1,
                false => to = middle,
            }
        }
        from
    }
}

fn lower(scale: &dyn Scale, key: u64) -> Bound<Value> {
    let place = scale.first(key);
    let (start, end) = scale.ends();
    if place == start {
        return Bound::Unbounded;
    }
    let outside = place - 1;
    let shared = place > end || scale.key(place) != key;
    if shared || scale.length(outside) < scale.length(place) {
        return Bound::Excluded(scale.value(outside));
    }
    Bound::Included(scale.value(place))
}

fn upper(scale: &dyn Scale, key: u64) -> Bound<Value> {
    let outside = scale.first(key + 1);
    let (start, end) = scale.ends();
    if outside > end {
        return Bound::Unbounded;
    }
    let place = outside - 1;
    let shared = place < start || scale.key(place) != key;
    if shared || scale.length(outside) < scale.length(place) {
        return Bound::Excluded(scale.value(outside));
    }
    Bound::Included(scale.value(place))
}

struct Signed;
struct Unsigned;
struct Singles;
struct Doubles;
struct Times;
struct Durations;

impl Scale for Signed {
    fn ends(&self) -> (i128, i128) {
        (i64::MIN.into(), i64::MAX.into())
    }

    fn value(&self, place: i128) -> Value {
        i64::try_from(place).unwrap_or_default().into()
    }

    fn length(&self, _place: i128) -> usize {
        0
    }
}

impl Scale for Unsigned {
    fn ends(&self) -> (i128, i128) {
        (0, u64::MAX.into())
    }

    fn value(&self, place: i128) -> Value {
        u64::try_from(place).unwrap_or_default().into()
    }

    fn length(&self, _place: i128) -> usize {
        0
    }
}

impl Scale for Singles {
    fn ends(&self) -> (i128, i128) {
        let end = i128::from(f32::INFINITY.to_bits());
        (-end, end)
    }

    fn value(&self, place: i128) -> Value {
        f64::from(single(place)).into()
    }

    fn length(&self, place: i128) -> usize {
        format!("{:e}", single(place)).len()
    }
}

impl Scale for Doubles {
    fn ends(&self) -> (i128, i128) {
        let end = i128::from(f64::INFINITY.to_bits());
        (-end, end)
    }

    fn value(&self, place: i128) -> Value {
        double(place).into()
    }

    fn length(&self, place: i128) -> usize {
        format!("{:e}", double(place)).len()
    }
}

/// A place is a number of nanoseconds; the keys of what lies further away are one.
impl Scale for Times {
    fn ends(&self) -> (i128, i128) {
        (-NANOS, NANOS)
    }

    fn value(&self, place: i128) -> Value {
        let epoch = SystemTime::UNIX_EPOCH;
        let span = nanos(place);
        let time = match place < 0 {
            true => epoch.checked_sub(span),
            false => epoch.checked_add(span),
        };
        time.unwrap_or(epoch).into()
    }

    fn length(&self, place: i128) -> usize {
        digits(place)
    }

    fn key(&self, place: i128) -> u64 {
        key_of_nanos(place)
    }
}

impl Scale for Durations {
    fn ends(&self) -> (i128, i128) {
        (0, NANOS)
    }

    fn value(&self, place: i128) -> Value {
        nanos(place).into()
    }

    fn length(&self, place: i128) -> usize {
        digits(place)
    }

    fn key(&self, place: i128) -> u64 {
        key_of_nanos(place)
    }
}

/// The places of floats are their bits, below zero with the sign of the number.
fn double(place: i128) -> f64 {
    let magnitude = f64::from_bits(u64::try_from(place.unsigned_abs()).unwrap_or_default());
    if place < 0 { -magnitude } else { magnitude }
}

fn single(place: i128) -> f32 {
    let magnitude = f32::from_bits(u32::try_from(place.unsigned_abs()).unwrap_or_default());
    if place < 0 { -magnitude } else { magnitude }
}

fn nanos(place: i128) -> Duration {
    Duration::from_nanos(u64::try_from(place.unsigned_abs()).unwrap_or(u64::MAX))
}

fn key_of_nanos(place: i128) -> u64 {
    u64::try_from(i128::from(ZERO) + place).unwrap_or_default()
}

/// Returns how many decimal digits a number has before the zeros at its end.
fn digits(mut place: i128) -> usize {
    while place != 0 && place % 10 == 0 {
        place /= 10;
    }
    place.to_string().len()
}

/// The nanoseconds of the last key that stands for one time alone.
const NANOS: i128 = ZERO as i128 - 2;

impl ValueType {
    /// Returns the value as one of this type's elements or of itself, where there is an equal one.
    pub(crate) fn own(&self, value: Value) -> Value {
        let exact = |float: f64| match (&value, float) {
            (Value::I64(number), float) => float as i128 == i128::from(*number),
            (Value::U64(number), float) => float as i128 == i128::from(*number),
            _ => false,
        };
        let view: ValueRef<'_> = value.view();
        match self.not_null() {
            Self::List(inner) => inner.own(value),
            Self::F32 | Self::F64 => match view.as_f64().filter(|float| exact(*float)) {
                Some(float) => float.into(),
                None => value,
            },
            Self::U8 | Self::U16 | Self::U32 | Self::U64 => match view.as_u64() {
                Some(number) => number.into(),
                None => value,
            },
            _ => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: impl Into<Value>) -> u64 {
        OrderKey::of(value.into().view()).map_or(0, |key| key.key)
    }

    fn bounds(domain: Domain, ty: &ValueType, low: u64, high: u64) -> (Bound<Value>, Bound<Value>) {
        KeyRange::new(domain, Span { low, high }).bounds(ty)
    }

    #[test]
    fn bounds_of_numbers_are_as_they_were_written() {
        let of = |ty, low, high| bounds(Domain::Number, &ty, low, high);
        let (excluded, included) = (Bound::Excluded, Bound::Included);
        for number in [185.0, 0.1, 0.3, -2.5, 0.0, 1e300, 1e17] {
            let (above, below) = (key(number) + 1, key(number) - 1);
            let value = Value::from(number);
            assert_eq!(
                of(ValueType::F64, above, u64::MAX),
                (excluded(value.clone()), Bound::Unbounded)
            );
            assert_eq!(
                of(ValueType::Any, 0, below),
                (Bound::Unbounded, excluded(value.clone()))
            );
            assert_eq!(
                of(ValueType::F64, key(number), key(number)),
                (included(value.clone()), included(value))
            );
        }
        assert_eq!(
            of(ValueType::I32, key(5) + 1, key(9) - 1),
            (excluded(5.into()), excluded(9.into()))
        );
        assert_eq!(
            of(ValueType::U64, key(0), key(u64::MAX)),
            (Bound::Unbounded, Bound::Unbounded)
        );
        let tenth = f64::from(0.1_f32);
        assert_eq!(
            of(ValueType::F32, key(tenth) + 1, key(tenth)).0,
            excluded(tenth.into())
        );
    }

    #[test]
    fn whole_numbers_between_distant_floats_are_inside_the_bounds() {
        let two_60 = 1_i64 << 60;
        let (low, high) = bounds(
            Domain::Number,
            &ValueType::Any,
            key(two_60 + 1),
            key(two_60 + 1),
        );
        assert_eq!(low, Bound::Excluded((two_60 as f64).into()));
        assert_eq!(high, Bound::Excluded(((two_60 + 256) as f64).into()));
        let exact = bounds(Domain::Number, &ValueType::I64, key(two_60), key(two_60));
        assert_eq!(exact.0, Bound::Included(two_60.into()));
    }

    #[test]
    fn bounds_of_times_and_spans_are_as_they_were_written() {
        let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(43_200);
        let (low, high) = bounds(
            Domain::Time,
            &ValueType::Time,
            key(noon) + 1,
            key(noon) + 1_000,
        );
        assert_eq!(low, Bound::Excluded(noon.into()));
        assert_eq!(
            high,
            Bound::Included((noon + Duration::from_micros(1)).into())
        );
        let minute = Duration::from_secs(60);
        let spans = |low, high| bounds(Domain::Duration, &ValueType::Duration, low, high);
        assert_eq!(spans(0, key(minute) - 1).1, Bound::Excluded(minute.into()));
        let forever = spans(key(minute), key(Duration::MAX));
        assert_eq!(forever, (Bound::Included(minute.into()), Bound::Unbounded));
    }

    #[test]
    fn constants_become_values_of_the_type_where_there_is_an_equal_one() {
        assert_eq!(ValueType::F64.own(185.into()), Value::F64(185.0));
        assert_eq!(ValueType::U32.own(5.into()), Value::U64(5));
        assert_eq!(ValueType::I64.own(2.5.into()), Value::F64(2.5));
        let big = (1_i64 << 53) + 1;
        assert_eq!(ValueType::F64.own(big.into()), Value::I64(big));
        let list = ValueType::List(Box::new(ValueType::F64));
        assert_eq!(list.own(1.into()), Value::F64(1.0));
        assert_eq!(ValueType::Any.own("a".into()), Value::from("a"));
    }
}

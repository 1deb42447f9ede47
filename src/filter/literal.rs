//! Constants out of text.

use std::time::{Duration, SystemTime};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

use crate::value::Value;

/// Returns the number: an integer where `i64` or `u64` has it, else the nearest `f64`.
///
/// So an integer beyond `u64` is compared as a float, which still lies beyond every integer.
pub(super) fn parse_number(text: &str) -> Option<Value> {
    if let Ok(number) = text.parse::<i64>() {
        return Some(Value::I64(number));
    }
    if let Ok(number) = text.parse::<u64>() {
        return Some(Value::U64(number));
    }
    text.parse().ok().map(Value::F64)
}

/// Returns the point in time: RFC 3339, or a date alone, which is its midnight in UTC.
pub(super) fn parse_time(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.into());
    }
    // Dates parse from longer texts too, and would swallow a time without an offset.
    let is_date = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let date = text.parse::<Date>().ok().filter(|_| is_date)?;
    let midnight = date.to_zoned(TimeZone::UTC).ok()?;
    Some(midnight.timestamp().into())
}

/// Returns the span of time: ISO 8601, `PT1H30M`, or friendly, `1h 30m`; a day is 24 hours.
///
/// Negative ones are refused, as no parameter can have them.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let signed = text.parse::<SignedDuration>().ok().or_else(|| {
        let span = text.parse::<Span>().ok()?;
        span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
    })?;
    signed.try_into().ok()
}

/// What a text must be to be read as a time or a duration.
pub(super) const TIME: &str = "a time, such as '2000-01-01' or '2000-01-01T12:00:00Z'";
pub(super) const DURATION: &str = "a duration, such as '1h 30m' or 'PT1H30M'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_stay_exact_as_far_as_u64_goes() {
        assert_eq!(
            parse_number("-9223372036854775808"),
            Some(Value::I64(i64::MIN))
        );
        assert_eq!(
            parse_number("18446744073709551615"),
            Some(Value::U64(u64::MAX))
        );
        assert_eq!(parse_number("+7"), Some(Value::I64(7)));
        assert_eq!(
            parse_number("-9223372036854775809"),
            Some(Value::F64(-(2.0_f64.powi(63))))
        );
    }

    #[test]
    fn times_are_rfc_3339_or_a_date() {
        let new_year = SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_800);
        assert_eq!(parse_time("2000-01-01T00:00:00Z"), Some(new_year));
        assert_eq!(parse_time("2000-01-01T02:00:00+02:00"), Some(new_year));
        assert_eq!(parse_time(" 2000-01-01 "), Some(new_year));
        assert_eq!(parse_time("2000-01-01T00:00:00"), None, "no offset");
        assert_eq!(parse_time("yesterday"), None);
    }

    #[test]
    fn durations_are_iso_or_friendly_and_never_negative() {
        let ninety_minutes = Some(Duration::from_secs(5_400));
        assert_eq!(parse_duration("PT1H30M"), ninety_minutes);
        assert_eq!(parse_duration("1h 30m"), ninety_minutes);
        assert_eq!(parse_duration("1 hour, 30 minutes"), ninety_minutes);
        assert_eq!(parse_duration("2d"), Some(Duration::from_secs(172_800)));
        assert_eq!(parse_duration("-1h"), None);
        assert_eq!(parse_duration("soon"), None);
    }
}

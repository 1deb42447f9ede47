//! Hours of the day in which nothing is delivered.

use std::str::FromStr;

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// A span of hours that comes on some days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// The minute of the day at which it begins.
    from: u16,
    /// The minute at which it ends: of the next day, unless that is later than it begins.
    to: u16,
    /// A bit for each day of the week on which it begins, the lowest for Monday.
    days: u8,
}

/// The quiet hours of a schedule, and where they are.
pub(super) struct Hours {
    pub(super) windows: Vec<Window>,
    pub(super) zone: TimeZone,
}

impl Window {
    /// Returns from when to when it is, if it begins on that day.
    ///
    /// A time that the clocks leave out is as much later as they are put forward, and of one that
    /// comes twice the first is meant; so there may be nothing left of it.
    fn on(self, date: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        if self.days & day(date.weekday()) == 0 {
            return None;
        }
        let begins = at(date, self.from)?;
        let ends = match self.to > self.from {
            true => at(date, self.to)?,
            false => at(date.tomorrow().ok()?, self.to)?,
        };
        let instant = |time| zone.to_ambiguous_timestamp(time).compatible().ok();
        let (begins, ends) = (instant(begins)?, instant(ends)?);
        (begins < ends).then_some((begins, ends))
    }

    /// Marks the minutes of the week, from Monday on, that it takes.
    fn mark(self, week: &mut [bool]) {
        let length = match self.to > self.from {
            true => usize::from(self.to - self.from),
            false => usize::from(DAY + self.to - self.from),
        };
        for day in (0..7).filter(|day| self.days & (1 << day) != 0) {
            let begins = day * usize::from(DAY) + usize::from(self.from);
            for minute in begins..begins + length {
                let minute = minute % week.len().max(1);
                week.get_mut(minute).into_iter().for_each(|it| *it = true);
            }
        }
    }
}

impl Hours {
    /// Returns until when it is quiet, if it is at that time.
    pub(super) fn quiet_until(&self, now: Timestamp) -> Option<Timestamp> {
        let mut until = self.ends(now)?;
        // One may begin where another ends, and so on until the week is over.
        for _ in 0..self.windows.len() * 8 {
            match self.ends(until) {
                Some(later) => until = later,
                None => break,
            }
        }
        Some(until)
    }

    /// Returns when the latest ends of those that `now` is in.
    fn ends(&self, now: Timestamp) -> Option<Timestamp> {
        let today = self.zone.to_datetime(now).date();
        let days = [today.yesterday().ok(), Some(today)];
        let spans = days.into_iter().flatten().flat_map(|day| self.on(day));
        let spans = spans.filter(|(begins, ends)| *begins <= now && now < *ends);
        spans.map(|(_, ends)| ends).max()
    }

    /// Returns when the next ones begin.
    pub(super) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let today = self.zone.to_datetime(now).date();
        // Two weeks: on one of the days the clocks may leave the hours out.
        let days = (0..=14).filter_map(|day| today.checked_add(day.days()).ok());
        let mut begin = days.map(|day| {
            let begins = self.on(day).map(|(begins, _)| begins);
            begins.filter(|begins| *begins > now).min()
        });
        begin.find_map(|begins| begins)
    }

    fn on(&self, date: Date) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let windows = self.windows.iter();
        windows.filter_map(move |window| window.on(date, &self.zone))
    }

    /// Returns whether they leave no minute of the week.
    pub(super) fn take_all(windows: &[Window]) -> bool {
        let mut week = vec![false; 7 * usize::from(DAY)];
        windows.iter().for_each(|window| window.mark(&mut week));
        week.into_iter().all(|quiet| quiet)
    }
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            |what: String| format!("{text:?} is no hours like \"22:00-06:00 sat sun\": {what}");
        let mut words = text.split([' ', ',']).filter(|word| !word.is_empty());
        let hours = words.next().and_then(|hours| hours.split_once('-'));
        let Some((from, to)) = hours else {
            return Err(wrong("they have no beginning and end".to_owned()));
        };
        let minute = |text: &str| minute(text).ok_or_else(|| wrong(format!("{text:?} is no time")));
        let (from, to) = (minute(from)?, minute(to)?);
        if from == DAY {
            return Err(wrong("a day begins at 00:00".to_owned()));
        }
        if from == to {
            return Err(wrong("they end where they begin".to_owned()));
        }
        let mut days = 0;
        for word in words {
            days |= days_of(word).ok_or_else(|| wrong(format!("{word:?} is no day")))?;
        }
        let days = if days == 0 { EVERY_DAY } else { days };
        Ok(Self { from, to, days })
    }
}

/// Returns the time of day on a date; a minute too many is of the next day.
fn at(date: Date, minute: u16) -> Option<DateTime> {
    let midnight = date.at(0, 0, 0, 0);
    // By the clock on the wall, whatever is done to it in between.
    midnight.checked_add(i64::from(minute).minutes()).ok()
}

/// Reads a time such as `06:30`, up to `24:00`, as the minute of the day.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let is_number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
        digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !is_number(hours, 1..=2) || !is_number(minutes, 2..=2) {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= DAY).then_some(minute)
}

/// Reads a day, or the days of a span such as `mon-fri`.
fn days_of(word: &str) -> Option<u8> {
    let Some((first, last)) = word.split_once('-') else {
        return weekday(word).map(day);
    };
    let (mut at, last) = (weekday(first)?, weekday(last)?);
    let mut days = day(at);
    while at != last {
        at = at.next();
        days |= day(at);
    }
    Some(days)
}

fn weekday(word: &str) -> Option<Weekday> {
    let mut all = Weekday::Monday.cycle_forward().take(7).zip(NAMES);
    let found = all.find(|(_, name)| word.eq_ignore_ascii_case(name));
    found.map(|(day, _)| day)
}

fn day(weekday: Weekday) -> u8 {
    1 << weekday.to_monday_zero_offset()
}

/// Minutes of a day.
const DAY: u16 = 24 * 60;

const EVERY_DAY: u8 = 0x7f;

const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "the hours and times are valid")]
    use super::*;

    fn hours(windows: &[&str], zone: &str) -> Hours {
        Hours {
            windows: windows.iter().map(|text| text.parse().unwrap()).collect(),
            zone: TimeZone::get(zone).unwrap(),
        }
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn quiet(hours: &Hours, now: &str) -> Option<String> {
        let until = hours.quiet_until(time(now))?;
        Some(until.to_string())
    }

    #[test]
    fn hours_are_read_with_days_and_spans_of_days() {
        let read = |text: &str| text.parse::<Window>();
        let window = |from, to, days| Ok(Window { from, to, days });
        assert_eq!(read("22:00-06:00"), window(1_320, 360, 0x7f));
        assert_eq!(read("0:00-24:00 sat, SUN"), window(0, 1_440, 0x60));
        assert_eq!(read("09:15-09:16 mon-wed"), window(555, 556, 0x07));
        assert_eq!(read("09:15-09:16 sat-mon,thu"), window(555, 556, 0x69));
    }

    #[test]
    fn text_that_is_no_hours_says_what_is_wrong_with_it() {
        let why = |text: &str| text.parse::<Window>().unwrap_err();
        for (text, what) in [
            ("", "no beginning and end"),
            ("22:00", "no beginning and end"),
            ("22:00-6", "\"6\" is no time"),
            ("22:60-06:00", "\"22:60\" is no time"),
            ("+1:00-06:00", "\"+1:00\" is no time"),
            ("24:01-06:00", "\"24:01\" is no time"),
            ("24:00-06:00", "begins at 00:00"),
            ("06:00-06:00", "end where they begin"),
            ("22:00-06:00 monday", "\"monday\" is no day"),
            ("22:00-06:00 mon-", "\"mon-\" is no day"),
        ] {
            assert!(why(text).contains(what), "{}", why(text));
        }
    }

    #[test]
    fn hours_over_midnight_are_of_the_day_on_which_they_begin() {
        // The 6th of November 2026 is a Friday.
        let hours = hours(&["22:00-06:00 fri"], "UTC");
        assert_eq!(quiet(&hours, "2026-11-06T21:59:59.999999999Z"), None);
        let until = Some("2026-11-07T06:00:00Z".to_owned());
        assert_eq!(quiet(&hours, "2026-11-06T22:00:00Z"), until);
        assert_eq!(quiet(&hours, "2026-11-07T05:59:59.999999999Z"), until);
        assert_eq!(quiet(&hours, "2026-11-07T06:00:00Z"), None);
        assert_eq!(quiet(&hours, "2026-11-07T23:00:00Z"), None);
        assert_eq!(
            hours.next(time("2026-11-06T22:00:00Z")),
            Some(time("2026-11-13T22:00:00Z"))
        );
    }

    #[test]
    fn hours_that_follow_each_other_end_with_the_last() {
        let hours = hours(&["22:00-24:00", "00:00-06:00", "05:00-07:00 sun"], "UTC");
        let until = |now| quiet(&hours, now).unwrap();
        assert_eq!(until("2026-11-06T23:00:00Z"), "2026-11-07T06:00:00Z");
        assert_eq!(until("2026-11-07T23:00:00Z"), "2026-11-08T07:00:00Z");
    }

    #[test]
    fn hours_follow_the_clocks_of_their_zone() {
        // The clocks of Berlin are put forward at 01:00 UTC on the 29th of March 2026, and back at
        // 01:00 UTC on the 25th of October.
        let night = hours(&["22:00-06:00"], "Europe/Berlin");
        assert_eq!(
            quiet(&night, "2026-03-27T21:00:00Z").unwrap(),
            "2026-03-28T05:00:00Z"
        );
        assert_eq!(
            quiet(&night, "2026-03-28T21:00:00Z").unwrap(),
            "2026-03-29T04:00:00Z"
        );
        assert_eq!(
            quiet(&night, "2026-10-24T20:00:00Z").unwrap(),
            "2026-10-25T05:00:00Z"
        );
        let skipped = hours(&["02:30-03:00"], "Europe/Berlin");
        assert_eq!(
            quiet(&skipped, "2026-03-28T01:30:00Z").unwrap(),
            "2026-03-28T02:00:00Z"
        );
        // Nothing is left of it on the day of the change.
        assert_eq!(
            skipped.next(time("2026-03-28T02:00:00Z")),
            Some(time("2026-03-30T00:30:00Z"))
        );
        let twice = hours(&["02:00-02:30"], "Europe/Berlin");
        assert_eq!(
            quiet(&twice, "2026-10-25T00:00:00Z").unwrap(),
            "2026-10-25T00:30:00Z"
        );
        assert_eq!(quiet(&twice, "2026-10-25T01:00:00Z"), None);
    }

    #[test]
    fn week_without_a_minute_left_is_found() {
        let all = |texts: &[&str]| {
            let windows: Vec<_> = texts.iter().map(|text| text.parse().unwrap()).collect();
            Hours::take_all(&windows)
        };
        assert!(all(&["00:00-24:00"]) && all(&["06:00-05:00", "05:00-06:00"]));
        assert!(!all(&["06:00-05:59"]) && !all(&["00:00-24:00 mon-sat"]));
    }
}

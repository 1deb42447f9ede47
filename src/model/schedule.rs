//! When a subscription is delivered.

use std::fmt;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Problems;
use super::quiet::{Hours, Window};

/// When a subscription is delivered: from some time on, until it expires, and not in its quiet
/// hours. Without a schedule it always is.
///
/// Outside of its times, a subscription is as one that is switched off: events that are fired then
/// are not for it, what waits in a lane for it is given up, and a [`Trigger`](crate::Trigger) that
/// it has begins anew. It stays in the store, expired or not, and [`Broker::status`] and
/// [`Publisher::explain`] say what it waits for; `remove_where("expires < '2027-01-01T00:00:00Z'")`
/// clears up. When its time begins it is like one that was switched on: what the class
/// [retains](crate::Retained) is for it.
///
/// A [queued](crate::Queued) subscription keeps its events: those that are fired before its time or
/// in its quiet hours wait, and are delivered in their order from then on. Their time to live goes
/// on meanwhile, and a queue that is full does what its overflow says. Once the subscription has
/// expired nothing more is accepted; what still waits is kept, and is delivered if it gets a later
/// end.
///
/// # Quiet hours
///
/// Written as `22:00-06:00`, with the days on which they begin if that is not every day:
/// `22:00-06:00 fri sat` ends on Sunday morning, `00:00-24:00 sat-sun` is the weekend. Days are
/// `mon`, `tue`, `wed`, `thu`, `fri`, `sat` and `sun`. The end does not belong to them. They are
/// those of UTC, or of a [time zone](Self::in_zone), whose clocks they follow: a time of day that
/// these leave out is as much later as they are put forward, and of one that comes twice the first
/// counts.
///
/// # Consistency
///
/// No fire looks at a clock. A timer of the broker puts subscriptions in place when their time
/// begins and takes them out when it ends, as an edit would, but for the commit: no record is
/// written, and brokers that share a store do so each by itself. It does that behind the edge, as
/// soon as a thread of the pool is free, so a fire at the very instant may still find the
/// subscription as it was. The computer's clock is looked at anew at least once an hour: that it
/// was put forward or back, or that the computer slept, may take so long to be noticed. A broker
/// that was closed changes nothing any more for publishers that are still held.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use loosely::{Schedule, Subscription};
///
/// let night = Schedule::new().quiet("22:00-06:00").quiet("00:00-24:00 sat sun");
/// let night = night.in_zone("Europe/Berlin");
/// let in_a_year = SystemTime::now() + Duration::from_secs(365 * 24 * 3600);
/// let pager = Subscription::builder("pager").interface("Machines").component("pager");
/// let pager = pager.schedule(night.expires(in_a_year)).build()?;
/// assert_eq!(pager.schedule().time_zone(), Some("Europe/Berlin"));
/// # Ok::<(), loosely::Error>(())
/// ```
///
/// In the serde form of a subscription the parts are fields of its own: `not_before`, `expires`,
/// `quiet = ["22:00-06:00"]`, `time_zone`.
///
/// [`Broker::status`]: crate::Broker::status
/// [`Publisher::explain`]: crate::Publisher::explain
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Schedule {
    not_before: Option<SystemTime>,
    expires: Option<SystemTime>,
    quiet: Vec<String>,
    time_zone: Option<String>,
}

/// Why a subscription is not delivered now, by its [`Schedule`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OffHours {
    /// Its not-before time, this one, is still to come.
    TooEarly(SystemTime),
    /// It has quiet hours, which end at this time.
    Quiet(SystemTime),
    /// It has expired, at this time.
    Expired(SystemTime),
    /// When it has quiet hours is not known here, as this system has no such time zone; the text
    /// says which. It is looked up again every hour.
    Unknown(String),
}

/// What a schedule says at some time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) off: Option<OffHours>,
    /// From when on it may say something else; always later.
    pub(crate) next: Option<SystemTime>,
}

impl Schedule {
    /// The one of a subscription that is always delivered.
    pub(crate) const ALWAYS: &'static Self = &Self::new();

    /// Returns the schedule of a subscription that is always delivered.
    pub const fn new() -> Self {
        Self {
            not_before: None,
            expires: None,
            quiet: Vec::new(),
            time_zone: None,
        }
    }

    /// Delivers nothing before this time.
    pub fn not_before(mut self, time: SystemTime) -> Self {
        self.not_before = Some(time);
        self
    }

    /// Delivers nothing from this time on, which must be after the not-before time.
    pub fn expires(mut self, time: SystemTime) -> Self {
        self.expires = Some(time);
        self
    }

    /// Delivers nothing in these hours, beside those that were named before; up to 64 may be.
    pub fn quiet(mut self, hours: impl Into<String>) -> Self {
        self.quiet.push(hours.into());
        self
    }

    /// Has the quiet hours be those of a time zone, by its name in the IANA database, such as
    /// `Europe/Berlin`; they are of UTC otherwise. The system's database is asked, which must have
    /// it when the subscription is stored.
    pub fn in_zone(mut self, name: impl Into<String>) -> Self {
        self.time_zone = Some(name.into());
        self
    }

    /// Returns the time before which nothing is delivered.
    pub fn begin(&self) -> Option<SystemTime> {
        self.not_before
    }

    /// Returns the time from which on nothing is delivered.
    pub fn end(&self) -> Option<SystemTime> {
        self.expires
    }

    /// Returns the quiet hours as they were written.
    pub fn quiet_hours(&self) -> &[String] {
        &self.quiet
    }

    /// Returns the name of the time zone of the quiet hours, if one was named.
    pub fn time_zone(&self) -> Option<&str> {
        self.time_zone.as_deref()
    }

    /// Returns why nothing is delivered at this time, if nothing is.
    pub fn off_hours(&self, at: SystemTime) -> Option<OffHours> {
        self.look(at).off
    }

    pub(crate) fn from_parts(
        (not_before, expires): (Option<SystemTime>, Option<SystemTime>),
        quiet: Vec<String>,
        time_zone: Option<String>,
    ) -> Self {
        Self {
            not_before,
            expires,
            quiet,
            time_zone,
        }
    }

    /// Returns whether the subscription is always delivered.
    pub(crate) fn is_always(&self) -> bool {
        self.not_before.is_none() && self.expires.is_none() && self.quiet.is_empty()
    }

    pub(super) fn boxed(self) -> Option<Box<Self>> {
        (self != *Self::ALWAYS).then(|| Box::new(self))
    }

    /// Returns what it says at some time, and until when.
    pub(crate) fn look(&self, now: SystemTime) -> Look {
        if let Some(expires) = self.expires.filter(|expires| now >= *expires) {
            return Look {
                off: Some(OffHours::Expired(expires)),
                next: None,
            };
        }
        if let Some(from) = self.not_before.filter(|from| now < *from) {
            return Look {
                off: Some(OffHours::TooEarly(from)),
                next: Some(from),
            };
        }
        let Look { off, next } = self.look_at_hours(now);
        let next = match (next, self.expires) {
            (Some(next), Some(expires)) => Some(next.min(expires)),
            (next, expires) => next.or(expires),
        };
        Look { off, next }
    }

    fn look_at_hours(&self, now: SystemTime) -> Look {
        let always = Look {
            off: None,
            next: None,
        };
        // In years that have no calendar there are no hours of the day.
        let (false, Ok(time)) = (self.quiet.is_empty(), Timestamp::try_from(now)) else {
            return always;
        };
        let hours = match self.hours() {
            Ok(hours) => hours,
            Err(why) => {
                return Look {
                    off: Some(OffHours::Unknown(why)),
                    next: now.checked_add(AGAIN),
                };
            }
        };
        match hours.quiet_until(time).map(SystemTime::from) {
            Some(until) => Look {
                off: Some(OffHours::Quiet(until)),
                next: Some(until),
            },
            None => Look {
                next: hours.next(time).map(SystemTime::from),
                ..always
            },
        }
    }

    fn hours(&self) -> Result<Hours, String> {
        let windows = self.quiet.iter().map(|hours| hours.parse());
        Ok(Hours {
            windows: windows.collect::<Result<_, _>>()?,
            zone: self.zone()?,
        })
    }

    fn zone(&self) -> Result<TimeZone, String> {
        let Some(name) = self.time_zone() else {
            return Ok(TimeZone::UTC);
        };
        TimeZone::get(name).map_err(|_| format!("no time zone {name:?} is known to this system"))
    }

    pub(crate) fn check(&self, problems: &mut Problems) {
        for (field, time) in [("not_before", self.not_before), ("expires", self.expires)] {
            if let Some(Err(error)) = time.map(Timestamp::try_from) {
                problems.add(field, error);
            }
        }
        if let (Some(from), Some(until)) = (self.not_before, self.expires)
            && until <= from
        {
            problems.add("expires", "is not after the not-before time");
        }
        if let Err(why) = self.zone() {
            problems.add("time_zone", why);
        }
        self.check_hours(problems);
    }

    fn check_hours(&self, problems: &mut Problems) {
        if self.quiet.len() > MOST_HOURS {
            problems.add("quiet", format!("there are more than {MOST_HOURS} hours"));
            return;
        }
        let mut windows: Vec<Window> = Vec::new();
        for hours in &self.quiet {
            match hours.parse() {
                Ok(window) => windows.push(window),
                Err(why) => problems.add("quiet", why),
            }
        }
        if windows.len() == self.quiet.len() && Hours::take_all(&windows) {
            problems.add("quiet", "the hours leave no time for a delivery");
        }
    }
}

impl fmt::Display for OffHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, time) = match self {
            Self::TooEarly(time) => ("not before", time),
            Self::Quiet(time) => ("quiet until", time),
            Self::Expired(time) => ("expired at", time),
            Self::Unknown(why) => return f.write_str(why),
        };
        match Timestamp::try_from(*time) {
            Ok(time) => write!(f, "{what} {time}"),
            Err(_) => write!(f, "{what} a time beyond the calendar"),
        }
    }
}

/// How many quiet hours a schedule may name: each is looked at when one begins or ends.
const MOST_HOURS: usize = 64;

/// After which time a zone that is not known is looked up again: somebody may install it.
const AGAIN: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "the times are valid")]
    use super::*;

    fn time(text: &str) -> SystemTime {
        text.parse::<Timestamp>().unwrap().into()
    }

    #[test]
    fn look_says_what_is_so_from_each_edge_on_and_when_the_next_is() {
        let schedule = Schedule::new().not_before(time("2026-11-02T08:00:00Z"));
        let schedule = schedule.expires(time("2026-11-03T12:00:00Z"));
        let schedule = schedule.quiet("22:00-06:00").quiet("07:00-09:00 mon");
        let mut edges = Vec::new();
        let mut next = Some(time("2026-11-01T00:00:00Z"));
        while let Some(now) = next {
            let look = schedule.look(now);
            let off = look.off.map_or("open".to_owned(), |off| off.to_string());
            edges.push(off);
            assert!(look.next.is_none_or(|next| next > now));
            next = look.next;
        }
        assert_eq!(
            edges,
            [
                "not before 2026-11-02T08:00:00Z",
                "quiet until 2026-11-02T09:00:00Z",
                "open",
                "quiet until 2026-11-03T06:00:00Z",
                "open",
                "expired at 2026-11-03T12:00:00Z",
            ]
        );
    }

    #[test]
    fn zone_that_is_not_known_is_looked_up_again() {
        let schedule = Schedule::new()
            .quiet("22:00-06:00")
            .in_zone("Europe/Atlantis");
        let now = time("2026-11-02T12:00:00Z");
        let look = schedule.look(now);
        assert!(matches!(look.off, Some(OffHours::Unknown(why)) if why.contains("Atlantis")));
        assert_eq!(look.next, Some(now + AGAIN));
    }

    #[test]
    fn time_beyond_the_calendar_has_no_quiet_hours() {
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 45);
        let look = Schedule::new().quiet("00:00-23:59").look(far);
        assert_eq!(
            look,
            Look {
                off: None,
                next: None
            }
        );
    }

    #[test]
    fn all_that_is_wrong_is_found_at_once() {
        let mut problems = Problems::default();
        let now = SystemTime::now();
        let schedule = Schedule::new().not_before(now).expires(now);
        let schedule = schedule.quiet("night").quiet("25:00-26:00").in_zone("");
        schedule.check(&mut problems);
        let fields: Vec<_> = problems.iter().map(super::super::Problem::field).collect();
        assert_eq!(fields, ["expires", "time_zone", "quiet", "quiet"]);
        let mut problems = Problems::default();
        Schedule::new().quiet("00:00-24:00").check(&mut problems);
        assert!(problems.to_string().contains("no time for a delivery"));
    }
}

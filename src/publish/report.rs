//! What a fire returns.

use std::fmt;
use std::sync::Arc;

use super::entry::SubscriptionEntry;
use super::hook::Hook;
use crate::delivery::{Delivery, DeliveryOutcome, SkipReason};
use crate::model::EventClassId;

/// What became of one fire: how many subscribers were called, and a line for each that was not
/// well.
///
/// It may be ignored: the broker's failure hook hears of failures all the same.
///
/// ```
/// use std::sync::Arc;
///
/// use loosely::{Broker, FireOutcome, FirePolicy, event_interface};
///
/// #[event_interface]
/// trait JobEvents {
///     fn job_done(&self, name: &str) -> Result<(), String>;
/// }
///
/// let broker = Broker::builder().on_failure(|_, _| {}).open()?;
/// let jobs = broker.publisher::<dyn JobEvents>()?;
/// let fine = JobEventsHandlers::new().on_job_done(|_| Ok(()));
/// let full = JobEventsHandlers::new().on_job_done(|name| Err(format!("no room for {name}")));
/// let guards = [
///     broker.subscribe::<dyn JobEvents>(Arc::new(full))?,
///     broker.subscribe::<dyn JobEvents>(Arc::new(fine))?,
/// ];
///
/// let report = jobs.job_done("backup");
/// assert_eq!((report.delivered(), report.failed()), (1, 1));
/// assert_eq!(report.outcome(), FireOutcome::SomeFailed);
/// for failure in report.failures() {
///     println!("{failure}"); // "a subscriber of JobEvents": failed: no room for backup
/// }
/// assert!(report.into_result(FirePolicy::NoFailures).is_err());
///
/// let [full, _fine] = guards;
/// full.close();
/// assert_eq!(jobs.job_done("backup").outcome(), FireOutcome::Delivered);
/// # Ok::<(), loosely::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct FireReport {
    delivered: u32,
    filtered: u32,
    accepted: u32,
    suppressed: u32,
    /// Made only when there is something to say: a report is small, and a plain fire allocates
    /// nothing.
    lines: Option<Box<Lines>>,
}

/// How the fire ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum End {
    /// The counts say it.
    #[default]
    Fired,
    Waits,
    Denied,
}

#[derive(Debug, Default)]
struct Lines {
    end: End,
    deliveries: Vec<Delivery>,
    failed: usize,
    withheld: usize,
    /// Why the history of the class lacks the event, if it does.
    unkept: Option<String>,
}

/// The answer in one word, as COM+ gives it (MS-COMEV; `EVENT_S_...` and `EVENT_E_...`), and one
/// more: COM+ does not say what a fire returns when every subscription was filtered out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FireOutcome {
    /// Every subscriber that was called returned without an error.
    #[doc(alias = "S_OK")]
    Delivered,
    /// Some subscribers failed, some did not.
    #[doc(alias = "EVENT_S_SOME_SUBSCRIBERS_FAILED")]
    SomeFailed,
    /// Every subscriber failed or could not be made.
    #[doc(alias = "EVENT_E_ALL_SUBSCRIBERS_FAILED")]
    AllFailed,
    /// Nobody subscribed, or nobody who could be called.
    #[doc(alias = "EVENT_S_NOSUBSCRIBERS")]
    NoSubscribers,
    /// There are subscriptions, but the publisher's side, filters or triggers kept the event
    /// from all of them.
    AllFiltered,
    /// The event is delivered later, and failures reach the failure hook alone: it was fired inside
    /// a delivery and its class queues such events until the outermost fire is over, or those whom
    /// it reached are being given what was retained for them, or have it in their lanes.
    Queued,
    /// The publisher object was made for a principal who lacks the right to publish: nobody was
    /// called.
    Denied,
}

/// What a publisher takes for an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FirePolicy {
    /// One failed subscriber is an error, and an event that its class could not keep.
    NoFailures,
    /// Only a fire in which all who were called failed is an error, as for a COM+ publisher.
    NotAllFailed,
    /// A fire that reached nobody, for whatever reason, is an error.
    OneDelivered,
}

/// A fire that broke its publisher's [`FirePolicy`]; the report is inside.
#[derive(Debug)]
pub struct FireError {
    report: FireReport,
}

impl FireReport {
    /// Returns the report of a fire that so many subscribers returned from without an error.
    #[inline]
    pub(super) fn of_delivered(count: usize) -> Self {
        Self {
            delivered: u32::try_from(count).unwrap_or(u32::MAX),
            filtered: 0,
            accepted: 0,
            suppressed: 0,
            lines: None,
        }
    }

    /// Returns the report of an event that waits for the fire around it.
    pub(super) fn waiting() -> Self {
        Self::ended(End::Waits)
    }

    /// Returns the report of an event that its publisher may not fire.
    pub(super) fn denied() -> Self {
        Self::ended(End::Denied)
    }

    fn ended(end: End) -> Self {
        Self {
            lines: Some(Box::new(Lines {
                end,
                ..Lines::default()
            })),
            ..Self::default()
        }
    }

    /// Notes why the history of the class lacks the event.
    pub(super) fn leave_out(&mut self, why: String) {
        self.lines.get_or_insert_default().unkept = Some(why);
    }

    fn end(&self) -> End {
        self.lines.as_ref().map_or(End::Fired, |lines| lines.end)
    }

    /// Returns how many subscribers were called and returned without an error.
    pub fn delivered(&self) -> usize {
        self.delivered as usize
    }

    /// Returns from how many subscriptions a filter or a time kept the event.
    pub fn filtered(&self) -> usize {
        self.filtered as usize
    }

    /// Returns how many subscriptions the publisher's side did not select: a publisher filter did
    /// not fire them, or the default query leaves them out.
    pub fn withheld(&self) -> usize {
        self.lines.as_ref().map_or(0, |lines| lines.withheld)
    }

    /// Returns how many subscribers failed or could not be made.
    pub fn failed(&self) -> usize {
        self.lines.as_ref().map_or(0, |lines| lines.failed)
    }

    /// Returns in how many subscriptions' lanes the event waits to be delivered
    /// ([`DeliveryOutcome::Accepted`]). They have no lines.
    pub fn accepted(&self) -> usize {
        self.accepted as usize
    }

    /// Returns how many subscriptions' triggers let the event pass without a delivery
    /// ([`SkipReason::Suppressed`](crate::SkipReason::Suppressed)). They have no lines.
    pub fn suppressed(&self) -> usize {
        self.suppressed as usize
    }

    /// Returns how many subscriptions were passed over: suspended, without their object, closed to
    /// this publisher, or held back by their breaker or a call that was abandoned.
    pub fn skipped(&self) -> usize {
        self.lines().len() - self.failed() - self.deferred()
    }

    /// Returns how many subscriptions get the event later, as they are being given the events that
    /// were retained for them.
    pub fn deferred(&self) -> usize {
        let deferred = |line: &&Delivery| matches!(line.outcome(), DeliveryOutcome::Deferred);
        self.lines().iter().filter(deferred).count()
    }

    /// Returns why the event is not in the [history](crate::History) of its class, if it should be.
    pub fn unkept(&self) -> Option<&str> {
        self.lines.as_ref()?.unkept.as_deref()
    }

    /// Returns a line for each subscription that failed, was skipped or gets the event later, in
    /// the order of calling.
    pub fn lines(&self) -> &[Delivery] {
        self.lines.as_ref().map_or(&[], |lines| &lines.deliveries)
    }

    /// Returns the lines of the failed ones.
    pub fn failures(&self) -> impl Iterator<Item = &Delivery> {
        self.lines().iter().filter(|line| line.failure().is_some())
    }

    /// Returns whether there is nothing to say but how many were reached and filtered out.
    #[inline]
    pub(super) fn is_clean(&self) -> bool {
        self.lines.is_none()
    }

    /// Returns the answer in one word.
    pub fn outcome(&self) -> FireOutcome {
        match self.end() {
            End::Fired => {}
            End::Waits => return FireOutcome::Queued,
            End::Denied => return FireOutcome::Denied,
        }
        match (self.delivered, self.failed(), self.filtered) {
            (0, 0, _) if self.accepted > 0 || self.deferred() > 0 => FireOutcome::Queued,
            (0, 0, 0) if self.withheld() == 0 && self.suppressed == 0 => FireOutcome::NoSubscribers,
            (0, 0, _) => FireOutcome::AllFiltered,
            (0, _, _) if self.accepted == 0 => FireOutcome::AllFailed,
            (_, 0, _) => FireOutcome::Delivered,
            (_, _, _) => FireOutcome::SomeFailed,
        }
    }

    /// Returns the report, or an error if it breaks `policy`.
    ///
    /// # Errors
    ///
    /// A [`FireError`] with the report inside, under the condition that the policy names, and
    /// whenever the fire was denied.
    pub fn into_result(self, policy: FirePolicy) -> Result<Self, FireError> {
        let broken = match policy {
            FirePolicy::NoFailures => self.failed() > 0 || self.unkept().is_some(),
            FirePolicy::NotAllFailed => self.outcome() == FireOutcome::AllFailed,
            FirePolicy::OneDelivered => {
                self.delivered == 0 && self.accepted == 0 && self.outcome() != FireOutcome::Queued
            }
        };
        let broken = broken || self.end() == End::Denied;
        if broken {
            Err(FireError { report: self })
        } else {
            Ok(self)
        }
    }
}

#[cfg(feature = "tracing")]
impl FireOutcome {
    /// Returns its name as those who trace know it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::SomeFailed => "some_failed",
            Self::AllFailed => "all_failed",
            Self::NoSubscribers => "no_subscribers",
            Self::AllFiltered => "all_filtered",
            Self::Queued => "queued",
            Self::Denied => "denied",
        }
    }
}

impl fmt::Display for FireReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.end() == End::Denied {
            return f.write_str("denied");
        }
        write!(f, "{} delivered, ", self.delivered)?;
        if self.accepted > 0 {
            write!(f, "{} accepted, ", self.accepted)?;
        }
        if self.suppressed > 0 {
            write!(f, "{} suppressed, ", self.suppressed)?;
        }
        write!(f, "{} failed", self.failed())?;
        match self.unkept() {
            Some(why) => write!(f, "; not kept: {why}"),
            None => Ok(()),
        }
    }
}

impl FireError {
    /// Returns the report.
    pub fn report(&self) -> &FireReport {
        &self.report
    }

    /// Returns the report, by value.
    pub fn into_report(self) -> FireReport {
        self.report
    }
}

impl fmt::Display for FireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the event reached not all it had to: {}", self.report)?;
        self.report
            .lines()
            .iter()
            .try_for_each(|line| write!(f, "; {line}"))
    }
}

impl std::error::Error for FireError {}

/// A report in the making.
#[derive(Default)]
pub(super) struct Tally {
    report: FireReport,
}

impl Tally {
    #[inline]
    pub(super) fn deliver(&mut self, count: usize) {
        self.report.delivered += u32::try_from(count).unwrap_or(u32::MAX);
    }

    pub(super) fn accept(&mut self, count: usize) {
        self.report.accepted += u32::try_from(count).unwrap_or(u32::MAX);
    }

    /// Takes back that one has accepted the event.
    pub(super) fn withdraw_accepted(&mut self) {
        self.report.accepted = self.report.accepted.saturating_sub(1);
    }

    pub(super) fn filter_out(&mut self, count: usize) {
        self.report.filtered += u32::try_from(count).unwrap_or(u32::MAX);
    }

    pub(super) fn suppress(&mut self, count: usize) {
        self.report.suppressed += u32::try_from(count).unwrap_or(u32::MAX);
    }

    /// Notes why the history of the class lacks the event.
    pub(super) fn leave_out(&mut self, why: String) {
        self.report.leave_out(why);
    }

    pub(super) fn withhold(&mut self, count: usize) {
        if count > 0 {
            self.report.lines.get_or_insert_default().withheld += count;
        }
    }

    #[cold]
    pub(super) fn add(&mut self, entry: &Arc<SubscriptionEntry>, outcome: DeliveryOutcome) {
        match outcome {
            DeliveryOutcome::Accepted => return self.accept(1),
            DeliveryOutcome::Skipped(SkipReason::Suppressed) => return self.suppress(1),
            _ => {}
        }
        let failed = usize::from(matches!(outcome, DeliveryOutcome::Failed(_)));
        let line = Delivery::new(
            entry.record.id(),
            Arc::clone(entry.record.shared_name()),
            outcome,
        );
        let lines = self.report.lines.get_or_insert_default();
        lines.failed += failed;
        lines.deliveries.push(line);
    }

    /// Returns the report, after the hook was told of the failures.
    #[inline]
    pub(super) fn finish(self, hook: &Hook, class: EventClassId) -> FireReport {
        if self.report.lines.is_some() {
            let lost = self.report.lines().iter().filter(|line| line.is_lost());
            lost.for_each(|line| hook.tell(class, line));
        }
        self.report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_that_waits_in_lanes_is_queued_unless_somebody_was_called() {
        let mut tally = Tally::default();
        tally.accept(2);
        let report = &tally.report;
        assert_eq!((report.accepted(), report.skipped()), (2, 0));
        assert_eq!(report.outcome(), FireOutcome::Queued);
        assert_eq!(report.to_string(), "0 delivered, 2 accepted, 0 failed");
        tally.deliver(1);
        assert_eq!(tally.report.outcome(), FireOutcome::Delivered);
        let report = tally.report.into_result(FirePolicy::OneDelivered);
        assert!(report.is_ok());
    }

    /// Every fire returns one.
    #[test]
    fn report_fits_three_words() {
        assert!(size_of::<FireReport>() <= 24);
    }
}

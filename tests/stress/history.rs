//! What each subscription was and when, as the changes and their revisions say.

use std::collections::BTreeMap;

use loosely::ChangeKind;

use crate::check::{Finding, Kind};
use crate::log::{Commit, Evidence, Logged, Span, Turn};
use crate::plan::{Deed, State};

/// A state of a subscription, and the change that began it.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    pub(crate) span: Span,
    /// The place of the commit among all, from 1; 0 for one that no commit made.
    pub(crate) step: usize,
    pub(crate) state: Option<State>,
    pub(crate) place: Place,
}

/// When the place in store order was given, as far as that can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) given: Span,
    /// The broker that gave it; nothing if it may have been either.
    pub(crate) broker: Option<usize>,
    pub(crate) stored: bool,
}

/// The moments of a subscription one after another; before the first there was none.
pub(crate) type Course = Vec<Moment>;

/// The moments that may have been while something was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Possible<'a> {
    first: Option<&'a Moment>,
    others: &'a [Moment],
}

/// The courses of all subscriptions.
pub(crate) struct History {
    /// In the order of revisions.
    pub(crate) commits: Vec<Commit>,
    pub(crate) stored: BTreeMap<u64, Course>,
    /// broker -> its transient subscriptions
    pub(crate) transient: [BTreeMap<u64, Course>; 2],
    /// The ends of commits, rising, each with the greatest step that ended by then.
    ended: Vec<(u64, usize)>,
    /// The begins of commits, rising, each with the least step that began from then on.
    began: Vec<(u64, usize)>,
}

/// The steps of which a fire may have seen the state: from the last that had to be seen to the last
/// that could be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) from: usize,
    pub(crate) to: usize,
}

impl History {
    /// Orders what was written down by the revisions of the change log, and finds where the two
    /// disagree.
    pub(crate) fn new(evidence: &Evidence, findings: &mut Vec<Finding>) -> Self {
        let commits = effective(&evidence.log.commits, &evidence.logged, findings);
        let (ended, began) = bounds(&commits);
        let mut history = Self {
            commits,
            stored: BTreeMap::new(),
            transient: Default::default(),
            ended,
            began,
        };
        history.lay_out(findings);
        for turn in &evidence.log.turns {
            let course = history.transient[turn.broker].entry(turn.subscription);
            let course = course.or_default();
            let moment = turned(turn, course.last());
            course.push(moment);
        }
        history
    }

    /// Returns which steps a fire may have seen: sinks are told in the order of revisions, so one
    /// that returned stands for all before it, and one that had not begun for all behind it.
    pub(crate) fn window(&self, fire: Span) -> Window {
        let before = self.ended.partition_point(|(end, _)| *end < fire.begin);
        let behind = self.began.partition_point(|(begin, _)| *begin < fire.end);
        Window {
            from: before.checked_sub(1).map_or(0, |last| self.ended[last].1),
            to: self
                .began
                .get(behind)
                .map_or(self.commits.len(), |next| next.1 - 1),
        }
    }

    fn lay_out(&mut self, findings: &mut Vec<Finding>) {
        for step in 1..=self.commits.len() {
            let commit = self.commits[step - 1].clone();
            let seen = self.window(commit.span).from;
            if seen >= step {
                let later = self.commits[seen - 1].revision;
                let text = format!("{later} had returned when {} began", commit.revision);
                findings.push(Finding::new(Kind::Log, text));
            }
            for (number, deed) in &commit.deeds {
                let course = self.stored.entry(*number).or_default();
                let before = course.last();
                let state = State::after(before.and_then(|m| m.state.as_ref()), deed);
                let place = match (deed, before) {
                    (Deed::Put(_), _) => placed(course, seen.min(step - 1), &commit),
                    (_, Some(before)) => before.place,
                    (_, None) => Place::fresh(&commit),
                };
                course.push(Moment {
                    span: commit.span,
                    step,
                    state,
                    place,
                });
            }
        }
    }
}

/// Returns the state of a course at a step, if there was a subscription.
pub(crate) fn at(course: &[Moment], step: usize) -> Option<&Moment> {
    let behind = course.partition_point(|moment| moment.step <= step);
    course[..behind].last().filter(|m| m.state.is_some())
}

/// Returns the moments of a stored subscription inside a window.
pub(crate) fn within(course: &[Moment], window: Window) -> Possible<'_> {
    let first = course.partition_point(|moment| moment.step <= window.from);
    let last = course.partition_point(|moment| moment.step <= window.to);
    possible(course, first, last.max(first))
}

/// Returns the moments of a transient subscription that may have been while something was.
pub(crate) fn during(course: &[Moment], span: Span) -> Possible<'_> {
    let first = course.partition_point(|moment| moment.span.end < span.begin);
    let last = course.partition_point(|moment| moment.span.begin < span.end);
    possible(course, first, last.max(first))
}

fn possible(course: &[Moment], first: usize, last: usize) -> Possible<'_> {
    Possible {
        first: first.checked_sub(1).map(|index| &course[index]),
        others: &course[first..last],
    }
}

impl<'a> Possible<'a> {
    /// There was no subscription.
    pub(crate) const NOTHING: Self = Self {
        first: None,
        others: &[],
    };

    /// Returns the moments, of which there is at least one; `None` is that there was none.
    pub(crate) fn iter(self) -> impl Iterator<Item = Option<&'a Moment>> {
        let moments = std::iter::once(self.first).chain(self.others.iter().map(Some));
        moments.map(|moment| moment.filter(|moment| moment.state.is_some()))
    }

    pub(crate) fn is_certain(self) -> bool {
        self.others.is_empty()
    }
}

impl Place {
    fn fresh(commit: &Commit) -> Self {
        Self {
            given: commit.span,
            broker: Some(commit.broker),
            stored: true,
        }
    }

    fn or(self, other: Self) -> Self {
        let given = Span {
            begin: self.given.begin.min(other.given.begin),
            end: self.given.end.max(other.given.end),
        };
        Self {
            given,
            broker: self.broker.filter(|_| self.broker == other.broker),
            stored: self.stored && other.stored,
        }
    }
}

/// Returns the place of a subscription that was put. It keeps that of the one that was there when
/// the call looked, which was at any step from `seen` on; if there was none it was given a new one.
fn placed(course: &[Moment], seen: usize, commit: &Commit) -> Place {
    let looked = Window {
        from: seen,
        to: usize::MAX,
    };
    let found = within(course, looked).iter();
    let places = found.map(|moment| moment.map_or_else(|| Place::fresh(commit), |m| m.place));
    places
        .reduce(Place::or)
        .unwrap_or_else(|| Place::fresh(commit))
}

/// Returns the moment that a turn of a transient subscription begins: a replaced object keeps the
/// place of the one before.
fn turned(turn: &Turn, before: Option<&Moment>) -> Moment {
    let replaced = before.filter(|moment| moment.state.is_some());
    let place = Place {
        given: turn.span,
        broker: Some(turn.broker),
        stored: false,
    };
    Moment {
        span: turn.span,
        step: 0,
        state: turn.state.clone(),
        place: replaced.map_or(place, |before| before.place),
    }
}

/// Returns the commits in the order of revisions, one a revision, with the deeds that the change
/// log knows.
fn effective(written: &[Commit], logged: &[Logged], findings: &mut Vec<Finding>) -> Vec<Commit> {
    let mut kinds: BTreeMap<_, _> = logged
        .iter()
        .map(|line| ((line.revision, line.subscription), (line.kind, false)))
        .collect();
    let mut commits: BTreeMap<u64, Commit> = BTreeMap::new();
    for commit in written {
        let mut commit = commit.clone();
        commit.deeds.retain(|(number, deed)| {
            let removes = *deed == Deed::Remove;
            let line = kinds.get_mut(&(commit.revision, *number));
            let line = line.filter(|(kind, _)| removes == (*kind == ChangeKind::Delete));
            let known = line.is_some();
            if let Some((_, claimed)) = line {
                *claimed = true;
            }
            // What is not there need not be removed, and the store then makes no revision.
            if !known && !removes {
                let text = format!("{number} at {}: {deed:?} is not logged", commit.revision);
                findings.push(Finding::new(Kind::Log, text));
            }
            known
        });
        if commit.deeds.is_empty() {
            continue;
        }
        match commits.get_mut(&commit.revision) {
            // One of two that removed the same made the revision, it cannot be told which.
            Some(same) if only_removes(same) && only_removes(&commit) => {
                same.span.begin = same.span.begin.min(commit.span.begin);
                same.span.end = same.span.end.max(commit.span.end);
                commit.deeds.retain(|deed| !same.deeds.contains(deed));
                same.deeds.append(&mut commit.deeds);
            }
            Some(other) => {
                let text = format!("one revision for {other:?} and {commit:?}");
                findings.push(Finding::new(Kind::Log, text));
            }
            None => _ = commits.insert(commit.revision, commit),
        }
    }
    let unclaimed = kinds.iter().filter(|(_, (_, claimed))| !claimed);
    findings.extend(unclaimed.map(|((revision, number), (kind, _))| {
        let text = format!("{kind:?} of {number} at {revision} is logged, and nobody's");
        Finding::new(Kind::Log, text)
    }));
    commits.into_values().collect()
}

fn only_removes(commit: &Commit) -> bool {
    commit.deeds.iter().all(|(_, deed)| *deed == Deed::Remove)
}

type Bounds = Vec<(u64, usize)>;

fn bounds(commits: &[Commit]) -> (Bounds, Bounds) {
    let steps = || commits.iter().zip(1_usize..);
    let mut ended: Vec<_> = steps().map(|(c, step)| (c.span.end, step)).collect();
    ended.sort_unstable();
    let mut greatest = 0;
    for (_, step) in &mut ended {
        greatest = greatest.max(*step);
        *step = greatest;
    }
    let mut began: Vec<_> = steps().map(|(c, step)| (c.span.begin, step)).collect();
    began.sort_unstable();
    let mut least = usize::MAX;
    for (_, step) in began.iter_mut().rev() {
        least = least.min(*step);
        *step = least;
    }
    (ended, began)
}

/// Returns whether subscriptions that were called one after another are in the order of priority
/// and then of store order, as far as it can be told which place was given first.
pub(crate) fn in_order(moments: &[&Moment]) -> bool {
    let priority = |moment: &Moment| moment.state.as_ref().map(|state| state.priority);
    moments.is_sorted_by(|one, next| priority(one) >= priority(next))
        && moments
            .chunk_by(|one, next| priority(one) == priority(next))
            .all(by_place)
}

/// A place is greater than those that the broker which gives it knows: its own, and those of what
/// is stored. So of two brokers' places, that of a transient subscription says nothing about the
/// other.
fn by_place(called: &[&Moment]) -> bool {
    // Of those called so far, the latest begin of the giving: of all, and by each broker.
    let mut latest = 0;
    let mut latest_of = [0, 0];
    called.iter().all(|moment| {
        let place = moment.place;
        let begins = if place.stored {
            latest
        } else {
            place.broker.map_or(0, |broker| latest_of[broker])
        };
        latest = latest.max(place.given.begin);
        if let Some(broker) = place.broker {
            latest_of[broker] = latest_of[broker].max(place.given.begin);
        }
        // Those before it in the calls were not given their places after its own.
        begins <= place.given.end
    })
}

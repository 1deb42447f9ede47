//! Whether the change log leads from the beginning to the subscriptions at the end.

use std::collections::BTreeMap;

use loosely::{ChangeKind, Subscription};

use crate::check::{Finding, Kind, state};
use crate::history::{History, Moment, in_order};
use crate::log::{Evidence, Logged};
use crate::world::{number, record};

/// Compares the end of a round with what the log and the history say it is.
pub(crate) fn replay(evidence: &Evidence, history: &History, findings: &mut Vec<Finding>) {
    if !evidence
        .logged
        .is_sorted_by_key(|line| (line.revision, line.subscription))
    {
        findings.push(Finding::new(Kind::Log, "the change log is out of order"));
    }
    if evidence.watched != evidence.logged {
        let (watched, logged) = (evidence.watched.len(), evidence.logged.len());
        let text = format!("{watched} lines were watched of the {logged} that are logged");
        findings.push(Finding::new(Kind::Log, text));
    }
    let present = present(&evidence.logged);
    for (broker, listed) in evidence.listed.iter().enumerate() {
        let revisions: BTreeMap<_, _> = listed
            .iter()
            .filter_map(|one| Some((number(one.id()), one.revision()?.get())))
            .collect();
        if revisions != present {
            let text = format!("broker {broker} has {revisions:?}, and the log {present:?}");
            findings.push(Finding::new(Kind::Listed, text));
        }
        let lasts: Vec<_> = listed.iter().map(|one| last(history, one)).collect();
        findings.extend(listed.iter().zip(&lasts).filter_map(compare));
        let mut places: Vec<_> = lasts.into_iter().flatten().cloned().collect();
        // Store order alone is what a query keeps.
        places
            .iter_mut()
            .filter_map(|moment| moment.state.as_mut())
            .for_each(|state| state.priority = 0);
        if !in_order(&places.iter().collect::<Vec<_>>()) {
            let text = format!("broker {broker} does not list in store order");
            findings.push(Finding::new(Kind::Order, text));
        }
    }
}

/// Returns the subscriptions that the lines lead to, with the revisions that wrote them.
fn present(logged: &[Logged]) -> BTreeMap<u64, u64> {
    let mut present = BTreeMap::new();
    for line in logged {
        match line.kind {
            ChangeKind::Put => present.insert(line.subscription, line.revision),
            ChangeKind::Delete => present.remove(&line.subscription),
        };
    }
    present
}

/// Returns what the history says that a subscription is at the end.
fn last<'a>(history: &'a History, listed: &Subscription) -> Option<&'a Moment> {
    history.stored.get(&number(listed.id()))?.last()
}

/// Finds a record that does not say what its last change made of it.
fn compare((listed, last): (&Subscription, &Option<&Moment>)) -> Option<Finding> {
    let made = state(*last).map(|state| record(number(listed.id()), state));
    match made {
        Some(Ok(made)) if made == listed.clone().without_revision() => None,
        made => {
            let text = format!("{listed:?} is listed, and the changes made {made:?}");
            Some(Finding::new(Kind::Listed, text))
        }
    }
}

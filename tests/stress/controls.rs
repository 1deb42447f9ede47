//! Controls: what was written down is spoiled on purpose, and the check has to find it.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use loosely::ChangeKind;

use crate::check::{Finding, Kind, check};
use crate::log::{Call, Commit, Evidence, Fire, Log, Logged, Span};
use crate::memory;
use crate::plan::{Criteria, Deed, Quote, State};
use crate::round::Round;
use crate::world::number;

/// Returns the evidence of a round that was as it should be.
fn sound() -> Evidence {
    static SOUND: OnceLock<Evidence> = OnceLock::new();
    let played = || Round::new(2).short().play(memory()).evidence;
    SOUND.get_or_init(played).clone()
}

/// Returns what is found after `spoil` was at the evidence.
fn found(spoil: impl FnOnce(&mut Evidence)) -> HashSet<Kind> {
    let mut evidence = sound();
    spoil(&mut evidence);
    kinds(&check(&evidence))
}

fn kinds(findings: &[Finding]) -> HashSet<Kind> {
    findings.iter().map(|finding| finding.kind).collect()
}

/// Returns the last event for which several subscriptions were called: nothing changed any more, so
/// that all is certain. Calls come as they were made.
fn certain(evidence: &Evidence) -> (u64, Vec<usize>) {
    let fires = evidence.log.fires.iter().rev();
    let calls = evidence.log.calls.iter();
    let several = fires.filter_map(|fire| {
        let of_it = calls
            .clone()
            .enumerate()
            .filter(|(_, call)| call.event == fire.event);
        let indices: Vec<_> = of_it.map(|(index, _)| index).collect();
        (indices.len() > 1).then_some((fire.event, indices))
    });
    several.into_iter().next().unwrap()
}

/// Returns the commits that changed something for sure, as a removal of what is not there does not.
/// Those behind the first are one thread's, one after another.
fn puts(evidence: &Evidence) -> Vec<usize> {
    let commits = evidence.log.commits.iter().enumerate();
    let puts = commits.filter(|(_, commit)| matches!(commit.deeds[0].1, Deed::Put(_)));
    puts.map(|(index, _)| index).collect()
}

#[test]
fn round_that_is_not_spoiled_is_sound() {
    assert_eq!(found(|_| {}), HashSet::new());
}

#[test]
fn call_that_is_dropped_is_found() {
    let kinds = found(|evidence| {
        let (_, calls) = certain(evidence);
        evidence.log.calls.remove(calls[1]);
    });
    assert_eq!(kinds, HashSet::from([Kind::Missed, Kind::Report]));
}

#[test]
fn call_that_is_made_twice_is_found() {
    let kinds = found(|evidence| {
        let (_, calls) = certain(evidence);
        evidence
            .log
            .calls
            .push(evidence.log.calls[calls[0]].clone());
    });
    assert_eq!(kinds, HashSet::from([Kind::Twice, Kind::Report]));
}

#[test]
fn call_of_a_subscription_that_does_not_match_is_found() {
    for disabled in [false, true] {
        let kinds = found(|evidence| {
            let (_, calls) = certain(evidence);
            let mut call = evidence.log.calls[calls[0]].clone();
            let mut listed = evidence.listed[0].iter();
            let off = listed.find(|one| !one.is_enabled()).unwrap();
            // One that is switched off, or one that never was.
            call.subscription = if disabled { number(off.id()) } else { 77_777 };
            evidence.log.calls.push(call);
        });
        assert_eq!(kinds, HashSet::from([Kind::Unwanted, Kind::Report]));
    }
}

#[test]
fn call_of_an_event_that_nobody_fired_is_found() {
    let kinds = found(|evidence| {
        let (event, _) = certain(evidence);
        evidence.log.fires.retain(|fire| fire.event != event);
    });
    assert_eq!(kinds, HashSet::from([Kind::Unwanted]));
}

#[test]
fn call_with_other_values_or_of_another_object_is_found() {
    let spoils: [fn(&mut Call); 4] = [
        |call| call.price += 1,
        |call| call.symbol += 1,
        |call| call.method += 1,
        |call| call.object += 1,
    ];
    for spoil in spoils {
        let kinds = found(|evidence| {
            let (_, calls) = certain(evidence);
            spoil(&mut evidence.log.calls[calls[0]]);
        });
        assert_eq!(kinds, HashSet::from([Kind::Mistaken]));
    }
}

#[test]
fn calls_in_another_order_are_found() {
    let kinds = found(|evidence| {
        let listed = evidence.listed[0].iter();
        let priorities: HashMap<_, _> = listed
            .map(|one| (number(one.id()), one.priority()))
            .collect();
        let calls = &mut evidence.log.calls;
        // The last two calls one after another whose order is that of their priorities.
        let later = (1..calls.len()).rev().find(|later| {
            let (one, next) = (&calls[later - 1], &calls[*later]);
            let of = |call: &Call| priorities[&call.subscription];
            one.event == next.event && of(one) > of(next)
        });
        let later = later.unwrap();
        (calls[later - 1].tick, calls[later].tick) = (calls[later].tick, calls[later - 1].tick);
    });
    assert_eq!(kinds, HashSet::from([Kind::Order]));
}

#[test]
fn listing_in_another_order_is_found() {
    let kinds = found(|evidence| evidence.listed[0].reverse());
    assert_eq!(kinds, HashSet::from([Kind::Order]));
}

#[test]
fn report_that_counts_otherwise_is_found() {
    let kinds = found(|evidence| {
        let reported = evidence.log.fires.iter_mut().rev();
        let mut counts = reported.filter_map(|fire| fire.delivered.as_mut());
        *counts.next().unwrap() += 1;
    });
    assert_eq!(kinds, HashSet::from([Kind::Report]));
    let kinds = found(|evidence| evidence.log.fires[0].lines += 1);
    assert_eq!(kinds, HashSet::from([Kind::Report]));
}

#[test]
fn object_that_is_called_after_it_was_waited_for_is_found() {
    let kinds = found(|evidence| {
        // Any object does: which ones are waited for, and called before, is up to the threads.
        let call = evidence.log.calls.first().unwrap();
        evidence.log.released.push((call.object, call.tick - 1));
    });
    assert_eq!(kinds, HashSet::from([Kind::Released]));
}

#[test]
fn change_log_that_lacks_a_change_is_found() {
    let kinds = found(|evidence| _ = evidence.logged.pop());
    assert!(kinds.contains(&Kind::Log), "{kinds:?}");
    let kinds = found(|evidence| _ = evidence.watched.remove(3));
    assert_eq!(kinds, HashSet::from([Kind::Log]));
    let kinds = found(|evidence| evidence.logged.swap(0, 1));
    assert!(kinds.contains(&Kind::Log), "{kinds:?}");
}

#[test]
fn change_that_nobody_made_is_found() {
    let kinds = found(|evidence| {
        let one = puts(evidence)[5];
        evidence.log.commits.remove(one);
    });
    assert!(kinds.contains(&Kind::Log), "{kinds:?}");
    let kinds = found(|evidence| {
        let one = puts(evidence)[5];
        evidence.log.commits[one].revision += 1_000_000;
    });
    assert!(kinds.contains(&Kind::Log), "{kinds:?}");
}

#[test]
fn revisions_that_run_against_time_are_found() {
    let kinds = found(|evidence| {
        let (one, next) = (puts(evidence)[1], puts(evidence)[2]);
        let commits = &mut evidence.log.commits;
        (commits[one].span, commits[next].span) = (commits[next].span, commits[one].span);
    });
    assert!(kinds.contains(&Kind::Log), "{kinds:?}");
}

#[test]
fn record_that_is_not_what_the_changes_made_is_found() {
    let kinds = found(|evidence| _ = evidence.listed[1].pop());
    assert_eq!(kinds, HashSet::from([Kind::Listed]));
    let kinds = found(|evidence| {
        let record = evidence.listed[0].remove(0).with_priority(99);
        evidence.listed[0].insert(0, record);
    });
    assert_eq!(kinds, HashSet::from([Kind::Listed]));
}

const EVENT: u64 = 1;
const QUOTE: Quote = Quote {
    method: 0,
    symbol: 0,
    price: 1,
    desk: 0,
};

/// Returns the finding of a fire from tick 10 to 30 that called some subscriptions, after commits
/// that put, or else removed, one subscription each. What is listed in the end is left out.
fn judged(commits: &[(u64, bool, Span)], called: &[u64]) -> HashSet<Kind> {
    let state = State {
        criteria: Criteria::Nothing,
        method: None,
        priority: 0,
        enabled: true,
        object: 0,
    };
    let mut log = Log::default();
    let mut logged = Vec::new();
    for (revision, (subscription, puts, span)) in (1..).zip(commits) {
        let put = puts.then(|| Deed::Put(state.clone()));
        log.commits.push(Commit {
            revision,
            broker: 0,
            span: *span,
            deeds: vec![(*subscription, put.unwrap_or(Deed::Remove))],
        });
        logged.push(Logged {
            revision,
            subscription: *subscription,
            kind: if *puts {
                ChangeKind::Put
            } else {
                ChangeKind::Delete
            },
        });
    }
    log.fires.push(Fire {
        event: EVENT,
        broker: 0,
        quote: QUOTE,
        span: Span { begin: 10, end: 30 },
        delivered: Some(called.len()),
        lines: 0,
    });
    log.calls
        .extend((20..).zip(called).map(|(tick, called)| Call {
            event: EVENT,
            subscription: *called,
            object: 0,
            method: QUOTE.method,
            symbol: QUOTE.symbol,
            price: QUOTE.price,
            tick,
        }));
    let watched = logged.clone();
    let listed = Vec::new();
    kinds(&check(&Evidence {
        log,
        logged,
        watched,
        listed,
    }))
}

const fn span(begin: u64, end: u64) -> Span {
    Span { begin, end }
}

#[test]
fn change_that_returned_before_the_fire_has_to_be_seen_and_one_beside_it_may_be() {
    let none = HashSet::new();
    let (before, across) = ((7, true, span(1, 2)), (7, true, span(3, 12)));
    let (inside, after) = ((7, true, span(15, 16)), (7, true, span(31, 32)));
    for (put, called, expected) in [
        (before, true, None),
        (before, false, Some(Kind::Missed)),
        (across, true, None),
        (across, false, None),
        (inside, true, None),
        (inside, false, None),
        (after, true, Some(Kind::Unwanted)),
        (after, false, None),
    ] {
        let called: &[u64] = if called { &[7] } else { &[] };
        let expected = expected.into_iter().collect();
        assert_eq!(judged(&[put], called), expected, "{put:?} {called:?}");
    }
    let removed = |span| [before, (7, false, span)];
    let unwanted = HashSet::from([Kind::Unwanted]);
    assert_eq!(judged(&removed(span(3, 4)), &[7]), unwanted);
    assert_eq!(judged(&removed(span(3, 12)), &[7]), none);
    assert_eq!(judged(&removed(span(3, 12)), &[]), none);
    let missed = HashSet::from([Kind::Missed]);
    assert_eq!(judged(&removed(span(31, 32)), &[]), missed);
}

#[test]
fn later_revision_that_had_to_be_seen_brings_the_earlier_one() {
    // The first had not returned when the fire began, but the second had, and it is the later one.
    let commits = [(7, true, span(1, 12)), (8, true, span(2, 4))];
    assert_eq!(judged(&commits, &[8]), HashSet::from([Kind::Missed]));
    assert_eq!(judged(&commits, &[7, 8]), HashSet::new());
}

#[test]
fn fire_that_mixes_two_revisions_is_found() {
    let commits = [(7, true, span(1, 12)), (8, true, span(2, 14))];
    for called in [&[][..], &[7], &[7, 8]] {
        assert_eq!(judged(&commits, called), HashSet::new(), "{called:?}");
    }
    assert_eq!(judged(&commits, &[8]), HashSet::from([Kind::Torn]));
}

#[test]
fn subscription_that_was_given_its_place_before_is_called_before() {
    let commits = [(7, true, span(1, 2)), (8, true, span(3, 4))];
    assert_eq!(judged(&commits, &[7, 8]), HashSet::new());
    assert_eq!(judged(&commits, &[8, 7]), HashSet::from([Kind::Order]));
    // Given at the same time, either place may be the first.
    let commits = [(7, true, span(1, 4)), (8, true, span(2, 5))];
    assert_eq!(judged(&commits, &[8, 7]), HashSet::new());
    // One that is put again keeps its place, one that was removed does not.
    let again = [
        (7, true, span(1, 2)),
        (8, true, span(3, 4)),
        (7, true, span(5, 6)),
    ];
    assert_eq!(judged(&again, &[8, 7]), HashSet::from([Kind::Order]));
    let [first, second, _] = again;
    let anew = [first, second, (7, false, span(5, 6)), (7, true, span(7, 8))];
    assert_eq!(judged(&anew, &[8, 7]), HashSet::new());
    assert_eq!(judged(&anew, &[7, 8]), HashSet::from([Kind::Order]));
}

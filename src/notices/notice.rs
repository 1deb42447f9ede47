//! One thing that the lower floors have to say.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;

use crate::value::Revision;

/// Something that happened below the public interface and that no call returned.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The database was damaged or gone and was made anew from its copy.
    Restored {
        /// The revision that the copy holds; every commit after it is lost, and so is
        /// all that waited in queues, which no copy has.
        revision: Revision,
        /// How many records came back.
        records: u64,
        /// Where the damaged files are kept, if there were any.
        moved_to: Option<PathBuf>,
        /// What was wrong with the database.
        reason: String,
    },
    /// The database was damaged, there was no usable copy, and the store was opened empty.
    Lost {
        /// Where the damaged files are kept.
        moved_to: PathBuf,
        /// What was wrong with the database, and with the copy.
        reason: String,
    },
    /// The database lost its latest commits and had no newer copy; the rest is served.
    RolledBack {
        /// The revision that it still holds.
        revision: Revision,
        /// The revision that was durable once; every commit between the two is lost.
        durable: Revision,
    },
    /// The database lost the latest of what was written for queues, and no other commit: events
    /// that were accepted may be missing, and events that were delivered may come again.
    QueuesRolledBack {
        /// The revision that it holds.
        revision: Revision,
    },
    /// One stored record cannot be read; it is kept as it is and served to nobody.
    Quarantined {
        /// The key of the record.
        key: Vec<u8>,
        /// What is wrong with it.
        reason: String,
    },
    /// The store failed and refuses writes until it has been opened again, by itself.
    StoreUnavailable {
        /// The error that it met.
        reason: String,
    },
    /// The store was opened again after a failure, and everything attached was listed anew.
    StoreReopened {
        /// The revision it holds.
        revision: Revision,
    },
    /// The database takes more space than it needs and could not be written anew; it is as before.
    NotCompacted {
        /// What there was no room for, or the error met.
        reason: String,
    },
    /// The copy beside the database could not be written; it is tried again.
    CopyFailed {
        /// The error met.
        reason: String,
    },
    /// A subscription was stored whose filter the index cannot help.
    FilterScanned {
        /// The subscription's id.
        id: Uuid,
        /// The subscription's name.
        subscription: String,
        /// How many others came with it of which the same is true: not 0 only for an import of so
        /// many that one notice stands for all.
        others: usize,
        /// What its filter costs.
        cost: String,
    },
    /// An event met a subscription that is suspended; told once, until the reason is another. If
    /// they are many, it is a few of them in a minute, and later how many others there were.
    SubscriptionSuspended {
        /// The subscription's id.
        id: Uuid,
        /// The subscription's name.
        subscription: String,
        /// How many others were met before it that no notice tells of.
        others: usize,
        /// Why it is suspended: what its filter does not fit, or which predicate nobody can ask.
        reason: String,
    },
    /// Subscribers of [`WiringChanges`](crate::WiringChanges) were too slow, or the store was
    /// opened again: they were not told of these commits, and read what is there now anew.
    ChangesMissed {
        /// The last revision before them.
        after: Revision,
        /// The last of them.
        until: Revision,
    },
    /// A principal was refused what it lacks a right to. For a publisher object whose fires reach
    /// nobody any more, this is said once.
    Denied {
        /// The principal's name.
        principal: String,
        /// The right that is lacking.
        right: String,
        /// The name of the class; none where no class is concerned.
        class: Option<String>,
    },
    /// An event that its class retains is not retained. For one method this is told once, until
    /// what it retains is forgotten.
    NotRetained {
        /// The name of the class.
        class: String,
        /// The name of the method.
        method: String,
        /// Why: so many keys are retained that the one fired longest ago gave way, or the values of
        /// the event cannot be read.
        reason: String,
    },
    /// The lane or the queue of a subscription was full, and events for it were lost as its
    /// overflow policy says. Told once for each time that it is full.
    LaneOverflow {
        /// The subscription's id.
        id: Uuid,
        /// The subscription's name.
        name: String,
        /// How many events were lost since the last notice about the lane.
        lost: u64,
    },
    /// A lane or a queue was given up with events in it that are delivered to nobody.
    LaneDiscarded {
        /// The subscription's id.
        id: Uuid,
        /// The subscription's name.
        name: String,
        /// How many events were in it.
        count: u64,
    },
    /// An event of a queue was given up, and is a [dead letter](crate::DeadLetter) now.
    DeadLetter {
        /// The subscription's id.
        id: Uuid,
        /// The subscription's name.
        name: String,
        /// How often it was tried.
        attempts: usize,
        /// Why it was given up, and what it failed at last.
        reason: String,
    },
    /// Events that were accepted before they were stored
    /// ([`Queued::without_waiting`](crate::Queued::without_waiting)) could not be stored.
    QueueFailed {
        /// How many they are.
        lost: usize,
        /// The error met.
        reason: String,
    },
    /// A subscriber did not return within its deadline; the call was abandoned.
    DeadlineMissed {
        /// The subscription's id.
        id: Uuid,
        /// The subscription's name.
        name: String,
        /// The deadline.
        after: Duration,
    },
    /// The deliveries of a subscription failed in a row, and none is tried for a while.
    BreakerOpened {
        /// The subscription's id.
        id: Uuid,
        /// The subscription's name.
        name: String,
        /// How many failed in a row.
        failures: u32,
        /// How long none is tried.
        back_off: Duration,
    },
    /// A delivery that was tried while the breaker was open went well: all are delivered again.
    BreakerClosed {
        /// The subscription's id.
        id: Uuid,
        /// The subscription's name.
        name: String,
    },
    /// Every thread of a pool has been in the same call for long, while deliveries wait.
    PoolStuck {
        /// How many threads there are.
        threads: usize,
        /// How many deliveries wait.
        waiting: usize,
    },
    /// A call that was abandoned holds a thread that can do nothing else until it returns.
    CallAbandoned {
        /// How many threads are held so now, this one included.
        threads: usize,
    },
    /// A commit sink panicked and was detached: what it feeds is out of date from now on.
    SinkDetached {
        /// The revision that the sink was being told of.
        revision: Revision,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restored {
                revision,
                records,
                moved_to,
                reason,
            } => {
                write!(
                    f,
                    "the store was restored from its copy: {records} records of revision \
                     {revision}, all later commits and all that waited in queues are lost \
                     ({reason})"
                )?;
                match moved_to {
                    Some(path) => write!(f, "; the damaged files are in {}", path.display()),
                    None => Ok(()),
                }
            }
            Self::Lost { moved_to, reason } => write!(
                f,
                "the store was opened empty, everything in it is lost, what waited in queues \
                 too ({reason}); the damaged files are in {}",
                moved_to.display()
            ),
            Self::RolledBack { revision, durable } => write!(
                f,
                "the store lost commits: it was durable up to revision {durable} and is found at \
                 {revision}"
            ),
            Self::QueuesRolledBack { revision } => write!(
                f,
                "the store lost the latest of its queues, at revision {revision}: events that were \
                 accepted may be missing, and others come again"
            ),
            Self::Quarantined { key, reason } => {
                write!(f, "record {} cannot be read: {reason}", key.escape_ascii())
            }
            Self::StoreUnavailable { reason } => write!(f, "the store is unavailable: {reason}"),
            Self::StoreReopened { revision } => {
                write!(f, "the store is available again at revision {revision}")
            }
            Self::NotCompacted { reason } => {
                write!(f, "the database could not be compacted: {reason}")
            }
            Self::CopyFailed { reason } => {
                write!(f, "the copy of the store could not be written: {reason}")
            }
            Self::FilterScanned {
                subscription,
                others,
                cost,
                ..
            } => {
                write!(f, "the filter of {subscription:?} ")?;
                match others {
                    0 => write!(f, "is expensive: {cost}"),
                    _ => write!(f, "and {others} others are expensive; of the first: {cost}"),
                }
            }
            Self::SubscriptionSuspended {
                subscription,
                others,
                reason,
                ..
            } => match others {
                0 => write!(f, "{subscription:?} is suspended: {reason}"),
                _ => write!(
                    f,
                    "{subscription:?} and {others} others are suspended; this one: {reason}"
                ),
            },
            Self::ChangesMissed { after, until } => write!(
                f,
                "subscribers were not told of the changes after revision {after} up to {until}"
            ),
            Self::Denied {
                principal,
                right,
                class,
            } => {
                write!(
                    f,
                    "{principal:?} was refused: it lacks the right to {right}"
                )?;
                match class {
                    Some(class) => write!(f, ", for the class {class:?}"),
                    None => Ok(()),
                }
            }
            Self::NotRetained {
                class,
                method,
                reason,
            } => write!(f, "an event {class:?}.{method} is not retained: {reason}"),
            Self::LaneOverflow { name, lost, .. } => {
                write!(
                    f,
                    "{name:?} is too slow: its lane was full, {lost} events are lost"
                )
            }
            Self::LaneDiscarded { name, count, .. } => {
                write!(
                    f,
                    "the lane of {name:?} was given up with {count} events in it"
                )
            }
            Self::DeadLetter {
                name,
                attempts,
                reason,
                ..
            } => write!(
                f,
                "an event of {name:?} is a dead letter after {attempts} attempts: {reason}"
            ),
            Self::QueueFailed { lost, reason } => {
                write!(
                    f,
                    "{lost} events were accepted and are not stored: {reason}"
                )
            }
            Self::DeadlineMissed { name, after, .. } => {
                write!(f, "{name:?} was not done within its deadline of {after:?}")
            }
            Self::BreakerOpened {
                name,
                failures,
                back_off,
                ..
            } => write!(
                f,
                "{name:?} failed {failures} times in a row and is not called for {back_off:?}"
            ),
            Self::BreakerClosed { name, .. } => write!(f, "{name:?} is called again"),
            Self::PoolStuck { threads, waiting } => write!(
                f,
                "all {threads} threads that deliver are held up, {waiting} deliveries wait"
            ),
            Self::CallAbandoned { threads } => write!(
                f,
                "a call was abandoned; {threads} threads are held by calls that do not return"
            ),
            Self::SinkDetached { revision } => write!(
                f,
                "a commit sink panicked at revision {revision} and was detached"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_says_what_is_lost_and_where_the_files_are() {
        let notice = Notice::Lost {
            moved_to: PathBuf::from("wiring/damaged-1"),
            reason: "bad checksum".into(),
        };
        assert_eq!(
            notice.to_string(),
            "the store was opened empty, everything in it is lost, what waited in queues too \
             (bad checksum); the damaged files are in wiring/damaged-1"
        );
    }

    #[test]
    fn display_says_for_how_long_a_subscriber_is_not_called() {
        let opened = Notice::BreakerOpened {
            id: Uuid::nil(),
            name: "alarm".into(),
            failures: 3,
            back_off: Duration::from_millis(1_500),
        };
        let text = "\"alarm\" failed 3 times in a row and is not called for 1.5s";
        assert_eq!(opened.to_string(), text);
    }
}

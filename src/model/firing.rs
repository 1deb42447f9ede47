//! How the subscribers of an event are called.

use serde::{Deserialize, Serialize};

/// Whether the subscribers of one event are called one after another or at the same time.
///
/// A publisher waits in either case: its call returns when all were called. Filters, times, roles
/// and default queries are asked as ever, on the publisher's thread and before the first subscriber
/// is called; where only one is left, it is called there too.
///
/// # Parallel
///
/// Several subscribers are called at the same time, by threads of the broker
/// ([`delivery_threads`](crate::BrokerBuilder::delivery_threads)) and by the publisher's own, which
/// takes part. So the broker's threads are help and never a condition: while all of them are
/// held up, and once the broker is closed, the publisher's thread calls one subscriber after
/// another.
///
/// - *Order.* Subscribers of one priority begin in the order of calling, and may return in any.
///   When all of them have returned, those of the next lower priority begin. The report has its
///   lines in the order of calling, whoever failed first.
/// - *Arguments* are copied once for the fire, and shared. Those by value are cloned for each
///   subscriber, as ever.
/// - *The event* is one on all threads: its [context](crate::EventContext) has the same id,
///   sequence and depth, and the nesting limit counts the fires around it wherever they are.
/// - *Events fired inside*, on a class with [`Nesting::Queued`](crate::Nesting::Queued), wait for
///   the end of the outermost fire. Its thread fires them, those of the subscriber that is first in
///   the order of calling first.
/// - *Publisher filters* that fire subscriptions one by one learn what became of each, so each is
///   called by itself; [`fire_all`](crate::Selection::fire_all) calls them at the same time.
/// - *Components* follow their policy: a singleton is called by several threads at once, which its
///   type allows, and an instance of a pool by one at a time. One that waits for a pool's instance
///   holds up a thread.
///
/// COM+ takes FireInParallel as a request and promises neither threads nor an order ("Publishing
/// and Delivering Events in COM+"). A lock that one subscriber holds while it waits for another
/// that comes behind it is a deadlock, if no thread is free to call that one.
///
/// Written by people as `"serial"` or `{ parallel = { max = 4 } }`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[doc(alias = "FireInParallel")]
pub enum Firing {
    /// One after another, on the publisher's thread.
    #[default]
    Serial,
    /// Several at the same time.
    Parallel {
        /// How many at most, the one on the publisher's thread included; 1 or more.
        max: usize,
    },
}

impl Firing {
    pub(super) fn is_serial(&self) -> bool {
        *self == Self::Serial
    }
}

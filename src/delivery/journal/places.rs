//! Places in queues, kept for events that are on their way to the store.

use super::{Journal, Post, Refusal, State};
use crate::model::{Overflow, SubscriptionId};
use crate::notices::Notice;
use crate::store::record::queue::Addressee;

/// Why there is no place in a queue.
#[derive(Debug, PartialEq, Eq)]
enum Shortage {
    /// There is none until something was delivered, for which a fire waits.
    Wait,
    Full,
    Dropped,
    Refused(Refusal),
}

impl Journal {
    /// Keeps places in the queues, and returns their numbers. Whoever waits for room in one keeps
    /// none in the others meanwhile, for which somebody else may wait.
    pub(super) fn reserve_all(&self, posts: &[Post], may_block: bool) -> Vec<Result<u32, Refusal>> {
        let mut state = self.state.lock();
        loop {
            let mut waits = false;
            let outcomes: Vec<_> = posts
                .iter()
                .map(|post| {
                    let room = state.reserve(post.subscription);
                    waits |= room == Err(Shortage::Wait);
                    room
                })
                .collect();
            if !(waits && may_block) {
                let refused = |(post, outcome): (&Post, Result<u32, Shortage>)| {
                    outcome.map_err(|why| self.refusal(&mut state, post.subscription, why))
                };
                return posts.iter().zip(outcomes).map(refused).collect();
            }
            for number in outcomes.into_iter().flatten() {
                state.release_one(number);
            }
            self.changed.wait(&mut state);
        }
    }

    /// Keeps a place in a queue, and returns the queue's number.
    pub(super) fn reserve(&self, id: SubscriptionId) -> Result<u32, Refusal> {
        let mut state = self.state.lock();
        let outcome = state.reserve(id);
        outcome.map_err(|why| self.refusal(&mut state, id, why))
    }

    fn refusal(&self, state: &mut State, id: SubscriptionId, why: Shortage) -> Refusal {
        let refusal = match why {
            Shortage::Wait | Shortage::Full => Refusal::Full,
            Shortage::Dropped => Refusal::Dropped,
            Shortage::Refused(refusal) => return refusal,
        };
        if let Some(queue) = state.ledger.find_mut(id)
            && !std::mem::replace(&mut queue.is_told_full, true)
        {
            self.staff.notices.push(Notice::LaneOverflow {
                id: id.uuid(),
                name: queue.name.to_string(),
                lost: 1,
            });
        }
        refusal
    }
}

impl State {
    /// Keeps a place in a queue, and returns its number.
    fn reserve(&mut self, id: SubscriptionId) -> Result<u32, Shortage> {
        if self.is_stopped {
            return Err(Shortage::Refused(Refusal::Closed));
        }
        if self.owner.is_none() {
            return Err(Shortage::Refused(Refusal::elsewhere()));
        }
        let queue = self.ledger.find_mut(id);
        let queue = queue.ok_or(Shortage::Refused(Refusal::Gone))?;
        if !queue.is_full() {
            queue.reserved += 1;
            queue.is_told_full = false;
            return Ok(queue.number);
        }
        Err(match queue.terms.as_ref().map(|terms| terms.overflow()) {
            Some(Overflow::DropNewest) => Shortage::Dropped,
            Some(Overflow::Block) => Shortage::Wait,
            _ => Shortage::Full,
        })
    }

    fn release_one(&mut self, queue: u32) {
        if let Some(queue) = self.ledger.get_mut(queue) {
            queue.reserved = queue.reserved.saturating_sub(1);
        }
    }

    /// Gives places back that were kept.
    pub(super) fn release(&mut self, addressees: &[Addressee]) {
        for addressee in addressees {
            self.release_one(addressee.queue);
        }
    }
}

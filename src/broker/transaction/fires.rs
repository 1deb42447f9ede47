//! The events of a transaction.

use crate::broker::Broker;
use crate::delivery::Joined;
use crate::error::{Error, ErrorKind, Result};
use crate::publish::{Gathered, Transacted};
use crate::store::Batch;

/// The events that a transaction fires.
#[derive(Default)]
pub(super) struct Fires(Vec<Transacted>);

/// The events as they are part of a batch.
pub(super) struct Leaving {
    joined: Option<Joined>,
    gathered: Vec<Gathered>,
}

impl Fires {
    pub(super) fn add(&mut self, event: Transacted) {
        self.0.push(event);
    }

    /// Adds the events to a batch, for all who have a queue and want them now.
    pub(super) fn join(&mut self, broker: &Broker, batch: &mut Batch) -> Result<Leaving> {
        let mut leaving = Leaving {
            joined: None,
            gathered: self.0.iter_mut().flat_map(Transacted::gather).collect(),
        };
        if !leaving.gathered.is_empty() {
            let events = leaving.gathered.iter();
            let events = events.map(|event| (&event.parcel, &*event.posts, event.keep.as_ref()));
            match broker.core.around.journal.join(events, batch) {
                Ok(joined) => leaving.joined = Some(joined),
                Err(error) => {
                    leaving.left_out();
                    return Err(error);
                }
            }
        }
        Ok(leaving)
    }

    /// Delivers the events to all who have no queue.
    pub(super) fn fire_others(&self) {
        self.0.iter().for_each(Transacted::fire_others);
    }
}

impl Leaving {
    /// Says that the batch was committed, and returns how many queues have taken an event.
    pub(super) fn committed(self) -> usize {
        self.joined.map_or(0, Joined::committed)
    }

    /// Says that nothing was written of the batch.
    pub(super) fn left_out(self) {
        let Self { joined, gathered } = self;
        drop(joined);
        gathered.into_iter().for_each(undo);
    }

    /// Says that the batch could not be committed.
    pub(super) fn failed(self, error: &Error) {
        if error.kind() != ErrorKind::Uncertain {
            return self.left_out();
        }
        if let Some(joined) = self.joined {
            joined.doubted();
        }
    }
}

fn undo(gathered: Gathered) {
    gathered.undo.into_iter().for_each(|undo| undo());
}

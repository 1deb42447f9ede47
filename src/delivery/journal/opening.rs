//! Finding what waits when a broker is opened, or when its store was opened again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use uuid::Uuid;

use super::ledger::Number;
use super::owner::Owner;
use super::{Journal, State};
use crate::error::Result;
use crate::model::SubscriptionId;
use crate::store::Store;
use crate::store::record::queue::{self, Addressee, QueueMemory};

/// What the store holds.
#[derive(Default)]
struct Found {
    queues: BTreeMap<u32, QueueMemory>,
    events: BTreeMap<Number, Vec<Addressee>>,
    /// The classes of the events, and their interfaces.
    sites: BTreeSet<(Uuid, Uuid)>,
}

impl Journal {
    /// Takes over the queues of a store; those of subscriptions that are not there are given up.
    pub(crate) fn open(
        &self,
        store: &Arc<dyn Store>,
        name_of: impl Fn(SubscriptionId) -> Option<Arc<str>>,
    ) -> Result<()> {
        let _ = self.store.set(Arc::downgrade(store));
        let Some(owner) = Owner::of(store) else {
            return Ok(());
        };
        let found = read(&**store)?;
        let mut state = self.state.lock();
        state.owner = Some(owner);
        let mut gone = Vec::new();
        for (number, memory) in found.queues {
            let id = memory.subscription;
            let name = name_of(id);
            if name.is_none() {
                gone.push(id);
            }
            let name = name.unwrap_or_else(|| Arc::from(""));
            state.ledger.add(number, id, &name);
            if let Some(queue) = state.ledger.get_mut(number) {
                queue.remember(memory);
                queue.is_stored = true;
            }
        }
        state.take_in(found.events);
        drop(state);
        gone.into_iter().for_each(|id| self.forget(id));
        if let Some(open) = self.open_site.get() {
            for (class, interface) in found.sites {
                open(class.into(), interface.into());
            }
        }
        self.write_soon();
        Ok(())
    }

    /// Takes in what is stored of a batch of which nobody knew that, if there was one.
    pub(super) fn reconciled(&self, store: &dyn Store, removed: &[Number]) -> Result<()> {
        if !self.state.lock().pending.is_uncertain {
            return Ok(());
        }
        // The store opens itself again here, or says that it cannot.
        store.sync()?;
        let mut found = read(store)?;
        let mut state = self.state.lock();
        let is_done =
            |number: &Number| removed.contains(number) || state.pending.is_removed(*number);
        let is_known = |number: &Number| state.ledger.knows(*number) || is_done(number);
        found.events.retain(|number, _| !is_known(number));
        state.take_in(found.events);
        state.pending.is_uncertain = false;
        let all: Vec<_> = state.ledger.all().map(|queue| queue.id).collect();
        drop(state);
        all.into_iter().for_each(|id| self.feed_soon(id));
        Ok(())
    }
}

impl State {
    fn take_in(&mut self, events: BTreeMap<Number, Vec<Addressee>>) {
        for (number, addressees) in events {
            self.last = self.last.max(number);
            if self.ledger.take_in(number, &addressees) {
                self.pending.remove(number);
            }
        }
    }
}

fn read(store: &dyn Store) -> Result<Found> {
    let mut found = Found::default();
    store.scan(queue::QUEUES, &mut |key, entry| {
        let number = queue::parse_queue_key(key);
        if let (Some(number), Ok(memory)) = (number, queue::decode_queue(&entry.value)) {
            found.queues.insert(number, memory);
        }
        ControlFlow::Continue(())
    })?;
    store.scan(queue::EVENTS, &mut |key, entry| {
        let number = queue::parse_event_key(key);
        if let (Some(number), Ok(event)) = (number, queue::decode_event(&entry.value)) {
            found.sites.insert((event.class, event.interface));
            found.events.insert(number, event.addressees);
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

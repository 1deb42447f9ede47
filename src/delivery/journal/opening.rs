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
    /// The greatest number that an event ever had, as far as anything tells.
    last: Number,
    /// The same of queues.
    last_queue: u32,
}

impl Journal {
    /// Takes over the queues of a store. Nothing is deleted on suspicion: what cannot be read, and
    /// what waits for somebody who is not there, is left as it is.
    pub(crate) fn open(
        &self,
        store: &Arc<dyn Store>,
        name_of: impl Fn(SubscriptionId) -> Option<Arc<str>>,
    ) -> Result<()> {
        let _ = self.store.set(Arc::downgrade(store));
        let Some(owner) = Owner::of(store) else {
            return Ok(());
        };
        let mut found = read(&**store)?;
        let mut state = self.state.lock();
        state.owner = Some(owner);
        for (number, memory) in std::mem::take(&mut found.queues) {
            let id = memory.subscription;
            let name = name_of(id).unwrap_or_else(|| Arc::from(""));
            state.ledger.add(number, id, &name);
            if let Some(queue) = state.ledger.get_mut(number) {
                queue.remember(memory);
                queue.is_stored = true;
            }
        }
        let sites = std::mem::take(&mut found.sites);
        state.take_in(found);
        drop(state);
        if let Some(open) = self.open_site.get() {
            for (class, interface) in sites {
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
        state.take_in(found);
        state.pending.is_uncertain = false;
        let all: Vec<_> = state.ledger.all().map(|queue| queue.id).collect();
        drop(state);
        all.into_iter().for_each(|id| self.feed_soon(id));
        Ok(())
    }
}

impl State {
    fn take_in(&mut self, found: Found) {
        self.last = self.last.max(found.last);
        self.ledger.begin_behind(found.last_queue);
        for (number, addressees) in found.events {
            if self.ledger.take_in(number, &addressees) {
                self.pending.remove(number);
            }
        }
    }
}

impl Found {
    fn note(&mut self, number: Number) {
        self.last = self.last.max(number);
    }

    fn note_queue(&mut self, number: u32) {
        self.last_queue = self.last_queue.max(number);
    }
}

fn read(store: &dyn Store) -> Result<Found> {
    let mut found = Found::default();
    store.scan(queue::QUEUES, &mut |key, entry| {
        if let Some(number) = queue::parse_queue_key(key) {
            found.note_queue(number);
            if let Ok(memory) = queue::decode_queue(&entry.value) {
                let tries = memory.tries.iter().map(|(number, _)| *number);
                let numbers = memory.done.iter().copied().chain(tries);
                numbers.chain([memory.until]).for_each(|it| found.note(it));
                found.queues.insert(number, memory);
            }
        }
        ControlFlow::Continue(())
    })?;
    store.scan(queue::EVENTS, &mut |key, entry| {
        if let Some(number) = queue::parse_event_key(key) {
            found.note(number);
            if let Ok(event) = queue::decode_event(&entry.value) {
                let queues = event.addressees.iter().map(|to| to.queue);
                queues.for_each(|queue| found.note_queue(queue));
                found.sites.insert((event.class, event.interface));
                found.events.insert(number, event.addressees);
            }
        }
        ControlFlow::Continue(())
    })?;
    // A number that is given again would be that of an older letter too.
    store.scan(queue::DEAD_LETTERS, &mut |key, _| {
        if let Some((_, number)) = queue::parse_dead_letter_key(key) {
            found.note(number);
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

//! Finding what waits when a broker is opened, or when its store was opened again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use uuid::Uuid;

use super::chronicle::Past;
use super::ledger::{Ledger, Number};
use super::owner::Owner;
use super::{Journal, State};
use crate::error::Result;
use crate::model::SubscriptionId;
use crate::store::Store;
use crate::store::record::queue::{self, Addressee, QueueRecord};

/// What the store holds.
#[derive(Default)]
struct Found {
    queues: BTreeMap<u32, QueueRecord>,
    events: BTreeMap<Number, FoundEvent>,
    /// The classes of the events, and their interfaces.
    sites: BTreeSet<(Uuid, Uuid)>,
    /// The greatest number that an event ever had, as far as anything tells.
    last: Number,
    /// The same of queues.
    last_queue: u32,
}

struct FoundEvent {
    addressees: Vec<Addressee>,
    past: Past,
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
        let queues = std::mem::take(&mut found.queues);
        // Asked of the wiring, whose lock comes before this one's.
        let names = queues.values().filter_map(|record| match record {
            QueueRecord::Queue(memory) => Some(memory.subscription),
            QueueRecord::Chronicle { .. } => None,
        });
        let names: HashMap<_, _> = names.filter_map(|id| Some((id, name_of(id)?))).collect();
        let mut state = self.state.lock();
        state.owner = Some(owner);
        state.ledger.recall(queues, &names);
        let sites = std::mem::take(&mut found.sites);
        state.take_in(found);
        drop(state);
        if let Some(open) = self.open_site.get() {
            for (class, interface) in sites {
                open(class.into(), interface.into());
            }
        }
        self.trim_when_due();
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
        let removed = removed.iter().chain(state.pending.removed());
        let removed: HashSet<_> = removed.copied().collect();
        let is_known = |number: &Number| state.ledger.knows(*number) || removed.contains(number);
        found.events.retain(|number, _| !is_known(number));
        state.take_in(found);
        state.pending.is_uncertain = false;
        let all: Vec<_> = state.ledger.all().map(|queue| queue.id).collect();
        drop(state);
        all.into_iter().for_each(|id| self.feed_soon(id));
        Ok(())
    }
}

impl Ledger {
    /// Takes in the queues and chronicles of a store.
    fn recall(
        &mut self,
        queues: BTreeMap<u32, QueueRecord>,
        names: &HashMap<SubscriptionId, Arc<str>>,
    ) {
        let mut follows = Vec::new();
        for (number, record) in queues {
            match record {
                QueueRecord::Chronicle { class, last } => {
                    self.add_chronicle(number, class);
                    if let Some(chronicle) = self.chronicles.get_mut(&number) {
                        chronicle.go_on_behind(last);
                    }
                }
                QueueRecord::Queue(memory) => {
                    let id = memory.subscription;
                    let name = names.get(&id).cloned().unwrap_or_else(|| Arc::from(""));
                    self.add(number, id, &name);
                    follows.extend(memory.follows.iter().map(|follow| (number, *follow)));
                    if let Some(queue) = self.get_mut(number) {
                        queue.remember(memory);
                    }
                }
            }
            self.set_stored(number);
        }
        for (queue, follow) in follows {
            self.follow_again(queue, &follow);
        }
    }
}

impl State {
    fn take_in(&mut self, found: Found) {
        self.last = self.last.max(found.last);
        self.ledger.begin_behind(found.last_queue);
        for (number, FoundEvent { addressees, past }) in found.events {
            if self.ledger.take_in(past, &addressees) {
                self.pending.remove(number);
            }
        }
    }
}

impl Found {
    fn note(&mut self, number: Number) {
        self.last = self.last.max(number);
    }

    /// Notes the numbers in what a queue remembers.
    fn note_memory(&mut self, record: &QueueRecord) {
        let memory = match record {
            QueueRecord::Queue(memory) => memory,
            QueueRecord::Chronicle { last, .. } => return self.note(*last),
        };
        let tries = memory.tries.iter().map(|(number, _)| *number);
        let follows = memory.follows.iter();
        let follows = follows.flat_map(|it| [it.from.saturating_sub(1), it.through]);
        let numbers = memory.done.iter().copied().chain(tries).chain(follows);
        numbers.chain([memory.until]).for_each(|it| self.note(it));
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
            if let Ok(record) = queue::decode_queue(&entry.value) {
                found.note_memory(&record);
                found.queues.insert(number, record);
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
                let past = Past {
                    number,
                    interface: event.interface.into(),
                    time: event.time,
                    size: u32::try_from(entry.value.len()).unwrap_or(u32::MAX),
                };
                let addressees = event.addressees;
                found.events.insert(number, FoundEvent { addressees, past });
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

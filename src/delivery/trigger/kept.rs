//! What of a trigger's state outlives the broker.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use uuid::Uuid;

use super::machine::Memory;
use super::pending::Pending;
use super::verdict::{HeldEvent, Output};
use super::{State, Terms, TriggerState};
use crate::delivery::Parcel;
use crate::model::EventClassId;
use crate::store::record::trigger::{EventMemory, KeyMemory, StateMemory, TriggerMemory};
use crate::value::{InterfaceId, ValueRef, drop_quietly};

/// A reading of both clocks: an instant says nothing to another process.
#[derive(Clone, Copy)]
struct Moment {
    instant: Instant,
    time: SystemTime,
}

/// A key with what is known of it, and the event that waits.
type Known = (Box<[u8]>, Memory, Option<Arc<dyn Parcel>>);

impl Terms {
    /// Returns what tells the terms from all others, in this process and in the next.
    fn digest(&self) -> Uuid {
        let binding = &self.binding;
        let parts = (
            serde_json::to_string(&self.trigger).unwrap_or_default(),
            &self.filter.as_deref(),
            self.predicate.as_ref().map(AsRef::<str>::as_ref),
            binding.class().map(|id| id.uuid()),
            binding.interface().map(|id| id.uuid()),
            binding.publisher().map(|id| id.uuid()),
            binding.methods().collect::<Vec<_>>(),
        );
        let text = serde_json::to_string(&parts).unwrap_or_default();
        Uuid::new_v5(&TERMS, text.as_bytes())
    }
}

/// The name space of digests of terms.
const TERMS: Uuid = Uuid::from_u128(0x2f1f_8a35_6a4e_4c6b_9d0e_8f7c_51a0_0031);

impl TriggerState {
    /// Returns what is known, if that has changed since it was asked for last. Calls the code of
    /// the events' arguments.
    pub(crate) fn memory(&self) -> Option<TriggerMemory> {
        let mut state = self.state.lock();
        state.told = false;
        if state.ended || !std::mem::take(&mut state.machine.changed) {
            return None;
        }
        let moment = self.moment();
        let memories = state.machine.memories();
        let known = memories.map(|(key, memory, held)| -> Known {
            (
                key.into(),
                memory,
                held.map(|held| Arc::clone(&held.parcel)),
            )
        });
        let known: Vec<_> = known.collect();
        let mut keys: Vec<_> = state.pending.iter().cloned().collect();
        drop(state);
        keys.extend(known.into_iter().map(|(key, memory, parcel)| {
            let event = parcel.as_ref().and_then(|parcel| event_of(&**parcel));
            drop_quietly(parcel);
            KeyMemory {
                key: key.into(),
                state: moment.keep(memory),
                event,
            }
        }));
        Some(TriggerMemory {
            terms: self.terms.digest(),
            keys,
        })
    }

    /// Has it be as if something had changed.
    pub(crate) fn change(&self) {
        self.state.lock().machine.changed = true;
    }

    /// Takes over what was known in another broker, if it is about the same, to be
    /// [remembered](Self::remember) where an event can be made again.
    pub(crate) fn expect(&self, memory: TriggerMemory) {
        let mut state = self.state.lock();
        if memory.terms == self.terms.digest() {
            state.pending = Pending::new(memory.keys);
        } else {
            state.machine.changed = true;
        }
    }

    /// Takes note of what was known: of the keys without an event, and of those whose event is of
    /// the site, where somebody has a seat by now, as some of it may be overdue. `held` makes
    /// events of those that were kept.
    pub(crate) fn remember(
        &self,
        (class, interface): (EventClassId, InterfaceId),
        held: impl Fn(&EventMemory) -> Option<HeldEvent>,
    ) {
        let is_here = |event: &EventMemory| {
            (event.class, event.interface) == (class.uuid(), interface.uuid())
        };
        let mut state = self.state.lock();
        if state.pending.is_empty() {
            return;
        }
        let ready = |known: &KeyMemory| known.event.as_ref().is_none_or(is_here);
        let ready = state.pending.take_if(ready);
        drop(state);
        let moment = self.moment();
        let parts = ready.into_iter().map(|known| {
            let held = known.event.as_ref().and_then(&held);
            (known.key, moment.recall(known.state), held)
        });
        let parts: Vec<_> = parts.collect();
        let mut out = Output::default();
        let mut state = self.state.lock();
        for (key, memory, held) in parts {
            state.machine.remember(&key, memory, held, &mut out);
        }
        self.settle(state, out);
    }

    /// Takes note of what was known of a key of which another event comes, before the one that was
    /// kept could be made again: that gives way.
    #[cold]
    pub(super) fn recall_key(&self, state: &mut State, key: &[u8], out: &mut Output) {
        if let Some(known) = state.pending.take(key) {
            let memory = self.moment().recall(known.state);
            state.machine.remember(key, memory, None, out);
        }
    }

    fn moment(&self) -> Moment {
        Moment {
            instant: self.clock.instant(),
            time: self.clock.now(),
        }
    }
}

impl Moment {
    fn keep(self, memory: Memory) -> StateMemory {
        match memory {
            Memory::True => StateMemory::True,
            Memory::Waits { due } => StateMemory::Waits(self.time_of(due)),
            Memory::Counted { since, count } => StateMemory::Counted(self.time_of(since), count),
        }
    }

    fn recall(self, memory: StateMemory) -> Memory {
        match memory {
            StateMemory::True => Memory::True,
            StateMemory::Waits(due) => Memory::Waits {
                due: self.instant_of(due),
            },
            StateMemory::Counted(since, count) => Memory::Counted {
                since: self.instant_of(since),
                count,
            },
        }
    }

    fn time_of(self, instant: Instant) -> SystemTime {
        let later = self
            .time
            .checked_add(instant.saturating_duration_since(self.instant));
        let earlier = self.instant.saturating_duration_since(instant);
        let time = later.and_then(|later| later.checked_sub(earlier));
        time.unwrap_or(self.time)
    }

    /// Returns the instant of a time; of one before this system was started, now.
    fn instant_of(self, time: SystemTime) -> Instant {
        let later = time.duration_since(self.time).unwrap_or(Duration::ZERO);
        let earlier = self.time.duration_since(time).unwrap_or(Duration::ZERO);
        let instant = self.instant.checked_add(later);
        let instant = instant.and_then(|later| later.checked_sub(earlier));
        instant.unwrap_or(self.instant)
    }
}

fn event_of(parcel: &dyn Parcel) -> Option<EventMemory> {
    let (class, interface) = parcel.site();
    let method = parcel.schema().methods().get(parcel.method())?;
    let values = parcel.values();
    Some(EventMemory {
        class: class.uuid(),
        interface: interface.uuid(),
        method: method.name().to_owned(),
        values: values.iter().map(ValueRef::to_value).collect(),
    })
}

//! The event being delivered, as its subscriber sees it.

mod carried;
mod event_id;

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use uuid::Uuid;

use super::numbered::numbered;
use super::shown::shown;
use super::trigger::Triggered;
use crate::model::{EventClassId, SubscriptionId};
use crate::value::Value;

pub(crate) use self::carried::{Carried, StoredFire, carried};
pub use self::event_id::EventId;
use self::event_id::event_id;

/// How deep events may fire events on one thread.
///
/// Deep enough for any chain of forwarding publishers that somebody drew on purpose, and shallow
/// enough that a cycle ends long before the 2 MiB stack of a thread: each level holds one fire and
/// the subscriber's own frames.
pub const NESTING_LIMIT: u32 = 32;

/// What a subscriber may know about the event that it is being called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventContext {
    class: EventClassId,
    subscription: SubscriptionId,
    drawn: Drawn,
    depth: u32,
}

/// What an event gets when somebody first asks for it, so that a fire nobody asks about pays
/// nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Drawn {
    /// What the id is made of.
    sequence: u64,
    time: SystemTime,
    retained: bool,
    /// How many events are missing before it, for the subscription that gets it.
    missed: u64,
    /// Why the trigger of the subscription has it delivered, as long as that is called.
    triggered: Option<Triggered>,
    /// The id of an event that was stored, maybe by another process.
    stored: Option<EventId>,
    /// Which attempt the delivery is.
    attempt: u32,
}

/// The fires that this thread is inside of.
struct Frame {
    depth: Cell<u32>,
    class: Cell<EventClassId>,
    subscription: Cell<SubscriptionId>,
    /// What stands for the subscription in a fire that goes by numbers: to find its id would be a
    /// wait for memory, and few ask. [`NO_NUMBER`] where the id is set.
    number: Cell<u32>,
    drawn: Cell<Option<Drawn>>,
    /// What the others have set aside: depth - 1 -> the fire at that depth. It lies here and not
    /// with the nested fire, so that one that nothing caused, as most are, has nothing to move.
    outer: [Cell<Outer>; NESTING_LIMIT as usize - 1],
}

/// A fire that waits for a nested one to end.
#[derive(Clone, Copy)]
struct Outer {
    class: EventClassId,
    subscription: SubscriptionId,
    number: u32,
    drawn: Option<Drawn>,
}

crate::sync::thread_local! {
    static FRAME: Frame = const {
        Frame {
            depth: Cell::new(0),
            class: Cell::new(EventClassId::from_u128(0)),
            subscription: Cell::new(SubscriptionId::from_u128(0)),
            number: Cell::new(NO_NUMBER),
            drawn: Cell::new(None),
            outer: [const { Cell::new(Outer::NONE) }; NESTING_LIMIT as usize - 1],
        }
    };
}

static SEQUENCE: AtomicU64 = AtomicU64::new(1);

impl EventContext {
    /// Returns the context of the event that is being delivered on this thread, or `None` outside a
    /// delivery.
    pub fn current() -> Option<Self> {
        FRAME.with(|frame| {
            let depth = frame.depth.get();
            if depth == 0 {
                return None;
            }
            let drawn = frame.draw();
            Some(Self {
                class: frame.class.get(),
                subscription: frame.subscription(),
                drawn,
                depth,
            })
        })
    }

    /// Returns the event's id, the same for all subscribers of one fire.
    pub fn event_id(&self) -> EventId {
        self.drawn.event_id()
    }

    /// Returns a key that every attempt to deliver this event through this subscription has, and no
    /// other delivery: a subscriber that remembers the keys of what it has done does nothing twice.
    /// A [`KeyWindow`](crate::KeyWindow) remembers them for it. The key is made of the ids of event
    /// and subscription.
    pub fn idempotency_key(&self) -> Uuid {
        let event = self.event_id().uuid();
        Uuid::new_v5(&event, self.subscription.uuid().as_bytes())
    }

    /// Returns whether the event was fired before the subscription was served, and retained for it:
    /// see [`Retained`](crate::Retained). Id, time and sequence are those of the fire.
    pub fn is_retained(&self) -> bool {
        self.drawn.retained
    }

    /// Returns the time at which a subscriber of this fire first asked for the context; where
    /// subscribers are called at the same time, the time before the first was called; of an event
    /// that its class retains, the time at which it was fired, as of all events of a broker on a
    /// test's clock, by which it is then.
    pub fn time(&self) -> SystemTime {
        self.drawn.time
    }

    /// Returns a number that rises from event to event in this process.
    ///
    /// It is drawn together with the time. Events that nobody asks about have none, so a gap is no
    /// sign of a loss.
    pub fn sequence(&self) -> u64 {
        self.drawn.sequence
    }

    /// Returns how many events the subscription asked for and did not get between the one before
    /// and this one, as its lane had no room for them: see [`Overflow`](crate::Overflow). Always 0
    /// for inline delivery.
    pub fn missed(&self) -> u64 {
        self.drawn.missed
    }

    /// Returns the same for a subscription whose trigger has it delivered.
    pub(crate) fn triggered(mut self, by: Option<Triggered>) -> Self {
        self.drawn.triggered = by;
        self
    }

    /// Returns why the subscription's [`Trigger`](crate::Trigger) has the event delivered: as its
    /// filter became true or is not true any more, or as no event followed this one. `None` without
    /// a trigger, and under one that only limits how many events are delivered.
    pub fn trigger(&self) -> Option<Triggered> {
        self.drawn.triggered
    }

    /// Returns how often this delivery was tried, this time included; 1 unless the subscription has
    /// a [queue](crate::Queued). Attempts whose end could not be stored are not counted, nor those
    /// that failed while the broker was being closed.
    pub fn attempt(&self) -> u32 {
        self.drawn.attempt
    }

    /// Returns how many fires this one is nested in, itself included: 1 for one that no event
    /// caused.
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// Returns the event's class.
    pub fn class(&self) -> EventClassId {
        self.class
    }

    /// Returns a publisher property as filters see it: lent to this event
    /// ([`Publisher::with`](crate::Publisher::with)), the publisher object's own, or the class's
    /// default. An id that the object was given is the property `publisher_id`.
    ///
    /// It is there while the event is delivered, on the thread that delivers it.
    #[doc(alias = "GetPublisherProperty")]
    pub fn property(&self, name: &str) -> Option<Value> {
        let drawn = FRAME.with(|frame| match frame.depth.get() {
            depth if depth == self.depth => frame.drawn.get(),
            depth if depth > self.depth => {
                let outer = frame.outer.get(self.depth as usize - 1)?;
                outer.get().drawn
            }
            _ => None,
        });
        drawn.filter(|drawn| drawn.sequence == self.drawn.sequence)?;
        shown(self.depth, name)
    }

    /// Returns the subscription through which the subscriber is called.
    pub fn subscription(&self) -> SubscriptionId {
        self.subscription
    }
}

impl Drawn {
    pub(crate) fn new() -> Self {
        Self::at(SystemTime::now())
    }

    /// Returns what an event gets that is asked about at this time.
    pub(crate) fn at(time: SystemTime) -> Self {
        // Only uniqueness and order per thread are promised, which need no other ordering.
        let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed);
        Self {
            retained: false,
            missed: 0,
            triggered: None,
            stored: None,
            attempt: 1,
            time,
            sequence,
        }
    }

    /// Returns the same without what one subscription knows of it.
    fn for_all(self) -> Self {
        Self {
            missed: 0,
            triggered: None,
            attempt: 1,
            ..self
        }
    }

    fn event_id(&self) -> EventId {
        self.stored.unwrap_or_else(|| event_id(self.sequence))
    }

    /// Returns the same for a delivery of the event out of what was retained.
    pub(crate) fn retained(self) -> Self {
        Self {
            retained: true,
            ..self
        }
    }
}

impl Frame {
    /// Returns the subscription that is called.
    fn subscription(&self) -> SubscriptionId {
        let number = self.number.get();
        let numbered = (number != NO_NUMBER).then(|| numbered(number)).flatten();
        numbered.unwrap_or_else(|| self.subscription.get())
    }

    fn draw(&self) -> Drawn {
        self.drawn.get().unwrap_or_else(|| {
            let drawn = Drawn::new();
            self.drawn.set(Some(drawn));
            drawn
        })
    }
}

/// Stands for no subscription.
const NO_NUMBER: u32 = u32::MAX;

impl Outer {
    const NONE: Self = Self {
        class: EventClassId::from_u128(0),
        subscription: SubscriptionId::from_u128(0),
        number: NO_NUMBER,
        drawn: None,
    };
}

/// A fire in progress on this thread; dropping it goes back to the one around it.
pub(crate) struct Entered(());

/// Begins a fire of `class` on this thread, or returns `None` at the [`NESTING_LIMIT`].
#[inline(always)]
pub(crate) fn enter(class: EventClassId) -> Option<Entered> {
    let depth = depth();
    if depth > 0 {
        set_aside(depth)?;
    }
    FRAME.with(|frame| {
        frame.depth.set(depth + 1);
        frame.class.set(class);
        frame.number.set(NO_NUMBER);
        frame.drawn.set(None);
    });
    Some(Entered(()))
}

/// Sets the fire at `depth` aside, or returns `None` if no other may begin inside of it.
#[cold]
#[inline(never)]
fn set_aside(depth: u32) -> Option<()> {
    FRAME.with(|frame| {
        frame.outer.get(depth as usize - 1)?.set(Outer {
            class: frame.class.get(),
            subscription: frame.subscription.get(),
            number: frame.number.get(),
            drawn: frame.drawn.get(),
        });
        Some(())
    })
}

/// Goes back to the fire at `depth`.
#[cold]
#[inline(never)]
fn take_back(depth: u32) {
    FRAME.with(|frame| {
        if let Some(outer) = frame.outer.get(depth as usize - 1) {
            let outer = outer.get();
            frame.class.set(outer.class);
            frame.subscription.set(outer.subscription);
            frame.number.set(outer.number);
            frame.drawn.set(outer.drawn);
        }
    });
}

/// Begins the delivery of an event that has its identity already, as [`enter`] begins a fire.
pub(crate) fn enter_as(class: EventClassId, drawn: Drawn) -> Option<Entered> {
    let entered = enter(class)?;
    draw(drawn);
    Some(entered)
}

/// Gives the event that this thread delivers its identity, which nobody has asked for yet.
pub(crate) fn draw(drawn: Drawn) {
    FRAME.with(|frame| frame.drawn.set(Some(drawn)));
}

/// Returns the identity of the event that this thread delivers, which all its subscribers share.
pub(crate) fn drawn() -> Drawn {
    FRAME.with(Frame::draw)
}

/// Says which subscription is called next, in a fire that never goes by numbers.
#[inline]
pub(crate) fn enter_subscription(id: SubscriptionId) {
    FRAME.with(|frame| frame.subscription.set(id));
}

/// As [`enter_subscription`], in a fire that may go by numbers.
#[inline]
pub(crate) fn enter_by_id(id: SubscriptionId) {
    FRAME.with(|frame| {
        frame.subscription.set(id);
        frame.number.set(NO_NUMBER);
    });
}

/// Says by number which subscription is called next, in a fire that has
/// [`Numbers`](super::Numbers).
#[inline]
pub(crate) fn enter_number(number: u32) {
    FRAME.with(|frame| frame.number.set(number));
}

/// Returns which subscription was called last, and by its id, in the fire that this thread is
/// inside of.
pub(crate) fn entered_subscription() -> SubscriptionId {
    FRAME.with(|frame| frame.subscription.get())
}

/// Returns how many fires this thread is inside of.
#[inline]
pub(crate) fn depth() -> u32 {
    FRAME.with(|frame| frame.depth.get())
}

/// Does `work`, the call of a subscriber whose trigger asked for it, and lets the subscriber know
/// why.
pub(crate) fn triggered<R>(by: Option<Triggered>, work: impl FnOnce() -> R) -> R {
    /// The other subscribers have other triggers.
    struct Back;
    impl Drop for Back {
        fn drop(&mut self) {
            set_triggered(None);
        }
    }
    if by.is_none() {
        return work();
    }
    set_triggered(by);
    let _back = Back;
    work()
}

fn set_triggered(triggered: Option<Triggered>) {
    FRAME.with(|frame| {
        let drawn = frame.draw();
        frame.drawn.set(Some(Drawn { triggered, ..drawn }));
    });
}

/// Does `work` as if this thread were inside of that many fires, and goes back.
pub(crate) fn at_depth(depth: u32, work: impl FnOnce()) {
    struct Back(u32);
    impl Drop for Back {
        fn drop(&mut self) {
            FRAME.with(|frame| frame.depth.set(self.0));
        }
    }
    let back = Back(FRAME.with(|frame| frame.depth.replace(depth)));
    work();
    drop(back);
}

/// Returns whether this thread is inside a delivery.
#[inline]
pub(crate) fn is_delivering() -> bool {
    depth() > 0
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        let outer = FRAME.with(|frame| {
            let outer = frame.depth.get() - 1;
            frame.depth.set(outer);
            outer
        });
        if outer > 0 {
            take_back(outer);
        }
    }
}

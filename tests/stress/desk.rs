//! What each thread of a round does, and where it writes it down: one desk a thread.

use std::cell::RefCell;
use std::sync::Arc;

use loosely::{EventContext, FireOutcome};

use crate::churn::Held;
use crate::log::{Call, Fire, Log, Span, tick};
use crate::plan::{Dice, NESTER, Quote, SYMBOLS};
use crate::world::{CLASS, Quotes, QuotesPublisher, World, number};

/// The state of one thread. No borrow of it is held while the broker is called, as subscribers
/// write to it too.
pub(crate) struct Desk {
    pub(crate) world: Arc<World>,
    /// The thread's number in the round.
    pub(crate) thread: u64,
    /// The broker that the thread works with, an index.
    pub(crate) broker: usize,
    pub(crate) dice: Dice,
    pub(crate) log: Log,
    /// The thread's own transient subscriptions, by slot.
    pub(crate) held: [Option<Held>; SLOTS],
    publisher: QuotesPublisher,
    /// How many events the thread has fired.
    fired: u64,
    /// Whether the nester fires and changes the wiring.
    nests: bool,
    /// Where in the log the fires begin whose end is not known yet.
    unsettled: usize,
}

thread_local! {
    static DESK: RefCell<Option<Desk>> = const { RefCell::new(None) };
}

/// How many transient subscriptions a thread may have at a time.
pub(crate) const SLOTS: usize = 6;

/// The end of a fire that waits for the one around it.
const UNKNOWN: u64 = u64::MAX;

/// How deep the nester fires; the deepest are the most.
const DEPTH: u32 = 3;

impl Desk {
    pub(crate) fn new(world: &Arc<World>, thread: u64, seed: u64, nests: bool) -> Self {
        let broker = thread as usize % 2;
        let publisher = world.brokers[broker].publisher_of::<dyn Quotes>(CLASS);
        let publisher = publisher.unwrap();
        publisher.set("desk", thread as i64).unwrap();
        Self {
            world: Arc::clone(world),
            thread,
            broker,
            // The odd factor keeps the threads' sequences apart.
            dice: Dice::new(seed ^ (thread + 1).wrapping_mul(0xd134_2543_de82_ef95)),
            log: Log::default(),
            held: Default::default(),
            publisher,
            fired: 0,
            nests,
            unsettled: 0,
        }
    }

    /// Does a thread's work, and returns what was written down; its guards go with the desk.
    pub(crate) fn work(self, work: impl FnOnce()) -> Log {
        DESK.set(Some(self));
        work();
        for slot in 0..SLOTS {
            crate::churn::unsubscribe(slot);
        }
        DESK.take().unwrap().log
    }
}

/// Does something with the desk of this thread.
pub(crate) fn with<R>(work: impl FnOnce(&mut Desk) -> R) -> R {
    DESK.with_borrow_mut(|desk| work(desk.as_mut().unwrap()))
}

pub(crate) fn trouble(text: String) {
    with(|desk| desk.log.troubles.push(text));
}

/// Fires an event.
pub(crate) fn fire() {
    let (event, broker, quote, publisher) = with(|desk| {
        desk.fired += 1;
        let event = (desk.thread << 32) | desk.fired;
        let quote = Quote::draw(&mut desk.dice, desk.thread as i64);
        (event, desk.broker, quote, desk.publisher.clone())
    });
    let (symbol, price) = (SYMBOLS[quote.symbol], quote.price);
    let begin = tick();
    let report = match quote.method {
        0 => publisher.quoted(event, symbol, price),
        _ => publisher.traded(event, symbol, price),
    };
    let now = tick();
    let waits = report.outcome() == FireOutcome::Queued;
    let fire = Fire {
        event,
        broker,
        quote,
        span: Span {
            begin,
            end: if waits { UNKNOWN } else { now },
        },
        delivered: (!waits).then(|| report.delivered()),
        lines: report.lines().len(),
    };
    with(|desk| {
        desk.log.fires.push(fire);
        if EventContext::current().is_none() {
            let unsettled = desk.log.fires[desk.unsettled..].iter_mut();
            unsettled
                .filter(|fire| fire.span.end == UNKNOWN)
                .for_each(|fire| fire.span.end = now);
            desk.unsettled = desk.log.fires.len();
        }
    });
}

/// Writes down a call; the nester goes on from there.
pub(crate) fn heard(object: u64, method: usize, event: u64, symbol: &str, price: i64) {
    let context = EventContext::current().unwrap();
    let call = Call {
        event,
        subscription: number(context.subscription()),
        object,
        method,
        symbol: SYMBOLS.iter().position(|known| *known == symbol).unwrap(),
        price,
        tick: tick(),
    };
    let (fires, changes) = with(|desk| {
        desk.log.calls.push(call);
        let nests = desk.nests && object == NESTER;
        let fires = nests && context.depth() <= DEPTH && desk.dice.one_in(16);
        (fires, nests && desk.dice.one_in(32))
    });
    if fires {
        fire();
    }
    if changes {
        crate::churn::change();
    }
    if EventContext::current() != Some(context) {
        trouble(format!("the context of {event} was lost inside of it"));
    }
}

//! Several subscribers called at the same time, by whichever threads are there.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::calling::{self, outcome_of};
use super::channel::Channel;
use super::facet::Facet;
use super::payload;
use super::prepared::Prepared;
use super::surroundings::Surroundings;
use super::watch::Watch;
use crate::component::Strand;
use crate::delivery::{DeliveryOutcome, Held, Parcel, hold};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex};
use crate::value::{InterfaceSchema, drop_quietly};

/// What became of one of the subscribers.
pub(super) struct Done {
    pub(super) outcome: Option<DeliveryOutcome>,
    /// Whether a singleton was made.
    pub(super) made: bool,
    /// The events that it fired and that wait for the end of the outermost fire.
    pub(super) held: Held,
}

/// Subscribers of one event, for several threads to call.
struct Work<I: ?Sized> {
    places: Vec<Place<I>>,
    /// The first place that nobody has taken.
    next: AtomicUsize,
    parcel: Arc<dyn Parcel>,
    around: Arc<Surroundings>,
    schema: Arc<InterfaceSchema>,
    strand: Strand,
    watch: Watch,
}

struct Place<I: ?Sized> {
    prepared: Prepared<I>,
    done: Mutex<Option<Done>>,
}

/// The threads that call, as the publisher's sees them.
///
/// It takes part itself and waits for none that has not begun: a helper that comes too late finds
/// the work gone, and nothing of the fire is kept by those that wait in the pool's queue.
struct Crew<I: ?Sized> {
    state: Mutex<State<I>>,
    left: Condvar,
}

struct State<I: ?Sized> {
    work: Option<Arc<Work<I>>>,
    /// How many helpers are at it.
    helpers: usize,
}

/// A helper at work; it leaves when it is dropped, however that comes.
struct Helper<'a, I: ?Sized>(&'a Crew<I>);

/// Calls all of the subscribers, at most `max` at a time, and returns what became of each. They
/// begin in the order in which they are given.
pub(super) fn call_all<I: Facet + ?Sized>(
    channel: &Channel<I>,
    subscribers: Vec<Prepared<I>>,
    parcel: Arc<dyn Parcel>,
    max: usize,
    watch: Watch,
) -> Vec<Done> {
    let pool = &channel.around.pool;
    let helpers = subscribers.len().min(max).saturating_sub(1);
    let helpers = helpers.min(channel.around.helpers);
    let work = Arc::new(Work::new(channel, subscribers, parcel, watch));
    let crew = Arc::new(Crew {
        state: Mutex::new(State {
            work: Some(Arc::clone(&work)),
            helpers: 0,
        }),
        left: Condvar::new(),
    });
    for _ in 0..helpers {
        let crew = Arc::clone(&crew);
        if pool.backlog() > BACKLOG || pool.submit(Box::new(move || crew.help())).is_err() {
            break;
        }
    }
    work.go_on();
    crew.dismiss();
    let done = |place: &Place<I>| place.done.lock().take();
    let all = work.places.iter().filter_map(done).collect();
    drop_quietly(work);
    all
}

/// How many tasks may wait for the pool before a fire asks for no more help: what is asked for and
/// not needed any more is a hundred bytes each, and where all threads are held up by subscribers
/// that do not return, publishers go on.
const BACKLOG: usize = 1_000;

impl<I: Facet + ?Sized> Work<I> {
    fn new(
        channel: &Channel<I>,
        subscribers: Vec<Prepared<I>>,
        parcel: Arc<dyn Parcel>,
        watch: Watch,
    ) -> Self {
        let place = |prepared| Place {
            prepared,
            done: Mutex::new(None),
        };
        Self {
            places: subscribers.into_iter().map(place).collect(),
            next: AtomicUsize::new(0),
            parcel,
            around: Arc::clone(&channel.around),
            schema: Arc::clone(&channel.schema),
            strand: Strand::current(),
            watch,
        }
    }

    /// Calls one subscriber after another that nobody has taken, to the last.
    fn go_on(&self) {
        self.strand.inside(|| {
            // A count of places and nothing else: what is in them is under their locks.
            while let Some(place) = self.places.get(self.next.fetch_add(1, Ordering::Relaxed)) {
                let done = self.call(&place.prepared);
                *place.done.lock() = Some(done);
            }
        });
    }

    fn call(&self, prepared: &Prepared<I>) -> Done {
        let made = Cell::new(false);
        let mut outcome = None;
        let held = hold(|| {
            let deliver = |target: &I| payload::deliver(&*self.parcel, target, &self.schema);
            let call = || {
                calling::call(
                    prepared.reached().callee(),
                    &self.around,
                    &self.schema,
                    &made,
                    &deliver,
                )
            };
            let watched = || self.watch.call(prepared.watched(), &self.around, call);
            outcome = outcome_of(catch_unwind(AssertUnwindSafe(watched)));
        });
        Done {
            outcome,
            made: made.get(),
            held,
        }
    }
}

impl<I: Facet + ?Sized> Crew<I> {
    /// Takes part on a thread of the pool, unless the others are through.
    fn help(&self) {
        let Some((helper, work)) = self.join() else {
            return;
        };
        work.parcel.fire().within(|| work.go_on());
        // Before the helper leaves: what is the user's is dropped by the publisher.
        drop(work);
        drop(helper);
    }

    fn join(&self) -> Option<(Helper<'_, I>, Arc<Work<I>>)> {
        let mut state = self.state.lock();
        let work = Arc::clone(state.work.as_ref()?);
        state.helpers += 1;
        Some((Helper(self), work))
    }

    /// Takes the work away from those who come too late, and waits for those who are at it.
    fn dismiss(&self) {
        let mut state = self.state.lock();
        let work = state.work.take();
        while state.helpers > 0 {
            self.left.wait(&mut state);
        }
        drop(state);
        drop(work);
    }
}

impl<I: ?Sized> Drop for Helper<'_, I> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.helpers -= 1;
        if state.helpers == 0 {
            self.0.left.notify_one();
        }
    }
}

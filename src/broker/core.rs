//! What the clones of a broker share.

use std::any::Any;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use super::Broker;
use super::health;
use super::once::Windows;
use super::tree::Pipes;
use super::wiring::{Progress, Wiring};
use crate::clock::Clock;
use crate::component::{Activation, Policy, Registry};
use crate::delivery::{Journal, LastResort, Sentry, Staff, Timers, WorkerPool, is_delivering};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Revision, SubscriptionId};
use crate::notices::Notices;
use crate::publish::{
    Desks, Hook, Inboxes, Keeper, Meters, MetricsOptions, Named, SubscriptionEntry, Surroundings,
    Upcasters, Upkeep, restored,
};
use crate::store::{Batch, CommitSink, Store, Trash, record};
use crate::sync::atomic::{AtomicU8, Ordering};
use crate::sync::{mpsc, thread};

/// The shared state of a broker: wiring of parts, and nothing else.
pub(crate) struct Core {
    pub(super) store: Arc<dyn Store>,
    /// Whether the store was opened by this broker and is closed with it.
    owns_store: bool,
    pub(super) wiring: Arc<Wiring>,
    pub(super) registry: Arc<Registry>,
    pub(super) around: Arc<Surroundings>,
    pub(super) notices: Notices,
    pub(super) policy: Arc<Policy>,
    /// What those who watch trees are told by.
    pub(super) pipes: Pipes,
    /// What subscribers have handled.
    pub(super) windows: Windows,
    phase: AtomicU8,
}

// The phases of a broker, in their order.
const OPEN: u8 = 0;
/// It is being closed, and subscribers have what waits for them.
const DRAINING: u8 = 1;
const CLOSED: u8 = 2;

/// What a broker is made of beside its store.
pub(super) struct Parts {
    pub(super) hook: Hook,
    pub(super) notices: Notices,
    pub(super) progress: Option<Progress>,
    pub(super) policy: Arc<Policy>,
    pub(super) threads: usize,
    pub(super) deadline_threads: usize,
    pub(super) retained_keys: usize,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Option<MetricsOptions>,
    pub(super) last_resort: Option<LastResort>,
}

/// What factories and publishers find the broker by.
struct WeakBroker(OnceLock<Weak<Core>>);

impl Core {
    /// Makes a broker on a store that `open` opens or is given, and that it attaches the sink to;
    /// the second value says whether it is the broker's own.
    pub(super) fn open(
        open: impl FnOnce(Arc<dyn CommitSink>) -> Result<(Arc<dyn Store>, bool)>,
        parts: Parts,
    ) -> Result<Arc<Self>> {
        let Parts {
            hook,
            notices,
            progress,
            policy,
            threads,
            deadline_threads,
            retained_keys,
            clock,
            metrics,
            last_resort,
        } = parts;
        let wiring = Wiring::new(notices.clone(), progress, Arc::clone(&policy), &clock);
        let host = Arc::new(WeakBroker(OnceLock::new()));
        let upkeep: Weak<dyn Upkeep> = Arc::downgrade(&(Arc::clone(&wiring) as Arc<dyn Upkeep>));
        let registry = Arc::new(Registry::new(Arc::clone(&clock)));
        let hook = health::noting_suspended(hook, notices.clone(), Arc::clone(&clock));
        let meters = metrics.map(|options| Meters::new(options, Arc::clone(&clock)));
        // Lanes need one, even where fires are to have no help.
        let pool = Arc::new(WorkerPool::new(threads.max(1)));
        let timers = Timers::new(Arc::clone(&clock));
        let sentry_clock = Arc::clone(&clock);
        Sentry::post(&pool, sentry_clock, Arc::clone(&timers), notices.clone());
        let staff = Staff::new(&pool, &clock, &timers, notices.clone());
        let journal = Journal::new(&staff, restored, last_resort);
        let around = Arc::new(Surroundings {
            registry: Arc::clone(&registry),
            keeper: Keeper::new(&timers, &pool, &clock),
            timers,
            clock,
            hook,
            notices: notices.clone(),
            retained_keys,
            named: Named::default(),
            helpers: threads,
            desks: Desks::new(staff, &journal),
            journal,
            inboxes: Inboxes::default(),
            upcasters: Upcasters::default(),
            escorts: WorkerPool::named("loosely-deadline", deadline_threads),
            pool,
            host: Arc::clone(&host) as _,
            upkeep,
            meters,
        });
        wiring.teller.begin(&around);
        let opened = open(Arc::clone(&wiring) as _);
        let (store, owns_store) = opened.inspect_err(|_| wiring.end_at_once())?;
        wiring.opened();
        let is_there =
            |id: SubscriptionId| wiring.with(|state, _| state.subscriptions.get(id).is_some());
        around.keeper.open(&store, is_there);
        open_queues(&around, &wiring, &store).inspect_err(|_| wiring.end_at_once())?;
        let core = Arc::new(Self {
            store,
            owns_store,
            wiring,
            registry,
            around,
            notices,
            policy,
            pipes: Pipes::default(),
            windows: Windows::default(),
            phase: AtomicU8::new(OPEN),
        });
        host.0.get_or_init(|| Arc::downgrade(&core));
        Ok(core)
    }

    /// Writes a batch, unless the broker is closed.
    ///
    /// With a subscription goes what its queue remembers. What waits there is cleared away later,
    /// and is nobody's if a crash comes first: not even that of who has the id next.
    pub(super) fn commit(&self, mut batch: Batch) -> Result<Revision> {
        self.check_open()?;
        let removed: Vec<_> = record::removed_in(&batch).collect();
        if removed.is_empty() {
            return self.store.commit(batch);
        }
        // What is written of the queue meanwhile would have it back.
        let turn = self.around.journal.turn();
        for id in removed {
            if let Some(key) = self.around.journal.memory_key(id) {
                batch.delete(key);
            }
        }
        let committed = self.store.commit(batch);
        drop(turn);
        committed
    }

    /// Returns Ok while the broker is open, and inside of a delivery as long as closing waits for
    /// those of its lanes.
    pub(super) fn check_open(&self) -> Result<()> {
        match self.phase.load(Ordering::Acquire) {
            OPEN => Ok(()),
            DRAINING if is_delivering() => Ok(()),
            _ => Err(Error::new(ErrorKind::Closed, "the broker is closed")),
        }
    }

    pub(super) fn close(&self, deadline: Duration) -> Result<()> {
        // First, so that nothing that is refused from here on counts as a failure of its
        // subscriber.
        if !self.around.journal.stop() {
            return Ok(());
        }
        self.phase.store(DRAINING, Ordering::Release);
        let until = Instant::now().checked_add(deadline);
        let desks = &self.around.desks;
        desks.shut();
        if !is_delivering() {
            desks.wait(until);
        }
        let left = desks.clear();
        self.phase.store(CLOSED, Ordering::Release);
        self.around.timers.stop();
        self.around.pool.stop();
        self.around.keeper.write();
        self.around.journal.close();
        self.detach();
        let told = self.wiring.end(until);
        // Behind the last that is told, for which a stream may wait.
        self.around.inboxes.shut();
        self.let_go();
        let closed = if self.owns_store {
            self.close_store(deadline, until)
        } else {
            Ok(())
        };
        let message = match (told, left) {
            (true, 0) => return closed,
            (false, _) => format!("subscribers were not told of all changes within {deadline:?}"),
            (true, left) => format!("{left} events were not delivered within {deadline:?}"),
        };
        let message = match closed {
            Ok(()) => message,
            Err(too) => format!("{message}, and {too}"),
        };
        Err(Error::new(ErrorKind::TimedOut, message))
    }

    fn close_store(&self, deadline: Duration, until: Option<Instant>) -> Result<()> {
        let store = Arc::clone(&self.store);
        let (done, closed) = mpsc::channel();
        let closing = move || drop(done.send(store.close()));
        if thread::Builder::new()
            .name("loosely-close".to_owned())
            .spawn(closing)
            .is_err()
        {
            return self.store.close();
        }
        let rest = until.map_or(deadline, |until| {
            until.saturating_duration_since(Instant::now())
        });
        closed.recv_timeout(rest).unwrap_or_else(|_| {
            let message = format!("the store was not closed within {deadline:?}");
            Err(Error::new(ErrorKind::TimedOut, message))
        })
    }

    /// Hears of no commit any more.
    fn detach(&self) {
        let sink: Arc<dyn CommitSink> = Arc::clone(&self.wiring) as _;
        self.store.detach(&sink);
        self.pipes.shut(&*self.store);
    }

    /// Lets go of the components, which may hold publishers of this broker. Each by itself: a panic
    /// in the drop of one must not keep the others, nor the store open.
    fn let_go(&self) {
        let mut trash = Trash::default();
        for recipe in self.registry.clear().into_values() {
            trash.add(recipe);
        }
        trash.dispose();
    }
}

/// Has what waits in queues delivered, and finds those who receive it, of whom no publisher has
/// asked yet.
fn open_queues(
    around: &Arc<Surroundings>,
    wiring: &Arc<Wiring>,
    store: &Arc<dyn Store>,
) -> Result<()> {
    let (weak, to) = (Arc::downgrade(wiring), Arc::downgrade(around));
    around
        .journal
        .opens_sites_by(Box::new(move |class, interface| {
            let (Some(wiring), Some(around)) = (weak.upgrade(), to.upgrade()) else {
                return false;
            };
            wiring.with(|state, trash| state.untyped(class, interface, &around, trash).is_some())
        }));
    let name_of = |id: SubscriptionId| {
        let shared = |entry: &Arc<SubscriptionEntry>| Arc::clone(entry.record.shared_name());
        wiring.with(|state, _| state.subscriptions.get(id).map(shared))
    };
    wiring.queues_in(&around.journal);
    around.journal.open(store, name_of)?;
    wiring.with(|state, _| {
        for class in state.classes.values() {
            around
                .journal
                .keep(class.record.id(), class.record.history());
        }
    });
    Ok(())
}

impl Drop for Core {
    fn drop(&mut self) {
        if !self.around.journal.stop() {
            return;
        }
        self.phase.store(CLOSED, Ordering::Release);
        self.around.desks.shut();
        self.around.desks.clear();
        self.around.timers.stop();
        self.around.pool.stop();
        self.around.keeper.write();
        self.around.journal.close();
        self.detach();
        self.wiring.end_at_once();
        self.around.inboxes.shut();
        self.let_go();
        if self.owns_store {
            // Nobody is left to take the error; the store has told the notices.
            drop(self.store.close());
        }
    }
}

impl Activation<'_> {
    /// Returns the broker that makes the component, unless it is being closed.
    ///
    /// A component that keeps it keeps the broker open, and the broker keeps the component: use it
    /// in the factory, and let it go.
    pub fn broker(&self) -> Option<Broker> {
        core_of(self.host()).map(Broker::from_core)
    }
}

/// Returns the broker that `host` stands for, if it is still there.
pub(super) fn core_of(host: &(dyn Any + Send + Sync)) -> Option<Arc<Core>> {
    let WeakBroker(core) = host.downcast_ref()?;
    core.get()?.upgrade()
}

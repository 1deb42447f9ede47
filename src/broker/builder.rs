//! How a broker is opened.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Broker;
use super::core::{Core, Parts};
use super::dead_letters::{DeadLetter, FinalFailure};
use super::wiring::Progress;
use crate::clock::{Clock, SystemClock};
use crate::component::{Authorizer, Policy};
use crate::delivery::{Delivery, LastResort, WorkerPool};
use crate::error::{Error, ErrorKind, Result};
use crate::model::EventClassId;
use crate::notices::Notices;
use crate::publish::{FailureHook, Hook, MetricsOptions};
#[cfg(feature = "sled")]
use crate::store::SledStore;
use crate::store::{
    CommitSink, Compaction, Durability, LocalStore, MemoryEngine, Profile, Store, StoreOptions,
    record,
};

/// All that can be chosen when a broker is opened.
#[derive(Default)]
pub struct BrokerBuilder {
    path: Option<PathBuf>,
    store: Option<Arc<dyn Store>>,
    durability: Option<Durability>,
    copy: Copying,
    compaction: Option<Compaction>,
    profile: Profile,
    hook: Option<FailureHook>,
    progress: Option<Progress>,
    authorizer: Option<Box<dyn Authorizer>>,
    threads: Option<usize>,
    deadline_threads: Option<usize>,
    retained_keys: Option<usize>,
    metrics: Option<MetricsOptions>,
    clock: Option<Arc<dyn Clock>>,
    last_resort: Option<LastResort>,
}

/// Whether and how often the copy of the wiring is written.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Copying {
    #[default]
    AsTheStoreDoes,
    Every(Duration),
    Never,
}

impl BrokerBuilder {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Keeps the wiring in this directory; without it, and without a store, it is kept in memory.
    #[must_use]
    #[cfg(feature = "sled")]
    pub fn path(mut self, path: impl AsRef<Path>) -> Self {
        self.path = Some(path.as_ref().to_owned());
        self
    }

    /// Attaches to a store that is open already and may serve several brokers of this process. The
    /// broker does not close it. What the store does by itself was chosen when it was opened: a
    /// path, a durability, the copy, compaction and who is told of progress cannot be chosen beside
    /// it.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Says when a change counts as written.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// Writes the copy of the wiring, from which a damaged database is restored, no more often than
    /// this.
    #[must_use]
    pub fn copy_every(mut self, interval: Duration) -> Self {
        self.copy = Copying::Every(interval);
        self
    }

    /// Writes no copy of the wiring: a damaged database is then lost.
    #[must_use]
    pub fn without_copy(mut self) -> Self {
        self.copy = Copying::Never;
        self
    }

    /// Says when the database is written anew, to give back space that a queue has taken.
    #[must_use]
    pub fn compaction(mut self, compaction: Compaction) -> Self {
        self.compaction = Some(compaction);
        self
    }

    /// Sets the broker up for so much memory; a store that is given was set up when it was opened.
    /// What is chosen by itself goes before, in whatever order.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Calls `hook` for every failed delivery, in place of the line on standard error.
    #[must_use]
    pub fn on_failure<F>(mut self, hook: F) -> Self
    where
        F: Fn(EventClassId, &Delivery) + Send + Sync + 'static,
    {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// Calls `handler` for every event that a [queue](crate::Queued) gives up, before it becomes a
    /// [dead letter](DeadLetter): which it need not, if the handler has seen to it.
    ///
    /// It runs on the thread that delivers for the queue, whose next event waits for it. A handler
    /// that panics has seen to nothing. After a crash it may be called for the same event again.
    /// COM+ has the exception class of a queued component for it.
    #[must_use]
    #[doc(alias("IPlaybackControl", "FinalServerRetry"))]
    pub fn on_final_failure<F>(mut self, handler: F) -> Self
    where
        F: Fn(&DeadLetter) -> FinalFailure + Send + Sync + 'static,
    {
        self.last_resort = Some(Box::new(move |told| {
            handler(&DeadLetter::from(told)) == FinalFailure::Resolved
        }));
        self
    }

    /// Calls `progress` with the number of records read so far, now and then while the broker is
    /// opened, and at the end.
    ///
    /// If the database turns out to be damaged while it is read, and is restored from its copy, the
    /// count begins again at 0. The index over filters is not part of it: that is built when
    /// [`publisher`](Broker::publisher) is first called for a class.
    ///
    /// `progress` runs on the thread that opens, which has the directory by then, so it must not
    /// open the same one: that is [`Locked`](ErrorKind::Locked). A panic of it is caught.
    #[must_use]
    pub fn on_progress<F>(mut self, progress: F) -> Self
    where
        F: Fn(usize) + Send + Sync + 'static,
    {
        self.progress = Some(Arc::new(progress));
        self
    }

    /// Asks `authorizer` about all that is done through views of principals; without one, they may
    /// do everything.
    #[must_use]
    pub fn authorizer(mut self, authorizer: impl Authorizer) -> Self {
        self.authorizer = Some(Box::new(authorizer));
        self
    }

    /// Lets the broker have this many threads to deliver with beside the publishers' own; without
    /// it, as many as the processors that the process may use.
    ///
    /// Lanes and queues are emptied by them, and classes that fire in
    /// [parallel](crate::Firing::Parallel) use them. Each is started when it is needed, so a broker
    /// that needs none has none. With 0, lanes and queues have one all the same, and all other
    /// subscribers of an event are called by its publisher's thread.
    ///
    /// A thread that is held up by a call that overran its deadline has another in its place, and
    /// so have all of them if none gets on for ten seconds while deliveries wait: up to 64 more
    /// than this in all.
    #[must_use]
    pub fn delivery_threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Lets so many subscribers be called at the same time whose subscriptions have a
    /// [deadline](crate::SubscriptionBuilder::deadline) and are delivered inline; at least one, and
    /// 64 unless told otherwise.
    ///
    /// Each such call has a thread of its own while the fire waits for it, and keeps it until it
    /// returns, though the fire has gone on. Where all are taken, a delivery fails with
    /// [`NoThread`](crate::Failure::NoThread) and the fire goes on at once.
    #[must_use]
    pub fn deadline_threads(mut self, threads: usize) -> Self {
        self.deadline_threads = Some(threads.max(1));
        self
    }

    /// Retains no more than so many events of one method of a class, at least one; 65,536 unless
    /// told otherwise, which keeps what is retained of small events in some tens of megabytes.
    ///
    /// It matters for [`Retained::LastPer`](crate::Retained::LastPer): where there are more keys,
    /// the event that was fired longest ago gives way, and a
    /// [notice](crate::Notice::NotRetained) says so.
    #[must_use]
    pub fn retained_keys(mut self, most: usize) -> Self {
        self.retained_keys = Some(most.max(1));
        self
    }

    /// Has the broker measure its fires and deliveries, for [`Broker::metrics`].
    ///
    /// A broker measures nothing unless told to. Where it does, a plain fire takes some nanoseconds
    /// longer; one that has filters or anything else to ask reads the clock once, and counts for
    /// each subscription that it reaches.
    #[must_use]
    pub fn metrics(mut self, options: MetricsOptions) -> Self {
        self.metrics = Some(options);
        self
    }

    /// Goes by this clock in place of the system's. A store that is given has its own.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn clock(mut self, clock: &crate::testing::VirtualClock) -> Self {
        self.clock = Some(clock.as_clock());
        self
    }

    /// Opens the broker.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if a store was given and a path, a durability, anything
    /// about the copy or compaction, or [`on_progress`](Self::on_progress) too; else as
    /// [`Broker::open`].
    pub fn open(self) -> Result<Broker> {
        self.check()?;
        let notices = Notices::default();
        let hook = self.hook.map(Hook::new).unwrap_or_default();
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let profile = self.profile;
        let compaction = self.compaction.unwrap_or(profile.compaction());
        let mut options = StoreOptions::new()
            .profile(profile)
            .compaction(compaction)
            .by_clock(Arc::clone(&clock))
            .durability(self.durability.unwrap_or_default())
            .notices(notices.clone());
        options = match self.copy {
            Copying::AsTheStoreDoes => options,
            Copying::Every(interval) => options.copy_every(interval),
            Copying::Never => options.without_copy(),
        };
        let open = |sink| -> Result<(Arc<dyn Store>, bool)> {
            let store: Arc<dyn Store> = match (self.path, self.store) {
                (_, Some(store)) => {
                    store.attach(record::PREFIX, sink)?;
                    return Ok((store, false));
                }
                (Some(path), None) => open_directory(&path, options, &sink)?,
                (None, None) => {
                    let engine = MemoryEngine::new();
                    let (prefix, sink) = (record::PREFIX, &sink);
                    Arc::new(LocalStore::with_engine_and_sink(
                        engine, options, prefix, sink,
                    )?)
                }
            };
            Ok((store, true))
        };
        let parts = Parts {
            hook,
            policy: Arc::new(Policy::new(self.authorizer, notices.clone())),
            notices,
            progress: self.progress,
            threads: (self.threads.or(profile.threads())).unwrap_or_else(WorkerPool::usual_limit),
            deadline_threads: self.deadline_threads.unwrap_or(profile.deadline_threads()),
            retained_keys: self.retained_keys.unwrap_or(profile.retained_keys()),
            clock,
            metrics: self.metrics,
            last_resort: self.last_resort,
        };
        Core::open(open, parts).map(Broker::from_core)
    }

    /// Refuses what a store that was given would not heed.
    fn check(&self) -> Result<()> {
        let what = match self {
            Self { store: None, .. } => return Ok(()),
            Self { path: Some(_), .. } => "a path",
            Self {
                durability: Some(_),
                ..
            } => "a durability",
            Self {
                progress: Some(_), ..
            } => "someone to tell of its progress",
            Self {
                compaction: Some(_),
                ..
            } => "terms of compaction",
            Self { copy, .. } if *copy != Copying::AsTheStoreDoes => "a rule for the copy",
            _ => return Ok(()),
        };
        let message = format!("a broker takes a store or {what}, not both");
        Err(Error::new(ErrorKind::Invalid, message))
    }
}

#[cfg(feature = "sled")]
fn open_directory(
    path: &Path,
    options: StoreOptions,
    sink: &Arc<dyn CommitSink>,
) -> Result<Arc<dyn Store>> {
    let store = SledStore::open_with_sink(path, options, record::PREFIX, sink)?;
    Ok(Arc::new(store))
}

#[cfg(not(feature = "sled"))]
fn open_directory(
    path: &Path,
    _options: StoreOptions,
    _sink: &Arc<dyn CommitSink>,
) -> Result<Arc<dyn Store>> {
    let message = format!(
        "{} cannot be opened without the feature sled",
        path.display()
    );
    Err(Error::new(ErrorKind::Invalid, message))
}

impl fmt::Debug for BrokerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerBuilder")
            .field("path", &self.path)
            .field("store", &self.store)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

//! What the clones of a broker share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak, mpsc};
use std::thread;
use std::time::Duration;

use super::Broker;
use super::wiring::{Progress, Wiring};
use crate::clock::{Clock, SystemClock};
use crate::component::{Activation, Registry};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Revision;
use crate::notices::Notices;
use crate::publish::{Hook, Named, Surroundings, Upkeep};
use crate::store::{Batch, CommitSink, Store};

/// The shared state of a broker: wiring of parts, and nothing else.
pub(crate) struct Core {
    pub(super) store: Arc<dyn Store>,
    /// Whether the store was opened by this broker and is closed with it.
    owns_store: bool,
    pub(super) wiring: Arc<Wiring>,
    pub(super) registry: Arc<Registry>,
    pub(super) around: Arc<Surroundings>,
    pub(super) notices: Notices,
    closed: AtomicBool,
}

/// What factories find the broker by.
struct WeakBroker(OnceLock<Weak<Core>>);

impl Core {
    /// Makes a broker on a store that `open` opens or is given, and that it attaches the sink to; the
    /// second value says whether it is the broker's own.
    pub(super) fn open(
        open: impl FnOnce(Arc<dyn CommitSink>) -> Result<(Arc<dyn Store>, bool)>,
        hook: Hook,
        notices: Notices,
        progress: Option<Progress>,
    ) -> Result<Arc<Self>> {
        let wiring = Arc::new(Wiring::new(notices.clone(), progress));
        let host = Arc::new(WeakBroker(OnceLock::new()));
        let upkeep: Weak<dyn Upkeep> = Arc::downgrade(&(Arc::clone(&wiring) as Arc<dyn Upkeep>));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let registry = Arc::new(Registry::new(Arc::clone(&clock)));
        let around = Surroundings {
            registry: Arc::clone(&registry),
            clock,
            hook,
            named: Named::default(),
            host: Arc::clone(&host) as _,
            upkeep,
        };
        let (store, owns_store) = open(Arc::clone(&wiring) as _)?;
        wiring.opened();
        let core = Arc::new(Self {
            store,
            owns_store,
            wiring,
            registry,
            around: Arc::new(around),
            notices,
            closed: AtomicBool::new(false),
        });
        host.0.get_or_init(|| Arc::downgrade(&core));
        Ok(core)
    }

    /// Writes a batch, unless the broker is closed.
    pub(super) fn commit(&self, batch: Batch) -> Result<Revision> {
        self.check_open()?;
        self.store.commit(batch)
    }

    pub(super) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "the broker is closed"));
        }
        Ok(())
    }

    pub(super) fn close(&self, deadline: Duration) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.detach();
        if !self.owns_store {
            return Ok(());
        }
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
        closed.recv_timeout(deadline).unwrap_or_else(|_| {
            let message = format!("the store was not closed within {deadline:?}");
            Err(Error::new(ErrorKind::TimedOut, message))
        })
    }

    /// Lets go of the store and of the components, which may hold publishers of this broker.
    fn detach(&self) {
        let sink: Arc<dyn CommitSink> = Arc::clone(&self.wiring) as _;
        self.store.detach(&sink);
        drop(self.registry.clear());
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.detach();
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
        let WeakBroker(core) = self.host().downcast_ref()?;
        core.get()?.upgrade().map(Broker::from_core)
    }
}

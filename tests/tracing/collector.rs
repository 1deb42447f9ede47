//! A listener that keeps what it hears.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, ThreadId};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_core::span::Current;

/// Keeps every span and event of the process.
#[derive(Clone, Default)]
pub(crate) struct Collector {
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A span, or an event.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) id: u64,
    pub(crate) parent: Option<u64>,
    pub(crate) fields: HashMap<&'static str, String>,
    pub(crate) thread: ThreadId,
    pub(crate) is_over: bool,
    metadata: &'static Metadata<'static>,
}

thread_local! {
    /// The spans that this thread is inside of.
    static INSIDE: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

impl Collector {
    /// Returns the one that listens.
    pub(crate) fn installed() -> Self {
        static INSTALLED: OnceLock<Collector> = OnceLock::new();
        let install = || {
            let collector = Self::default();
            tracing::subscriber::set_global_default(collector.clone()).unwrap();
            collector
        };
        INSTALLED.get_or_init(install).clone()
    }

    /// Returns the only fire of a class.
    pub(crate) fn fire_of(&self, class: &str) -> Seen {
        let is_it = |it: &Seen| it.is("loosely.fire") && it.has("class", class);
        let mut fires = self.all(is_it);
        assert_eq!(fires.len(), 1, "fires of {class}");
        fires.remove(0)
    }

    /// Returns the deliveries inside of a fire.
    pub(crate) fn deliveries_of(&self, fire: &Seen) -> Vec<Seen> {
        self.all(|it| it.is("loosely.deliver") && it.parent == Some(fire.id))
    }

    /// Returns the first event about a class.
    pub(crate) fn event_of(&self, class: &str) -> Seen {
        let mut events = self.all(|it| it.metadata.is_event() && it.has("class", class));
        events.remove(0)
    }

    fn all(&self, is_it: impl Fn(&Seen) -> bool) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|it| is_it(it)).cloned().collect()
    }

    fn add(&self, metadata: &'static Metadata<'static>, read: impl FnOnce(&mut Seen)) -> u64 {
        let mut all = self.seen.lock().unwrap();
        let mut seen = Seen {
            id: all.len() as u64 + 1,
            parent: INSIDE.with_borrow(|inside| inside.last().copied()),
            fields: HashMap::new(),
            thread: thread::current().id(),
            is_over: false,
            metadata,
        };
        read(&mut seen);
        let id = seen.id;
        all.push(seen);
        id
    }
}

impl Seen {
    fn is(&self, name: &str) -> bool {
        self.metadata.name() == name && self.metadata.target() == "loosely"
    }

    fn has(&self, field: &str, value: &str) -> bool {
        self.fields.get(field).is_some_and(|it| it == value)
    }
}

impl Visit for Seen {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "loosely"
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let id = self.add(attributes.metadata(), |seen| attributes.record(seen));
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut all = self.seen.lock().unwrap();
        values.record(&mut all[span.into_u64() as usize - 1]);
    }

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.add(event.metadata(), |seen| event.record(seen));
    }

    fn enter(&self, span: &Id) {
        INSIDE.with_borrow_mut(|inside| inside.push(span.into_u64()));
    }

    fn exit(&self, span: &Id) {
        let left = INSIDE.with_borrow_mut(Vec::pop);
        assert_eq!(left, Some(span.into_u64()));
    }

    fn try_close(&self, span: Id) -> bool {
        // Kept by nobody who clones it but the threads of a fire, which are through by its end.
        let mut all = self.seen.lock().unwrap();
        all[span.into_u64() as usize - 1].is_over = true;
        true
    }

    fn current_span(&self) -> Current {
        let Some(inside) = INSIDE.with_borrow(|inside| inside.last().copied()) else {
            return Current::none();
        };
        let metadata = self.seen.lock().unwrap()[inside as usize - 1].metadata;
        Current::new(Id::from_u64(inside), metadata)
    }
}

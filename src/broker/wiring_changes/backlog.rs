//! What was committed and not yet told.

use std::collections::VecDeque;
use std::sync::Arc;

use uuid::Uuid;

use super::teller::{Ending, Listeners};
use crate::broker::changes::WiringObject;
use crate::broker::wiring::{Changes, State};
use crate::clock::Rings;
use crate::model::{EventClass, Revision, Role};
use crate::notices::Notice;
use crate::publish::SubscriptionEntry;
use crate::store::Commit;
use crate::store::record::RecordKey;
use crate::sync::thread::ThreadId;
use crate::value::InterfaceSchema;

/// The part of the wiring's state that is about telling of it.
#[derive(Default)]
pub(in crate::broker) struct Telling {
    pub(super) listeners: Listeners,
    pub(super) backlog: Backlog,
    /// The thread, while it is there.
    pub(super) thread: Option<ThreadId>,
    /// How often the alarm had been rung when the thread last found nothing to tell.
    pub(super) resting: Option<Rings>,
    pub(super) ending: Ending,
}

/// Commits to tell of, in the order of revisions. Bounded: behind what fits there is a gap.
#[derive(Default)]
pub(super) struct Backlog {
    waiting: VecDeque<Told>,
    /// The commits behind all that wait which did not fit: after this revision, up to that.
    missed: Option<(Revision, Revision)>,
}

/// A record that a commit changed, as it was and as it is: shared with the wiring, not copied.
pub(super) struct Told {
    pub(super) revision: Revision,
    object: WiringObject,
    is_removal: bool,
    before: Option<Held>,
    after: Option<Held>,
}

/// A record as the wiring holds it.
enum Held {
    Subscription(Arc<SubscriptionEntry>),
    Class(Arc<EventClass>),
    Schema(Arc<InterfaceSchema>),
    Role(Box<Role>),
}

/// A stored schema that was put again, or for the first time.
pub(in crate::broker) struct PutSchema {
    pub(in crate::broker) schema: Arc<InterfaceSchema>,
    pub(in crate::broker) is_new: bool,
}

impl State {
    /// Has a commit told that was taken in already; `changes` are what it replaced.
    pub(in crate::broker) fn tell(
        &mut self,
        commit: &Commit<'_>,
        changes: &Changes,
        previous: Revision,
    ) {
        if !self.telling.listeners.of_changes() {
            return;
        }
        let count = commit.changes().len();
        if !self.telling.backlog.fits(count) {
            return self.telling.backlog.miss(previous, commit.revision());
        }
        let mut removed = changes.removed.iter().peekable();
        let mut classes = changes.classes.iter().peekable();
        let mut schemas = changes.schemas.iter().peekable();
        let mut roles = changes.roles.iter().peekable();
        for change in commit.changes() {
            let Some(key) = RecordKey::parse(change.key()) else {
                continue;
            };
            // What was replaced is in the order of the commit, so one look at each is enough.
            let (before, after) = match &key {
                RecordKey::Subscription(id) => {
                    let before = removed.next_if(|entry| entry.record.id() == *id);
                    let before = before.filter(|entry| !entry.record.is_object());
                    let after = self.subscriptions.get(*id);
                    (
                        before.map(Held::subscription),
                        after.map(Held::subscription),
                    )
                }
                RecordKey::Class(id) => {
                    let before = classes.next_if(|class| class.id() == *id);
                    let after = self.classes.get(id).map(|entry| &entry.record);
                    (before.map(Held::class), after.map(Held::class))
                }
                RecordKey::Role(name) => {
                    let before = roles.next_if(|role| role.name() == name.as_str());
                    (before.map(Held::role), self.roles.get(name).map(Held::role))
                }
                RecordKey::Schema(..) => {
                    let is_it = |put: &&PutSchema| RecordKey::of_schema(&put.schema) == key;
                    let put = schemas.next_if(is_it);
                    let before = put.filter(|put| !put.is_new);
                    (before.map(Held::schema), put.map(Held::schema))
                }
            };
            let is_removal = change.value().is_none();
            self.telling.backlog.waiting.push_back(Told {
                revision: commit.revision(),
                object: WiringObject::of(key),
                is_removal,
                before,
                after: after.filter(|_| !is_removal),
            });
        }
    }
}

impl Telling {
    /// Notes that it is not known what commits have changed.
    pub(in crate::broker) fn miss(&mut self, after: Revision, until: Revision) {
        if self.listeners.of_changes() {
            self.backlog.miss(after, until);
        }
    }
}

impl Backlog {
    /// Returns whether a commit of so many changes can be told; once one was missed those behind it
    /// are too, until that was reported.
    fn fits(&self, count: usize) -> bool {
        self.missed.is_none() && self.waiting.len() + count <= LIMIT
    }

    /// Notes that commits cannot be told of.
    fn miss(&mut self, after: Revision, until: Revision) {
        let after = self.missed.map_or(after, |(after, _)| after);
        self.missed = Some((after, until));
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns what to tell next.
    pub(super) fn next(&mut self) -> Option<Told> {
        let next = self.waiting.pop_front();
        if self.waiting.is_empty() {
            // Gives back what a large commit needed.
            self.waiting = VecDeque::new();
        }
        next
    }

    /// Returns the gap, once all before it was told.
    pub(super) fn gap(&mut self) -> Option<Notice> {
        if !self.waiting.is_empty() {
            return None;
        }
        let (after, until) = self.missed.take()?;
        Some(Notice::ChangesMissed { after, until })
    }
}

impl Told {
    pub(super) fn record(&self) -> &'static str {
        match self.object {
            WiringObject::Interface(_) => "schema",
            WiringObject::Class(_) => "class",
            WiringObject::Role(_) => "role",
            WiringObject::Subscription(_) => "subscription",
        }
    }

    pub(super) fn id(&self) -> Uuid {
        self.object.uuid()
    }

    pub(super) fn change(&self) -> &'static str {
        match (self.is_removal, &self.before) {
            (true, _) => "removed",
            (false, Some(_)) => "changed",
            (false, None) => "added",
        }
    }

    pub(super) fn name(&self) -> &str {
        self.known().map_or("", |held| match held {
            Held::Subscription(entry) => entry.record.name(),
            Held::Class(class) => class.name(),
            Held::Schema(schema) => schema.name(),
            Held::Role(role) => role.name(),
        })
    }

    pub(super) fn bound_to(&self) -> Option<Uuid> {
        let Held::Subscription(entry) = self.known()? else {
            return None;
        };
        let binding = entry.record.binding();
        let class = binding.class().map(Uuid::from);
        class.or_else(|| binding.interface().map(Uuid::from))
    }

    /// Returns the record before the commit and after it, as JSON.
    pub(super) fn contents(&self) -> (Option<String>, Option<String>) {
        let json = |held: &Option<Held>| held.as_ref().and_then(Held::to_json);
        (json(&self.before), json(&self.after))
    }

    fn known(&self) -> Option<&Held> {
        self.after.as_ref().or(self.before.as_ref())
    }
}

impl Held {
    fn subscription(entry: &Arc<SubscriptionEntry>) -> Self {
        Self::Subscription(Arc::clone(entry))
    }

    fn class(class: &Arc<EventClass>) -> Self {
        Self::Class(Arc::clone(class))
    }

    fn schema(put: &PutSchema) -> Self {
        Self::Schema(Arc::clone(&put.schema))
    }

    fn role(role: &Role) -> Self {
        Self::Role(Box::new(role.clone()))
    }

    fn to_json(&self) -> Option<String> {
        let json = match self {
            Self::Subscription(entry) => serde_json::to_string(&entry.record),
            Self::Class(class) => serde_json::to_string(&**class),
            Self::Schema(schema) => serde_json::to_string(&**schema),
            Self::Role(role) => serde_json::to_string(&**role),
        };
        // A record that was stored was written once, so nothing of it cannot be.
        json.ok()
    }
}

/// As many changes as the store's log keeps by default, so that a subscriber who misses some here
/// could not have followed the log either. Each holds a record that was replaced: 500 bytes or so.
const LIMIT: usize = 16_384;

//! The built-in event classes about committed records.

mod backlog;
mod feed;
mod teller;

use uuid::Uuid;

pub(super) use self::backlog::{PutSchema, Telling};
pub use self::feed::WiringFeed;
pub(super) use self::teller::{Listeners, Teller};
use super::health::{HEALTH_EVENTS, HealthEvents};
use crate::event_interface;
use crate::model::{EventClass, EventClassId};
use crate::value::{EventInterface, InterfaceSchema, RustType};

/// Tells of every change of the stored wiring, whoever made it.
///
/// The class [`WIRING_CHANGES`] is there in every broker, and the broker itself fires it: bind a
/// subscription to this interface like any other, with a filter like any other, such as
/// `record = 'subscription' AND change = 'removed'`. Events come in the order of revisions, one for
/// each record that a commit changed, whichever broker of the store made it; each broker tells its
/// own subscribers. They are fired on a thread of the broker's own, soon after the commit and
/// perhaps before it has reached the device; the thread is there while there is a subscription
/// whose subscriber is.
///
/// What a subscriber of these events changes is told like any other change. Commits that cannot be
/// told of, since subscribers were too slow or the store was opened again after a failure, are
/// reported as [`Notice::ChangesMissed`](crate::Notice::ChangesMissed), which is a health event
/// too. Whoever was away goes on from a revision with
/// [`Broker::follow_changes`](crate::Broker::follow_changes).
#[doc(alias("IEventObjectChange", "IEventObjectChange2", "EventObjectChange"))]
#[event_interface(id = "aa4b75eb-238d-453c-8e21-5ab28e1156e8")]
pub trait WiringChanges {
    /// A record was added, changed or removed.
    ///
    /// - `revision` is that of the commit.
    /// - `record` is what it is a record of: `subscription`, `class`, `role` or `schema`.
    /// - `id` is that of the subscription, the class, or the interface which the schema describes;
    ///   of a role, the one that its name stands for, as
    ///   [`WiringObject::uuid`](crate::WiringObject::uuid) has it.
    /// - `change` is `added`, `changed` or `removed`.
    /// - `name` is the record's, or empty if it cannot be read.
    /// - `bound_to` is the class that a subscription is bound to, or else the interface.
    #[doc(alias("ChangedSubscription", "ChangedEventClass"))]
    fn record_changed(
        &self,
        revision: u64,
        record: &str,
        id: Uuid,
        change: &str,
        name: &str,
        bound_to: Option<Uuid>,
    );
}

/// Tells what changes of the stored wiring are about: the records before and after.
///
/// Like [`WiringChanges`], of a class of its own, [`WIRING_CONTENTS`]: the texts are made only
/// where somebody subscribes to them.
#[event_interface(id = "2c550402-fc00-4254-8092-fdc85f8dfe2a")]
pub trait WiringContents {
    /// A record was added, changed or removed; the first four are as in
    /// [`record_changed`](WiringChanges::record_changed).
    ///
    /// `before` and `after` are the record as JSON, in its public form: NULL where there was or is
    /// none, or it cannot be read.
    fn content_changed(
        &self,
        revision: u64,
        record: &str,
        id: Uuid,
        change: &str,
        before: Option<&str>,
        after: Option<&str>,
    );
}

/// The class of [`WiringChanges`], which every broker has and fires.
#[doc(alias = "EventObjectChangeEventClassID")]
pub const WIRING_CHANGES: EventClassId =
    EventClassId::from_u128(0xd5a5_e9be_fd95_41bd_a419_854b_667c_fa33);

/// The class of [`WiringContents`], which every broker has and fires.
pub const WIRING_CONTENTS: EventClassId =
    EventClassId::from_u128(0xd1c1_974f_c206_4608_87f4_43a7_b8e9_a214);

/// A class that every broker has without a record of it in the store.
pub(super) struct BuiltIn {
    pub(super) id: EventClassId,
    description: &'static str,
    pub(super) schema: fn() -> &'static InterfaceSchema,
    pub(super) rust_type: fn() -> RustType,
}

/// All of them.
pub(super) static BUILT_IN: [BuiltIn; 3] = [
    BuiltIn {
        id: WIRING_CHANGES,
        description: "fired by the broker: a record of the stored wiring was changed",
        schema: <dyn WiringChanges>::schema,
        rust_type: RustType::of::<dyn WiringChanges>,
    },
    BuiltIn {
        id: WIRING_CONTENTS,
        description: "fired by the broker: a record was changed, with what it was and is",
        schema: <dyn WiringContents>::schema,
        rust_type: RustType::of::<dyn WiringContents>,
    },
    BuiltIn {
        id: HEALTH_EVENTS,
        description: "fired by the broker: something is not well, or is well again",
        schema: <dyn HealthEvents>::schema,
        rust_type: RustType::of::<dyn HealthEvents>,
    },
];

impl BuiltIn {
    /// Returns the built-in class of this id.
    pub(super) fn find(id: EventClassId) -> Option<&'static Self> {
        BUILT_IN.iter().find(|class| class.id == id)
    }

    /// Returns the record that it has as long as nobody stores another.
    pub(super) fn record(&self) -> EventClass {
        let schema = (self.schema)();
        EventClass::new(self.id, schema.name())
            .with_interface(schema.id())
            .with_description(self.description)
    }
}

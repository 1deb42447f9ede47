//! Transient subscriptions: live objects, and the guards that hold them.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::Broker;
use super::classes::claim;
use super::wiring::Wiring;
use crate::delivery::is_delivering;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Subscription, SubscriptionId, Target};
use crate::publish::{Inbox, LiveObject, LiveTarget, ObjectId, SubscriptionEntry, SubscriptionKey};
use crate::sync::{Condvar, Mutex};
use crate::value::{EventInterface, ImplementedBy, InterfaceId, RustType, Subscriber};

/// A live object that can be subscribed to the interface `I`: an `Arc` of what implements the
/// trait, an `Arc<dyn Trait>`, or a `Weak` of either, which does not keep the object.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be subscribed to `{I}`",
    note = "subscribe an `Arc` or a `Weak` of a type that implements the trait"
)]
pub trait IntoTarget<I: ?Sized> {
    /// Returns the object, or the way to it.
    #[doc(hidden)]
    fn into_target(self) -> LiveTarget<I>;
}

impl<I: ImplementedBy<T> + ?Sized, T: Send + Sync + 'static> IntoTarget<I> for Arc<T> {
    fn into_target(self) -> LiveTarget<I> {
        LiveTarget::Strong(I::upcast(self))
    }
}

impl<I: ImplementedBy<T> + ?Sized, T: Send + Sync + 'static> IntoTarget<I> for Weak<T> {
    fn into_target(self) -> LiveTarget<I> {
        LiveTarget::Weak(Box::new(move || self.upgrade().map(I::upcast)))
    }
}

/// A live object that can be subscribed to any interface: an `Arc` or a `Weak` of a [`Subscriber`],
/// or of `dyn Subscriber`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be subscribed to events of any interface",
    note = "subscribe an `Arc` or a `Weak` of a `Subscriber`"
)]
pub trait IntoSubscriber {
    /// Returns the object, or the way to it.
    #[doc(hidden)]
    fn into_subscriber(self) -> LiveTarget<dyn Subscriber>;
}

impl<T: Subscriber> IntoSubscriber for Arc<T> {
    fn into_subscriber(self) -> LiveTarget<dyn Subscriber> {
        LiveTarget::Strong(self)
    }
}

impl IntoSubscriber for Arc<dyn Subscriber> {
    fn into_subscriber(self) -> LiveTarget<dyn Subscriber> {
        LiveTarget::Strong(self)
    }
}

impl<T: Subscriber> IntoSubscriber for Weak<T> {
    fn into_subscriber(self) -> LiveTarget<dyn Subscriber> {
        LiveTarget::Weak(Box::new(move || self.upgrade().map(|object| object as _)))
    }
}

impl IntoSubscriber for Weak<dyn Subscriber> {
    fn into_subscriber(self) -> LiveTarget<dyn Subscriber> {
        LiveTarget::Weak(Box::new(move || self.upgrade()))
    }
}

/// Holds a transient or private subscription; dropping it unsubscribes.
///
/// It keeps the object, or a weak reference to it, and outlives the broker: then dropping it takes
/// the object out of the publishers that are left.
#[must_use = "dropping the guard unsubscribes"]
pub struct SubscriptionGuard {
    key: SubscriptionKey,
    /// The place in store order, which no other live subscription ever has: what has the id may
    /// come to be another.
    order: u64,
    wiring: Option<Arc<Wiring>>,
    released: Arc<Released>,
}

/// Tells when no fire can call the object of a subscription any more: all snapshots with it are
/// gone.
#[derive(Default)]
struct Released {
    /// How many targets of the subscription are still in some snapshot: more than one while a
    /// replaced target is still being called.
    targets: Mutex<usize>,
    changed: Condvar,
}

/// A live target, counted.
struct Counted<T> {
    target: T,
    /// The publisher object that alone knows the subscription, if one does.
    object: Option<ObjectId>,
    /// The last field: whoever waits is told when the target is gone.
    _count: Count,
}

/// One in the count of targets.
struct Count(Arc<Released>);

impl Broker {
    /// Subscribes a live object to all events of the interface `I`, from any class, until the guard
    /// is dropped. Nothing is stored.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if another Rust type has claimed the interface's
    /// id, [`Denied`](ErrorKind::Denied) as [`ensure`](Self::ensure),
    /// [`Closed`](ErrorKind::Closed) after the broker was closed.
    #[doc(alias = "TransientSubscriptions")]
    pub fn subscribe<I: EventInterface + ?Sized>(
        &self,
        target: impl IntoTarget<I>,
    ) -> Result<SubscriptionGuard> {
        let name = format!("a subscriber of {}", I::schema().name());
        let record = Subscription::builder(name)
            .to::<I>()
            .object()
            .id(SubscriptionId::random());
        self.subscribe_with::<I>(&record.build()?, target)
    }

    /// Subscribes a live object as the record says, whose target is `object`, until the guard is
    /// dropped. Nothing is stored; the record is found by queries like any other.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if the record's target is not `object`, or the record asks
    /// for another interface than `I` or for a class that is known and does not offer `I`;
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if a subscription has its id; for the filter as
    /// [`ensure`](Self::ensure), else as [`subscribe`](Self::subscribe).
    pub fn subscribe_with<I: EventInterface + ?Sized>(
        &self,
        record: &Subscription,
        target: impl IntoTarget<I>,
    ) -> Result<SubscriptionGuard> {
        self.claim::<I>()?;
        self.add_live(record, target.into_target(), None)
    }

    /// Subscribes a live object that takes any event, by name and values, as the record says.
    ///
    /// # Errors
    ///
    /// As [`subscribe_with`](Self::subscribe_with); any interface fits.
    pub fn subscribe_untyped(
        &self,
        record: &Subscription,
        target: impl IntoSubscriber,
    ) -> Result<SubscriptionGuard> {
        self.add_live(record, target.into_subscriber(), None)
    }

    /// Subscribes a live object, for everybody's events or those of one publisher object alone.
    pub(super) fn add_live(
        &self,
        record: &Subscription,
        target: impl LiveObject,
        object: Option<ObjectId>,
    ) -> Result<SubscriptionGuard> {
        self.core.check_open()?;
        let record = &*self.owned(record);
        self.access().require_writing([record])?;
        if *record.target() != Target::Object {
            let message = format!("the target of {:?} is not a live object", record.name());
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        self.core.wiring.fits(record, target.interface())?;
        let compiled = self.check(record)?.compiled();
        let released = Arc::new(Released::default());
        let source = released.source(target, object);
        let order = self.core.wiring.next_order();
        let key = SubscriptionKey {
            object,
            id: record.id(),
        };
        let record = record.clone().without_revision();
        let entry = SubscriptionEntry::of_object(record, order, source);
        let mut new = Some((entry, compiled));
        self.core.wiring.change(|state, changes| {
            if state.find(key).is_none()
                && let Some((entry, compiled)) = new.take()
            {
                state.put_subscription(entry, compiled, changes);
            }
        });
        if new.is_some() {
            let message = format!("a subscription has the id {} already", key.id);
            return Err(Error::new(ErrorKind::AlreadyExists, message));
        }
        Ok(SubscriptionGuard {
            key,
            order,
            wiring: Some(Arc::clone(&self.core.wiring)),
            released,
        })
    }
}

impl SubscriptionGuard {
    /// Returns the subscription's id.
    pub fn id(&self) -> SubscriptionId {
        self.key.id
    }

    /// Lets the subscription live without its guard: until the broker goes, or, if the target is
    /// weak, the object, or, if it is private, the publisher object.
    pub fn detach(mut self) {
        self.wiring = None;
    }

    /// Puts another object in the place of the present one, which is dropped when the last fire
    /// that uses it is over.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if the subscription is gone, as a weak one is after its
    /// object; [`Invalid`](ErrorKind::Invalid) if it asks for another interface than `I` or for a
    /// class that is known and does not offer `I`; [`AlreadyExists`](ErrorKind::AlreadyExists) if
    /// another Rust type has claimed the interface's id.
    ///
    /// # Consistency
    ///
    /// No fire that begins after this returned calls the old object, and none misses both.
    pub fn replace<I: EventInterface + ?Sized>(&self, target: impl IntoTarget<I>) -> Result<()> {
        let source = self.released.source(target.into_target(), self.key.object);
        let Some(wiring) = &self.wiring else {
            return Ok(());
        };
        let present = wiring.with(|state, _| state.live(self.key, self.order).cloned());
        if let Some(present) = present {
            claim(wiring, I::schema(), RustType::of::<I>())?;
            wiring.fits(&present.record, Some(I::schema().id()))?;
        }
        let replaced = wiring.change(|state, changes| {
            let Some(present) = state.live(self.key, self.order) else {
                return Err(source);
            };
            let record = present.record.clone();
            let entry = SubscriptionEntry::of_object(record, self.order, source);
            state.put_subscription(entry, None, changes);
            Ok(())
        });
        replaced.map_err(|_unused| {
            let message = format!("the subscription {} is gone", self.key.id);
            Error::new(ErrorKind::NotFound, message)
        })
    }

    /// Unsubscribes, as dropping the guard does. A fire that began before may still call the
    /// object.
    pub fn close(self) {}

    /// Unsubscribes and waits until no fire can call the object any more, and the broker's hold on
    /// it is gone.
    ///
    /// # Errors
    ///
    /// [`WouldDeadlock`](ErrorKind::WouldDeadlock) from inside any delivery, which is one of those
    /// that may have to be waited for; [`TimedOut`](ErrorKind::TimedOut) if a fire is still at it
    /// after `timeout`. Either way the subscription is gone.
    pub fn close_and_wait(mut self, timeout: Duration) -> Result<()> {
        self.unsubscribe();
        if is_delivering() {
            let message = "cannot wait for the end of fires from inside one";
            return Err(Error::new(ErrorKind::WouldDeadlock, message));
        }
        self.released.wait(timeout)
    }

    fn unsubscribe(&mut self) {
        let Some(wiring) = self.wiring.take() else {
            return;
        };
        let inbox = wiring.change(|state, changes| {
            let live = state.live(self.key, self.order)?.live.as_ref();
            let inbox = live.and_then(|live| live.inbox()).cloned();
            state.remove_subscription(self.key, changes);
            inbox
        });
        if let Some(inbox) = inbox {
            // A fire that waits for room in it has the subscription still, and would wait in vain
            // for whoever does not come any more.
            inbox.end();
        }
    }
}

impl Drop for SubscriptionGuard {
    fn drop(&mut self) {
        self.unsubscribe();
    }
}

impl fmt::Debug for SubscriptionGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriptionGuard")
            .field("id", &self.key.id)
            .finish_non_exhaustive()
    }
}

impl Wiring {
    /// Returns Ok if an object of this interface can receive what a subscription asks for.
    fn fits(&self, record: &Subscription, interface: Option<InterfaceId>) -> Result<()> {
        let Some(interface) = interface else {
            return Ok(());
        };
        let binding = record.binding();
        let (class, schema) = self.with(|state, _| {
            let class = binding.class().and_then(|id| state.classes.get(&id));
            let schema = state.interfaces.get(&interface);
            (
                class.map(|class| Arc::clone(&class.record)),
                schema.map(|known| Arc::clone(&known.schema)),
            )
        });
        let offered = class.is_none_or(|class| class.interfaces().contains(&interface));
        if offered && binding.interface().is_none_or(|bound| bound == interface) {
            return Ok(());
        }
        let (name, object) = (record.name(), schema.as_ref().map_or("", |s| s.name()));
        let message = format!(
            "the subscription {name:?} asks for {binding}, of which the object's interface \
             {object:?} ({interface}) is none"
        );
        Err(Error::new(ErrorKind::Invalid, message))
    }
}

impl Released {
    fn source(
        self: &Arc<Self>,
        target: impl LiveObject,
        object: Option<ObjectId>,
    ) -> Arc<dyn LiveObject> {
        *self.targets.lock() += 1;
        Arc::new(Counted {
            target,
            object,
            _count: Count(Arc::clone(self)),
        })
    }

    fn wait(&self, timeout: Duration) -> Result<()> {
        let deadline = Instant::now().checked_add(timeout);
        let mut targets = self.targets.lock();
        while *targets > 0 {
            let late = match deadline {
                Some(deadline) => self.changed.wait_until(&mut targets, deadline).timed_out(),
                None => {
                    self.changed.wait(&mut targets);
                    false
                }
            };
            if late && *targets > 0 {
                let message = format!("a fire still had the subscription after {timeout:?}");
                return Err(Error::new(ErrorKind::TimedOut, message));
            }
        }
        Ok(())
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        *self.0.targets.lock() -= 1;
        self.0.changed.notify_all();
    }
}

impl<T: LiveObject> LiveObject for Counted<T> {
    fn interface(&self) -> Option<InterfaceId> {
        self.target.interface()
    }

    fn untyped(&self) -> Option<Arc<dyn Subscriber>> {
        self.target.untyped()
    }

    fn inbox(&self) -> Option<&Arc<Inbox>> {
        self.target.inbox()
    }

    fn is_weak(&self) -> bool {
        self.target.is_weak()
    }

    fn object(&self) -> Option<ObjectId> {
        self.object
    }

    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self.target.as_any()
    }
}

//! Targets that a fire does not call, but hands events over to.

use std::cell::{Cell, OnceCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use super::calling::{self, Callee, Step, outcome_of};
use super::channel::{ChannelKey, Surroundings};
use super::entry::SubscriptionEntry;
use super::event_key::KeyPaths;
use super::facet::Facet;
use super::guarded::Guarded;
use super::metrics::{ChannelMeter, SubscriptionMeter};
use super::payload::{Call, Payload};
use super::plan::Plan;
use super::policy::Policy;
use super::site::Site;
use super::target::Bound;
use super::triggered::{SiteTrigger, usual_bounds};
use super::versions::event_in;
use super::watch::{Watch, Watched};
use crate::delivery::{
    Bounds, Carried, Delivery, DeliveryOutcome, Desk, Failure, Gap, Letter, Parcel, Pushed,
    Recipient, SkipReason, Triggered, carried, hold, settle, triggered,
};
use crate::model::EventClassId;
use crate::notices::Notice;
use crate::value::{
    InterfaceId, InterfaceSchema, SubscriberError, ValueKey, ValueRef, drop_quietly, panic_message,
};

/// A target behind the policy of its subscription: lane, deadline, breaker, trigger.
pub(super) struct Post<I: ?Sized> {
    /// First, so that nobody has it any more when the entry goes.
    target: Bound<I>,
    entry: Arc<SubscriptionEntry>,
    policy: Arc<Policy>,
    keys: Arc<KeyPaths>,
    trigger: Option<SiteTrigger>,
    desk: Arc<Desk>,
    channel: ChannelKey,
    around: Arc<Surroundings>,
    schema: Arc<InterfaceSchema>,
    /// What is counted of the subscription and of the methods, if anything is.
    meter: Option<Arc<SubscriptionMeter>>,
    methods: Option<Arc<ChannelMeter>>,
}

impl<I: Facet + ?Sized> Post<I> {
    /// Returns the target as its subscription and the class have events delivered to it.
    pub(super) fn bind(
        target: Bound<I>,
        entry: &Arc<SubscriptionEntry>,
        site: &Site,
        around: &Arc<Surroundings>,
    ) -> Bound<I> {
        let record = &entry.record;
        if !entry.is_served() || matches!(target, Bound::Mismatch) {
            return target;
        }
        let policy = match (Policy::of(record, &site.class), &target) {
            (policy, Bound::Inbox(inbox)) => {
                inbox.rebound(record);
                policy.unwrap_or_default().collected(record)
            }
            (Some(policy), _) => policy,
            // What waits since it had another is still delivered.
            (None, _) if around.desks.is_busy(entry.key()) => Policy::default(),
            (None, _) => return target,
        };
        let names: Vec<_> = policy.lane_key().into_iter().collect();
        let desk = around.desks.of(entry.key());
        if let Some(bounds) = policy.bounds() {
            desk.rebound(bounds);
        }
        let (meters, class) = (around.meters.as_ref(), site.class.id());
        Bound::Post(Self::seated(Self {
            meter: meters.and_then(|meters| meters.subscription(entry)),
            methods: meters.map(|meters| meters.channel(class, &site.schema)),
            target,
            entry: Arc::clone(entry),
            trigger: SiteTrigger::bind::<I>(entry, site, &desk, policy.bounds(), around),
            keys: Arc::new(KeyPaths::new(&names, site, record.binding())),
            policy: Arc::new(policy),
            desk,
            channel: ChannelKey {
                class,
                interface: site.schema.id(),
            },
            around: Arc::clone(around),
            schema: Arc::clone(&site.schema),
        }))
    }

    /// Returns the same with another target behind it.
    pub(super) fn rebound(&self, target: Bound<I>) -> Arc<Self> {
        Self::seated(Self {
            target,
            entry: Arc::clone(&self.entry),
            policy: Arc::clone(&self.policy),
            keys: Arc::clone(&self.keys),
            trigger: self.trigger.clone(),
            desk: Arc::clone(&self.desk),
            channel: self.channel,
            around: Arc::clone(&self.around),
            schema: Arc::clone(&self.schema),
            meter: self.meter.clone(),
            methods: self.methods.clone(),
        })
    }

    fn seated(post: Self) -> Arc<Self> {
        let post = Arc::new(post);
        let recipient = Arc::downgrade(&post) as Weak<dyn Recipient>;
        post.desk.seat(post.channel.into(), recipient);
        post
    }

    /// Does with an event that reaches the subscription what its policy says.
    pub(super) fn send(&self, guarded: &Guarded<'_, I>, plan: &Plan, call: &impl Call<I>) -> Step {
        let Some(trigger) = &self.trigger else {
            return self.pass(guarded, None, call);
        };
        match trigger.ask(guarded, plan, &self.keys, call) {
            Ok(why) => self.pass(guarded, why, call),
            Err(step) => step,
        }
    }

    /// Has an event delivered, and the subscriber know why.
    fn pass(&self, guarded: &Guarded<'_, I>, why: Option<Triggered>, call: &impl Call<I>) -> Step {
        match self.bounds() {
            Some(bounds) => self.accept(guarded, bounds, why, call),
            None => triggered(why, || {
                let call = |target: &I| call.on(target);
                self.call(guarded.made(), &call)
            }),
        }
    }

    /// Returns how much may wait, if the event is to wait: of a subscription that is called by its
    /// fires, behind what its trigger delivers without one.
    fn bounds(&self) -> Option<Bounds> {
        let bounds = self.policy.bounds();
        bounds.or_else(|| self.is_behind().then(usual_bounds))
    }

    /// Returns whether something is on its way that the trigger has delivered without an event.
    fn is_behind(&self) -> bool {
        self.trigger.is_some() && !self.desk.is_idle()
    }

    /// Has the event wait in the lane.
    fn accept(
        &self,
        guarded: &Guarded<'_, I>,
        bounds: Bounds,
        why: Option<Triggered>,
        call: &impl Call<I>,
    ) -> Step {
        let parcel = Letter::sealed(guarded.parcel(call), why);
        let key = guarded.key(&self.keys);
        let pushed = match &self.target {
            Bound::Inbox(inbox) if !self.is_behind() => inbox.put(parcel, &key),
            _ => self.desk.accept(bounds, parcel, &key),
        };
        let (step, left) = match pushed {
            Pushed::Accepted => return Step::Accepted,
            Pushed::Coalesced(older) => (Step::Accepted, older),
            Pushed::InPlaceOf(older, gap) => {
                self.tell_of_loss(gap);
                (Step::Accepted, older)
            }
            Pushed::Dropped(newest, gap) => {
                self.tell_of_loss(gap);
                (Step::Skipped(SkipReason::Dropped), newest)
            }
            Pushed::Full(newest, gap) => {
                self.tell_of_loss(gap);
                (Step::Failed(Failure::Overflow), newest)
            }
            Pushed::Ended(event) => match &self.target {
                Bound::Inbox(inbox) if inbox.is_gone() => (Step::Skipped(SkipReason::Gone), event),
                _ => (Step::Failed(Failure::Closed), event),
            },
        };
        drop_quietly(left);
        step
    }

    #[cold]
    fn tell_of_loss(&self, gap: Gap) {
        if gap == Gap::Begins {
            self.around.notices.push(Notice::LaneOverflow {
                id: self.entry.record.id().uuid(),
                name: self.entry.record.name().to_owned(),
                lost: match &self.target {
                    Bound::Inbox(inbox) => inbox.lost(),
                    _ => self.desk.lane().map_or(0, |lane| lane.lost()),
                },
            });
        }
    }

    /// Calls the subscriber on this thread.
    fn call(&self, made: &Cell<bool>, call: &impl Fn(&I) -> Result<(), SubscriberError>) -> Step {
        let record = &self.entry.record;
        let callee = Callee {
            id: record.id(),
            record,
            target: &self.target,
        };
        calling::call(callee, &self.around, &self.schema, made, call)
    }

    fn deliver_to(&self, target: &I, parcel: &dyn Parcel) -> Result<(), SubscriberError> {
        if let Some(posted) = parcel.as_any().downcast_ref::<Posted<I>>() {
            return posted.payload.deliver(target);
        }
        // It was fired before the interface's type was known, or with another version of it.
        let values = parcel.values();
        match event_in(parcel.schema(), parcel.method(), &values, &self.schema) {
            Some((method, values)) => target.invoke(&self.schema, method, &values),
            None => {
                let method = parcel.schema().methods().get(parcel.method());
                let method = method.map_or("?", |method| method.name());
                Err(format!("the interface has no method {method:?} that takes the event").into())
            }
        }
    }
}

impl<I: Facet + ?Sized> Recipient for Post<I> {
    fn deliver(&self, parcel: &Arc<dyn Parcel>, missed: u64) {
        if let Bound::Inbox(inbox) = &self.target {
            // It was due without an event, and here no lock is held: to hear of it is the user's.
            drop_quietly(inbox.put_beyond(Arc::clone(parcel), &ValueKey::ONLY));
            return;
        }
        let watch = Watch::late(&self.around);
        parcel.fire().within_behind(missed, || {
            let held = hold(|| {
                let made = Cell::new(false);
                let call = |target: &I| self.deliver_to(target, &**parcel);
                let run = || triggered(parcel.triggered(), || self.call(&made, &call));
                let run = || watch.call(self.watched(), &self.around, run);
                if let Some(outcome) = outcome_of(catch_unwind(AssertUnwindSafe(run))) {
                    self.tell(outcome, &**parcel, watch);
                }
            });
            held.wait();
        });
        // What waited for the end of the event: it is over, whatever the one around it does.
        if let Err(panic) = catch_unwind(settle) {
            drop(panic_message(panic));
        }
    }
}

impl<I: ?Sized> Post<I> {
    /// Returns the trigger, if the subscription has one.
    pub(super) fn trigger(&self) -> Option<&SiteTrigger> {
        self.trigger.as_ref()
    }

    /// Returns who is called in the end.
    pub(super) fn target(&self) -> &Bound<I> {
        &self.target
    }

    fn watched(&self) -> Watched<'_> {
        Watched {
            entry: &self.entry,
            meter: self.meter.as_ref(),
        }
    }

    /// Has the failure hook hear of what nobody has a report of, and those who count of all.
    fn tell(&self, outcome: DeliveryOutcome, parcel: &dyn Parcel, watch: Watch) {
        let record = &self.entry.record;
        let delivery = Delivery::new(record.id(), Arc::clone(record.shared_name()), outcome);
        if let (Some(methods), Some(begun)) = (&self.methods, watch.begun()) {
            let method = parcel.schema().methods().get(parcel.method());
            let method = method.and_then(|method| self.schema.method(method.name()));
            if let Some((method, _)) = method {
                methods.count_late(method, begun.at, &delivery);
            }
        }
        if delivery.is_lost() {
            self.around.hook.tell(self.channel.class, &delivery);
        }
    }
}

/// An event of the interface `I` on its way.
pub(super) struct Posted<I: ?Sized> {
    pub(super) payload: Arc<dyn Payload<I>>,
    fire: Carried,
}

impl<I: Facet + ?Sized> Posted<I> {
    /// Returns an event of the fire that this thread is inside of.
    pub(super) fn parcel(payload: Arc<dyn Payload<I>>) -> Arc<dyn Parcel> {
        let fire = carried();
        Arc::new(Self { payload, fire })
    }
}

/// The event of a fire, once somebody has it delivered later.
pub(super) struct ParcelCell(OnceCell<Arc<dyn Parcel>>);

impl ParcelCell {
    pub(super) const fn new() -> Self {
        Self(OnceCell::new())
    }

    pub(super) fn get_or_make<I: Facet + ?Sized>(&self, call: &impl Call<I>) -> Arc<dyn Parcel> {
        let parcel = self.0.get_or_init(|| Posted::parcel(call.payload()));
        Arc::clone(parcel)
    }
}

/// Others may be through with it, and the arguments are the user's.
impl Drop for ParcelCell {
    fn drop(&mut self) {
        if let Some(parcel) = self.0.take() {
            drop_quietly(parcel);
        }
    }
}

impl<I: Facet + ?Sized> Parcel for Posted<I> {
    fn site(&self) -> (EventClassId, InterfaceId) {
        (self.fire.class(), self.payload.schema().id())
    }

    fn schema(&self) -> &InterfaceSchema {
        self.payload.schema()
    }

    fn method(&self) -> usize {
        self.payload.method()
    }

    fn values(&self) -> Vec<ValueRef<'_>> {
        self.payload.values()
    }

    fn fire(&self) -> &Carried {
        &self.fire
    }

    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}

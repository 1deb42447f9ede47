//! Targets that a fire does not call, but hands events over to.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock, Weak};

use super::begun::Begun;
use super::calling::{self, Callee, Step};
use super::entry::SubscriptionEntry;
use super::event_key::KeyPaths;
use super::facet::Facet;
use super::guarded::Guarded;
use super::metrics::{ChannelMeter, SubscriptionMeter};
use super::payload::Call;
use super::pipeline::failure_of;
use super::plan::Plan;
use super::policy::Policy;
use super::recalling::Screen;
use super::reception::Attendant;
use super::site::Site;
use super::surroundings::{ChannelKey, Surroundings};
use super::target::Bound;
use super::triggered::{SiteTrigger, usual_bounds};
use super::watch::{Watch, Watched};
use crate::delivery::{
    Bounds, Delivery, DeliveryOutcome, Desk, Failure, Gap, Letter, Parcel, Pushed, Recipient,
    SkipReason, Triggered, triggered,
};
use crate::model::Queued;
use crate::notices::Notice;
use crate::store::Trash;
use crate::value::{InterfaceSchema, SubscriberError, ValueKey, drop_quietly};

/// A target behind the policy of its subscription: lane, deadline, breaker, trigger.
pub(super) struct Post<I: ?Sized> {
    /// First, so that nobody has it any more when the entry goes.
    pub(super) target: Bound<I>,
    pub(super) me: Weak<Self>,
    pub(super) entry: Arc<SubscriptionEntry>,
    pub(super) policy: Arc<Policy>,
    keys: Arc<KeyPaths>,
    pub(super) trigger: Option<SiteTrigger>,
    pub(super) desk: Arc<Desk>,
    /// On which terms events are queued, if they are.
    pub(super) queue: Option<Arc<Queued>>,
    channel: ChannelKey,
    /// How much may wait, if every event that reaches the subscription does nothing else.
    simple_bounds: Option<Bounds>,
    /// Whether nothing is asked, watched or counted where an event is delivered.
    pub(super) is_direct: bool,
    pub(super) around: Arc<Surroundings>,
    pub(super) schema: Arc<InterfaceSchema>,
    /// What is counted of the subscription and of the methods, if anything is.
    meter: Option<Arc<SubscriptionMeter>>,
    methods: Option<Arc<ChannelMeter>>,
    /// What past events are asked, if the queue begins with one.
    pub(super) screen: OnceLock<Box<Screen>>,
}

impl<I: Facet + ?Sized> Post<I> {
    /// Returns the target as its subscription and the class have events delivered to it.
    pub(super) fn bind(
        target: Bound<I>,
        entry: &Arc<SubscriptionEntry>,
        site: &Site,
        around: &Arc<Surroundings>,
        trash: &mut Trash,
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
            (None, _) if around.desks.has_lane(entry.key()) => Policy::default(),
            (None, _) if around.journal.has_backlog(record.id()) => Policy::default(),
            (None, _) => {
                around.keeper.forget_stored(entry);
                return target;
            }
        };
        let names: Vec<_> = policy.lane_key().into_iter().collect();
        let desk = around.desks.of(entry);
        if let Some(bounds) = policy.bounds() {
            desk.rebound(bounds);
        }
        let (meters, class) = (around.meters.as_ref(), site.class.id());
        let queue = policy.queue();
        let has_deadline = policy.deadline.is_some();
        desk.fit(
            (class, site.schema.id()),
            policy.breaker.as_ref(),
            has_deadline,
        );
        let is_watched = has_deadline || policy.breaker.is_some() || queue.is_some();
        let post = Self::seated(Self {
            me: Weak::new(),
            is_direct: !is_watched && policy.trigger.is_none() && meters.is_none(),
            simple_bounds: policy.simple_bounds().filter(|_| meters.is_none()),
            meter: meters.and_then(|meters| meters.subscription(entry)),
            methods: meters.map(|meters| meters.channel(class, &site.schema)),
            target,
            entry: Arc::clone(entry),
            trigger: SiteTrigger::bind(entry, site, &desk, policy.bounds(), around, trash),
            keys: Arc::new(KeyPaths::new(&names, site, record.binding())),
            policy: Arc::new(policy),
            queue,
            desk,
            channel: ChannelKey {
                class,
                interface: site.schema.id(),
            },
            around: Arc::clone(around),
            schema: Arc::clone(&site.schema),
            screen: OnceLock::new(),
        });
        Bound::Post(post)
    }

    /// Begins what goes on without a fire, now that all is known of the subscription: its queue,
    /// and what of its trigger is overdue.
    pub(super) fn take_up_work(&self, plan: &Plan, site: &Site, trash: &mut Trash) {
        self.prepare_screen(plan, site);
        self.open_queue();
        self.join_history(site, trash);
        if let Some(trigger) = &self.trigger {
            // Behind the seat, so that somebody is there to receive it.
            trigger.recall(site, &self.keys, &self.around.clock);
        }
    }

    /// Has the subscription's queue, if it has one or had, deliver from the desk.
    fn open_queue(&self) {
        let (record, journal) = (&self.entry.record, &self.around.journal);
        let is_stored = self.entry.object().is_none();
        if self.queue.is_some() || (is_stored && journal.has_backlog(record.id())) {
            let desk = self.entry.is_called().then(|| Arc::downgrade(&self.desk));
            let subscription = (record.id(), record.shared_name());
            journal.seat(subscription, self.queue.as_ref(), desk.as_ref());
        }
    }

    /// Returns the same with another target behind it.
    pub(super) fn rebound(&self, target: Bound<I>) -> Arc<Self> {
        Self::seated(Self {
            me: Weak::new(),
            target,
            entry: Arc::clone(&self.entry),
            policy: Arc::clone(&self.policy),
            keys: Arc::clone(&self.keys),
            trigger: self.trigger.clone(),
            desk: Arc::clone(&self.desk),
            queue: self.queue.clone(),
            channel: self.channel,
            simple_bounds: self.simple_bounds,
            is_direct: self.is_direct,
            around: Arc::clone(&self.around),
            schema: Arc::clone(&self.schema),
            meter: self.meter.clone(),
            methods: self.methods.clone(),
            screen: self.screen.clone(),
        })
    }

    fn seated(post: Self) -> Arc<Self> {
        let post = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            ..post
        });
        // One that is away has its events wait, and nobody calls it.
        if post.entry.is_called() {
            let recipient = Arc::downgrade(&post) as Weak<dyn Recipient>;
            post.desk.seat(post.channel.into(), recipient);
        }
        if let Bound::Inbox(inbox) = &post.target {
            let attendant = Arc::downgrade(&post) as Weak<dyn Attendant>;
            inbox.attend(post.channel.into(), attendant);
        }
        post
    }

    /// Returns how much may wait, if every event that reaches the subscription does nothing else.
    #[inline]
    pub(super) fn simple_bounds(&self) -> Option<Bounds> {
        self.simple_bounds
    }

    /// Does with an event that reaches the subscription what its policy says.
    pub(super) fn send(&self, guarded: &Guarded<'_, I>, plan: &Plan, call: &impl Call<I>) -> Step {
        let Some(trigger) = &self.trigger else {
            return self.pass(guarded, None, call);
        };
        let why = match trigger.ask(guarded, plan, &self.keys, call) {
            Ok(why) => why,
            Err(step) => return step,
        };
        if let Err(failure) = self.copy(guarded, call) {
            trigger.take_back(guarded, why);
            return Step::Failed(failure);
        }
        let step = self.pass(guarded, why, call);
        if step.reached_nobody() {
            trigger.take_back(guarded, why);
        }
        step
    }

    /// Makes the copy of the event, if it is to go to another thread: a panic of the arguments' own
    /// code is known then while nobody has the event yet.
    fn copy(&self, guarded: &Guarded<'_, I>, call: &impl Call<I>) -> Result<(), Failure> {
        if self.bounds().is_none() && self.policy.deadline.is_none() {
            return Ok(());
        }
        let copy = AssertUnwindSafe(|| drop(guarded.parcel(call)));
        catch_unwind(copy).map_err(failure_of)
    }

    /// Does with an event that the trigger, if there is one, lets pass for a reason what else the
    /// policy says.
    fn pass(&self, guarded: &Guarded<'_, I>, why: Option<Triggered>, call: &impl Call<I>) -> Step {
        match self.begin(guarded, why, call) {
            Begun::Ended(step) => step,
            Begun::Here(pass) => {
                let call = || triggered(why, || self.call_here(pass, guarded, call));
                guarded.watch().call(self.watched(), &self.around, call)
            }
            Begun::Elsewhere(escorted) => {
                let wait = || self.wait(escorted, guarded);
                guarded.watch().call(self.watched(), &self.around, wait)
            }
        }
    }

    /// Returns how much may wait, if the event is to wait: of a subscription that is called by its
    /// fires, behind what its trigger delivers without one.
    pub(super) fn bounds(&self) -> Option<Bounds> {
        let bounds = self.policy.bounds();
        bounds.or_else(|| self.is_behind().then(usual_bounds))
    }

    /// Returns whether something waits that comes first: that the trigger has delivered without an
    /// event, or that was accepted before an edit.
    fn is_behind(&self) -> bool {
        self.desk.lane().is_some() && !self.desk.is_idle()
    }

    /// Has the event wait in the lane.
    pub(super) fn accept(
        &self,
        guarded: &Guarded<'_, I>,
        bounds: Bounds,
        why: Option<Triggered>,
        call: &impl Call<I>,
    ) -> Step {
        let parcel = Letter::sealed(guarded.parcel(call), why);
        let key = guarded.key(&self.keys);
        self.put(bounds, parcel, &key)
    }

    /// Has an event wait, or gives it back where more is to be asked than whether there is room.
    #[inline]
    pub(super) fn put_plainly(&self, parcel: Arc<dyn Parcel>) -> Result<(), Arc<dyn Parcel>> {
        match &self.target {
            Bound::Inbox(_) => Err(parcel),
            _ => self.desk.accept_plainly(parcel),
        }
    }

    /// Has an event wait of which nothing is left to ask.
    pub(super) fn put(&self, bounds: Bounds, parcel: Arc<dyn Parcel>, key: &ValueKey) -> Step {
        let pushed = match &self.target {
            Bound::Inbox(inbox) if !self.is_behind() => inbox.put(parcel, key),
            // The key goes along, for the inbox behind the lane.
            Bound::Inbox(_) => self.desk.accept(bounds, Letter::keyed(parcel, key), key),
            _ => self.desk.accept(bounds, parcel, key),
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
    pub(super) fn call(
        &self,
        made: &Cell<bool>,
        call: &impl Fn(&I) -> Result<(), SubscriberError>,
    ) -> Step {
        let record = &self.entry.record;
        let callee = Callee {
            id: record.id(),
            record,
            target: &self.target,
        };
        calling::call(callee, &self.around, &self.schema, made, call)
    }
}

impl<I: ?Sized> Post<I> {
    /// Returns the trigger, if the subscription has one.
    pub(super) fn trigger(&self) -> Option<&SiteTrigger> {
        self.trigger.as_ref()
    }

    /// Returns by what its events are told apart that come in order.
    pub(super) fn keys(&self) -> &KeyPaths {
        &self.keys
    }

    /// Returns who is called in the end.
    pub(super) fn target(&self) -> &Bound<I> {
        &self.target
    }

    /// As [`tell`](Self::tell), of what is no end of a call.
    pub(super) fn tell_late(&self, outcome: DeliveryOutcome, parcel: &dyn Parcel) {
        self.tell(outcome, parcel, Watch::late(&self.around));
    }

    pub(super) fn watched(&self) -> Watched<'_> {
        Watched {
            entry: &self.entry,
            meter: self.meter.as_ref(),
        }
    }

    /// Has the failure hook hear of what nobody has a report of, and those who count of all.
    pub(super) fn tell(&self, outcome: DeliveryOutcome, parcel: &dyn Parcel, watch: Watch) {
        if outcome.is_delivered() && self.methods.is_none() {
            return;
        }
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

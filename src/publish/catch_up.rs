//! How a new subscription is given what was retained, and then what was fired meanwhile.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use super::channel::Channel;
use super::entry::SubscriptionEntry;
use super::event_row::EventRow;
use super::facet::Facet;
use super::guarded::{Filters, Guarded};
use super::keep::Seats;
use super::kept::KeptEvent;
use super::members::Members;
use super::payload::{LentCall, UntypedPayload};
use super::prepared::{Prepared, Reached};
use super::report::Tally;
use super::seat::{NotWaiting, Seat, Turn, WaitingEvent};
use super::steered;
use super::steering::Course;
use super::watch::Watch;
use super::with::FirePart;
use crate::delivery::{
    DeliveryOutcome, Drawn, Failure, depth, drawn, enter_as, settle, show, wait,
};
use crate::model::Start;
use crate::store::Trash;
use crate::sync::atomic::AtomicBool;
use crate::value::{InterfaceSchema, Value, drop_quietly};

/// A new subscription that is to be given what is retained, on the thread that made it new.
pub(super) struct CatchUp<I: ?Sized> {
    channel: Weak<Channel<I>>,
    /// Without its seat: whoever delivers for it asks no turn.
    prepared: Prepared<I>,
    seat: Arc<Seat>,
    /// Whether it waited for the fire around it.
    waited: bool,
}

/// Finds out who is new among subscriptions that are made ready.
pub(super) struct Seating<'a, I: ?Sized> {
    pub(super) channel: &'a Channel<I>,
    /// Those who had a seat so far, where all are made ready anew.
    pub(super) seats: Option<Seats>,
    pub(super) new: Vec<Arc<Seat>>,
    /// What the new ones know of whoever gives them what is retained.
    is_late: Arc<AtomicBool>,
}

/// Ends the catching up however it ends.
struct CaughtUp<'a> {
    seat: &'a Seat,
    floor: u64,
}

impl<'a, I: Facet + ?Sized> Seating<'a, I> {
    pub(super) fn new(channel: &'a Channel<I>, seats: Option<Seats>) -> Self {
        Self {
            channel,
            seats,
            new: Vec::new(),
            is_late: Arc::default(),
        }
    }

    /// Gives a subscription its seat, if events are retained here: a new one, from which it catches
    /// up, if it could not be called before.
    pub(super) fn sit(
        &mut self,
        prepared: &mut Prepared<I>,
        schema: &InterfaceSchema,
        trash: &mut Trash,
    ) {
        let keep = &self.channel.keep;
        if !keep.is_retaining() {
            return;
        }
        let known = match &mut self.seats {
            Some(seats) => seats.known.remove(&prepared.id),
            None => keep.seat(prepared.id),
        };
        if !prepared.is_reachable(schema) {
            prepared.stand_up();
            if let Some(seat) = known {
                keep.stand_up(prepared.id);
                seat.end(trash);
            }
            return;
        }
        if let Some(seat) = known.as_ref().filter(|seat| seat.is_behind()) {
            // Whatever it is given from now on, it is given as it is now.
            let work = CatchUp::new(self.channel, prepared, seat);
            trash.add(seat.renew(Box::new(move || work.begin())));
        }
        let seat = known.unwrap_or_else(|| {
            let begins = self.seats.as_ref().is_some_and(|seats| seats.begins);
            if begins || self.has_past(prepared) {
                return Arc::new(Seat::caught_up());
            }
            let seat = Arc::new(Seat::behind(&self.is_late));
            let work = CatchUp::new(self.channel, prepared, &seat);
            seat.prepare(Box::new(move || work.begin()));
            self.new.push(Arc::clone(&seat));
            seat
        });
        keep.sit(prepared.id, Arc::clone(&seat));
        prepared.sit(seat);
    }

    /// Returns whether a subscription is given what is retained with the other past events.
    fn has_past(&self, prepared: &Prepared<I>) -> bool {
        let queue = prepared
            .reached()
            .post()
            .and_then(|post| post.queue.as_ref());
        let begins = queue.is_some_and(|queue| queue.start() != Start::New);
        begins && self.channel.around.journal.keeps(self.channel.key.class)
    }

    /// Takes the seats of those who are gone and of whom nothing takes the place.
    pub(super) fn leave(
        &self,
        removed: &[Arc<SubscriptionEntry>],
        added: &[Prepared<I>],
        trash: &mut Trash,
    ) {
        let keep = &self.channel.keep;
        if !keep.is_retaining() || removed.is_empty() {
            return;
        }
        let added: HashSet<_> = added.iter().map(|prepared| prepared.id).collect();
        let removed = removed.iter().map(|entry| entry.record.id());
        for gone in removed.filter(|id| !added.contains(id)) {
            if let Some(seat) = keep.stand_up(gone) {
                seat.end(trash);
            }
        }
    }

    /// Leaves it to whoever made the change to have the new ones catch up, and ends the wait of
    /// those who are gone.
    pub(super) fn finish(self, trash: &mut Trash) {
        if let Some(seats) = self.seats
            && self.channel.keep.is_retaining()
        {
            seats.known.into_values().for_each(|seat| seat.end(trash));
        }
        for seat in self.new {
            trash.afterwards(move || seat.catch_up());
        }
    }
}

impl<I: Facet + ?Sized> CatchUp<I> {
    fn new(channel: &Channel<I>, prepared: &Prepared<I>, seat: &Arc<Seat>) -> Self {
        let mut prepared = prepared.clone();
        prepared.stand_up();
        Self {
            channel: Weak::clone(&channel.me),
            prepared,
            seat: Arc::clone(seat),
            waited: false,
        }
    }

    /// Catches up now, or after the fire around this if the class has nested events wait.
    fn begin(mut self) {
        let Some(channel) = self.channel.upgrade() else {
            return;
        };
        if depth() > 0 && channel.queues_nested() && !self.waited {
            // Where an edit meanwhile finds it.
            self.waited = true;
            let seat = Arc::clone(&self.seat);
            seat.prepare(Box::new(move || self.begin()));
            return wait(Box::new(move || seat.catch_up()));
        }
        self.run(&channel);
        if depth() == 0 {
            settle();
        }
    }

    fn run(&self, channel: &Arc<Channel<I>>) {
        let keep = &channel.keep;
        let prepared = channel.whole(&self.prepared);
        let wanted = |method| prepared.is_bound_to(method);
        let retained = keep.look_up(&channel.schema, wanted);
        let _over = CaughtUp {
            seat: &self.seat,
            floor: retained.floor,
        };
        for event in &retained.events {
            if self.seat.has_ended() {
                return;
            }
            let drawn = event.drawn.retained();
            deliver(channel, &prepared, event, Filters::Asked, drawn);
        }
        drop(retained.events);
        while let Some(event) = self.seat.next(retained.floor) {
            if event.place.is_none_or(|place| place > retained.floor) {
                event.run();
            }
        }
        if keep.is_partial() {
            // What no method retains went the slow way, to wait here.
            channel.refresh(true);
        }
    }
}

impl Drop for CaughtUp<'_> {
    /// After a panic that nobody foresaw, what still waits is given up: nobody would come for it.
    fn drop(&mut self) {
        while let Some(event) = self.seat.next(self.floor) {
            drop_quietly(event);
        }
    }
}

/// Delivers an event that was kept to one subscription, as far as filters and the publisher's side
/// let it, or were asked before. What fails is told to the failure hook.
fn deliver<I: Facet + ?Sized>(
    channel: &Channel<I>,
    prepared: &Prepared<I>,
    event: &KeptEvent,
    filters: Filters,
    drawn: Drawn,
) {
    let watch = Watch::late(&channel.around);
    let mut tally = Tally::default();
    match enter_as(channel.key.class, drawn) {
        Some(_entered) => {
            let _shown = show(&[], &event.own, &event.facts.defaults);
            pass(channel, prepared, event, filters, watch, &mut tally);
        }
        None => tally.add(&prepared.entry, DeliveryOutcome::Failed(Failure::TooDeep)),
    }
    let report = tally.finish(&channel.around.hook, channel.key.class);
    channel.watched_late(event.method, watch, &report);
}

fn pass<I: Facet + ?Sized>(
    channel: &Channel<I>,
    prepared: &Prepared<I>,
    event: &KeptEvent,
    filters: Filters,
    watch: Watch,
    tally: &mut Tally,
) {
    let (schema, method) = (&channel.schema, event.method);
    let values: Vec<_> = event.values.iter().map(Value::view).collect();
    let row = EventRow {
        values: &values,
        lent: &[],
        own: &event.own,
        facts: &event.facts,
        clearance: event.clearance.as_ref(),
        steering: event.steering.as_ref(),
        kept: None,
        keeping: None,
        watch,
        part: FirePart::Whole,
    };
    let call = |target: &I| target.invoke(schema, method, &values);
    let call = LentCall::new(&call, |fire| {
        UntypedPayload::shared(schema, method, &values, fire)
    });
    let facts = channel.class_facts();
    let course = match filters {
        Filters::Asked => row.course(&facts, schema, method),
        Filters::Passed => None,
    };
    match course {
        Some(Course::Query(query)) if !query.matches(&prepared.entry.record) => {}
        None | Some(Course::Query(_)) => {
            let guarded = Guarded::new(channel, method, row);
            guarded.fire(&vec![prepared.reached()], filters, &call, tally);
        }
        Some(course) => {
            let members = Members::new(vec![prepared.clone()], channel.sites(), 0);
            steered::fire_members(channel, &members, method, &course, row, &call, tally);
        }
    }
}

/// Returns what becomes of an event for a subscription with a seat. One that is behind gets it
/// later; whatever it asks of the event was asked before.
pub(super) fn turn<I: Facet + ?Sized>(
    channel: &Channel<I>,
    method: usize,
    row: &EventRow<'_>,
    reached: Reached<'_, I>,
    seat: &Seat,
) -> Result<Turn, Failure> {
    let place = row.kept.as_ref().map(|kept| kept.place);
    let mut turn = seat.turn(place);
    if turn == Turn::Later && seat.catch_up_early() {
        turn = seat.turn(place);
        if turn == Turn::Past {
            // It was among what is retained by now.
            return Ok(Turn::Later);
        }
    }
    if turn != Turn::Later {
        return Ok(turn);
    }
    let event = match row.kept.as_ref().and_then(|kept| kept.event) {
        Some(event) => Arc::clone(event),
        None => Arc::new(KeptEvent::new(method, row, drawn())),
    };
    // Held: another channel may take its place before the event's turn comes.
    let (held, mut prepared) = (channel.me.upgrade(), reached.to_prepared());
    prepared.settle();
    let deliver = move || {
        if let Some(channel) = held {
            deliver(&channel, &prepared, &event, Filters::Passed, event.drawn);
        }
    };
    let waiting = WaitingEvent {
        place,
        // Inside of this fire, and it is to be fired again.
        depth: depth().saturating_sub(1),
        deliver: Box::new(deliver),
    };
    match seat.wait(waiting) {
        Ok(()) => Ok(Turn::Later),
        Err((why, unused)) => {
            drop_quietly(unused);
            match why {
                NotWaiting::CaughtUp => Ok(seat.turn(place)),
                NotWaiting::Full => Err(Failure::TooFarBehind),
            }
        }
    }
}

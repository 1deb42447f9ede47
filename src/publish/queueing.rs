//! Events for subscriptions that have a queue.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::begun::Begun;
use super::calling::Step;
use super::facet::Facet;
use super::guarded::Guarded;
use super::payload::Call;
use super::pipeline::failure_of;
use super::post::Post;
use super::recalling::Screened;
use super::receiving::settle_quietly;
use super::report::Tally;
use super::with::FirePart;
use crate::component::ActivationError;
use crate::delivery::{
    DeliveryOutcome, Failure, Handed, KeepPast, Next, Parcel, QueuePost, QueueVerdict, Receipt,
    Refusal, SkipReason, Triggered, depth,
};
use crate::value::{drop_quietly, panic_message};

/// An event for the queues of those who want it, which is not in any of them yet.
pub(crate) struct Gathered {
    pub(crate) parcel: Arc<dyn Parcel>,
    pub(crate) posts: Vec<QueuePost>,
    pub(crate) keep: Option<KeepPast>,
    /// Takes back what was decided for it, where it is not stored.
    pub(crate) undo: Vec<Box<dyn FnOnce() + Send>>,
}

crate::sync::thread_local! {
    /// What the fires for a transaction have gathered on this thread.
    static GATHERED: RefCell<Vec<Gathered>> = const { RefCell::new(Vec::new()) };
}

fn gather(gathered: Gathered) {
    GATHERED.with_borrow_mut(|all| all.push(gathered));
}

/// Returns what `fire`, which is for [queues](FirePart::Queues) alone, has for them.
pub(super) fn gathered(fire: impl FnOnce()) -> Vec<Gathered> {
    let outer = GATHERED.take();
    fire();
    GATHERED.replace(outer)
}

/// What a fire has for queues: they get it when it is known who all want the event, in one write.
pub(super) struct Outgoing<I: ?Sized>(RefCell<Vec<Letter<I>>>);

struct Letter<I: ?Sized> {
    post: Arc<Post<I>>,
    lane: u64,
    why: Option<Triggered>,
}

impl<I: Facet + ?Sized> Post<I> {
    /// Has the event stored with the others of the fire.
    pub(super) fn enqueue(&self, guarded: &Guarded<'_, I>, why: Option<Triggered>) -> Begun {
        let Some(post) = self.me.upgrade() else {
            return Begun::Ended(Step::Failed(Failure::Closed));
        };
        let lane = guarded.with_key(self.keys(), digest);
        let letter = Letter { post, lane, why };
        guarded.outgoing().0.borrow_mut().push(letter);
        Begun::Ended(Step::Accepted)
    }

    /// Has an event stored that is due without a fire, and says what became of that.
    pub(super) fn enqueue_due(&self, parcel: &Arc<dyn Parcel>) -> Handed {
        let post = QueuePost {
            subscription: self.entry.record.id(),
            lane: parcel.key().map_or(0, |key| digest(key.as_bytes())),
            why: parcel.triggered(),
            waits: false,
        };
        let (outcomes, _) = self.around.journal.append(parcel, &[post], None, false);
        for refusal in outcomes.into_iter().filter_map(Result::err) {
            self.tell_late(outcome_of(refusal), &**parcel);
        }
        Handed::Over
    }

    /// Delivers an event of the queue, and has the queue know how that went.
    pub(super) fn deliver_queued(&self, parcel: &Arc<dyn Parcel>, receipt: &Receipt) -> Handed {
        let Some(journal) = receipt.journal() else {
            return Handed::Nobody;
        };
        if let Some(withheld) = journal.withhold(parcel, receipt, parcel.fire().time()) {
            return next(withheld);
        }
        if !self.target().is_there(&self.schema) {
            return Handed::Nobody;
        }
        if receipt.is_past() && self.is_beside(&**parcel) {
            return next(journal.judge(parcel, receipt, QueueVerdict::Delivered));
        }
        let fitted = match self.around.upcasters.fitted(parcel, &self.schema) {
            Ok(fitted) => fitted,
            Err(why) => return next(journal.judge(parcel, receipt, QueueVerdict::Misfit(why))),
        };
        if receipt.is_past() {
            let verdict = match self.screened(&*fitted) {
                Screened::Wanted => None,
                Screened::Later => return Handed::Nobody,
                Screened::Unwanted => Some(QueueVerdict::Delivered),
                Screened::Unasked(why) => Some(QueueVerdict::Failed(why)),
            };
            if let Some(verdict) = verdict {
                return next(journal.judge(parcel, receipt, verdict));
            }
        }
        let Some(pass) = self.admit() else {
            return Handed::Back;
        };
        let mut verdict = Some(self.overrun());
        parcel.fire().within_attempt(receipt.attempt(), || {
            self.deliver_here(&fitted, pass, |outcome| verdict = verdict_of(outcome));
        });
        settle_quietly();
        match verdict {
            Some(verdict) => next(journal.judge(parcel, receipt, verdict)),
            None => Handed::Nobody,
        }
    }

    /// Returns what is said of a call that was told of when its deadline was over: nothing else
    /// comes of it.
    fn overrun(&self) -> QueueVerdict {
        let deadline = self.policy.deadline.unwrap_or_default();
        QueueVerdict::Failed(Failure::Deadline(deadline).to_string())
    }
}

impl<I: Facet + ?Sized> Guarded<'_, I> {
    /// Has the event stored for those of the fire that have queues, and the report say where that
    /// failed. The fire waits for that, if one of them asks for it.
    pub(super) fn hand_in(&self, call: &impl Call<I>, tally: &mut Tally) {
        let letters = self.outgoing().0.take();
        if !letters.is_empty() || self.keeping().is_some() {
            self.store(letters, call, tally);
        }
    }

    #[inline(never)]
    fn store(&self, letters: Vec<Letter<I>>, call: &impl Call<I>, tally: &mut Tally) {
        // The arguments' own code makes the copy.
        let parcel = catch_unwind(AssertUnwindSafe(|| self.parcel(call)));
        let parcel = match parcel {
            Ok(parcel) => parcel,
            Err(panic) => {
                let why = failure_of(panic).to_string();
                let failed = || DeliveryOutcome::Failed(Failure::Panicked(why.clone()));
                let refuse = |letter| self.refuse(letter, failed(), tally);
                letters.iter().for_each(refuse);
                if self.keeping().is_some() {
                    tally.leave_out(why);
                }
                return;
            }
        };
        let posts: Vec<_> = letters.iter().map(Letter::post).collect();
        let keep = self.keeping().map(|keeping| {
            keeping.is_done.set(true);
            keeping.keep
        });
        if self.part() == FirePart::Queues {
            let undo = letters.into_iter();
            let undo = undo.filter_map(|letter| self.undoing(letter)).collect();
            return gather(Gathered {
                parcel,
                posts,
                keep,
                undo,
            });
        }
        let journal = &self.channel().around.journal;
        // Inside of a delivery the thread may be the one that is to make the room.
        let (outcomes, unkept) = journal.append(&parcel, &posts, keep.as_ref(), depth() <= 1);
        if let Some(refusal) = unkept {
            let why = refusal.to_string();
            self.channel().tell_of_unkept(&why);
            tally.leave_out(why);
        }
        for (letter, outcome) in letters.iter().zip(outcomes) {
            if let Err(refusal) = outcome {
                self.refuse(letter, outcome_of(refusal), tally);
            }
        }
        drop_quietly(parcel);
    }

    /// Returns what takes back that a trigger has decided for a letter.
    fn undoing(&self, letter: Letter<I>) -> Option<Box<dyn FnOnce() + Send>> {
        letter.post.trigger()?.undoing(self, letter.why)
    }

    fn refuse(&self, letter: &Letter<I>, outcome: DeliveryOutcome, tally: &mut Tally) {
        if let Some(trigger) = letter.post.trigger() {
            trigger.take_back(self, letter.why);
        }
        tally.withdraw_accepted();
        tally.add(&letter.post.entry, outcome);
    }
}

impl<I: ?Sized> Letter<I> {
    fn post(&self) -> QueuePost {
        let waits = self.post.queue.as_ref().is_some_and(|queue| queue.waits());
        QueuePost {
            subscription: self.post.entry.record.id(),
            lane: self.lane,
            why: self.why,
            waits,
        }
    }
}

impl<I: ?Sized> Default for Outgoing<I> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

/// Returns what a queue is told of an outcome: nothing where nobody is there who could be called.
fn verdict_of(outcome: &DeliveryOutcome) -> Option<QueueVerdict> {
    match outcome {
        DeliveryOutcome::Failed(Failure::Activation(ActivationError::NotRegistered(_)))
        | DeliveryOutcome::Skipped(SkipReason::Gone) => None,
        DeliveryOutcome::Failed(failure) => Some(verdict_on(failure)),
        _ => Some(QueueVerdict::Delivered),
    }
}

/// Asks a failure what it is. An error is the subscriber's own code, and a panic in it would leave
/// the queue in the hand of nobody.
fn verdict_on(failure: &Failure) -> QueueVerdict {
    let ask = AssertUnwindSafe(|| (failure.is_hopeless(), failure.to_string()));
    match catch_unwind(ask) {
        Ok((true, text)) => QueueVerdict::Hopeless(text),
        Ok((false, text)) => QueueVerdict::Failed(text),
        Err(panic) => {
            let why = panic_message(panic);
            QueueVerdict::Failed(format!("an error that panicked when it was asked: {why}"))
        }
    }
}

fn outcome_of(refusal: Refusal) -> DeliveryOutcome {
    match refusal {
        Refusal::Full => DeliveryOutcome::Failed(Failure::Overflow),
        Refusal::Dropped => DeliveryOutcome::Skipped(SkipReason::Dropped),
        Refusal::Closed => DeliveryOutcome::Failed(Failure::Closed),
        Refusal::Gone => DeliveryOutcome::Skipped(SkipReason::Gone),
        Refusal::Unwritten(why) => DeliveryOutcome::Failed(Failure::NotStored(why)),
    }
}

fn next(next: Next) -> Handed {
    match next {
        Next::Over => Handed::Over,
        Next::Again(at) => Handed::Later(at),
    }
}

/// Returns a number by which keys are told apart, the same in every process: FNV-1a; 0 for no key.
pub(super) fn digest(key: &[u8]) -> u64 {
    if key.is_empty() {
        return 0;
    }
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    key.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

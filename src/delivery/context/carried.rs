//! A fire on other threads.

use super::{Drawn, EventContext, FRAME, NO_NUMBER, at_depth, depth, enter};
use crate::delivery::shown::{Kept, is_showing};
use crate::delivery::telling::Hooks;
use crate::model::{EventClassId, SubscriptionId};
use crate::value::Value;

/// A fire that goes on on other threads.
#[derive(Debug, Clone)]
pub(crate) struct Carried {
    depth: u32,
    class: EventClassId,
    drawn: Drawn,
    /// What few fires have: an event that waits is small, and quickly freed by another thread.
    rare: Option<Box<Rare>>,
    /// What whoever traces is inside of.
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

/// What few fires have that go on on other threads.
#[derive(Debug, Clone)]
struct Rare {
    shown: Option<Kept>,
    hooks: Hooks,
}

impl Rare {
    #[inline]
    fn at(depth: u32) -> Option<Box<Self>> {
        let may_be_there = is_showing() || Hooks::are_here();
        may_be_there.then(|| Self::found(depth)).flatten()
    }

    #[cold]
    fn found(depth: u32) -> Option<Box<Self>> {
        let (shown, hooks) = (Kept::of(depth), Hooks::here());
        let is_there = shown.is_some() || !hooks.is_empty();
        is_there.then(|| Box::new(Self { shown, hooks }))
    }

    /// Does `work` with it on this thread, as that of a fire at a depth.
    fn within(&self, depth: u32, work: impl FnOnce()) {
        let _shown = self.shown.as_ref().and_then(|kept| kept.show(depth));
        self.hooks.within(work);
    }
}

/// Returns the fire that this thread is inside of, for threads that call some of its subscribers:
/// for all of them it is one event.
pub(crate) fn carried() -> Carried {
    FRAME.with(|frame| Carried {
        depth: frame.depth.get(),
        class: frame.class.get(),
        drawn: frame.draw().for_all(),
        rare: Rare::at(frame.depth.get()),
        #[cfg(feature = "tracing")]
        span: tracing::Span::current(),
    })
}

impl Carried {
    /// Does `work` inside the fire on this thread, which is inside of no other.
    pub(crate) fn within(&self, work: impl FnOnce()) {
        self.within_behind(0, work);
    }

    /// As [`within`](Self::within), for a subscription that has missed so many events before.
    pub(crate) fn within_behind(&self, missed: u64, work: impl FnOnce()) {
        at_depth(self.depth, || {
            #[cfg(feature = "tracing")]
            let _inside = self.span.enter();
            FRAME.with(|frame| {
                frame.class.set(self.class);
                frame.number.set(NO_NUMBER);
                frame.drawn.set(Some(self.drawn_behind(missed)));
            });
            match &self.rare {
                Some(rare) => rare.within(self.depth, work),
                None => work(),
            }
        });
    }

    fn drawn_behind(&self, missed: u64) -> Drawn {
        Drawn {
            missed,
            ..self.drawn
        }
    }

    /// Returns the class.
    pub(crate) fn class(&self) -> EventClassId {
        self.class
    }

    /// Returns what a subscriber may know about the event, before which it has missed so many.
    pub(crate) fn context(&self, subscription: SubscriptionId, missed: u64) -> EventContext {
        EventContext {
            class: self.class,
            subscription,
            drawn: self.drawn_behind(missed),
            depth: self.depth,
        }
    }

    /// Returns a publisher property, as [`EventContext::property`] does.
    pub(crate) fn property(&self, name: &str) -> Option<Value> {
        self.rare.as_ref()?.shown.as_ref()?.get(name)
    }

    /// Does `work` on this thread as a delivery of the event, which may be inside of others here.
    /// Then it is as deep as it is nested, or was fired; nothing is done at the [`NESTING_LIMIT`].
    pub(crate) fn within_any(&self, context: &EventContext, work: impl FnOnce()) {
        let outer = depth();
        let Some(_entered) = enter(self.class) else {
            return;
        };
        let depth = self.depth.max(outer + 1);
        at_depth(depth, || {
            FRAME.with(|frame| {
                frame.subscription.set(context.subscription);
                frame.drawn.set(Some(context.drawn));
            });
            match &self.rare {
                Some(rare) => rare.within(depth, work),
                None => work(),
            }
        });
    }
}

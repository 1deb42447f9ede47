//! A fire on other threads.

use std::sync::Arc;
use std::time::SystemTime;

use super::{
    Drawn, EventContext, EventId, FRAME, NESTING_LIMIT, NO_NUMBER, at_depth, depth, enter,
};
use crate::delivery::shown::{Kept, is_showing};
use crate::delivery::telling::Hooks;
use crate::model::{EventClassId, SubscriptionId};
use crate::value::{Properties, Value};

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

/// What is stored of a fire.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredFire {
    pub(crate) class: EventClassId,
    pub(crate) id: EventId,
    pub(crate) time: SystemTime,
    pub(crate) depth: u32,
    pub(crate) properties: Properties,
}

impl Carried {
    /// Returns a fire that was stored, of which no span is left.
    pub(crate) fn restored(fire: StoredFire) -> Self {
        let shown = (!fire.properties.is_empty()).then(|| Kept::new(Arc::new(fire.properties)));
        let rare = shown.map(|shown| Rare {
            shown: Some(shown),
            hooks: Hooks::default(),
        });
        Self {
            // One that was stored by somebody else's hand is no deeper than any can be.
            depth: fire.depth.clamp(1, NESTING_LIMIT),
            class: fire.class,
            drawn: Drawn {
                stored: Some(fire.id),
                time: fire.time,
                ..Drawn::new()
            },
            rare: rare.map(Box::new),
            #[cfg(feature = "tracing")]
            span: tracing::Span::none(),
        }
    }

    /// Returns the publisher properties that its subscribers see.
    pub(crate) fn properties(&self) -> Properties {
        let shown = self.rare.as_ref().and_then(|rare| rare.shown.as_ref());
        shown.map_or_else(Properties::default, Kept::properties)
    }

    /// Returns what is to be stored of the fire.
    pub(crate) fn to_stored(&self) -> StoredFire {
        StoredFire {
            class: self.class,
            id: self.drawn.event_id(),
            time: self.drawn.time,
            depth: self.depth,
            properties: self.properties(),
        }
    }

    /// Returns what the event is, for all who get it.
    pub(crate) fn drawn(&self) -> Drawn {
        self.drawn.for_all()
    }

    /// Returns when it was fired.
    pub(crate) fn time(&self) -> SystemTime {
        self.drawn.time
    }

    /// Does `work` inside the fire on this thread, which is inside of no other.
    pub(crate) fn within(&self, work: impl FnOnce()) {
        self.within_behind(0, work);
    }

    /// As [`within`](Self::within), for a subscription that has missed so many events before.
    pub(crate) fn within_behind(&self, missed: u64, work: impl FnOnce()) {
        self.within_as(self.drawn_behind(missed), work);
    }

    /// As [`within`](Self::within), for a delivery that was tried before.
    pub(crate) fn within_attempt(&self, attempt: u32, work: impl FnOnce()) {
        let drawn = Drawn {
            attempt,
            ..self.drawn
        };
        self.within_as(drawn, work);
    }

    fn within_as(&self, drawn: Drawn, work: impl FnOnce()) {
        at_depth(self.depth, || {
            #[cfg(feature = "tracing")]
            let _inside = self.enter_span();
            FRAME.with(|frame| {
                frame.class.set(self.class);
                frame.number.set(NO_NUMBER);
                frame.drawn.set(Some(drawn));
            });
            match &self.rare {
                Some(rare) => rare.within(self.depth, work),
                None => work(),
            }
        });
    }

    /// Enters the span of the fire, until what this returns is dropped.
    #[cfg(feature = "tracing")]
    pub(crate) fn enter_span(&self) -> tracing::span::Entered<'_> {
        self.span.enter()
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
            #[cfg(feature = "tracing")]
            let _inside = self.enter_span();
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

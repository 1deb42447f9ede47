//! An event on the thread of somebody who came for it.

use super::{Carried, EventContext, FRAME, at_depth, depth, enter};
use crate::model::SubscriptionId;
use crate::value::Value;

impl Carried {
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

//! The publisher properties of the events that are being delivered on this thread.

use std::cell::RefCell;
use std::sync::Arc;

use super::context::depth;
use crate::value::{Properties, Value, ValueRef};

thread_local! {
    static STACK: RefCell<Stack> = const {
        RefCell::new(Stack {
            fires: Vec::new(),
            lent: Vec::new(),
            used: 0,
        })
    };
}

/// Those of a fire and of the fires around it, the innermost last. What it has once held stays as
/// room for what comes, so that showing values allocates nothing for long.
struct Stack {
    fires: Vec<Fire>,
    /// Values that were lent to single fires, of which the first ones are in use.
    lent: Vec<(String, Value)>,
    used: usize,
}

struct Fire {
    depth: u32,
    /// Where its lent values begin.
    first: usize,
    own: Arc<Properties>,
    defaults: Arc<Properties>,
}

/// Shows the properties of one fire until it is dropped.
pub(crate) struct Shown(());

/// Shows subscribers the properties of the fire that begins next on this thread: what was lent to
/// this one event, what the publisher object has, and what its class has where that says nothing.
pub(crate) fn show(
    lent: &[(&str, ValueRef<'_>)],
    own: Arc<Properties>,
    defaults: Arc<Properties>,
) -> Shown {
    STACK.with_borrow_mut(|stack| {
        stack.begin(depth() + 1, own, defaults);
        lent.iter()
            .for_each(|(name, value)| stack.lend(name, *value));
    });
    Shown(())
}

/// What a fire shows, to be shown on another thread too.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    lent: Arc<[(String, Value)]>,
    own: Arc<Properties>,
    defaults: Arc<Properties>,
}

impl Kept {
    /// Returns what the fire at a depth shows, if that is anything.
    pub(super) fn of(depth: u32) -> Option<Self> {
        STACK.with_borrow(|stack| {
            let (fire, lent) = stack.at(depth)?;
            Some(Self {
                lent: lent.into(),
                own: Arc::clone(&fire.own),
                defaults: Arc::clone(&fire.defaults),
            })
        })
    }

    /// Shows it on this thread, as that of the fire at a depth.
    pub(super) fn show(&self, depth: u32) -> Shown {
        STACK.with_borrow_mut(|stack| {
            stack.begin(depth, Arc::clone(&self.own), Arc::clone(&self.defaults));
            let lent = self.lent.iter();
            lent.for_each(|(name, value)| stack.lend(name, value.view()));
        });
        Shown(())
    }
}

/// Returns a property of the fire at a depth.
pub(super) fn shown(depth: u32, name: &str) -> Option<Value> {
    STACK.with_borrow(|stack| {
        let (fire, lent) = stack.at(depth)?;
        let mut lent = lent.iter();
        let lent = lent.find(|(lent, _)| lent == name).map(|(_, value)| value);
        let kept = || fire.own.get(name).or_else(|| fire.defaults.get(name));
        lent.or_else(kept).cloned()
    })
}

impl Stack {
    fn begin(&mut self, depth: u32, own: Arc<Properties>, defaults: Arc<Properties>) {
        self.fires.push(Fire {
            depth,
            first: self.used,
            own,
            defaults,
        });
    }

    /// Returns the fire at a depth and what was lent to it.
    fn at(&self, depth: u32) -> Option<(&Fire, &[(String, Value)])> {
        let place = self.fires.iter().rposition(|fire| fire.depth == depth)?;
        let fire = self.fires.get(place)?;
        let end = self.fires.get(place + 1).map_or(self.used, |it| it.first);
        Some((fire, self.lent.get(fire.first..end)?))
    }

    fn lend(&mut self, name: &str, value: ValueRef<'_>) {
        match (self.lent.get_mut(self.used), value) {
            (Some((present, Value::Str(text))), ValueRef::Str(value)) => {
                replace(present, name);
                replace(text, value);
            }
            (Some((present, room)), value) => {
                replace(present, name);
                *room = value.to_value();
            }
            (None, value) => self.lent.push((name.to_owned(), value.to_value())),
        }
        self.used += 1;
    }
}

fn replace(text: &mut String, by: &str) {
    text.clear();
    text.push_str(by);
}

impl Drop for Shown {
    fn drop(&mut self) {
        let fire = STACK.with_borrow_mut(|stack| {
            let fire = stack.fires.pop();
            stack.used = fire.as_ref().map_or(0, |fire| fire.first);
            fire
        });
        drop(fire);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_nested_fires_are_told_apart_and_room_is_used_again() {
        let none = || Arc::new(Properties::new());
        let own = Arc::new(Properties::from([("desk", "fx"), ("floor", "2")]));
        let outer = show(&[("desk", ValueRef::Str("bonds"))], own, none());
        let seen = |name| shown(1, name);
        assert_eq!(seen("desk"), Some("bonds".into()));
        {
            let values = [("desk", ValueRef::I64(7)), ("more", ValueRef::Bool(true))];
            let _inner = show(&values, none(), none());
            assert_eq!(seen("desk"), Some(7.into()));
            assert_eq!((seen("floor"), seen("more")), (None, Some(true.into())));
        }
        assert_eq!(seen("desk"), Some("bonds".into()));
        assert_eq!((seen("floor"), seen("more")), (Some("2".into()), None));
        drop(outer);
        assert_eq!((seen("desk"), shown(0, "desk")), (None, None));
        STACK.with_borrow(|stack| assert_eq!((stack.lent.len(), stack.used), (3, 0)));
    }
}

//! The publisher properties of the events that are being delivered on this thread.

use std::cell::RefCell;
use std::sync::Arc;

use smallvec::SmallVec;

use super::context::depth;
use crate::value::{Properties, Value, ValueRef};

crate::sync::thread_local! {
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

/// Shows subscribers the properties of the fire that this thread is inside of, if it has any: what
/// was lent to this one event, what the publisher object has, and what its class has where that
/// says nothing. A thread that is ending shows nothing.
pub(crate) fn show(
    lent: &[(&str, ValueRef<'_>)],
    own: &Arc<Properties>,
    defaults: &Arc<Properties>,
) -> Option<Shown> {
    if lent.is_empty() && own.is_empty() && defaults.is_empty() {
        return None;
    }
    // Views of lists and records are the user's own code, which may fire too.
    let read = |(_, value): &(_, ValueRef<'_>)| match value {
        ValueRef::Str(_) => None,
        value => Some(value.to_value()),
    };
    let values: SmallVec<[Option<Value>; 4]> = lent.iter().map(read).collect();
    let begin = |stack: &RefCell<Stack>| {
        let mut stack = stack.borrow_mut();
        stack.begin(depth(), Arc::clone(own), Arc::clone(defaults));
        for ((name, text), value) in lent.iter().zip(values) {
            stack.lend(name, value, text.as_str().unwrap_or_default());
        }
    };
    STACK.try_with(begin).ok().map(Shown)
}

/// Returns whether any fire on this thread shows something.
#[inline]
pub(super) fn is_showing() -> bool {
    STACK.try_with(|stack| !stack.borrow().fires.is_empty()) == Ok(true)
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
        let keep = |stack: &RefCell<Stack>| {
            let stack = stack.borrow();
            let (fire, lent) = stack.at(depth)?;
            Some(Self {
                lent: lent.into(),
                own: Arc::clone(&fire.own),
                defaults: Arc::clone(&fire.defaults),
            })
        };
        STACK.try_with(keep).ok().flatten()
    }

    /// Returns what shows these.
    pub(super) fn new(own: Arc<Properties>) -> Self {
        Self {
            lent: Arc::default(),
            own,
            defaults: Arc::default(),
        }
    }

    /// Returns all of the properties.
    pub(super) fn properties(&self) -> Properties {
        let mut all = Properties::clone(&self.defaults);
        let pairs = self.own.iter();
        let pairs = pairs.chain(self.lent.iter().map(|(name, value)| (name, value)));
        for (name, value) in pairs {
            all.insert(name.as_str(), value.clone());
        }
        all
    }

    /// Returns one of the properties.
    pub(super) fn get(&self, name: &str) -> Option<Value> {
        let lent = self.lent.iter().find(|(lent, _)| lent == name);
        let kept = || self.own.get(name).or_else(|| self.defaults.get(name));
        lent.map(|(_, value)| value).or_else(kept).cloned()
    }

    /// Shows it on this thread, as that of the fire at a depth.
    pub(super) fn show(&self, depth: u32) -> Option<Shown> {
        let begin = |stack: &RefCell<Stack>| {
            let mut stack = stack.borrow_mut();
            stack.begin(depth, Arc::clone(&self.own), Arc::clone(&self.defaults));
            let lent = self.lent.iter();
            lent.for_each(|(name, value)| stack.lend(name, Some(value.clone()), ""));
        };
        STACK.try_with(begin).ok().map(Shown)
    }
}

/// Returns a property of the fire at a depth.
pub(super) fn shown(depth: u32, name: &str) -> Option<Value> {
    let find = |stack: &RefCell<Stack>| {
        let stack = stack.borrow();
        let (fire, lent) = stack.at(depth)?;
        let lent = lent.iter().find(|(lent, _)| lent == name);
        let kept = || fire.own.get(name).or_else(|| fire.defaults.get(name));
        lent.map(|(_, value)| value).or_else(kept).cloned()
    };
    STACK.try_with(find).ok().flatten()
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

    /// Adds a lent value: this one, or else the text.
    fn lend(&mut self, name: &str, value: Option<Value>, text: &str) {
        match (self.lent.get_mut(self.used), value) {
            (Some((present, Value::Str(room))), None) => {
                replace(present, name);
                replace(room, text);
            }
            (Some((present, room)), value) => {
                replace(present, name);
                *room = value.unwrap_or_else(|| text.into());
            }
            (None, value) => {
                let value = value.unwrap_or_else(|| text.into());
                self.lent.push((name.to_owned(), value));
            }
        }
        self.used += 1;
    }

    /// Ends the innermost fire, and returns what is not kept as room.
    fn end(&mut self) -> (Option<Fire>, Vec<Value>) {
        let fire = self.fires.pop();
        let first = fire.as_ref().map_or(0, |fire| fire.first);
        let lent = self.lent.get_mut(first..self.used).unwrap_or_default();
        self.used = first;
        let mut large = Vec::new();
        for (_, value) in lent {
            match value {
                Value::Str(text) if text.capacity() <= KEPT => text.clear(),
                value => {
                    let value = std::mem::take(value);
                    // Most are numbers, of which nothing is left to drop.
                    if matches!(
                        value,
                        Value::Str(_) | Value::Bytes(_) | Value::List(_) | Value::Record(_)
                    ) {
                        large.push(value);
                    }
                }
            }
        }
        (fire, large)
    }
}

/// The longest text whose room is kept.
const KEPT: usize = 256;

fn replace(text: &mut String, by: &str) {
    text.clear();
    text.push_str(by);
}

impl Drop for Shown {
    fn drop(&mut self) {
        let ended = STACK.try_with(|stack| stack.borrow_mut().end());
        drop(ended);
    }
}

#[cfg(test)]
mod tests {
    use super::super::context::enter;
    use super::*;
    use crate::model::EventClassId;

    #[test]
    fn values_of_nested_fires_are_told_apart_and_room_is_used_again() {
        let none = Arc::new(Properties::new());
        let own = Arc::new(Properties::from([("desk", "fx"), ("floor", "2")]));
        let class = EventClassId::from_u128(1);
        let seen = |depth: u32| ["desk", "floor", "more"].map(|name| shown(depth, name));
        assert!(show(&[], &none, &none).is_none());
        let outer = enter(class);
        let outer_shown = show(&[("desk", ValueRef::Str("bonds"))], &own, &none);
        let of_outer = [Some("bonds".into()), Some("2".into()), None];
        {
            let _inner = enter(class);
            assert_eq!(seen(2), [None, None, None]);
            let list = Value::from(vec![1, 2]);
            let values = [("desk", ValueRef::I64(7)), ("more", list.view())];
            let _shown = show(&values, &none, &none);
            assert_eq!(seen(2), [Some(7.into()), None, Some(list.clone())]);
            assert_eq!(seen(1), of_outer);
        }
        assert_eq!((seen(1), seen(2)), (of_outer, [None, None, None]));
        drop(outer_shown);
        assert_eq!(seen(1), [None, None, None]);
        drop(outer);
        STACK.with_borrow(|stack| {
            assert_eq!((stack.lent.len(), stack.used), (3, 0));
            let kept = stack.lent.iter().map(|(_, value)| value);
            assert!(kept.eq([&Value::from(""), &Value::Null, &Value::Null]));
        });
    }

    #[test]
    fn long_text_is_not_kept() {
        let none = Arc::new(Properties::new());
        let long = "x".repeat(KEPT + 1);
        drop(show(&[("body", ValueRef::Str(&long))], &none, &none));
        STACK.with_borrow(|stack| assert_eq!(stack.lent[0].1, Value::Null));
    }
}

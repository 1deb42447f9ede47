//! The constants that are asked for, a part at a time.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use smallvec::SmallVec;

use super::demand::Asker;
use super::interest::ParameterInterest;
use crate::filter::Collation;
use crate::index::AskedConstant;
use crate::value::Value;

/// A constant that subscriptions compare a value with, or a text that they want it to begin with.
#[derive(Debug, Clone, PartialEq)]
pub struct AskedValue {
    value: Value,
    collation: Collation,
}

/// The constants or the beginnings that subscriptions ask for at one place, in no order.
///
/// They are collected a few at a time, so that no fire and no change waits for long. What is asked
/// for from the first to the last step comes, and what came or went meanwhile may; of that a value
/// may come twice.
#[derive(Debug)]
pub struct AskedValues {
    of: ParameterInterest,
    kind: Kind,
    found: VecDeque<AskedValue>,
    /// Those who were not asked to the end, the present one last.
    askers: SmallVec<[Asker; 2]>,
    /// Whose numbers `next` is one of.
    identity: Weak<()>,
    /// Where the next part begins.
    next: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Constant,
    Prefix,
}

impl AskedValue {
    /// Returns the value; under [`Collation::IgnoreAsciiCase`] a text in lower case.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Returns how texts are compared with it.
    pub fn collation(&self) -> Collation {
        self.collation
    }
}

impl AskedValues {
    pub(super) fn new(of: &ParameterInterest, kind: Kind) -> Self {
        Self {
            of: of.clone(),
            kind,
            found: VecDeque::new(),
            askers: of.askers().collect(),
            identity: Weak::new(),
            next: 0,
        }
    }

    /// Collects the next part of what one of those who ask asks for.
    fn collect_part(&mut self, asker: Asker) {
        let (mut found, mut identity) = (Vec::new(), Weak::new());
        let (known, at) = (&self.identity, self.next);
        let mut next = None;
        self.of.ask(asker, &mut |demand| {
            identity = demand.identity.map_or_else(Weak::new, Arc::downgrade);
            // Numbers of something else say nothing here.
            let from = if known.ptr_eq(&identity) { at } else { 0 };
            let visit = &mut |constant| found.push(constant);
            let filters = demand.filters;
            next = filters.and_then(|filters| filters.constants(self.of.path(), from, visit));
        });
        match next {
            Some(next) => (self.identity, self.next) = (identity, next),
            None => {
                self.askers.pop();
                (self.identity, self.next) = (Weak::new(), 0);
            }
        }
        let of_kind = |asked: &AskedConstant| asked.is_prefix == (self.kind == Kind::Prefix);
        let asked = found.into_iter().filter(of_kind).map(|asked| AskedValue {
            value: self.of.value_type().own(asked.value),
            collation: asked.collation,
        });
        self.found.extend(asked);
    }
}

impl Iterator for AskedValues {
    type Item = AskedValue;

    fn next(&mut self) -> Option<AskedValue> {
        while self.found.is_empty()
            && let Some(asker) = self.askers.last()
        {
            self.collect_part(*asker);
        }
        self.found.pop_front()
    }
}

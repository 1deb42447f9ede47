//! The constants that are asked for, a part at a time.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

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
    /// Whose numbers `next` is one of.
    identity: Weak<()>,
    /// Where the next part begins, if there is one.
    next: Option<u32>,
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
            identity: Weak::new(),
            next: Some(0),
        }
    }

    /// Collects the next part.
    fn collect_part(&mut self) {
        let (mut found, mut identity) = (Vec::new(), Weak::new());
        let (known, at) = (&self.identity, self.next.take().unwrap_or_default());
        let mut next = None;
        self.of.ask(&mut |demand| {
            identity = demand.identity.map_or_else(Weak::new, Arc::downgrade);
            // Numbers of something else say nothing here.
            let from = if known.ptr_eq(&identity) { at } else { 0 };
            let visit = &mut |constant| found.push(constant);
            let filters = demand.filters;
            next = filters.and_then(|filters| filters.constants(self.of.path(), from, visit));
        });
        (self.identity, self.next) = (identity, next);
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
        while self.found.is_empty() && self.next.is_some() {
            self.collect_part();
        }
        self.found.pop_front()
    }
}

//! Values in the bags of subscriptions that an event has to have.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::filter::{CompareOp, Expr, Literal, Name, Operand};
use crate::model::EventClass;
use crate::value::{EventMethod, InterfaceSchema, Properties, Value};

/// The publisher filter that compares bags with events: a value in a subscription's bag for the
/// publisher side must be equal to the event's parameter of that name, or else to the publisher
/// property.
///
/// A subscription without the value in its bag gets every event; one with a list, the events that have
/// one of its members; one with the value gets no event that has neither parameter nor property of the
/// name. The values become part of the subscriptions' filters and are found by the index with them, so
/// a million subscriptions that a bag tells apart cost what a million filters do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BagEquality {
    names: Arc<[Box<str>]>,
}

impl BagEquality {
    /// Returns the filter that compares the values of these names.
    pub fn on<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        let names = names.into_iter().map(|name| name.into().into());
        Self {
            names: names.collect(),
        }
    }

    /// Returns the names.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Returns whether there is no name.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns whether it is this very one.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.names, &other.names) || self.names == other.names
    }

    /// Refuses a name that can be no event's: neither the class nor one of the methods has it.
    pub(crate) fn check<'a>(
        &self,
        class: &EventClass,
        schemas: impl Iterator<Item = &'a InterfaceSchema> + Clone,
    ) -> Result<()> {
        for name in &*self.names {
            let mut methods = schemas.clone().flat_map(InterfaceSchema::methods);
            let known = class.has_open_properties()
                || class.declaration(name).is_some()
                || methods.any(|method| method.parameter(name).is_some());
            if !known {
                let message = format!(
                    "no event of {:?} has a parameter {name:?}, nor is it a publisher property",
                    class.name()
                );
                return Err(Error::new(ErrorKind::NotFound, message));
            }
        }
        Ok(())
    }

    /// Returns what a subscription with this bag asks of the events of a method, if anything.
    pub(super) fn condition(
        &self,
        bag: &Properties,
        class: &EventClass,
        method: &EventMethod,
    ) -> Option<Expr> {
        if bag.is_empty() {
            return None;
        }
        let named = |name: &str| {
            let value = bag.get(name).filter(|value| !value.view().is_null())?;
            let steps = match method.parameter(name) {
                Some(_) => vec![name],
                None if class.has_open_properties() || class.declaration(name).is_some() => {
                    vec!["publisher", name]
                }
                // Nobody's name: NULL, to which nothing is equal.
                None => vec![name],
            };
            Some(equal(Name::new(steps), value))
        };
        let mut parts = self.names().filter_map(named);
        let first = parts.next()?;
        Some(parts.fold(first, Expr::and))
    }
}

impl<S: Into<String>, const N: usize> From<[S; N]> for BagEquality {
    fn from(names: [S; N]) -> Self {
        Self::on(names)
    }
}

fn equal(name: Name, value: &Value) -> Expr {
    match value {
        Value::List(members) => Expr::In {
            name,
            negated: false,
            values: members.iter().cloned().map(Literal::from).collect(),
            collation: Default::default(),
        },
        value => Expr::Compare {
            name,
            op: CompareOp::Eq,
            operand: Operand::Constant(value.clone().into()),
            collation: Default::default(),
        },
    }
}

//! Why criteria did or did not select a row.

use std::fmt;

use super::evaluate;
use super::expr::Expr;
use super::predicate::{Condition, Place, Predicate, Row};
use crate::value::{Value, ValueRef};

/// The part of criteria that decided about an event, and the values that it read.
///
/// Its text is such as `price > 185 is false: price = 184.2`. Where the criteria are true, they are
/// named whole, or, of alternatives, the first that is true.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    predicate: String,
    outcome: Option<bool>,
    values: Vec<(String, Value)>,
}

impl Decision {
    /// Returns the canonical text of the part.
    pub fn predicate(&self) -> &str {
        &self.predicate
    }

    /// Returns what the part came to; `None` is UNKNOWN.
    pub fn outcome(&self) -> Option<bool> {
        self.outcome
    }

    /// Returns the names in the part and their values, in the order of the text.
    pub fn values(&self) -> &[(String, Value)] {
        &self.values
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.outcome {
            Some(true) => "true",
            Some(false) => "false",
            None => "unknown",
        };
        write!(f, "{} is {outcome}", self.predicate)?;
        for (index, (name, value)) in self.values.iter().enumerate() {
            let separator = if index > 0 { ", " } else { ": " };
            write!(f, "{separator}{name} = {value}")?;
        }
        Ok(())
    }
}

impl Predicate {
    /// Returns what decides whether the row is selected; the outcome is that of the whole.
    ///
    /// Of a conjunction that is its first part that is FALSE, or else the first that is UNKNOWN; one
    /// that is TRUE is named whole, since all its parts decide. Of a disjunction it is the first part
    /// that is TRUE; one that is not is named whole, as is a negation.
    pub(crate) fn explain<R: Row + ?Sized>(&self, row: &R) -> Decision {
        let (outcome, part) = deciding(self.filter.expr(), &self.condition, row);
        let mut values: Vec<(String, Value)> = Vec::new();
        part.for_each_name(&mut |name, _| {
            let name = name.to_string();
            if values.iter().all(|(known, _)| *known != name) {
                let value = self.value_of(&name, row).to_value();
                values.push((name, value));
            }
        });
        Decision {
            predicate: part.to_string(),
            outcome,
            values,
        }
    }

    fn value_of<'r, R: Row + ?Sized>(&'r self, name: &str, row: &'r R) -> ValueRef<'r> {
        let place = self.places.iter().find(|(known, _)| **known == *name);
        match place {
            Some((_, Place::Row(path))) => path.read(row),
            Some((_, Place::Known(value))) => value.view(),
            None => ValueRef::Null,
        }
    }
}

/// Returns what `expr`, compiled as `condition`, comes to, and the part of it that decides; asks no
/// part twice.
fn deciding<'e, R: Row + ?Sized>(
    expr: &'e Expr,
    condition: &Condition,
    row: &R,
) -> (Option<bool>, &'e Expr) {
    let (parts, conditions, absorbing) = match (expr, condition) {
        (Expr::And(parts), Condition::And(all)) => (parts, all, false),
        (Expr::Or(parts), Condition::Or(all)) => (parts, all, true),
        _ => return (evaluate::condition(condition, row), expr),
    };
    let mut unknown = None;
    for (part, condition) in parts.iter().zip(conditions) {
        let (outcome, decides) = deciding(part, condition, row);
        match outcome {
            Some(outcome) if outcome == absorbing => return (Some(outcome), decides),
            Some(_) => {}
            None => unknown = unknown.or(Some(decides)),
        }
    }
    match unknown {
        // A disjunction has no part that is to blame for the others not being true.
        Some(decides) => (None, if absorbing { expr } else { decides }),
        None => (Some(!absorbing), expr),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "the criteria are valid")]
    use super::*;
    use crate::filter::{EventRow, Filter, Scope, check};
    use crate::value::{EventMethod, Parameter, Properties, ValueType};

    /// Returns the decision about an event with symbol 'IBM', price 184.2 and no volume.
    fn decision(criteria: &str) -> String {
        let method = EventMethod::new(
            "price_changed",
            [
                Parameter::new("symbol", ValueType::Str),
                Parameter::new("price", ValueType::F64),
                Parameter::new("volume", ValueType::Option(Box::new(ValueType::U64))),
            ],
        );
        let bag = Properties::from([("symbol", "MSFT")]);
        let scope = Scope::for_method(&method).with_subscription(&bag);
        let predicate = check(&Filter::parse(criteria).unwrap(), &scope).unwrap();
        let row = EventRow {
            values: &[ValueRef::Str("IBM"), ValueRef::F64(184.2), ValueRef::Null],
            publisher: &Properties::new(),
        };
        predicate.explain(&row).to_string()
    }

    #[test]
    fn criteria_that_are_true_are_named_with_all_that_made_them_so() {
        assert_eq!(decision("ALL"), "ALL is true");
        assert_eq!(
            decision("symbol = 'IBM' AND price < 185"),
            "symbol = 'IBM' AND price < 185 is true: symbol = 'IBM', price = 184.2"
        );
        assert_eq!(
            decision("volume > 1 OR (price < 185 AND symbol = 'IBM') OR price = 0"),
            "price < 185 AND symbol = 'IBM' is true: price = 184.2, symbol = 'IBM'"
        );
        assert_eq!(
            decision("NOT price > 185"),
            "NOT price > 185 is true: price = 184.2"
        );
    }

    #[test]
    fn no_part_is_evaluated_twice() {
        struct Counted(std::cell::Cell<usize>);
        impl Row for Counted {
            fn root(&self, _index: usize) -> ValueRef<'_> {
                self.0.set(self.0.get() + 1);
                ValueRef::I64(1)
            }
            fn publisher(&self, _name: &str) -> ValueRef<'_> {
                ValueRef::Null
            }
        }
        let method = EventMethod::new("m", [Parameter::new("a", ValueType::I64)]);
        let filter = Filter::parse("a = 1 AND (a = 1 AND (a = 2 OR a = 3))").unwrap();
        let predicate = check(&filter, &Scope::for_method(&method)).unwrap();
        let row = Counted(std::cell::Cell::new(0));
        let decision = predicate.explain(&row);
        assert_eq!(decision.predicate(), "a = 2 OR a = 3");
        // Four comparisons, and the one value that the decision shows.
        assert_eq!(row.0.get(), 5);
    }

    #[test]
    fn first_false_part_of_a_conjunction_decides() {
        assert_eq!(
            decision("volume > 5 & symbol = 'IBM' & price > 185 & price > 186"),
            "price > 185 is false: price = 184.2"
        );
        assert_eq!(
            decision("symbol = 'IBM' & volume > 5"),
            "volume > 5 is unknown: volume = NULL"
        );
    }

    #[test]
    fn disjunction_is_named_whole_with_each_value_once() {
        assert_eq!(
            decision("price > 185 AND ALL AND (price > 190 OR symbol = 'A')"),
            "price > 185 is false: price = 184.2"
        );
        assert_eq!(
            decision("symbol = 'IBM' AND (price > 190 OR price < 10 OR symbol = 'A')"),
            "price > 190 OR price < 10 OR symbol = 'A' is false: price = 184.2, symbol = 'IBM'"
        );
    }

    #[test]
    fn values_of_the_subscription_are_named_too() {
        assert_eq!(
            decision("subscription.symbol = symbol"),
            "subscription.symbol = symbol is false: subscription.symbol = 'MSFT', symbol = 'IBM'"
        );
    }
}

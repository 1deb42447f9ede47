//! Why criteria did or did not select a row.

use std::fmt;

use super::evaluate;
use super::expr::Expr;
use super::operand::Name;
use super::predicate::{Condition, Path, Predicate, Row};
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
    /// Of a conjunction that is its first part that is FALSE, or else the first that is UNKNOWN;
    /// one that is TRUE is named whole, since all its parts decide. Of a disjunction it is the
    /// first part that is TRUE; one that is not is named whole, as is a negation.
    pub(crate) fn explain<R: Row + ?Sized>(&self, row: &R) -> Decision {
        let whole = Part {
            expr: self.filter.expr(),
            condition: &self.condition,
        };
        let (outcome, part) = whole.deciding(row);
        let mut values: Vec<(String, Value)> = Vec::new();
        part.for_each_leaf(&mut |names, condition| {
            let mut paths = paths(condition).into_iter().flatten();
            for name in names.into_iter().flatten() {
                let known = self.known.iter().find(|(known, _)| known == name);
                let path = if known.is_none() { paths.next() } else { None };
                let name = name.to_string();
                if values.iter().all(|(shown, _)| *shown != name) {
                    let value = match known {
                        Some((_, value)) => value.view(),
                        None => path.map_or(ValueRef::Null, |path| path.read(row)),
                    };
                    values.push((name, value.to_value()));
                }
            }
        });
        Decision {
            predicate: part.expr.to_string(),
            outcome,
            values,
        }
    }
}

/// A part of criteria and what it was compiled to.
#[derive(Clone, Copy)]
struct Part<'p> {
    expr: &'p Expr,
    condition: &'p Condition,
}

/// The left and the right side of a comparison, as far as they are names.
type Names<'p> = [Option<&'p Name>; 2];

impl<'p> Part<'p> {
    /// Returns what it comes to, and the part of it that decides; asks no part twice.
    fn deciding<R: Row + ?Sized>(self, row: &R) -> (Option<bool>, Self) {
        let (parts, conditions, absorbing) = match (self.expr, self.condition) {
            (Expr::And(parts), Condition::And(all)) => (parts, all, false),
            (Expr::Or(parts), Condition::Or(all)) => (parts, all, true),
            _ => return (evaluate::condition(self.condition, row), self),
        };
        let mut unknown = None;
        for (expr, condition) in parts.iter().zip(conditions) {
            let (outcome, decides) = Part { expr, condition }.deciding(row);
            match outcome {
                Some(outcome) if outcome == absorbing => return (Some(outcome), decides),
                Some(_) => {}
                None => unknown = unknown.or(Some(decides)),
            }
        }
        match unknown {
            // A disjunction has no part that is to blame for the others not being true.
            Some(decides) => (None, if absorbing { self } else { decides }),
            None => (Some(!absorbing), self),
        }
    }

    /// Calls `visit` with the names of each comparison inside and what it was compiled to, in the
    /// order of the text.
    fn for_each_leaf(self, visit: &mut dyn FnMut(Names<'p>, &'p Condition)) {
        match (self.expr, self.condition) {
            (Expr::And(parts), Condition::And(all)) | (Expr::Or(parts), Condition::Or(all)) => {
                for (expr, condition) in parts.iter().zip(all) {
                    Part { expr, condition }.for_each_leaf(visit);
                }
            }
            (Expr::Not(expr), condition) => {
                let condition = affirmed(condition);
                Part { expr, condition }.for_each_leaf(visit);
            }
            (Expr::Between { name, bounds, .. }, condition) => {
                if let Condition::And(both) = affirmed(condition) {
                    for (bound, condition) in [&bounds.0, &bounds.1].into_iter().zip(both) {
                        visit([Some(name), bound.name()], condition);
                    }
                }
            }
            (leaf, condition) => visit(leaf.names(), condition),
        }
    }
}

/// Returns what is negated; what is not, as it is.
fn affirmed(condition: &Condition) -> &Condition {
    match condition {
        Condition::Not(inner) => inner,
        other => other,
    }
}

/// Returns where a comparison reads, the left side first.
fn paths(leaf: &Condition) -> [Option<&Path>; 2] {
    match affirmed(leaf) {
        Condition::Test { path, .. } => [Some(path), None],
        Condition::Compare(of) => [Some(&of.left), Some(&of.right)],
        _ => [None, None],
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

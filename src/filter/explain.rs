//! Why criteria did not select a row.

use std::fmt;

use super::evaluate;
use super::expr::Expr;
use super::predicate::{Condition, Place, Predicate, Row};
use crate::value::{Value, ValueRef};

/// The part of criteria that kept an event from being delivered, and the values that it read.
///
/// Its text is such as `price > 185 is false: price = 184.2`.
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

    /// Returns what the part came to: `Some(false)`, or `None` if it is UNKNOWN.
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
    /// Returns what keeps the row from being selected, or `None` if it is selected.
    ///
    /// Of a conjunction that is its first part that is FALSE, or else the first that is UNKNOWN; a
    /// disjunction or a negation is named whole.
    pub(crate) fn explain<R: Row + ?Sized>(&self, row: &R) -> Option<Decision> {
        let outcome = self.evaluate(row);
        if outcome == Some(true) {
            return None;
        }
        let part = deciding(self.filter.expr(), &self.condition, row);
        let mut values: Vec<(String, Value)> = Vec::new();
        part.for_each_name(&mut |name, _| {
            let name = name.to_string();
            if values.iter().all(|(known, _)| *known != name) {
                let value = self.value_of(&name, row).to_value();
                values.push((name, value));
            }
        });
        Some(Decision {
            predicate: part.to_string(),
            outcome,
            values,
        })
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

/// Returns the part of `expr`, compiled as `condition`, that decides; it is not TRUE.
fn deciding<'e, R: Row + ?Sized>(expr: &'e Expr, condition: &Condition, row: &R) -> &'e Expr {
    let (Expr::And(parts), Condition::And(conditions)) = (expr, condition) else {
        return expr;
    };
    let part = |outcome| {
        let mut all = parts.iter().zip(conditions);
        all.find(|(_, condition)| evaluate::condition(condition, row) == outcome)
    };
    match part(Some(false)).or_else(|| part(None)) {
        Some((part, condition)) => deciding(part, condition, row),
        None => expr,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "the criteria are valid")]
    use super::*;
    use crate::filter::{EventRow, Filter, Scope, check};
    use crate::value::{EventMethod, Parameter, Properties, ValueType};

    /// Returns the decision about an event with symbol 'IBM', price 184.2 and no volume.
    fn decision(criteria: &str) -> Option<String> {
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
        predicate.explain(&row).map(|decision| decision.to_string())
    }

    #[test]
    fn selected_row_has_no_decision() {
        assert_eq!(decision("symbol = 'IBM'"), None);
        assert_eq!(decision("ALL"), None);
    }

    #[test]
    fn first_false_part_of_a_conjunction_decides() {
        assert_eq!(
            decision("volume > 5 & symbol = 'IBM' & price > 185 & price > 186").unwrap(),
            "price > 185 is false: price = 184.2"
        );
        assert_eq!(
            decision("symbol = 'IBM' & volume > 5").unwrap(),
            "volume > 5 is unknown: volume = NULL"
        );
    }

    #[test]
    fn disjunction_is_named_whole_with_each_value_once() {
        assert_eq!(
            decision("price > 185 AND ALL AND (price > 190 OR symbol = 'A')").unwrap(),
            "price > 185 is false: price = 184.2"
        );
        assert_eq!(
            decision("symbol = 'IBM' AND (price > 190 OR price < 10 OR symbol = 'A')").unwrap(),
            "price > 190 OR price < 10 OR symbol = 'A' is false: price = 184.2, symbol = 'IBM'"
        );
    }

    #[test]
    fn values_of_the_subscription_are_named_too() {
        assert_eq!(
            decision("subscription.symbol = symbol").unwrap(),
            "subscription.symbol = symbol is false: subscription.symbol = 'MSFT', symbol = 'IBM'"
        );
    }
}

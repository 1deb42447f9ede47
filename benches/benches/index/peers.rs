//! The crates that a user could take instead.

use std::error::Error;
use std::fmt::Write;
use std::hint::black_box;

use a_tree::{ATree, AttributeDefinition};
use loosely::Value;
use loosely_benches::workload::{Subscriptions, Test, Workload};
use quamina::{Quamina, QuaminaBuilder};

/// a-tree with the subscriptions of W1.
#[derive(Debug)]
pub(crate) struct Tree(ATree<u64>);

/// quamina with subscriptions of one workload.
pub(crate) struct Automaton(Quamina<u32>);

impl Tree {
    pub(crate) fn new(n: usize) -> Result<Self, Box<dyn Error>> {
        let attributes = [
            AttributeDefinition::string("symbol"),
            AttributeDefinition::integer("price"),
        ];
        let mut tree = ATree::new(&attributes).map_err(|error| error.to_string())?;
        for (id, parts) in (0_u64..).zip(Subscriptions::stored(Workload::W1).take(n)) {
            let mut text = String::new();
            for (_, test) in &parts {
                let and = if text.is_empty() { "" } else { " and " };
                // Writing to a string cannot fail.
                let _ = match test {
                    Test::Is(value) => write!(text, "{and}symbol = '{value}'"),
                    Test::Above(low) => write!(text, "{and}price > {low}"),
                    _ => Ok(()),
                };
            }
            tree.insert(&id, &text).map_err(|error| error.to_string())?;
        }
        Ok(Self(tree))
    }

    /// Returns how many match.
    pub(crate) fn matches(&self, values: &[Value]) -> Result<usize, Box<dyn Error>> {
        let mut builder = self.0.make_event();
        if let [Value::Str(symbol), Value::I64(price)] = values {
            builder.with_string("symbol", symbol)?;
            builder.with_integer("price", *price)?;
        }
        let event = builder.build()?;
        let report = self.0.search(&event).map_err(|error| error.to_string())?;
        Ok(black_box(report.matches()).len())
    }
}

impl Automaton {
    /// Its own budget refuses more than half of ten thousand of these.
    pub(crate) fn new(n: usize) -> Result<Self, Box<dyn Error>> {
        Self::of(Workload::W3, n)
    }

    /// Returns one with the subscriptions of W1 or of W3.
    pub(crate) fn of(workload: Workload, n: usize) -> Result<Self, Box<dyn Error>> {
        let mut automaton = QuaminaBuilder::new()
            .with_arena_byte_budget(usize::MAX / 2)
            .build()?;
        for (id, parts) in (0_u32..).zip(Subscriptions::stored(workload).take(n)) {
            let tests = parts.iter().filter_map(|(_, test)| match test {
                Test::Is(value) => Some(format!(r#""symbol": ["{value}"]"#)),
                Test::Above(low) => Some(format!(r#""price": [{{"numeric": [">", {low}]}}]"#)),
                Test::Within(low, high) => Some(format!(
                    r#""price": [{{"numeric": [">=", {low}, "<", {high}]}}]"#
                )),
                _ => None,
            });
            let tests: Vec<_> = tests.collect();
            automaton.add_pattern(id, &format!("{{{}}}", tests.join(", ")))?;
        }
        Ok(Self(automaton))
    }

    /// Returns how many match; reading the event's text is part of it, as it takes no other form.
    pub(crate) fn matches(&self, event: &str) -> Result<usize, Box<dyn Error>> {
        Ok(black_box(self.0.matches_for_event(event.as_bytes())?).len())
    }
}

/// Returns the event of W3 as quamina takes it.
pub(crate) fn json(values: &[Value]) -> String {
    match values {
        [Value::I64(price)] => format!(r#"{{"price": {price}}}"#),
        _ => "{}".to_owned(),
    }
}

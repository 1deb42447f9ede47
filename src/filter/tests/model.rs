//! Random criteria: what is printed parses back, and a second, plain evaluator agrees.

#![expect(clippy::unwrap_used, reason = "a failure shows the error")]

use std::cmp::Ordering;

use proptest::collection::vec;
use proptest::prelude::*;

use super::generate::{anything, event, is_null, leaf, method, tree};
use crate::filter::{Collation, CompareOp, Expr, Filter, Literal, Name, Operand};
use crate::value::{Value, ValueRef};

/// The second evaluator: over the tree as it is, values copied, no types.
struct Model<'a> {
    event: &'a [Value],
}

impl Model<'_> {
    fn value(&self, name: &Name) -> Value {
        let method = method();
        let (index, _) = method.parameter(&name.steps()[0]).unwrap();
        name.steps()[1..]
            .iter()
            .fold(self.event[index].clone(), |value, step| match value {
                Value::Record(fields) => fields.get(step).cloned().unwrap_or_default(),
                _ => Value::Null,
            })
    }

    fn operand(&self, operand: &Operand) -> Value {
        match operand {
            Operand::Constant(constant) => constant.value().clone(),
            Operand::Name(name) => self.value(name),
        }
    }

    fn holds(&self, expr: &Expr) -> Option<bool> {
        match expr {
            Expr::All => Some(true),
            Expr::Not(inner) => not(self.holds(inner)),
            Expr::And(all) => all.iter().map(|e| self.holds(e)).fold(Some(true), and),
            Expr::Or(all) => not(all.iter().map(|e| not(self.holds(e))).fold(Some(true), and)),
            Expr::Compare {
                name,
                op,
                operand,
                collation,
            } => equal_or_ordered(&self.value(name), *op, &self.operand(operand), *collation),
            Expr::Between {
                name,
                negated,
                bounds,
                collation,
            } => {
                let (low, high) = &**bounds;
                let value = self.value(name);
                let test =
                    |op, bound| equal_or_ordered(&value, op, &self.operand(bound), *collation);
                let inside = and(test(CompareOp::Ge, low), test(CompareOp::Le, high));
                if *negated { not(inside) } else { inside }
            }
            Expr::IsNull { name, negated } => Some(is_null(&self.value(name)) != *negated),
            other => self.in_set_or_like(other),
        }
    }

    fn in_set_or_like(&self, expr: &Expr) -> Option<bool> {
        match expr {
            Expr::In {
                name,
                negated,
                values,
                collation,
            } => {
                let value = self.value(name);
                let groups: Vec<_> = values.iter().map(std::slice::from_ref).collect();
                let inside = any_group(&value, &groups, *collation);
                if *negated { not(inside) } else { inside }
            }
            Expr::Groups {
                name,
                groups,
                collation,
            } => {
                let groups: Vec<_> = groups.iter().map(Vec::as_slice).collect();
                any_group(&self.value(name), &groups, *collation)
            }
            Expr::Like {
                name,
                negated,
                pattern,
                escape,
                collation,
            } => {
                let Value::Str(text) = self.value(name) else {
                    return None;
                };
                let text: Vec<_> = text.chars().collect();
                let pattern: Vec<_> = pattern.chars().collect();
                Some(like(&text, &pattern, *escape, *collation) != *negated)
            }
            _ => unreachable!("the caller takes the others"),
        }
    }
}

fn not(value: Option<bool>) -> Option<bool> {
    value.map(|holds| !holds)
}

fn and(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn any_group(value: &Value, groups: &[&[Literal]], collation: Collation) -> Option<bool> {
    let equal =
        |literal: &Literal| equal_or_ordered(value, CompareOp::Eq, literal.value(), collation);
    let group = |group: &&[Literal]| group.iter().map(equal).fold(Some(true), and);
    not(groups.iter().map(group).map(not).fold(Some(true), and))
}

fn equal_or_ordered(a: &Value, op: CompareOp, b: &Value, collation: Collation) -> Option<bool> {
    if is_null(a) || is_null(b) {
        return None;
    }
    if let (Value::List(list), one) | (one, Value::List(list)) = (a, b) {
        let found = list
            .iter()
            .any(|element| order(element, one, collation) == Some(Ordering::Equal));
        return Some(found == (op == CompareOp::Eq));
    }
    let order = order(a, b, collation)?;
    Some(match op {
        CompareOp::Eq => order == Ordering::Equal,
        CompareOp::Ne => order != Ordering::Equal,
        CompareOp::Lt => order == Ordering::Less,
        CompareOp::Le => order != Ordering::Greater,
        CompareOp::Gt => order == Ordering::Greater,
        CompareOp::Ge => order != Ordering::Less,
    })
}

fn order(a: &Value, b: &Value, collation: Collation) -> Option<Ordering> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Str(a), Value::Str(b)) if collation == Collation::Exact => Some(a.cmp(b)),
        (Value::Str(a), Value::Str(b)) => Some(a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase())),
        _ => scaled(a)?.partial_cmp(&scaled(b)?),
    }
}

/// Returns the number as whole part and fraction; beyond `u64` the whole part only has to be so
/// too.
fn scaled(value: &Value) -> Option<(i128, f64)> {
    match value {
        Value::I64(number) => Some((i128::from(*number), 0.0)),
        Value::U64(number) => Some((i128::from(*number), 0.0)),
        Value::F64(number) if number.abs() < 1e30 => {
            // Both parts are exact, as they are not towards the next integer below.
            Some((number.trunc() as i128, number.fract()))
        }
        Value::F64(number) if number.is_nan() => None,
        Value::F64(number) => Some((if *number > 0.0 { i128::MAX } else { i128::MIN }, *number)),
        _ => None,
    }
}

/// LIKE by trying every split at every `%`.
fn like(text: &[char], pattern: &[char], escape: Option<char>, collation: Collation) -> bool {
    let same = |a: char, b: char| match collation {
        Collation::Exact => a == b,
        Collation::IgnoreAsciiCase => a.eq_ignore_ascii_case(&b),
    };
    match (pattern, text) {
        ([], text) => text.is_empty(),
        ([e, c, rest @ ..], text) if Some(*e) == escape => {
            text.first().is_some_and(|t| same(*t, *c)) && like(&text[1..], rest, escape, collation)
        }
        (['%', rest @ ..], text) => {
            (0..=text.len()).any(|skip| like(&text[skip..], rest, escape, collation))
        }
        (_, []) => false,
        ([c, rest @ ..], [t, tail @ ..]) => {
            (*c == '_' || same(*c, *t)) && like(tail, rest, escape, collation)
        }
    }
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn canonical_text_parses_to_an_equal_filter(expr in anything()) {
        let filter = Filter::from(expr);
        let text = filter.to_string();
        let again = Filter::parse(&text);
        prop_assert_eq!(again.as_ref(), Ok(&filter), "{}", text);
        prop_assert_eq!(again.unwrap().to_string(), text);
        let json = serde_json::to_string(&filter).unwrap();
        prop_assert_eq!(serde_json::from_str::<Filter>(&json).unwrap(), filter);
    }

    #[test]
    fn plain_evaluator_agrees(expr in tree(leaf()), event in event()) {
        let wanted = Model { event: &event }.holds(&expr);
        let values: Vec<ValueRef<'_>> = event.iter().map(Value::view).collect();
        let filter = Filter::from(expr);
        prop_assert_eq!(filter.matches(&method(), &values), Ok(wanted), "{}", filter);
        let decision = filter.explain(&method(), &values).unwrap();
        prop_assert_eq!(decision.outcome(), wanted);
    }

    #[test]
    fn no_text_makes_the_parser_panic(
        text in "\\PC{0,40}|[aA'\"(){}\\[\\].|&!~=<>0-9x \0-]{0,40}",
    ) {
        if let Err(error) = Filter::parse(&text) {
            let span = error.span();
            prop_assert!(span.start <= span.end && span.end <= text.len());
            let shown = format!("{error:#}");
            prop_assert!(!shown.is_empty());
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(filter) = Filter::parse(&String::from_utf8_lossy(&bytes)) {
            prop_assert_eq!(Filter::parse(&filter.to_string()), Ok(filter));
        }
    }

    #[test]
    fn no_sequence_of_tokens_makes_any_pass_panic(
        tokens in vec(proptest::sample::select(TOKENS.to_vec()), 0..16),
        event in event(),
    ) {
        let values: Vec<ValueRef<'_>> = event.iter().map(Value::view).collect();
        if let Ok(filter) = Filter::parse(&tokens.join(" ")) {
            let parsed = Filter::parse(&filter.to_string());
            prop_assert_eq!(parsed.as_ref(), Ok(&filter));
            if let Ok(result) = filter.matches(&method(), &values) {
                prop_assert_eq!(parsed.unwrap().matches(&method(), &values), Ok(result));
            }
        }
    }
}

const TOKENS: [&str; 40] = [
    "price",
    "symbol",
    "tags",
    "flag",
    "labels.x",
    "(",
    ")",
    "(",
    ")",
    "AND",
    "OR",
    "NOT",
    "!",
    "~",
    "&",
    "|",
    "=",
    "<>",
    "<",
    ">=",
    "IN",
    "LIKE",
    "BETWEEN",
    "IS",
    "NULL",
    "TRUE",
    "ALL",
    "ESCAPE",
    "COLLATE NOCASE",
    "5",
    "-2.5",
    "1e999",
    "'a'",
    "'%'",
    "x'00'",
    ",",
    "TIMESTAMP",
    "DURATION",
    "'2000-01-01'",
    "[not]",
];

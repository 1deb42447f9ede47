//! Random criteria: what is printed parses back, and a second, plain evaluator agrees.

#![expect(clippy::unwrap_used, reason = "a failure shows the error")]

use std::cmp::Ordering;
use std::time::{Duration, SystemTime};

use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use crate::filter::{Collation, CompareOp, Expr, Filter, Literal, Name, Operand};
use crate::value::{EventMethod, Parameter, Properties, Value, ValueRef, ValueType};

/// The names of the model's event; those with the same type in the second place are comparable.
const NAMES: [(&str, Sort); 9] = [
    ("flag", Sort::Bool),
    ("small", Sort::Number),
    ("big", Sort::Number),
    ("price", Sort::Number),
    ("symbol", Sort::Text),
    ("note", Sort::Text),
    ("tags", Sort::Text),
    ("counts", Sort::Number),
    ("labels.[odd key]", Sort::Text),
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Sort {
    Bool,
    Number,
    Text,
}

fn method() -> EventMethod {
    let optional = |ty| ValueType::Option(Box::new(ty));
    let list = |ty| ValueType::List(Box::new(ty));
    let types = [
        ("flag", optional(ValueType::Bool)),
        ("small", optional(ValueType::I64)),
        ("big", ValueType::U64),
        ("price", ValueType::F64),
        ("symbol", ValueType::Str),
        ("note", optional(ValueType::Str)),
        ("tags", optional(list(optional(ValueType::Str)))),
        ("counts", list(ValueType::F64)),
        ("labels", ValueType::Map(Box::new(ValueType::Str))),
    ];
    EventMethod::new("event", types.map(|(name, ty)| Parameter::new(name, ty)))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[aAbB]{0,2}", 1 => "[a%_'\"\u{fc}]{0,3}"]
}

fn small() -> impl Strategy<Value = i64> {
    prop_oneof![8 => -3..4_i64, 1 => any::<i64>()]
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (-6..7_i32).prop_map(|half| f64::from(half) / 2.0),
        1 => any::<f64>(),
        1 => Just(f64::NAN),
        1 => Just(-0.0),
        1 => any::<u64>().prop_map(|n| n as f64),
    ]
}

fn number() -> impl Strategy<Value = Value> {
    let whole = prop_oneof![
        small().prop_map(Value::I64),
        (0..4_u64).prop_map(Value::U64)
    ];
    prop_oneof![3 => whole, 1 => any::<u64>().prop_map(Value::U64), 3 => float().prop_map(Value::F64)]
}

fn of_sort(sort: Sort) -> BoxedStrategy<Value> {
    match sort {
        Sort::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Sort::Number => number().boxed(),
        Sort::Text => text().prop_map(Value::Str).boxed(),
    }
}

fn or_null(value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    prop_oneof![5 => value, 1 => Just(Value::Null)].boxed()
}

fn event() -> impl Strategy<Value = Vec<Value>> {
    let texts = vec(or_null(text().prop_map(Value::Str)), 0..3).prop_map(Value::List);
    let labels = proptest::option::of(text()).prop_map(|text| {
        let fields = text.map(|text| ("odd key", text));
        Value::Record(fields.into_iter().collect::<Properties>())
    });
    (
        or_null(of_sort(Sort::Bool)),
        or_null(small().prop_map(Value::I64)),
        prop_oneof![(0..4_u64), any::<u64>()].prop_map(Value::U64),
        float().prop_map(Value::F64),
        text().prop_map(Value::Str),
        or_null(text().prop_map(Value::Str)),
        or_null(texts),
        vec(float().prop_map(Value::F64), 0..3).prop_map(Value::List),
        labels,
    )
        .prop_map(|(a, b, c, d, e, f, g, h, i)| vec![a, b, c, d, e, f, g, h, i])
}

fn path(text: &str) -> Name {
    crate::filter::parse::parse_path(text).unwrap()
}

fn is_list(name: &str) -> bool {
    matches!(name, "tags" | "counts")
}

fn op(list: bool) -> BoxedStrategy<CompareOp> {
    use CompareOp::{Eq, Ge, Gt, Le, Lt, Ne};
    let all = [Eq, Ne, Lt, Le, Gt, Ge];
    let usable = if list { &all[..2] } else { &all[..] };
    proptest::sample::select(usable.to_vec()).boxed()
}

fn collation(sort: Sort) -> BoxedStrategy<Collation> {
    if sort == Sort::Text {
        let both = [Collation::Exact, Collation::IgnoreAsciiCase];
        return proptest::sample::select(both.to_vec()).boxed();
    }
    Just(Collation::Exact).boxed()
}

/// A comparison with a constant, or with a name that it can be compared with.
fn compare(name: &'static str, sort: Sort) -> BoxedStrategy<Expr> {
    let list = is_list(name);
    let others: Vec<_> = NAMES
        .iter()
        .filter(|(other, s)| *s == sort && !is_list(other))
        .map(|(other, _)| Operand::Name(path(other)))
        .collect();
    // NULL and NaN have no order, so no text does either.
    let constant = of_sort(sort)
        .prop_filter("NULL", |value| !is_null(value))
        .prop_map(Operand::from);
    let operand = prop_oneof![3 => constant, 1 => proptest::sample::select(others)];
    (op(list), operand, collation(sort))
        .prop_map(move |(op, operand, collation)| Expr::Compare {
            name: path(name),
            op,
            operand,
            collation,
        })
        .boxed()
}

fn sets(name: &'static str, sort: Sort) -> BoxedStrategy<Expr> {
    let literal = move || or_null(of_sort(sort)).prop_map(Literal::from);
    let groups = vec(vec(literal(), 0..3), 0..3);
    let members = (any::<bool>(), vec(literal(), 0..12), collation(sort));
    let members = members.prop_map(move |(negated, values, collation)| Expr::In {
        name: path(name),
        negated,
        values,
        collation,
    });
    let groups = (groups, collation(sort)).prop_map(move |(groups, collation)| Expr::Groups {
        name: path(name),
        groups,
        collation,
    });
    prop_oneof![members, groups].boxed()
}

fn single(name: &'static str, sort: Sort) -> BoxedStrategy<Expr> {
    let bound = || {
        of_sort(sort)
            .prop_filter("NULL", |value| !is_null(value))
            .prop_map(Operand::from)
    };
    let between = (any::<bool>(), bound(), bound(), collation(sort));
    let between = between.prop_map(move |(negated, low, high, collation)| Expr::Between {
        name: path(name),
        negated,
        low,
        high,
        collation,
    });
    if sort != Sort::Text {
        return between.boxed();
    }
    let pattern = ("[aB%_]{0,4}", proptest::option::of(Just('a')));
    let pattern = pattern.prop_filter("escape last", |(pattern, escape)| {
        let trailing = pattern.chars().rev().take_while(|c| Some(*c) == *escape);
        trailing.count() % 2 == 0
    });
    let like = (any::<bool>(), pattern, collation(sort));
    let like = like.prop_map(move |(negated, (pattern, escape), collation)| Expr::Like {
        name: path(name),
        negated,
        pattern,
        escape,
        collation,
    });
    prop_oneof![between, like].boxed()
}

fn leaf() -> BoxedStrategy<Expr> {
    let one = |(name, sort): (&'static str, Sort)| {
        let null = any::<bool>().prop_map(move |negated| Expr::IsNull {
            name: path(name),
            negated,
        });
        let single = if is_list(name) {
            Just(Expr::All).boxed()
        } else {
            single(name, sort)
        };
        prop_oneof![4 => compare(name, sort), 3 => sets(name, sort), 2 => single, 1 => null]
    };
    proptest::sample::select(NAMES.to_vec())
        .prop_flat_map(one)
        .boxed()
}

fn tree(leaf: BoxedStrategy<Expr>) -> impl Strategy<Value = Expr> {
    leaf.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Expr::Not(Box::new(inner))),
            vec(inner.clone(), 0..4).prop_map(Expr::And),
            vec(inner, 0..4).prop_map(Expr::Or),
        ]
    })
}

/// Any expression at all, of any constants and names, well-typed or not.
fn anything() -> impl Strategy<Value = Expr> {
    let name = vec("[a-z_][a-z0-9]{0,3}|not|ALL|x|[ \\PC\\]]{0,3}", 1..3).prop_map(Name::new);
    let time = (0..4_000_000_000_u64, 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| {
        (SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos)).into()
    });
    let constant = prop_oneof![
        any::<f64>().prop_map(Value::F64),
        any::<i64>().prop_map(Value::I64),
        any::<u64>().prop_map(Value::U64),
        any::<bool>().prop_map(Value::Bool),
        any::<String>().prop_map(Value::Str),
        vec(any::<u8>(), 0..4).prop_map(Value::Bytes),
        any::<u128>().prop_map(|n| Uuid::from_u128(n).into()),
        time,
        any::<u64>().prop_map(|nanos| Duration::from_nanos(nanos).into()),
    ];
    let operand = prop_oneof![
        constant
            .clone()
            .prop_filter("NULL", |c| !is_null(c))
            .prop_map(Operand::from),
        name.clone().prop_map(Operand::from),
    ];
    let literal = constant.prop_map(Literal::from);
    let compare = (
        name.clone(),
        op(false),
        operand.clone(),
        collation(Sort::Text),
    );
    let compare = compare.prop_map(|(name, op, operand, collation)| Expr::Compare {
        name,
        op,
        operand,
        collation,
    });
    let between = (name.clone(), any::<bool>(), operand.clone(), operand);
    let between = between.prop_map(|(name, negated, low, high)| Expr::Between {
        name,
        negated,
        low,
        high,
        collation: Collation::Exact,
    });
    let members = (name.clone(), any::<bool>(), vec(literal, 0..4));
    let members = members.prop_map(|(name, negated, values)| Expr::In {
        name,
        negated,
        values,
        collation: Collation::IgnoreAsciiCase,
    });
    let like = (name, any::<bool>(), any::<String>());
    let like = like.prop_map(|(name, negated, pattern)| Expr::Like {
        name,
        negated,
        pattern,
        escape: None,
        collation: Collation::Exact,
    });
    tree(prop_oneof![compare, between, members, like].boxed())
}

fn is_null(value: &Value) -> bool {
    matches!(value, Value::Null) || matches!(value, Value::F64(number) if number.is_nan())
}

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
                low,
                high,
                collation,
            } => {
                let value = self.value(name);
                let test =
                    |op, bound| equal_or_ordered(&value, op, &self.operand(bound), *collation);
                let inside = and(test(CompareOp::Ge, low), test(CompareOp::Le, high));
                if *negated { not(inside) } else { inside }
            }
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
            Expr::IsNull { name, negated } => Some(is_null(&self.value(name)) != *negated),
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

/// Returns the number as whole part and fraction; beyond `u64` the whole part only has to be so too.
fn scaled(value: &Value) -> Option<(i128, f64)> {
    match value {
        Value::I64(number) => Some((i128::from(*number), 0.0)),
        Value::U64(number) => Some((i128::from(*number), 0.0)),
        Value::F64(number) if number.abs() < 1e30 => {
            Some((number.floor() as i128, number - number.floor()))
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

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
        prop_assert_eq!(decision.map_or(Some(true), |decision| decision.outcome()), wanted);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,40}|[aA'\"(){}\\[\\].|&!~=<>0-9xX \0-]{0,40}") {
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

//! Random criteria and events.

#![expect(clippy::unwrap_used, reason = "the names are paths")]

use std::time::{Duration, SystemTime};

use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use crate::filter::{Collation, CompareOp, Expr, Literal, Name, Operand};
use crate::value::{EventMethod, Parameter, Properties, Value, ValueType};

/// The names of the model's event; those with the same type in the second place are comparable.
pub(super) const NAMES: [(&str, Sort); 9] = [
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
pub(super) enum Sort {
    Bool,
    Number,
    Text,
}

pub(super) fn method() -> EventMethod {
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

pub(super) fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[aAbB]{0,2}", 1 => "[a%_'\"\u{fc}]{0,3}"]
}

pub(super) fn small() -> impl Strategy<Value = i64> {
    prop_oneof![8 => -3..4_i64, 1 => any::<i64>()]
}

pub(super) fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (-6..7_i32).prop_map(|half| f64::from(half) / 2.0),
        1 => any::<f64>(),
        1 => Just(f64::NAN),
        1 => Just(-0.0),
        1 => any::<u64>().prop_map(|n| n as f64),
    ]
}

pub(super) fn number() -> impl Strategy<Value = Value> {
    let real = float().prop_map(Value::F64);
    let whole = prop_oneof![
        small().prop_map(Value::I64),
        (0..4_u64).prop_map(Value::U64)
    ];
    prop_oneof![3 => whole, 1 => any::<u64>().prop_map(Value::U64), 3 => real]
}

pub(super) fn of_sort(sort: Sort) -> BoxedStrategy<Value> {
    match sort {
        Sort::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Sort::Number => number().boxed(),
        Sort::Text => text().prop_map(Value::Str).boxed(),
    }
}

pub(super) fn or_null(value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    prop_oneof![5 => value, 1 => Just(Value::Null)].boxed()
}

pub(super) fn event() -> impl Strategy<Value = Vec<Value>> {
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

pub(super) fn path(text: &str) -> Name {
    crate::filter::parse::parse_path(text).unwrap()
}

pub(super) fn is_list(name: &str) -> bool {
    matches!(name, "tags" | "counts")
}

pub(super) fn op(list: bool) -> BoxedStrategy<CompareOp> {
    use CompareOp::{Eq, Ge, Gt, Le, Lt, Ne};
    let all = [Eq, Ne, Lt, Le, Gt, Ge];
    let usable = if list { &all[..2] } else { &all[..] };
    proptest::sample::select(usable.to_vec()).boxed()
}

pub(super) fn collation(sort: Sort) -> BoxedStrategy<Collation> {
    if sort == Sort::Text {
        let both = [Collation::Exact, Collation::IgnoreAsciiCase];
        return proptest::sample::select(both.to_vec()).boxed();
    }
    Just(Collation::Exact).boxed()
}

/// A comparison with a constant, or with a name that it can be compared with.
pub(super) fn compare(name: &'static str, sort: Sort) -> BoxedStrategy<Expr> {
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

pub(super) fn sets(name: &'static str, sort: Sort) -> BoxedStrategy<Expr> {
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

pub(super) fn single(name: &'static str, sort: Sort) -> BoxedStrategy<Expr> {
    let bound = || {
        of_sort(sort)
            .prop_filter("NULL", |value| !is_null(value))
            .prop_map(Operand::from)
    };
    let between = (any::<bool>(), bound(), bound(), collation(sort));
    let between = between.prop_map(move |(negated, low, high, collation)| Expr::Between {
        name: path(name),
        negated,
        bounds: Box::new((low, high)),
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

pub(super) fn leaf() -> BoxedStrategy<Expr> {
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

pub(super) fn tree(leaf: BoxedStrategy<Expr>) -> impl Strategy<Value = Expr> {
    leaf.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Expr::Not(Box::new(inner))),
            vec(inner.clone(), 0..4).prop_map(Expr::And),
            vec(inner, 0..4).prop_map(Expr::Or),
        ]
    })
}

/// A constant of any type but NULL.
fn constant() -> impl Strategy<Value = Value> + Clone {
    let time = (0..4_000_000_000_u64, 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| {
        (SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos)).into()
    });
    prop_oneof![
        any::<f64>().prop_map(Value::F64),
        any::<i64>().prop_map(Value::I64),
        any::<u64>().prop_map(Value::U64),
        any::<bool>().prop_map(Value::Bool),
        any::<String>().prop_map(Value::Str),
        vec(any::<u8>(), 0..4).prop_map(Value::Bytes),
        any::<u128>().prop_map(|n| Uuid::from_u128(n).into()),
        time,
        any::<u64>().prop_map(|nanos| Duration::from_nanos(nanos).into()),
    ]
}

/// Any expression at all, of any constants and names, well-typed or not.
pub(super) fn anything() -> impl Strategy<Value = Expr> {
    let name = vec("[a-z_][a-z0-9]{0,3}|not|ALL|x|[ \\PC\\]]{0,3}", 1..3).prop_map(Name::new);
    let operand = prop_oneof![
        constant().prop_map(Operand::from),
        name.clone().prop_map(Operand::from),
    ];
    let literal = or_null(constant()).prop_map(Literal::from);
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
        bounds: Box::new((low, high)),
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

pub(super) fn is_null(value: &Value) -> bool {
    matches!(value, Value::Null) || matches!(value, Value::F64(number) if number.is_nan())
}

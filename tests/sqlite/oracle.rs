//! Random criteria over random rows, in this crate and in SQLite: both say the same of every row,
//! TRUE, FALSE or UNKNOWN.

#![expect(clippy::unwrap_used, reason = "a failure shows the error")]

use loosely::{
    Collation, CompareOp, EventMethod, Expr, Filter, Literal, Name, Operand, Parameter, Value,
    ValueRef, ValueType,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, ToSql, params_from_iter};

/// Column, and what it can be compared with.
const COLUMNS: [(&str, Sort); 8] = [
    ("flag", Sort::Bool),
    ("count", Sort::Number),
    ("total", Sort::Number),
    ("price", Sort::Number),
    ("limit", Sort::Number),
    ("symbol", Sort::Text),
    ("note", Sort::Text),
    ("raw", Sort::Bytes),
];

/// How many predicates are compared, each over a table of its own.
const PREDICATES: u32 = 2_000;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Sort {
    Bool,
    Number,
    Text,
    Bytes,
}

#[test]
fn sqlite_says_the_same_of_every_row() {
    let database = database();
    let config = ProptestConfig {
        cases: PREDICATES,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let input = (expressions(), vec(row(), 1..12));
    TestRunner::new(config)
        .run(&input, |(expr, rows)| {
            let sqlite = in_sqlite(&database, &expr, &rows);
            let filter = Filter::from(expr);
            let here = rows.iter().map(|row| {
                let values: Vec<ValueRef<'_>> = row.iter().map(ValueRef::from).collect();
                filter.matches(&method(), &values).unwrap()
            });
            let here: Vec<_> = here.collect();
            prop_assert_eq!(here, sqlite, "{}", filter);
            Ok(())
        })
        .unwrap();
}

fn method() -> EventMethod {
    let types = [
        ValueType::Bool,
        ValueType::I64,
        ValueType::I64,
        ValueType::F64,
        ValueType::F64,
        ValueType::Str,
        ValueType::Str,
        ValueType::Bytes,
    ];
    let columns = COLUMNS.iter().zip(types);
    let parameters =
        columns.map(|((name, _), ty)| Parameter::new(*name, ValueType::Option(Box::new(ty))));
    EventMethod::new("row", parameters)
}

/// Returns a database with the table: without column types, as SQLite would convert constants to
/// them, and with a LIKE that minds case.
fn database() -> Connection {
    let database = Connection::open_in_memory().unwrap();
    let columns: Vec<_> = COLUMNS
        .iter()
        .map(|(name, _)| format!("\"{name}\""))
        .collect();
    let table = format!(
        "PRAGMA case_sensitive_like = ON; CREATE TABLE event (id, {})",
        columns.join(", ")
    );
    database.execute_batch(&table).unwrap();
    database
}

fn in_sqlite(database: &Connection, expr: &Expr, rows: &[Vec<Value>]) -> Vec<Option<bool>> {
    database.execute("DELETE FROM event", []).unwrap();
    let insert = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let mut insert = database.prepare_cached(insert).unwrap();
    for (id, row) in rows.iter().enumerate() {
        let id = Value::I64(i64::try_from(id).unwrap());
        let values = std::iter::once(&id).chain(row).map(Bound);
        insert.execute(params_from_iter(values)).unwrap();
    }
    let mut sql = Sql::default();
    sql.expr(expr);
    let query = format!("SELECT ({}) FROM event ORDER BY id", sql.text);
    let mut query = database.prepare(&query).unwrap();
    let values = sql.values.iter().map(Bound);
    let results = query.query_map(params_from_iter(values), |row| row.get(0));
    results.unwrap().map(Result::unwrap).collect()
}

/// A constant as SQLite takes it; NaN becomes NULL there too.
struct Bound<'a>(&'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self.0 {
            Value::Bool(value) => value.to_sql(),
            Value::I64(value) => value.to_sql(),
            Value::F64(value) => value.to_sql(),
            Value::Str(value) => value.to_sql(),
            Value::Bytes(value) => value.to_sql(),
            _ => rusqlite::types::Null.to_sql(),
        }
    }
}

/// Criteria as SQL, with constants as parameters: SQLite rounds some of them when it reads text.
#[derive(Default)]
struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    fn value(&mut self, value: &Value) -> &mut Self {
        self.values.push(value.clone());
        self.push("?")
    }

    fn name(&mut self, name: &Name) -> &mut Self {
        let name = format!("\"{}\"", name.steps().join("."));
        self.push(&name)
    }

    fn subject(&mut self, name: &Name, collation: Collation) -> &mut Self {
        self.name(name);
        match collation {
            Collation::IgnoreAsciiCase => self.push(" COLLATE NOCASE"),
            _ => self,
        }
    }

    fn operand(&mut self, operand: &Operand) -> &mut Self {
        match operand {
            Operand::Constant(constant) => self.value(constant.value()),
            Operand::Name(name) => self.name(name),
            _ => unreachable!("no other operand is generated"),
        }
    }

    fn list<T>(&mut self, all: &[T], separator: &str, mut one: impl FnMut(&mut Self, &T)) {
        for (index, item) in all.iter().enumerate() {
            if index > 0 {
                self.push(separator);
            }
            one(self, item);
        }
    }

    fn chain(&mut self, all: &[Expr], operator: &str) {
        self.push("(");
        self.list(all, operator, Self::expr);
        self.push(")");
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::All => {
                self.push("1");
            }
            Expr::Not(inner) => {
                self.push("(NOT ").expr(inner);
                self.push(")");
            }
            Expr::And(all) => self.chain(all, " AND "),
            Expr::Or(all) => self.chain(all, " OR "),
            Expr::Compare {
                name,
                op,
                operand,
                collation,
            } => {
                self.subject(name, *collation)
                    .push(operator(*op))
                    .operand(operand);
            }
            Expr::Between {
                name,
                negated,
                bounds,
                collation,
            } => {
                let (low, high) = &**bounds;
                self.subject(name, *collation)
                    .push(not(*negated))
                    .push(" BETWEEN ");
                self.operand(low).push(" AND ").operand(high);
            }
            Expr::IsNull { name, negated } => {
                let test = if *negated { " IS NOT NULL" } else { " IS NULL" };
                self.name(name).push(test);
            }
            other => self.text_or_set(other),
        }
    }

    fn text_or_set(&mut self, expr: &Expr) {
        match expr {
            Expr::In {
                name,
                negated,
                values,
                collation,
            } => {
                self.subject(name, *collation)
                    .push(not(*negated))
                    .push(" IN (");
                self.list(values, ", ", |sql, value| {
                    sql.value(value.value());
                });
                self.push(")");
            }
            Expr::Groups {
                name,
                groups,
                collation,
            } => {
                self.push("(");
                self.list(groups, " OR ", |sql, group| {
                    sql.push("(").list(group, " AND ", |sql, value| {
                        sql.subject(name, *collation)
                            .push(" = ")
                            .value(value.value());
                    });
                    sql.push(")");
                });
                self.push(")");
            }
            Expr::Like {
                name,
                negated,
                pattern,
                escape,
                collation,
            } => {
                let pattern = Value::from(pattern.as_str());
                let like = format!("{} LIKE ", not(*negated));
                // SQLite's LIKE takes no collation.
                if *collation == Collation::IgnoreAsciiCase {
                    self.push("lower(").name(name).push(")").push(&like);
                    self.push("lower(").value(&pattern).push(")");
                } else {
                    self.name(name).push(&like).value(&pattern);
                }
                if let Some(escape) = escape {
                    self.push(" ESCAPE ").value(&escape.to_string().into());
                }
            }
            _ => unreachable!("no other expression is generated"),
        }
    }
}

fn operator(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Eq => " = ",
        CompareOp::Ne => " <> ",
        CompareOp::Lt => " < ",
        CompareOp::Le => " <= ",
        CompareOp::Gt => " > ",
        CompareOp::Ge => " >= ",
    }
}

fn not(negated: bool) -> &'static str {
    if negated { " NOT" } else { "" }
}

fn integer() -> impl Strategy<Value = Value> {
    let edges = [i64::MIN, i64::MAX, (1 << 53) + 1, 1 << 53];
    let number = prop_oneof![
        10 => -3..4_i64,
        1 => any::<i64>(),
        1 => proptest::sample::select(edges.to_vec()),
    ];
    number.prop_map(Value::I64)
}

fn float() -> impl Strategy<Value = Value> {
    let edges = [
        -0.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        9_007_199_254_740_992.0,
        1e300,
    ];
    let number = prop_oneof![
        10 => (-6..7_i32).prop_map(|half| f64::from(half) / 2.0),
        1 => any::<f64>(),
        1 => proptest::sample::select(edges.to_vec()),
    ];
    number.prop_map(Value::F64)
}

fn text() -> impl Strategy<Value = Value> {
    prop_oneof!["[aAbB]{0,2}", "[aZ_%'\u{fc}\u{dc}]{0,3}"].prop_map(Value::Str)
}

fn of_sort(sort: Sort) -> BoxedStrategy<Value> {
    match sort {
        Sort::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Sort::Number => prop_oneof![integer(), float()].boxed(),
        Sort::Text => text().boxed(),
        Sort::Bytes => vec(0..3_u8, 0..3).prop_map(Value::Bytes).boxed(),
    }
}

fn or_null(value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    prop_oneof![4 => value, 1 => Just(Value::Null)].boxed()
}

fn row() -> impl Strategy<Value = Vec<Value>> {
    let nan = || prop_oneof![9 => float(), 1 => Just(Value::F64(f64::NAN))];
    let values = (
        or_null(of_sort(Sort::Bool)),
        or_null(integer()),
        or_null(integer()),
        or_null(nan()),
        or_null(nan()),
        or_null(text()),
        or_null(text()),
        or_null(of_sort(Sort::Bytes)),
    );
    values.prop_map(|(a, b, c, d, e, f, g, h)| vec![a, b, c, d, e, f, g, h])
}

fn collation(sort: Sort) -> BoxedStrategy<Collation> {
    if sort != Sort::Text {
        return Just(Collation::Exact).boxed();
    }
    let both = [Collation::Exact, Collation::IgnoreAsciiCase];
    proptest::sample::select(both.to_vec()).boxed()
}

fn operand(sort: Sort) -> BoxedStrategy<Operand> {
    let columns = COLUMNS.iter().filter(|(_, other)| *other == sort);
    let names: Vec<_> = columns.map(|(name, _)| Name::new([*name]).into()).collect();
    let constant = of_sort(sort).prop_filter("text has no such constant", is_not_nan);
    let constant = constant.prop_map(Operand::from);
    prop_oneof![2 => constant, 1 => proptest::sample::select(names)].boxed()
}

fn is_not_nan(value: &Value) -> bool {
    !matches!(value, Value::F64(number) if number.is_nan())
}

fn predicate((column, sort): (&'static str, Sort)) -> BoxedStrategy<Expr> {
    use CompareOp::{Eq, Ge, Gt, Le, Lt, Ne};
    let name = move || Name::new([column]);
    let op = proptest::sample::select(vec![Eq, Ne, Lt, Le, Gt, Ge]);
    let compare = (op, operand(sort), collation(sort));
    let compare = compare.prop_map(move |(op, operand, collation)| Expr::Compare {
        name: name(),
        op,
        operand,
        collation,
    });
    let between = (any::<bool>(), operand(sort), operand(sort), collation(sort));
    let between = between.prop_map(move |(negated, low, high, collation)| Expr::Between {
        name: name(),
        negated,
        bounds: Box::new((low, high)),
        collation,
    });
    let null = any::<bool>().prop_map(move |negated| Expr::IsNull {
        name: name(),
        negated,
    });
    let others = if sort == Sort::Text {
        like(column)
    } else {
        sets(column, sort)
    };
    prop_oneof![3 => compare, 2 => sets(column, sort), 1 => between, 1 => null, 1 => others].boxed()
}

fn sets(column: &'static str, sort: Sort) -> BoxedStrategy<Expr> {
    let literal = move || or_null(of_sort(sort)).prop_map(Literal::from);
    let members = (any::<bool>(), vec(literal(), 0..12), collation(sort));
    let members = members.prop_map(move |(negated, values, collation)| Expr::In {
        name: Name::new([column]),
        negated,
        values,
        collation,
    });
    let groups = (vec(vec(literal(), 1..3), 1..3), collation(sort));
    let groups = groups.prop_map(move |(groups, collation)| Expr::Groups {
        name: Name::new([column]),
        groups,
        collation,
    });
    prop_oneof![3 => members, 1 => groups].boxed()
}

fn like(column: &'static str) -> BoxedStrategy<Expr> {
    let escape = proptest::option::of(Just('!'));
    let plain = "([aAbB%_\u{fc}]|![%_!]){0,4}";
    (any::<bool>(), plain, escape, collation(Sort::Text))
        .prop_map(move |(negated, pattern, escape, collation)| Expr::Like {
            name: Name::new([column]),
            negated,
            pattern,
            escape,
            collation,
        })
        .boxed()
}

fn expressions() -> impl Strategy<Value = Expr> {
    let leaf = proptest::sample::select(COLUMNS.to_vec()).prop_flat_map(predicate);
    prop_oneof![20 => leaf, 1 => Just(Expr::All)].prop_recursive(4, 30, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Expr::Not(Box::new(inner))),
            vec(inner.clone(), 1..4).prop_map(Expr::And),
            vec(inner, 1..4).prop_map(Expr::Or),
        ]
    })
}

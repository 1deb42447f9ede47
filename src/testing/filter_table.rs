//! Filter criteria and what they come to, as a table.

use std::fmt::Write as _;

use crate::{
    EventInterface, EventMethod, Expr, Filter, FilterError, Operand, Value, ValueRef, ValueType,
};

/// A table of filter criteria, events and what the ones say of the others.
///
/// ```
/// use loosely::testing::FilterTable;
/// use loosely::event_interface;
///
/// #[event_interface]
/// pub trait StockEvents {
///     fn price_changed(&self, symbol: &str, price: Option<f64>);
/// }
///
/// FilterTable::of::<dyn StockEvents>("price_changed")
///     .rows(
///         "criteria                        | symbol | price | expected
///          symbol = 'MSFT' AND price > 185 | 'MSFT' | 185.5 | TRUE
///          symbol = ('MSFT' | 'IBM')       | 'AAPL' | 200   | FALSE
///          price > 185                     | 'MSFT' | NULL  | UNKNOWN
///          color = 'red'                   | 'MSFT' | 1     | ERROR",
///     )
///     .check();
/// ```
///
/// Publisher and subscription properties are NULL here, as in [`Filter::matches`].
#[must_use = "a table that is not checked says nothing"]
#[derive(Debug)]
pub struct FilterTable {
    method: EventMethod,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    criteria: String,
    values: Vec<Value>,
    expected: Expected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Outcome(Option<bool>),
    Error,
}

impl FilterTable {
    /// Returns an empty table about the events of a method of the interface `I`.
    ///
    /// # Panics
    ///
    /// If the interface has no such method.
    #[track_caller]
    pub fn of<I: EventInterface + ?Sized>(method: &str) -> Self {
        let schema = I::schema();
        let Some((_, method)) = schema.method(method) else {
            panic!("{} has no method {method}", schema.name());
        };
        Self {
            method: method.clone(),
            rows: Vec::new(),
        }
    }

    /// Adds a row: criteria, the values of an event in the order of the parameters, and what they
    /// come to, where `None` is UNKNOWN.
    pub fn row(
        self,
        criteria: impl Into<String>,
        values: impl IntoIterator<Item = Value>,
        expected: Option<bool>,
    ) -> Self {
        let values = values.into_iter().collect();
        self.and(criteria.into(), values, Expected::Outcome(expected))
    }

    /// Adds rows that are written as text, a line each, in columns between `|`.
    ///
    /// The first line names the columns: `criteria`, then parameters in any order, then `expected`.
    /// What is expected is `TRUE`, `FALSE`, `UNKNOWN`, or `ERROR` for criteria that do not parse or
    /// do not fit the event. Values are constants of the filter language without `|` in them; a
    /// parameter without a column is NULL. Criteria may have a `|` in them. Empty lines are passed
    /// over.
    ///
    /// # Panics
    ///
    /// If the text is no such table.
    #[track_caller]
    pub fn rows(mut self, text: &str) -> Self {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let header = lines.next().unwrap_or_default();
        let columns = match self.columns(header) {
            Ok(columns) => columns,
            Err(message) => panic!("{message}: {header}"),
        };
        for line in lines {
            match self.parse(line, &columns) {
                Ok(row) => self.rows.push(row),
                Err(message) => panic!("{message}: {line}"),
            }
        }
        self
    }

    /// Says that all rows are as expected.
    ///
    /// # Panics
    ///
    /// If some are not; the text names them, and the part of the criteria that decided. If there is
    /// no row.
    #[track_caller]
    pub fn check(self) {
        assert!(!self.rows.is_empty(), "the table has no row");
        let mut text = String::new();
        let mut failed = 0;
        for (index, row) in self.rows.iter().enumerate() {
            if let Err(message) = self.check_row(row) {
                failed += 1;
                // A `String` takes whatever is written to it.
                let _ = write!(text, "\nrow {}: {message}", index + 1);
            }
        }
        let all = self.rows.len();
        assert!(
            failed == 0,
            "{failed} of {all} rows are not as expected:{text}"
        );
    }

    fn and(mut self, criteria: String, values: Vec<Value>, expected: Expected) -> Self {
        self.rows.push(Row {
            criteria,
            values,
            expected,
        });
        self
    }

    /// Returns which parameter each column of values is about.
    fn columns(&self, header: &str) -> Result<Vec<usize>, String> {
        let cells: Vec<&str> = header.split('|').map(str::trim).collect();
        let ["criteria", names @ .., "expected"] = cells.as_slice() else {
            return Err("the first line names the columns, criteria to expected".to_owned());
        };
        let index = |name: &&str| {
            let (index, _) = self.method.parameter(name)?;
            Some(index)
        };
        let unknown = |name: &&str| format!("{} has no parameter {name}", self.method.name());
        let found = names
            .iter()
            .map(|name| index(name).ok_or_else(|| unknown(name)));
        found.collect()
    }

    fn parse(&self, line: &str, columns: &[usize]) -> Result<Row, String> {
        let width = columns.len() + 2;
        if line.split('|').count() < width {
            return Err("there are too few columns".to_owned());
        }
        let mut cells = line.rsplitn(width, '|').map(str::trim);
        let expected = match cells.next() {
            Some("TRUE") => Expected::Outcome(Some(true)),
            Some("FALSE") => Expected::Outcome(Some(false)),
            Some("UNKNOWN") => Expected::Outcome(None),
            Some("ERROR") => Expected::Error,
            _ => return Err("TRUE, FALSE, UNKNOWN or ERROR is expected at the end".to_owned()),
        };
        let parameters = self.method.parameters();
        let mut values = vec![Value::Null; parameters.len()];
        for index in columns.iter().rev() {
            let cell = cells.next().unwrap_or_default();
            let value = constant(cell).ok_or_else(|| format!("{cell} is no constant"))?;
            values[*index] = fitted(value, parameters[*index].value_type());
        }
        let criteria = cells.next().unwrap_or_default();
        Ok(Row {
            criteria: criteria.to_owned(),
            values,
            expected,
        })
    }

    fn check_row(&self, row: &Row) -> Result<(), String> {
        let values: Vec<ValueRef<'_>> = row.values.iter().map(Value::view).collect();
        let event = self.event(&values);
        if values.len() != self.method.parameters().len() {
            return Err(format!(
                "{event} is no event: the values are too few or too many"
            ));
        }
        let decide = || -> Result<_, FilterError> {
            Filter::parse(&row.criteria)?.explain(&self.method, &values)
        };
        let (found, why) = match decide() {
            Ok(decision) => (Expected::Outcome(decision.outcome()), decision.to_string()),
            Err(error) => (Expected::Error, error.to_string()),
        };
        if found == row.expected {
            return Ok(());
        }
        let (expected, found) = (row.expected.name(), found.name());
        let criteria = &row.criteria;
        Err(format!(
            "{criteria}\n  of {event}\n  is {found}, expected {expected}: {why}"
        ))
    }

    fn event(&self, values: &[ValueRef<'_>]) -> String {
        let named = self.method.parameters().iter().zip(values);
        let named = named.map(|(parameter, value)| format!("{} = {value}", parameter.name()));
        let named: Vec<String> = named.collect();
        format!("{}({})", self.method.name(), named.join(", "))
    }
}

impl Expected {
    fn name(self) -> &'static str {
        match self {
            Self::Outcome(Some(true)) => "TRUE",
            Self::Outcome(Some(false)) => "FALSE",
            Self::Outcome(None) => "UNKNOWN",
            Self::Error => "ERROR",
        }
    }
}

/// Reads a constant of the filter language, by the language's own grammar.
fn constant(text: &str) -> Option<Value> {
    match Filter::parse(&format!("x = {text}")).ok()?.expr() {
        Expr::IsNull { negated: false, .. } => Some(Value::Null),
        Expr::Compare {
            operand: Operand::Constant(literal),
            ..
        } => Some(literal.value().clone()),
        _ => None,
    }
}

/// Returns a number as the parameter would carry it; everything else as it is.
fn fitted(value: Value, value_type: &ValueType) -> Value {
    let value_type = match value_type {
        ValueType::Option(inner) => &**inner,
        other => other,
    };
    match (value_type, value.as_f64()) {
        (ValueType::F32 | ValueType::F64, Some(number)) => Value::F64(number),
        _ => value,
    }
}

//! Filter criteria: which events a subscription wants. [`Filter`] has the grammar and what it
//! means.

mod builder;
mod check;
mod coerce;
mod compare;
mod cursor;
mod display;
mod error;
mod evaluate;
mod explain;
mod expr;
mod leaf;
mod lexer;
mod literal;
mod operand;
mod parse;
mod pattern;
mod predicate;
mod scope;
mod subject;
mod suggest;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::builder::{Field, field};
pub(crate) use self::check::{check, check_beside};
pub use self::error::{FilterError, FilterErrorKind};
pub use self::explain::Decision;
pub use self::expr::{Collation, CompareOp, Expr};
use self::operand::Span;
pub use self::operand::{Literal, Name, Operand};
pub(crate) use self::pattern::{Pattern, Tail};
pub(crate) use self::predicate::{
    Comparison, Condition, EventRow, Path, Predicate, Root, Row, Step, Test,
};
pub(crate) use self::scope::{Scope, UndeclaredProperties, check_name};
use crate::value::{EventMethod, Properties, ValueRef};

/// Filter criteria of a subscription: which events it wants.
///
/// Parsed once, cheap to clone; `Display` prints canonical text that parses to an equal filter, and
/// serde writes that text. The language is COM+'s with the usual parts of SQL: `symbol = ('MSFT' |
/// 'IBM') AND price BETWEEN 180 AND 185.5`, `labels.severity LIKE 'crit%'`, `publisher.region <>
/// subscription.region`.
///
/// ```
/// use loosely::{EventMethod, Filter, Parameter, ValueRef, ValueType};
///
/// let filter: Filter = "symbol = 'MSFT' & price > 185".parse()?;
/// assert_eq!(filter.to_string(), "symbol = 'MSFT' AND price > 185");
///
/// let price_changed = EventMethod::new("price_changed", [
///     Parameter::new("symbol", ValueType::Str),
///     Parameter::new("price", ValueType::F64),
/// ]);
/// let event = [ValueRef::Str("MSFT"), ValueRef::F64(185.5)];
/// assert_eq!(filter.matches(&price_changed, &event)?, Some(true));
/// # Ok::<(), loosely::FilterError>(())
/// ```
///
/// # Grammar
///
/// The language is that of COM+ (MS-COMEV 2.2.1) and the part of SQL that people expect beside it:
///
/// ```text
/// query    := or
/// or       := and { ( '|' | OR ) and }
/// and      := unary { ( '&' | AND ) unary }
/// unary    := ( '!' | '~' | NOT ) unary | primary
/// primary  := ALL | '(' or ')' | compare | constant op name [ collate ]
/// compare  := name [ collate ] test [ collate ]
/// test     := op operand
///           | equal '(' constant { ( '&' | AND | '|' | OR ) constant } ')'
///           | [ NOT ] BETWEEN operand AND operand
///           | [ NOT ] IN '(' constant { ',' constant } ')'
///           | [ NOT ] LIKE text [ ESCAPE text ]
///           | IS [ NOT ] NULL
/// op       := equal | '<' | '<=' | '>' | '>='
/// equal    := '=' | '==' | '!=' | '~=' | '<>'
/// operand  := constant | name
/// collate  := COLLATE ( NOCASE | BINARY )
/// name     := step { '.' step }
/// step     := word | '[' any text, where ']]' is ']' ']'
/// constant := text | number | '{' UUID '}' | x text, of hexadecimal digits | TRUE | FALSE | NULL
///           | TIMESTAMP text | DURATION text
/// text     := in single or double quotes, which stand for themselves where they are doubled
/// number   := [ '+' | '-' ] digits [ '.' digits ] [ 'e' [ '+' | '-' ] digits ]
/// ```
///
/// Keywords are matched without regard to case. ALL, AND, OR, NOT, TRUE, FALSE and NULL are no
/// names unless in brackets; every other keyword is told from a name by its place. In both quotes
/// is text, never a name.
///
/// # Meaning
///
/// - Logic is SQL's: a comparison with NULL is UNKNOWN, and only TRUE selects. `= NULL` reads as
///   IS NULL. NaN is NULL, and -0.0 is 0.0.
/// - Text is compared byte by byte, or, under COLLATE NOCASE, after `A` to `Z` became `a` to `z`.
/// - `c = ('a' | 'b')` is IN, `c <> ('a' | 'b')` and `c <> ('a' & 'b')` are NOT IN, and
///   `c = ('a' & 'b')` holds if each member does. On a list, `=` means that it contains the value,
///   so that `&` means that it contains all; NULL elements never match.
/// - Numbers compare by exact value whatever their types. A fraction is rounded to an `f32`
///   parameter, as it would be in Rust.
/// - Text compared with a UUID, a time or a duration is read as one when the criteria are checked.
/// - The types of both sides must agree: what is known not to is an error when the criteria are
///   checked, what turns out not to is UNKNOWN.
/// - `publisher.NAME` is a property of who fires, `subscription.NAME` one of the subscription.
#[derive(Clone)]
#[doc(alias = "FilterCriteria")]
pub struct Filter {
    inner: Arc<Inner>,
}

struct Inner {
    expr: Expr,
    /// What the spans in the expression refer to.
    text: Arc<str>,
    /// Why the text of an expression that was built is none of the language.
    malformed: Option<FilterError>,
}

impl Filter {
    /// Parses criteria.
    ///
    /// # Errors
    ///
    /// `Syntax` where the text is not in the language, `Literal` for a constant that is unreadable,
    /// `Type` for NULL where an order is needed, `TooLarge` beyond 65,536 bytes, 100 levels of
    /// parentheses and NOT, or 1,000 comparisons.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let expr = parse::parse(text)?;
        Ok(Self::new(expr, text.into(), None))
    }

    /// Parses criteria as [`parse`](Self::parse) does, and holds the text in common with the
    /// caller.
    pub(crate) fn parse_shared(text: &Arc<str>) -> Result<Self, FilterError> {
        let expr = parse::parse(text)?;
        Ok(Self::new(expr, Arc::clone(text), None))
    }

    /// Returns the criteria `ALL`, which select every event.
    pub fn all() -> Self {
        Self::new(Expr::All, "ALL".into(), None)
    }

    fn new(expr: Expr, text: Arc<str>, malformed: Option<FilterError>) -> Self {
        let inner = Inner {
            expr,
            text,
            malformed,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Returns the criteria that hold where both do; of none, the others.
    fn beside(filter: Option<&Self>, other: &Expr) -> Self {
        match filter {
            None => Self::new(other.clone(), "".into(), None),
            Some(filter) => {
                let both = filter.expr().clone().and(other.clone());
                Self::new(both, Arc::clone(&filter.inner.text), None)
            }
        }
    }

    /// Returns the criteria as a tree.
    pub fn expr(&self) -> &Expr {
        &self.inner.expr
    }

    /// Returns whether it is `ALL`.
    pub fn is_all(&self) -> bool {
        *self.expr() == Expr::All
    }

    /// Returns whether an event of `method` with these values, in the order of its parameters, is
    /// selected: `Some(true)`, or not; `None` is UNKNOWN.
    ///
    /// Publisher and subscription properties are NULL here. For use in tests of one's own: it
    /// checks the criteria anew at each call.
    ///
    /// # Errors
    ///
    /// `UnknownName` for a name that is no parameter, `Type` where an operator does not fit the
    /// types of both sides, `Literal` for a constant that cannot be of the parameter's type; and
    /// what [`parse`](Self::parse) says of the text, if the filter was made of an [`Expr`].
    pub fn matches(
        &self,
        method: &EventMethod,
        values: &[ValueRef<'_>],
    ) -> Result<Option<bool>, FilterError> {
        let publisher = &Properties::new();
        let row = EventRow { values, publisher };
        Ok(self.checked(method)?.evaluate(&row))
    }

    /// Returns which part of the criteria decides about such an event, and what it comes to; else
    /// as [`matches`](Self::matches).
    ///
    /// # Errors
    ///
    /// Those of [`matches`](Self::matches).
    pub fn explain(
        &self,
        method: &EventMethod,
        values: &[ValueRef<'_>],
    ) -> Result<Decision, FilterError> {
        let publisher = &Properties::new();
        let row = EventRow { values, publisher };
        Ok(self.checked(method)?.explain(&row))
    }

    fn checked(&self, method: &EventMethod) -> Result<Predicate, FilterError> {
        let scope = Scope::for_method(method).with_publisher(&[], UndeclaredProperties::Open);
        check(self, &scope)
    }

    /// Returns the text that the spans of the expression refer to.
    fn text(&self) -> &str {
        &self.inner.text
    }

    fn well_formed(&self) -> Result<(), FilterError> {
        self.inner.malformed.clone().map_or(Ok(()), Err)
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self::all()
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner) || self.expr() == other.expr()
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr().fmt(f)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({self})")
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::parse(text)
    }
}

impl TryFrom<&str> for Filter {
    type Error = FilterError;

    fn try_from(text: &str) -> Result<Self, FilterError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Filter {
    type Error = FilterError;

    fn try_from(text: String) -> Result<Self, FilterError> {
        Self::parse(&text)
    }
}

/// Brings the expression into normal form. One that no text stands for, such as one beyond the
/// limits of [`Filter::parse`], is an error where the filter is first used.
impl From<Expr> for Filter {
    fn from(expr: Expr) -> Self {
        if !expr.is_within_depth(MAX_BUILT_DEPTH) {
            let nothing = !Expr::All;
            let text = nothing.to_string();
            let error = cursor::too_deep(Span::default()).in_text(&text);
            return Self::new(nothing, text.into(), Some(error));
        }
        let text = expr.to_string();
        match parse::parse(&text) {
            Ok(expr) => Self::new(expr, text.into(), None),
            Err(error) => Self::new(expr, text.into(), Some(error)),
        }
    }
}

/// How deep an expression may nest that is to be brought into normal form, which may be less deep:
/// flat chains of AND or OR do not count there. So deep, printing takes a tenth of a thread's
/// stack.
const MAX_BUILT_DEPTH: usize = 400;

/// The canonical text.
impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.well_formed().map_err(serde::ser::Error::custom)?;
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

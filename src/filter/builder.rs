//! Criteria written in Rust.

use super::expr::{Collation, CompareOp, Expr};
use super::operand::{Literal, Name, Operand};
use super::parse::parse_path;
use crate::value::Value;

/// Returns the start of a comparison of the parameter, field or property of this name.
///
/// `name` is a path as in criteria, `order.customer.city`; a text that is no path is one name as it
/// stands.
///
/// ```
/// use loosely::{Filter, field};
///
/// let filter = Filter::from(field("price").gt(185.0).and(field("symbol").eq("MSFT")));
/// assert_eq!(filter.to_string(), "price > 185.0 AND symbol = 'MSFT'");
/// assert_eq!(filter, Filter::parse("(price > 185.0) & symbol == \"MSFT\"")?);
///
/// let quiet = !field("level").is_in(["warning", "error"]).no_case();
/// assert_eq!(quiet.to_string(), "NOT level COLLATE NOCASE IN ('warning', 'error')");
/// # Ok::<(), loosely::FilterError>(())
/// ```
pub fn field(name: &str) -> Field {
    Field {
        name: parse_path(name).unwrap_or_else(|_| Name::new([name])),
    }
}

/// A name that waits for its comparison; see [`field`].
#[derive(Debug, Clone)]
#[must_use = "a name alone is no condition"]
pub struct Field {
    name: Name,
}

impl Field {
    /// Returns `name = operand`; with NULL, `name IS NULL`.
    pub fn eq(self, operand: impl Into<Operand>) -> Expr {
        self.compare(CompareOp::Eq, operand.into())
    }

    /// Returns `name <> operand`; with NULL, `name IS NOT NULL`.
    pub fn ne(self, operand: impl Into<Operand>) -> Expr {
        self.compare(CompareOp::Ne, operand.into())
    }

    /// Returns `name < operand`.
    pub fn lt(self, operand: impl Into<Operand>) -> Expr {
        self.compare(CompareOp::Lt, operand.into())
    }

    /// Returns `name <= operand`.
    pub fn le(self, operand: impl Into<Operand>) -> Expr {
        self.compare(CompareOp::Le, operand.into())
    }

    /// Returns `name > operand`.
    pub fn gt(self, operand: impl Into<Operand>) -> Expr {
        self.compare(CompareOp::Gt, operand.into())
    }

    /// Returns `name >= operand`.
    pub fn ge(self, operand: impl Into<Operand>) -> Expr {
        self.compare(CompareOp::Ge, operand.into())
    }

    /// Returns `name BETWEEN low AND high`, both bounds included.
    pub fn between(self, low: impl Into<Operand>, high: impl Into<Operand>) -> Expr {
        Expr::Between {
            name: self.name,
            negated: false,
            bounds: Box::new((low.into(), high.into())),
            collation: Collation::Exact,
        }
    }

    /// Returns `name IN (values)`; without values it never holds.
    pub fn is_in<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Expr {
        self.member(false, values)
    }

    /// Returns `name NOT IN (values)`; without values it always holds.
    pub fn not_in<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Expr {
        self.member(true, values)
    }

    /// Returns `name = (a & b)`: the list contains all of them.
    pub fn contains_all<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Expr {
        Expr::Groups {
            name: self.name,
            groups: vec![values.into_iter().map(Literal::from).collect()],
            collation: Collation::Exact,
        }
    }

    /// Returns `name LIKE pattern`: `%` is any text, `_` any one character.
    pub fn like(self, pattern: impl Into<String>) -> Expr {
        self.matching(false, pattern.into(), None)
    }

    /// Returns `name NOT LIKE pattern`.
    pub fn not_like(self, pattern: impl Into<String>) -> Expr {
        self.matching(true, pattern.into(), None)
    }

    /// Returns `name LIKE pattern ESCAPE escape`: after `escape`, `%` and `_` stand for themselves.
    pub fn like_escaped(self, pattern: impl Into<String>, escape: char) -> Expr {
        self.matching(false, pattern.into(), Some(escape))
    }

    /// Returns `name IS NULL`.
    pub fn is_null(self) -> Expr {
        Expr::IsNull {
            name: self.name,
            negated: false,
        }
    }

    /// Returns `name IS NOT NULL`.
    pub fn is_not_null(self) -> Expr {
        Expr::IsNull {
            name: self.name,
            negated: true,
        }
    }

    fn compare(self, op: CompareOp, operand: Operand) -> Expr {
        match &operand {
            Operand::Constant(constant)
                if op.is_equality() && constant.value().view().is_null() =>
            {
                Expr::IsNull {
                    name: self.name,
                    negated: op == CompareOp::Ne,
                }
            }
            _ => Expr::Compare {
                name: self.name,
                op,
                operand,
                collation: Collation::Exact,
            },
        }
    }

    fn member<V: Into<Value>>(self, negated: bool, values: impl IntoIterator<Item = V>) -> Expr {
        Expr::In {
            name: self.name,
            negated,
            values: values.into_iter().map(Literal::from).collect(),
            collation: Collation::Exact,
        }
    }

    fn matching(self, negated: bool, pattern: String, escape: Option<char>) -> Expr {
        Expr::Like {
            name: self.name,
            negated,
            pattern,
            escape,
            collation: Collation::Exact,
        }
    }
}

impl From<Field> for Operand {
    fn from(field: Field) -> Self {
        Self::Name(field.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_prints_what_its_name_says() {
        let rows = [
            (field("a").ne("it's"), "a <> 'it''s'"),
            (field("a").le(field("b.c")), "a <= b.c"),
            (field("a").eq(None::<i64>), "a IS NULL"),
            (field("a").ne(Value::Null), "a IS NOT NULL"),
            (field("a").between(1, 2), "a BETWEEN 1 AND 2"),
            (field("a").not_in([1, 2]), "a NOT IN (1, 2)"),
            (field("a").is_in::<i64>([]), "NOT ALL"),
            (field("a").contains_all(["x", "y"]), "a = ('x' & 'y')"),
            (
                field("a").like_escaped("5!%", '!'),
                "a LIKE '5!%' ESCAPE '!'",
            ),
            (field("odd key").is_null(), "[odd key] IS NULL"),
            (
                field("labels.[odd key]").is_not_null(),
                "labels.[odd key] IS NOT NULL",
            ),
        ];
        for (expr, text) in rows {
            assert_eq!(expr.to_string(), text);
        }
    }
}

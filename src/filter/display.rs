//! The canonical text of criteria.

use std::fmt::{self, Display, Formatter, Write};

use super::expr::{Collation, CompareOp, Expr};
use super::lexer::{is_name_continue, is_name_start};
use super::operand::{Literal, Name, Operand};
use crate::value::Value;

/// The text that parses to the normal form of the expression, with no parentheses that the
/// precedence makes needless.
impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_expr(f, self, Binding::Or)
    }
}

/// How tightly an operator holds its operands, loosest first.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Binding {
    Or,
    And,
    Not,
}

fn write_expr(f: &mut Formatter<'_>, expr: &Expr, context: Binding) -> fmt::Result {
    match expr {
        Expr::And(all) => write_chain(f, all, Binding::And, context),
        Expr::Or(all) => write_chain(f, all, Binding::Or, context),
        Expr::Not(inner) => {
            f.write_str("NOT ")?;
            write_expr(f, inner, Binding::Not)
        }
        leaf => write_leaf(f, leaf),
    }
}

fn write_chain(
    f: &mut Formatter<'_>,
    all: &[Expr],
    binding: Binding,
    context: Binding,
) -> fmt::Result {
    let word = match (all, binding) {
        ([], Binding::Or) => return f.write_str("NOT ALL"),
        ([], _) => return f.write_str("ALL"),
        ([one], _) => return write_expr(f, one, context),
        (_, Binding::Or) => " OR ",
        _ => " AND ",
    };
    let parentheses = binding < context;
    if parentheses {
        f.write_char('(')?;
    }
    write_list(f, all, word, |f, inner| write_expr(f, inner, binding))?;
    if parentheses {
        f.write_char(')')?;
    }
    Ok(())
}

fn write_leaf(f: &mut Formatter<'_>, leaf: &Expr) -> fmt::Result {
    match leaf {
        Expr::Compare {
            name,
            op,
            operand,
            collation,
        } => write!(f, "{name}{collation} {op} {operand}"),
        Expr::Between {
            name,
            negated,
            bounds,
            collation,
        } => {
            let (not, (low, high)) = (not(*negated), &**bounds);
            write!(f, "{name}{collation} {not}BETWEEN {low} AND {high}")
        }
        Expr::In {
            name,
            negated,
            values,
            collation,
        } => write_in(f, name, *negated, values, *collation),
        Expr::Groups {
            name,
            groups,
            collation,
        } => write_groups(f, name, groups, *collation),
        Expr::Like {
            name,
            negated,
            pattern,
            escape,
            collation,
        } => {
            let pattern = Text(pattern);
            write!(f, "{name}{collation} {}LIKE {pattern}", not(*negated))?;
            escape.map_or(Ok(()), |c| write!(f, " ESCAPE {}", Text(&c.to_string())))
        }
        Expr::IsNull { name, negated } => write!(f, "{name} IS {}NULL", not(*negated)),
        Expr::All | Expr::Not(_) | Expr::And(_) | Expr::Or(_) => f.write_str("ALL"),
    }
}

fn write_in(
    f: &mut Formatter<'_>,
    name: &Name,
    negated: bool,
    values: &[Literal],
    collation: Collation,
) -> fmt::Result {
    if values.is_empty() {
        return f.write_str(if negated { "ALL" } else { "NOT ALL" });
    }
    write!(f, "{name}{collation} {}IN (", not(negated))?;
    write_list(f, values, ", ", |f, value| value.fmt(f))?;
    f.write_char(')')
}

fn write_groups(
    f: &mut Formatter<'_>,
    name: &Name,
    groups: &[Vec<Literal>],
    collation: Collation,
) -> fmt::Result {
    if groups.is_empty() {
        return f.write_str("NOT ALL");
    }
    if groups.iter().any(Vec::is_empty) {
        return f.write_str("ALL");
    }
    write!(f, "{name}{collation} = (")?;
    write_list(f, groups, " | ", |f, group| {
        write_list(f, group, " & ", |f, value| value.fmt(f))
    })?;
    f.write_char(')')
}

fn write_list<T>(
    f: &mut Formatter<'_>,
    all: &[T],
    separator: &str,
    mut write: impl FnMut(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (index, one) in all.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        write(f, one)?;
    }
    Ok(())
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

impl Display for CompareOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eq => "=",
            Self::Ne => "<>",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        })
    }
}

/// What follows the name: nothing, or `COLLATE` with a space before.
impl Display for Collation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => Ok(()),
            Self::IgnoreAsciiCase => f.write_str(" COLLATE NOCASE"),
        }
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(constant) => constant.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.value() {
            Value::F64(number) if number.is_nan() => f.write_str("NULL"),
            // Reads back as infinity; no other spelling is a number of the language.
            Value::F64(number) if number.is_infinite() => {
                let sign = if *number < 0.0 { "-" } else { "" };
                write!(f, "{sign}1e999")
            }
            Value::Time(_) => write!(f, "TIMESTAMP '{}'", self.value()),
            Value::Duration(_) => write!(f, "DURATION '{}'", self.value()),
            other => other.fmt(f),
        }
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps().iter().enumerate() {
            if index > 0 {
                f.write_char('.')?;
            }
            let reserved = index == 0 && is_reserved(step);
            if is_plain(step) && !reserved {
                f.write_str(step)?;
            } else {
                write!(f, "[{}]", step.replace(']', "]]"))?;
            }
        }
        Ok(())
    }
}

/// Text in single quotes.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

fn is_plain(step: &str) -> bool {
    step.starts_with(is_name_start) && step.chars().all(is_name_continue)
}

/// Returns whether the word cannot begin a path without brackets.
pub(super) fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|r| r.eq_ignore_ascii_case(word))
}

/// The words that mean something else where a name could stand; every other keyword is told from a
/// name by its place.
const RESERVED: [&str; 7] = ["ALL", "AND", "FALSE", "NOT", "NULL", "OR", "TRUE"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::field;

    #[test]
    fn parentheses_are_printed_only_where_precedence_needs_them() {
        let a = || field("a").eq(1);
        let rows = [
            (a().and(a()).or(a()), "a = 1 AND a = 1 OR a = 1"),
            (a().or(a()).and(a()), "(a = 1 OR a = 1) AND a = 1"),
            (!a(), "NOT a = 1"),
            (!a().and(a()), "NOT (a = 1 AND a = 1)"),
            (!Expr::Or(vec![a()]), "NOT a = 1"),
            (Expr::Or(vec![]).and(a()), "NOT ALL AND a = 1"),
        ];
        for (expr, text) in rows {
            assert_eq!(expr.to_string(), text);
        }
    }

    #[test]
    fn names_are_bracketed_where_they_would_read_as_something_else() {
        let name = |steps: &[&str]| Name::new(steps.iter().copied()).to_string();
        assert_eq!(name(&["Not"]), "[Not]");
        assert_eq!(name(&["labels", "Not"]), "labels.Not");
        assert_eq!(name(&["in"]), "in");
        assert_eq!(name(&["a]b", "5", ""]), "[a]]b].[5].[]");
    }
}

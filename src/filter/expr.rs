//! The syntax tree of criteria.

use super::operand::{Literal, Name, Operand};

/// Criteria as a tree; [`Filter`](crate::Filter) holds one in normal form.
///
/// Made by [`Filter::parse`](crate::Filter::parse) or with [`field`](crate::field). Equality
/// ignores where in a text the parts stood.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Expr {
    /// `ALL`: holds for every event.
    All,
    /// `NOT x`.
    Not(Box<Expr>),
    /// `x AND y AND ...`; holds if it is empty.
    And(Vec<Expr>),
    /// `x OR y OR ...`; does not hold if it is empty.
    Or(Vec<Expr>),
    /// `name < operand`; `=` and `<>` on a list mean that it contains the operand, or does not.
    Compare {
        /// What is compared.
        name: Name,
        /// The operator.
        op: CompareOp,
        /// What it is compared with.
        operand: Operand,
        /// How text is compared.
        collation: Collation,
    },
    /// `name [NOT] BETWEEN low AND high`, both bounds included.
    Between {
        /// What is compared.
        name: Name,
        /// Whether it is `NOT BETWEEN`.
        negated: bool,
        /// The lower and the upper bound, apart so that other expressions do not have to be as
        /// large.
        bounds: Box<(Operand, Operand)>,
        /// How text is compared.
        collation: Collation,
    },
    /// `name [NOT] IN (a, b)`, also written `name = (a | b)`; on a list: contains one of them.
    In {
        /// What is compared.
        name: Name,
        /// Whether it is `NOT IN`.
        negated: bool,
        /// The members.
        values: Vec<Literal>,
        /// How text is compared.
        collation: Collation,
    },
    /// `name = (a & b | c)`: all members of at least one group are equal to the value, or, on a
    /// list, are contained in it.
    Groups {
        /// What is compared.
        name: Name,
        /// The groups.
        groups: Vec<Vec<Literal>>,
        /// How text is compared.
        collation: Collation,
    },
    /// `name [NOT] LIKE 'pattern' [ESCAPE 'c']`: `%` is any text, `_` any one character.
    Like {
        /// What is compared.
        name: Name,
        /// Whether it is `NOT LIKE`.
        negated: bool,
        /// The pattern.
        pattern: String,
        /// The character that takes its meaning from the next one.
        escape: Option<char>,
        /// How text is compared.
        collation: Collation,
    },
    /// `name IS [NOT] NULL`, also written `name = NULL`.
    IsNull {
        /// What is looked at.
        name: Name,
        /// Whether it is `IS NOT NULL`.
        negated: bool,
    },
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompareOp {
    /// `=` or `==`.
    Eq,
    /// `<>`, `!=` or `~=`.
    Ne,
    /// `<`.
    Lt,
    /// `<=`.
    Le,
    /// `>`.
    Gt,
    /// `>=`.
    Ge,
}

/// How text is compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Collation {
    /// Byte by byte.
    #[default]
    Exact,
    /// As [`Exact`](Self::Exact) after `A` to `Z` became `a` to `z`; written `COLLATE NOCASE`.
    IgnoreAsciiCase,
}

/// Where in a comparison a name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Expr {
    /// Returns the conjunction; of two conjunctions, one.
    #[must_use]
    pub fn and(self, other: impl Into<Self>) -> Self {
        let mut all = match self {
            Self::And(all) => all,
            one => pair_with(one),
        };
        match other.into() {
            Self::And(more) => all.extend(more),
            one => all.push(one),
        }
        Self::And(all)
    }

    /// Returns the disjunction; of two disjunctions, one.
    #[must_use]
    pub fn or(self, other: impl Into<Self>) -> Self {
        let mut all = match self {
            Self::Or(all) => all,
            one => pair_with(one),
        };
        match other.into() {
            Self::Or(more) => all.extend(more),
            one => all.push(one),
        }
        Self::Or(all)
    }

    /// Gives back what its list has room for beyond its parts.
    pub(super) fn shrunk(mut self) -> Self {
        if let Self::And(all) | Self::Or(all) = &mut self {
            all.shrink_to_fit();
        }
        self
    }

    /// Returns the expression with every text comparison inside ignoring ASCII case.
    #[must_use]
    pub fn no_case(mut self) -> Self {
        self.ignore_case();
        self
    }

    fn ignore_case(&mut self) {
        match self {
            Self::Not(inner) => inner.ignore_case(),
            Self::And(all) | Self::Or(all) => all.iter_mut().for_each(Self::ignore_case),
            Self::Compare { collation, .. }
            | Self::Between { collation, .. }
            | Self::In { collation, .. }
            | Self::Groups { collation, .. }
            | Self::Like { collation, .. } => *collation = Collation::IgnoreAsciiCase,
            Self::All | Self::IsNull { .. } => {}
        }
    }

    /// Returns whether no part is nested deeper than `limit`; needs no stack to find out.
    pub(super) fn is_within_depth(&self, limit: usize) -> bool {
        let mut open = vec![(self, 0)];
        while let Some((expr, depth)) = open.pop() {
            if depth > limit {
                return false;
            }
            match expr {
                Self::Not(inner) => open.push((inner, depth + 1)),
                Self::And(all) | Self::Or(all) => {
                    open.extend(all.iter().map(|inner| (inner, depth + 1)));
                }
                _ => {}
            }
        }
        true
    }

    /// Calls `visit` with every name inside, in the order of the text, and says whether it is the
    /// right side of a comparison.
    pub(super) fn for_each_name<'a>(&'a self, visit: &mut dyn FnMut(&'a Name, Side)) {
        match self {
            Self::All => {}
            Self::Not(inner) => inner.for_each_name(visit),
            Self::And(all) | Self::Or(all) => {
                all.iter().for_each(|inner| inner.for_each_name(visit));
            }
            Self::Compare { name, operand, .. } => {
                visit(name, Side::Left);
                operand.visit_name(visit);
            }
            Self::Between { name, bounds, .. } => {
                visit(name, Side::Left);
                bounds.0.visit_name(visit);
                bounds.1.visit_name(visit);
            }
            Self::In { name, .. }
            | Self::Groups { name, .. }
            | Self::Like { name, .. }
            | Self::IsNull { name, .. } => visit(name, Side::Left),
        }
    }

    /// Returns the names on the left and the right side of a single comparison.
    pub(super) fn names(&self) -> [Option<&Name>; 2] {
        match self {
            Self::Compare { name, operand, .. } => [Some(name), operand.name()],
            Self::In { name, .. }
            | Self::Groups { name, .. }
            | Self::Like { name, .. }
            | Self::IsNull { name, .. } => [Some(name), None],
            _ => [None, None],
        }
    }
}

impl std::ops::Not for Expr {
    type Output = Self;

    /// Returns the negation; of a negation, what it negates.
    fn not(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }
}

impl CompareOp {
    /// Returns the operator with the sides exchanged: `5 < x` is `x > 5`.
    pub(super) fn flipped(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            Self::Eq | Self::Ne => self,
        }
    }

    /// Returns whether it is one of `=` and `<>`, which need no order.
    pub(super) fn is_equality(self) -> bool {
        matches!(self, Self::Eq | Self::Ne)
    }
}

impl Operand {
    fn visit_name<'a>(&'a self, visit: &mut dyn FnMut(&'a Name, Side)) {
        if let Some(name) = self.name() {
            visit(name, Side::Right);
        }
    }
}

/// Returns the start of a list that mostly gets one part more.
fn pair_with(one: Expr) -> Vec<Expr> {
    let mut all = Vec::with_capacity(2);
    all.push(one);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::field;

    #[test]
    fn conjunctions_and_disjunctions_flatten_and_negations_cancel() {
        let a = || field("a").eq(1);
        assert!(matches!(a().and(a()).and(a().and(a())), Expr::And(all) if all.len() == 4));
        assert!(matches!(a().or(a().or(a())), Expr::Or(all) if all.len() == 3));
        assert_eq!(!!a(), a());
    }

    /// A broker holds the expression of each filter, and lists hold them in place.
    #[test]
    fn expression_is_no_larger_than_a_comparison() {
        assert!(size_of::<Expr>() <= 80);
    }

    #[test]
    fn no_case_reaches_every_comparison_inside() {
        let expr = (field("a").eq("x").and(!field("b").like("y%"))).no_case();
        let text = "a COLLATE NOCASE = 'x' AND NOT b COLLATE NOCASE LIKE 'y%'";
        assert_eq!(expr.to_string(), text);
    }
}

//! What stands on the two sides of a comparison, and where in the text.

use std::ops::Range;

use crate::value::Value;

/// A name or a path, such as `order.customer.city` or `labels.[odd key]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Name {
    steps: Steps,
    span: Span,
}

/// The steps of a name; `Many` are none or several, so that equal names are equal.
#[derive(Debug, Clone, PartialEq)]
enum Steps {
    One(String),
    Many(Box<[String]>),
}

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Literal {
    value: Value,
    span: Span,
}

/// The right side of a comparison.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Operand {
    /// A constant.
    Constant(Literal),
    /// Another name, such as `subscription.symbol`.
    Name(Name),
}

/// Where in a text something stands, in bytes; takes no part in comparisons.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span {
    // Texts are limited to far less than 4 GiB.
    start: u32,
    end: u32,
}

impl Name {
    /// Returns the path with these steps, outermost first.
    pub fn new<S: Into<String>>(steps: impl IntoIterator<Item = S>) -> Self {
        let mut steps = steps.into_iter().map(Into::into);
        match (steps.next(), steps.next()) {
            (Some(only), None) => Self::single(only),
            (first, second) => {
                let steps = first.into_iter().chain(second).chain(steps);
                Self::of(Steps::Many(steps.collect()))
            }
        }
    }

    /// Returns the path with this one step.
    pub(super) fn single(step: String) -> Self {
        Self::of(Steps::One(step))
    }

    fn of(steps: Steps) -> Self {
        Self {
            steps,
            span: Span::default(),
        }
    }

    /// Returns the steps, outermost first.
    pub fn steps(&self) -> &[String] {
        match &self.steps {
            Steps::One(step) => std::slice::from_ref(step),
            Steps::Many(steps) => steps,
        }
    }

    pub(super) fn at(mut self, span: Span) -> Self {
        self.span = span;
        self
    }

    pub(super) fn span(&self) -> Span {
        self.span
    }
}

impl Literal {
    /// Returns the value as it was written; criteria convert it to the type it is compared with.
    pub fn value(&self) -> &Value {
        &self.value
    }

    pub(super) fn at(mut self, span: Span) -> Self {
        self.span = span;
        self
    }

    pub(super) fn span(&self) -> Span {
        self.span
    }
}

impl<T: Into<Value>> From<T> for Literal {
    fn from(value: T) -> Self {
        Self {
            value: value.into(),
            span: Span::default(),
        }
    }
}

impl Operand {
    pub(super) fn name(&self) -> Option<&Name> {
        match self {
            Self::Name(name) => Some(name),
            Self::Constant(_) => None,
        }
    }
}

impl<T: Into<Value>> From<T> for Operand {
    fn from(value: T) -> Self {
        Self::Constant(value.into().into())
    }
}

impl From<Name> for Operand {
    fn from(name: Name) -> Self {
        Self::Name(name)
    }
}

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Self {
        let small = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            start: small(start),
            end: small(end),
        }
    }

    /// Returns the span from the start of this one to the end of `last`.
    pub(super) fn to(self, last: Self) -> Self {
        Self {
            start: self.start,
            end: last.end,
        }
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl PartialEq for Span {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_ignores_where_the_parts_stood() {
        let there = Name::new(["a"]).at(Span::new(7, 8));
        assert_eq!(there, Name::new(["a"]));
        assert_ne!(there, Name::new(["b"]));
    }
}

//! The left side of a test, and what it may be compared with.

use super::check::{Compiled, agree, negate};
use super::coerce::{Constant, Kind, brief, to_width};
use super::compare::{is_null, test};
use super::error::{FilterError, FilterErrorKind, quoted};
use super::expr::{Collation, CompareOp};
use super::operand::{Literal, Name};
use super::predicate::{Comparison, Condition, Members, Path, Test};
use crate::value::view::elements;
use crate::value::{Value, ValueRef, ValueType};

/// The left side of a test.
pub(super) struct Subject<'s> {
    name: &'s Name,
    place: Place<'s>,
    /// The type of the value, of a list that of its elements.
    ty: &'s ValueType,
    is_list: bool,
}

/// Where the value of a name is found.
pub(super) enum Place<'s> {
    Row(Path),
    /// In the subscription's bag; NULL for a name that the scope does not have.
    Known(ValueRef<'s>),
}

impl<'s> Subject<'s> {
    /// Returns the subject of this name, found at `place` with type `ty`.
    pub(super) fn new(name: &'s Name, place: Place<'s>, ty: &'s ValueType) -> Self {
        let (ty, is_list) = match ty.not_null() {
            ValueType::List(inner) => (inner.not_null(), true),
            single => (single, false),
        };
        Self {
            name,
            place,
            ty,
            is_list,
        }
    }

    /// Returns the condition that the subject passes `test`.
    pub(super) fn passes(self, test: Test) -> Condition {
        match self.place {
            Place::Row(path) => Condition::Test { path, test },
            Place::Known(value) => Condition::Constant(test.holds(value)),
        }
    }

    fn constant<'b>(&'b self, literal: &'b Literal) -> Constant<'b> {
        Constant {
            value: literal.value().view(),
            span: literal.span(),
            name: self.name,
        }
    }

    pub(super) fn compare_with(
        self,
        op: CompareOp,
        literal: &Literal,
        collation: Collation,
    ) -> Compiled {
        let value = self
            .constant(literal)
            .to_type(constant_type(op, self.ty), collation)?;
        let (op, value) = to_width(op, value, self.ty);
        Ok(self.passes(Test::Compare {
            op,
            value,
            collation,
        }))
    }

    /// Returns the comparison with another name; either may be known now.
    pub(super) fn compare_with_name(
        self,
        op: CompareOp,
        other: Subject<'_>,
        collation: Collation,
    ) -> Compiled {
        other.require_operator(op, collation)?;
        match (&self.place, &other.place) {
            (Place::Known(a), Place::Known(b)) => {
                Ok(Condition::Constant(test(op, *a, *b, collation)))
            }
            (Place::Row(_), Place::Known(value)) => {
                let value = *value;
                self.compare_with_known(op, value, &other, collation)
            }
            (Place::Known(value), Place::Row(_)) => {
                let value = *value;
                other.compare_with_known(op.flipped(), value, &self, collation)
            }
            (Place::Row(left), Place::Row(right)) => {
                if !agree(self.ty, other.ty) || (self.is_list && other.is_list) {
                    return Err(self.no_comparison(&other));
                }
                Ok(Condition::Compare(Box::new(Comparison {
                    left: left.clone(),
                    op,
                    right: right.clone(),
                    collation,
                })))
            }
        }
    }

    /// Returns the comparison with the value of the bag that `known` names: a list is the set of
    /// its elements, without NULLs.
    fn compare_with_known(
        self,
        op: CompareOp,
        value: ValueRef<'_>,
        known: &Subject<'_>,
        collation: Collation,
    ) -> Compiled {
        let convert = |value| {
            let (span, name) = (known.name.span(), self.name);
            let constant = Constant { value, span, name };
            constant.to_type(constant_type(op, self.ty), collation)
        };
        match value {
            ValueRef::List(_) if self.is_list => Err(self.no_comparison(known)),
            ValueRef::List(list) => {
                let members = elements(list).filter(|element| !is_null(*element));
                let values = members.map(convert).collect::<Compiled<Vec<_>>>()?;
                let values = values
                    .into_iter()
                    .map(|value| to_width(CompareOp::Eq, value, self.ty).1);
                let test = Test::In(Members::new(values.collect(), collation));
                Ok(negate(self.passes(test), op == CompareOp::Ne))
            }
            single => {
                let (op, value) = to_width(op, convert(single)?, self.ty);
                Ok(self.passes(Test::Compare {
                    op,
                    value,
                    collation,
                }))
            }
        }
    }

    pub(super) fn members(&self, values: &[Literal], collation: Collation) -> Compiled<Vec<Value>> {
        self.require_operator(CompareOp::Eq, collation)?;
        let mut members = Vec::with_capacity(values.len());
        for literal in values {
            let value = self.constant(literal).to_type(self.ty, collation)?;
            members.push(to_width(CompareOp::Eq, value, self.ty).1);
        }
        Ok(members)
    }

    /// Fails if the type is known and has no use for the operator or the collation.
    pub(super) fn require_operator(&self, op: CompareOp, collation: Collation) -> Compiled<()> {
        match Kind::of(self.ty) {
            Kind::Record => {
                let expected = format!("one of its fields, as it is {}", brief(self.ty));
                return Err(self.wrong_type(expected));
            }
            Kind::List => return Err(self.wrong_type("a list of single values".to_owned())),
            _ => {}
        }
        if self.is_list && !op.is_equality() {
            let expected = format!("a single value before {op}, but it is a list");
            return Err(self.wrong_type(expected));
        }
        if collation == Collation::IgnoreAsciiCase {
            self.require_kind(Kind::Text, "COLLATE")?;
        }
        Ok(())
    }

    pub(super) fn require_text(&self, before: &str) -> Compiled<()> {
        self.require_kind(Kind::Text, before)?;
        if self.is_list {
            let expected = format!("text before {before}, but it is a list");
            return Err(self.wrong_type(expected));
        }
        Ok(())
    }

    fn require_kind(&self, wanted: Kind, before: &str) -> Compiled<()> {
        let kind = Kind::of(self.ty);
        if kind == wanted || kind == Kind::Any {
            return Ok(());
        }
        let ty = brief(self.ty);
        Err(self.wrong_type(format!("text before {before}, but it is {ty}")))
    }

    fn no_comparison(&self, other: &Subject<'_>) -> FilterError {
        let shown = |subject: &Subject<'_>| {
            let list = if subject.is_list { "a list of " } else { "" };
            format!("{} ({list}{})", subject.quoted_name(), brief(subject.ty))
        };
        let expected = format!("what can be compared with {}", shown(self));
        let kind = FilterErrorKind::Type;
        FilterError::new(kind, other.name.span(), shown(other), expected)
    }

    fn quoted_name(&self) -> String {
        quoted(&self.name.to_string())
    }

    fn wrong_type(&self, expected: String) -> FilterError {
        let found = self.quoted_name();
        FilterError::new(FilterErrorKind::Type, self.name.span(), found, expected)
    }
}

/// Returns what a constant must be: of an enum's variants one under `=`, but any text in an order.
fn constant_type(op: CompareOp, ty: &ValueType) -> &ValueType {
    match ty {
        ValueType::Enum(_) if !op.is_equality() => &ValueType::Str,
        other => other,
    }
}

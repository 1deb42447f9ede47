//! Criteria against what they are about: names become places, constants get types.

use smallvec::SmallVec;

use super::Filter;
use super::coerce::{Kind, brief};
use super::error::{FilterError, FilterErrorKind, quoted};
use super::expr::{Collation, CompareOp, Expr, Side};
use super::operand::{Name, Operand};
use super::pattern::Pattern;
use super::predicate::{Condition, Members, Predicate, Test};
use super::scope::{Resolved, Scope};
use super::subject::{Place, Subject};
use crate::value::{Value, ValueRef, ValueType};

/// Compiles the criteria.
///
/// # Errors
///
/// `UnknownName` for a name that the scope does not have, `Type` where an operator does not fit the
/// types, `Literal` for a constant that is none of its type, and the error that `From<Expr>` kept.
pub(crate) fn check(filter: &Filter, scope: &Scope<'_>) -> Result<Predicate, FilterError> {
    check_names(filter, std::slice::from_ref(scope))?;
    compile(filter, scope)
}

/// Compiles the criteria for each of several scopes, such as all methods of an interface, together
/// with what is asked in that scope alone. A scope in which nothing is asked has no predicate.
///
/// # Errors
///
/// As [`check`]; but a name must exist in one scope only, and have the same kind of type wherever
/// it exists. Where it does not, it is NULL, as are all unknown names in what is asked in one
/// scope.
pub(crate) fn check_beside(
    filter: Option<&Filter>,
    scopes: &[(Scope<'_>, Option<Expr>)],
) -> Result<Vec<Option<Predicate>>, FilterError> {
    if let Some(filter) = filter {
        let all: SmallVec<[_; 4]> = scopes.iter().map(|(scope, _)| *scope).collect();
        check_names(filter, &all)?;
    }
    let one = |(scope, beside): &(Scope<'_>, Option<Expr>)| match (filter, beside) {
        (None, None) => Ok(None),
        (Some(filter), None) => compile(filter, scope).map(Some),
        (filter, Some(beside)) => compile(&Filter::beside(filter, beside), scope).map(Some),
    };
    scopes.iter().map(one).collect()
}

fn compile(filter: &Filter, scope: &Scope<'_>) -> Result<Predicate, FilterError> {
    let mut compiler = Compiler {
        scope,
        known: Vec::new(),
    };
    let in_text = |error: FilterError| error.in_text(filter.text());
    let condition = compiler.condition(filter.expr()).map_err(in_text)?;
    Ok(Predicate {
        filter: filter.clone(),
        condition,
        known: compiler.known.into(),
    })
}

/// Fails unless each name exists in at least one scope, with one kind of type wherever it exists.
fn check_names(filter: &Filter, scopes: &[Scope<'_>]) -> Result<(), FilterError> {
    let mut result = filter.well_formed();
    filter.expr().for_each_name(&mut |name, side| {
        if result.is_ok() {
            result = check_name(name, side, scopes).map_err(|e| e.in_text(filter.text()));
        }
    });
    result
}

fn check_name(name: &Name, side: Side, scopes: &[Scope<'_>]) -> Result<(), FilterError> {
    let mut found: Option<&ValueType> = None;
    let mut unknown: Option<FilterError> = None;
    for scope in scopes {
        let ty = match scope.resolve(name) {
            Ok(Resolved::Row(_, ty)) => ty,
            Ok(Resolved::Constant(_)) => return Ok(()),
            Err(error) if error.kind() == FilterErrorKind::UnknownName => {
                let better = error.suggestion().is_some();
                if better || unknown.is_none() {
                    unknown = Some(error);
                }
                continue;
            }
            Err(error) => return Err(error),
        };
        match found {
            Some(before) if !agree(before, ty) => return Err(disagreement(name, before, ty)),
            _ => found = Some(ty),
        }
    }
    match unknown {
        Some(error) if found.is_none() => Err(with_quotes(error, name, side)),
        _ => Ok(()),
    }
}

/// Adds the suggestion that a word on the right side was meant as text.
fn with_quotes(error: FilterError, name: &Name, side: Side) -> FilterError {
    match (error.suggestion(), name.steps()) {
        (None, [word]) if side == Side::Right => {
            let text = ValueRef::Str(word).to_string();
            error.suggesting(Some(format!("the text {text}")))
        }
        _ => error,
    }
}

/// Returns whether values of the two types can be equal.
pub(super) fn agree(a: &ValueType, b: &ValueType) -> bool {
    match (a.not_null(), b.not_null()) {
        (ValueType::List(a), ValueType::List(b)) => agree(a, b),
        (a, b) => {
            let (a, b) = (Kind::of(a), Kind::of(b));
            a == b || a == Kind::Any || b == Kind::Any
        }
    }
}

fn disagreement(name: &Name, a: &ValueType, b: &ValueType) -> FilterError {
    let shown = quoted(&name.to_string());
    let found = format!("{shown}, which is {} here and {} there", brief(a), brief(b));
    let expected = "one kind of type in all methods that have it";
    FilterError::new(FilterErrorKind::Type, name.span(), found, expected)
}

struct Compiler<'s> {
    scope: &'s Scope<'s>,
    /// The names so far that are not read from a row.
    known: Vec<(Name, Value)>,
}

pub(super) type Compiled<T = Condition> = Result<T, FilterError>;

impl<'s> Compiler<'s> {
    fn condition(&mut self, expr: &Expr) -> Compiled {
        match expr {
            Expr::All => Ok(Condition::Constant(Some(true))),
            Expr::Not(inner) => Ok(negate(self.condition(inner)?, true)),
            Expr::And(all) => Ok(Condition::And(self.conditions(all)?)),
            Expr::Or(all) => Ok(Condition::Or(self.conditions(all)?)),
            Expr::Compare {
                name,
                op,
                operand,
                collation,
            } => self.comparison(name, *op, operand, *collation),
            Expr::Between {
                name,
                negated,
                bounds,
                collation,
            } => {
                let low = self.comparison(name, CompareOp::Ge, &bounds.0, *collation)?;
                let high = self.comparison(name, CompareOp::Le, &bounds.1, *collation)?;
                Ok(negate(Condition::And([low, high].into()), *negated))
            }
            Expr::IsNull { name, negated } => {
                let subject = self.subject(name)?;
                Ok(negate(subject.passes(Test::IsNull), *negated))
            }
            leaf => self.text_or_set(leaf),
        }
    }

    fn conditions(&mut self, all: &[Expr]) -> Compiled<Box<[Condition]>> {
        let mut conditions = Vec::with_capacity(all.len());
        for one in all {
            conditions.push(self.condition(one)?);
        }
        Ok(conditions.into())
    }

    fn text_or_set(&mut self, leaf: &Expr) -> Compiled {
        match leaf {
            Expr::In {
                name,
                negated,
                values,
                collation,
            } => {
                let subject = self.subject(name)?;
                let values = subject.members(values, *collation)?;
                let test = Test::In(Members::new(values, *collation));
                Ok(negate(subject.passes(test), *negated))
            }
            Expr::Groups {
                name,
                groups,
                collation,
            } => {
                let subject = self.subject(name)?;
                let collation = *collation;
                let group = |group: &Vec<_>| Ok(subject.members(group, collation)?.into());
                let groups = groups.iter().map(group).collect::<Compiled<_>>()?;
                Ok(subject.passes(Test::Groups { groups, collation }))
            }
            Expr::Like {
                name,
                negated,
                pattern,
                escape,
                collation,
            } => {
                let subject = self.subject(name)?;
                subject.require_text("LIKE")?;
                // The parser refused what is no pattern.
                let pattern = Pattern::new(pattern, *escape, *collation);
                let test = pattern.map(|pattern| subject.passes(Test::Like(pattern)));
                Ok(negate(test.unwrap_or(Condition::Constant(None)), *negated))
            }
            _ => Ok(Condition::Constant(None)),
        }
    }

    fn comparison(
        &mut self,
        name: &Name,
        op: CompareOp,
        operand: &Operand,
        collation: Collation,
    ) -> Compiled {
        let left = self.subject(name)?;
        left.require_operator(op, collation)?;
        match operand {
            Operand::Constant(literal) => left.compare_with(op, literal, collation),
            Operand::Name(other) => left.compare_with_name(op, self.subject(other)?, collation),
        }
    }

    fn subject<'n>(&mut self, name: &'n Name) -> Compiled<Subject<'n>>
    where
        's: 'n,
    {
        let (value, ty) = match self.scope.resolve(name) {
            Ok(Resolved::Row(place, ty)) => {
                return Ok(Subject::new(name, Place::Row(place.path()), ty));
            }
            Ok(Resolved::Constant(value)) => (value, Kind::type_of(value)),
            // The name exists in another scope, or the check before this would have failed.
            Err(error) if error.kind() == FilterErrorKind::UnknownName => {
                (ValueRef::Null, &ValueType::Any)
            }
            Err(error) => return Err(error),
        };
        self.known.push((name.clone(), value.to_value()));
        Ok(Subject::new(name, Place::Known(value), ty))
    }
}

/// Returns the condition, or its negation.
pub(super) fn negate(condition: Condition, negated: bool) -> Condition {
    match condition {
        Condition::Constant(value) if negated => Condition::Constant(value.map(|holds| !holds)),
        other if negated => Condition::Not(Box::new(other)),
        other => other,
    }
}

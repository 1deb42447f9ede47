//! Criteria against what they are about: names become places, constants get types.

use super::Filter;
use super::coerce::{Constant, Kind, brief, to_width};
use super::compare::test;
use super::error::{FilterError, FilterErrorKind, quoted};
use super::expr::{Collation, CompareOp, Expr, Literal, Name, Operand, Side};
use super::pattern::Pattern;
use super::predicate::{Condition, Members, Place, Places, Predicate, Test};
use super::scope::{Resolved, Scope};
use crate::value::view::elements;
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

/// Compiles the criteria for each of several scopes, such as all methods of an interface.
///
/// # Errors
///
/// As [`check`]; but a name must exist in one scope only, and have the same kind of type wherever it
/// exists. Where it does not, it is NULL.
pub(crate) fn check_all(
    filter: &Filter,
    scopes: &[Scope<'_>],
) -> Result<Vec<Predicate>, FilterError> {
    check_names(filter, scopes)?;
    scopes.iter().map(|scope| compile(filter, scope)).collect()
}

fn compile(filter: &Filter, scope: &Scope<'_>) -> Result<Predicate, FilterError> {
    let compiler = Compiler { scope };
    let in_text = |error: FilterError| error.in_text(filter.text());
    let condition = compiler.condition(filter.expr()).map_err(in_text)?;
    Ok(Predicate {
        filter: filter.clone(),
        condition,
        places: compiler.places(filter.expr()).map_err(in_text)?,
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
    let mut found: Option<ValueType> = None;
    let mut unknown: Option<FilterError> = None;
    for scope in scopes {
        let ty = match scope.resolve(name) {
            Ok(Resolved::Path(_, ty)) => ty.clone(),
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
        match &found {
            Some(before) if !agree(before, &ty) => return Err(disagreement(name, before, &ty)),
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

fn agree(a: &ValueType, b: &ValueType) -> bool {
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

struct Compiler<'s, 'a> {
    scope: &'s Scope<'a>,
}

/// The left side of a test.
struct Subject<'n> {
    name: &'n Name,
    shown: String,
    place: Place,
    /// The type of the value, of a list that of its elements.
    ty: ValueType,
    is_list: bool,
}

type Compiled<T = Condition> = Result<T, FilterError>;

impl Compiler<'_, '_> {
    fn condition(&self, expr: &Expr) -> Compiled {
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
                low,
                high,
                collation,
            } => {
                let low = self.comparison(name, CompareOp::Ge, low, *collation)?;
                let high = self.comparison(name, CompareOp::Le, high, *collation)?;
                Ok(negate(Condition::And([low, high].into()), *negated))
            }
            Expr::IsNull { name, negated } => {
                let subject = self.subject(name)?;
                Ok(negate(subject.test(Test::IsNull), *negated))
            }
            leaf => self.text_or_set(leaf),
        }
    }

    fn conditions(&self, all: &[Expr]) -> Compiled<Box<[Condition]>> {
        all.iter().map(|one| self.condition(one)).collect()
    }

    fn text_or_set(&self, leaf: &Expr) -> Compiled {
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
                Ok(negate(subject.test(test), *negated))
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
                Ok(subject.test(Test::Groups { groups, collation }))
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
                let test = pattern.map(|pattern| subject.test(Test::Like(pattern)));
                Ok(negate(test.unwrap_or(Condition::Constant(None)), *negated))
            }
            _ => Ok(Condition::Constant(None)),
        }
    }

    fn comparison(
        &self,
        name: &Name,
        op: CompareOp,
        operand: &Operand,
        collation: Collation,
    ) -> Compiled {
        let left = self.subject(name)?;
        left.require_operator(op, collation)?;
        match operand {
            Operand::Constant(literal) => left.compare_with(op, literal, collation),
            Operand::Name(other) => {
                let right = self.subject(other)?;
                right.require_operator(op, collation)?;
                compare_subjects(&left, op, &right, collation)
            }
        }
    }

    /// Returns where each name is found, in the order of the text.
    fn places(&self, expr: &Expr) -> Compiled<Places> {
        let mut places = Ok(Vec::new());
        expr.for_each_name(&mut |name, _| {
            let place = self
                .place(name)
                .map(|(place, _)| (name.to_string().into(), place));
            match (&mut places, place) {
                (Ok(places), Ok(place)) => places.push(place),
                (Ok(_), Err(error)) => places = Err(error),
                (Err(_), _) => {}
            }
        });
        places.map(Vec::into)
    }

    fn place(&self, name: &Name) -> Compiled<(Place, ValueType)> {
        match self.scope.resolve(name) {
            Ok(Resolved::Path(path, ty)) => Ok((Place::Row(path), ty.clone())),
            Ok(Resolved::Constant(value)) => {
                Ok((Place::Known(value.to_value()), Kind::type_of(value)))
            }
            // The name exists in another scope, or the check before this would have failed.
            Err(error) if error.kind() == FilterErrorKind::UnknownName => {
                Ok((Place::Known(Value::Null), ValueType::Any))
            }
            Err(error) => Err(error),
        }
    }

    fn subject<'n>(&self, name: &'n Name) -> Compiled<Subject<'n>> {
        let (place, ty) = self.place(name)?;
        let (ty, is_list) = match ty.not_null() {
            ValueType::List(inner) => (inner.not_null().clone(), true),
            single => (single.clone(), false),
        };
        Ok(Subject {
            name,
            shown: name.to_string(),
            place,
            ty,
            is_list,
        })
    }
}

impl Subject<'_> {
    /// Returns the condition that the subject passes `test`.
    fn test(&self, test: Test) -> Condition {
        match &self.place {
            Place::Row(path) => Condition::Test {
                path: path.clone(),
                test,
            },
            Place::Known(value) => Condition::Constant(test.holds(value.view())),
        }
    }

    fn constant<'b>(&'b self, literal: &'b Literal) -> Constant<'b> {
        Constant {
            value: literal.value().view(),
            span: literal.span(),
            name: &self.shown,
        }
    }

    fn compare_with(&self, op: CompareOp, literal: &Literal, collation: Collation) -> Compiled {
        let value = self
            .constant(literal)
            .to_type(constant_type(op, &self.ty), collation)?;
        let (op, value) = to_width(op, value, &self.ty);
        Ok(self.test(Test::Compare {
            op,
            value,
            collation,
        }))
    }

    fn members(&self, values: &[Literal], collation: Collation) -> Compiled<Vec<Value>> {
        self.require_operator(CompareOp::Eq, collation)?;
        let member = |literal: &Literal| {
            let value = self.constant(literal).to_type(&self.ty, collation)?;
            Ok(to_width(CompareOp::Eq, value, &self.ty).1)
        };
        values.iter().map(member).collect()
    }

    /// Fails if the type is known and has no use for the operator or the collation.
    fn require_operator(&self, op: CompareOp, collation: Collation) -> Compiled<()> {
        match Kind::of(&self.ty) {
            Kind::Record => {
                let expected = format!("one of its fields, as it is {}", brief(&self.ty));
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

    fn require_text(&self, before: &str) -> Compiled<()> {
        self.require_kind(Kind::Text, before)?;
        if self.is_list {
            let expected = format!("text before {before}, but it is a list");
            return Err(self.wrong_type(expected));
        }
        Ok(())
    }

    fn require_kind(&self, wanted: Kind, before: &str) -> Compiled<()> {
        let kind = Kind::of(&self.ty);
        if kind == wanted || kind == Kind::Any {
            return Ok(());
        }
        let ty = brief(&self.ty);
        Err(self.wrong_type(format!("text before {before}, but it is {ty}")))
    }

    fn wrong_type(&self, expected: String) -> FilterError {
        let found = quoted(&self.shown);
        FilterError::new(FilterErrorKind::Type, self.name.span(), found, expected)
    }
}

/// Returns the comparison of two names, either of which may be known now.
fn compare_subjects(
    left: &Subject<'_>,
    op: CompareOp,
    right: &Subject<'_>,
    collation: Collation,
) -> Compiled {
    match (&left.place, &right.place) {
        (Place::Known(a), Place::Known(b)) => {
            Ok(Condition::Constant(test(op, a.view(), b.view(), collation)))
        }
        (Place::Row(_), Place::Known(value)) => {
            compare_with_known(left, op, value.view(), right, collation)
        }
        (Place::Known(value), Place::Row(_)) => {
            compare_with_known(right, op.flipped(), value.view(), left, collation)
        }
        (Place::Row(a), Place::Row(b)) => {
            if !agree(&left.ty, &right.ty) || (left.is_list && right.is_list) {
                return Err(no_comparison(left, right));
            }
            Ok(Condition::Compare {
                left: a.clone(),
                op,
                right: b.clone(),
                collation,
            })
        }
    }
}

/// Returns the comparison with a value of the bag: a list is the set of its elements, without NULLs.
fn compare_with_known(
    subject: &Subject<'_>,
    op: CompareOp,
    value: ValueRef<'_>,
    known: &Subject<'_>,
    collation: Collation,
) -> Compiled {
    let constant = |value| Constant {
        value,
        span: known.name.span(),
        name: &subject.shown,
    };
    let convert = |value| constant(value).to_type(constant_type(op, &subject.ty), collation);
    match value {
        ValueRef::List(_) if subject.is_list => Err(no_comparison(subject, known)),
        ValueRef::List(list) => {
            let members = elements(list).filter(|element| !element.is_null());
            let values = members.map(convert).collect::<Compiled<Vec<_>>>()?;
            let test = Test::In(Members::new(values, collation));
            Ok(negate(subject.test(test), op == CompareOp::Ne))
        }
        single => {
            let (op, value) = to_width(op, convert(single)?, &subject.ty);
            Ok(subject.test(Test::Compare {
                op,
                value,
                collation,
            }))
        }
    }
}

/// Returns what a constant must be: of an enum's variants one under `=`, but any text in an order.
fn constant_type(op: CompareOp, ty: &ValueType) -> &ValueType {
    match ty {
        ValueType::Enum(_) if !op.is_equality() => &ValueType::Str,
        other => other,
    }
}

fn no_comparison(left: &Subject<'_>, right: &Subject<'_>) -> FilterError {
    let shown = |subject: &Subject<'_>| {
        let list = if subject.is_list { "a list of " } else { "" };
        format!("{} ({list}{})", quoted(&subject.shown), brief(&subject.ty))
    };
    let expected = format!("what can be compared with {}", shown(left));
    FilterError::new(
        FilterErrorKind::Type,
        right.name.span(),
        shown(right),
        expected,
    )
}

fn negate(condition: Condition, negated: bool) -> Condition {
    match condition {
        Condition::Constant(value) if negated => Condition::Constant(value.map(|holds| !holds)),
        other if negated => Condition::Not(Box::new(other)),
        other => other,
    }
}

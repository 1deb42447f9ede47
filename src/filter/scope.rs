//! What the names in criteria stand for.

use super::error::{FilterError, FilterErrorKind, quoted};
use super::operand::Name;
use super::parse::parse_path;
use super::predicate::{Path, Root, Step};
use super::suggest::nearest;
use crate::model::{PUBLISHER_ID, PropertyDeclaration};
use crate::value::{EventMethod, Parameter, Properties, ValueRef, ValueType};

/// What the names in criteria stand for: the parameters of an event method, or the columns of a
/// record; and, if given, the publisher's properties and the subscription's own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// Each name's index in here is its [`Root::Index`].
    roots: &'a [Parameter],
    case: Case,
    /// The noun in error messages.
    noun: &'static str,
    publisher: Option<PublisherScope<'a>>,
    subscription: Option<&'a Properties>,
}

/// How root names are matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Sensitive,
    InsensitiveAscii,
}

#[derive(Debug, Clone, Copy)]
struct PublisherScope<'a> {
    declared: &'a [PropertyDeclaration],
    others: UndeclaredProperties,
}

/// What becomes of a publisher property that the class does not declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UndeclaredProperties {
    /// It may be there and have any type.
    Open,
    /// It is an unknown name.
    Refused,
}

/// What a name stands for.
pub(super) enum Resolved<'a, 'n> {
    /// A place in the row, and the type of what is there.
    Row(Location<'a, 'n>, &'a ValueType),
    /// A value that is known now.
    Constant(ValueRef<'a>),
}

/// A place in the row that the steps of a name lead to. Looking one up copies nothing, as a name is
/// looked up more often than its path is wanted.
pub(super) struct Location<'a, 'n> {
    root: RootName<'n>,
    root_type: &'a ValueType,
    steps: &'n [String],
}

enum RootName<'n> {
    Index(usize),
    Publisher(&'n str),
}

impl<'a> Scope<'a> {
    /// Returns the scope of a method's parameters, matched exactly. The publisher has no properties
    /// before [`with_publisher`](Self::with_publisher), so each is an unknown name; those of the
    /// subscription are NULL.
    pub(crate) fn for_method(method: &'a EventMethod) -> Self {
        Self {
            roots: method.parameters(),
            case: Case::Sensitive,
            noun: "parameter",
            publisher: Some(PublisherScope {
                declared: &[],
                others: UndeclaredProperties::Refused,
            }),
            subscription: Some(const { &Properties::new() }),
        }
    }

    /// Returns the scope of a record's columns, matched without regard to ASCII case.
    pub(crate) fn for_columns(columns: &'a [Parameter]) -> Self {
        Self {
            roots: columns,
            case: Case::InsensitiveAscii,
            noun: "column",
            publisher: None,
            subscription: None,
        }
    }

    /// Lets `publisher.NAME` stand for these properties.
    #[must_use]
    pub(crate) fn with_publisher(
        mut self,
        declared: &'a [PropertyDeclaration],
        others: UndeclaredProperties,
    ) -> Self {
        self.publisher = Some(PublisherScope { declared, others });
        self
    }

    /// Lets `subscription.NAME` stand for the values of this bag, as they are now; a missing one is
    /// NULL.
    #[must_use]
    pub(crate) fn with_subscription(mut self, bag: &'a Properties) -> Self {
        self.subscription = Some(bag);
        self
    }

    /// Returns where the value of a name is, which is written as in criteria, and its type.
    ///
    /// # Errors
    ///
    /// `Syntax` if it is no name; `UnknownName` or `Type` as for criteria about it.
    pub(crate) fn place(&self, name: &str) -> Result<(Path, &'a ValueType), FilterError> {
        let parsed = parse_path(name).map_err(|error| error.in_text(name))?;
        let resolved = self.resolve(&parsed).and_then(|resolved| match resolved {
            Resolved::Row(place, ty) => Ok((place.path(), ty)),
            Resolved::Constant(_) => {
                let (kind, found) = (FilterErrorKind::UnknownName, quoted(name));
                let expected = "a name whose value comes with the event";
                Err(FilterError::new(kind, parsed.span(), found, expected))
            }
        });
        resolved.map_err(|error| error.in_text(name))
    }

    /// Returns what the name stands for.
    pub(super) fn resolve<'n>(&self, name: &'n Name) -> Result<Resolved<'a, 'n>, FilterError> {
        let Some((first, rest)) = name.steps().split_first() else {
            return Err(self.unknown(name, first_step(name), Vec::new()));
        };
        match (first.as_str(), rest, self.publisher, self.subscription) {
            ("publisher", [property, rest @ ..], Some(publisher), _) => {
                self.publisher_path(name, publisher, property, rest)
            }
            ("subscription", path @ [_, ..], _, Some(bag)) => {
                Ok(Resolved::Constant(value_at(bag, path)))
            }
            ("publisher", [], Some(_), _) | ("subscription", [], _, Some(_)) => {
                let found = quoted(first);
                let expected = format!("one of its properties, such as {first}.name");
                let kind = FilterErrorKind::UnknownName;
                Err(FilterError::new(kind, name.span(), found, expected))
            }
            _ => {
                let Some((index, root)) = self.root(first) else {
                    return Err(self.unknown(name, first, names_of(self.roots)));
                };
                let place = Location {
                    root: RootName::Index(index),
                    root_type: root.value_type(),
                    steps: rest,
                };
                place.resolved(name)
            }
        }
    }

    /// Returns the index and the root of this name or alias; the exact name wins.
    fn root(&self, name: &str) -> Option<(usize, &'a Parameter)> {
        find(self.roots, |known| known == name).or_else(|| {
            let folds = self.case == Case::InsensitiveAscii;
            find(self.roots, |known| {
                folds && known.eq_ignore_ascii_case(name)
            })
        })
    }

    fn publisher_path<'n>(
        &self,
        name: &'n Name,
        publisher: PublisherScope<'a>,
        property: &'n str,
        steps: &'n [String],
    ) -> Result<Resolved<'a, 'n>, FilterError> {
        let mut declared = publisher.declared.iter();
        let root_type = match declared.find(|known| known.name() == property) {
            None if property == PUBLISHER_ID => PUBLISHER_ID_TYPE,
            Some(known) => known.value_type(),
            None if publisher.others == UndeclaredProperties::Open => &ValueType::Any,
            None => {
                let known = publisher.declared.iter().map(PropertyDeclaration::name);
                return Err(unknown(
                    name,
                    "publisher property",
                    property,
                    known.collect(),
                ));
            }
        };
        let root = RootName::Publisher(property);
        let place = Location {
            root,
            root_type,
            steps,
        };
        place.resolved(name)
    }

    fn unknown(&self, name: &Name, step: &str, known: Vec<&str>) -> FilterError {
        unknown(name, self.noun, step, known)
    }
}

/// Every publisher may have an id, whatever its class declares.
const PUBLISHER_ID_TYPE: &ValueType = &ValueType::Uuid;

impl<'a, 'n> Location<'a, 'n> {
    fn resolved(self, name: &Name) -> Result<Resolved<'a, 'n>, FilterError> {
        let ty = self.value_type(name)?;
        Ok(Resolved::Row(self, ty))
    }

    /// Follows the steps of the name and returns the type of what is there.
    fn value_type(&self, name: &Name) -> Result<&'a ValueType, FilterError> {
        let mut ty = self.root_type;
        for step in self.steps {
            let inner = match ty.not_null() {
                ValueType::Record(record) => {
                    record.field(step).map(|(_, field)| field.value_type())
                }
                ValueType::Map(inner) => Some(&**inner),
                ValueType::Any => Some(&ValueType::Any),
                other => {
                    let found = format!("a step to {}", quoted(step));
                    let expected = format!("the end of the path, as {other} has no fields");
                    let kind = FilterErrorKind::Type;
                    return Err(FilterError::new(kind, name.span(), found, expected));
                }
            };
            ty = inner.ok_or_else(|| unknown_field(name, ty, step))?;
        }
        Ok(ty)
    }

    /// Returns the path to the place.
    pub(super) fn path(&self) -> Path {
        let mut ty = self.root_type;
        let mut steps = Vec::with_capacity(self.steps.len());
        for step in self.steps {
            let name = step.as_str().into();
            let (next, inner) = match ty.not_null() {
                ValueType::Record(record) => match record.field(step) {
                    Some((index, field)) => {
                        let name = field.name().into();
                        (Step::Field { index, name }, field.value_type())
                    }
                    // Not reached, as the place has a type.
                    None => (Step::Key(name), &ValueType::Any),
                },
                ValueType::Map(inner) => (Step::Key(name), &**inner),
                _ => (Step::Key(name), &ValueType::Any),
            };
            steps.push(next);
            ty = inner;
        }
        let root = match self.root {
            RootName::Index(index) => Root::Index(index),
            RootName::Publisher(property) => Root::Publisher(property.into()),
        };
        let steps = steps.into();
        Path { root, steps }
    }
}

/// Checks that the text is a name as in criteria, whatever it stands for.
///
/// # Errors
///
/// `Syntax` if it is not.
pub(crate) fn check_name(text: &str) -> Result<(), FilterError> {
    parse_path(text)
        .map_err(|error| error.in_text(text))
        .map(drop)
}

/// Returns the value that the path leads to in a bag; NULL where it leads nowhere.
fn value_at<'a>(bag: &'a Properties, path: &[String]) -> ValueRef<'a> {
    let mut value = ValueRef::from(bag);
    for step in path {
        value = match value {
            ValueRef::Record(record) => record.field_named(step).unwrap_or(ValueRef::Null),
            _ => ValueRef::Null,
        };
    }
    value
}

/// Returns the first parameter of which the name, else the first of which an alias, is accepted.
fn find(all: &[Parameter], accept: impl Fn(&str) -> bool) -> Option<(usize, &Parameter)> {
    let by_name = all.iter().position(|known| accept(known.name()));
    let alias = |known: &Parameter| known.aliases().iter().any(|alias| accept(alias));
    let index = by_name.or_else(|| all.iter().position(alias))?;
    Some((index, all.get(index)?))
}

fn names_of(all: &[Parameter]) -> Vec<&str> {
    all.iter().map(Parameter::name).collect()
}

fn first_step(name: &Name) -> &str {
    name.steps().first().map_or("", String::as_str)
}

fn unknown_field(name: &Name, ty: &ValueType, step: &str) -> FilterError {
    let ValueType::Record(record) = ty.not_null() else {
        return unknown(name, "field", step, Vec::new());
    };
    let noun = format!("field of {}", record.name());
    unknown(name, &noun, step, names_of(record.fields()))
}

fn unknown(name: &Name, noun: &str, step: &str, known: Vec<&str>) -> FilterError {
    let found = format!("the unknown {noun} {}", quoted(step));
    let expected = match known.as_slice() {
        [] => "another name, as there is none".to_owned(),
        [one] => quoted(one),
        [first @ .., last] if known.len() <= LISTED => {
            let first: Vec<_> = first.iter().map(|name| quoted(name)).collect();
            format!("{} or {}", first.join(", "), quoted(last))
        }
        _ => format!("one of {} known names", known.len()),
    };
    let suggestion = nearest(step, known).map(quoted);
    FilterError::new(FilterErrorKind::UnknownName, name.span(), found, expected)
        .suggesting(suggestion)
}

/// How many known names an error lists.
const LISTED: usize = 8;

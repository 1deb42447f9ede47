//! Criteria over the columns of records.

use std::sync::LazyLock;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Filter, FilterError, Predicate, Row, Scope, check, check_name};
use crate::model::{Breaker, DeliveryMode, EventClass, Firing, Subscription, Target};
use crate::value::{ListView, Parameter, ValueRef, ValueType};

/// Criteria over event classes.
pub(crate) struct ClassCriteria {
    predicate: Predicate,
}

/// Criteria over subscriptions.
pub(crate) struct SubscriptionCriteria {
    predicate: Predicate,
}

/// The columns of a record; the second name is COM+'s (MS-COMEV 2.2.1).
type Columns = &'static [(&'static str, &'static [&'static str], Type)];

/// The type of a column, which may be NULL in any record.
#[derive(Clone, Copy)]
enum Type {
    Bool,
    I32,
    U64,
    Str,
    /// A list: `=` says that it contains the text.
    Texts,
    Uuid,
    Time,
    Duration,
    /// A property bag.
    Any,
}

const CLASS: Columns = &[
    ("id", &["EventClassID"], Type::Uuid),
    ("name", &["EventClassName"], Type::Str),
    ("publisher", &["PublisherID"], Type::Uuid),
    ("description", &["Description"], Type::Str),
    ("owner", &["OwnerSID"], Type::Str),
    ("open_properties", &[], Type::Bool),
    ("unordered", &[], Type::Bool),
    (
        "publisher_filters",
        &["MultiInterfacePublisherFilterCLSID"],
        Type::Texts,
    ),
    ("parallel", &["FireInParallel"], Type::Bool),
    ("delivery", &[], Type::Str),
    ("deadline", &[], Type::Duration),
    ("breaker", &[], Type::U64),
    ("revision", &[], Type::U64),
];

const SUBSCRIPTION: Columns = &[
    ("id", &["SubscriptionID"], Type::Uuid),
    ("name", &["SubscriptionName"], Type::Str),
    ("class", &["EventClassID"], Type::Uuid),
    ("interface", &["InterfaceID"], Type::Uuid),
    ("publisher", &["PublisherID"], Type::Uuid),
    ("method", &["MethodName"], Type::Texts),
    ("component", &["SubscriberCLSID"], Type::Uuid),
    ("moniker", &["SubscriberMoniker"], Type::Str),
    ("transient", &[], Type::Bool),
    ("enabled", &[], Type::Bool),
    ("priority", &[], Type::I32),
    ("not_before", &[], Type::Time),
    ("expires", &[], Type::Time),
    ("quiet", &[], Type::Bool),
    ("time_zone", &[], Type::Str),
    ("owner", &["OwnerSID", "UserName"], Type::Str),
    ("per_user", &["PerUser"], Type::Bool),
    ("filter", &["FilterCriteria"], Type::Str),
    ("predicate", &[], Type::Str),
    ("publisher_role", &[], Type::Str),
    ("description", &["Description"], Type::Str),
    ("delivery", &[], Type::Str),
    ("deadline", &[], Type::Duration),
    ("breaker", &[], Type::U64),
    ("trigger", &[], Type::Str),
    ("revision", &[], Type::U64),
    ("for_publisher", &["PublisherProperties"], Type::Any),
    ("for_subscriber", &["SubscriberProperties"], Type::Any),
];

static CLASS_COLUMNS: LazyLock<Vec<Parameter>> = LazyLock::new(|| parameters(CLASS));
static SUBSCRIPTION_COLUMNS: LazyLock<Vec<Parameter>> = LazyLock::new(|| parameters(SUBSCRIPTION));

fn parameters(columns: Columns) -> Vec<Parameter> {
    let parameter = |(name, aliases, ty): &(&str, &[&str], Type)| {
        let column = Parameter::new(*name, ty.value_type());
        aliases
            .iter()
            .fold(column, |column, alias| column.alias(*alias))
    };
    columns.iter().map(parameter).collect()
}

impl Type {
    fn value_type(self) -> ValueType {
        let ty = match self {
            Self::Bool => ValueType::Bool,
            Self::I32 => ValueType::I32,
            Self::U64 => ValueType::U64,
            Self::Str => ValueType::Str,
            Self::Texts => ValueType::List(Box::new(ValueType::Str)),
            Self::Uuid => ValueType::Uuid,
            Self::Time => ValueType::Time,
            Self::Duration => ValueType::Duration,
            Self::Any => return ValueType::Any,
        };
        ValueType::Option(Box::new(ty))
    }
}

impl ClassCriteria {
    pub(crate) fn parse(criteria: &str) -> Result<Self> {
        let predicate = predicate(criteria, &CLASS_COLUMNS)?;
        Ok(Self { predicate })
    }

    pub(crate) fn matches(&self, class: &EventClass) -> bool {
        self.predicate.evaluate(&ClassRow(class)) == Some(true)
    }
}

impl SubscriptionCriteria {
    pub(crate) fn parse(criteria: &str) -> Result<Self> {
        let predicate = predicate(criteria, &SUBSCRIPTION_COLUMNS)?;
        Ok(Self { predicate })
    }

    /// Checks the default queries of a class, and the key of its lanes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Filter`] for the first that does not parse or does not fit the columns.
    pub(crate) fn check_criteria(class: &EventClass) -> Result<()> {
        let of_methods = class.method_settings();
        let of_methods = of_methods.map(|(method, settings)| (Some(method), settings));
        for (method, settings) in std::iter::once((None, class.settings())).chain(of_methods) {
            let query = settings.default_query();
            let Some(Err(error)) = query.map(|query| predicate(query, &SUBSCRIPTION_COLUMNS))
            else {
                continue;
            };
            let of = method.map_or_else(String::new, |method| format!(" for {method:?}"));
            let name = class.name();
            let message = format!("the default query of the class {name:?}{of} is not valid");
            return Err(Error::new(ErrorKind::Filter, message).explained_by(error));
        }
        // Which of the methods have it is not asked: others may come, and theirs is NULL.
        let key = class.delivery().and_then(DeliveryMode::key);
        key.map_or(Ok(()), check_name).map_err(|error| {
            let message = format!("the key of the lanes of {:?} is not valid", class.name());
            Error::new(ErrorKind::Filter, message).explained_by(error)
        })
    }

    pub(crate) fn matches(&self, subscription: &Subscription) -> bool {
        self.predicate.evaluate(&SubscriptionRow(subscription)) == Some(true)
    }
}

fn predicate(criteria: &str, columns: &[Parameter]) -> Result<Predicate, FilterError> {
    let filter = Filter::parse(criteria)?;
    check(&filter, &Scope::for_columns(columns))
}

struct ClassRow<'a>(&'a EventClass);

impl Row for ClassRow<'_> {
    fn root(&self, index: usize) -> ValueRef<'_> {
        let class = self.0;
        match CLASS.get(index).map_or("", |(name, ..)| *name) {
            "id" => ValueRef::Uuid(class.id().uuid()),
            "name" => ValueRef::Str(class.name()),
            "publisher" => uuid(class.publisher()),
            "description" => text(class.description()),
            "owner" => text(class.owner()),
            "open_properties" => ValueRef::Bool(class.has_open_properties()),
            "unordered" => ValueRef::Bool(class.is_unordered()),
            "publisher_filters" => list(&class.settings().publisher_filters),
            "parallel" => ValueRef::Bool(class.firing() != Firing::Serial),
            "delivery" => text(class.delivery().map(DeliveryMode::name)),
            "deadline" => duration(class.deadline()),
            "breaker" => failures(class.breaker()),
            "revision" => number(class.revision()),
            _ => ValueRef::Null,
        }
    }

    fn publisher(&self, _name: &str) -> ValueRef<'_> {
        ValueRef::Null
    }
}

struct SubscriptionRow<'a>(&'a Subscription);

impl Row for SubscriptionRow<'_> {
    fn root(&self, index: usize) -> ValueRef<'_> {
        let subscription = self.0;
        let target = subscription.target();
        match SUBSCRIPTION.get(index).map_or("", |(name, ..)| *name) {
            "id" => ValueRef::Uuid(subscription.id().uuid()),
            "name" => ValueRef::Str(subscription.name()),
            "class" => uuid(subscription.binding().class()),
            "interface" => uuid(subscription.binding().interface()),
            "publisher" => uuid(subscription.binding().publisher()),
            "method" => list(&subscription.binding().methods),
            "component" => match target {
                Target::Component(id) => ValueRef::Uuid(id.uuid()),
                _ => ValueRef::Null,
            },
            "moniker" => match target {
                Target::Moniker(moniker) => ValueRef::Str(moniker.as_str()),
                _ => ValueRef::Null,
            },
            "transient" => ValueRef::Bool(*target == Target::Object),
            "enabled" => ValueRef::Bool(subscription.is_enabled()),
            "priority" => ValueRef::I64(subscription.priority().into()),
            "not_before" => subscription
                .not_before()
                .map_or(ValueRef::Null, ValueRef::Time),
            "expires" => subscription
                .expires()
                .map_or(ValueRef::Null, ValueRef::Time),
            "quiet" => ValueRef::Bool(!subscription.schedule().quiet_hours().is_empty()),
            "time_zone" => text(subscription.schedule().time_zone()),
            "owner" => text(subscription.owner().map(AsRef::as_ref)),
            "per_user" => ValueRef::Bool(subscription.is_per_user()),
            "filter" => text(subscription.filter()),
            "predicate" => text(subscription.predicate().map(AsRef::as_ref)),
            "publisher_role" => text(subscription.publisher_role().map(AsRef::as_ref)),
            "description" => text(subscription.description()),
            "delivery" => text(subscription.delivery().map(DeliveryMode::name)),
            "deadline" => duration(subscription.deadline()),
            "breaker" => failures(subscription.breaker()),
            "trigger" => text(subscription.trigger().map(|it| it.kind().name())),
            "revision" => number(subscription.revision()),
            "for_publisher" => ValueRef::Record(subscription.for_publisher()),
            "for_subscriber" => ValueRef::Record(subscription.for_subscriber()),
            _ => ValueRef::Null,
        }
    }

    fn publisher(&self, _name: &str) -> ValueRef<'_> {
        ValueRef::Null
    }
}

fn text(value: Option<&str>) -> ValueRef<'_> {
    value.map_or(ValueRef::Null, ValueRef::Str)
}

/// Returns a list of texts, or NULL for none.
fn list(values: &dyn ListView) -> ValueRef<'_> {
    match values.element_count() {
        0 => ValueRef::Null,
        _ => ValueRef::List(values),
    }
}

fn uuid<'a>(value: Option<impl Into<uuid::Uuid>>) -> ValueRef<'a> {
    value.map_or(ValueRef::Null, |id| ValueRef::Uuid(id.into()))
}

fn duration<'a>(value: Option<Duration>) -> ValueRef<'a> {
    value.map_or(ValueRef::Null, ValueRef::Duration)
}

/// Returns how many failures open a breaker, or NULL without one.
fn failures<'a>(breaker: Option<&Breaker>) -> ValueRef<'a> {
    breaker.map_or(ValueRef::Null, |it| ValueRef::U64(it.failures().into()))
}

fn number<'a>(value: Option<crate::model::Revision>) -> ValueRef<'a> {
    value.map_or(ValueRef::Null, |revision| ValueRef::U64(revision.get()))
}

//! Criteria over the columns of records.

use std::sync::LazyLock;

use crate::error::Result;
use crate::filter::{Filter, Predicate, Row, Scope, check};
use crate::model::{EventClass, Subscription, Target};
use crate::value::{Parameter, ValueRef, ValueType};

/// Criteria over event classes.
pub(super) struct ClassCriteria {
    predicate: Predicate,
}

/// Criteria over subscriptions.
pub(super) struct SubscriptionCriteria {
    predicate: Predicate,
}

/// The columns of a record; the second name is COM+'s (MS-COMEV 2.2.1).
type Columns = &'static [(&'static str, &'static [&'static str], ValueType)];

const CLASS: Columns = &[
    ("id", &["EventClassID"], ValueType::Uuid),
    ("name", &["EventClassName"], ValueType::Str),
    ("publisher", &["PublisherID"], ValueType::Uuid),
    ("description", &["Description"], ValueType::Str),
    ("owner", &["OwnerSID"], ValueType::Str),
    ("open_properties", &[], ValueType::Bool),
    ("unordered", &[], ValueType::Bool),
    ("revision", &[], ValueType::U64),
];

const SUBSCRIPTION: Columns = &[
    ("id", &["SubscriptionID"], ValueType::Uuid),
    ("name", &["SubscriptionName"], ValueType::Str),
    ("class", &["EventClassID"], ValueType::Uuid),
    ("interface", &["InterfaceID"], ValueType::Uuid),
    ("method", &["MethodName"], ValueType::Str),
    ("component", &["SubscriberCLSID"], ValueType::Uuid),
    ("moniker", &["SubscriberMoniker"], ValueType::Str),
    ("transient", &[], ValueType::Bool),
    ("enabled", &[], ValueType::Bool),
    ("priority", &[], ValueType::I32),
    ("not_before", &[], ValueType::Time),
    ("expires", &[], ValueType::Time),
    ("owner", &["OwnerSID", "UserName"], ValueType::Str),
    ("filter", &["FilterCriteria"], ValueType::Str),
    ("description", &["Description"], ValueType::Str),
    ("revision", &[], ValueType::U64),
    ("for_publisher", &["PublisherProperties"], ValueType::Any),
    ("for_subscriber", &["SubscriberProperties"], ValueType::Any),
];

static CLASS_COLUMNS: LazyLock<Vec<Parameter>> = LazyLock::new(|| parameters(CLASS));
static SUBSCRIPTION_COLUMNS: LazyLock<Vec<Parameter>> = LazyLock::new(|| parameters(SUBSCRIPTION));

fn parameters(columns: Columns) -> Vec<Parameter> {
    let parameter = |(name, aliases, ty): &(&str, &[&str], ValueType)| {
        let nullable = ValueType::Option(Box::new(ty.clone()));
        let ty = if *ty == ValueType::Any {
            ty.clone()
        } else {
            nullable
        };
        aliases
            .iter()
            .fold(Parameter::new(*name, ty), |column, alias| {
                column.alias(*alias)
            })
    };
    columns.iter().map(parameter).collect()
}

impl ClassCriteria {
    pub(super) fn parse(criteria: &str) -> Result<Self> {
        let filter = Filter::parse(criteria)?;
        let predicate = check(&filter, &Scope::for_columns(&CLASS_COLUMNS))?;
        Ok(Self { predicate })
    }

    pub(super) fn matches(&self, class: &EventClass) -> bool {
        self.predicate.evaluate(&ClassRow(class)) == Some(true)
    }
}

impl SubscriptionCriteria {
    pub(super) fn parse(criteria: &str) -> Result<Self> {
        let filter = Filter::parse(criteria)?;
        let predicate = check(&filter, &Scope::for_columns(&SUBSCRIPTION_COLUMNS))?;
        Ok(Self { predicate })
    }

    pub(super) fn matches(&self, subscription: &Subscription) -> bool {
        self.predicate.evaluate(&SubscriptionRow(subscription)) == Some(true)
    }
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
            "method" => text(subscription.binding().method()),
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
            "owner" => text(subscription.owner().map(AsRef::as_ref)),
            "filter" => text(subscription.filter()),
            "description" => text(subscription.description()),
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

fn uuid<'a>(value: Option<impl Into<uuid::Uuid>>) -> ValueRef<'a> {
    value.map_or(ValueRef::Null, |id| ValueRef::Uuid(id.into()))
}

fn number<'a>(value: Option<crate::model::Revision>) -> ValueRef<'a> {
    value.map_or(ValueRef::Null, |revision| ValueRef::U64(revision.get()))
}

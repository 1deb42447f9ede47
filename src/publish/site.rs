//! The places where a subscription is served, and its filter compiled for them.

use std::sync::Arc;

use smallvec::SmallVec;

use super::bag_equality::Compared;
use super::bound_methods::BoundMethods;
use crate::filter::{
    Expr, Filter, FilterError, Predicate, Scope, UndeclaredProperties, check_beside, field,
};
use crate::model::{Binding, EventClass, PUBLISHER_ID, Subscription};
use crate::value::{EventMethod, InterfaceSchema, Value};

/// One interface of one class.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) schema: Arc<InterfaceSchema>,
    pub(crate) class: Arc<EventClass>,
    /// What of the bags is compared with the events.
    pub(crate) bags: Compared,
}

/// A site and those that share its class or its interface: a subscription may be bound to several
/// of them, and then a name in its filter has to exist in one of them only.
#[derive(Debug, Clone)]
pub(crate) struct Sites {
    pub(crate) here: Site,
    pub(crate) others: Vec<Site>,
}

/// The predicates of one site by the index of their method; methods that the subscription is not
/// bound to have none.
pub(crate) type Predicates = Vec<(usize, Predicate)>;

/// A filter as it was compiled before its subscription was stored, and the sites it was compiled
/// for.
pub(crate) struct CompiledFilter {
    sites: Vec<Site>,
    /// Site -> its predicates, until they are taken.
    predicates: Vec<Option<Predicates>>,
}

impl Site {
    /// Returns whether it is this very site, with nothing changed.
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.schema, &other.schema)
            && Arc::ptr_eq(&self.class, &other.class)
            && self.bags.is(&other.bags)
    }

    /// Returns whether a subscription with this binding is served here.
    pub(crate) fn takes(&self, binding: &Binding) -> bool {
        let (class, interface) = (self.class.id(), self.schema.id());
        binding.class().is_none_or(|id| id == class)
            && binding.interface().is_none_or(|id| id == interface)
    }

    /// Returns the methods that a subscription with this binding asks for.
    pub(crate) fn methods<'a>(
        &'a self,
        binding: &'a Binding,
    ) -> impl Iterator<Item = (usize, &'a EventMethod)> {
        let bound = self.bound(binding);
        let all = self.schema.methods().iter().enumerate();
        all.filter(move |(index, _)| bound.contains(*index))
    }

    /// Returns which of the methods a subscription with this binding asks for.
    pub(super) fn bound(&self, binding: &Binding) -> BoundMethods {
        BoundMethods::new(&self.schema, binding)
    }
}

/// Returns what an event must fulfil to reach a subscription: its criteria and, if it is bound to a
/// publisher, that publisher's id.
pub(crate) fn filter_of(record: &Subscription) -> Result<Option<Filter>, FilterError> {
    let filter = record.shared_filter().map(Filter::parse_shared);
    Ok(by_publisher(filter.transpose()?, record))
}

/// Returns the criteria, if there are any, and that the event is of the publisher to which the
/// subscription is bound, if it is bound to one.
pub(super) fn by_publisher(filter: Option<Filter>, record: &Subscription) -> Option<Filter> {
    let Some(publisher) = record.binding().publisher() else {
        return filter;
    };
    let path = format!("publisher.{PUBLISHER_ID}");
    let by_publisher = field(&path).eq(Value::Uuid(publisher.into()));
    Some(match filter {
        None => by_publisher.into(),
        Some(filter) => filter.expr().clone().and(by_publisher).into(),
    })
}

impl Sites {
    /// Returns the predicates of this site for a subscription that it serves.
    pub(super) fn compile(
        &self,
        filter: Option<&Filter>,
        record: &Subscription,
    ) -> Result<Predicates, FilterError> {
        let mut here = compile(filter, record, &self.serving(record))?.swap_remove(0);
        // Most have one method, and a vector that grows begins with room for four predicates.
        here.shrink_to_fit();
        Ok(here)
    }

    /// Returns those that serve a subscription, this one first.
    pub(super) fn serving(&self, record: &Subscription) -> Vec<&Site> {
        let others = self.others.iter();
        let others = others.filter(|site| site.takes(record.binding()));
        std::iter::once(&self.here).chain(others).collect()
    }
}

impl CompiledFilter {
    pub(crate) fn new(sites: Vec<Site>, predicates: Vec<Predicates>) -> Self {
        let predicates = predicates.into_iter().map(Some).collect();
        Self { sites, predicates }
    }

    /// Takes the predicates of the present site, unless a schema or a class has changed since.
    pub(super) fn take(&mut self, sites: &Sites, record: &Subscription) -> Option<Predicates> {
        let binding = record.binding();
        let others = sites.others.iter().filter(|site| site.takes(binding));
        let mut count = 1;
        for other in others {
            self.place(other)?;
            count += 1;
        }
        let here = self.place(&sites.here)?;
        let all = count == self.sites.len();
        all.then(|| self.predicates.get_mut(here)?.take()).flatten()
    }

    fn place(&self, site: &Site) -> Option<usize> {
        let mut sites = self.sites.iter();
        sites.position(|known| known.is(site))
    }
}

/// Returns the names that the events of a method of a class have.
pub(super) fn scope<'a>(class: &'a EventClass, method: &'a EventMethod) -> Scope<'a> {
    let undeclared = match class.has_open_properties() {
        true => UndeclaredProperties::Open,
        false => UndeclaredProperties::Refused,
    };
    Scope::for_method(method).with_publisher(class.properties(), undeclared)
}

/// Compiles a filter for every site that serves its subscription: a name has to exist in one of
/// their methods at least and to agree in type where it exists; where it is absent it is NULL. What
/// the bag asks of an event is part of it; a site where neither asks anything has no predicates.
pub(crate) fn compile(
    filter: Option<&Filter>,
    record: &Subscription,
    sites: &[&Site],
) -> Result<Vec<Predicates>, FilterError> {
    let unasked = |site: &&Site| site.bags.is_empty();
    if filter.is_none() && (record.for_publisher().is_empty() || sites.iter().all(unasked)) {
        return Ok(sites.iter().map(|_| Predicates::new()).collect());
    }
    let binding = record.binding();
    let mut scopes: SmallVec<[(Scope<'_>, Option<Expr>); 4]> = SmallVec::new();
    for site in sites {
        scopes.extend(site.methods(binding).map(|(_, method)| {
            let bag = record.for_publisher();
            let scope = scope(&site.class, method).with_subscription(bag);
            (scope, site.bags.condition(bag, &site.class, method))
        }));
    }
    let mut checked = check_beside(filter, &scopes)?.into_iter();
    let predicates = sites.iter().map(|site| {
        let methods = site.methods(binding).map(|(index, _)| index);
        let both = methods.zip(checked.by_ref());
        both.filter_map(|(method, predicate)| Some((method, predicate?)))
            .collect()
    });
    Ok(predicates.collect())
}

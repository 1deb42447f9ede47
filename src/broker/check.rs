//! Whether a subscription fits what it is bound to, and what its filter costs.

use std::sync::Arc;

use super::Broker;
use crate::error::{Error, ErrorKind, Result};
use crate::index::{FilterCost, IndexHelp};
use crate::model::{Binding, EventClass, EventClassId, OffHours, Subscription, SubscriptionId};
use crate::notices::Notice;
use crate::publish::{Compared, CompiledFilter, Misfit, Site, check_handling, compile, filter_of};

/// What a stored subscription is worth now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscriptionStatus {
    /// It is served.
    Active,
    /// It is switched off.
    Disabled,
    /// It is a per-user one, and its owner is not logged on: has no session at this broker.
    OwnerAbsent,
    /// Its schedule has nothing delivered to it now, and says this of it.
    OffHours(OffHours),
    /// No class that it is bound to is known here, so its filter was not checked yet.
    Unchecked,
    /// It does not fit any class that it is bound to, or names a predicate, which nobody can ask in
    /// this version; the text says why. Computed, not stored: when the interface changes back, it
    /// is served again.
    Suspended(String),
}

/// What a check found.
pub(super) struct Checked {
    /// Whether a class that the subscription is bound to is known here.
    known: bool,
    /// The first method that is named and that none of its classes has.
    unknown_method: Option<Error>,
    cost: Option<FilterCost>,
    compiled: Option<CompiledFilter>,
}

impl Broker {
    /// Returns what the subscription of this id is worth now.
    pub fn status(&self, id: impl Into<SubscriptionId>) -> Option<SubscriptionStatus> {
        let entry = self.present(id.into())?;
        if !self.access().may_read_record(&entry.record) {
            return None;
        }
        let record = &entry.record;
        if !record.is_enabled() {
            return Some(SubscriptionStatus::Disabled);
        }
        Some(match (self.examine(record), entry.off_hours()) {
            (Err(error), _) => SubscriptionStatus::Suspended(error.to_string()),
            (Ok(_), _) if entry.absent => SubscriptionStatus::OwnerAbsent,
            (Ok(checked), _) if !checked.known => SubscriptionStatus::Unchecked,
            (Ok(_), Some(off)) => SubscriptionStatus::OffHours(off.clone()),
            (Ok(_), None) => SubscriptionStatus::Active,
        })
    }

    /// Returns what the filter of a subscription costs where it is one of many, or `None` without a
    /// filter, or if nothing that it is bound to is known here.
    ///
    /// # Errors
    ///
    /// As [`ensure`](Self::ensure).
    pub fn filter_cost(&self, subscription: &Subscription) -> Result<Option<FilterCost>> {
        Ok(self.check(subscription)?.cost)
    }

    /// Says of a subscription that was stored, and of so many others, that the index cannot help
    /// its filter.
    pub(super) fn note_cost(
        &self,
        (id, name): (SubscriptionId, &str),
        others: usize,
        cost: Option<FilterCost>,
    ) {
        if let Some(cost) = cost.filter(|cost| cost.help() == IndexHelp::Scanned) {
            self.core.notices.push(Notice::FilterScanned {
                id: id.uuid(),
                subscription: name.to_owned(),
                others,
                cost: cost.to_string(),
            });
        }
    }

    /// Checks a subscription against every class that it is bound to and that is known here.
    pub(super) fn check(&self, subscription: &Subscription) -> Result<Checked> {
        let mut checked = self.examine(subscription)?;
        checked.unknown_method.take().map_or(Ok(checked), Err)
    }

    /// Checks a subscription of which some methods may be gone since it was stored: it is served
    /// for the others.
    pub(super) fn examine(&self, subscription: &Subscription) -> Result<Checked> {
        subscription.validate()?;
        let filter = filter_of(subscription)?;
        let binding = subscription.binding();
        let (sites, known) = self.sites(binding);
        let unknown_method = match unknown_methods(binding, &sites) {
            (Some(error), count) if count == binding.methods().len() => return Err(error),
            (error, _) => error,
        };
        let mut checked = Checked {
            known,
            unknown_method,
            cost: None,
            compiled: None,
        };
        if sites.is_empty() {
            return Ok(checked);
        }
        let all: Vec<_> = sites.iter().collect();
        if let Err(Misfit { what, error }) = check_handling(subscription, &all) {
            let message = format!("{what} of {:?} is not valid", subscription.name());
            return Err(Error::new(ErrorKind::Filter, message).explained_by(error));
        }
        match compile(filter.as_ref(), subscription, &all) {
            Ok(predicates) => {
                checked.cost = FilterCost::of_worst(predicates.iter().flatten().map(|(_, it)| it));
                refuse_scanned(subscription, checked.cost, &all)?;
                if predicates.iter().any(|of_site| !of_site.is_empty()) {
                    checked.compiled = Some(CompiledFilter::new(sites, predicates));
                }
                Ok(checked)
            }
            Err(error) => {
                let what = match filter {
                    Some(_) => "filter",
                    None => "bag for the publisher side",
                };
                let message = format!("the {what} of {:?} is not valid", subscription.name());
                Err(Error::new(ErrorKind::Filter, message).explained_by(error))
            }
        }
    }

    /// Returns the interfaces and classes that a binding means, as far as they are known. For an
    /// interface that no class offers yet that is a class which might come, with whatever
    /// properties; the second value says whether the classes are known ones.
    fn sites(&self, binding: &Binding) -> (Vec<Site>, bool) {
        self.core.wiring.with(|state, _| {
            let classes = state.classes_bound(binding);
            let classes = classes
                .iter()
                .filter_map(|class| state.classes.get(&class.id()));
            let classes: Vec<_> = classes.collect();
            let mut sites = Vec::new();
            for class in &classes {
                let offered = class.record.interfaces().iter();
                let known = offered.filter_map(|id| state.interfaces.get(id));
                let offered = known.map(|known| class.site(&known.schema));
                sites.extend(offered.filter(|site| site.takes(binding)));
            }
            if let (true, None, Some(interface)) =
                (classes.is_empty(), binding.class(), binding.interface())
                && let Some(known) = state.interfaces.get(&interface)
            {
                let name = known.schema.name();
                let class = EventClass::new(EventClassId::named(name), name);
                let class = Arc::new(class.with_interface(interface).with_open_properties());
                sites.push(Site {
                    schema: Arc::clone(&known.schema),
                    class,
                    bags: Compared::default(),
                });
            }
            (sites, !classes.is_empty())
        })
    }
}

/// Returns what is wrong with the first method that is named and that no site has, and how many
/// there are.
fn unknown_methods(binding: &Binding, sites: &[Site]) -> (Option<Error>, usize) {
    let Some(first) = sites.first() else {
        return (None, 0);
    };
    let exists = |name: &str| sites.iter().any(|site| site.schema.method(name).is_some());
    let mut unknown = binding.methods().filter(|name| !exists(name));
    let error = unknown.next().map(|method| {
        let interface = first.schema.name();
        let message = format!("the interface {interface} has no method {method:?}");
        Error::new(ErrorKind::NotFound, message)
    });
    let count = usize::from(error.is_some()) + unknown.count();
    (error, count)
}

fn refuse_scanned(
    subscription: &Subscription,
    cost: Option<FilterCost>,
    sites: &[&Site],
) -> Result<()> {
    let strict = sites
        .iter()
        .find(|site| site.class.requires_indexable_filters());
    match (strict, cost) {
        (Some(site), Some(cost)) if cost.help() == IndexHelp::Scanned => {
            let message = format!(
                "the class {:?} refuses the filter of {:?}: {cost}",
                site.class.name(),
                subscription.name()
            );
            Err(Error::new(ErrorKind::Invalid, message))
        }
        _ => Ok(()),
    }
}

impl Checked {
    /// Returns the filter as it was compiled for the check.
    pub(super) fn compiled(self) -> Option<CompiledFilter> {
        self.compiled
    }

    pub(super) fn cost(&self) -> Option<FilterCost> {
        self.cost
    }
}

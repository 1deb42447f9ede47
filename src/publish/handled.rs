//! Whether what a subscription says of its calls fits the events that it is bound to.

use std::sync::Arc;

use super::site::{Predicates, Site, Sites, by_publisher, compile, scope};
use crate::filter::{Filter, FilterError, FilterErrorKind, Predicate};
use crate::model::{DeliveryMode, Subscription, Trigger};

/// What does not fit, by its name, and why.
pub(crate) struct Misfit {
    pub(crate) what: &'static str,
    pub(crate) error: FilterError,
}

/// The re-arm filter on each method of one site.
pub(super) type Rearm = Arc<[(usize, Predicate)]>;

impl Sites {
    /// Returns the re-arm filter of a subscription that this site serves, if it has one.
    pub(super) fn rearm(&self, record: &Subscription) -> Result<Option<Rearm>, String> {
        if !has_names(record) {
            return Ok(None);
        }
        let mut rearm = check_handling(record, &self.serving(record))
            .map_err(|Misfit { what, error }| format!("{what}: {error}"))?;
        let here = rearm.as_mut().map(|all| all.swap_remove(0));
        Ok(here.map(Into::into))
    }
}

/// Checks the names in what a subscription says of its calls, and returns its re-arm filter for
/// each site that serves it, if it has one. As in a filter, a name has to exist in one of the
/// methods at least.
pub(crate) fn check_handling(
    record: &Subscription,
    sites: &[&Site],
) -> Result<Option<Vec<Predicates>>, Misfit> {
    if let Some(key) = record.delivery().and_then(DeliveryMode::key) {
        let what = "the key of the lanes";
        check_key(key, record, sites).map_err(|error| Misfit { what, error })?;
    }
    for key in record.trigger().map_or(&[][..], Trigger::keys) {
        let what = "the key of the trigger";
        check_key(key, record, sites).map_err(|error| Misfit { what, error })?;
    }
    let Some(criteria) = record.trigger().and_then(Trigger::rearm_criteria) else {
        return Ok(None);
    };
    let compiled = Filter::parse(criteria).and_then(|filter| {
        let filter = by_publisher(Some(filter), record);
        compile(filter.as_ref(), record, sites)
    });
    let what = "the re-arm filter";
    compiled.map(Some).map_err(|error| Misfit { what, error })
}

fn has_names(record: &Subscription) -> bool {
    record.trigger().is_some() || record.delivery().and_then(DeliveryMode::key).is_some()
}

/// Fails unless one method at least has the name.
fn check_key(name: &str, record: &Subscription, sites: &[&Site]) -> Result<(), FilterError> {
    let mut unknown = None;
    for site in sites {
        for (_, method) in site.methods(record.binding()) {
            match scope(&site.class, method).place(name) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == FilterErrorKind::UnknownName => {
                    unknown.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
    }
    unknown.map_or(Ok(()), Err)
}

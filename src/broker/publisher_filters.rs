//! What records call by name on the publisher's side.

use std::sync::Arc;

use super::Broker;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{PredicateName, PublisherFilterName};
use crate::publish::{FilteredEvent, PublisherFilter};

impl Broker {
    /// Registers a publisher filter under a name, for classes that bear it and publishers that
    /// install it by name. The same object again is a no-op; fires that begin when this returned
    /// ask it.
    ///
    /// The broker keeps the filter, and publishers keep what the broker has registered: a filter
    /// that holds a publisher of this broker keeps both alive until it is unregistered.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if the name is none, as [`PublisherFilterName`] says,
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if another filter has the name,
    /// [`NotFound`](ErrorKind::NotFound) if it is a [`BagEquality`](crate::BagEquality) with a name
    /// that in a class which bears it is neither a parameter of an event nor a publisher property,
    /// [`Closed`](ErrorKind::Closed) after the broker was closed.
    pub fn register_publisher_filter(
        &self,
        name: &str,
        filter: Arc<dyn PublisherFilter>,
    ) -> Result<()> {
        self.core.check_open()?;
        let name = PublisherFilterName::try_from(name).map_err(invalid)?;
        let bags = filter.as_bag_equality().cloned();
        let named = &self.core.around.named;
        let is_new = named.add_filter(name.as_ref(), filter)?;
        let compared = bags.filter(|_| is_new).map(|bags| {
            let wiring = &self.core.wiring;
            wiring.change(|state, changes| state.compare_bags(name.as_ref(), Some(bags), changes))
        });
        compared.unwrap_or(Ok(())).inspect_err(|_| {
            named.remove_filter(name.as_ref());
        })
    }

    /// Removes the publisher filter of this name and returns whether there was one. Where it is
    /// named, every subscription of an event fails until it is back.
    pub fn unregister_publisher_filter(&self, name: &str) -> bool {
        // Without bags it refuses nothing.
        let wiring = &self.core.wiring;
        let _ = wiring.change(|state, changes| state.compare_bags(name, None, changes));
        self.core.around.named.remove_filter(name)
    }

    /// Registers a predicate under a name: subscriptions that bear it
    /// ([`SubscriptionBuilder::predicate`](crate::SubscriptionBuilder::predicate)) get only the
    /// events that their filter selects and that it lets pass.
    ///
    /// It is called on the publisher's thread, for each such subscription that an event matches,
    /// with no lock held; [`explain`](Self::explain) calls it too, so it should do nothing but
    /// answer. If it panics, the delivery fails.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if the name is none, as [`PredicateName`] says,
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if the name is taken,
    /// [`Closed`](ErrorKind::Closed) after the broker was closed.
    pub fn register_predicate<F>(&self, name: &str, predicate: F) -> Result<()>
    where
        F: Fn(&FilteredEvent<'_>) -> bool + Send + Sync + 'static,
    {
        self.core.check_open()?;
        let name = PredicateName::try_from(name).map_err(invalid)?;
        let code = Arc::new(predicate);
        self.core.around.named.add_predicate(name.as_ref(), code)
    }

    /// Removes the predicate of this name and returns whether there was one. Deliveries to
    /// subscriptions that bear the name fail until it is back.
    pub fn unregister_predicate(&self, name: &str) -> bool {
        self.core.around.named.remove_predicate(name)
    }
}

fn invalid(error: crate::model::InvalidName) -> Error {
    Error::new(ErrorKind::Invalid, error.to_string()).because(error)
}

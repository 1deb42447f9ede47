//! What records call by name on the publisher's side.

use std::sync::Arc;

use super::Broker;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{EventClassId, PredicateName, PublisherFilterName, Right};
use crate::publish::{BagEquality, FilteredEvent, PublisherFilter};

impl Broker {
    /// Registers a publisher filter under a name, for classes that bear it and publishers that install
    /// it by name. The same object again is a no-op; fires that begin when this returned ask it.
    ///
    /// The broker keeps the filter, and publishers keep what the broker has registered: a filter that
    /// holds a publisher of this broker keeps both alive until it is unregistered.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if the name is none, as [`PublisherFilterName`] says,
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if another filter has the name,
    /// [`Closed`](ErrorKind::Closed) after the broker was closed.
    pub fn register_publisher_filter(
        &self,
        name: &str,
        filter: Arc<dyn PublisherFilter>,
    ) -> Result<()> {
        self.core.check_open()?;
        let name = PublisherFilterName::try_from(name).map_err(invalid)?;
        self.core.around.named.add_filter(name.as_ref(), filter)
    }

    /// Removes the publisher filter of this name and returns whether there was one. Where it is named,
    /// every subscription of an event fails until it is back.
    pub fn unregister_publisher_filter(&self, name: &str) -> bool {
        self.core.around.named.remove_filter(name)
    }

    /// Compares values of the bags of a class's subscriptions with its events: such as `symbol`, so that
    /// a subscription with `symbol = 'MSFT'` in its bag for the publisher side gets no event of another
    /// symbol. It takes the place of what was said before; no name at all ends it.
    ///
    /// It holds for all publishers of the class in this broker, until it is closed or the class is
    /// removed, and is not stored. A subscription whose value cannot be compared with the parameter is
    /// refused when it is stored from now on, and suspended if it is stored already.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if there is no such class, or a name is neither a parameter of
    /// one of its events nor a publisher property; [`Denied`](ErrorKind::Denied) if this is a view
    /// that lacks the right to define;
    /// [`Closed`](ErrorKind::Closed) after the broker was closed.
    pub fn match_bags(
        &self,
        class: impl Into<EventClassId>,
        names: impl Into<BagEquality>,
    ) -> Result<()> {
        self.core.check_open()?;
        let (id, bags) = (class.into(), names.into());
        if let Some(class) = self.known_class(id) {
            self.require(Right::Define, Some(&class))?;
        }
        self.core
            .wiring
            .change(|state, changes| state.match_bags(id, bags, changes))
    }

    /// Registers a predicate under a name: subscriptions that bear it
    /// ([`SubscriptionBuilder::predicate`](crate::SubscriptionBuilder::predicate)) get only the events
    /// that their filter selects and that it lets pass.
    ///
    /// It is called on the publisher's thread, for each such subscription that an event matches, with
    /// no lock held; [`explain`](Self::explain) calls it too, so it should do nothing but answer. If
    /// it panics, the delivery fails.
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

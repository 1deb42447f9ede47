//! What a publisher object says about who is called: publisher filters, default queries, views.

use std::sync::Arc;

use super::channel::AnyChannel;
use super::dynamic::{ChannelCell, DynamicPublisher};
use super::publisher::{Own, Publisher, no_method};
use super::publisher_filter::PublisherFilterSource;
use super::steering::{DefaultQuery, MethodOf};
use super::subscriptions_view::SubscriptionsView;
use crate::error::Result;
use crate::value::{EventInterface, InterfaceSchema};

/// What is said here holds for this publisher object, all its clones and all its interfaces, and is
/// stored nowhere; what a class says of all its publishers is in its record.
impl<I: EventInterface + ?Sized> Publisher<I> {
    /// Asks a publisher filter about every event of this object, after those of the class and those
    /// that were installed before.
    ///
    /// A filter that holds this publisher keeps it alive until it is removed. It sees whole
    /// subscriptions: where the publisher was made for a principal who lacks the right to read, it
    /// is not asked, and every subscription of the event fails; so it is with a default query.
    #[doc(alias("SetMultiInterfacePublisherFilter", "SetPublisherFilter"))]
    pub fn install_filter(&self, filter: impl Into<PublisherFilterSource>) {
        self.own.install(filter.into());
    }

    /// Asks a publisher filter about the events of one method.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) if the interface has no such method.
    #[doc(alias = "SetPublisherFilter")]
    pub fn install_method_filter(
        &self,
        method: &str,
        filter: impl Into<PublisherFilterSource>,
    ) -> Result<()> {
        let schema = &self.channel.schema;
        self.own.install_for(schema, method, filter.into())
    }

    /// Takes a publisher filter out wherever it is installed on this object, and returns whether it
    /// was. A fire that began before may still ask it.
    pub fn remove_filter(&self, filter: impl Into<PublisherFilterSource>) -> bool {
        self.own.remove(&filter.into())
    }

    /// Calls only the subscriptions of a method of which these criteria are true, where there is no
    /// publisher filter. It takes the place of the class's default query; `"ALL"` selects every
    /// one.
    ///
    /// The columns are those of [`Broker::subscriptions`](crate::Broker::subscriptions). The
    /// criteria are evaluated when subscriptions have changed; where filters are in an index they
    /// are evaluated for those that an event matches, and what the event does not match counts as
    /// filtered out.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) if the interface has no such method,
    /// [`Filter`](crate::ErrorKind::Filter) if the criteria do not parse or do not fit the columns.
    #[doc(alias = "SetDefaultQuery")]
    pub fn set_default_query(&self, method: &str, criteria: &str) -> Result<()> {
        let schema = &self.channel.schema;
        self.own.set_query(schema, method, Some(criteria))
    }

    /// Goes back to the class's default query for a method, if it has one.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) if the interface has no such method.
    pub fn clear_default_query(&self, method: &str) -> Result<()> {
        self.own.set_query(&self.channel.schema, method, None)
    }

    /// Returns a view of a method's subscriptions of which criteria are true; `"ALL"` selects every
    /// one.
    ///
    /// # Errors
    ///
    /// As [`set_default_query`](Self::set_default_query).
    #[doc(alias = "GetSubscriptions")]
    pub fn subscriptions(&self, method: &str, criteria: &str) -> Result<SubscriptionsView> {
        let channel: Arc<dyn AnyChannel> = Arc::clone(&self.channel) as _;
        let cell = Arc::new(ChannelCell::new(channel));
        view(cell, &self.own, method, criteria)
    }
}

/// As for a [`Publisher`].
impl DynamicPublisher {
    /// Asks a publisher filter about every event of this object, as
    /// [`Publisher::install_filter`] does.
    pub fn install_filter(&self, filter: impl Into<PublisherFilterSource>) {
        self.own.install(filter.into());
    }

    /// Asks a publisher filter about the events of one method.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) if the interface has no such method.
    pub fn install_method_filter(
        &self,
        method: &str,
        filter: impl Into<PublisherFilterSource>,
    ) -> Result<()> {
        let channel = self.channel();
        self.own
            .install_for(channel.schema(), method, filter.into())
    }

    /// Takes a publisher filter out wherever it is installed on this object, and returns whether it
    /// was.
    pub fn remove_filter(&self, filter: impl Into<PublisherFilterSource>) -> bool {
        self.own.remove(&filter.into())
    }

    /// Calls only the subscriptions of a method of which these criteria are true, as
    /// [`Publisher::set_default_query`] does.
    ///
    /// # Errors
    ///
    /// Those of [`Publisher::set_default_query`].
    pub fn set_default_query(&self, method: &str, criteria: &str) -> Result<()> {
        let channel = self.channel();
        self.own.set_query(channel.schema(), method, Some(criteria))
    }

    /// Goes back to the class's default query for a method, if it has one.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) if the interface has no such method.
    pub fn clear_default_query(&self, method: &str) -> Result<()> {
        let channel = self.channel();
        self.own.set_query(channel.schema(), method, None)
    }

    /// Returns a view of a method's subscriptions of which criteria are true.
    ///
    /// # Errors
    ///
    /// Those of [`Publisher::subscriptions`].
    pub fn subscriptions(&self, method: &str, criteria: &str) -> Result<SubscriptionsView> {
        view(Arc::clone(&self.cell), &self.own, method, criteria)
    }
}

impl Own {
    fn install(&self, filter: PublisherFilterSource) {
        self.steer(|steering| steering.install(None, filter.0));
    }

    fn install_for(
        &self,
        schema: &InterfaceSchema,
        method: &str,
        filter: PublisherFilterSource,
    ) -> Result<()> {
        let method = method_of(schema, method)?;
        self.steer(|steering| steering.install(Some(method), filter.0));
        Ok(())
    }

    fn remove(&self, filter: &PublisherFilterSource) -> bool {
        let mut found = false;
        self.steer(|steering| {
            let before = steering.installed();
            steering.remove(&filter.0);
            found = steering.installed() < before;
        });
        found
    }

    fn set_query(
        &self,
        schema: &InterfaceSchema,
        method: &str,
        criteria: Option<&str>,
    ) -> Result<()> {
        let method = method_of(schema, method)?;
        let query = criteria.map(DefaultQuery::parse).transpose()?.map(Arc::new);
        self.steer(|steering| steering.set_query(method, query));
        Ok(())
    }
}

fn method_of(schema: &InterfaceSchema, method: &str) -> Result<MethodOf> {
    let (_, found) = schema
        .method(method)
        .ok_or_else(|| no_method(schema, method))?;
    Ok(MethodOf::new(schema, found))
}

fn view(
    cell: Arc<ChannelCell>,
    own: &Arc<Own>,
    method: &str,
    criteria: &str,
) -> Result<SubscriptionsView> {
    let channel = Arc::clone(&cell.read());
    method_of(channel.schema(), method)?;
    let query = DefaultQuery::parse(criteria)?;
    Ok(SubscriptionsView::new(cell, Arc::clone(own), method, query))
}

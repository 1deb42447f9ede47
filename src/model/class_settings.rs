//! What an event class says of its publishers: whom they call, how, and who may fire.

use std::fmt;
use std::time::Duration;

use super::handling::check_calls;
use super::{
    Breaker, DeliveryMode, EventClass, Firing, History, MethodSettings, Problems, Retained, Right,
    RoleName,
};
use crate::value::EventMethod;

/// The publisher's side. What is set for one method takes the place of what is set for all; a
/// method may belong to an interface that the class gets later, and all its interfaces' methods of
/// that name are meant.
///
/// Rights ([`with_access`](Self::with_access)) are heeded where the broker has an
/// [`Authorizer`](crate::Authorizer).
impl EventClass {
    /// Asks the publisher filter that is registered under this name, after those named before,
    /// which subscriptions to call and in which order.
    #[must_use]
    #[doc(alias("MultiInterfacePublisherFilterCLSID", "SetPublisherFilter"))]
    pub fn with_publisher_filter(mut self, name: impl Into<String>) -> Self {
        self.settings.publisher_filters.push(name.into());
        self
    }

    /// Asks a publisher filter for the events of one method.
    #[must_use]
    pub fn with_method_publisher_filter(
        self,
        method: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        let name = name.into();
        self.change_method(method, |settings| settings.publisher_filters.push(name))
    }

    /// Asks no publisher filter, for no method.
    #[must_use]
    pub fn without_publisher_filters(self) -> Self {
        self.change_every(|settings| settings.publisher_filters.clear())
    }

    /// Calls only the subscriptions of which these criteria are true, where there is no publisher
    /// filter. The columns are those of [`Broker::subscriptions`](crate::Broker::subscriptions).
    #[must_use]
    #[doc(alias = "SetDefaultQuery")]
    pub fn with_default_query(mut self, criteria: impl fmt::Display) -> Self {
        self.settings.default_query = Some(criteria.to_string());
        self
    }

    /// Selects by criteria whom to call for the events of one method.
    #[must_use]
    pub fn with_method_default_query(
        self,
        method: impl Into<String>,
        criteria: impl fmt::Display,
    ) -> Self {
        let criteria = Some(criteria.to_string());
        self.change_method(method, |settings| settings.default_query = criteria)
    }

    /// Selects nobody by criteria, for no method: all are called.
    #[must_use]
    pub fn without_default_queries(self) -> Self {
        self.change_every(|settings| settings.default_query = None)
    }

    /// Keeps events for subscriptions that come later, of each method by itself: [`Retained`] says
    /// who gets them, and when.
    #[must_use]
    pub fn with_retained(mut self, retained: Retained) -> Self {
        self.settings.retained = Some(retained);
        self
    }

    /// Keeps events of one method for subscriptions that come later.
    #[must_use]
    pub fn with_method_retained(self, method: impl Into<String>, retained: Retained) -> Self {
        self.change_method(method, |settings| settings.retained = Some(retained))
    }

    /// Keeps no events, of no method.
    #[must_use]
    pub fn without_retained(self) -> Self {
        self.change_every(|settings| settings.retained = None)
    }

    /// Says whether the subscribers of one event are called one after another or at the same time;
    /// [`Firing`] has what holds for either.
    ///
    /// Updating the class switches publishers that are there already: fires that begin afterwards
    /// go by it.
    #[must_use]
    #[doc(alias = "FireInParallel")]
    pub fn with_firing(mut self, firing: Firing) -> Self {
        self.firing = firing;
        self
    }

    /// Says whether a fire itself calls the subscribers that do not say so themselves, or events
    /// wait for them in lanes: each subscription has its own.
    ///
    /// This and the defaults below are for those whom the broker calls; a
    /// [stream](crate::Broker::stream), a [mailbox](crate::Mailbox) or an [asynchronous
    /// subscription](crate::Broker::subscribe_async) has what its record says. To the events of a
    /// subscription to several classes apply the defaults of the class of each: but its lane is one
    /// and as large as the class says of which it was made ready last, and its breaker is one and
    /// counts the failures of all, each against the number of its class. Where that matters, say it
    /// in the subscription.
    #[must_use]
    pub fn with_delivery(mut self, mode: impl Into<DeliveryMode>) -> Self {
        self.delivery = Some(Box::new(mode.into()));
        self
    }

    /// Has every subscriber called by the fire itself that does not say otherwise.
    #[must_use]
    pub fn without_delivery(mut self) -> Self {
        self.delivery = None;
        self
    }

    /// Abandons calls that take longer, of subscribers that have no
    /// [deadline](crate::SubscriptionBuilder::deadline) of their own; it cannot be zero.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Lets every call take as long as it likes whose subscription does not say otherwise.
    #[must_use]
    pub fn without_deadline(mut self) -> Self {
        self.deadline = None;
        self
    }

    /// Gives a breaker to each subscription that has none of its own.
    #[must_use]
    pub fn with_breaker(mut self, breaker: Breaker) -> Self {
        self.breaker = Some(Box::new(breaker));
        self
    }

    /// Gives no subscription a breaker.
    #[must_use]
    pub fn without_breaker(mut self) -> Self {
        self.breaker = None;
        self
    }

    /// Keeps past events, for subscriptions that [begin](crate::Start) with one.
    #[must_use]
    pub fn with_history(mut self, history: History) -> Self {
        self.history = Some(Box::new(history));
        self
    }

    /// Keeps no past events.
    #[must_use]
    pub fn without_history(mut self) -> Self {
        self.history = None;
        self
    }

    /// Gives a right to those who have this role. A right that no role has is everybody's.
    ///
    /// So it is for [`RoleAuthorizer`](crate::RoleAuthorizer); an authorizer of one's own goes by
    /// it as it likes, and without one views of principals may do everything.
    #[must_use]
    pub fn with_access(mut self, right: Right, role: impl Into<String>) -> Self {
        self.access.entry(right).or_default().insert(role.into());
        self
    }

    /// Gives a right to everybody.
    #[must_use]
    pub fn without_access(mut self, right: Right) -> Self {
        self.access.remove(&right);
        self
    }

    /// Returns what is set for all methods.
    pub fn settings(&self) -> &MethodSettings {
        &self.settings
    }

    /// Returns what is set for single methods, by name.
    pub fn method_settings(&self) -> impl Iterator<Item = (&str, &MethodSettings)> {
        let methods = self.methods.iter();
        methods.map(|(name, settings)| (name.as_str(), settings))
    }

    /// Returns what holds for a method: what is set for it, under its name or a former one, and in
    /// each place where nothing is, what is set for all.
    pub fn settings_of(&self, method: &EventMethod) -> MethodSettings {
        let own = MethodSettings::find(&self.methods, method).cloned();
        own.unwrap_or_default().or(&self.settings)
    }

    /// Returns how the subscribers of one event are called.
    pub fn firing(&self) -> Firing {
        self.firing
    }

    /// Returns how subscribers are called that do not say so themselves; inline where this is
    /// `None`.
    pub fn delivery(&self) -> Option<&DeliveryMode> {
        self.delivery.as_deref()
    }

    /// Returns how long a call may take that has no deadline of its own.
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Returns the breaker of subscriptions that have none of their own.
    pub fn breaker(&self) -> Option<&Breaker> {
        self.breaker.as_deref()
    }

    /// Returns which past events are kept, if any are.
    pub fn history(&self) -> Option<&History> {
        self.history.as_deref()
    }

    /// Returns the roles that have a right, by name; none if everybody has it.
    pub fn roles_with(&self, right: Right) -> impl ExactSizeIterator<Item = &str> {
        let roles = self.access.get(&right);
        let roles = roles.map_or_else(Default::default, |roles| roles.iter());
        roles.map(String::as_str)
    }

    /// Returns each right with each role that has it.
    pub fn access(&self) -> impl Iterator<Item = (Right, &str)> {
        let rights = self.access.iter();
        rights.flat_map(|(right, roles)| roles.iter().map(|role| (*right, role.as_str())))
    }

    /// Finds what is wrong with the settings; what a query says is the broker's to check, which
    /// knows the columns.
    pub(super) fn check_settings(&self, problems: &mut Problems) {
        self.settings.check(None, problems);
        for (method, settings) in &self.methods {
            settings.check(Some(method), problems);
        }
        if self.firing == (Firing::Parallel { max: 0 }) {
            problems.add("firing", "not even one subscriber may be called at a time");
        }
        check_calls(self.delivery(), self.deadline, self.breaker(), problems);
        if matches!(self.delivery(), Some(DeliveryMode::Queued(_))) {
            let rule = "a queue is a subscription's, and cannot be the default of a class";
            problems.add("delivery", rule);
        }
        if let Some(history) = self.history() {
            history.check(problems);
        }
        for (_, role) in self.access() {
            problems.take("access", RoleName::try_from(role));
        }
    }

    fn change_method(
        mut self,
        method: impl Into<String>,
        change: impl FnOnce(&mut MethodSettings),
    ) -> Self {
        change(self.methods.entry(method.into()).or_default());
        self
    }

    fn change_every(mut self, change: impl Fn(&mut MethodSettings)) -> Self {
        change(&mut self.settings);
        self.methods.values_mut().for_each(change);
        self.methods.retain(|_, settings| !settings.is_empty());
        self
    }
}

//! For those who know COM+ Events: the names, the differences, and what its users complained about.
//!
//! Sources: the open specification [MS-COMEV], the COM+ pages and the `eventsys.h` reference of
//! Microsoft's documentation, and its knowledge base (KB), by number.
//!
//! # Names
//!
//! | COM+ | here |
//! | --- | --- |
//! | `IEventSystem` | [`Broker`] |
//! | event store, catalog | [`Store`] |
//! | `IEventClass`, EventClassID | [`EventClass`], [`EventClassId`] |
//! | firing interface, event method | a trait under `#[event_interface]`, one of its methods |
//! | the event class object | [`Publisher`], from [`Broker::publisher`] |
//! | `QueryInterface` on it | [`Publisher::interface`] |
//! | `IEventSubscription` | [`Subscription`] |
//! | SubscriberCLSID | [`Target::Component`], [`ComponentId`] |
//! | SubscriberMoniker | [`Target::Moniker`]; nothing resolves it yet |
//! | SubscriberInterface, transient | [`Broker::subscribe`], [`SubscriptionGuard`] |
//! | `IEventObjectCollection::Add`, private | [`Publisher::subscribe`] |
//! | activation for each call | [`Component::per_call`]; a singleton by default |
//! | object pooling (MinPoolSize, MaxPoolSize, CreationTimeout) | [`Component::pooled`], [`Pool`] |
//! | FilterCriteria | [`Filter`] |
//! | `PutPublisherProperty` of a subscription | [`SubscriptionBuilder::for_publisher`] |
//! | `PutSubscriberProperty` | [`SubscriptionBuilder::for_subscriber`] |
//! | `Query`, `QueryS` | [`Broker::subscriptions`], [`Broker::classes`] |
//! | `Store` | [`Broker::ensure`], [`Broker::store`] |
//! | `Remove`, `RemoveS` | [`Broker::remove`], [`Broker::remove_where`] |
//! | `SetCOMCatalogBehaviour` | [`Bags`] |
//! | a transaction around several changes | [`Broker::transaction`], [`Transaction`] |
//! | Enabled | [`Broker::enable`], [`Broker::disable`] |
//! | PublisherID | [`SubscriptionBuilder::from_publisher`], [`Publisher::set_id`] |
//! | OwnerSID, UserName | [`Principal`] |
//! | roles of the class's application | [`Role`], [`EventClass::with_access`], [`RoleAuthorizer`] |
//! | PerUser, logon, logoff | [`SubscriptionBuilder::per_user`], [`Broker::log_on`], [`Session`] |
//! | `EventClassesForIID` | [`Broker::classes_of_interface`] |
//! | reading the subscriptions to know what to watch, as SENS does | [`Interest`] |
//! | `IEventObjectChange`, `IEventObjectChange2` | [`WiringChanges`], [`WiringContents`] |
//! | the HRESULT of a fire | [`FireReport::outcome`], [`FireOutcome`] |
//! | IPublisherFilter, IMultiInterfacePublisherFilter | [`PublisherFilter`] |
//! | IFiringControl, `FireSubscription` | [`Selection`], [`Selection::fire`] |
//! | FireInParallel | [`Firing::Parallel`], [`EventClass::with_firing`] |
//! | `SetPublisherFilter` | [`Publisher::install_filter`], [`Publisher::install_method_filter`] |
//! | MultiInterfacePublisherFilterCLSID | [`EventClass::with_publisher_filter`] |
//! | `SetDefaultQuery` | [`Publisher::set_default_query`], [`EventClass::with_default_query`] |
//! | `IEventControl::GetSubscriptions` | [`Publisher::subscriptions`] |
//! | EVENT_E_USER_EXCEPTION | [`Failure::Panicked`] |
//! | EVENT_E_QUERYSYNTAX, EVENT_E_QUERYFIELD | [`FilterErrorKind`], with a span |
//! | EVENT_E_MISSING_EVENTCLASS | [`SubscriptionStatus::Unchecked`]: no error |
//!
//! COM+'s names are aliases in the search of this documentation, and COM+'s column names are taken
//! in criteria: `EventClassID`, `SubscriptionName`, `MethodName`, `SubscriberCLSID`.
//!
//! # What is different
//!
//! - *Filters* compare with `<`, `<=`, `>`, `>=`, BETWEEN, LIKE and IS NULL, on every type, along
//!   paths and on both sides' properties. COM+ has equality only, on integers, booleans, strings
//!   and GUIDs ([MS-COMEV] 2.2.1; "Filtering Events in COM+"; KB 256989). Its language is a part of
//!   this one; `~=` is "not equal" in both.
//! - *Publisher properties* are read by filters as `publisher.NAME`. In COM+ they do nothing by
//!   themselves: only code of a publisher filter reads them
//!   ("IEventSubscription::GetPublisherProperty"). They belong to whoever fires; the bag of that
//!   name on a subscription is `for_publisher`, read as `subscription.NAME`.
//! - *Filters are checked when they are stored.* In COM+ one that does not compile shows in the
//!   event log when the event is fired (event 4624).
//! - *A publisher filter* is one call that has the event, the subscriptions and the firing control;
//!   it need not implement the interface ("Creating a Publisher Filter" has it asked twice, and
//!   keep between the two what it knows). [`Selection::fire`] returns what became of the
//!   subscriber. Several make a chain, each on one publisher or by name on the class. That a bag
//!   must agree with the event needs no code: [`BagEquality`].
//! - *What filters a subscription by code* is a predicate by name, asked behind the filter
//!   ([`Broker::register_predicate`]); in COM+ its CLSID stands in place of the criteria.
//! - *The order of calling* is fixed: priority, then store order. COM+ calls "in no determined or
//!   repeatable order" ("Publishing and Delivering Events in COM+").
//! - *Parallel firing* has a bound and an order: higher priorities return before lower ones begin.
//!   FireInParallel is a request ("Publishing and Delivering Events in COM+").
//! - *A fire returns a report*, with each subscription that failed and why. A COM+ publisher gets
//!   one code for all.
//! - *That all were filtered out* is an answer of its own, [`FireOutcome::AllFiltered`]. What COM+
//!   answers is stated nowhere.
//! - *A removal that finds nothing* is no error; in COM+ it fails ([MS-COMEV] 3.1.4.1).
//! - *A class in use is not removed*, unless [`Cascade::Remove`] is asked for. For COM+ nothing is
//!   stated.
//! - *A subscription may be stored before its class*, and is checked once the class is there.
//! - *A subscription may name several methods.* In COM+ it is one or all, and a subset takes
//!   several records ("Registering a Subscription").
//! - *A transaction is of the store.* A [`Transaction`] takes subscriptions, the program's own
//!   bytes ([`Tree`]) and events for those who have queues into one commit; all other subscribers
//!   are called behind it. In COM+ a class that supports transactions carries the publisher's to
//!   its subscribers, each of which can abort it (J. Loewy, "COM and .NET Component Services",
//!   chapter 9): a veto, which no subscriber has here.
//! - *There is one door.* COM+ has the catalog and the event system, and each refuses to change
//!   what was made through the other.
//! - *A per-user subscription* follows sessions that the program begins, at each broker by itself.
//!   COM+ watches the logons of the publisher's machine ("IEventSubscription::PerUser").
//! - *A fake publisher* is refused by role: of the class, who may fire it
//!   ([`Right::Publish`](crate::Right::Publish)), and of a subscription, whom it hears
//!   ([`SubscriptionBuilder::requires_role`]). In COM+ the subscriber's component has roles of its
//!   own ("COM+ Events Security Considerations").
//! - *A transient subscription* ends with its guard, or, if weak, with its object. COM+ holds a
//!   reference until it is removed ("Registering a Transient Subscription").
//! - *A private subscription* is known to one publisher object and its clones, and to no query; it
//!   ends with its guard or with the object. COM+ has a door to it, the collection that
//!   `GetSubscriptions` returns, and says nothing about what is added there.
//! - *Events about the wiring* carry the revision, the name and, on request, the record before and
//!   after; they are filtered like any other. COM+ tells a kind and an id (`IEventObjectChange`).
//! - *A queue* is one of the subscription ([`Queued`](crate::Queued)), in the store beside it. COM+
//!   composes queued components with events, on either side of the class; here it is the
//!   subscriber's side, as the publisher is the same program. The retry ladder is
//!   [`Retry::com_plus`](crate::Retry::com_plus) ("Queued Components, Errors"). The player of COM+
//!   takes the message and calls the component in one transaction, so that both happen or neither;
//!   here the component says what is to happen once ([`KeyWindow::once`](crate::KeyWindow::once)).
//! - *An interface may change while events wait for it*: by name, by default, or through an
//!   [`Upcaster`](crate::Upcaster). A COM interface never changes, so a recorded call always fits.
//!
//! Not in this version: partitions, and remote activation by MachineName.
//!
//! # Twenty complaints
//!
//! What users of COM+ Events complained about, by source, and whether this version answers it;
//! `complaints.rs` and, beside it, `complaints_of_wiring.rs` and `complaints_of_delivery.rs` under
//! `tests/behaviour` show it, a test each.
//!
//! 1. *A dead subscriber stops the publisher (KB 297146).* Yes: a weak subscriber that is gone is
//!    skipped and removed, and one that hangs holds nobody up whose subscription has a deadline or
//!    is detached.
//! 2. *Unsubscribing during a fire fails the fire (KB 819995).* Yes: a fire uses its snapshot to
//!    the end.
//! 3. *A race deletes a "corrupt" subscription (KB 829180).* Yes: nothing is deleted on suspicion;
//!    what cannot be read is quarantined and reported.
//! 4. *Orphans of crashed clients slow everything down (KB 268856).* Yes: transient subscriptions
//!    die with their process, weak ones are removed by the first fire that finds the object gone.
//! 5. *Replacing a transient subscriber leaks the old one (KB 268856).* Yes:
//!    [`SubscriptionGuard::replace`].
//! 6. *Publishing is linear in the subscribers; about 100 is the limit ([MS-COMEV] 1.6).* Yes
//!    where there are filters: many are found by index, and a fire's cost follows those that match.
//!    Whoever has no filter is called, so that is linear.
//! 7. *High rates bloat memory.* Yes: inline delivery has no queue; a lane and a queue have a
//!    bound. A class with [`Nesting::Queued`] queues nested events without one.
//! 8. *Large arguments are hard.* Yes: references are passed on as they are. Parameters by value
//!    are cloned for each subscriber.
//! 9. *The publisher cannot learn who failed.* Yes: the report and the failure hook name
//!    subscription and cause.
//! 10. *Filters: equality only, few types, errors at fire time (KB 256989).* Yes.
//! 11. *No order.* Yes: priority, then store order.
//! 12. *The publisher is blocked.* Yes: a detached subscription takes its events from a lane.
//! 13. *PublisherID does not isolate ("put_PublisherID").* Yes: a subscription bound to a publisher
//!     ([`SubscriptionBuilder::from_publisher`]) gets the events of publisher objects with that id
//!     ([`Publisher::set_id`], or the class's) and of no others.
//! 14. *Two doors that refuse each other's objects.* Yes: there is one.
//! 15. *Not reliable, and losses go unnoticed.* In part: the wiring's changes can be followed
//!     without a gap ([`Broker::follow_changes`]), and what a lane loses is told to the subscriber
//!     and as a health event. With a queue events survive the process and are tried again.
//! 16. *The store belongs to one machine.* In part: records have a serde form to carry elsewhere.
//!     Nothing replicates them.
//! 17. *Statistics come late through the event system (KB 965230).* Yes: delivery is a call, and
//!     ends before the fire returns.
//! 18. *Hard to test without writing a subscriber.* Yes: a closure for each method (`...Handlers`),
//!     an untyped [`Subscriber`], `explain`.
//! 19. *Parallel subscribers share mutable arguments.* Yes: they share them by reference, and
//!     cannot change them.
//! 20. *The administration tool shows neither transient subscriptions nor all properties.* In part:
//!     queries return both. There is no tool.
//!
//! [MS-COMEV]: https://learn.microsoft.com/openspecs/windows_protocols/ms-comev
//! [`BagEquality`]: crate::BagEquality
//! [`Bags`]: crate::Bags
//! [`Broker::classes_of_interface`]: crate::Broker::classes_of_interface
//! [`Broker::classes`]: crate::Broker::classes
//! [`Broker::disable`]: crate::Broker::disable
//! [`Broker::enable`]: crate::Broker::enable
//! [`Broker::ensure`]: crate::Broker::ensure
//! [`Broker::follow_changes`]: crate::Broker::follow_changes
//! [`Broker::log_on`]: crate::Broker::log_on
//! [`Broker::publisher`]: crate::Broker::publisher
//! [`Broker::register_predicate`]: crate::Broker::register_predicate
//! [`Broker::remove_where`]: crate::Broker::remove_where
//! [`Broker::remove`]: crate::Broker::remove
//! [`Broker::store`]: crate::Broker::store
//! [`Broker::subscribe`]: crate::Broker::subscribe
//! [`Broker::subscriptions`]: crate::Broker::subscriptions
//! [`Broker::transaction`]: crate::Broker::transaction
//! [`Broker`]: crate::Broker
//! [`Cascade::Remove`]: crate::Cascade::Remove
//! [`Component::per_call`]: crate::Component::per_call
//! [`Component::pooled`]: crate::Component::pooled
//! [`ComponentId`]: crate::ComponentId
//! [`EventClass::with_access`]: crate::EventClass::with_access
//! [`EventClass::with_default_query`]: crate::EventClass::with_default_query
//! [`EventClass::with_firing`]: crate::EventClass::with_firing
//! [`EventClass::with_publisher_filter`]: crate::EventClass::with_publisher_filter
//! [`EventClassId`]: crate::EventClassId
//! [`EventClass`]: crate::EventClass
//! [`Failure::Panicked`]: crate::Failure::Panicked
//! [`FilterErrorKind`]: crate::FilterErrorKind
//! [`Filter`]: crate::Filter
//! [`FireOutcome::AllFiltered`]: crate::FireOutcome::AllFiltered
//! [`FireOutcome`]: crate::FireOutcome
//! [`Firing::Parallel`]: crate::Firing::Parallel
//! [`FireReport::outcome`]: crate::FireReport::outcome
//! [`Interest`]: crate::Interest
//! [`Nesting::Queued`]: crate::Nesting::Queued
//! [`Pool`]: crate::Pool
//! [`Principal`]: crate::Principal
//! [`Publisher::install_filter`]: crate::Publisher::install_filter
//! [`Publisher::install_method_filter`]: crate::Publisher::install_method_filter
//! [`Publisher::interface`]: crate::Publisher::interface
//! [`Publisher::set_default_query`]: crate::Publisher::set_default_query
//! [`Publisher::set_id`]: crate::Publisher::set_id
//! [`Publisher::subscribe`]: crate::Publisher::subscribe
//! [`Publisher::subscriptions`]: crate::Publisher::subscriptions
//! [`PublisherFilter`]: crate::PublisherFilter
//! [`Publisher`]: crate::Publisher
//! [`RoleAuthorizer`]: crate::RoleAuthorizer
//! [`Role`]: crate::Role
//! [`Selection::fire`]: crate::Selection::fire
//! [`Selection`]: crate::Selection
//! [`Session`]: crate::Session
//! [`Store`]: crate::Store
//! [`Subscriber`]: crate::Subscriber
//! [`SubscriptionBuilder::for_publisher`]: crate::SubscriptionBuilder::for_publisher
//! [`SubscriptionBuilder::for_subscriber`]: crate::SubscriptionBuilder::for_subscriber
//! [`SubscriptionBuilder::from_publisher`]: crate::SubscriptionBuilder::from_publisher
//! [`SubscriptionBuilder::per_user`]: crate::SubscriptionBuilder::per_user
//! [`SubscriptionBuilder::requires_role`]: crate::SubscriptionBuilder::requires_role
//! [`SubscriptionGuard::replace`]: crate::SubscriptionGuard::replace
//! [`SubscriptionGuard`]: crate::SubscriptionGuard
//! [`SubscriptionStatus::Unchecked`]: crate::SubscriptionStatus::Unchecked
//! [`Subscription`]: crate::Subscription
//! [`Target::Component`]: crate::Target::Component
//! [`Target::Moniker`]: crate::Target::Moniker
//! [`Transaction`]: crate::Transaction
//! [`Tree`]: crate::Tree
//! [`WiringChanges`]: crate::WiringChanges
//! [`WiringContents`]: crate::WiringContents

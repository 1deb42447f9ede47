//! Which calls block, for how long, and how an asynchronous program lives with that.
//!
//! The crate needs no runtime. Events can be awaited, and received in futures that a runtime of the
//! program's runs; all else is a plain call that returns when it is done, so what matters to an
//! executor's thread is how long that takes.
//!
//! | call | waits for |
//! | --- | --- |
//! | [`Broker::open`], [`BrokerBuilder::open`] | reading or restoring the wiring |
//! | [`ensure`], [`store`], [`enable`], [`disable`] | other commits, then the device |
//! | [`remove`], [`remove_where`], [`import`] | other commits, then the device |
//! | [`register_class`], [`update_class`], [`unregister_class`] | other commits, then the device |
//! | [`define_role`], [`remove_role`] | other commits, then the device |
//! | [`publisher`], [`publisher_of`] | the same where class or schema must be stored; the wiring |
//! | [`dynamic_publisher`], [`Publisher::interface`] | the wiring |
//! | [`register_component`], [`unregister_component`] | the wiring |
//! | [`subscribe`], the drop of a guard | the wiring |
//! | [`log_on`], the drop of a [`Session`] | the wiring |
//! | [`subscriptions`], [`classes`], [`roles`], [`components`], [`status`] | the wiring |
//! | [`metrics`], [`subscription_health`] | the wiring |
//! | [`follow_changes`], [`changes_since`] | other commits, but no device |
//! | [`WiringFeed`], as an iterator | the next change, or the close of the broker |
//! | [`WiringFeed::next_within`] | the next change, up to its timeout |
//! | a question to an [`Interest`] | a change of the class's subscriptions that is being made |
//! | [`InterestChanges::wait`] | a change of the answers, up to its timeout |
//! | an [`EventStream`], as an iterator | the next event, or the close of the broker |
//! | [`EventStream::next_timeout`], [`Mailbox::dispatch_timeout`] | an event, up to the timeout |
//! | an event method, [`DynamicPublisher::fire`] | what is called in it, and room in lanes |
//! | [`explain`] | what an interest waits for: filters are evaluated, nobody is called |
//! | [`close_and_wait`] | the fires that may still call the object, up to its timeout |
//! | [`Broker::close`] | all lanes, its own events, last flush and copy; up to its deadline |
//! | [`Broker::idle`] | all that is under way on the broker's threads; up to its timeout |
//! | the drop of the last clone of a [`Broker`] | the last flush and copy, without a deadline |
//!
//! "The wiring" is one lock. It is held by another such call, or by the part of a commit that
//! updates the caches; never while a device is waited for or a subscriber is called. Most hold it
//! for microseconds. The first publisher of an interface of a class makes the class's subscriptions
//! ready under it, all their filters compiled; with very many, so does a commit that changes the
//! class itself, and an import takes as long as what it brings. Do that at the start.
//!
//! No fire waits for the wiring. It waits for the subscribers that are called in it: one after
//! another or, where the class fires in parallel, priority by priority; for one with a
//! [deadline](crate::SubscriptionBuilder::deadline) no longer than that. Besides them it waits for
//!
//! - room in a full [lane](crate::Detached) whose [`Overflow`](crate::Overflow) is to block, as it
//!   is unless told otherwise, for as long as it takes; not where the fire is itself inside of a
//!   delivery;
//! - the factory of a component that the event makes, even when another thread is at it;
//! - an instance of a [pool](crate::Pool) of which all are lent, a minute unless the pool says
//!   otherwise;
//! - the index of a class with many filters, while up to a thousand changes are put into it;
//! - the authorizer, on an object made from a view of a principal, when roles or classes changed.
//!
//! "The device" is one flush to it under [`Durability::Immediate`](crate::Durability::Immediate),
//! shared by all commits that wait at that time. What it takes is the device's affair: nothing
//! bounds it. Under [`Durability::Interval`](crate::Durability::Interval) and in memory, a commit
//! waits for no device; nor does one that finds nothing to change, such as an `ensure` that answers
//! [`Present`](crate::Ensured::Present).
//!
//! # At the start and at the end
//!
//! Open the broker, register and ensure before the executor starts, or on one of its threads for
//! blocking work. Close the broker the same way, and do not leave it to a drop inside a task.
//!
//! # Firing from a task
//!
//! A fire costs what its subscribers cost. If all of them are of this program and quick, fire from
//! the task. If anybody may subscribe, fire on a thread for blocking work, or be prepared to wait:
//! delivery is inline unless a subscription or its class says otherwise.
//!
//! No lock is held across the call, and a publisher is `Clone + Send + Sync`, so it can be kept
//! across an `.await` and shared by tasks.
//!
//! # Receiving in a task
//!
//! A subscriber that takes long, or that has to await, is not called by the fire at all. Its events
//! wait in a bounded [lane](crate::Detached), whose [`Overflow`](crate::Overflow) says what becomes
//! of more than it holds; by default the publisher waits, which on an executor's thread it had
//! better not.
//!
//! - [`Broker::subscribe_async`] takes closures that return futures, and a
//!   [`Spawner`](crate::Spawner), such as `move |future| drop(handle.spawn(future))` for a handle
//!   of tokio. Events of one subscription are received one after another, in order.
//! - An [`EventStream`] is a `futures_core::Stream` under the feature `futures`: the task asks for
//!   the next event when it is ready for it.
//!
//! ```
//! use std::sync::mpsc;
//!
//! use loosely::{Broker, Detached, Overflow, SpawnedFuture, Subscription, event_interface};
//!
//! #[event_interface]
//! trait OrderEvents {
//!     fn order_placed(&self, customer: &str, total: f64);
//! }
//!
//! // What a runtime's `spawn` does: it takes the future, and runs it when a thread is free.
//! let (spawn, spawned) = mpsc::channel::<SpawnedFuture>();
//! let spawner = move |future| drop(spawn.send(future));
//!
//! let broker = Broker::in_memory()?;
//! let lane = Detached::with_capacity(1).with_overflow(Overflow::Fail);
//! let record = Subscription::builder("orders").to::<dyn OrderEvents>().object();
//! let handlers = OrderEventsAsyncHandlers::new()
//!     .on_order_placed(async |order| println!("{} ordered", order.customer));
//! let guard = broker.subscribe_async_with::<dyn OrderEvents>(
//!     &record.delivery(lane).build()?,
//!     spawner,
//!     handlers,
//! )?;
//! let orders = broker.publisher::<dyn OrderEvents>()?;
//!
//! assert_eq!(orders.order_placed("ada", 250.0).accepted(), 1);
//! assert_eq!(orders.order_placed("bob", 80.0).failed(), 1, "nobody has run the future yet");
//! assert!(spawned.recv().is_ok(), "one for all that waits");
//! # drop(guard);
//! # Ok::<(), loosely::Error>(())
//! ```
//!
//! [`EventContext::current`](crate::EventContext::current) is that of the event in such a future,
//! between all of its awaits, and in what it fires. Of an event out of a stream it is
//! [`context`](crate::StreamedEvent::context), a plain copy, and
//! [`within`](crate::StreamedEvent::within) does something inside of it.
//!
//! # Cancellation
//!
//! There is nothing to cancel: dropping a future that is waiting for a blocking call on another
//! thread leaves that call to end by itself. A commit that has begun is finished; asking for the
//! record afterwards says whether.
//!
//! To stop awaiting the next event of a stream loses nothing: it is there for whoever asks next. A
//! future of an asynchronous subscriber that is dropped before its end, with its runtime, ends the
//! subscription. The event that it was at is told to the failure hook as
//! [`Cancelled`](crate::Failure::Cancelled), since it may be half done, and what waits as
//! [`Closed`](crate::Failure::Closed); neither is delivered again. A closure's own future that
//! overruns the [deadline](crate::Broker::subscribe_async_with) of its subscription is dropped too,
//! and the subscription goes on with the next event.
//!
//! [`Broker::open`]: crate::Broker::open
//! [`import`]: crate::Broker::import
//! [`define_role`]: crate::Broker::define_role
//! [`remove_role`]: crate::Broker::remove_role
//! [`dynamic_publisher`]: crate::Broker::dynamic_publisher
//! [`Publisher::interface`]: crate::Publisher::interface
//! [`unregister_component`]: crate::Broker::unregister_component
//! [`log_on`]: crate::Broker::log_on
//! [`Session`]: crate::Session
//! [`roles`]: crate::Broker::roles
//! [`follow_changes`]: crate::Broker::follow_changes
//! [`changes_since`]: crate::Broker::changes_since
//! [`WiringFeed`]: crate::WiringFeed
//! [`WiringFeed::next_within`]: crate::WiringFeed::next_within
//! [`Interest`]: crate::Interest
//! [`InterestChanges::wait`]: crate::InterestChanges::wait
//! [`BrokerBuilder::open`]: crate::BrokerBuilder::open
//! [`ensure`]: crate::Broker::ensure
//! [`store`]: crate::Broker::store
//! [`enable`]: crate::Broker::enable
//! [`disable`]: crate::Broker::disable
//! [`remove`]: crate::Broker::remove
//! [`remove_where`]: crate::Broker::remove_where
//! [`register_class`]: crate::Broker::register_class
//! [`update_class`]: crate::Broker::update_class
//! [`unregister_class`]: crate::Broker::unregister_class
//! [`publisher`]: crate::Broker::publisher
//! [`publisher_of`]: crate::Broker::publisher_of
//! [`register_component`]: crate::Broker::register_component
//! [`subscribe`]: crate::Broker::subscribe
//! [`subscriptions`]: crate::Broker::subscriptions
//! [`classes`]: crate::Broker::classes
//! [`components`]: crate::Broker::components
//! [`status`]: crate::Broker::status
//! [`metrics`]: crate::Broker::metrics
//! [`subscription_health`]: crate::Broker::subscription_health
//! [`DynamicPublisher::fire`]: crate::DynamicPublisher::fire
//! [`explain`]: crate::Publisher::explain
//! [`close_and_wait`]: crate::SubscriptionGuard::close_and_wait
//! [`Broker::close`]: crate::Broker::close
//! [`Broker::idle`]: crate::Broker::idle
//! [`Broker::subscribe_async`]: crate::Broker::subscribe_async
//! [`EventStream`]: crate::EventStream
//! [`EventStream::next_timeout`]: crate::EventStream::next_timeout
//! [`Mailbox::dispatch_timeout`]: crate::Mailbox::dispatch_timeout
//! [`Broker`]: crate::Broker

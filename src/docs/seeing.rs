//! How to see what a broker does: reports, metrics, spans.
//!
//! | question | answer |
//! | --- | --- |
//! | What became of this event? | the [`FireReport`] that the fire returned |
//! | What would become of it? | [`Publisher::explain`] |
//! | How does this subscription fare? | [`Broker::subscription_health`] |
//! | How much is fired, how long does it take? | [`Broker::metrics`] |
//! | What failed that nobody looked at? | the failure hook, [`BrokerBuilder::on_failure`] |
//! | What is not well? | [`HealthEvents`], or [`Broker::notices`] |
//! | What led to what? | spans, with the feature `tracing` |
//!
//! # Metrics
//!
//! [`BrokerBuilder::metrics`] switches them on; a broker that was not told to counts nothing. Then
//! each fire is counted by class and method, and each delivery by its outcome and by subscription:
//! a thousand of those by themselves unless [told otherwise], the others together.
//! [`Metrics::to_prometheus`] has the names and labels of the text for Prometheus; who serves it is
//! the program's choice. How lanes, triggers and breakers stand is read when somebody asks: no fire
//! counts anything for it.
//!
//! Counts are exact, and never fall while class and subscription are there. Times are samples: of
//! the fires of a method, one in 64 on each thread is timed, with its calls.
//!
//! A *plain fire*, where nothing is to be asked before the calls, adds to one number that its
//! thread alone writes: 1.4 ns a fire, and some 4 ns with ten subscribers, of which the clock takes
//! most (two cores of an AMD EPYC, release build, 2026-11, `--bench delivery`). Its subscriptions
//! are given the number when somebody asks, or when another subscription comes or goes. Any other
//! fire reads the clock once, and counts each call for itself.
//!
//! # Spans
//!
//! With the feature `tracing`, a broker tells the [tracing] subscriber of the program. Names,
//! levels and fields change with a major version alone; more may come. The target is `loosely`
//! throughout.
//!
//! | span | level | is there for |
//! | --- | --- | --- |
//! | `loosely.fire` | debug | one fire, to the return of the last subscriber that is called in it |
//! | `loosely.deliver` | debug | the call of one subscriber, the making of its component included |
//!
//! Of an asynchronous subscriber the call ends with its future; an event that is taken out of a
//! stream has a span without a length.
//!
//! | field of `loosely.fire` | is |
//! | --- | --- |
//! | `class`, `method` | the names |
//! | `publisher` | the publisher's id, if it has one |
//! | `outcome` | the [`FireOutcome`], in lower case: `delivered`, `some_failed` and so on |
//! | `delivered`, `failed`, `accepted` | the counts of the report |
//!
//! | field of `loosely.deliver` | is |
//! | --- | --- |
//! | `subscription`, `name` | the id and the name |
//! | `outcome` | `delivered`, `failed` or `skipped` |
//! | `error` | what a failure says of itself, its first 1,024 bytes |
//!
//! `outcome` and what follows it are recorded at the end. A subscription that the event does not
//! reach has no span; [`Publisher::explain`] tells why.
//!
//! A delivery is inside of its fire, and so are the fires that its subscriber makes inside of the
//! delivery; on whichever thread it is called, and however much later: the fire's span goes with a
//! detached event, and is closed when the last of its deliveries is over. A delivery of a retained
//! event is inside of no fire.
//!
//! The line of the default failure hook is an event too, of level `warn`, with the fields `class`
//! (the id), `subscription`, `name` and `left_out`: how many failures before it have no line. It is
//! written to standard error all the same.
//!
//! While no tracing subscriber of the process wants these spans, a fire pays for one look at a
//! number. While one does, fires are not plain.
//!
//! [`FireReport`]: crate::FireReport
//! [`FireOutcome`]: crate::FireOutcome
//! [`Publisher::explain`]: crate::Publisher::explain
//! [`Broker::subscription_health`]: crate::Broker::subscription_health
//! [`Broker::metrics`]: crate::Broker::metrics
//! [`Broker::notices`]: crate::Broker::notices
//! [`BrokerBuilder::metrics`]: crate::BrokerBuilder::metrics
//! [`BrokerBuilder::on_failure`]: crate::BrokerBuilder::on_failure
//! [`HealthEvents`]: crate::HealthEvents
//! [`Metrics::to_prometheus`]: crate::Metrics::to_prometheus
//! [told otherwise]: crate::MetricsOptions::with_max_subscriptions
//! [tracing]: https://docs.rs/tracing

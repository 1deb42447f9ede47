//! Spans and events for those who trace.

#[cfg(feature = "tracing")]
pub(super) use self::on::{DeliverySpan, FireSpan, are_wanted, tell_of_failure};

#[cfg(not(feature = "tracing"))]
pub(super) use self::off::{DeliverySpan, FireSpan, are_wanted};

#[cfg(feature = "tracing")]
mod on {
    use tracing::field::{Empty, display};
    use tracing::span::EnteredSpan;
    use tracing::{Level, Span};

    use crate::delivery::{Carried, Delivery};
    use crate::model::{EventClassId, Subscription};
    use crate::publish::calling::Step;
    use crate::publish::channel::Channel;
    use crate::publish::facet::Facet;
    use crate::publish::printed::printed;
    use crate::publish::publisher::Own;
    use crate::publish::report::FireReport;

    /// Returns whether somebody may want spans now: a load of one number if nobody ever does.
    #[inline]
    pub(in crate::publish) fn are_wanted() -> bool {
        tracing::span_enabled!(target: "loosely", Level::DEBUG)
    }

    /// The span of one fire, entered.
    pub(in crate::publish) struct FireSpan(EnteredSpan);

    impl FireSpan {
        pub(in crate::publish) fn enter<I: Facet + ?Sized>(
            channel: &Channel<I>,
            method: usize,
            own: &Own,
        ) -> Option<Self> {
            if !are_wanted() {
                return None;
            }
            let facts = channel.class_facts();
            let name = channel.schema.methods().get(method);
            let span = tracing::debug_span!(
                target: "loosely",
                "loosely.fire",
                class = facts.record.name(),
                method = name.map_or("", |method| method.name()),
                publisher = Empty,
                outcome = Empty,
                delivered = Empty,
                failed = Empty,
                accepted = Empty,
            );
            if let Some(id) = own.id(&facts.record) {
                span.record("publisher", display(id));
            }
            Some(Self(span.entered()))
        }

        pub(in crate::publish) fn end(self, report: &FireReport) {
            let Self(span) = self;
            span.record("outcome", report.outcome().word());
            span.record("delivered", report.delivered());
            span.record("failed", report.failed());
            span.record("accepted", report.accepted());
        }
    }

    /// The span of one delivery.
    pub(in crate::publish) struct DeliverySpan(Span);

    impl DeliverySpan {
        pub(in crate::publish) fn new(record: &Subscription) -> Self {
            Self(tracing::debug_span!(
                target: "loosely",
                "loosely.deliver",
                subscription = %record.id(),
                name = record.name(),
                outcome = Empty,
                error = Empty,
            ))
        }

        /// Returns the span of a delivery that is not made inside of its fire on this thread.
        pub(in crate::publish) fn later(record: &Subscription, fire: &Carried) -> Self {
            let _inside = fire.enter_span();
            Self::new(record)
        }

        pub(in crate::publish) fn within<T>(&self, call: impl FnOnce() -> T) -> T {
            self.0.in_scope(call)
        }

        pub(in crate::publish) fn end(self, step: &Step) {
            let Self(span) = self;
            span.record("outcome", step.word());
            if let Step::Failed(failure) = step {
                span.record("error", &*printed(failure));
            }
        }
    }

    /// Says that a delivery failed of which nobody else hears, with how many before it were not
    /// told of.
    pub(in crate::publish) fn tell_of_failure(
        class: EventClassId,
        delivery: &Delivery,
        left_out: u64,
    ) {
        tracing::warn!(
            target: "loosely",
            class = %class,
            subscription = %delivery.subscription(),
            name = delivery.name(),
            left_out,
            "{}", printed(delivery.outcome())
        );
    }
}

#[cfg(not(feature = "tracing"))]
mod off {
    use crate::delivery::Carried;
    use crate::model::Subscription;
    use crate::publish::calling::Step;
    use crate::publish::channel::Channel;
    use crate::publish::facet::Facet;
    use crate::publish::publisher::Own;
    use crate::publish::report::FireReport;

    #[inline]
    pub(in crate::publish) fn are_wanted() -> bool {
        false
    }

    /// What there is none of without the feature.
    pub(in crate::publish) enum FireSpan {}

    impl FireSpan {
        pub(in crate::publish) fn enter<I: Facet + ?Sized>(
            _channel: &Channel<I>,
            _method: usize,
            _own: &Own,
        ) -> Option<Self> {
            None
        }

        pub(in crate::publish) fn end(self, _report: &FireReport) {
            match self {}
        }
    }

    /// As above; nobody makes one.
    pub(in crate::publish) struct DeliverySpan(());

    impl DeliverySpan {
        pub(in crate::publish) fn new(_record: &Subscription) -> Self {
            Self(())
        }

        pub(in crate::publish) fn later(record: &Subscription, _fire: &Carried) -> Self {
            Self::new(record)
        }

        pub(in crate::publish) fn within<T>(&self, call: impl FnOnce() -> T) -> T {
            call()
        }

        pub(in crate::publish) fn end(self, _step: &Step) {
            let Self(()) = self;
        }
    }
}

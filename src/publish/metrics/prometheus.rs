//! Metrics as text for Prometheus.

use std::fmt::{self, Display, Write};
use std::time::{Duration, SystemTime};

use super::activity::Activity;
use super::histogram::Latencies;
use super::snapshot::{MethodMetrics, Metrics};
use super::standing::Standing;
use crate::delivery::BreakerState;

impl Metrics {
    /// Returns the metrics in Prometheus' text format, version 0.0.4, whose media type is
    /// `text/plain; version=0.0.4`.
    ///
    /// | name | labels | is |
    /// | --- | --- | --- |
    /// | `loosely_fires_total` | of the method | events fired |
    /// | `loosely_deliveries_total` | of the method, `outcome` | deliveries by their outcome |
    /// | `loosely_fire_seconds` | of the method | histogram: how long fires took |
    /// | `loosely_subscription_deliveries_total` | of the subscription, `outcome` | as above |
    /// | `loosely_call_seconds` | of the subscription | histogram: how long calls took |
    /// | `loosely_last_match_timestamp_seconds` | of the subscription | Unix time, if any |
    /// | `loosely_last_delivery_timestamp_seconds` | of the subscription | Unix time, if any |
    /// | `loosely_last_error_timestamp_seconds` | of the subscription | Unix time, if any |
    /// | `loosely_lane_waiting` | of the subscription | gauge: events that wait in its lane |
    /// | `loosely_lane_lost_total` | of the subscription | events for which that had no room |
    /// | `loosely_lane_coalesced_total` | of the subscription | events that a newer one replaced |
    /// | `loosely_suppressed_total` | of the subscription | events its trigger suppressed |
    /// | `loosely_breaker_state` | of the subscription | gauge: 0 closed, 1 half open, 2 open |
    /// | `loosely_breaker_openings_total` | of the subscription | how often that has opened |
    ///
    /// A method has the labels `class` (the name), `class_id`, `interface` and `method`, a
    /// subscription `subscription` (the id) and `name`; all that are not measured by themselves are
    /// the subscription `other`. The outcomes are `delivered`, `filtered`, `withheld`, `failed`,
    /// `skipped`, `deferred` and `accepted`, of a subscription `delivered`, `failed`, `skipped` and
    /// `accepted`. Histograms have a bucket for each factor of four from 128 ns to 34 seconds, and
    /// count a sample of what happened; see [`Activity::calls`]. Lanes, triggers and breakers are
    /// those of subscriptions that have such and are measured by themselves. Names and labels
    /// change with a major version alone.
    pub fn to_prometheus(&self) -> String {
        let mut text = String::new();
        // A string takes whatever it is given.
        _ = self.write_methods(&mut text);
        _ = self.write_subscriptions(&mut text);
        _ = self.write_standings(&mut text);
        text
    }

    fn write_methods(&self, to: &mut String) -> fmt::Result {
        if self.methods().is_empty() {
            return Ok(());
        }
        let labelled = self.methods().iter().map(|it| (labels_of(it), it));
        let all: Vec<_> = labelled.collect();
        head(to, "fires_total", "counter", "Events fired.")?;
        for (labels, method) in &all {
            line(to, "fires_total", labels, method.fires())?;
        }
        head(to, "deliveries_total", "counter", "Deliveries by outcome.")?;
        for (labels, method) in &all {
            let outcomes = [
                ("delivered", method.delivered()),
                ("filtered", method.filtered()),
                ("withheld", method.withheld()),
                ("failed", method.failed()),
                ("skipped", method.skipped()),
                ("deferred", method.deferred()),
                ("accepted", method.accepted()),
            ];
            write_outcomes(to, "deliveries_total", labels, &outcomes)?;
        }
        let help = "How long fires took, subscribers included; a sample.";
        head(to, "fire_seconds", "histogram", help)?;
        for (labels, method) in &all {
            write_latencies(to, "fire_seconds", labels, method.latencies())?;
        }
        Ok(())
    }

    fn write_subscriptions(&self, to: &mut String) -> fmt::Result {
        let each = self.subscriptions().iter();
        let each = each.map(|it| (labels(&it.id(), it.name()), it.activity()));
        let others = self.others().map(|others| (labels(&"other", ""), others));
        let all: Vec<_> = each.chain(others).collect();
        if all.is_empty() {
            return Ok(());
        }
        let name = "subscription_deliveries_total";
        head(to, name, "counter", "Deliveries by outcome.")?;
        for (labels, activity) in &all {
            let outcomes = [
                ("delivered", activity.delivered()),
                ("failed", activity.failed()),
                ("skipped", activity.skipped()),
                ("accepted", activity.accepted()),
            ];
            write_outcomes(to, name, labels, &outcomes)?;
        }
        head(
            to,
            "call_seconds",
            "histogram",
            "How long calls took; a sample.",
        )?;
        for (labels, activity) in &all {
            write_latencies(to, "call_seconds", labels, activity.calls())?;
        }
        write_times(to, &all, "last_match", "event passed", Activity::last_match)?;
        let last = Activity::last_delivery;
        write_times(to, &all, "last_delivery", "event was delivered", last)?;
        let last = Activity::last_error_at;
        write_times(to, &all, "last_error", "delivery failed", last)
    }

    fn write_standings(&self, to: &mut String) -> fmt::Result {
        let each = self.subscriptions().iter();
        let each = each.filter_map(|it| Some((labels(&it.id(), it.name()), it.standing()?)));
        let all: Vec<_> = each.collect();
        if all.is_empty() {
            return Ok(());
        }
        for (name, kind, help, number) in STANDING {
            head(to, name, kind, help)?;
            for (labels, standing) in &all {
                line(to, name, labels, number(standing))?;
            }
        }
        Ok(())
    }
}

/// What is written of how a subscription stands: its name, its kind, what it is, and the number.
type Written = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Standing) -> u64,
);

const STANDING: [Written; 6] = [
    (
        "lane_waiting",
        "gauge",
        "Events that wait in the lane.",
        |it| it.waiting as u64,
    ),
    (
        "lane_lost_total",
        "counter",
        "Events for which the lane had no room.",
        |it| it.lost,
    ),
    (
        "lane_coalesced_total",
        "counter",
        "Events that a newer one of their key replaced.",
        |it| it.coalesced,
    ),
    (
        "suppressed_total",
        "counter",
        "Events that the trigger suppressed.",
        |it| it.suppressed,
    ),
    (
        "breaker_state",
        "gauge",
        "The breaker: 0 closed, 1 half open, 2 open.",
        |it| match it.breaker {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        },
    ),
    (
        "breaker_openings_total",
        "counter",
        "How often the breaker has opened.",
        |it| it.openings,
    ),
];

/// Writes when something happened last, for those to whom it did.
fn write_times(
    to: &mut String,
    all: &[(String, &Activity)],
    name: &str,
    what: &str,
    last: impl Fn(&Activity) -> Option<SystemTime>,
) -> fmt::Result {
    let name = format!("{name}_timestamp_seconds");
    head(to, &name, "gauge", &format!("When the last {what}."))?;
    for (labels, activity) in all {
        if let Some(at) = last(activity) {
            let since = at.duration_since(SystemTime::UNIX_EPOCH);
            let seconds = since.unwrap_or_default().as_secs_f64();
            line(to, &name, labels, format_args!("{seconds:.3}"))?;
        }
    }
    Ok(())
}

fn write_outcomes(
    to: &mut String,
    name: &str,
    labels: &str,
    outcomes: &[(&str, u64)],
) -> fmt::Result {
    for (outcome, count) in outcomes {
        let labels = format!("{labels},outcome=\"{outcome}\"");
        line(to, name, &labels, count)?;
    }
    Ok(())
}

fn write_latencies(to: &mut String, name: &str, labels: &str, all: &Latencies) -> fmt::Result {
    let (bucket, mut count) = (format!("{name}_bucket"), 0);
    for (place, (limit, more)) in all.buckets().enumerate() {
        count += more;
        if limit == Duration::MAX {
            line(to, &bucket, &format!("{labels},le=\"+Inf\""), count)?;
        } else if place % 2 == 1 {
            let limit = limit.as_secs_f64();
            line(to, &bucket, &format!("{labels},le=\"{limit}\""), count)?;
        }
    }
    line(to, &format!("{name}_sum"), labels, all.sum().as_secs_f64())?;
    line(to, &format!("{name}_count"), labels, count)
}

fn head(to: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(to, "# HELP loosely_{name} {help}")?;
    writeln!(to, "# TYPE loosely_{name} {kind}")
}

fn line(to: &mut String, name: &str, labels: &str, value: impl Display) -> fmt::Result {
    writeln!(to, "loosely_{name}{{{labels}}} {value}")
}

fn labels_of(method: &MethodMetrics) -> String {
    format!(
        "class=\"{}\",class_id=\"{}\",interface=\"{}\",method=\"{}\"",
        Escaped(method.class_name()),
        method.class(),
        Escaped(method.interface()),
        Escaped(method.method())
    )
}

fn labels(id: &impl Display, name: &str) -> String {
    format!("subscription=\"{id}\",name=\"{}\"", Escaped(name))
}

/// A label's value as the format has it.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_backslashes_and_line_ends_of_a_name_are_escaped() {
        let name = "a \"b\" \\ c\nd";
        assert_eq!(Escaped(name).to_string(), r#"a \"b\" \\ c\nd"#);
    }

    #[test]
    fn nothing_measured_is_an_empty_text() {
        assert_eq!(Metrics::default().to_prometheus(), "");
    }
}

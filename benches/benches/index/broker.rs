//! What a whole broker with a million subscriptions costs: a fire, a change, memory.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use loosely::__private::index::Reader;
use loosely::{
    Broker, Component, EventClass, EventClassId, FireReport, Subscription, SubscriptionBuilder,
    Value, ValueRef, event_interface,
};
use loosely_benches::workload::{Events, Subscriptions, Workload};
use loosely_benches::{Contest, Effort, Table, bar};

use crate::MILLION;
use crate::sides::{EVENTS, Sides};

/// The interface whose events the workload has.
#[event_interface]
trait Ticks {
    fn event(&self, symbol: &str, price: i64);
}

/// Does next to nothing.
struct Idle;

impl Ticks for Idle {
    fn event(&self, symbol: &str, price: i64) {
        black_box((symbol, price));
    }
}

/// Measures a whole fire against a match in the index and a plain loop over what it found.
///
/// The loop has its objects in one list for each event, made before.
pub(crate) fn fire(sides: &Sides, effort: Effort, table: &mut Table) -> Result<(), Box<dyn Error>> {
    let broker = Broker::in_memory()?;
    broker.register_class::<dyn Ticks>(EventClass::new(CLASS, "Ticks"))?;
    let objects: Vec<Arc<dyn Ticks>> = (0..SHARED).map(|_| Arc::new(Idle) as _).collect();
    let stored = Subscriptions::stored(Workload::W1).take(MILLION);
    for (number, subscription) in stored.enumerate() {
        let record = record(number, &Workload::W1.criteria(&subscription))
            .object()
            .build()?;
        let object = Arc::clone(&objects[number % SHARED]);
        broker
            .subscribe_with::<dyn Ticks>(&record, object)?
            .detach();
    }
    let ticks = broker.publisher_of::<dyn Ticks>(CLASS)?;
    let events = typed(&sides.events);
    let found = found(sides, &objects);
    for ((symbol, price), found) in events.iter().zip(&found) {
        same(found.len(), &ticks.event(symbol, *price))?;
    }

    let mut index = Cycle::default();
    let mut reader = Reader::default();
    let mut whole = Cycle::default();
    let mut contest = Contest::new(Duration::from_millis(50));
    let parts = contest.enter(|| {
        let next = index.next();
        let mut count = 0;
        visit(sides, &sides.events[next], &mut reader, &mut |ids| {
            count += ids.len();
        });
        let (symbol, price) = &events[next];
        for object in &found[next] {
            object.event(symbol, *price);
        }
        black_box(count);
    });
    let fire = contest.enter(|| {
        let (symbol, price) = &events[whole.next()];
        black_box(ticks.event(symbol, *price));
    });
    let results = contest.run(effort.share(Duration::from_secs(4)));
    let ratio = results.ratio(fire, parts);
    let mean = found.iter().map(Vec::len).sum::<usize>() as f64 / found.len() as f64;
    table.set("fire w1 1m over parts", 0, format!("{mean:.1}"));
    for (column, entrant) in [(2, fire), (3, parts)] {
        let microseconds = results.nanoseconds(entrant) / 1_000.0;
        table.set(
            "fire w1 1m over parts",
            column,
            format!("{microseconds:.2}"),
        );
    }
    table.set("fire w1 1m over parts", 4, format!("{ratio:.2}"));
    bar("fire_w1_1m_vs_parts", format!("{ratio:.2}"));
    Ok(())
}

/// Measures changes of a broker on a memory store, fires beside changes, and its memory.
pub(crate) fn stored(effort: Effort) -> Result<(), Box<dyn Error>> {
    let broker = Broker::in_memory()?;
    broker.register_component(Component::new("idle", || Idle).implements::<dyn Ticks>())?;
    broker.register_class::<dyn Ticks>(EventClass::new(CLASS, "Ticks"))?;
    let ticks = broker.publisher_of::<dyn Ticks>(CLASS)?;
    let mut stored = Subscriptions::stored(Workload::W1)
        .take(MILLION)
        .enumerate();
    loop {
        let batch: Result<Vec<_>, _> = stored
            .by_ref()
            .take(BATCH)
            .map(|(number, subscription)| {
                let criteria = Workload::W1.criteria(&subscription);
                record(number, &criteria).component("idle").build()
            })
            .collect();
        let batch = batch?;
        if batch.is_empty() {
            break;
        }
        broker.import(&batch)?;
    }
    let extra: Result<Vec<_>, _> = Subscriptions::extra(Workload::W1)
        .take(2_000)
        .zip(MILLION..)
        .map(|(subscription, number)| {
            let criteria = Workload::W1.criteria(&subscription);
            record(number, &criteria).component("idle").build()
        })
        .collect();
    let extra = extra?;
    change(&broker, &extra)?;
    churn(&broker, &ticks, &extra, effort)?;
    let freed = allocation_counter::measure(|| drop((broker, ticks))).bytes_current;
    let bytes = -freed as f64 / MILLION as f64;
    bar("broker_bytes_w1", format!("{bytes:.0}"));
    Ok(())
}

/// Measures each `store` by itself.
fn change(broker: &Broker, extra: &[Subscription]) -> Result<(), Box<dyn Error>> {
    let mut taken = Vec::new();
    for subscription in extra {
        let begin = Instant::now();
        broker.store(subscription)?;
        taken.push(begin.elapsed());
    }
    for subscription in extra {
        broker.remove(subscription.id())?;
    }
    bar(
        "change_store_1m_us",
        format!("{:.1}", percentile(taken, 0.5)),
    );
    Ok(())
}

/// Measures fires while another thread stores and removes a thousand times a second.
fn churn(
    broker: &Broker,
    ticks: &TicksPublisher,
    extra: &[Subscription],
    effort: Effort,
) -> Result<(), Box<dyn Error>> {
    let events: Vec<_> = Events::new(Workload::W1).take(EVENTS).collect();
    let events = typed(&events);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let changing = scope.spawn(|| {
            let begin = Instant::now();
            let mut due = Duration::ZERO;
            for subscription in extra.iter().cycle() {
                for store in [true, false] {
                    // A sleep that took too long is made up for.
                    due += Duration::from_millis(1);
                    thread::sleep(due.saturating_sub(begin.elapsed()));
                    match store {
                        true => drop(broker.store(subscription)?),
                        false => drop(broker.remove(subscription.id())?),
                    }
                }
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            Ok::<_, loosely::Error>(())
        });
        let (mut taken, time) = (Vec::new(), effort.share(Duration::from_secs(4)));
        let begin = Instant::now();
        for (symbol, price) in events.iter().cycle() {
            let fired = Instant::now();
            black_box(ticks.event(symbol, *price));
            taken.push(fired.elapsed());
            if begin.elapsed() > time {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        bar(
            "fire_p999_us_under_churn",
            format!("{:.0}", percentile(taken, 0.999)),
        );
        match changing.join() {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err("the changing thread panicked".into()),
        }
    })
}

/// Goes through the events again and again.
#[derive(Default)]
struct Cycle(usize);

impl Cycle {
    fn next(&mut self) -> usize {
        self.0 = (self.0 + 1) % EVENTS;
        self.0
    }
}

fn record(number: usize, criteria: &str) -> SubscriptionBuilder {
    Subscription::builder(format!("s{number}"))
        .class(CLASS)
        .method("event")
        .filter(criteria)
}

/// Returns what each event finds, as the objects themselves.
fn found(sides: &Sides, objects: &[Arc<dyn Ticks>]) -> Vec<Vec<Arc<dyn Ticks>>> {
    let mut reader = Reader::default();
    let each = sides.events.iter().map(|values| {
        let mut found = Vec::new();
        visit(sides, values, &mut reader, &mut |ids| {
            let of_ids = ids.iter().map(|id| &objects[*id as usize % SHARED]);
            found.extend(of_ids.cloned());
        });
        found
    });
    each.collect()
}

fn visit(sides: &Sides, values: &[Value], reader: &mut Reader, visit: &mut dyn FnMut(&[u32])) {
    let views: [ValueRef<'_>; 2] = [values[0].view(), values[1].view()];
    reader.read(&sides.places, &views);
    let current = sides.index.matches(reader, visit);
    assert!(current, "the index changed its columns");
}

fn typed(events: &[Vec<Value>]) -> Vec<(&str, i64)> {
    let each = events.iter().filter_map(|values| {
        let [ValueRef::Str(symbol), ValueRef::I64(price)] = [values[0].view(), values[1].view()]
        else {
            return None;
        };
        Some((symbol, price))
    });
    each.collect()
}

fn same(expected: usize, report: &FireReport) -> Result<(), String> {
    if report.delivered() == expected {
        return Ok(());
    }
    Err(format!(
        "the fire says {report} where the index finds {expected}"
    ))
}

/// Returns the time, in microseconds, that this part of all does not exceed.
fn percentile(mut taken: Vec<Duration>, part: f64) -> f64 {
    taken.sort_unstable();
    let place = (taken.len() as f64 * part) as usize;
    taken[place.min(taken.len() - 1)].as_nanos() as f64 / 1_000.0
}

const CLASS: EventClassId = EventClassId::from_u128(0x5e01_7b1c_6d3a_4f0e_9a52_0c61_d7f3_2b94);

/// So many objects serve all subscriptions: what is measured is the way to them.
const SHARED: usize = 1_000;

const BATCH: usize = 10_000;

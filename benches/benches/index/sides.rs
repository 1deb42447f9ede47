//! The index and the scan with the same subscriptions, and the events for both.

use std::error::Error;
use std::hint::black_box;

use loosely::__private::index::{Criteria, Entry, Index, Places, Reader};
use loosely::{Filter, Value, ValueRef};
use loosely_benches::workload::{Events, Subscription, Subscriptions, Workload};

use crate::scan::{Row, Scan};

/// The index and the scan with the same subscriptions.
#[derive(Debug)]
pub(crate) struct Sides {
    pub(crate) workload: Workload,
    pub(crate) index: Index,
    pub(crate) scan: Scan,
    pub(crate) events: Vec<Vec<Value>>,
    pub(crate) places: Places,
}

/// A reader that goes from event to event.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    reader: Reader,
    row: Row,
    next: usize,
}

impl Sides {
    /// Returns both with `n` subscriptions.
    pub(crate) fn new(workload: Workload, n: usize) -> Result<Self, Box<dyn Error>> {
        let (mut index, mut scan) = (Index::new(), Scan::new(workload));
        for (id, subscription) in (0..).zip(Subscriptions::stored(workload).take(n)) {
            insert(&mut index, workload, &subscription, id)?;
            scan.insert(&subscription);
        }
        let places = index.places();
        let sides = Self {
            workload,
            index,
            scan,
            events: Events::new(workload).take(EVENTS).collect(),
            places,
        };
        Ok(sides)
    }

    /// Fails unless the index gives the answers of the scan for the first so many events; returns
    /// how many match on average.
    pub(crate) fn check(&self, events: usize) -> Result<f64, Box<dyn Error>> {
        let mut cursor = Cursor::default();
        let mut total = 0;
        for values in &self.events[..events] {
            let (mut found, mut expected) = (Checksum::default(), Checksum::default());
            self.index_visit(values, &mut cursor, &mut |ids| {
                ids.iter().for_each(|id| found.add(*id));
            });
            self.scan
                .matches(values, &mut cursor.row, |id| expected.add(id));
            if found != expected {
                let workload = self.workload;
                return Err(
                    format!("{workload:?}: {found:?} by index, {expected:?} by scan").into(),
                );
            }
            total += found.count;
        }
        Ok(total as f64 / events as f64)
    }

    pub(crate) fn index_visit(
        &self,
        values: &[Value],
        cursor: &mut Cursor,
        visit: &mut dyn FnMut(&[u32]),
    ) {
        let mut views = [ValueRef::Null; 20];
        for (view, value) in views.iter_mut().zip(values) {
            *view = value.view();
        }
        cursor.reader.read(&self.places, &views[..values.len()]);
        assert!(
            self.index.matches(&mut cursor.reader, visit),
            "the index changed its columns"
        );
    }

    /// Matches the next event by the index, and returns how many match.
    pub(crate) fn by_index(&self, cursor: &mut Cursor) -> usize {
        let mut count = 0;
        let values = &self.events[cursor.next % EVENTS];
        cursor.next += 1;
        self.index_visit(values, cursor, &mut |ids| count += black_box(ids).len());
        black_box(count)
    }

    /// Matches the next event by the scan, and returns how many match.
    pub(crate) fn by_scan(&self, cursor: &mut Cursor) -> usize {
        let mut count = 0;
        let values = &self.events[cursor.next % EVENTS];
        cursor.next += 1;
        self.scan.matches(values, &mut cursor.row, |id| {
            black_box(id);
            count += 1;
        });
        black_box(count)
    }

    /// Returns how many conjunctions an event is checked against term by term, on average.
    pub(crate) fn checks(&self) -> f64 {
        let mut cursor = Cursor::default();
        let mut checks = 0;
        for _ in 0..200 {
            self.by_index(&mut cursor);
            checks += cursor.reader.checks();
        }
        checks as f64 / 200.0
    }
}

/// Adds a subscription to the index.
pub(crate) fn insert(
    index: &mut Index,
    workload: Workload,
    subscription: &Subscription,
    id: u32,
) -> Result<Entry, Box<dyn Error>> {
    Ok(index.insert(&criteria(workload, subscription)?, id))
}

/// Returns the subscription as checked criteria.
pub(crate) fn criteria(
    workload: Workload,
    subscription: &Subscription,
) -> Result<Criteria, Box<dyn Error>> {
    let filter = Filter::parse(&workload.criteria(subscription))?;
    Ok(Criteria::check(&filter, &workload.method())?)
}

/// What a set of numbers comes to, in whatever order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Checksum {
    count: u64,
    sum: u64,
    mixed: u64,
}

impl Checksum {
    fn add(&mut self, id: u32) {
        let id = u64::from(id);
        self.count += 1;
        self.sum += id;
        self.mixed ^= (id + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// How many events take turns.
pub(crate) const EVENTS: usize = 2_000;

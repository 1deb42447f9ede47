//! What a change costs, to the one who makes it and to matches at the same time; and memory.

use std::error::Error;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use loosely::__private::index::{Criteria, Index, Places, Reader};
use loosely::{Value, ValueRef};
use loosely_benches::workload::{Subscriptions, Workload};
use loosely_benches::{Contest, Effort, bar};

use crate::MILLION;
use crate::sides::{Sides, criteria};

/// Measures inserts and removals among a million, alone and beside matches.
pub(crate) fn costs(sides: Sides, effort: Effort) -> Result<(), Box<dyn Error>> {
    let Sides {
        workload,
        mut index,
        events,
        places,
        ..
    } = sides;
    let extra = Subscriptions::extra(workload).take(2_000);
    let extra: Vec<_> = extra
        .map(|subscription| criteria(workload, &subscription))
        .collect::<Result<_, _>>()?;
    change(&mut index, &extra);
    churn(RwLock::new(index), &extra, &events, &places, effort);
    Ok(())
}

/// Measures each insert and each removal by itself.
fn change(index: &mut Index, extra: &[Criteria]) {
    let mut taken = Vec::new();
    let mut entries = Vec::new();
    for (criteria, number) in extra.iter().zip(0..) {
        let begin = Instant::now();
        let entry = index.insert(criteria, number);
        taken.push(begin.elapsed());
        entries.push(entry);
    }
    for entry in entries {
        let begin = Instant::now();
        index.remove(entry);
        taken.push(begin.elapsed());
    }
    taken.sort_unstable();
    let median = taken[taken.len() / 2].as_nanos() as f64 / 1_000.0;
    bar("change_index_1m_us", format!("{median:.2}"));
}

/// Measures matches under a read lock, with and without a thousand changes a second.
fn churn(
    index: RwLock<Index>,
    extra: &[Criteria],
    events: &[Vec<Value>],
    places: &Places,
    effort: Effort,
) {
    let (index, stop, busy) = (&index, &AtomicBool::new(false), &AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(move || {
            for criteria in extra.iter().cycle() {
                // A thousand a second: an insertion and a removal every two milliseconds.
                thread::sleep(Duration::from_millis(2));
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                if busy.load(Ordering::Relaxed) {
                    let entry = write(index, |index| index.insert(criteria, 0));
                    write(index, |index| index.remove(entry));
                }
            }
        });
        let quiet = Matching::new(index, events, places);
        let churned = Matching::new(index, events, places);
        let mut contest = Contest::new(Duration::from_millis(50));
        let [calm, changed] = [(quiet, false), (churned, true)].map(|(mut matching, changes)| {
            contest.enter_timed(move |iterations| {
                busy.store(changes, Ordering::Relaxed);
                let begin = Instant::now();
                (0..iterations).for_each(|_| matching.once());
                begin.elapsed()
            })
        });
        let results = contest.run(effort.share(Duration::from_secs(4)));
        stop.store(true, Ordering::Relaxed);
        bar(
            "churn_match_slowdown",
            format!("{:.2}", results.ratio(changed, calm)),
        );
    });
}

/// One thread that matches event after event.
struct Matching<'a> {
    index: &'a RwLock<Index>,
    events: &'a [Vec<Value>],
    places: &'a Places,
    reader: Reader,
    next: usize,
}

impl<'a> Matching<'a> {
    fn new(index: &'a RwLock<Index>, events: &'a [Vec<Value>], places: &'a Places) -> Self {
        Self {
            index,
            events,
            places,
            reader: Reader::default(),
            next: 0,
        }
    }

    fn once(&mut self) {
        let values = &self.events[self.next % self.events.len()];
        self.next += 1;
        let views: [ValueRef<'_>; 2] = [values[0].view(), values[1].view()];
        self.reader.read(self.places, &views);
        let mut count = 0;
        let index = match self.index.read() {
            Ok(index) => index,
            Err(poisoned) => poisoned.into_inner(),
        };
        let current = index.matches(&mut self.reader, &mut |ids| count += ids.len());
        assert!(current, "the index changed its columns");
        std::hint::black_box(count);
    }
}

fn write<T>(index: &RwLock<Index>, change: impl FnOnce(&mut Index) -> T) -> T {
    match index.write() {
        Ok(mut index) => change(&mut index),
        Err(poisoned) => change(&mut poisoned.into_inner()),
    }
}

/// Measures how much memory an index of a million gives back.
pub(crate) fn bytes() -> Result<(), Box<dyn Error>> {
    for (name, workload) in [
        ("index_bytes_w1", Workload::W1),
        ("index_bytes_w2", Workload::W2),
        ("index_bytes_w4", Workload::W4Identical),
    ] {
        let mut index = Index::new();
        for (id, subscription) in (0..).zip(Subscriptions::stored(workload).take(MILLION)) {
            index.insert(&criteria(workload, &subscription)?, id);
        }
        let freed = allocation_counter::measure(|| drop(index)).bytes_current;
        bar(name, format!("{:.1}", -freed as f64 / MILLION as f64));
    }
    Ok(())
}

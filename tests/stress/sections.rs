//! An import so large that it becomes visible in sections, among the churn.
//!
//! One thread imports the same subscriptions again and again, each time with another component;
//! others fire an event that all of them want. A fire sees the import up to the end of some
//! section: those up to there have the new component, those behind it the old one, or are not there
//! yet. Sections are the subscriptions in the order of their ids, a thousand at a time.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use loosely::{Broker, EventContext, Result, Subscription};

use crate::plan::{COMPONENTS, NESTER};
use crate::world::{CLASS, Quotes, World, id, number};

/// The numbers from which on subscriptions are of the import.
pub(crate) const SWEPT: u64 = 2_000_000;
/// Three whole sections and a half one.
const COUNT: u64 = 3_500;
const SECTION: u64 = 1_000;
/// The components of even and of odd imports.
const SIDES: [u64; 2] = [0, NESTER];

/// Which imports have begun and which have returned, by number from 1.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    begun: AtomicU64,
    returned: AtomicU64,
}

/// How far the imports have come, as a fire has seen it: the last one, and how many of its
/// subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    import: u64,
    count: u64,
}

/// A subscription of the import and who was called for it.
type Call = (u64, u64);

thread_local! {
    /// The calls of the present fire.
    static CALLS: RefCell<Vec<Call>> = const { RefCell::new(Vec::new()) };
}

/// Notes a call, if it is of a subscription of the import.
pub(crate) fn heard(object: u64) {
    let subscription = number(EventContext::current().unwrap().subscription());
    if subscription >= SWEPT {
        CALLS.with_borrow_mut(|calls| calls.push((subscription, object)));
    }
}

impl Imports {
    /// Makes one import after another, by one broker and then by the other.
    pub(crate) fn run(&self, world: &World, imports: u64) {
        for import in 1..=imports {
            self.begun.store(import, Ordering::SeqCst);
            let records: Result<Vec<_>> = (0..COUNT).map(|nth| swept(nth, import)).collect();
            let broker = &world.brokers[import as usize % 2];
            broker.import(records.unwrap()).unwrap();
            self.returned.store(import, Ordering::SeqCst);
        }
    }

    /// Fires until all imports have returned and once more, and returns what no fire may see.
    pub(crate) fn watch(&self, broker: &Broker, imports: u64) -> Vec<String> {
        let quotes = broker.publisher_of::<dyn Quotes>(CLASS).unwrap();
        let mut troubles = Vec::new();
        let mut before = Seen {
            import: 0,
            count: 0,
        };
        loop {
            let returned = self.returned.load(Ordering::SeqCst);
            quotes.swept(1);
            let begun = self.begun.load(Ordering::SeqCst);
            let calls = CALLS.take();
            let seen = (returned..=begun).flat_map(|import| seen(&calls, import));
            // What has returned is seen whole.
            let may_be = |seen: &Seen| seen.import > returned || seen.count == whole(seen.import);
            match seen.filter(may_be).filter(|seen| *seen >= before).min() {
                Some(seen) => before = seen,
                None => troubles.push(format!(
                    "behind {before:?}, with {returned} imports of {begun}, a fire saw {}",
                    runs(&calls)
                )),
            }
            if returned == imports {
                return troubles;
            }
        }
    }
}

fn swept(nth: u64, import: u64) -> Result<Subscription> {
    Subscription::builder(format!("swept {nth}"))
        .id(id(SWEPT + nth))
        .class(CLASS)
        .method("swept")
        .filter("event > 0")
        .component(COMPONENTS[side(import) as usize])
        .build()
}

fn side(import: u64) -> u64 {
    SIDES[import as usize % 2]
}

/// Returns how much of an import the calls are: nothing, if it is no whole number of sections.
fn seen(calls: &[Call], import: u64) -> Option<Seen> {
    let new = |(_, object): &&Call| *object == side(import);
    let count = calls.iter().take_while(new).count() as u64;
    // Before the first there is none.
    let all = if import < 2 { count } else { COUNT };
    if count > whole(import) {
        return None;
    }
    let expected = (0..all).map(|nth| {
        let import = if nth < count { import } else { import - 1 };
        (SWEPT + nth, side(import))
    });
    let ends = count.is_multiple_of(SECTION) || count == COUNT;
    (ends && calls.iter().copied().eq(expected)).then_some(Seen { import, count })
}

/// Returns how many subscriptions an import is of.
fn whole(import: u64) -> u64 {
    if import == 0 { 0 } else { COUNT }
}

/// Says whom a fire called: runs of subscriptions with one component.
fn runs(calls: &[Call]) -> String {
    let follows = |one: &Call, next: &Call| one.0 + 1 == next.0 && one.1 == next.1;
    let runs = calls.chunk_by(follows).map(|run| {
        let (first, object) = run[0];
        format!("{} from {} on of {object}", run.len(), first - SWEPT)
    });
    runs.collect::<Vec<_>>().join(", ")
}

#[test]
fn section_that_is_torn_missing_or_doubled_is_told_from_a_whole_one() {
    let calls = |count: u64, import: u64| -> Vec<Call> {
        let of = |nth| if nth < count { import } else { import - 1 };
        (0..COUNT).map(|nth| (SWEPT + nth, side(of(nth)))).collect()
    };
    for count in [0, 1_000, 3_000, COUNT] {
        assert_eq!(seen(&calls(count, 2), 2), Some(Seen { import: 2, count }));
    }
    assert_eq!(seen(&calls(1_001, 2), 2), None);
    assert_eq!(seen(&calls(999, 2), 2), None);
    let mut torn = calls(2_000, 2);
    torn[1_500].1 = side(1);
    assert_eq!(seen(&torn, 2), None);
    let mut missing = calls(2_000, 2);
    missing.remove(2_500);
    assert_eq!(seen(&missing, 2), None);
    let mut doubled = calls(2_000, 2);
    doubled.insert(0, doubled[0]);
    assert_eq!(seen(&doubled, 2), None);
    // The first import has nothing behind its last section.
    let first: Vec<_> = calls(COUNT, 1).into_iter().take(1_000).collect();
    let count = 1_000;
    assert_eq!(seen(&first, 1), Some(Seen { import: 1, count }));
    assert_eq!(seen(&first[..999], 1), None);
}

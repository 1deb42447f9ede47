//! A round: some threads fire, others change the wiring, and all of it is written down.

use std::env;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use loosely::{Nesting, Revision, Store};

use crate::check::{Finding, check};
use crate::churn::{change, import};
use crate::desk::{Desk, fire};
use crate::log::{Evidence, Log, Logged};
use crate::sections::Imports;
use crate::world::{World, logged};

/// How a round is played.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    seed: u64,
    nesting: Option<Nesting>,
    /// How many changes a thread makes.
    changes: usize,
    /// How many events a thread fires at most: what is written down and checked has to end even
    /// where changes are slow.
    fires: usize,
    /// How many large imports there are beside all that.
    imports: u64,
}

/// A round that is over.
pub(crate) struct Played {
    seed: u64,
    #[cfg_attr(
        not(feature = "sled"),
        expect(dead_code, reason = "only a directory is opened again")
    )]
    pub(crate) base: Revision,
    pub(crate) evidence: Evidence,
}

/// Returns the seeds of as many rounds as the environment asks for, or else of so many.
pub(crate) fn rounds(usual: u64) -> Range<u64> {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let first = number("LOOSELY_STRESS_SEED").unwrap_or(1);
    first..first + number("LOOSELY_STRESS_ROUNDS").unwrap_or(usual)
}

impl Round {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            nesting: None,
            changes: 200,
            fires: 800,
            imports: 0,
        }
    }

    /// Has some subscribers fire and change the wiring while they are called.
    pub(crate) fn nested(mut self, nesting: Nesting) -> Self {
        self.nesting = Some(nesting);
        // Each fire makes some more, and some changes.
        (self.changes, self.fires) = (80, 100);
        self
    }

    /// Makes fewer changes, for a store that takes its time, or a test that needs few.
    pub(crate) fn short(mut self) -> Self {
        (self.changes, self.fires) = (80, 250);
        self
    }

    /// Has so many imports made that become visible in sections.
    pub(crate) fn with_imports(mut self, imports: u64) -> Self {
        self.imports = imports;
        self
    }

    /// Plays the round over a store that nobody else uses.
    pub(crate) fn play(self, store: Arc<dyn Store>) -> Played {
        let _watchdog = Watchdog::new(self.seed);
        let nesting = self.nesting.unwrap_or(Nesting::Inline);
        let world = Arc::new(World::open(store, nesting).unwrap());
        let mut log = self.desk(&world, 0).work(|| self.begin());
        let (changing, watch) = (AtomicUsize::new(CHANGERS), Watch::new(&world));
        let imports = Imports::default();
        let logs: Vec<Log> = thread::scope(|scope| {
            let watchers = world.brokers.iter().map(|broker| {
                let imports = &imports;
                scope.spawn(move || imports.watch(broker, self.imports))
            });
            let watchers: Vec<_> = watchers.collect();
            scope.spawn(|| imports.run(&world, self.imports));
            let threads: Vec<_> = (1..=CHANGERS + PUBLISHERS)
                .map(|thread| {
                    let desk = self.desk(&world, thread as u64);
                    let (changing, watch) = (&changing, &watch);
                    scope.spawn(move || {
                        desk.work(|| {
                            if thread <= CHANGERS {
                                (0..self.changes).for_each(|_| change());
                                changing.fetch_sub(1, Ordering::SeqCst);
                            } else {
                                publish(self.fires, changing, watch);
                            }
                        })
                    })
                })
                .collect();
            let seen = watchers.into_iter().flat_map(|t| t.join().unwrap());
            log.troubles.extend(seen);
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        logs.into_iter().for_each(|other| log.append(other));
        // When nothing changes any more, every call can be told for certain.
        for thread in [0, 1] {
            let quiet = Desk::new(&world, QUIET + thread, self.seed, false);
            log.append(quiet.work(|| (0..FIRES_AT_LEAST).for_each(|_| fire())));
        }
        log.troubles.extend(world.failures());
        watch.look();
        Played {
            seed: self.seed,
            base: world.base,
            evidence: evidence(&world, log, watch),
        }
    }

    fn desk(&self, world: &Arc<World>, thread: u64) -> Desk {
        Desk::new(world, thread, self.seed, self.nesting.is_some())
    }

    /// Half of the rounds begin with fewer filters than an index is made for.
    fn begin(&self) {
        import(if self.seed.is_multiple_of(2) { 500 } else { 40 });
    }
}

impl Played {
    /// Panics if anything was not as the contract has it.
    pub(crate) fn unwrap_sound(self) {
        let findings = check(&self.evidence);
        let first: Vec<_> = findings.iter().take(5).map(Finding::to_string).collect();
        assert!(
            first.is_empty(),
            "seed {}: {} findings, of which the first are\n{}",
            self.seed,
            findings.len(),
            first.join("\n")
        );
    }
}

/// Fires as long as others change the wiring, and watches the change log.
fn publish(fires: usize, changing: &AtomicUsize, watch: &Watch<'_>) {
    for fired in 1..=fires {
        fire();
        if fired % 16 == 0 {
            watch.look();
        }
        if fired >= FIRES_AT_LEAST && changing.load(Ordering::SeqCst) == 0 {
            break;
        }
    }
}

fn evidence(world: &World, log: Log, watch: Watch<'_>) -> Evidence {
    let changes = world.brokers.iter().map(|b| b.changes_since(world.base));
    let mut both: Vec<_> = changes.map(|changes| logged(&changes.unwrap())).collect();
    assert_eq!(both[0], both[1], "the brokers have one store");
    Evidence {
        log,
        logged: both.swap_remove(0),
        watched: watch.seen.into_inner().unwrap().lines,
        listed: (0..2).map(|broker| world.listed(broker).unwrap()).collect(),
    }
}

/// Follows the change log while it grows.
struct Watch<'a> {
    world: &'a World,
    seen: Mutex<Seen>,
}

struct Seen {
    to: Revision,
    lines: Vec<Logged>,
}

impl<'a> Watch<'a> {
    fn new(world: &'a World) -> Self {
        let (to, lines) = (world.base, Vec::new());
        let seen = Mutex::new(Seen { to, lines });
        Self { world, seen }
    }

    /// Asks for what is new, of one broker and then of the other.
    fn look(&self) {
        let mut seen = self.seen.lock().unwrap();
        let broker = &self.world.brokers[seen.lines.len() % 2];
        let changes = broker.changes_since(seen.to).unwrap();
        seen.to = changes.last().map_or(seen.to, |last| last.revision());
        seen.lines.extend(logged(&changes));
    }
}

/// Ends the process when a round lives too long: a deadlock fails the run and does not hang it.
struct Watchdog {
    _alive: mpsc::Sender<()>,
}

impl Watchdog {
    fn new(seed: u64) -> Self {
        let (alive, watched) = mpsc::channel::<()>();
        thread::spawn(move || {
            if watched.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                eprintln!("the round of seed {seed} did not end within {PATIENCE:?}");
                std::process::abort();
            }
        });
        Self { _alive: alive }
    }
}

/// Far longer than a round takes on a slow and busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

const CHANGERS: usize = 3;
const PUBLISHERS: usize = 3;
/// The numbers of the threads that fire at the end.
const QUIET: u64 = 100;
const FIRES_AT_LEAST: usize = 50;

//! What survives `kill -9`, in which order the system calls go out, and who may read the files.
//!
//! The child processes are this test binary again, told by an environment variable what to be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, thread};

use loosely::{
    Batch, Durability, Engine, ErrorKind, LocalStore, Notices, RawChange, RawPair, Result,
    SledEngine, SledStore, Store, StoreOptions,
};

use crate::support::{put, value, watchdog};

/// So many keys of a hundred bytes are written long before they are committed.
const BULK: usize = 20_000;

const ROLE: &str = "LOOSELY_STORE_ROLE";
const DIRECTORY: &str = "LOOSELY_STORE_DIRECTORY";

/// Acknowledges before the flush: what the durability tests must catch.
#[derive(Debug)]
struct Hasty(SledEngine);

impl Engine for Hasty {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.0.get(key)
    }

    fn page(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<RawPair>> {
        self.0.page(prefix, after, limit)
    }

    fn apply(&self, changes: &[RawChange]) -> Result<()> {
        self.0.apply(changes)
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn close(&self) -> Result<()> {
        self.0.close()
    }
}

/// Is no test by itself, but what the children run.
#[test]
fn child_process_does_what_it_was_told() {
    let Ok(role) = env::var(ROLE) else {
        return;
    };
    let directory = env::var(DIRECTORY).unwrap();
    match role.as_str() {
        "load" => {
            // Copies all the time, so that kills hit the writing of one too.
            let options = StoreOptions::new().copy_every(Duration::from_millis(1));
            load(&SledStore::open(directory, options).unwrap());
        }
        "hasty" => {
            let engine = Hasty(SledEngine::open(directory).unwrap());
            load(&LocalStore::with_engine(engine, StoreOptions::new()).unwrap());
        }
        "bulk" => bulk(&SledStore::open(directory, StoreOptions::new().without_copy()).unwrap()),
        "compact" => {
            let store = SledStore::open(directory, StoreOptions::new()).unwrap();
            thread::scope(|scope| {
                scope.spawn(|| {
                    loop {
                        store.compact().unwrap();
                    }
                });
                load(&store);
            });
        }
        "transactions" => crate::transactions::work(Path::new(&directory)),
        "traced" => traced(&SledStore::open(directory, StoreOptions::new()).unwrap()),
        role => panic!("no such role: {role}"),
    }
}

/// Commits for ever from several threads, and says so after each commit returned.
fn load(store: &dyn Store) {
    thread::scope(|scope| {
        for thread in 0..3 {
            scope.spawn(move || {
                for n in 0.. {
                    store
                        .commit(put(&format!("k/{thread}"), &n.to_string()))
                        .unwrap();
                    say(&format!("ack {thread} {n}\n"));
                }
            });
        }
    });
}

/// Commits large batches for ever, each over the one before, and talks all the time, so that
/// whoever listens can kill it in the midst of one.
fn bulk(store: &dyn Store) {
    thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                say("tick\n");
            }
        });
        for n in 0.. {
            let mut batch = Batch::new();
            for key in 0..BULK {
                batch.put(format!("k/{key}"), format!("{n} {}", "x".repeat(100)));
            }
            store.commit(batch).unwrap();
            say(&format!("ack 0 {n}\n"));
        }
    });
}

/// Makes a few commits, each between two words to the standard output.
fn traced(store: &dyn Store) {
    for n in 0..4 {
        let size = if n == 3 { 300_000 } else { 10 };
        say(&format!("begin {n}\n"));
        store
            .commit(put(&format!("k/{n}"), &"x".repeat(size)))
            .unwrap();
        say(&format!("ack {n}\n"));
    }
}

/// Writes around the test harness, which keeps what `print!` prints.
pub(crate) fn say(text: &str) {
    // The reader is gone once it has heard enough.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    let _ = std::io::stdout().lock().flush();
}

fn child(role: &str, directory: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    as_child(&mut command, role, directory);
    command
}

fn as_child(command: &mut Command, role: &str, directory: &Path) {
    command
        .args(["--exact", "durability::child_process_does_what_it_was_told"])
        .args(["--test-threads", "1", "--nocapture"])
        .env(ROLE, role)
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
}

/// Ends the child with the test, whatever happens to it.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lets a child work until it acknowledged so much, kills it, and returns the last number that each
/// of its threads acknowledged.
pub(crate) fn acknowledged_before_kill(
    role: &str,
    directory: &Path,
    enough: usize,
) -> BTreeMap<u32, u64> {
    let mut child = Killed(child(role, directory).spawn().unwrap());
    let mut output = BufReader::new(child.0.stdout.take().unwrap());
    let mut text = String::new();
    let mut heard = 0;
    while heard < enough {
        let start = text.len();
        assert!(output.read_line(&mut text).unwrap() > 0, "the child ended");
        heard += usize::from(text[start..].contains("ack "));
    }
    drop(child.0.kill());
    child.0.wait().unwrap();
    output.read_to_string(&mut text).unwrap();
    let mut last = BTreeMap::new();
    let whole_lines = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    for line in whole_lines {
        let mut words = line.split_whitespace().skip_while(|word| *word != "ack");
        let _ack = words.next();
        if let (Some(thread), Some(n)) = (words.next(), words.next()) {
            last.insert(thread.parse().unwrap(), n.parse().unwrap());
        }
    }
    last
}

/// Returns how many acknowledged commits are not there.
fn lost(store: &dyn Store, acknowledged: &BTreeMap<u32, u64>) -> u64 {
    acknowledged
        .iter()
        .map(|(thread, n)| {
            let found = value(store, &format!("k/{thread}"));
            let next = found.map_or(0, |found| found.parse::<u64>().unwrap() + 1);
            (n + 1).saturating_sub(next)
        })
        .sum()
}

#[test]
fn acknowledged_commits_survive_kill_under_load() {
    let _watchdog = watchdog();
    let root = tempfile::tempdir().unwrap();
    for round in 0..6 {
        let directory = root.path().join(round.to_string());
        for enough in [1, 40, 300] {
            let acknowledged = acknowledged_before_kill("load", &directory, enough);
            let notices = Notices::default();
            let options = StoreOptions::new().notices(notices.clone());
            let store = SledStore::open(&directory, options).unwrap();
            assert_eq!(lost(&store, &acknowledged), 0, "{acknowledged:?}");
            assert_eq!(notices.drain(), []);
            // The next child counts from zero again.
            let mut reset = Batch::new();
            for thread in acknowledged.keys() {
                reset.delete(format!("k/{thread}"));
            }
            store.commit(reset).unwrap();
        }
    }
}

#[test]
fn acknowledged_commits_survive_a_kill_while_the_database_is_written_anew() {
    let _watchdog = watchdog();
    let root = tempfile::tempdir().unwrap();
    for enough in 1..16 {
        let directory = root.path().join((enough % 3).to_string());
        let acknowledged = acknowledged_before_kill("compact", &directory, enough);
        let notices = Notices::default();
        let options = StoreOptions::new().notices(notices.clone());
        let store = SledStore::open(&directory, options).unwrap();
        assert_eq!(lost(&store, &acknowledged), 0, "{acknowledged:?}");
        assert_eq!(notices.drain(), []);
        let mut reset = Batch::new();
        for thread in acknowledged.keys() {
            reset.delete(format!("k/{thread}"));
        }
        store.commit(reset).unwrap();
    }
}

#[test]
fn commits_acknowledged_before_the_flush_are_seen_to_be_lost() {
    let _watchdog = watchdog();
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("wiring");
    let acknowledged = acknowledged_before_kill("hasty", &directory, 300);
    let store = SledStore::open(&directory, StoreOptions::new()).unwrap();
    assert!(
        lost(&store, &acknowledged) > 0,
        "the kill tests catch nothing"
    );
}

#[test]
fn large_batch_cut_off_by_a_kill_is_not_there_in_part() {
    let _watchdog = watchdog();
    let root = tempfile::tempdir().unwrap();
    for tenths in 4..10 {
        let directory = root.path().join(tenths.to_string());
        let mut child = Killed(child("bulk", &directory).spawn().unwrap());
        let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        let is_tick = |line: &std::io::Result<String>| !line.as_ref().unwrap().contains("ack 0");
        // The second batch takes about as long as the first; killed later into it each time.
        let ticks = lines.by_ref().take_while(is_tick).count() * tenths / 10;
        assert_eq!(lines.take(ticks).count(), ticks, "the child ended");
        drop(child);
        let unsynced = fs::read_dir(directory.join("sled/blobs")).unwrap().count();
        assert_eq!(unsynced, 0, "a loss of power would take these");
        let notices = Notices::default();
        let options = StoreOptions::new().notices(notices.clone());
        let store = SledStore::open(&directory, options).unwrap();
        assert_eq!(notices.drain(), []);
        let pairs = crate::support::pairs(&store, "k/");
        assert_eq!(pairs.len(), BULK);
        let revisions: BTreeSet<_> = pairs.values().map(|(_, revision)| revision).collect();
        assert_eq!(revisions.len(), 1, "parts of several batches");
    }
}

#[test]
fn revision_lost_to_a_crash_is_not_given_again() {
    let _watchdog = watchdog();
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("wiring");
    acknowledged_before_kill("load", &directory, 20);
    let store = SledStore::open(&directory, StoreOptions::new()).unwrap();
    let found = store.revision().get();
    let next = store.commit(put("a", "1")).unwrap().get();
    assert!(next > found + 100_000, "{found} then {next}");
}

#[test]
fn commit_within_an_interval_is_durable_once_closed() {
    let root = tempfile::tempdir().unwrap();
    let hour = Durability::Interval(Duration::from_secs(3600));
    let options = StoreOptions::new().durability(hour);
    let store = SledStore::open(root.path(), options).unwrap();
    store.commit(put("a", "1")).unwrap();
    store.close().unwrap();
    let store = SledStore::open(root.path(), StoreOptions::new()).unwrap();
    assert_eq!(value(&store, "a").as_deref(), Some("1"));
}

/// The instants at which such work is due were once added up unchecked.
#[test]
fn flush_and_copy_that_are_never_due_are_made_when_the_store_is_closed() {
    let root = tempfile::tempdir().unwrap();
    let options = StoreOptions::new()
        .durability(Durability::Interval(Duration::MAX))
        .copy_every(Duration::MAX);
    let store = SledStore::open(root.path(), options).unwrap();
    for n in 0..3 {
        store.commit(put("a", &n.to_string())).unwrap();
    }
    store.close().unwrap();
    let (kept, _) = crate::copy::open(root.path());
    assert_eq!(value(&kept, "a").as_deref(), Some("2"));
}

#[test]
fn directory_of_another_process_is_locked_until_it_dies() {
    let _watchdog = watchdog();
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("wiring");
    let mut child = Killed(child("load", &directory).spawn().unwrap());
    let mut output = BufReader::new(child.0.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("ack ") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "the child ended");
    }
    let error = SledStore::open(&directory, StoreOptions::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains(directory.to_str().unwrap()));
    drop(child);
    SledStore::open(&directory, StoreOptions::new()).unwrap();
}

#[test]
fn nobody_but_the_owner_may_read_what_the_store_makes() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("a").join("wiring");
    let store = SledStore::open(&directory, StoreOptions::new()).unwrap();
    store.commit(put("large", &"x".repeat(300_000))).unwrap();
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join("sled")), 0o700);
    assert_eq!(mode(&directory.join("sled").join("db")), 0o600);
    store.close().unwrap();
    for (path, _) in crate::copy::content(&directory) {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// One line of the trace and where it stands.
type Line<'a> = (usize, &'a str);

/// Returns the lines between the words `begin n` and `ack n`.
fn window(trace: &str, n: u32) -> Vec<Line<'_>> {
    let lines = || trace.lines().enumerate();
    let position = |word: String| {
        let mut found = lines().filter(|(_, line)| line.contains(&word) && line.contains("write("));
        found.next().unwrap().0
    };
    let begin = position(format!("\"begin {n}"));
    let ack = position(format!("\"ack {n}"));
    lines().take(ack).skip(begin + 1).collect()
}

fn last_of<'a>(lines: &[Line<'a>], call: &str, path: &str) -> Option<Line<'a>> {
    let is_call = |line: &&Line<'_>| line.1.contains(call) && line.1.contains(path);
    lines.iter().rfind(is_call).copied()
}

fn trace(directory: &Path) -> Option<String> {
    let output = directory.join("trace");
    let mut command = Command::new("strace");
    let calls = "trace=pwrite64,sync_file_range,fsync,fdatasync,write";
    command.args(["-f", "-y", "-s", "32", "-e", calls, "-o"]);
    command.arg(&output).arg(env::current_exe().unwrap());
    as_child(&mut command, "traced", &directory.join("wiring"));
    let ran = command.output().is_ok_and(|output| output.status.success());
    if !ran {
        // Around the harness: a test that looked at nothing must not look like one that did.
        let text = b"\nSKIPPED: strace is absent or may not trace, no system calls were checked\n";
        let _ = std::io::stderr().lock().write_all(text);
        return None;
    }
    Some(fs::read_to_string(output).unwrap())
}

#[test]
fn system_calls_are_write_then_sync_then_acknowledge() {
    let _watchdog = watchdog();
    let root = tempfile::tempdir().unwrap();
    let Some(trace) = trace(root.path()) else {
        return;
    };
    for n in 0..4 {
        let lines = window(&trace, n);
        let show = || {
            lines
                .iter()
                .map(|line| line.1)
                .collect::<Vec<_>>()
                .join("\n")
        };
        let write =
            last_of(&lines, "pwrite64(", "/sled/db").unwrap_or_else(|| panic!("{}", show()));
        let sync =
            last_of(&lines, "fdatasync(", "/sled/db").unwrap_or_else(|| panic!("{}", show()));
        assert!(write.0 < sync.0, "{}", show());
        // The acknowledging thread is the one that synced, so its call has ended before.
        if n == 3 {
            let blob = last_of(&lines, "fsync(", "/sled/blobs/").is_some();
            let name = last_of(&lines, "fsync(", "/sled/blobs>").is_some();
            assert!(blob && name, "{}", show());
        }
    }
    let creation = &trace[..trace.find("\"begin 0").unwrap()];
    assert!(creation.contains("/wiring/sled>"), "{creation}");
    assert!(creation.contains("/wiring>"), "{creation}");
    let above = format!("{}>)", root.path().display());
    let is_synced = |line: &str| line.contains("fsync(") && line.contains(&above);
    assert!(creation.lines().any(is_synced), "{creation}");
}

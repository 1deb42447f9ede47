//! The database written anew: the same content in less space, whatever happens meanwhile.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use loosely::{Batch, Compaction, ErrorKind, MemoryStore, Notices, SledStore, Store, StoreOptions};

use crate::copy::{content, copy_directory};
use crate::support::{Pairs, pairs, put, value, watchdog};

fn open(directory: &Path, compaction: Compaction) -> (SledStore, Notices) {
    let notices = Notices::default();
    let options = StoreOptions::new()
        .notices(notices.clone())
        .compaction(compaction);
    (SledStore::open(directory, options).unwrap(), notices)
}

/// Writes so many keys of a hundred bytes and removes them again.
pub(crate) fn fill_and_empty(store: &dyn Store, keys: usize) {
    for first in (0..keys).step_by(1_000) {
        let mut batch = Batch::new();
        for key in first..first + 1_000 {
            batch.put(format!("q/{key:06}"), "x".repeat(100));
        }
        store.commit(batch).unwrap();
    }
    for first in (0..keys).step_by(1_000) {
        let mut batch = Batch::new();
        for key in first..first + 1_000 {
            batch.delete(format!("q/{key:06}"));
        }
        store.commit(batch).unwrap();
    }
}

fn file_len(directory: &Path) -> u64 {
    fs::metadata(directory.join("sled/db")).unwrap().len()
}

/// Makes a directory whose database is longer than what is live in it, large values among that.
fn template(directory: &Path) -> Pairs {
    let (store, _) = open(directory, Compaction::never());
    fill_and_empty(&store, 20_000);
    for n in 0..200 {
        store
            .commit(put(&format!("s/{n}"), &n.to_string()))
            .unwrap();
    }
    store
        .commit(put("large", &"large".repeat(100_000)))
        .unwrap();
    store.close().unwrap();
    let (store, _) = open(directory, Compaction::never());
    let pairs = pairs(&store, "");
    store.close().unwrap();
    pairs
}

/// Opens a directory and fails unless everything is there and nothing is left of a compaction.
fn check(directory: &Path, expected: &Pairs, what: &str) {
    let (store, notices) = open(directory, Compaction::never());
    assert_eq!(pairs(&store, ""), *expected, "{what}");
    assert_eq!(notices.drain(), [], "{what}");
    store.commit(put("after", "1")).unwrap();
    store.close().unwrap();
    for name in ["compacted", "replaced"] {
        assert!(!directory.join(name).exists(), "{what}: {name} is left");
    }
}

#[test]
fn database_written_anew_has_the_same_content_in_less_space() {
    let root = tempfile::tempdir().unwrap();
    let expected = template(root.path());
    let (store, notices) = open(root.path(), Compaction::never());
    let revision = store.revision();
    let history = store.changes_since(1.into()).map_err(|error| error.kind());
    let report = store.compact().unwrap();
    assert!(report.after_bytes() < report.before_bytes() / 2, "{report}");
    assert_eq!(pairs(&store, ""), expected);
    assert_eq!(store.revision(), revision);
    let now = store.changes_since(1.into()).map_err(|error| error.kind());
    assert_eq!(now, history);
    let next = store.commit(put("s/0", "new")).unwrap();
    let changed = store.changes_since(revision).unwrap();
    assert_eq!(changed.len(), 1);
    store.close().unwrap();
    let (store, _) = open(root.path(), Compaction::never());
    assert_eq!(value(&store, "s/0").as_deref(), Some("new"));
    assert_eq!(store.revision(), next);
    assert_eq!(notices.drain(), []);
}

#[test]
fn store_in_memory_has_nothing_to_give_back() {
    let report = MemoryStore::new().compact().unwrap();
    assert_eq!((report.before_bytes(), report.after_bytes()), (0, 0));
}

#[test]
fn closed_store_is_not_written_anew() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = open(root.path(), Compaction::new());
    store.close().unwrap();
    assert_eq!(store.compact().unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn file_much_longer_than_what_is_live_is_written_anew_when_it_is_opened() {
    let root = tempfile::tempdir().unwrap();
    let expected = template(root.path());
    let before = file_len(root.path());
    let (store, _) = open(root.path(), Compaction::new().above(2 * before));
    assert_eq!(file_len(root.path()), before, "shorter than the terms");
    store.close().unwrap();
    let terms = Compaction::new().above(1 << 20).times(2);
    let (store, notices) = open(root.path(), terms);
    assert!(file_len(root.path()) < before / 2);
    assert_eq!(pairs(&store, ""), expected);
    assert_eq!(notices.drain(), []);
}

#[test]
fn file_is_written_anew_while_it_is_used_and_when_it_is_closed() {
    let _watchdog = watchdog();
    let root = tempfile::tempdir().unwrap();
    let [without, with] = ["without", "with"].map(|name| root.path().join(name));
    let lens = [Compaction::never(), Compaction::new().above(1 << 20)].map(|terms| {
        let directory = match terms == Compaction::never() {
            true => &without,
            false => &with,
        };
        let (store, notices) = open(directory, terms);
        store.commit(put("s", "1")).unwrap();
        // It is looked at near the end, when little is left.
        fill_and_empty(&store, 34_000);
        let used = file_len(directory);
        store.close().unwrap();
        assert_eq!(notices.drain(), []);
        (used, file_len(directory))
    });
    let [(used_without, closed_without), (used, closed)] = lens;
    assert!(used < used_without / 2, "{lens:?}");
    assert!(closed <= 2 << 20 && closed < closed_without, "{lens:?}");
    let (store, _) = open(&with, Compaction::never());
    assert_eq!(value(&store, "s").as_deref(), Some("1"));
    assert_eq!(pairs(&store, "").len(), 1);
}

#[test]
fn commits_and_reads_beside_a_compaction_notice_nothing_of_it() {
    let _watchdog = watchdog();
    let root = tempfile::tempdir().unwrap();
    let (store, notices) = open(root.path(), Compaction::never());
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers = [0, 1].map(|writer| {
            let (store, is_over) = (&store, &is_over);
            scope.spawn(move || {
                let mut n = 0;
                while !is_over.load(Ordering::Relaxed) {
                    n += 1;
                    let key = format!("k/{writer}");
                    store.commit(put(&key, &n.to_string())).unwrap();
                    assert_eq!(value(store, &key), Some(n.to_string()));
                }
                n
            })
        });
        for _ in 0..5 {
            store.compact().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        for (writer, count) in writers.into_iter().enumerate() {
            let count = count.join().unwrap();
            let found = value(&store, &format!("k/{writer}"));
            assert_eq!(found, Some(count.to_string()));
        }
    });
    assert_eq!(notices.drain(), []);
}

/// A directory in the state that a crash leaves behind a step.
struct Steps<'a> {
    old: &'a Path,
    new: &'a Path,
    at: &'a Path,
}

impl Steps<'_> {
    /// Makes the directory with these databases under these names, and has it checked.
    fn check(&self, databases: &[(&Path, &str)], expected: &Pairs, what: &str) {
        copy_directory(self.old, self.at);
        fs::remove_dir_all(self.at.join("sled")).unwrap();
        for (from, name) in databases {
            copy_directory(&from.join("sled"), &self.at.join(name));
        }
        check(self.at, expected, what);
        fs::remove_dir_all(self.at).unwrap();
    }

    /// Makes a copy of the new database of which so many files are cut to so many tenths.
    fn cut(&self, cut: &Path, files: usize, tenths: usize) {
        let _ = fs::remove_dir_all(cut);
        copy_directory(self.new, cut);
        for (path, bytes) in content(&cut.join("sled")).into_iter().take(files) {
            match tenths {
                0 => fs::remove_file(path).unwrap(),
                tenths => fs::write(path, &bytes[..bytes.len() * tenths / 10]).unwrap(),
            }
        }
    }
}

#[test]
fn crash_after_any_step_leaves_the_old_database_or_the_new_one_whole() {
    let _watchdog = watchdog();
    let root = tempfile::tempdir().unwrap();
    let [old, new, at, cut] = ["old", "new", "at", "cut"].map(|name| root.path().join(name));
    let expected = template(&old);
    copy_directory(&old, &new);
    let (store, _) = open(&new, Compaction::never());
    store.compact().unwrap();
    store.close().unwrap();
    let steps = Steps {
        old: &old,
        new: &new,
        at: &at,
    };
    for files in 1..4 {
        for tenths in [0, 3, 9] {
            steps.cut(&cut, files, tenths);
            let what = format!("{files} files cut to {tenths} tenths");
            let begun = [(&*old, "sled"), (&*cut, "compacted")];
            steps.check(&begun, &expected, &format!("new one, {what}"));
            let removed = [(&*new, "sled"), (&*cut, "replaced")];
            steps.check(&removed, &expected, &format!("old one, {what}"));
        }
    }
    let made = [(&*old, "sled"), (&*new, "compacted")];
    steps.check(&made, &expected, "made");
    let aside = [(&*old, "replaced"), (&*new, "compacted")];
    steps.check(&aside, &expected, "put aside");
    let placed = [(&*old, "replaced"), (&*new, "sled")];
    steps.check(&placed, &expected, "put in place");
}

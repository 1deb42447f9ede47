//! The copy beside the database: written in the background and at close, used when all else fails.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use loosely::{
    Batch, Durability, ErrorKind, LocalStore, Notice, Notices, SledStore, Store, StoreOptions,
};

use crate::support::{pairs, put, value, watchdog};

fn fill(store: &dyn Store, count: usize) {
    let mut batch = Batch::new();
    for n in 0..count {
        batch.put(format!("s/{n:04}"), format!("value {n}"));
    }
    store.commit(batch).unwrap();
}

fn wiring(root: &tempfile::TempDir) -> PathBuf {
    root.path().join("wiring")
}

pub(crate) fn open(directory: &Path) -> (SledStore, Notices) {
    let notices = Notices::default();
    let options = StoreOptions::new().notices(notices.clone());
    (SledStore::open(directory, options).unwrap(), notices)
}

#[test]
fn reopen_keeps_everything_and_says_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = open(&wiring(&root));
    fill(&store, 700);
    let last = store.commit(put("a", "1")).unwrap();
    let expected = pairs(&store, "");
    store.close().unwrap();
    let (store, notices) = open(&wiring(&root));
    assert_eq!(pairs(&store, ""), expected);
    assert_eq!(store.revision(), last);
    assert_eq!(store.changes_since(1.into()).unwrap().len(), 1);
    assert_eq!(store.commit(put("b", "1")).unwrap().get(), last.get() + 1);
    assert_eq!(notices.drain(), []);
}

#[test]
fn directory_is_free_at_once_after_close() {
    let _watchdog = watchdog();
    let root = tempfile::tempdir().unwrap();
    for n in 0..10 {
        let (store, notices) = open(&wiring(&root));
        assert_eq!(pairs(&store, "").len(), n);
        store.commit(put(&format!("k{n}"), "x")).unwrap();
        store.close().unwrap();
        assert_eq!(notices.drain(), []);
    }
}

#[test]
fn second_opening_is_refused_by_name_until_the_first_is_closed() {
    let root = tempfile::tempdir().unwrap();
    let directory = wiring(&root);
    let (first, _) = open(&directory);
    let error = SledStore::open(&directory, StoreOptions::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains(directory.to_str().unwrap()));
    first.commit(put("a", "1")).unwrap();
    drop(first);
    let (second, _) = open(&directory);
    assert_eq!(value(&second, "a").as_deref(), Some("1"));
}

#[test]
fn database_that_is_gone_is_restored_from_the_copy() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = open(&wiring(&root));
    fill(&store, 2500);
    let revision = store.revision().get();
    let expected = pairs(&store, "");
    store.close().unwrap();
    fs::remove_dir_all(wiring(&root).join("sled")).unwrap();
    let (store, notices) = open(&wiring(&root));
    assert_eq!(pairs(&store, ""), expected);
    assert!(
        store.revision().get() > revision,
        "a revision would be given again"
    );
    let notices = notices.drain();
    let [
        Notice::Restored {
            revision: restored,
            records,
            moved_to: None,
            ..
        },
    ] = &notices[..]
    else {
        panic!("{notices:?}");
    };
    assert_eq!((restored.get(), *records), (revision, 2500));
    let error = store.changes_since(revision.into()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Compacted);
    store.close().unwrap();
    let (store, notices) = open(&wiring(&root));
    assert_eq!(pairs(&store, ""), expected);
    assert_eq!(notices.drain(), []);
}

#[test]
fn database_behind_its_copy_is_moved_aside_and_restored() {
    let root = tempfile::tempdir().unwrap();
    let directory = wiring(&root);
    let (store, _) = open(&directory);
    store.commit(put("a", "1")).unwrap();
    store.close().unwrap();
    let old = root.path().join("old");
    copy_directory(&directory.join("sled"), &old);
    let (store, _) = open(&directory);
    store.commit(put("a", "2")).unwrap();
    store.close().unwrap();
    fs::remove_dir_all(directory.join("sled")).unwrap();
    fs::rename(&old, directory.join("sled")).unwrap();
    let (store, notices) = open(&directory);
    assert_eq!(value(&store, "a").as_deref(), Some("2"));
    let notice = notices.drain().remove(0);
    let text = notice.to_string();
    let Notice::Restored {
        moved_to: Some(moved_to),
        ..
    } = notice
    else {
        panic!("{text}");
    };
    assert!(
        text.contains("the database is at revision 1, its copy at 2"),
        "{text}"
    );
    assert_eq!(moved_to, directory.join("damaged-1"));
    assert!(moved_to.join("sled").join("db").exists());
}

#[test]
fn database_damaged_without_a_copy_is_lost_aloud() {
    let root = tempfile::tempdir().unwrap();
    let directory = wiring(&root);
    let options = StoreOptions::new().without_copy();
    let store = SledStore::open(&directory, options.clone()).unwrap();
    let before = store.commit(put("a", "1")).unwrap();
    store.close().unwrap();
    assert!(!directory.join("wiring.copy").exists());
    fs::write(directory.join("sled").join("conf"), "what is this then").unwrap();
    let notices = Notices::default();
    let store = SledStore::open(&directory, options.notices(notices.clone())).unwrap();
    assert!(pairs(&store, "").is_empty());
    assert!(store.revision() > before);
    let notices = notices.drain();
    let [Notice::Lost { moved_to, reason }] = &notices[..] else {
        panic!("{notices:?}");
    };
    assert_eq!(*moved_to, directory.join("damaged-1"));
    assert!(reason.contains("there is no copy"), "{reason}");
}

#[test]
fn nothing_is_given_up_while_the_copy_cannot_be_read() {
    let root = tempfile::tempdir().unwrap();
    let directory = wiring(&root);
    let (store, _) = open(&directory);
    fill(&store, 10);
    store.close().unwrap();
    let (copy, hidden) = (directory.join("wiring.copy"), directory.join("hidden"));
    fs::rename(&copy, &hidden).unwrap();
    fs::create_dir(&copy).unwrap();
    fs::write(directory.join("sled").join("conf"), "what is this then").unwrap();
    let error = SledStore::open(&directory, StoreOptions::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(!directory.join("damaged-1").exists());
    fs::remove_dir(&copy).unwrap();
    fs::rename(&hidden, &copy).unwrap();
    let (store, notices) = open(&directory);
    assert_eq!(pairs(&store, "").len(), 10);
    assert!(matches!(notices.drain()[..], [Notice::Restored { .. }]));
}

#[test]
fn restore_that_was_interrupted_begins_again() {
    let root = tempfile::tempdir().unwrap();
    let directory = wiring(&root);
    let (store, _) = open(&directory);
    fill(&store, 10);
    store.close().unwrap();
    // As left by a crash between moving aside and the last rename.
    fs::rename(directory.join("sled"), directory.join("restoring")).unwrap();
    fs::remove_file(directory.join("restoring").join("conf")).unwrap();
    let (store, notices) = open(&directory);
    assert_eq!(pairs(&store, "").len(), 10);
    assert!(matches!(notices.drain()[..], [Notice::Restored { .. }]));
    assert!(!directory.join("restoring").exists());
}

#[test]
fn newer_format_is_refused_with_nothing_touched() {
    let root = tempfile::tempdir().unwrap();
    let directory = wiring(&root);
    let (store, _) = open(&directory);
    fill(&store, 10);
    store.close().unwrap();
    let body = "loosely store format 2";
    let text = format!("{body} {:08x}\n", crc32fast::hash(body.as_bytes()));
    fs::write(directory.join("format"), text).unwrap();
    let before = content(&directory);
    let error = SledStore::open(&directory, StoreOptions::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NewerFormat);
    let expected = "the store has format 2, this version reads up to 1";
    assert_eq!(error.to_string(), expected);
    assert_eq!(content(&directory), before);
}

#[test]
fn copy_written_while_commits_go_on_is_whole_at_its_revision() {
    let _watchdog = watchdog();
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("wiring.copy");
    let options = StoreOptions::new()
        .copy_to(&path)
        .copy_every(Duration::from_millis(1))
        .durability(Durability::Interval(Duration::from_millis(1)));
    let store = LocalStore::with_engine(loosely::MemoryEngine::new(), options).unwrap();
    fill(&store, 3000);
    let mut model = pairs(&store, "");
    let mut history = BTreeMap::from([(store.revision().get(), model.clone())]);
    let mut copies = BTreeMap::new();
    // Until several copies were made; the watchdog bounds it.
    for n in 0.. {
        let gone = format!("s/{:04}", n * 7 % 3000);
        let changed = format!("s/{:04}", n * 11 % 3000);
        let mut batch = Batch::new();
        batch.delete(&*gone).put(&*changed, n.to_string());
        let revision = store.commit(batch).unwrap();
        model.remove(&gone);
        model.insert(changed, (n.to_string(), revision));
        history.insert(revision.get(), model.clone());
        if let Ok(copy) = fs::read(&path) {
            let at = copy.len() - 12..copy.len() - 4;
            let revision = u64::from_be_bytes(copy[at].try_into().unwrap());
            copies.insert(revision, copy);
        }
        if copies.len() == 4 {
            break;
        }
    }
    for (revision, copy) in copies {
        let directory = root.path().join(revision.to_string());
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("wiring.copy"), copy).unwrap();
        let (restored, _) = open(&directory);
        assert_eq!(pairs(&restored, ""), history[&revision], "at {revision}");
    }
}

pub(crate) fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Returns every file below a directory with its bytes.
pub(crate) fn content(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(content(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            files.push((path, bytes));
        }
    }
    files.sort();
    files
}

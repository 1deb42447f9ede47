//! Bits flipped in every file that sled writes: the store opens, and serves everything or reports.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use loosely::{Batch, Engine, ErrorKind, LocalStore, Notice, Notices, SledEngine, SledStore};
use loosely::{Store, StoreOptions};

use crate::copy::{content, copy_directory};
use crate::support::{Pairs, pairs, put, value, watchdog};

/// Makes a store whose database has every kind of file, and returns what it holds.
fn template(directory: &Path) -> Pairs {
    let mut expected = Pairs::new();
    for round in 0..3 {
        let store = SledStore::open(directory, StoreOptions::new()).unwrap();
        for section in 0..20 {
            let mut batch = Batch::new();
            for n in 0..20 {
                batch.put(
                    format!("s/{section:02}/{n:02}"),
                    format!("round {round}, value {n}"),
                );
            }
            store.commit(batch).unwrap();
        }
        let large = format!("{round}").repeat(300_000);
        store.commit(put("large", &large)).unwrap();
        expected = pairs(&store, "");
        store.close().unwrap();
    }
    // Not opened once more: sled would then no longer read its log from where the last one began.
    expected
}

/// Returns offsets of bytes that say something, spread over the file.
pub(crate) fn offsets(bytes: &[u8]) -> Vec<usize> {
    const EACH: usize = 12;
    let used: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let spread = (0..EACH).map(|n| used[n * (used.len() - 1) / (EACH - 1)]);
    spread.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Returns every one of the cases, or as many of them as the environment says by `LOOSELY_CASES`:
/// 0.1 for every tenth.
pub(crate) fn sampled<T>(cases: Vec<T>) -> impl Iterator<Item = T> {
    let share = std::env::var("LOOSELY_CASES").map_or(1.0, |it| it.parse::<f64>().unwrap());
    let step = (1.0 / share).round().max(1.0);
    cases.into_iter().step_by(step as usize)
}

pub(crate) fn flip(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset] ^= 1 << (offset % 8);
    fs::write(path, bytes).unwrap();
}

/// Opens a damaged directory, and fails if anything is missing that nobody was told of.
fn check(directory: &Path, expected: &Pairs, with_copy: bool, what: &str) -> bool {
    let notices = Notices::default();
    let options = StoreOptions::new().notices(notices.clone());
    let store = match SledStore::open(directory, options) {
        Ok(store) => store,
        Err(error) => panic!("{what}: {error:#} {:?}", std::error::Error::source(&error)),
    };
    let found = pairs(&store, "");
    let notices = notices.drain();
    let was_reported = |key: &String| {
        notices.iter().any(|notice| match notice {
            Notice::Quarantined { key: lost, .. } => *lost == key.as_bytes(),
            Notice::Restored { .. } => !with_copy,
            Notice::Lost { .. } => true,
            Notice::RolledBack { .. } => !with_copy,
            _ => false,
        })
    };
    for (key, entry) in expected {
        if found.get(key) != Some(entry) {
            assert!(was_reported(key), "{what}: {key} is missing, {notices:?}");
        }
    }
    assert!(found.keys().all(|key| expected.contains_key(key)), "{what}");
    store.commit(put("after", "1")).unwrap();
    !notices.is_empty()
}

fn flip_everywhere(with_copy: bool) {
    let _watchdog = watchdog();
    let root = tempfile::tempdir().unwrap();
    let sound = root.path().join("sound");
    let expected = template(&sound);
    if !with_copy {
        fs::remove_file(sound.join("wiring.copy")).unwrap();
    }
    let mut kinds = BTreeSet::new();
    let mut reported = 0;
    for (path, bytes) in content(&sound.join("sled")) {
        let name = path.strip_prefix(&sound).unwrap();
        kinds.insert(kind(name));
        for offset in offsets(&bytes) {
            let damaged = root.path().join("damaged");
            copy_directory(&sound, &damaged);
            flip(&damaged.join(name), offset);
            let what = format!("{} at {offset} of {}", name.display(), bytes.len());
            reported += usize::from(check(&damaged, &expected, with_copy, &what));
            fs::remove_dir_all(&damaged).unwrap();
        }
    }
    assert_eq!(kinds, BTreeSet::from(["blob", "conf", "db", "snap"]));
    assert!(reported > 0, "no damage was noticed at all");
}

pub(crate) fn kind(name: &Path) -> &'static str {
    let text = name.to_str().unwrap();
    ["conf", "snap", "blob", "db"]
        .into_iter()
        .find(|kind| text.starts_with(&format!("sled/{kind}")))
        .unwrap_or("unknown")
}

#[test]
fn flipped_bit_is_healed_from_the_copy() {
    flip_everywhere(true);
}

#[test]
fn flipped_bit_without_a_copy_loses_nothing_in_silence() {
    flip_everywhere(false);
}

#[test]
fn flipped_bit_in_the_files_beside_the_database_does_no_harm() {
    let root = tempfile::tempdir().unwrap();
    let sound = root.path().join("sound");
    let expected = template(&sound);
    for name in ["format", "wiring.copy", "durable", "lock"].map(PathBuf::from) {
        let bytes = fs::read(sound.join(&name)).unwrap();
        let offsets = if bytes.is_empty() {
            Vec::new()
        } else {
            offsets(&bytes)
        };
        for offset in offsets {
            let damaged = root.path().join("damaged");
            copy_directory(&sound, &damaged);
            flip(&damaged.join(&name), offset);
            let what = format!("{} at {offset}", name.display());
            assert!(!check(&damaged, &expected, true, &what), "{what}");
            fs::remove_dir_all(&damaged).unwrap();
        }
    }
}

#[test]
fn value_damaged_below_sled_is_quarantined_and_the_rest_served() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("wiring");
    let store = SledStore::open(&directory, StoreOptions::new()).unwrap();
    store.commit(put("a", "1")).unwrap();
    store.commit(put("b", "2")).unwrap();
    store.close().unwrap();
    let engine = SledEngine::open(&directory).unwrap();
    let mut raw = engine.get(b"a").unwrap().unwrap();
    *raw.last_mut().unwrap() ^= 1;
    engine.apply(&[(b"a".to_vec(), Some(raw))]).unwrap();
    engine.close().unwrap();

    for _ in 0..2 {
        let notices = Notices::default();
        let options = StoreOptions::new().notices(notices.clone());
        let store = SledStore::open(&directory, options).unwrap();
        assert_eq!(value(&store, "a"), None);
        assert_eq!(pairs(&store, "").len(), 1);
        store.commit(put("b", "3")).unwrap();
        let notices = notices.drain();
        assert!(matches!(&notices[..], [Notice::Quarantined { key, .. }] if key == b"a"));
    }
    let store = SledStore::open(&directory, StoreOptions::new()).unwrap();
    store.commit(put("a", "new")).unwrap();
    drop(store);
    let notices = Notices::default();
    let options = StoreOptions::new().notices(notices.clone());
    let store = SledStore::open(&directory, options).unwrap();
    assert_eq!(value(&store, "a").as_deref(), Some("new"));
    assert_eq!(notices.drain(), []);
}

#[test]
fn pair_that_went_missing_is_noticed_by_the_count() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("wiring");
    let store = SledStore::open(&directory, StoreOptions::new()).unwrap();
    store.commit(put("a", "1")).unwrap();
    store.commit(put("b", "2")).unwrap();
    store.close().unwrap();
    let engine = SledEngine::open(&directory).unwrap();
    engine.apply(&[(b"a".to_vec(), None)]).unwrap();
    let error = LocalStore::with_engine(engine, StoreOptions::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let expected = "there are 1 pairs, the head counted 2";
    assert_eq!(error.to_string(), expected);
    let notices = Notices::default();
    let options = StoreOptions::new().notices(notices.clone());
    let store = SledStore::open(&directory, options).unwrap();
    assert_eq!(pairs(&store, "").len(), 2);
    assert!(matches!(notices.drain()[..], [Notice::Restored { .. }]));
}

#[test]
fn pair_that_became_an_older_one_is_noticed_by_the_digest() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("wiring");
    let store = SledStore::open(&directory, StoreOptions::new()).unwrap();
    store.commit(put("a", "1")).unwrap();
    store.close().unwrap();
    let engine = SledEngine::open(&directory).unwrap();
    let old = engine.get(b"a").unwrap();
    engine.close().unwrap();
    let store = SledStore::open(&directory, StoreOptions::new()).unwrap();
    store.commit(put("a", "2")).unwrap();
    store.close().unwrap();
    let engine = SledEngine::open(&directory).unwrap();
    engine.apply(&[(b"a".to_vec(), old)]).unwrap();
    let error = LocalStore::with_engine(engine, StoreOptions::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let expected = "the 1 pairs are not those that the head counted: their digest differs";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn database_that_sled_cannot_open_is_named() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("wiring");
    let store = SledStore::open(&directory, StoreOptions::new()).unwrap();
    store.commit(put("a", "1")).unwrap();
    store.close().unwrap();
    let database = directory.join("sled");
    fs::write(database.join("conf"), "no configuration of sled's").unwrap();
    let error = SledEngine::open(&directory).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let expected = format!("sled cannot open the database {}", database.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
}

//! The kept inputs, given to their targets: what a fuzzer has found stays mended.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;

use loosely_fuzz::TARGETS;

/// What panicked on whatever thread: the crate catches panics, of its own too.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[test]
fn kept_inputs_make_nothing_panic_and_nothing_contradict_itself() {
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        if let Ok(mut panics) = PANICS.lock() {
            panics.push(panic.to_string());
        }
    }));
    let mut failed = Vec::new();
    for (name, target) in TARGETS {
        let inputs = inputs(name);
        assert!(inputs.len() >= 10, "the corpus of {name} is gone");
        for (file, data) in inputs {
            let survived = catch_unwind(AssertUnwindSafe(|| target(&data))).is_ok();
            let panics = PANICS.lock().map(|mut all| std::mem::take(&mut *all));
            if !survived || panics.is_ok_and(|panics| !panics.is_empty()) {
                failed.push(format!("{name}/{file}"));
            }
        }
    }
    let _ = std::panic::take_hook();
    assert_eq!(failed, [""; 0]);
}

fn inputs(name: &str) -> Vec<(String, Vec<u8>)> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let mut found = Vec::new();
    for file in fs::read_dir(corpus).expect("a corpus") {
        let file = file.expect("a file of the corpus");
        let data = fs::read(file.path()).expect("a file of the corpus");
        found.push((file.file_name().to_string_lossy().into_owned(), data));
    }
    found.sort();
    found
}

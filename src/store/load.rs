//! Reading an engine's content: at open, after a failure, and pair by pair.

use std::collections::BTreeSet;

use parking_lot::Mutex;

use super::batch::Entry;
use super::engine::{Engine, RawPair};
use super::form::{self, BEGUN_KEY, HEAD_KEY, Head, LOG_PREFIX};
use super::history::History;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Revision;
use crate::notices::{Notice, Notices};

/// What an engine was found to hold.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) head: Head,
    pub(crate) history: History,
    /// The revision after which the numbers of the last opening began.
    pub(crate) begun: Revision,
}

/// The keys whose values cannot be read, each reported once.
#[derive(Debug)]
pub(crate) struct Quarantine {
    keys: Mutex<BTreeSet<Vec<u8>>>,
    notices: Notices,
}

impl Quarantine {
    pub(crate) fn new(notices: Notices) -> Self {
        Self {
            keys: Mutex::default(),
            notices,
        }
    }

    /// Returns the entry, or none for a value that cannot be read.
    pub(crate) fn read(&self, key: &[u8], raw: &[u8]) -> Option<Entry> {
        match form::unseal(key, raw) {
            Ok(sealed) => Some(Entry {
                value: sealed.payload.to_vec(),
                revision: sealed.revision,
            }),
            Err(error) => {
                self.report(key, &error);
                None
            }
        }
    }

    fn report(&self, key: &[u8], error: &Error) {
        if self.keys.lock().insert(key.to_vec()) {
            self.notices.push(Notice::Quarantined {
                key: key.to_vec(),
                reason: error.to_string(),
            });
        }
    }
}

/// Reads everything once: head, log, and the checksum of every pair.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`] when the head cannot be read though there are pairs, or pairs are missing
/// that the head counts; [`ErrorKind::NewerFormat`]; what the engine reports.
pub(crate) fn load<E: Engine>(
    engine: &E,
    history_limit: usize,
    quarantine: &Quarantine,
) -> Result<Loaded> {
    let stored = match engine.get(HEAD_KEY)? {
        Some(raw) => Head::unseal(&raw)?,
        None if engine.page(b"", None, 1)?.is_empty() => Head::EMPTY,
        None => return Err(corrupt("the store has content but no head")),
    };
    let mut found = Head {
        count: 0,
        digest: 0,
        ..stored
    };
    let mut unreadable = 0_u64;
    for pair in pairs(engine, b"") {
        let (key, raw) = pair?;
        match form::unseal(&key, &raw) {
            Ok(sealed) => found.add(&sealed),
            Err(error) => {
                unreadable += 1;
                quarantine.report(&key, &error);
            }
        }
    }
    // What unreadable pairs contributed to the digest is unknown, so nothing can be said then.
    if unreadable == 0 && found != stored {
        let (found, counted) = (found.count, stored.count);
        return Err(corrupt(&format!(
            "{found} pairs are not the {counted} that the head counted"
        )));
    }
    let history = load_history(engine, history_limit, stored.revision)?;
    let begun = engine.get(BEGUN_KEY)?.and_then(|raw| {
        let sealed = form::unseal(BEGUN_KEY, &raw);
        sealed.ok().map(|sealed| sealed.revision)
    });
    Ok(Loaded {
        head: found,
        history,
        begun: begun.unwrap_or_default(),
    })
}

/// Reads the log; an entry that cannot be read makes it begin after that entry.
fn load_history<E: Engine>(engine: &E, limit: usize, now: Revision) -> Result<History> {
    let mut history = History::new(limit);
    for pair in Pages::new(engine, LOG_PREFIX) {
        let (key, raw) = pair?;
        match form::unseal_log(&key, &raw) {
            Ok(commit) => history.push(commit),
            Err(_) => {
                history.clear();
                history.discard(key);
            }
        }
    }
    if history.last() != Some(now) {
        history.clear();
    }
    Ok(history)
}

/// Returns the pairs under a prefix that are not the store's own, in key order.
pub(crate) fn pairs<'a, E: Engine>(
    engine: &'a E,
    prefix: &[u8],
) -> impl Iterator<Item = Result<RawPair>> + use<'a, E> {
    let mut pages = Pages::new(engine, prefix);
    if prefix.is_empty() {
        // Right behind the last key that can begin with 0x00.
        pages.after = Some(LAST_RESERVED.to_vec());
    }
    let hidden = prefix.first() == Some(&0);
    pages.take_while(move |_| !hidden)
}

/// Streams an engine's pairs, a page at a time; an error is the last item.
struct Pages<'a, E> {
    engine: &'a E,
    prefix: Vec<u8>,
    after: Option<Vec<u8>>,
    page: std::vec::IntoIter<RawPair>,
    done: bool,
}

impl<'a, E: Engine> Pages<'a, E> {
    fn new(engine: &'a E, prefix: &[u8]) -> Self {
        Self {
            engine,
            prefix: prefix.to_vec(),
            after: None,
            page: Vec::new().into_iter(),
            done: false,
        }
    }

    fn turn(&mut self) -> Result<()> {
        let page = self
            .engine
            .page(&self.prefix, self.after.as_deref(), PAGE)?;
        self.done = page.len() < PAGE;
        if let Some((key, _)) = page.last() {
            self.after = Some(key.clone());
        }
        self.page = page.into_iter();
        Ok(())
    }
}

impl<E: Engine> Iterator for Pages<'_, E> {
    type Item = Result<RawPair>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.as_slice().is_empty()
            && !self.done
            && let Err(error) = self.turn()
        {
            self.done = true;
            return Some(Err(error));
        }
        self.page.next().map(Ok)
    }
}

fn corrupt(message: &str) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

/// A page is large enough to hide the cost of seeking and small enough to hold in memory.
const PAGE: usize = 512;

/// Greater than every key that the store uses for itself, less than every user key.
const LAST_RESERVED: &[u8] = &[0, 0xff];

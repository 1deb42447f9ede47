//! Reading an engine's content: at open, after a failure, and pair by pair.

use std::collections::BTreeSet;

use super::batch::Entry;
use super::engine::{Engine, RawPair};
use super::form::{self, BEGUN_KEY, HEAD_KEY, Head, LOG_PREFIX};
use super::health::repeated;
use super::history::History;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Revision;
use crate::notices::{Notice, Notices};
use crate::sync::Mutex;

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
    pub(crate) fn read(&self, key: &[u8], raw: Vec<u8>) -> Option<Entry> {
        match form::unseal(key, &raw) {
            Ok(_) => Some(form::open(raw)),
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
/// [`ErrorKind::Corrupt`] when the pairs are not those that the head counted,
/// [`ErrorKind::NewerFormat`], and what the engine reports.
pub(crate) fn load<E: Engine>(
    engine: &E,
    history_limit: usize,
    quarantine: &Quarantine,
) -> Result<Loaded> {
    load_with(engine, history_limit, quarantine, |_, _| {})
}

/// As [`load`], and `visit` may take the readable pairs out of the same pass. Whether they are all
/// that there should be is known at their end only: what is wrong is the last item then.
pub(crate) fn load_with<E: Engine>(
    engine: &E,
    history_limit: usize,
    quarantine: &Quarantine,
    visit: impl FnOnce(&mut dyn Iterator<Item = Result<RawPair>>, Revision),
) -> Result<Loaded> {
    let stored = head(engine)?;
    let mut pass = Pass::new(pairs(engine, b""), quarantine, stored);
    visit(&mut pass, stored.revision);
    let head = pass.finish()?;
    let history = load_history(engine, history_limit, stored.revision)?;
    let begun = engine.get(BEGUN_KEY)?.and_then(|raw| {
        let sealed = form::unseal(BEGUN_KEY, &raw);
        sealed.ok().map(|sealed| sealed.revision)
    });
    Ok(Loaded {
        head,
        history,
        begun: begun.unwrap_or_default(),
    })
}

/// Reads the head alone.
pub(crate) fn head<E: Engine>(engine: &E) -> Result<Head> {
    match engine.get(HEAD_KEY)? {
        Some(raw) => Head::unseal(&raw),
        None if engine.page(b"", None, 1)?.is_empty() => Ok(Head::EMPTY),
        None => Err(corrupt("the store has content but no head")),
    }
}

/// Yields the pairs whose checksums agree, and compares all of them with what the head counted.
struct Pass<'a, P> {
    pairs: P,
    quarantine: &'a Quarantine,
    stored: Head,
    found: Head,
    unreadable: u64,
    /// What the pairs came to, once they are at their end.
    outcome: Option<Result<()>>,
}

impl<'a, P: Iterator<Item = Result<RawPair>>> Pass<'a, P> {
    fn new(pairs: P, quarantine: &'a Quarantine, stored: Head) -> Self {
        Self {
            pairs,
            quarantine,
            stored,
            found: Head {
                count: 0,
                digest: 0,
                ..stored
            },
            unreadable: 0,
            outcome: None,
        }
    }

    fn compare(&self) -> Result<()> {
        // What unreadable pairs contributed to the digest is unknown, so nothing can be said then.
        if self.unreadable > 0 || self.found == self.stored {
            return Ok(());
        }
        let (found, counted) = (self.found.count, self.stored.count);
        Err(corrupt(&if found == counted {
            format!("the {found} pairs are not those that the head counted: their digest differs")
        } else {
            format!("there are {found} pairs, the head counted {counted}")
        }))
    }

    /// Reads what is left, and returns the head that counts what can be read.
    fn finish(mut self) -> Result<Head> {
        while self.outcome.is_none() {
            drop(self.next());
        }
        self.outcome.unwrap_or(Ok(())).map(|()| self.found)
    }

    /// Notes how it ended, and returns the error as the last item.
    fn end(&mut self, outcome: Result<()>) -> Option<Result<RawPair>> {
        let item = outcome.as_ref().err().map(|error| Err(repeated(error)));
        self.outcome = Some(outcome);
        item
    }
}

impl<P: Iterator<Item = Result<RawPair>>> Iterator for Pass<'_, P> {
    type Item = Result<RawPair>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.outcome.is_none() {
            let (key, raw) = match self.pairs.next() {
                Some(Ok(pair)) => pair,
                Some(Err(error)) => return self.end(Err(error)),
                None => return self.end(self.compare()),
            };
            match form::unseal(&key, &raw) {
                Ok(sealed) => {
                    self.found.add(&sealed);
                    return Some(Ok((key, raw)));
                }
                Err(error) => {
                    self.unreadable += 1;
                    self.quarantine.report(&key, &error);
                }
            }
        }
        None
    }
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
    pairs_after(engine, prefix, None)
}

/// As [`pairs`], those behind a key only.
pub(crate) fn pairs_after<'a, E: Engine>(
    engine: &'a E,
    prefix: &[u8],
    after: Option<&[u8]>,
) -> impl Iterator<Item = Result<RawPair>> + use<'a, E> {
    let mut pages = Pages::new(engine, prefix);
    // An engine looks for the prefix from there on, and would stop at what comes before it.
    pages.after = after.filter(|after| *after >= prefix).map(<[u8]>::to_vec);
    if prefix.is_empty() {
        // At least right behind the last key that can begin with 0x00.
        pages.after = pages.after.max(Some(LAST_RESERVED.to_vec()));
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
pub(crate) const PAGE: usize = 512;

/// Greater than every key that the store uses for itself, less than every user key.
const LAST_RESERVED: &[u8] = &[0, 0xff];

//! Reading everything that a store holds.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SendError, sync_channel};
use std::thread;

use crate::error::Result;
use crate::model::{EventClass, Revision, Role, RoleName};
use crate::notices::{Notice, Notices};
use crate::publish::SubscriptionEntry;
use crate::store::record::{self, Record, RecordKey};
use crate::store::{Entry, Listing};
use crate::value::{InterfaceSchema, panic_message};

/// Hears how many records were read so far.
pub(crate) type Progress = Arc<dyn Fn(usize) + Send + Sync>;

/// What a store has listed.
#[derive(Default)]
pub(super) struct Listed {
    pub(super) schemas: Vec<(InterfaceSchema, Revision)>,
    pub(super) classes: Vec<EventClass>,
    pub(super) roles: Vec<(RoleName, Role)>,
    /// In parts, as they came: a list of a million is never copied to grow.
    pub(super) subscriptions: Vec<Vec<SubscriptionEntry>>,
}

/// What is decoded at once.
type Part = Vec<(Vec<u8>, Entry)>;

/// Reads everything; what goes beyond the first part is decoded on another thread meanwhile.
///
/// # Errors
///
/// What the listing reports.
pub(super) fn read(
    listing: &mut Listing<'_>,
    progress: Option<&Progress>,
    notices: &Notices,
) -> Result<Listed> {
    let mut count = 0;
    let mut next = || -> Result<Part> {
        let part: Part = (&mut *listing).take(PART).collect::<Result<_>>()?;
        count += part.len();
        report(progress, count);
        Ok(part)
    };
    report(progress, 0);
    let mut listed = Listed::default();
    let first = next()?;
    let is_all = first.len() < PART;
    listed.add(first, notices);
    if is_all {
        return Ok(listed);
    }
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(WAITING);
        let decode = move || decode(&receiver, notices);
        let decoding = thread::Builder::new().spawn_scoped(scope, decode);
        loop {
            let part = next()?;
            let is_last = part.len() < PART;
            // Without the thread it comes back.
            if let Err(SendError(part)) = sender.send(part) {
                listed.add(part, notices);
            }
            if is_last {
                break;
            }
        }
        drop(sender);
        if let Ok(decoding) = decoding {
            listed.append(
                decoding
                    .join()
                    .unwrap_or_else(|payload| resume_unwind(payload)),
            );
        }
        Ok(listed)
    })
}

fn decode(parts: &Receiver<Part>, notices: &Notices) -> Listed {
    let mut listed = Listed::default();
    parts.iter().for_each(|part| listed.add(part, notices));
    listed
}

impl Listed {
    /// Decodes a part; what cannot be read is reported and left out.
    fn add(&mut self, part: Part, notices: &Notices) {
        let mut subscriptions = Vec::with_capacity(part.len());
        for (key, entry) in part {
            let Some(parsed) = RecordKey::parse(&key) else {
                continue;
            };
            match record::decode(&parsed, &entry.value, entry.revision) {
                Ok(Record::Schema(schema)) => self.schemas.push((schema, entry.revision)),
                Ok(Record::Class(class)) => self.classes.push(*class),
                Ok(Record::Role(name, role)) => self.roles.push((name, role)),
                Ok(Record::Subscription(stored)) => subscriptions.push(stored.into()),
                Err(error) => {
                    let reason = error.to_string();
                    notices.push(Notice::Quarantined { key, reason });
                }
            }
        }
        self.subscriptions.push(subscriptions);
    }

    fn append(&mut self, other: Self) {
        self.schemas.extend(other.schemas);
        self.classes.extend(other.classes);
        self.roles.extend(other.roles);
        self.subscriptions.extend(other.subscriptions);
    }
}

/// Tells how many records were read. It is the user's code, and runs with no lock held, as nobody
/// else has the store yet; a panic of it is no reason not to open.
fn report(progress: Option<&Progress>, records: usize) {
    let Some(progress) = progress else { return };
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| progress(records))) {
        drop(panic_message(payload));
    }
}

/// How many records are read from one report of progress to the next: a few milliseconds' work.
const PART: usize = 10_000;

/// How many parts may wait to be decoded: enough that neither thread waits for the other.
const WAITING: usize = 2;

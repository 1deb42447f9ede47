//! What a match needs besides the index, kept from one to the next.

use std::sync::Arc;

use super::columns::ColumnTable;
use super::key::{Constant, ConstantRef, Domain, OrderKey};
use super::live::Live;
use super::reading::Reading;
use super::sections::{Columns, MapColumns};
use super::symbols::Symbols;
use crate::filter::{Collation, Row};
use crate::value::view::fields;
use crate::value::{RecordView, ValueRef};

/// What a match needs besides the index: the values of one event, and room for results.
///
/// It belongs to one thread and is used again for every event, so that a match allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    columns: Arc<Columns>,
    /// Column -> its value in the event.
    pub(super) readings: Vec<Reading>,
    /// The columns that are not NULL.
    present: Vec<u32>,
    pub(super) live: Live,
    /// Text after `A` to `Z` became `a` to `z`.
    folded: String,
    /// The conjunctions that hold.
    pub(super) found: Vec<u32>,
    /// Filters of several conjunctions of which one holds, as often as one does.
    pub(super) wholes: Vec<u32>,
    pub(super) checks: u64,
}

impl Scratch {
    /// Copies the values of an event that a match with an index of these columns needs.
    ///
    /// The row may be the user's own code: call this without a lock.
    pub(crate) fn read<R: Row + ?Sized>(&mut self, columns: &Arc<Columns>, row: &R) {
        for column in self.present.drain(..) {
            self.readings[column as usize].set(ValueRef::Null);
        }
        if !Arc::ptr_eq(&self.columns, columns) {
            self.columns = Arc::clone(columns);
            self.readings.resize_with(columns.width, Reading::default);
        }
        for section in columns.sections() {
            for (column, path) in &section.paths {
                self.set(*column, path.read(row));
            }
            for map in &section.maps {
                if let ValueRef::Record(record) = map.path.read(row) {
                    self.read_map(map, record);
                }
            }
        }
    }

    /// Reads what of the map filters ask for: of a few keys in it or a few asked for, the fewer.
    fn read_map(&mut self, map: &MapColumns, record: &dyn RecordView) {
        if record.field_count() < map.len() / 2 {
            for (key, value) in fields(record) {
                if let Some(column) = map.column(key) {
                    self.set(column, value);
                }
            }
            return;
        }
        for (key, column) in map.iter() {
            if let Some(value) = record.field_named(key) {
                self.set(column, value);
            }
        }
    }

    fn set(&mut self, column: u32, value: ValueRef<'_>) {
        let reading = &mut self.readings[column as usize];
        // Of a name that comes twice, which no record should have, the first value counts.
        if !reading.is_null() {
            return;
        }
        reading.set(value);
        if !reading.is_null() {
            self.present.push(column);
        }
    }

    /// Returns how many conjunctions the last match had to check term by term.
    pub(crate) fn checks(&self) -> u64 {
        self.checks
    }

    /// Returns whether the values were read for these columns.
    pub(super) fn is_of(&self, columns: &Arc<Columns>) -> bool {
        Arc::ptr_eq(&self.columns, columns)
    }

    /// Looks up what the values are to the index.
    pub(super) fn resolve(&mut self, columns: &ColumnTable, symbols: &Symbols) {
        self.live.reset(columns.attribute_count());
        self.checks = 0;
        let mut resolver = Resolver {
            columns,
            symbols,
            live: &mut self.live,
            folded: &mut self.folded,
        };
        for column in &self.present {
            let reading = &self.readings[*column as usize];
            match reading.as_list() {
                Some(elements) => resolver.list(*column, elements),
                None => resolver.single(*column, reading.view()),
            }
        }
        for column in columns.nullable() {
            resolver.presence(*column, self.readings[*column as usize].is_null());
        }
    }
}

struct Resolver<'a> {
    columns: &'a ColumnTable,
    symbols: &'a Symbols,
    live: &'a mut Live,
    folded: &'a mut String,
}

impl Resolver<'_> {
    fn presence(&mut self, column: u32, is_null: bool) {
        let Some(attribute) = self.columns.attribute_of(column, Domain::Presence) else {
            return;
        };
        let constant = match is_null {
            true => Constant::Absent,
            false => Constant::Present,
        };
        let symbol = self.symbols.find(attribute, constant);
        self.live.add(attribute, symbol, None);
    }

    fn single(&mut self, column: u32, value: ValueRef<'_>) {
        let Some(domain) = Domain::of(value, Collation::Exact) else {
            return;
        };
        self.value(column, domain, value);
        if let ValueRef::Str(text) = value {
            self.prefixes(column, Domain::Prefix, text);
            self.folded(column, text);
        }
    }

    fn folded(&mut self, column: u32, text: &str) {
        let whole = self.columns.attribute_of(column, Domain::Folded);
        let prefixes = self.columns.attribute_of(column, Domain::FoldedPrefix);
        if whole.is_none() && prefixes.is_none() {
            return;
        }
        let mut folded = std::mem::take(self.folded);
        folded.clear();
        folded.push_str(text);
        folded.make_ascii_lowercase();
        self.value(column, Domain::Folded, ValueRef::Str(&folded));
        self.prefixes(column, Domain::FoldedPrefix, &folded);
        *self.folded = folded;
    }

    fn value(&mut self, column: u32, domain: Domain, value: ValueRef<'_>) {
        let Some(id) = self.columns.attribute_of(column, domain) else {
            return;
        };
        let attribute = self.columns.attribute(id);
        let symbol = match attribute.symbols {
            0 => None,
            _ => ConstantRef::of(value).and_then(|constant| self.symbols.find(id, constant)),
        };
        let key = match attribute.ranges {
            0 => None,
            _ => OrderKey::of(value).map(|key| key.key),
        };
        self.live.add(id, symbol, key);
    }

    fn prefixes(&mut self, column: u32, domain: Domain, text: &str) {
        let Some(id) = self.columns.attribute_of(column, domain) else {
            return;
        };
        let lengths = &self.columns.attribute(id).lengths;
        let prefixes = lengths.iter().map_while(|(length, _)| {
            (*length as usize <= text.len()).then(|| text.get(..*length as usize))
        });
        let symbols = prefixes
            .flatten()
            .filter_map(|prefix| self.symbols.find(id, Constant::Text(prefix.as_bytes())));
        self.live.add(id, symbols, None);
    }

    /// Of a list, equality means that it contains the value; it has no order and no beginning.
    fn list(&mut self, column: u32, elements: &[Reading]) {
        self.live.has_lists |= elements.len() > 1;
        for domain in ELEMENT_DOMAINS {
            let Some(id) = self.columns.attribute_of(column, domain) else {
                continue;
            };
            let symbols = self.symbols;
            let folded = &mut *self.folded;
            let of_domain = elements.iter().map(Reading::view).filter_map(|value| {
                let collation = match domain {
                    Domain::Folded => Collation::IgnoreAsciiCase,
                    _ => Collation::Exact,
                };
                if Domain::of(value, collation) != Some(domain) {
                    return None;
                }
                match (value, domain) {
                    (ValueRef::Str(text), Domain::Folded) => {
                        folded.clear();
                        folded.push_str(text);
                        folded.make_ascii_lowercase();
                        symbols.find(id, Constant::Text(folded.as_bytes()))
                    }
                    _ => symbols.find(id, ConstantRef::of(value)?),
                }
            });
            self.live.add(id, of_domain, None);
        }
    }
}

/// The domains that an element of a list can have.
const ELEMENT_DOMAINS: [Domain; 8] = [
    Domain::Bool,
    Domain::Number,
    Domain::Text,
    Domain::Folded,
    Domain::Bytes,
    Domain::Uuid,
    Domain::Time,
    Domain::Duration,
];

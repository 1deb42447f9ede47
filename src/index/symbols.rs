//! Numbers for the constants that filters mention.

use hashbrown::HashTable;

use super::columns::{ColumnTable, put};
use super::hash::Seed;
use super::key::{Constant, ConstantRef, OwnedConstant};

/// The constants of all attributes, each once, counted by its uses.
///
/// A value of an event that no filter mentions has no symbol, which ends most searches early.
#[derive(Debug)]
pub(super) struct Symbols {
    seed: Seed,
    symbols: Vec<Symbol>,
    table: HashTable<u32>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Symbol {
    constant: OwnedConstant,
    attribute: u32,
    uses: u32,
}

impl Symbols {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            seed,
            symbols: Vec::new(),
            table: HashTable::new(),
            free: Vec::new(),
        }
    }

    /// Returns the symbol of a constant under the attribute.
    pub(super) fn find(&self, attribute: u32, constant: ConstantRef<'_>) -> Option<u32> {
        let same = |id: &u32| {
            let symbol = &self.symbols[*id as usize];
            symbol.attribute == attribute && symbol.constant.view() == constant
        };
        let hash = hash(self.seed, attribute, constant);
        self.table.find(hash, same).copied()
    }

    /// Counts one more use of the constant and returns its symbol; `columns` counts the symbols of
    /// each attribute.
    pub(super) fn acquire(
        &mut self,
        attribute: u32,
        constant: ConstantRef<'_>,
        columns: &mut ColumnTable,
        is_prefix: bool,
    ) -> u32 {
        let id = self.find(attribute, constant).unwrap_or_else(|| {
            let length = prefix_length(constant, is_prefix);
            columns.attribute_mut(attribute).count_symbol(length);
            self.add(attribute, constant)
        });
        self.symbols[id as usize].uses += 1;
        id
    }

    /// Counts one use of the symbol less.
    pub(super) fn release(&mut self, id: u32, columns: &mut ColumnTable) {
        let symbol = &mut self.symbols[id as usize];
        symbol.uses -= 1;
        if symbol.uses > 0 {
            return;
        }
        let attribute = symbol.attribute;
        let constant = std::mem::replace(&mut symbol.constant, Constant::Absent);
        let hash = hash(self.seed, attribute, constant.view());
        if let Ok(entry) = self.table.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        self.free.push(id);
        let is_prefix = !columns.attribute(attribute).lengths.is_empty();
        let length = prefix_length(constant.view(), is_prefix);
        columns.attribute_mut(attribute).discount_symbol(length);
    }

    /// Returns how many terms mention the symbol.
    pub(super) fn uses(&self, id: u32) -> u32 {
        self.symbols[id as usize].uses
    }

    /// Returns the constant of the symbol.
    pub(super) fn constant(&self, id: u32) -> ConstantRef<'_> {
        self.symbols[id as usize].constant.view()
    }

    /// Returns the attribute and the constant of each symbol whose number is in the range, and the
    /// number behind it, if there may be more.
    pub(super) fn numbered(
        &self,
        from: u32,
        count: usize,
    ) -> (impl Iterator<Item = (u32, ConstantRef<'_>)>, Option<u32>) {
        let start = (from as usize).min(self.symbols.len());
        let end = start.saturating_add(count).min(self.symbols.len());
        let used = self.symbols[start..end].iter().filter(|of| of.uses > 0);
        let next = u32::try_from(end).ok();
        let next = next.filter(|_| end < self.symbols.len());
        (used.map(|of| (of.attribute, of.constant.view())), next)
    }

    /// Returns how many symbols there are.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    fn add(&mut self, attribute: u32, constant: ConstantRef<'_>) -> u32 {
        let symbol = Symbol {
            constant: constant.to_owned(),
            attribute,
            uses: 0,
        };
        let id = put(&mut self.symbols, &mut self.free, symbol);
        let (seed, symbols) = (self.seed, &self.symbols);
        let rehash = |id: &u32| {
            let symbol = &symbols[*id as usize];
            hash(seed, symbol.attribute, symbol.constant.view())
        };
        let hash = rehash(&id);
        self.table.insert_unique(hash, id, rehash);
        id
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let constants = self.symbols.iter().map(|of| of.constant.heap_bytes());
        self.symbols.capacity() * size_of::<Symbol>()
            + constants.sum::<usize>()
            + self.table.allocation_size()
            + self.free.capacity() * size_of::<u32>()
    }
}

fn prefix_length(constant: ConstantRef<'_>, is_prefix: bool) -> Option<u32> {
    match constant {
        Constant::Text(text) if is_prefix => u32::try_from(text.len()).ok(),
        _ => None,
    }
}

fn hash(seed: Seed, attribute: u32, constant: ConstantRef<'_>) -> u64 {
    constant.hash(seed.mixer().word(attribute)).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{Path, Root};
    use crate::index::key::Domain;

    #[test]
    fn constant_has_one_symbol_until_its_last_use_ends() {
        let seed = Seed::random();
        let (mut symbols, mut columns) = (Symbols::new(seed), ColumnTable::new(seed));
        let path = Path {
            root: Root::Index(0),
            steps: [].into(),
        };
        let attribute = columns.acquire_attribute(&path, Domain::Prefix);
        let text = Constant::Text(b"abc".as_slice());
        let first = symbols.acquire(attribute, text, &mut columns, true);
        let second = symbols.acquire(attribute, text, &mut columns, true);
        assert_eq!((first, symbols.uses(first)), (second, 2));
        assert_eq!(columns.attribute(attribute).lengths, [(3, 1)]);
        symbols.release(first, &mut columns);
        assert_eq!(symbols.find(attribute, text), Some(first));
        assert_eq!(symbols.find(attribute + 1, text), None);
        symbols.release(first, &mut columns);
        assert_eq!((symbols.find(attribute, text), symbols.len()), (None, 0));
        assert!(columns.attribute(attribute).lengths.is_empty());
    }
}

//! What an event is to an index: the symbols and the keys that it has.

/// The symbols and keys of an event, by attribute.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// Attribute -> what the event has of it.
    facets: Vec<Facet>,
    /// The attributes of which the event has something, in the order of their finding.
    attributes: Vec<u32>,
    /// Grouped by attribute.
    symbols: Vec<u32>,
    /// Whether an attribute other than of prefixes may have several symbols.
    pub(super) has_lists: bool,
}

/// What an event has of one attribute.
#[derive(Debug, Clone, Copy, Default)]
struct Facet {
    /// The symbols, `from..to` of all.
    from: u32,
    to: u32,
    key: Option<u64>,
}

impl Live {
    /// Forgets the event before; `width` is one more than the highest attribute.
    pub(super) fn reset(&mut self, width: usize) {
        for attribute in self.attributes.drain(..) {
            self.facets[attribute as usize] = Facet::default();
        }
        if self.facets.len() < width {
            self.facets.resize(width, Facet::default());
        }
        self.symbols.clear();
        self.has_lists = false;
    }

    /// Adds what the event has of an attribute; an attribute is added at most once.
    pub(super) fn add(
        &mut self,
        attribute: u32,
        symbols: impl IntoIterator<Item = u32>,
        key: Option<u64>,
    ) {
        let from = self.symbols.len();
        for symbol in symbols {
            // A list may hold a value twice.
            if !self.symbols[from..].contains(&symbol) {
                self.symbols.push(symbol);
            }
        }
        if self.symbols.len() == from && key.is_none() {
            return;
        }
        let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.facets[attribute as usize] = Facet {
            from: number(from),
            to: number(self.symbols.len()),
            key,
        };
        self.attributes.push(attribute);
    }

    /// Returns the attributes of which the event has something.
    pub(super) fn attributes(&self) -> &[u32] {
        &self.attributes
    }

    /// Returns the symbols that the event has of the attribute.
    pub(super) fn symbols(&self, attribute: u32) -> &[u32] {
        let Facet { from, to, .. } = self.facets[attribute as usize];
        &self.symbols[from as usize..to as usize]
    }

    /// Returns the symbols that the event has, of all attributes.
    pub(super) fn all_symbols(&self) -> &[u32] {
        &self.symbols
    }

    /// Returns whether the event has the symbol.
    pub(super) fn has(&self, attribute: u32, symbol: u32) -> bool {
        self.symbols(attribute).contains(&symbol)
    }

    /// Returns the key that the event has of the attribute.
    pub(super) fn key(&self, attribute: u32) -> Option<u64> {
        self.facets[attribute as usize].key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_has_what_was_added_until_the_next_one() {
        let mut live = Live::default();
        live.reset(3);
        live.add(0, [7, 8, 7], None);
        live.add(1, [], None);
        live.add(2, [], Some(5));
        assert_eq!(
            (live.symbols(0), live.attributes()),
            (&[7, 8][..], &[0, 2][..])
        );
        assert!(live.has(0, 8) && !live.has(2, 8));
        assert_eq!((live.key(2), live.key(0)), (Some(5), None));
        live.reset(4);
        assert!(live.symbols(0).is_empty() && live.key(2).is_none() && live.key(3).is_none());
    }
}

//! What the filters of an index ask for at one place of an event.

use smallvec::SmallVec;

use super::bounds::KeyRange;
use super::columns::{Asked, ColumnTable};
use super::cover::{Collected, Cover, Span};
use super::key::{Constant, ConstantRef, Domain, OrderKey};
use super::predicate_index::PredicateIndex;
use super::symbols::Symbols;
use super::term::Term;
use crate::filter::{Collation, Path};
use crate::value::view::elements;
use crate::value::{Value, ValueRef};

/// A constant that a value is compared with, or a beginning of texts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AskedConstant {
    pub(crate) value: Value,
    pub(crate) collation: Collation,
    pub(crate) is_prefix: bool,
}

/// The ranges have to be looked at before the question can be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Uncovered;

impl<S> PredicateIndex<S> {
    /// Returns how many slots have a filter that says nothing.
    pub(crate) fn unconditional(&self) -> usize {
        let nothing = [Box::default()];
        let filter = self.pool.find(&nothing);
        filter.map_or(0, |filter| self.pool.slot_count(filter))
    }

    /// Returns whether some filter may select events whatever the value at `path`, or whatever it
    /// is unless NULL.
    pub(crate) fn is_open(&self, path: &Path) -> bool {
        self.has_more_than(self.asked(path).narrowly)
    }

    /// Returns whether some filter may select an event with this value at `path`; never `false` if
    /// one does. `value` is no user's own.
    ///
    /// # Errors
    ///
    /// [`Uncovered`] where it depends on ranges that were not looked at yet.
    pub(crate) fn takes(&self, path: &Path, value: ValueRef<'_>) -> Result<bool, Uncovered> {
        let asked = self.asked(path);
        let is_null = match value {
            ValueRef::Null => true,
            ValueRef::F64(number) => number.is_nan(),
            _ => false,
        };
        let silent = if is_null {
            asked.at_all
        } else {
            asked.narrowly
        };
        if self.has_more_than(silent) {
            return Ok(true);
        }
        let Some(column) = self.columns.column_of(path) else {
            return Ok(false);
        };
        match value {
            _ if is_null => Ok(self.mentions(column, Domain::Presence, Constant::Absent)),
            ValueRef::List(list) => Ok(elements(list).any(|one| self.mentions_value(column, one))),
            ValueRef::Str(text) if self.mentions_start(column, text) => Ok(true),
            one if self.mentions_value(column, one) => Ok(true),
            one => self.ranges_hold(column, one),
        }
    }

    /// Calls `visit` with the constants that the value at `path` is compared with, of a part of all
    /// symbols from the number `from` on; returns where the next part begins.
    pub(crate) fn constants(
        &self,
        path: &Path,
        from: u32,
        visit: &mut dyn FnMut(AskedConstant),
    ) -> Option<u32> {
        let column = self.columns.column_of(path)?;
        let (symbols, next) = self.symbols.numbered(from, PART);
        for (id, constant) in symbols {
            let attribute = self.columns.attribute(id);
            if attribute.column == column
                && !(attribute.domain.is_prefix() && constant == Constant::Text(b""))
                && let Some(value) = value_of(constant)
            {
                let collation = match attribute.domain {
                    Domain::Folded | Domain::FoldedPrefix => Collation::IgnoreAsciiCase,
                    _ => Collation::Exact,
                };
                visit(AskedConstant {
                    value,
                    collation,
                    is_prefix: attribute.domain.is_prefix(),
                });
            }
        }
        next
    }

    /// Returns what the ranges of numbers and times hold that the value at `path` is compared with.
    ///
    /// # Errors
    ///
    /// [`Uncovered`] if they were not looked at yet, or not since more than `gone` of them went.
    pub(crate) fn ranges(&self, path: &Path, gone: u32) -> Result<Vec<KeyRange>, Uncovered> {
        let Some(column) = self.columns.column_of(path) else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        for (domain, id) in self.measured(column) {
            let cover = self.columns.attribute(id).cover.as_ref();
            let spans = cover.and_then(|cover| cover.spans(gone)).ok_or(Uncovered)?;
            all.extend(spans.iter().map(|span| KeyRange::new(domain, span)));
        }
        Ok(all)
    }

    /// Looks at all ranges at once: for an index of a few filters.
    pub(crate) fn cover_all(&mut self) {
        for term in self.pool.terms().iter().flatten() {
            if let Some((attribute, span)) = measured(&self.columns, term) {
                let attribute = self.columns.attribute_mut(attribute);
                attribute.cover.get_or_insert_default().enter(span);
            }
        }
    }

    /// Notes the ranges at `path` that come from now on, as all are being looked at.
    pub(crate) fn begin_cover(&mut self, path: &Path) {
        let Some(column) = self.columns.column_of(path) else {
            return;
        };
        for (_, id) in self.measured(column) {
            let cover = &mut self.columns.attribute_mut(id).cover;
            let cover = cover.get_or_insert_with(|| Box::new(Cover::unknown()));
            cover.begin();
        }
    }

    /// Looks at the ranges of a part of all conjunctions from the number `from` on; returns where
    /// the next part begins.
    pub(crate) fn collect_cover(
        &self,
        path: &Path,
        from: u32,
        found: &mut Collected,
    ) -> Option<u32> {
        let column = self.columns.column_of(path)?;
        let all = self.pool.terms();
        let start = (from as usize).min(all.len());
        let end = (start + PART / 4).min(all.len());
        for term in all[start..end].iter().flatten() {
            if let Some((attribute, span)) = measured(&self.columns, term) {
                let attribute = self.columns.attribute(attribute);
                if attribute.column == column {
                    found.add(attribute.domain, span);
                }
            }
        }
        let next = u32::try_from(end).ok();
        next.filter(|_| end < all.len())
    }

    /// Takes over what was found since [`begin_cover`](Self::begin_cover).
    pub(crate) fn end_cover(&mut self, path: &Path, mut found: Collected) {
        let Some(column) = self.columns.column_of(path) else {
            return;
        };
        for (domain, id) in self.measured(column) {
            if let Some(cover) = &mut self.columns.attribute_mut(id).cover {
                cover.end(found.take(domain));
            }
        }
    }

    fn asked(&self, path: &Path) -> Asked {
        let column = self.columns.column_of(path);
        column.map_or_else(Asked::default, |column| self.columns.asked(column))
    }

    fn has_more_than(&self, conjunctions: u32) -> bool {
        self.pool.conjunction_count() > conjunctions as usize
    }

    fn mentions(&self, column: u32, domain: Domain, constant: ConstantRef<'_>) -> bool {
        let attribute = self.columns.attribute_of(column, domain);
        attribute.is_some_and(|id| self.symbols.find(id, constant).is_some())
    }

    /// Returns whether a filter has a constant that the single value is equal to.
    fn mentions_value(&self, column: u32, value: ValueRef<'_>) -> bool {
        let (Some(domain), Some(constant)) =
            (Domain::of(value, Collation::Exact), ConstantRef::of(value))
        else {
            return false;
        };
        if self.mentions(column, domain, constant) {
            return true;
        }
        let ValueRef::Str(text) = value else {
            return false;
        };
        self.columns.attribute_of(column, Domain::Folded).is_some() && {
            let folded = text.to_ascii_lowercase();
            self.mentions(column, Domain::Folded, Constant::Text(folded.as_bytes()))
        }
    }

    /// Returns whether a filter has a text that this one begins with.
    fn mentions_start(&self, column: u32, text: &str) -> bool {
        let mentions = |domain: Domain, text: &[u8]| {
            let Some(id) = self.columns.attribute_of(column, domain) else {
                return false;
            };
            let mut lengths = self.columns.attribute(id).lengths.iter();
            lengths.any(|(length, _)| {
                let start = text.get(..*length as usize);
                start.is_some_and(|start| self.symbols.find(id, Constant::Text(start)).is_some())
            })
        };
        mentions(Domain::Prefix, text.as_bytes())
            || mentions(Domain::FoldedPrefix, text.to_ascii_lowercase().as_bytes())
    }

    fn ranges_hold(&self, column: u32, value: ValueRef<'_>) -> Result<bool, Uncovered> {
        // Where a conjunction has another range, it wants something narrower beside it.
        let domain = Domain::of(value, Collation::Exact).filter(|domain| domain.is_measured());
        let id = domain.and_then(|domain| self.columns.attribute_of(column, domain));
        let (Some(id), Some(OrderKey { key, .. })) = (id, OrderKey::of(value)) else {
            return Ok(false);
        };
        let attribute = self.columns.attribute(id);
        if attribute.ranges == 0 {
            return Ok(false);
        }
        let cover = attribute.cover.as_ref().ok_or(Uncovered)?;
        let spans = cover.spans(attribute.ranges).ok_or(Uncovered)?;
        Ok(spans.hold(key))
    }

    /// Returns the attributes of the column that have ranges of numbers or times.
    fn measured(&self, column: u32) -> SmallVec<[(Domain, u32); 1]> {
        let domains = [Domain::Number, Domain::Time, Domain::Duration];
        let attribute = |domain| Some((domain, self.columns.attribute_of(column, domain)?));
        let all = domains.into_iter().filter_map(attribute);
        all.filter(|(_, id)| self.columns.attribute(*id).ranges > 0)
            .collect()
    }
}

/// Counts what a conjunction asks for that came.
pub(super) fn enter(columns: &mut ColumnTable, symbols: &Symbols, terms: &[Term]) {
    for (column, narrows) in places(columns, symbols, terms) {
        let asked = columns.asked_mut(column);
        asked.at_all += 1;
        asked.narrowly += u32::from(narrows);
    }
    for (attribute, span) in terms.iter().filter_map(range) {
        if let Some(cover) = &mut columns.attribute_mut(attribute).cover {
            cover.enter(span);
        }
    }
}

/// Counts what a conjunction asked for that went, while its symbols are still there.
pub(super) fn leave(columns: &mut ColumnTable, symbols: &Symbols, terms: &[Term]) {
    for (column, narrows) in places(columns, symbols, terms) {
        let asked = columns.asked_mut(column);
        asked.at_all -= 1;
        asked.narrowly -= u32::from(narrows);
    }
    for (attribute, _) in terms.iter().filter_map(range) {
        if let Some(cover) = &mut columns.attribute_mut(attribute).cover {
            cover.leave();
        }
    }
}

/// Returns the columns that a conjunction is about, and whether it wants more there than any value.
fn places(columns: &ColumnTable, symbols: &Symbols, terms: &[Term]) -> SmallVec<[(u32, bool); 4]> {
    let mut places = SmallVec::<[(u32, bool); 4]>::new();
    for term in terms {
        let Some(attribute) = term.attribute().map(|id| columns.attribute(id)) else {
            continue;
        };
        let narrows = narrows(attribute.domain, term, symbols);
        match places.iter_mut().find(|(of, _)| *of == attribute.column) {
            Some((_, known)) => *known |= narrows,
            None => places.push((attribute.column, narrows)),
        }
    }
    places
}

/// Returns whether the term wants more than any value. Ranges of what cannot be told as a few
/// ranges of values count as wanting any.
fn narrows(domain: Domain, term: &Term, symbols: &Symbols) -> bool {
    match domain {
        Domain::Presence | Domain::Prefix | Domain::FoldedPrefix => {
            let anything = |constant: ConstantRef<'_>| {
                matches!(constant, Constant::Present | Constant::Text(b""))
            };
            let mut all = term.symbols().iter();
            !all.any(|id| anything(symbols.constant(*id)))
        }
        _ => domain.is_measured() || !matches!(term, Term::Within { .. }),
    }
}

fn range(term: &Term) -> Option<(u32, Span)> {
    match term {
        Term::Within {
            attribute,
            low,
            high,
        } => Some((
            *attribute,
            Span {
                low: *low,
                high: *high,
            },
        )),
        _ => None,
    }
}

fn measured(columns: &ColumnTable, term: &Term) -> Option<(u32, Span)> {
    range(term).filter(|(id, _)| columns.attribute(*id).domain.is_measured())
}

/// Returns the value that the constant was made of, if it was made of one.
fn value_of(constant: ConstantRef<'_>) -> Option<Value> {
    Some(match constant {
        Constant::Absent | Constant::Present => return None,
        Constant::Bool(value) => value.into(),
        Constant::Signed(value) => value.into(),
        Constant::Unsigned(value) => value.into(),
        Constant::Float(bits) => f64::from_bits(bits).into(),
        Constant::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
        Constant::Bytes(bytes) => bytes.to_vec().into(),
        Constant::Uuid(value) => value.into(),
        Constant::Time(value) => value.into(),
        Constant::Duration(value) => value.into(),
    })
}

/// How many symbols are looked at while no change can be made: a few microseconds, as these lie
/// side by side; a quarter as many conjunctions, which do not.
const PART: usize = if cfg!(test) { 4 } else { 1_024 };

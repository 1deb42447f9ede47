//! What the index is measured against: all filters, one after another.

use std::collections::HashMap;

use loosely::{Value, ValueRef};
use loosely_benches::workload::{Subscription, Test, Workload};

/// Compiled filters: texts are numbers, and the first part that fails ends a filter.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    symbols: HashMap<String, u32>,
    names: Vec<String>,
    parts: Vec<Part>,
    /// Where each filter's parts end.
    ends: Vec<u32>,
    /// The members of all `Among`.
    members: Vec<u32>,
}

/// A part of a filter.
#[derive(Debug, Clone, Copy)]
struct Part {
    attribute: u16,
    test: Compiled,
}

#[derive(Debug, Clone, Copy)]
enum Compiled {
    Is(u32),
    Among { from: u32, count: u8 },
    Within { low: i64, high: i64 },
    Begins { length: u8, text: [u8; 8] },
}

/// An event as the scan reads it; kept for the next one.
#[derive(Debug, Default)]
pub(crate) struct Row(Vec<Cell>);

/// An attribute of an event; what it is not fails every test.
#[derive(Debug, Clone, Copy)]
struct Cell {
    symbol: u32,
    number: i64,
    text: [u8; 8],
}

impl Scan {
    pub(crate) fn new(workload: Workload) -> Self {
        let key = |name: String| name.rsplit('.').next().unwrap_or_default().to_owned();
        Self {
            names: workload.attributes().into_iter().map(key).collect(),
            ..Self::default()
        }
    }

    pub(crate) fn insert(&mut self, subscription: &Subscription) {
        for (attribute, test) in subscription {
            let test = match test {
                Test::Is(value) => Compiled::Is(self.symbol(value)),
                Test::Among(values) => {
                    let from = self.members.len() as u32;
                    for value in values {
                        let symbol = self.symbol(value);
                        self.members.push(symbol);
                    }
                    let count = values.len() as u8;
                    Compiled::Among { from, count }
                }
                Test::Above(low) => Compiled::Within {
                    low: low + 1,
                    high: i64::MAX,
                },
                Test::Within(low, high) => Compiled::Within {
                    low: *low,
                    high: *high,
                },
                Test::Begins(prefix) => {
                    let length = prefix.len() as u8;
                    let text = head(prefix);
                    Compiled::Begins { length, text }
                }
            };
            let attribute = *attribute as u16;
            self.parts.push(Part { attribute, test });
        }
        self.ends.push(self.parts.len() as u32);
    }

    fn symbol(&mut self, value: &str) -> u32 {
        let next = self.symbols.len() as u32 + 1;
        *self.symbols.entry(value.to_owned()).or_insert(next)
    }

    /// Calls `visit` with the number of each filter that selects the event.
    pub(crate) fn matches(&self, values: &[Value], row: &mut Row, mut visit: impl FnMut(u32)) {
        self.read(values, row);
        let mut from = 0;
        for (id, end) in (0_u32..).zip(&self.ends) {
            let to = *end as usize;
            if self.parts[from..to]
                .iter()
                .all(|part| self.holds(part, row))
            {
                visit(id);
            }
            from = to;
        }
    }

    fn holds(&self, part: &Part, row: &Row) -> bool {
        let cell = &row.0[usize::from(part.attribute)];
        match part.test {
            Compiled::Is(symbol) => cell.symbol == symbol,
            Compiled::Among { from, count } => {
                let from = from as usize;
                self.members[from..from + usize::from(count)].contains(&cell.symbol)
            }
            Compiled::Within { low, high } => low <= cell.number && cell.number < high,
            Compiled::Begins { length, text } => {
                let length = usize::from(length);
                cell.text[..length] == text[..length]
            }
        }
    }

    fn read(&self, values: &[Value], row: &mut Row) {
        row.0.clear();
        if let [Value::Record(labels)] = values {
            let label = |name: &String| labels.get(name).map_or(ValueRef::Null, Value::view);
            row.0
                .extend(self.names.iter().map(|name| self.cell(label(name))));
            return;
        }
        row.0
            .extend(values.iter().map(|value| self.cell(value.view())));
    }

    fn cell(&self, value: ValueRef<'_>) -> Cell {
        let mut cell = Cell {
            symbol: 0,
            number: i64::MIN,
            text: [0; 8],
        };
        match value {
            ValueRef::Str(text) => {
                cell.symbol = self.symbols.get(text).copied().unwrap_or(0);
                cell.text = head(text);
            }
            ValueRef::I64(number) => cell.number = number,
            _ => {}
        }
        cell
    }
}

fn head(text: &str) -> [u8; 8] {
    let mut head = [0; 8];
    let length = text.len().min(8);
    head[..length].copy_from_slice(&text.as_bytes()[..length]);
    head
}

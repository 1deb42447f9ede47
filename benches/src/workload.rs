//! Subscriptions and events in large numbers, always the same ones.
//!
//! Money is in whole cents. The workloads are those that the trial of the index was measured with:
//! W1 is a symbol and a threshold, W2 one to five of twenty attributes, W3 a range, W4 no filter or
//! always the same one; labels are one to four of fifty keys of a map.

use std::fmt::Write;

use loosely::{EventMethod, Parameter, Properties, Value, ValueType};

/// Numbers without a pattern: splitmix64.
#[derive(Debug, Clone)]
pub struct Random(u64);

/// Ranks of which the first are drawn most often.
#[derive(Debug, Clone)]
pub struct Zipf(Vec<f64>);

/// A workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// A symbol and a threshold for its price, near it.
    W1,
    /// As W1, with events below every threshold.
    W1Zero,
    /// One to five of twenty attributes.
    W2,
    /// A range of prices.
    W3,
    /// No filter.
    W4Unfiltered,
    /// The same filter for everyone.
    W4Identical,
    /// One to four of fifty labels; an event has about ten.
    Labels,
}

/// What a part of a subscription asks of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// Equal to the text.
    Is(String),
    /// Equal to one of the texts.
    Among(Vec<String>),
    /// Greater than this.
    Above(i64),
    /// At least the first, and less than the second.
    Within(i64, i64),
    /// Begins with the text.
    Begins(String),
}

/// Which attribute, by number, and what is asked of it; all parts must hold.
pub type Subscription = Vec<(usize, Test)>;

/// The generator of one workload's subscriptions.
#[derive(Debug)]
pub struct Subscriptions {
    workload: Workload,
    random: Random,
    zipfs: Vec<Zipf>,
}

/// The generator of one workload's events.
#[derive(Debug)]
pub struct Events(Subscriptions);

impl Random {
    /// Returns the generator with this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a number from 0 to 1, without 1.
    pub fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns a number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    fn letters(&mut self, count: u64) -> String {
        let letter = |_| char::from(b'a' + self.below(26) as u8);
        (0..count).map(letter).collect()
    }
}

impl Zipf {
    /// Returns `n` ranks, of which rank i is as likely as `1 / (i + 1)`.
    pub fn new(n: usize) -> Self {
        let mut sum = 0.0;
        let sums = (1..=n).map(|i| {
            sum += 1.0 / i as f64;
            sum
        });
        Self(sums.collect())
    }

    /// Returns a rank, counted from 0.
    pub fn draw(&self, random: &mut Random) -> usize {
        let wanted = random.fraction() * self.0.last().copied().unwrap_or(0.0);
        self.0.partition_point(|sum| *sum <= wanted)
    }
}

impl Workload {
    /// Returns the names of the attributes; those of a map are paths.
    pub fn attributes(self) -> Vec<String> {
        match self {
            Self::W3 => vec!["price".to_owned()],
            Self::W2 => (0..20).map(|i| format!("a{i}")).collect(),
            Self::Labels => (0..LABELS).map(|i| format!("labels.l{i:02}")).collect(),
            _ => vec!["symbol".to_owned(), "price".to_owned()],
        }
    }

    /// Returns the method whose events they are.
    pub fn method(self) -> EventMethod {
        let names = self.attributes();
        let parameters: Vec<_> = match self {
            Self::Labels => {
                let map = ValueType::Map(Box::new(ValueType::Str));
                vec![Parameter::new("labels", map)]
            }
            Self::W2 => {
                let ty = |i| match i {
                    8..16 => ValueType::I64,
                    _ => ValueType::Str,
                };
                let optional = |i| ValueType::Option(Box::new(ty(i)));
                let each = names.into_iter().enumerate();
                each.map(|(i, name)| Parameter::new(name, optional(i)))
                    .collect()
            }
            _ => {
                let ty = |name: &str| match name {
                    "price" => ValueType::I64,
                    _ => ValueType::Str,
                };
                let each = names.into_iter();
                each.map(|name| Parameter::new(name.clone(), ty(&name)))
                    .collect()
            }
        };
        EventMethod::new("event", parameters)
    }

    /// Returns the subscription in the language of criteria.
    pub fn criteria(self, subscription: &Subscription) -> String {
        if subscription.is_empty() {
            return "ALL".to_owned();
        }
        let names = self.attributes();
        let mut text = String::new();
        for (i, (attribute, test)) in subscription.iter().enumerate() {
            let and = if i > 0 { " AND " } else { "" };
            let name = &names[*attribute];
            // Writing to a string cannot fail.
            let _ = match test {
                Test::Is(value) => write!(text, "{and}{name} = '{value}'"),
                Test::Among(values) => write!(text, "{and}{name} IN ('{}')", values.join("', '")),
                Test::Above(low) => write!(text, "{and}{name} > {low}"),
                Test::Within(low, high) => {
                    write!(text, "{and}{name} >= {low} AND {name} < {high}")
                }
                Test::Begins(prefix) => write!(text, "{and}{name} LIKE '{prefix}%'"),
            };
        }
        text
    }
}

impl Subscriptions {
    /// Returns the subscriptions that are stored.
    pub fn stored(workload: Workload) -> Self {
        Self::new(workload, 42)
    }

    /// Returns others, to be inserted and removed while the stored ones are there.
    pub fn extra(workload: Workload) -> Self {
        Self::new(workload, 777)
    }

    fn new(workload: Workload, seed: u64) -> Self {
        let sizes: &[usize] = match workload {
            Workload::W1 | Workload::W1Zero => &[10_000],
            Workload::W2 => &[50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000],
            Workload::Labels => &[100],
            Workload::W3 | Workload::W4Unfiltered | Workload::W4Identical => &[],
        };
        Self {
            workload,
            random: Random::new(seed),
            zipfs: sizes.iter().map(|n| Zipf::new(*n)).collect(),
        }
    }

    fn one(&mut self) -> Subscription {
        match self.workload {
            Workload::W1 | Workload::W1Zero => {
                let symbol = self.zipfs[0].draw(&mut self.random);
                let above = base(symbol) * (1.0 + 0.4 * self.random.fraction());
                let above = above.round() as i64;
                vec![(0, Test::Is(symbol_name(symbol))), (1, Test::Above(above))]
            }
            Workload::W2 => self.some_of_twenty(),
            Workload::W3 => {
                let low = self.random.below(1_000_000) as i64;
                let width = 1 + self.random.below(2_000) as i64;
                vec![(0, Test::Within(low, low + width))]
            }
            Workload::W4Unfiltered => Vec::new(),
            Workload::W4Identical => {
                vec![(0, Test::Is(symbol_name(1))), (1, Test::Above(10_000))]
            }
            Workload::Labels => self.some_labels(),
        }
    }

    fn some_of_twenty(&mut self) -> Subscription {
        let count = 1 + self.random.below(5);
        let mut parts = Subscription::new();
        while (parts.len() as u64) < count {
            let attribute = self.random.below(20) as usize;
            if parts.iter().any(|(other, _)| *other == attribute) {
                continue;
            }
            let test = match attribute {
                0..8 => self.text_test(attribute),
                8..16 => {
                    let low = self.random.below(1_000_000) as i64;
                    Test::Within(low, low + 100 + self.random.below(19_900) as i64)
                }
                _ => {
                    let length = 2 + self.random.below(3);
                    Test::Begins(self.random.letters(length))
                }
            };
            parts.push((attribute, test));
        }
        parts
    }

    fn text_test(&mut self, attribute: usize) -> Test {
        let zipf = &self.zipfs[attribute];
        if self.random.below(4) > 0 {
            return Test::Is(value_name(zipf.draw(&mut self.random)));
        }
        let count = 2 + self.random.below(4);
        let mut values = Vec::new();
        while (values.len() as u64) < count {
            let value = value_name(zipf.draw(&mut self.random));
            if !values.contains(&value) {
                values.push(value);
            }
        }
        Test::Among(values)
    }

    fn some_labels(&mut self) -> Subscription {
        let count = 1 + self.random.below(4);
        let mut parts = Subscription::new();
        while (parts.len() as u64) < count {
            let label = self.random.below(LABELS) as usize;
            let value = value_name(self.zipfs[0].draw(&mut self.random));
            if parts.iter().all(|(other, _)| *other != label) {
                parts.push((label, Test::Is(value)));
            }
        }
        parts
    }
}

impl Iterator for Subscriptions {
    type Item = Subscription;

    fn next(&mut self) -> Option<Subscription> {
        Some(self.one())
    }
}

impl Events {
    /// Returns the events of the workload.
    pub fn new(workload: Workload) -> Self {
        Self(Subscriptions::new(workload, 42 ^ 0xEEEE_0000_1111_2222))
    }

    fn of_twenty(&mut self) -> Vec<Value> {
        let Subscriptions { random, zipfs, .. } = &mut self.0;
        let one = |attribute: usize| {
            if random.below(10) == 0 {
                return Value::Null;
            }
            match attribute {
                0..8 => value_name(zipfs[attribute].draw(random)).into(),
                8..16 => (random.below(1_000_000) as i64).into(),
                _ => random.letters(8).into(),
            }
        };
        (0..20).map(one).collect()
    }

    fn labels(&mut self) -> Properties {
        let Subscriptions { random, zipfs, .. } = &mut self.0;
        let mut labels = Properties::new();
        for label in 0..LABELS {
            if random.below(5) == 0 {
                labels.insert(format!("l{label:02}"), value_name(zipfs[0].draw(random)));
            }
        }
        labels
    }
}

/// The arguments of each event, in the order of the method's parameters.
impl Iterator for Events {
    type Item = Vec<Value>;

    fn next(&mut self) -> Option<Vec<Value>> {
        let workload = self.0.workload;
        let Subscriptions { random, zipfs, .. } = &mut self.0;
        Some(match workload {
            Workload::W1 | Workload::W1Zero => {
                let symbol = zipfs[0].draw(random);
                let price = (base(symbol) * (0.96 + 0.08 * random.fraction())).round() as i64;
                let price = match workload {
                    Workload::W1 => price,
                    _ => price / 2,
                };
                vec![symbol_name(symbol).into(), price.into()]
            }
            Workload::W2 => self.of_twenty(),
            Workload::W3 => vec![(random.below(1_000_000) as i64).into()],
            Workload::W4Unfiltered | Workload::W4Identical => {
                let symbol = symbol_name(random.below(2) as usize);
                vec![symbol.into(), (9_000 + random.below(2_000) as i64).into()]
            }
            Workload::Labels => vec![self.labels().into()],
        })
    }
}

/// Returns what the symbol costs about.
fn base(symbol: usize) -> f64 {
    let mut random = Random::new(7_919 * symbol as u64 + 13);
    1_000.0 + 49_000.0 * random.fraction()
}

fn symbol_name(symbol: usize) -> String {
    format!("SYM{symbol:05}")
}

fn value_name(value: usize) -> String {
    format!("v{value}")
}

/// How many labels there are.
const LABELS: u64 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix64_gives_the_numbers_of_its_reference() {
        let mut random = Random::new(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn first_ranks_are_drawn_most() {
        let (zipf, mut random) = (Zipf::new(3), Random::new(1));
        let mut counts = [0; 3];
        (0..11_000).for_each(|_| counts[zipf.draw(&mut random)] += 1);
        assert!((5_800..6_200).contains(&counts[0]), "{counts:?}");
        assert!((2_800..3_200).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn criteria_are_of_the_language_and_the_method() {
        for workload in [Workload::W1, Workload::W2, Workload::W3, Workload::Labels] {
            for subscription in Subscriptions::stored(workload).take(200) {
                let text = workload.criteria(&subscription);
                let filter = loosely::Filter::parse(&text);
                let values = filter.map(|filter| filter.matches(&workload.method(), &[]));
                assert!(matches!(values, Ok(Ok(None))), "{text}");
            }
        }
    }
}

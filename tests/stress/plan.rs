//! What happens in a round, drawn from a seed, and what a subscription wants, said a second time:
//! nothing here asks the library.

/// A generator of numbers: splitmix64, whose whole state is its seed.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

/// The event, as far as a filter sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quote {
    /// The index in [`METHODS`].
    pub(crate) method: usize,
    /// The index in [`SYMBOLS`].
    pub(crate) symbol: usize,
    pub(crate) price: i64,
    /// A property of the publisher that fires.
    pub(crate) desk: i64,
}

/// Filter criteria; symbols are indices in [`SYMBOLS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Criteria {
    Nothing,
    Is(usize),
    IsAbove(usize, i64),
    Between(i64, i64),
    IsNotOrAt(usize, i64),
    OneOf(usize, usize),
    InAnyCase(usize),
    Unlike(usize),
    FromDesk(i64),
}

/// A subscription as it stands at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) criteria: Criteria,
    /// The method it is bound to, or all.
    pub(crate) method: Option<usize>,
    pub(crate) priority: i32,
    pub(crate) enabled: bool,
    /// Who is called: an index in [`COMPONENTS`], or the number of a live object behind those.
    pub(crate) object: u64,
}

/// What a commit does to a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    Put(State),
    Enable(bool),
    Refilter(Criteria),
    Prioritise(i32),
    Remove,
}

pub(crate) const METHODS: [&str; 2] = ["quoted", "traded"];
pub(crate) const SYMBOLS: [&str; 6] = ["MSFT", "msft", "IBM", "AAPL", "AMZN", "amzn"];
/// The last one fires events of its own where a round nests.
pub(crate) const COMPONENTS: [&str; 3] = ["recorder", "each", "nester"];
pub(crate) const NESTER: u64 = 2;
/// Prices are below; filters ask for some that nothing ever has.
const PRICES: u64 = 20;

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    pub(crate) fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    fn symbol(&mut self) -> usize {
        self.below(SYMBOLS.len() as u64) as usize
    }

    fn price(&mut self) -> i64 {
        self.below(PRICES) as i64
    }

    pub(crate) fn priority(&mut self) -> i32 {
        self.below(4) as i32 - 2
    }
}

impl Quote {
    pub(crate) fn draw(dice: &mut Dice, desk: i64) -> Self {
        Self {
            method: dice.below(METHODS.len() as u64) as usize,
            symbol: dice.symbol(),
            price: dice.price(),
            desk,
        }
    }
}

impl Criteria {
    /// Draws criteria; of eight subscriptions one has none.
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        match dice.below(16) {
            0 | 1 => Self::Nothing,
            2..=4 => Self::Is(dice.symbol()),
            5..=7 => Self::IsAbove(dice.symbol(), dice.price()),
            8..=10 => {
                let low = dice.price();
                Self::Between(low, low + dice.below(6) as i64)
            }
            11 => Self::IsNotOrAt(dice.symbol(), dice.price()),
            12 => Self::OneOf(dice.symbol(), dice.symbol()),
            13 => Self::InAnyCase(dice.symbol()),
            14 => Self::Unlike(dice.symbol()),
            _ => Self::FromDesk(dice.below(4) as i64),
        }
    }

    pub(crate) fn text(self) -> Option<String> {
        let symbol = |index: usize| SYMBOLS[index];
        Some(match self {
            Self::Nothing => return None,
            Self::Is(index) => format!("symbol = '{}'", symbol(index)),
            Self::IsAbove(index, price) => {
                format!("symbol = '{}' AND price > {price}", symbol(index))
            }
            Self::Between(low, high) => format!("price BETWEEN {low} AND {high}"),
            Self::IsNotOrAt(index, price) => {
                format!("symbol <> '{}' OR price = {price}", symbol(index))
            }
            Self::OneOf(a, b) => format!("symbol IN ('{}', '{}')", symbol(a), symbol(b)),
            Self::InAnyCase(index) => format!("symbol = '{}' COLLATE NOCASE", symbol(index)),
            Self::Unlike(index) => format!("NOT symbol LIKE '{}%'", &symbol(index)[..1]),
            Self::FromDesk(desk) => format!("publisher.desk = {desk}"),
        })
    }

    fn admits(self, quote: &Quote) -> bool {
        let (symbol, price) = (SYMBOLS[quote.symbol], quote.price);
        match self {
            Self::Nothing => true,
            Self::Is(index) => symbol == SYMBOLS[index],
            Self::IsAbove(index, above) => symbol == SYMBOLS[index] && price > above,
            Self::Between(low, high) => (low..=high).contains(&price),
            Self::IsNotOrAt(index, at) => symbol != SYMBOLS[index] || price == at,
            Self::OneOf(a, b) => [SYMBOLS[a], SYMBOLS[b]].contains(&symbol),
            Self::InAnyCase(index) => symbol.eq_ignore_ascii_case(SYMBOLS[index]),
            Self::Unlike(index) => !symbol.starts_with(&SYMBOLS[index][..1]),
            Self::FromDesk(desk) => quote.desk == desk,
        }
    }
}

impl State {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        Self {
            criteria: Criteria::draw(dice),
            method: (!dice.one_in(2)).then(|| dice.below(METHODS.len() as u64) as usize),
            priority: dice.priority(),
            enabled: !dice.one_in(8),
            object: dice.below(COMPONENTS.len() as u64),
        }
    }

    /// Returns whether the subscription is to be called for an event.
    pub(crate) fn wants(&self, quote: &Quote) -> bool {
        let bound = self.method.is_none_or(|method| method == quote.method);
        self.enabled && bound && self.criteria.admits(quote)
    }

    /// Returns what a subscription in this state, or none, becomes by a deed; an edit of none is
    /// nothing that a store would commit.
    pub(crate) fn after(before: Option<&Self>, deed: &Deed) -> Option<Self> {
        let edited = |edit: &dyn Fn(&mut Self)| {
            let mut state = before.cloned()?;
            edit(&mut state);
            Some(state)
        };
        match deed {
            Deed::Put(state) => Some(state.clone()),
            Deed::Enable(enabled) => edited(&|state| state.enabled = *enabled),
            Deed::Refilter(criteria) => edited(&|state| state.criteria = *criteria),
            Deed::Prioritise(priority) => edited(&|state| state.priority = *priority),
            Deed::Remove => None,
        }
    }
}

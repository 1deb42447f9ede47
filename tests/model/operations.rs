//! What a case does, and how it is drawn.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// Classes, components, subscriptions and trees that there may be.
pub(crate) const CLASSES: usize = 3;
pub(crate) const COMPONENTS: usize = 3;
pub(crate) const SLOTS: usize = 6;
pub(crate) const TREES: usize = 2;

/// One thing that is done.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    RegisterClass(usize, Attributes),
    UpdateClass(usize, Attributes, Reading),
    UnregisterClass(usize, Bound),
    RegisterComponent(usize, Instances),
    UnregisterComponent(usize),
    /// Has a component fail for good at negative amounts, or not any more.
    Turn(usize),
    Ensure(Wish),
    Store(Wish),
    Update(Wish, Reading),
    Remove(usize),
    Switch(usize, bool),
    /// Reads what a later update may be of.
    Read,
    Fire(Shot),
    Insert(Cell, u8),
    RemoveKey(Cell),
    Swap(Cell, Option<u8>, Option<u8>),
    Transaction(Vec<Step>),
    Replay(usize),
    Purge(usize),
    /// Waits until nothing is left to do, and counts.
    Settle,
    Query(Criterion),
    Close(Staff),
    Crash(Crash),
}

/// A part of a transaction.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Insert(Cell, u8),
    RemoveKey(Cell),
    Expect(Cell, Option<u8>),
    Ensure(Wish),
    Store(Wish),
    Remove(usize),
    Fire(Shot),
}

/// A loss of power: in the midst of an operation, at the given write or sync, or behind it.
#[derive(Debug, Clone)]
pub(crate) struct Crash {
    pub(crate) during: Option<Box<Operation>>,
    pub(crate) at: Instant,
    pub(crate) nth: usize,
    /// How many of the writes that were not synced stay.
    pub(crate) kept: usize,
    pub(crate) staff: Staff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instant {
    Write,
    Sync,
}

/// Which components the next program registers when it begins.
pub(crate) type Staff = [bool; COMPONENTS];

/// A key of a tree.
pub(crate) type Cell = (usize, u8);

/// What a subscription is to be like; its slot says what it is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) slot: usize,
    pub(crate) component: usize,
    pub(crate) filter: Criteria,
    pub(crate) priority: i32,
    pub(crate) mode: Mode,
    pub(crate) enabled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// What the class says.
    Unsaid,
    Inline,
    Detached,
    Queued,
    /// Queued, with an order for each symbol.
    Keyed,
    /// Queued, also while it is switched off.
    Keeping,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Criteria {
    None,
    Above(i64),
    SymbolIs(char),
    SymbolIsNot(char),
    Both(char, i64),
    Either(char, i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) parallel: bool,
    pub(crate) detached: bool,
    pub(crate) text: u8,
}

/// An event, but for its number; without a symbol it is a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shot {
    pub(crate) class: usize,
    pub(crate) symbol: Option<char>,
    pub(crate) amount: i64,
}

/// Which record an update begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Fresh,
    Earlier,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Refuse,
    Remove,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instances {
    One,
    PerCall,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Criterion {
    Enabled,
    Queued,
    Urgent,
    Named(usize),
}

impl Operation {
    /// Returns the slots that it names to change them.
    pub(crate) fn slots(&self) -> Vec<usize> {
        match self {
            Self::Ensure(wish) | Self::Store(wish) | Self::Update(wish, _) => vec![wish.slot],
            Self::Remove(slot) | Self::Switch(slot, _) => vec![*slot],
            Self::Transaction(steps) => steps.iter().filter_map(Step::slot).collect(),
            _ => Vec::new(),
        }
    }

    /// Returns the events that it fires.
    pub(crate) fn shots(&self) -> Vec<Shot> {
        match self {
            Self::Fire(shot) => vec![*shot],
            Self::Transaction(steps) => steps.iter().filter_map(Step::shot).collect(),
            _ => Vec::new(),
        }
    }
}

impl Step {
    pub(crate) fn shot(&self) -> Option<Shot> {
        match self {
            Self::Fire(shot) => Some(*shot),
            _ => None,
        }
    }

    /// Returns the slot that it changes.
    pub(crate) fn slot(&self) -> Option<usize> {
        match self {
            Self::Ensure(wish) | Self::Store(wish) => Some(wish.slot),
            Self::Remove(slot) => Some(*slot),
            _ => None,
        }
    }
}

impl Mode {
    pub(crate) fn is_queued(self) -> bool {
        matches!(self, Self::Queued | Self::Keyed | Self::Keeping)
    }
}

/// Returns the cases: what is done one after the other.
pub(crate) fn cases() -> impl Strategy<Value = Vec<Operation>> {
    let beginning = (
        vec(attributes(), CLASSES),
        vec(wish(), 0..=5),
        vec(any::<bool>(), COMPONENTS),
    );
    // Without anything to begin with most of a case would reach nobody.
    let beginning = beginning.prop_map(|(classes, wishes, staff)| {
        let classes = classes.into_iter().enumerate().skip(usize::from(staff[0]));
        let classes = classes.map(|(class, it)| Operation::RegisterClass(class, it));
        let staff = staff
            .into_iter()
            .enumerate()
            .filter(|(_, is_there)| *is_there);
        let staff = staff.map(|(it, _)| Operation::RegisterComponent(it, Instances::One));
        let wishes = wishes.into_iter().map(Operation::Ensure);
        classes.chain(staff).chain(wishes).collect::<Vec<_>>()
    });
    (beginning, vec(operation(), 0..50)).prop_map(|(mut all, rest)| {
        all.extend(rest);
        all
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        20 => written(),
        2 => (0..COMPONENTS, instances()).prop_map(|(it, how)| Operation::RegisterComponent(it, how)),
        1 => (0..COMPONENTS).prop_map(Operation::UnregisterComponent),
        1 => (0..COMPONENTS).prop_map(Operation::Turn),
        1 => Just(Operation::Read),
        10 => shot().prop_map(Operation::Fire),
        2 => Just(Operation::Settle),
        1 => criterion().prop_map(Operation::Query),
        1 => staff().prop_map(Operation::Close),
        2 => crash(),
    ]
}

/// What writes to the store, and so may be cut off.
fn written() -> impl Strategy<Value = Operation> {
    prop_oneof![
        1 => (0..CLASSES, attributes()).prop_map(|(it, like)| Operation::RegisterClass(it, like)),
        1 => (0..CLASSES, attributes(), reading())
            .prop_map(|(it, like, of)| Operation::UpdateClass(it, like, of)),
        1 => (0..CLASSES, bound()).prop_map(|(it, bound)| Operation::UnregisterClass(it, bound)),
        3 => wish().prop_map(Operation::Ensure),
        2 => wish().prop_map(Operation::Store),
        3 => (wish(), reading()).prop_map(|(wish, of)| Operation::Update(wish, of)),
        2 => (0..SLOTS).prop_map(Operation::Remove),
        3 => (0..SLOTS, any::<bool>()).prop_map(|(slot, on)| Operation::Switch(slot, on)),
        2 => (cell(), value()).prop_map(|(cell, value)| Operation::Insert(cell, value)),
        1 => cell().prop_map(Operation::RemoveKey),
        1 => (cell(), option::of(value()), option::of(value()))
            .prop_map(|(cell, old, new)| Operation::Swap(cell, old, new)),
        4 => vec(step(), 1..5).prop_map(Operation::Transaction),
        3 => (0..4_usize).prop_map(Operation::Replay),
        1 => (0..4_usize).prop_map(Operation::Purge),
        4 => shot().prop_map(Operation::Fire),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (cell(), value()).prop_map(|(cell, value)| Step::Insert(cell, value)),
        1 => cell().prop_map(Step::RemoveKey),
        2 => (cell(), option::of(value())).prop_map(|(cell, value)| Step::Expect(cell, value)),
        2 => wish().prop_map(Step::Ensure),
        1 => wish().prop_map(Step::Store),
        1 => (0..SLOTS).prop_map(Step::Remove),
        4 => shot().prop_map(Step::Fire),
    ]
}

fn crash() -> impl Strategy<Value = Operation> {
    let at = select(vec![Instant::Write, Instant::Sync]);
    let during = option::of(written().prop_map(Box::new));
    (during, at, 1..4_usize, 0..4_usize, staff()).prop_map(|(during, at, nth, kept, staff)| {
        Operation::Crash(Crash {
            during,
            at,
            nth,
            kept,
            staff,
        })
    })
}

fn wish() -> impl Strategy<Value = Wish> {
    let modes = vec![
        Mode::Unsaid,
        Mode::Inline,
        Mode::Detached,
        Mode::Queued,
        Mode::Queued,
        Mode::Keyed,
        Mode::Keeping,
    ];
    let rest = (criteria(), -1..=1, select(modes), prop::bool::weighted(0.8));
    (0..SLOTS, 0..COMPONENTS, rest).prop_map(|(slot, component, rest)| {
        let (filter, priority, mode, enabled) = rest;
        Wish {
            slot,
            component,
            filter,
            priority,
            mode,
            enabled,
        }
    })
}

fn criteria() -> impl Strategy<Value = Criteria> {
    prop_oneof![
        3 => Just(Criteria::None),
        2 => amount().prop_map(Criteria::Above),
        1 => symbol().prop_map(Criteria::SymbolIs),
        1 => symbol().prop_map(Criteria::SymbolIsNot),
        1 => (symbol(), amount()).prop_map(|(symbol, amount)| Criteria::Both(symbol, amount)),
        1 => (symbol(), amount()).prop_map(|(symbol, amount)| Criteria::Either(symbol, amount)),
    ]
}

fn shot() -> impl Strategy<Value = Shot> {
    let symbol = option::weighted(0.7, symbol());
    (0..CLASSES, symbol, amount()).prop_map(|(class, symbol, amount)| Shot {
        class,
        symbol,
        amount,
    })
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let like = (
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.3),
        0..4_u8,
    );
    like.prop_map(|(parallel, detached, text)| Attributes {
        parallel,
        detached,
        text,
    })
}

fn symbol() -> impl Strategy<Value = char> {
    select(vec!['A', 'B'])
}

fn amount() -> impl Strategy<Value = i64> {
    -2..=3_i64
}

fn cell() -> impl Strategy<Value = Cell> {
    (0..TREES, 0..3_u8)
}

fn value() -> impl Strategy<Value = u8> {
    0..3_u8
}

fn staff() -> impl Strategy<Value = Staff> {
    prop::array::uniform3(prop::bool::weighted(0.7))
}

fn reading() -> impl Strategy<Value = Reading> {
    select(vec![Reading::Fresh, Reading::Earlier])
}

fn bound() -> impl Strategy<Value = Bound> {
    select(vec![Bound::Refuse, Bound::Remove])
}

fn instances() -> impl Strategy<Value = Instances> {
    select(vec![Instances::One, Instances::PerCall])
}

fn criterion() -> impl Strategy<Value = Criterion> {
    prop_oneof![
        Just(Criterion::Enabled),
        Just(Criterion::Queued),
        Just(Criterion::Urgent),
        (0..SLOTS).prop_map(Criterion::Named),
    ]
}

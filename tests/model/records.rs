//! What the cases speak of, as the broker knows it.

use std::array;
use std::sync::LazyLock;

use loosely::{
    ComponentId, DeliveryMode, Detached, EventClass, EventClassId, Firing, Queued, Retry,
    Subscription, SubscriptionId,
};

use crate::operations::{
    Attributes, CLASSES, COMPONENTS, Criteria, Criterion, Mode, SLOTS, Shot, Wish,
};
use crate::subscriber::{Orders, name_of};

/// What a slot is bound to: a class, if not to any, and a method, if not to both.
const BINDINGS: [(Option<usize>, Option<Method>); SLOTS] = [
    (None, None),
    (Some(0), None),
    (Some(1), None),
    (None, Some(Method::Placed)),
    (Some(0), Some(Method::Cancelled)),
    (Some(2), None),
];

/// How often a queued event is tried before it is a dead letter.
pub(crate) const ATTEMPTS: u32 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Placed,
    Cancelled,
}

/// Returns the class that a slot is bound to, if it is to one.
pub(crate) fn class_of(slot: usize) -> Option<usize> {
    BINDINGS[slot].0
}

/// Returns whether a slot is bound to such events.
pub(crate) fn is_bound(slot: usize, shot: Shot) -> bool {
    let (class, method) = BINDINGS[slot];
    class.is_none_or(|class| class == shot.class)
        && method.is_none_or(|method| (method == Method::Placed) == shot.symbol.is_some())
}

/// The ids that the names stand for; to make one takes a digest.
static CLASS_IDS: LazyLock<[EventClassId; CLASSES]> =
    LazyLock::new(|| array::from_fn(|class| EventClassId::from(class_name(class).as_str())));
static SLOT_IDS: LazyLock<[SubscriptionId; SLOTS]> =
    LazyLock::new(|| array::from_fn(|slot| SubscriptionId::from(slot_name(slot).as_str())));
static COMPONENT_IDS: LazyLock<[ComponentId; COMPONENTS]> =
    LazyLock::new(|| array::from_fn(|it| ComponentId::from(name_of(it).as_str())));

pub(crate) fn class_id(class: usize) -> EventClassId {
    CLASS_IDS[class]
}

fn class_name(class: usize) -> String {
    format!("class {class}")
}

pub(crate) fn id_of(slot: usize) -> SubscriptionId {
    SLOT_IDS[slot]
}

fn slot_name(slot: usize) -> String {
    format!("slot {slot}")
}

pub(crate) fn slot_of(id: SubscriptionId) -> Option<usize> {
    SLOT_IDS.iter().position(|it| *it == id)
}

pub(crate) fn component_id(component: usize) -> ComponentId {
    COMPONENT_IDS[component]
}

impl Wish {
    /// Returns the same without a filter or key that its methods have no parameter for.
    pub(crate) fn fitting(mut self) -> Self {
        if BINDINGS[self.slot].1 == Some(Method::Cancelled) {
            if !matches!(self.filter, Criteria::None | Criteria::Above(_)) {
                self.filter = Criteria::Above(0);
            }
            if self.mode == Mode::Keyed {
                self.mode = Mode::Queued;
            }
        }
        self
    }

    pub(crate) fn to_record(self) -> Subscription {
        let (class, method) = BINDINGS[self.slot];
        let mut builder = Subscription::builder(slot_name(self.slot)).id(id_of(self.slot));
        builder = match class {
            Some(class) => builder.class(class_id(class)),
            None => builder.to::<dyn Orders>(),
        };
        builder = match method {
            Some(Method::Placed) => builder.method("placed"),
            Some(Method::Cancelled) => builder.method("cancelled"),
            None => builder,
        };
        let retry = Retry::never().with_attempts_each(ATTEMPTS);
        let queued = Queued::new().with_retry(retry);
        builder = match self.mode {
            Mode::Unsaid => builder,
            Mode::Inline => builder.delivery(DeliveryMode::Inline),
            Mode::Detached => builder.detached(),
            Mode::Queued => builder.delivery(queued),
            Mode::Keyed => builder.delivery(queued.with_key("symbol")),
            Mode::Keeping => builder.delivery(queued.keep_backlog()),
        };
        if let Some(filter) = self.filter.text() {
            builder = builder.filter(filter);
        }
        builder = match self.enabled {
            true => builder,
            false => builder.disabled(),
        };
        let builder = builder.priority(self.priority);
        builder
            .component(component_id(self.component))
            .build()
            .unwrap()
    }

    /// Returns the record as it is to be in place of one that was read.
    pub(crate) fn to_record_at(self, read: &Subscription) -> Subscription {
        let wished = self.to_record();
        let builder = read.to_builder().component(component_id(self.component));
        let builder = match wished.delivery() {
            Some(mode) => builder.delivery(mode.clone()),
            None => builder.without_delivery(),
        };
        let builder = match wished.filter() {
            Some(filter) => builder.filter(filter),
            None => builder.without_filter(),
        };
        let builder = match self.enabled {
            true => builder.enabled(),
            false => builder.disabled(),
        };
        builder.priority(self.priority).build().unwrap()
    }
}

impl Criteria {
    fn text(self) -> Option<String> {
        Some(match self {
            Self::None => return None,
            Self::Above(amount) => format!("amount > {amount}"),
            Self::SymbolIs(symbol) => format!("symbol = '{symbol}'"),
            Self::SymbolIsNot(symbol) => format!("NOT (symbol = '{symbol}')"),
            Self::Both(symbol, amount) => format!("symbol = '{symbol}' AND amount <= {amount}"),
            Self::Either(symbol, amount) => format!("symbol = '{symbol}' OR amount > {amount}"),
        })
    }

    /// Returns whether the criteria are true of an event, and not unknown: a cancellation has no
    /// symbol.
    pub(crate) fn select(self, shot: Shot) -> bool {
        let is = |symbol| shot.symbol.map(|its| its == symbol);
        match self {
            Self::None => true,
            Self::Above(amount) => shot.amount > amount,
            Self::SymbolIs(symbol) => is(symbol) == Some(true),
            Self::SymbolIsNot(symbol) => is(symbol) == Some(false),
            Self::Both(symbol, amount) => is(symbol) == Some(true) && shot.amount <= amount,
            Self::Either(symbol, amount) => is(symbol) == Some(true) || shot.amount > amount,
        }
    }
}

impl Criterion {
    pub(crate) fn text(self) -> String {
        match self {
            Self::Enabled => "enabled = TRUE".to_owned(),
            Self::Queued => "delivery = 'queued'".to_owned(),
            Self::Urgent => "priority >= 1".to_owned(),
            Self::Named(slot) => format!("name = '{}'", slot_name(slot)),
        }
    }

    pub(crate) fn select(self, wish: &Wish) -> bool {
        match self {
            Self::Enabled => wish.enabled,
            Self::Queued => wish.mode.is_queued(),
            Self::Urgent => wish.priority >= 1,
            Self::Named(slot) => wish.slot == slot,
        }
    }
}

impl Attributes {
    /// Returns a class with these attributes, over one that is there.
    pub(crate) fn over(self, class: EventClass) -> EventClass {
        let firing = match self.parallel {
            true => Firing::Parallel { max: 3 },
            false => Firing::Serial,
        };
        let class = match self.detached {
            true => class.with_delivery(Detached::new()),
            false => class.without_delivery(),
        };
        let class = class.with_firing(firing);
        class.with_description(format!("the {}th", self.text))
    }

    pub(crate) fn new_class(self, class: usize) -> EventClass {
        self.over(EventClass::new(class_id(class), class_name(class)))
    }
}

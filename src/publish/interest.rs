//! What is asked for now, so that a publisher makes only the events that somebody wants.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use smallvec::SmallVec;

use super::asked::{AskedValues, Kind};
use super::channel::AnyChannel;
use super::demand::{Asker, Demand};
use super::dynamic::ChannelCell;
use super::interest_changes::InterestChanges;
use super::publisher::Own;
use super::site::scope;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Path;
use crate::index::{KeyRange, PredicateIndex, Uncovered};
use crate::value::{InterfaceSchema, Value, ValueRef, ValueType};

/// What the subscriptions of a class ask for, from
/// [`Publisher::interest`](crate::Publisher::interest).
///
/// A publisher for which events are dear to make, since each has to be computed, measured or
/// fetched, makes those that somebody wants. COM+'s network publisher does so: it probes the
/// destinations that subscriptions name.
///
/// It is a view and holds no answers: each question is answered from the wiring at that moment, and
/// [`changes`](Self::changes) tells when to ask again. What counts is every subscription that is
/// enabled and bound to the method; of private ones, those of this publisher object. A target that
/// cannot be called now, and a time that is over or still to come, change nothing; one that is
/// suspended, as its filter does not fit the interface, is left out.
///
/// A publisher object that was made for a principal without the right to read the class is told of
/// one subscription that wants everything, whatever there is. So is everybody of a method whose
/// events are [retained](crate::Retained): those who come later want them.
///
/// # Consistency
///
/// Answers may err on one side only: that something is wanted. What was stored, enabled or
/// subscribed before a question is in its answer. No question reads the store, and after the broker
/// was closed the answers stay as they are.
///
/// # Examples
///
/// ```
/// use loosely::{Broker, event_interface};
/// # use loosely::{Component, Subscription};
///
/// #[event_interface]
/// pub trait StockEvents {
///     fn price_changed(&self, symbol: &str, price: f64);
/// }
/// # struct Alarm;
/// # impl StockEvents for Alarm {
/// #     fn price_changed(&self, _symbol: &str, _price: f64) {}
/// # }
///
/// # fn main() -> loosely::Result<()> {
/// # let broker = Broker::in_memory()?;
/// # broker.register_component(Component::new("alarm", || Alarm).implements::<dyn StockEvents>())?;
/// let record = Subscription::builder("msft above 185")
///     .to::<dyn StockEvents>()
///     .component("alarm")
///     .filter("symbol = 'MSFT' AND price > 185")
///     .build()?;
/// broker.ensure(&record)?;
///
/// let stocks = broker.publisher::<dyn StockEvents>()?;
/// let symbol = stocks.interest().method("price_changed")?.parameter("symbol")?;
/// assert!(symbol.wants("MSFT") && !symbol.wants("IBM"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Interest {
    cell: Arc<ChannelCell>,
    /// The publisher object that asks.
    own: Arc<Own>,
}

/// What is asked of one event method, from [`Interest::method`].
#[derive(Clone)]
pub struct MethodInterest {
    interest: Interest,
    /// The schema in which the method is at `index`.
    schema: Arc<InterfaceSchema>,
    index: usize,
}

/// What is asked of one value of an event, from [`MethodInterest::parameter`].
///
/// If the schema of the interface changes, which `changes` tells, everything is wanted here: ask
/// the [`Interest`] for it again.
#[derive(Clone)]
pub struct ParameterInterest {
    method: MethodInterest,
    path: Arc<Path>,
    value_type: ValueType,
}

impl Interest {
    pub(super) fn new(cell: Arc<ChannelCell>, own: Arc<Own>) -> Self {
        Self { cell, own }
    }

    pub(super) fn of_channel(channel: Arc<dyn AnyChannel>, own: &Arc<Own>) -> Self {
        Self::new(Arc::new(ChannelCell::new(channel)), Arc::clone(own))
    }

    /// Calls `question` with what is asked of a method: for a principal who may not know it, and
    /// where events are retained for those who come later, everything.
    fn ask(
        &self,
        channel: &dyn AnyChannel,
        of: Asker,
        method: usize,
        question: &mut dyn FnMut(Demand<'_>),
    ) {
        let may_read = of != Asker::Everybody || channel.may_read(&self.own);
        if may_read && !channel.retains(method) {
            return channel.demand(of, method, question);
        }
        question(Demand {
            unfiltered: 1,
            ..Demand::default()
        });
    }

    /// Returns who asks: everybody's subscriptions, and the private ones of the publisher object.
    fn askers(&self) -> impl Iterator<Item = Asker> + use<> {
        let own = self.own.object().map(Asker::Object);
        std::iter::once(Asker::Everybody).chain(own)
    }

    /// Returns what is asked of the event method of this name.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if the interface has no such method.
    pub fn method(&self, name: &str) -> Result<MethodInterest> {
        let schema = Arc::clone(self.channel().schema());
        let Some((index, _)) = schema.method(name) else {
            let message = format!("the interface {} has no method {name:?}", schema.name());
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        Ok(MethodInterest {
            interest: self.clone(),
            schema,
            index,
        })
    }

    /// Returns what tells that answers may have become others than they are now.
    ///
    /// Ask it first and the interest afterwards: then no change is missed.
    pub fn changes(&self) -> InterestChanges {
        InterestChanges::new(self)
    }

    pub(super) fn channel(&self) -> Arc<dyn AnyChannel> {
        Arc::clone(&self.cell.read())
    }
}

impl MethodInterest {
    /// Returns how many subscriptions are enabled and bound to the method. Takes some
    /// microseconds, however many they are.
    pub fn subscriptions(&self) -> usize {
        let count = |demand: Demand<'_>| {
            let filtered = demand.filters.map_or(0, PredicateIndex::len);
            demand.unfiltered + filtered
        };
        self.count(count)
    }

    /// Returns how many of them want every event, since they have no filter or the filter `ALL`.
    /// Takes as long as [`subscriptions`](Self::subscriptions).
    pub fn unfiltered(&self) -> usize {
        let count = |demand: Demand<'_>| {
            let unconditional = demand.filters.map_or(0, PredicateIndex::unconditional);
            demand.unfiltered + unconditional
        };
        self.count(count)
    }

    /// Returns whether there is a subscription at all.
    pub fn is_wanted(&self) -> bool {
        self.subscriptions() > 0
    }

    /// Returns what is asked of one value, by its name or path as it is written in filter criteria:
    /// `symbol`, `order.customer.city`, `labels.[odd key]`, `publisher.region`. Keep it: finding it
    /// takes longer than a question.
    ///
    /// # Errors
    ///
    /// [`Filter`](ErrorKind::Filter) if it is no name, or one that the method, its records or the
    /// class do not have.
    pub fn parameter(&self, path: &str) -> Result<ParameterInterest> {
        let class = self.interest.channel().class();
        let scope = scope(&class, &self.schema.methods()[self.index]);
        let (path, value_type) = scope.place(path)?;
        Ok(ParameterInterest {
            method: self.clone(),
            path: Arc::new(path),
            value_type: value_type.clone(),
        })
    }

    fn count(&self, count: impl Fn(Demand<'_>) -> usize) -> usize {
        let channel = self.interest.channel();
        let index = match self.is_of(&*channel) {
            true => Some(self.index),
            false => {
                let name = self.schema.methods()[self.index].name();
                channel.schema().method(name).map(|(index, _)| index)
            }
        };
        let mut counted = 0;
        if let Some(index) = index {
            let ask = &mut |demand: Demand<'_>| counted += count(demand);
            for of in self.interest.askers() {
                self.interest.ask(&*channel, of, index, ask);
            }
        }
        counted
    }

    /// Returns whether the channel has the schema that this is about.
    fn is_of(&self, channel: &dyn AnyChannel) -> bool {
        let schema = channel.schema();
        Arc::ptr_eq(schema, &self.schema) || *schema == self.schema
    }
}

impl ParameterInterest {
    /// Returns whether some subscription can select an event whatever this value is, or whatever it
    /// is if there is one: since it has no filter, or its filter does not mention the value,
    /// excludes only some, as `<>` does, or compares it in a way that none of the lists here can
    /// tell, such as `symbol > 'M'`. Takes less than a microsecond.
    ///
    /// If not, everything that is wanted is among [`constants`](Self::constants),
    /// [`prefixes`](Self::prefixes), [`ranges`](Self::ranges) and, if [`wants`](Self::wants) says
    /// so, NULL. Of a list, it is its elements that are among them.
    pub fn is_open(&self) -> bool {
        let open = |demand: Demand<'_>| {
            let filters = demand.filters;
            demand.unfiltered > 0 || filters.is_some_and(|filters| filters.is_open(&self.path))
        };
        let answers = self.answers(|of| self.answer(of, open));
        answers.is_none_or(|answers| answers.contains(&true))
    }

    /// Returns whether some subscription could select an event that has this value here; `true`
    /// when in doubt.
    ///
    /// Takes less than a microsecond. The first question that ranges decide looks at all filters of
    /// the method, some tens of milliseconds for a million, and so does one after as many ranges
    /// went as are left; neither a fire nor a change waits for that.
    pub fn wants<'v>(&self, value: impl Into<ValueRef<'v>>) -> bool {
        // Under a lock runs no view of the caller's own.
        let value = value.into().to_value();
        let takes = |demand: Demand<'_>, _| match demand.filters {
            _ if demand.unfiltered > 0 => Ok(true),
            Some(filters) => filters.takes(&self.path, value.view()),
            None => Ok(false),
        };
        let answers = self.answers(|of| self.covered(of, takes));
        answers.is_none_or(|answers| answers.contains(&true))
    }

    /// Returns the constants that the value is compared with, by equality or as one of several, in
    /// values of the parameter's type.
    ///
    /// Takes time in proportion to the constants of all filters of the method.
    pub fn constants(&self) -> AskedValues {
        AskedValues::new(self, Kind::Constant)
    }

    /// Returns the texts that the value is wanted to begin with, from patterns such as `LIKE
    /// 'MS%'`; what else a pattern says is left out.
    ///
    /// Takes as long as [`constants`](Self::constants).
    pub fn prefixes(&self) -> AskedValues {
        AskedValues::new(self, Kind::Prefix)
    }

    /// Returns the ranges that numbers, points and spans of time are wanted in, in rising order and
    /// apart from each other: of all that overlap, their union. At most a thousand; where there are
    /// more, those that are closest are joined.
    ///
    /// Looks at all filters of the method if ranges went since the last time, as
    /// [`wants`](Self::wants) does.
    pub fn ranges(&self) -> Vec<(Bound<Value>, Bound<Value>)> {
        let ranges = |demand: Demand<'_>, looks| {
            // Those that go during a look are not worth another one.
            let gone = if looks == 0 { 0 } else { u32::MAX };
            let filters = demand.filters;
            filters.map_or_else(
                || Ok(Vec::new()),
                |filters| filters.ranges(&self.path, gone),
            )
        };
        let Some(ranges) = self.answers(|of| self.covered(of, ranges)) else {
            return vec![(Bound::Unbounded, Bound::Unbounded)];
        };
        let value_type = self.value_type.not_null();
        let ranges = KeyRange::joined(ranges.into_iter().flatten());
        let bounds = ranges.iter().map(|range| range.bounds(value_type));
        bounds.collect()
    }

    /// Returns the type of the value.
    pub fn value_type(&self) -> &ValueType {
        &self.value_type
    }

    /// Returns where the value is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns who asks.
    pub(super) fn askers(&self) -> impl Iterator<Item = Asker> + use<> {
        self.method.interest.askers()
    }

    /// Asks a question, unless the schema is another by now.
    pub(super) fn ask(&self, of: Asker, question: &mut dyn FnMut(Demand<'_>)) {
        let channel = self.method.interest.channel();
        if self.method.is_of(&*channel) {
            let interest = &self.method.interest;
            interest.ask(&*channel, of, self.method.index, question);
        }
    }

    /// Returns the answers of all who ask; `None` if one has none.
    fn answers<T>(&self, answer: impl Fn(Asker) -> Option<T>) -> Option<SmallVec<[T; 2]>> {
        self.askers().map(answer).collect()
    }

    /// Returns the answer; `None` if the schema is another by now.
    fn answer<T>(&self, of: Asker, question: impl Fn(Demand<'_>) -> T) -> Option<T> {
        let mut answer = None;
        self.ask(of, &mut |demand| answer = Some(question(demand)));
        answer
    }

    /// Returns the answer, for which all ranges may have to be looked at.
    /// The question is told how often that was done.
    fn covered<T>(
        &self,
        of: Asker,
        question: impl Fn(Demand<'_>, usize) -> Result<T, Uncovered>,
    ) -> Option<T> {
        for looks in 0..LOOKS {
            match self.answer(of, |demand| question(demand, looks))? {
                Ok(answer) => return Some(answer),
                Err(Uncovered) => {
                    let channel = self.method.interest.channel();
                    channel.cover(of, self.method.index, &self.path);
                }
            }
        }
        None
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interest")
            .field("interface", &self.channel().schema().name())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for MethodInterest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MethodInterest")
            .field("method", &self.schema.methods()[self.index].name())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ParameterInterest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParameterInterest")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// How often all ranges are looked at for one answer: once is enough unless the filters go and come
/// back meanwhile.
const LOOKS: usize = 3;

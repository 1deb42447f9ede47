//! Who is asked before filter criteria: publisher filters, or else a default query.

use std::sync::{Arc, Weak};

use smallvec::SmallVec;

use super::columns::SubscriptionCriteria;
use super::kept::Rule;
use super::members::Roll;
use super::publisher_filter::Source;
use super::site::Site;
use super::surroundings::Surroundings;
use crate::model::Subscription;
use crate::sync::ArcSwapOption;
use crate::value::{EventMethod, InterfaceId, InterfaceSchema, drop_quietly};

/// What one publisher object says.
#[derive(Default, Clone)]
pub(crate) struct Steering {
    /// In the order of installation.
    installed: Vec<Installed>,
    queries: Vec<(MethodOf, Arc<DefaultQuery>)>,
}

#[derive(Clone)]
struct Installed {
    /// The method whose events it is asked about; without one, those of every interface.
    method: Option<MethodOf>,
    source: Source,
}

/// A method by name: the publishers of one object may know different versions of its interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MethodOf {
    interface: InterfaceId,
    method: Box<str>,
}

/// What a class says of one method.
pub(crate) struct Conduct {
    filters: Vec<Source>,
    query: Option<Result<Arc<DefaultQuery>, String>>,
    /// Which of its events are retained.
    pub(super) retained: Option<Rule>,
}

/// Who is asked about one event.
pub(super) enum Course<'a> {
    /// The publisher filters in order, at least one.
    Filters(SmallVec<[&'a Source; 4]>),
    Query(&'a Arc<DefaultQuery>),
    /// The class has a default query that no broker let pass, and the text says why.
    Broken(&'a str),
}

/// Criteria over subscriptions, and what they selected last.
pub(crate) struct DefaultQuery {
    criteria: SubscriptionCriteria,
    selected: ArcSwapOption<Selected>,
}

struct Selected {
    /// Weak, as it holds subscribers, and those must not live longer than their subscriptions.
    roll: Weak<Roll>,
    places: Arc<[u32]>,
}

impl Steering {
    pub(super) fn is_empty(&self) -> bool {
        self.installed.is_empty() && self.queries.is_empty()
    }

    pub(super) fn install(&mut self, method: Option<MethodOf>, source: Source) {
        self.installed.push(Installed { method, source });
    }

    /// Takes a filter out wherever it is installed.
    pub(super) fn remove(&mut self, source: &Source) {
        self.installed.retain(|present| !present.source.is(source));
    }

    /// Sets or takes away the default query of a method.
    pub(super) fn set_query(&mut self, method: MethodOf, query: Option<Arc<DefaultQuery>>) {
        self.queries.retain(|(present, _)| *present != method);
        self.queries.extend(query.map(|query| (method, query)));
    }

    /// Returns how many filters are installed.
    pub(super) fn installed(&self) -> usize {
        self.installed.len()
    }

    fn filters<'a>(
        &'a self,
        interface: InterfaceId,
        method: &'a EventMethod,
    ) -> impl Iterator<Item = &'a Source> {
        let mut all = self.installed.iter();
        std::iter::from_fn(move || {
            all.find(|it| it.method.as_ref().is_none_or(|of| of.is(interface, method)))
        })
        .map(|installed| &installed.source)
    }

    /// Returns whether it has a say in the events of a method.
    fn selects(&self, interface: InterfaceId, method: &EventMethod) -> bool {
        let mut filters = self.filters(interface, method);
        filters.next().is_some() || self.query(interface, method).is_some()
    }

    fn query(&self, interface: InterfaceId, method: &EventMethod) -> Option<&Arc<DefaultQuery>> {
        let mut queries = self.queries.iter();
        let found = queries.find(|(of, _)| of.is(interface, method));
        found.map(|(_, query)| query)
    }
}

impl MethodOf {
    pub(super) fn new(schema: &InterfaceSchema, method: &EventMethod) -> Self {
        Self {
            interface: schema.id(),
            method: method.name().into(),
        }
    }

    fn is(&self, interface: InterfaceId, method: &EventMethod) -> bool {
        self.interface == interface && *self.method == *method.name()
    }
}

impl Conduct {
    /// Returns what the record says of a method.
    pub(super) fn new(site: &Site, method: &EventMethod) -> Self {
        let settings = site.class.settings_of(method);
        let asked = settings.publisher_filters().iter();
        let asked = asked.filter(|name| !site.bags.has(name));
        let query = settings.default_query().map(|criteria| {
            let query = DefaultQuery::parse(criteria).map(Arc::new);
            query.map_err(|error| format!("the default query of the class is not valid: {error}"))
        });
        Self {
            filters: asked
                .map(|name| Source::Named(name.as_str().into()))
                .collect(),
            query,
            retained: Rule::of(&site.class, method),
        }
    }

    /// Returns whether nobody is asked and nothing is retained.
    pub(super) fn is_empty(&self) -> bool {
        self.filters.is_empty() && self.query.is_none() && self.retained.is_none()
    }
}

impl<'a> Course<'a> {
    /// Returns who is asked about events of a method, if anybody is: the class's filters, and then
    /// the publisher's; without any, the publisher's query, or else the class's.
    pub(super) fn of(
        own: Option<&'a Steering>,
        class: Option<&'a Conduct>,
        schema: &'a InterfaceSchema,
        method: usize,
        may_read: bool,
    ) -> Option<Self> {
        let method = schema.methods().get(method)?;
        if !may_read && own.is_some_and(|own| own.selects(schema.id(), method)) {
            return Some(Self::Broken(MAY_NOT_READ));
        }
        let mut filters: SmallVec<[&Source; 4]> = SmallVec::new();
        filters.extend(class.into_iter().flat_map(|class| &class.filters));
        if let Some(own) = own {
            for installed in own.filters(schema.id(), method) {
                filters.push(installed);
            }
        }
        if !filters.is_empty() {
            return Some(Self::Filters(filters));
        }
        if let Some(query) = own.and_then(|own| own.query(schema.id(), method)) {
            return Some(Self::Query(query));
        }
        match class?.query.as_ref()? {
            Ok(query) => Some(Self::Query(query)),
            Err(why) => Some(Self::Broken(why)),
        }
    }
}

impl Course<'_> {
    /// Returns why every subscription fails, if that is known before anybody is asked.
    pub(super) fn broken(&self, around: &Surroundings) -> Option<String> {
        match self {
            Self::Filters(filters) => filters.iter().find_map(|source| match source {
                Source::Named(name) => {
                    let found = around.named.filter(name);
                    let missing = found.is_none().then(|| source.unregistered());
                    drop_quietly(found);
                    missing
                }
                Source::Object(_) => None,
            }),
            Self::Query(_) => None,
            Self::Broken(why) => Some((*why).to_owned()),
        }
    }
}

/// A publisher filter sees whole records, and a query tells them apart.
const MAY_NOT_READ: &str = "the publisher's principal lacks the right to read, so neither its \
     publisher filters nor its default query are asked";

impl DefaultQuery {
    pub(super) fn parse(criteria: &str) -> crate::error::Result<Self> {
        Ok(Self {
            criteria: SubscriptionCriteria::parse(criteria)?,
            selected: ArcSwapOption::empty(),
        })
    }

    pub(super) fn matches(&self, subscription: &Subscription) -> bool {
        self.criteria.matches(subscription)
    }

    /// Returns the places that the criteria select: evaluated when subscriptions have changed, and
    /// not for each event.
    pub(super) fn selected(&self, roll: &Arc<Roll>) -> Arc<[u32]> {
        if let Some(last) = &*self.selected.load()
            && std::ptr::eq(last.roll.as_ptr(), Arc::as_ptr(roll))
        {
            return Arc::clone(&last.places);
        }
        let places = (0_u32..).zip(&roll.entries);
        let places = places.filter(|(_, entry)| self.matches(&entry.record));
        let places: Arc<[u32]> = places.map(|(place, _)| place).collect();
        self.selected.store(Some(Arc::new(Selected {
            roll: Arc::downgrade(roll),
            places: Arc::clone(&places),
        })));
        places
    }
}

/// Whoever lets go last drops the filters, which are the user's, and that may be a fire.
impl Drop for Steering {
    fn drop(&mut self) {
        drop_quietly(std::mem::take(&mut self.installed));
    }
}

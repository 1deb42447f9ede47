//! Views of principals, and what they are refused.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::Broker;
use super::sessions::named;
use super::wiring::Wiring;
use crate::component::{HeldRoles, Policy, Subject};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Binding, EventClass, EventClassId, Principal, Right, Subscription};
use crate::publish::Gate;
use crate::value::InterfaceId;

/// What one call of the broker may do: everything, unless somebody has to be asked about.
pub(super) struct Access<'a> {
    wiring: &'a Wiring,
    asked: Option<Asked<'a>>,
}

/// Who has to be asked about, with the roles that this principal has as the call begins.
struct Asked<'a> {
    policy: &'a Policy,
    principal: &'a Principal,
    held: HeldRoles,
    /// right and binding -> whether it is there to what is bound so, as far as it was asked
    known: RefCell<HashMap<(Right, Bound), bool>>,
}

type Bound = (Option<EventClassId>, Option<InterfaceId>);

impl Broker {
    /// Returns a view of the broker for a principal: the same broker, where everything is done in
    /// this principal's name. Clones of a view are views of the same principal.
    ///
    /// Subscriptions that it stores without an owner are the principal's own. The broker's
    /// [authorizer](crate::BrokerBuilder::authorizer), if it has one, is asked about all it does;
    /// what it refuses is an error of kind [`Denied`](ErrorKind::Denied), and a
    /// [`Notice`](crate::Notice). Queries leave out what may not be read. The id of a subscription
    /// without an explicit one comes from the owner that it names: principals who store the same
    /// one each name themselves.
    ///
    /// It is not asked about what concerns this program alone, which a view may do as the handle
    /// may:
    ///
    /// - [`register_component`](Self::register_component),
    ///   [`unregister_component`](Self::unregister_component) and [`components`](Self::components);
    /// - [`register_upcaster`](Self::register_upcaster);
    /// - [`register_publisher_filter`](Self::register_publisher_filter),
    ///   [`register_predicate`](Self::register_predicate) and their opposites, which are code of
    ///   the program that classes and subscriptions call by name, and see records whole;
    /// - [`notices`](Self::notices), which are taken out for everybody,
    ///   [`revision`](Self::revision) and [`logged_on`](Self::logged_on);
    /// - [`changes_since`](Self::changes_since) and [`follow_changes`](Self::follow_changes): ids
    ///   and kinds of change, of records too that may not be read;
    /// - [`filter_cost`](Self::filter_cost), whose errors name what an interface has and a filter
    ///   does not;
    /// - what subscription guards and sessions do, once they are there;
    /// - [`close`](Self::close), for everybody.
    ///
    /// The handle that [`open`](Self::open) returned is the system's own, and so is the one that
    /// component factories are given: both may do everything. A view hands out views too, so it
    /// keeps code that is trusted from mistakes, and is no wall against other code in the process.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if this is no name for a principal.
    pub fn as_principal(&self, principal: impl AsRef<str>) -> Result<Self> {
        Ok(Self {
            core: Arc::clone(&self.core),
            principal: Some(named(principal.as_ref())?),
        })
    }

    /// Returns whose view of the broker this is, or `None` for the system's own handle.
    pub fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    /// Returns what this handle may do now: one for each call, as it remembers the answers.
    pub(super) fn access(&self) -> Access<'_> {
        let policy = &*self.core.policy;
        let principal = self.principal.as_ref().filter(|_| policy.is_enforced());
        let asked = principal.map(|principal| Asked {
            policy,
            principal,
            held: policy.held_by(principal),
            known: RefCell::default(),
        });
        Access {
            wiring: &self.core.wiring,
            asked,
        }
    }

    /// Returns Ok if a right is there, to a class or where none is concerned.
    pub(super) fn require(&self, right: Right, class: Option<&EventClass>) -> Result<()> {
        self.access().require(right, class)
    }

    /// Returns Ok if something may be done in the name of this principal.
    pub(super) fn require_self(&self, principal: &Principal) -> Result<()> {
        if self.principal.as_ref() == Some(principal) {
            return Ok(());
        }
        self.require(Right::Administer, None)
    }

    /// Returns a class, whether it may be read or not.
    pub(super) fn known_class(&self, id: EventClassId) -> Option<Arc<EventClass>> {
        self.core.wiring.with(|state, _| {
            let class = state.classes.get(&id);
            class.map(|entry| Arc::clone(&entry.record))
        })
    }

    /// Returns the subscription as this handle stores it: with an owner, if it is a view.
    pub(super) fn owned<'a>(&self, subscription: &'a Subscription) -> Cow<'a, Subscription> {
        match &self.principal {
            Some(principal) if subscription.owner().is_none() => {
                Cow::Owned(subscription.clone().with_owner(principal.clone()))
            }
            _ => Cow::Borrowed(subscription),
        }
    }

    /// Returns what stands before publisher objects of a class that this handle makes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`] if it may make none.
    pub(super) fn gate(&self, class: &EventClass) -> Result<Option<Gate>> {
        self.require(Right::Publish, Some(class))?;
        let gate = |principal: &Principal| {
            Gate::new(principal.clone(), Arc::clone(&self.core.policy), class)
        };
        Ok(self.principal.as_ref().map(gate))
    }
}

impl Access<'_> {
    fn allows(&self, right: Right, class: Option<&EventClass>) -> bool {
        let asked = self.asked.as_ref();
        asked.is_none_or(|asked| asked.allows(right, class.into()))
    }

    /// Returns Ok if a right is there, to a class or where none is concerned.
    pub(super) fn require(&self, right: Right, class: Option<&EventClass>) -> Result<()> {
        match &self.asked {
            Some(asked) => asked.require(right, class.into()),
            None => Ok(()),
        }
    }

    /// Returns Ok if a right is there to a tree.
    pub(super) fn require_tree(&self, right: Right, name: &str) -> Result<()> {
        match &self.asked {
            Some(asked) => asked.require(right, Subject::Tree(name)),
            None => Ok(()),
        }
    }

    /// Returns whether a tree may be known.
    pub(super) fn may_read_tree(&self, name: &str) -> bool {
        let asked = self.asked.as_ref();
        asked.is_none_or(|asked| asked.allows(Right::Read, Subject::Tree(name)))
    }

    /// Returns whether a class may be known, or what belongs to none.
    pub(super) fn may_read(&self, class: Option<&EventClass>) -> bool {
        self.allows(Right::Read, class)
    }

    /// Returns whether a subscription may be known: it is one's own, or of a class that may.
    pub(super) fn may_read_record(&self, record: &Subscription) -> bool {
        let Some(asked) = &self.asked else {
            return true;
        };
        if asked.owns(record) {
            return true;
        }
        let binding = record.binding();
        asked.known(Right::Read, binding).unwrap_or_else(|| {
            let classes = self.classes_bound(binding);
            let allows = |class: &Arc<EventClass>| asked.allows(Right::Read, Subject::Class(class));
            let may = classes.iter().any(allows)
                || classes.is_empty() && asked.allows(Right::Read, Subject::None);
            asked.remember(Right::Read, binding, may);
            may
        })
    }

    /// Returns Ok if a subscription may be stored, changed or removed that is, or is to be, as each
    /// of these.
    pub(super) fn require_writing<'a>(
        &self,
        records: impl IntoIterator<Item = &'a Subscription>,
    ) -> Result<()> {
        let Some(asked) = &self.asked else {
            return Ok(());
        };
        for record in records {
            let right = if asked.owns(record) {
                Right::Subscribe
            } else {
                Right::Administer
            };
            if asked.known(right, record.binding()) == Some(true) {
                continue;
            }
            let classes = self.classes_bound(record.binding());
            if classes.is_empty() {
                asked.require(right, Subject::None)?;
            }
            for class in &classes {
                asked.require(right, Subject::Class(class))?;
            }
            asked.remember(right, record.binding(), true);
        }
        Ok(())
    }

    /// Returns the known classes that a binding means.
    fn classes_bound(&self, binding: &Binding) -> Vec<Arc<EventClass>> {
        self.wiring.with(|state, _| state.classes_bound(binding))
    }
}

impl Asked<'_> {
    /// Returns whether the right is there to what is bound so, if that was asked before.
    fn known(&self, right: Right, binding: &Binding) -> Option<bool> {
        let bound = (binding.class(), binding.interface());
        self.known.borrow().get(&(right, bound)).copied()
    }

    fn remember(&self, right: Right, binding: &Binding, answer: bool) {
        let bound = (binding.class(), binding.interface());
        self.known.borrow_mut().insert((right, bound), answer);
    }

    fn allows(&self, right: Right, subject: Subject<'_>) -> bool {
        let (principal, held) = (self.principal, &self.held);
        self.policy.allows(principal, held, right, subject)
    }

    /// Returns whether the subscription is the principal's own.
    fn owns(&self, record: &Subscription) -> bool {
        record.owner() == Some(self.principal)
    }

    fn require(&self, right: Right, subject: Subject<'_>) -> Result<()> {
        if self.allows(right, subject) {
            return Ok(());
        }
        self.policy.note(self.principal, right, subject);
        let name = self.principal.as_str();
        let message = match subject {
            Subject::Class(class) => {
                let class = class.name();
                format!("{name:?} lacks the right to {right}, for the class {class:?}")
            }
            Subject::Tree(tree) => {
                format!("{name:?} lacks the right to {right}, for the tree {tree:?}")
            }
            Subject::None => {
                format!("{name:?} lacks the right to {right}, where no class is concerned")
            }
        };
        Err(Error::new(ErrorKind::Denied, message))
    }
}

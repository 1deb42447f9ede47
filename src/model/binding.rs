//! What subscriptions are bound to.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::{EventClassId, MethodName, MethodNames, PublisherId};
use crate::value::InterfaceId;

/// Which events: of a class, of an interface from any class, or both; of any publisher or of one;
/// all methods or some.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Binding {
    pub(crate) class: Option<EventClassId>,
    pub(crate) interface: Option<InterfaceId>,
    pub(crate) publisher: Option<PublisherId>,
    pub(crate) methods: MethodNames,
}

/// The bindings of records that are kept, each once: a million alerts are about a few classes.
///
/// Holds no more than twice the bindings in use, and a few.
#[derive(Debug, Default)]
pub(crate) struct BindingPool {
    bindings: HashSet<Arc<Binding>>,
    /// How many there may be before those that nobody else holds are dropped.
    limit: usize,
}

impl Binding {
    /// Returns the class, if it is bound to one.
    pub fn class(&self) -> Option<EventClassId> {
        self.class
    }

    /// Returns the interface, if it is bound to one.
    pub fn interface(&self) -> Option<InterfaceId> {
        self.interface
    }

    /// Returns the publisher, if only events of publishers with this id are asked for.
    #[doc(alias = "PublisherID")]
    pub fn publisher(&self) -> Option<PublisherId> {
        self.publisher
    }

    /// Returns the methods by name; none if all are asked for.
    #[doc(alias = "MethodName")]
    pub fn methods(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.methods.iter().map(MethodName::as_str)
    }
}

/// The id of a subscription that was given none is made of this text too, so it is frozen.
impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(class) = self.class {
            write!(f, "class {class}")?;
        }
        if let Some(interface) = self.interface {
            let space = if self.class.is_some() { " " } else { "" };
            write!(f, "{space}interface {interface}")?;
        }
        if let Some(publisher) = self.publisher {
            write!(f, " publisher {publisher}")?;
        }
        self.methods
            .iter()
            .try_for_each(|method| write!(f, " method {method}"))
    }
}

impl BindingPool {
    /// Returns the one binding that is equal to this.
    pub(super) fn share(&mut self, binding: &Arc<Binding>) -> Arc<Binding> {
        if let Some(known) = self.bindings.get(binding) {
            return Arc::clone(known);
        }
        if self.bindings.len() >= self.limit {
            self.bindings
                .retain(|binding| Arc::strong_count(binding) > 1);
            self.limit = 2 * self.bindings.len() + SMALLEST_LIMIT;
        }
        self.bindings.insert(Arc::clone(binding));
        Arc::clone(binding)
    }
}

/// So few that a pool of them is not worth looking through for what is unused.
const SMALLEST_LIMIT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(class: u128) -> Arc<Binding> {
        Arc::new(Binding {
            class: Some(EventClassId::from_u128(class)),
            interface: None,
            publisher: None,
            methods: MethodNames::default(),
        })
    }

    #[test]
    fn equal_bindings_are_one() {
        let mut pool = BindingPool::default();
        let first = pool.share(&binding(1));
        assert!(Arc::ptr_eq(&first, &pool.share(&binding(1))));
        assert!(!Arc::ptr_eq(&first, &pool.share(&binding(2))));
    }

    #[test]
    fn bindings_that_nobody_holds_do_not_pile_up() {
        let mut pool = BindingPool::default();
        let kept = pool.share(&binding(0));
        for class in 1..10_000 {
            pool.share(&binding(class));
        }
        assert!(pool.bindings.len() <= SMALLEST_LIMIT + 2);
        assert!(Arc::ptr_eq(&kept, &pool.share(&binding(0))));
    }
}

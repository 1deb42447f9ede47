//! What a publisher object of a principal may do.

use std::sync::Arc;

use crate::component::{HeldRoles, Policy, Subject};
use crate::model::{EventClass, Principal, Right};
use crate::sync::{ArcSwap, Guard};

/// Stands before a publisher object that was made for a principal; the broker's own have none.
///
/// What it lets through is worked out when the object is made and again by the first fire after a
/// role or a class was changed: the authorizer is the user's code, which no commit may wait for.
pub(crate) struct Gate {
    principal: Principal,
    policy: Arc<Policy>,
    clearance: ArcSwap<Clearance>,
}

/// What a principal may do with a class, as of some generation of roles and classes.
pub(crate) struct Clearance {
    generation: u64,
    publishes: bool,
    reads: bool,
    held: HeldRoles,
}

impl Gate {
    pub(crate) fn new(principal: Principal, policy: Arc<Policy>, class: &EventClass) -> Self {
        let generation = policy.generation();
        let clearance = Clearance::new(generation, &principal, &policy, class);
        Self {
            clearance: ArcSwap::from_pointee(clearance),
            principal,
            policy,
        }
    }

    /// Returns for whom the object was made.
    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Returns what the principal may do now; `class` is asked after the generation was read.
    pub(crate) fn clearance(&self, class: impl Fn() -> Arc<EventClass>) -> Guard<Arc<Clearance>> {
        let generation = self.policy.generation();
        let present = self.clearance.load();
        if present.generation == generation {
            return present;
        }
        // Not what is there now: another fire may have put in what it asked for earlier.
        Guard::from_inner(self.renew(generation, &class()))
    }

    #[cold]
    fn renew(&self, generation: u64, class: &EventClass) -> Arc<Clearance> {
        let fresh = Clearance::new(generation, &self.principal, &self.policy, class);
        let fresh = Arc::new(fresh);
        let before = self.clearance.swap(Arc::clone(&fresh));
        // Once, not at every fire.
        if before.publishes && !fresh.publishes {
            self.policy
                .note(&self.principal, Right::Publish, Subject::Class(class));
        }
        fresh
    }
}

impl Clearance {
    fn new(generation: u64, principal: &Principal, policy: &Policy, class: &EventClass) -> Self {
        let held = policy.held_by(principal);
        let allows = |right| policy.allows(principal, &held, right, Subject::Class(class));
        Self {
            generation,
            publishes: allows(Right::Publish),
            reads: allows(Right::Read),
            held,
        }
    }

    /// Returns whether the principal may fire.
    pub(crate) fn publishes(&self) -> bool {
        self.publishes
    }

    /// Returns whether the principal may know who subscribed.
    pub(crate) fn reads(&self) -> bool {
        self.reads
    }

    /// Returns whether the principal has a role.
    pub(crate) fn has_role(&self, role: &str) -> bool {
        self.held.has(role)
    }
}

//! Sessions, which per-user subscriptions follow.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::Broker;
use super::wiring::{Changes, State, Wiring};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Principal;
use crate::publish::{CompiledFilter, SubscriptionEntry, SubscriptionKey};

/// A principal that is logged on at a broker, until this guard is dropped.
///
/// A principal may have several sessions at once, and is logged off when the last one ends. The
/// guard does not keep the broker open.
#[must_use = "a session that is dropped is over"]
#[doc(alias = "PerUser")]
pub struct Session {
    principal: Principal,
    wiring: Arc<Wiring>,
}

impl Broker {
    /// Begins a session: from now on, until the guard is dropped, the principal's per-user
    /// subscriptions are delivered by this broker.
    ///
    /// A session belongs to the broker it was begun at. Where several brokers share a store, a
    /// subscription follows its owner to each broker that the owner is logged on to, and to no
    /// other.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if this is no name for a principal,
    /// [`Denied`](ErrorKind::Denied) if a view of another principal would begin it without the
    /// right to administer where no class is concerned, [`Closed`](ErrorKind::Closed) after the
    /// broker was closed.
    ///
    /// # Consistency
    ///
    /// When it returned, every fire that begins here reaches the subscriptions, and when the
    /// guard's drop returned, none does. It costs what this owner has, however much others have.
    #[doc(alias = "Logon")]
    pub fn log_on(&self, principal: impl AsRef<str>) -> Result<Session> {
        self.core.check_open()?;
        let principal = named(principal.as_ref())?;
        self.require_self(&principal)?;
        let wiring = Arc::clone(&self.core.wiring);
        let mut compiled = self.compile_followers(&principal);
        wiring.change(|state, changes| {
            if state.sessions.begin(&principal) {
                follow(state, &principal, &mut compiled, changes);
            }
        });
        Ok(Session { principal, wiring })
    }

    /// Returns who has a session at this broker, by name.
    pub fn logged_on(&self) -> Vec<Principal> {
        let wiring = &self.core.wiring;
        wiring.with(|state, _| state.sessions.principals().cloned().collect())
    }

    /// Compiles the filters of subscriptions that will be served, before any lock is taken.
    fn compile_followers(&self, owner: &Principal) -> Compiled {
        let absent = self.core.wiring.with(|state, _| state.followers(owner));
        let absent = absent.into_iter().filter(|entry| entry.absent);
        let compile = |entry: Arc<SubscriptionEntry>| {
            // What names methods that are gone is served for the others.
            let filter = self.examine(&entry.record).ok()?.compiled()?;
            Some((entry.key(), (entry, Some(filter))))
        };
        absent.filter_map(compile).collect()
    }
}

/// Subscription -> its entry and the filter that was compiled of it. Dropped without a lock, as an
/// entry may be the last to hold the user's object.
type Compiled = HashMap<SubscriptionKey, (Arc<SubscriptionEntry>, Option<CompiledFilter>)>;

/// Lists the subscriptions of an owner who came or went anew, each in its place.
fn follow(state: &mut State, owner: &Principal, compiled: &mut Compiled, changes: &mut Changes) {
    for entry in state.followers(owner) {
        let known = compiled.get_mut(&entry.key());
        let filter = known.filter(|(of, _)| Arc::ptr_eq(of, &entry));
        let filter = filter.and_then(|(_, filter)| filter.take());
        state.put_subscription(SubscriptionEntry::clone(&entry), filter, changes);
    }
}

/// Returns the principal of this name.
pub(super) fn named(name: &str) -> Result<Principal> {
    Principal::try_from(name)
        .map_err(|error| Error::new(ErrorKind::Invalid, error.to_string()).because(error))
}

impl Session {
    /// Returns who is logged on.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Ends the session, as dropping it does. A fire that began before may still call.
    #[doc(alias = "Logoff")]
    pub fn log_off(self) {}
}

impl Drop for Session {
    fn drop(&mut self) {
        self.wiring.change(|state, changes| {
            if state.sessions.end(&self.principal) {
                follow(state, &self.principal, &mut Compiled::new(), changes);
            }
        });
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

//! Who may do what: roles as they are stored, and the authorizer that decides.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::model::{EventClass, Principal, Right, Role, RoleName};
use crate::notices::{Notice, Notices};
use crate::sync::ArcSwap;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::value::panic_message;

/// Decides who may do what, for a broker that was given it.
///
/// It is asked about what is done through a view of a principal
/// ([`Broker::as_principal`](crate::Broker::as_principal)), never about the broker's own handle. It
/// is asked with no lock held, when something is about to be done; of a publisher object, when that
/// is made, and again by its next fire after a role or a class was changed. A panic counts as no.
///
/// [`RoleAuthorizer`] is one that goes by what is stored.
pub trait Authorizer: Send + Sync + 'static {
    /// Returns whether the principal may do this.
    fn allows(&self, request: &AccessRequest<'_>) -> bool;
}

/// What an [`Authorizer`] is asked: whether this principal has this right to this class.
pub struct AccessRequest<'a> {
    principal: &'a Principal,
    right: Right,
    subject: Subject<'a>,
    held: &'a HeldRoles,
}

/// What a right is to.
#[derive(Clone, Copy)]
pub(crate) enum Subject<'a> {
    /// No class is concerned.
    None,
    Class(&'a EventClass),
    /// A tree of the user's, by its name.
    Tree(&'a str),
}

/// Goes by the roles that are stored and by what classes say of them
/// ([`EventClass::with_access`]): a right that no role has is everybody's, and others belong to
/// those who have one of the roles.
///
/// Where no class is concerned, nobody may define or administer but the
/// [administrators](Self::administrators).
#[derive(Debug, Clone, Default)]
pub struct RoleAuthorizer {
    administrators: Option<String>,
}

/// The stored roles at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Roles(Arc<BTreeMap<RoleName, Role>>);

/// The roles that a principal has, by itself or by other roles.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeldRoles(BTreeSet<String>);

/// The authorizer, and the roles it may go by.
pub(crate) struct Policy {
    authorizer: Option<Box<dyn Authorizer>>,
    roles: ArcSwap<Roles>,
    /// How often roles or classes changed. Raised last: whoever reads it first and the rest
    /// afterwards may err towards asking again only.
    generation: AtomicU64,
    notices: Notices,
}

impl<'a> AccessRequest<'a> {
    /// Returns who wants to do it.
    pub fn principal(&self) -> &'a Principal {
        self.principal
    }

    /// Returns the right that it takes.
    pub fn right(&self) -> Right {
        self.right
    }

    /// Returns the class that it is about. There is none if it is about roles, about a tree, or
    /// about what is bound to no class that is known here.
    pub fn class(&self) -> Option<&'a EventClass> {
        self.subject.class()
    }

    /// Returns the name of the [`Tree`](crate::Tree) that it is about: to read it is
    /// [`Right::Read`], to write it [`Right::Administer`].
    pub fn tree(&self) -> Option<&'a str> {
        match self.subject {
            Subject::Tree(name) => Some(name),
            Subject::None | Subject::Class(_) => None,
        }
    }

    /// Returns whether the principal has this role, by itself or by other roles.
    pub fn has_role(&self, role: &str) -> bool {
        self.held.has(role)
    }
}

impl<'a> Subject<'a> {
    fn class(self) -> Option<&'a EventClass> {
        match self {
            Self::Class(class) => Some(class),
            Self::None | Self::Tree(_) => None,
        }
    }
}

impl<'a> From<Option<&'a EventClass>> for Subject<'a> {
    fn from(class: Option<&'a EventClass>) -> Self {
        class.map_or(Self::None, Self::Class)
    }
}

impl RoleAuthorizer {
    /// Returns one that goes by what classes say, and has no administrators.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives every right, to every class and where none is concerned, to those who have this role.
    #[must_use]
    pub fn administrators(mut self, role: impl Into<String>) -> Self {
        self.administrators = Some(role.into());
        self
    }
}

impl Authorizer for RoleAuthorizer {
    fn allows(&self, request: &AccessRequest<'_>) -> bool {
        let administrators = self.administrators.as_deref();
        if administrators.is_some_and(|role| request.has_role(role)) {
            return true;
        }
        let Some(class) = request.class() else {
            return !matches!(request.right(), Right::Define | Right::Administer);
        };
        let mut roles = class.roles_with(request.right());
        roles.len() == 0 || roles.any(|role| request.has_role(role))
    }
}

impl Roles {
    pub(crate) fn insert(&mut self, name: RoleName, role: Role) -> Option<Role> {
        Arc::make_mut(&mut self.0).insert(name, role)
    }

    pub(crate) fn remove(&mut self, name: &RoleName) -> Option<Role> {
        Arc::make_mut(&mut self.0).remove(name)
    }

    pub(crate) fn get(&self, name: &RoleName) -> Option<&Role> {
        self.0.get(name)
    }

    /// Returns all, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Role> {
        self.0.values()
    }

    /// Returns the roles that a principal has.
    pub(crate) fn held_by(&self, principal: &Principal) -> HeldRoles {
        let mut held: BTreeSet<&str> = BTreeSet::new();
        loop {
            let is_member = |role: &&Role| {
                role.principals().any(|name| name == principal.as_str())
                    || role.roles().any(|name| held.contains(name))
            };
            let more = self.iter().filter(|role| !held.contains(role.name()));
            let more: Vec<_> = more.filter(is_member).map(Role::name).collect();
            if more.is_empty() {
                return HeldRoles(held.into_iter().map(str::to_owned).collect());
            }
            held.extend(more);
        }
    }

    /// Returns the shortest way from a role back to itself that it would have if it were stored:
    /// each is a member of the one before.
    pub(crate) fn circle(&self, role: &Role) -> Option<Vec<String>> {
        let goal = role.name();
        // Role -> the one that it was found a member of.
        let mut found: BTreeMap<&str, &str> = BTreeMap::new();
        let mut waiting = VecDeque::from([role]);
        while let Some(from) = waiting.pop_front() {
            for name in from.roles() {
                if name == goal {
                    return Some(way_back(&found, from.name(), goal));
                }
                if found.contains_key(name) {
                    continue;
                }
                found.insert(name, from.name());
                let name = RoleName::try_from(name).ok();
                waiting.extend(name.and_then(|name| self.get(&name)));
            }
        }
        None
    }
}

/// Returns the way from `goal` to `last`, and on to `goal` again.
fn way_back(found: &BTreeMap<&str, &str>, last: &str, goal: &str) -> Vec<String> {
    let mut way = vec![goal.to_owned()];
    let mut at = last;
    while at != goal {
        way.push(at.to_owned());
        at = found.get(at).copied().unwrap_or(goal);
    }
    way.push(goal.to_owned());
    way.reverse();
    way
}

impl FromIterator<(RoleName, Role)> for Roles {
    fn from_iter<T: IntoIterator<Item = (RoleName, Role)>>(roles: T) -> Self {
        Self(Arc::new(roles.into_iter().collect()))
    }
}

impl HeldRoles {
    pub(crate) fn has(&self, role: &str) -> bool {
        self.0.contains(role)
    }
}

impl Policy {
    pub(crate) fn new(authorizer: Option<Box<dyn Authorizer>>, notices: Notices) -> Self {
        Self {
            authorizer,
            roles: ArcSwap::default(),
            generation: AtomicU64::new(0),
            notices,
        }
    }

    /// Takes over the roles as they are now, after roles or classes were changed.
    pub(crate) fn renew(&self, roles: &Roles) {
        self.roles.store(Arc::new(roles.clone()));
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Returns a number that is another one after every change.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Returns whether anybody has to be asked.
    pub(crate) fn is_enforced(&self) -> bool {
        self.authorizer.is_some()
    }

    /// Returns the roles that a principal has now.
    pub(crate) fn held_by(&self, principal: &Principal) -> HeldRoles {
        self.roles.load().held_by(principal)
    }

    /// Asks the authorizer, which is the user's code: no lock may be held.
    pub(crate) fn allows(
        &self,
        principal: &Principal,
        held: &HeldRoles,
        right: Right,
        subject: Subject<'_>,
    ) -> bool {
        let Some(authorizer) = &self.authorizer else {
            return true;
        };
        let request = AccessRequest {
            principal,
            right,
            subject,
            held,
        };
        match catch_unwind(AssertUnwindSafe(|| authorizer.allows(&request))) {
            Ok(allowed) => allowed,
            Err(payload) => {
                drop(panic_message(payload));
                false
            }
        }
    }

    /// Tells of a refusal.
    pub(crate) fn note(&self, principal: &Principal, right: Right, subject: Subject<'_>) {
        self.notices.push(Notice::Denied {
            principal: principal.to_string(),
            right: right.to_string(),
            class: subject.class().map(|class| class.name().to_owned()),
        });
    }
}

impl fmt::Debug for AccessRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessRequest")
            .field("principal", &self.principal)
            .field("right", &self.right)
            .field("class", &self.class().map(EventClass::name))
            .field("tree", &self.tree())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]
mod tests {
    use super::*;

    fn roles<const N: usize>(roles: [Role; N]) -> Roles {
        let named = |role: Role| (RoleName::try_from(role.name()).unwrap(), role);
        roles.into_iter().map(named).collect()
    }

    #[test]
    fn role_is_held_by_itself_and_by_roles_of_roles() {
        let roles = roles([
            Role::new("traders").with_role("desk").with_principal("bob"),
            Role::new("desk").with_role("night"),
            Role::new("night").with_principal("ann").with_role("absent"),
        ]);
        let held = |name| roles.held_by(&Principal::try_from(name).unwrap());
        assert!(
            ["traders", "desk", "night"]
                .iter()
                .all(|role| held("ann").has(role))
        );
        assert!(held("bob").has("traders") && !held("bob").has("desk"));
        assert!(!held("eve").has("traders") && !held("absent").has("night"));
    }

    #[test]
    fn circle_is_found_however_long_and_a_fork_is_none() {
        let roles = roles([
            Role::new("a").with_role("b").with_role("c"),
            Role::new("b").with_role("c"),
            Role::new("c").with_role("d"),
        ]);
        assert_eq!(roles.circle(&Role::new("d").with_role("e")), None);
        let way = roles.circle(&Role::new("d").with_role("b")).unwrap();
        assert_eq!(way, ["d", "b", "c", "d"]);
        let way = roles.circle(&Role::new("c").with_role("c"));
        assert_eq!(way.unwrap(), ["c", "c"]);
        assert_eq!(roles.circle(&Role::new("a").with_role("b")), None);
    }
}

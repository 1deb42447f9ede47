//! Stored roles: who has which.

use super::Broker;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Revision, Right, Role, RoleName};
use crate::store::Batch;
use crate::store::record::{self, RecordKey};

impl Broker {
    /// Stores a role: adds it, or replaces the one of its name.
    ///
    /// A role that was read from a broker expects to be replaced at the revision at which it was
    /// read. The roles that it names as members need not exist: then nobody has it by them.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) with all that is wrong with the record, or if it would be a
    /// member of itself by way of other roles, which are named;
    /// [`Conflict`](ErrorKind::Conflict) if the role carries a revision and the stored one has
    /// another; [`Denied`](ErrorKind::Denied) if a view lacks the right to define where no class is
    /// concerned; and what the store reports.
    ///
    /// # Consistency
    ///
    /// When it returned, every fire that begins and every call goes by the new members.
    pub fn define_role(&self, role: &Role) -> Result<Revision> {
        let name = role.validate()?;
        self.require(Right::Define, None)?;
        let key = RecordKey::Role(name.clone()).to_bytes();
        let value = record::encode_role(role)?;
        let mut outcome = Ok(Revision::ZERO);
        self.until_quiet(|| {
            let (now, roles) = self
                .core
                .wiring
                .with(|state, _| (state.revision, state.roles.clone()));
            let present = roles.get(&name).and_then(Role::revision);
            if role.revision().is_some() && role.revision() != present {
                outcome = Err(changed(role, present));
                return self.core.check_open();
            }
            if let Some(circle) = roles.circle(role) {
                let way = circle.join(" has ");
                let message = format!("the role {:?} would go in a circle: {way}", role.name());
                return Err(Error::new(ErrorKind::Invalid, message));
            }
            let mut batch = Batch::new();
            // A circle may come of two changes of which neither is one.
            batch.expect_nothing_under(record::PREFIX, now);
            batch.put(key.clone(), value.clone());
            outcome = Ok(self.core.commit(batch)?);
            Ok(())
        })?;
        outcome
    }

    /// Removes a role, also one that cannot be read, and returns whether there was one. What still
    /// names it is then nobody's by it: a class's right, another role, a subscription's demand.
    ///
    /// # Errors
    ///
    /// [`Invalid`](ErrorKind::Invalid) if this is no name for a role,
    /// [`Denied`](ErrorKind::Denied) as [`define_role`](Self::define_role), and what the store
    /// reports.
    pub fn remove_role(&self, name: &str) -> Result<bool> {
        let name = RoleName::try_from(name)
            .map_err(|error| Error::new(ErrorKind::Invalid, error.to_string()).because(error))?;
        self.remove_stored(RecordKey::Role(name).to_bytes(), Right::Define)
    }

    /// Returns the role of this name.
    pub fn role(&self, name: &str) -> Option<Role> {
        let name = RoleName::try_from(name).ok()?;
        let role = self
            .core
            .wiring
            .with(|state, _| state.roles.get(&name).cloned());
        role.filter(|_| self.access().may_read(None))
    }

    /// Returns all roles, by name; to a view that may not read where no class is concerned, none.
    pub fn roles(&self) -> Vec<Role> {
        if !self.access().may_read(None) {
            return Vec::new();
        }
        let roles = self.core.wiring.with(|state, _| state.roles.clone());
        roles.iter().cloned().collect()
    }
}

fn changed(role: &Role, present: Option<Revision>) -> Error {
    let found = match present {
        Some(revision) => format!("at revision {revision}"),
        None => "absent".to_owned(),
    };
    let message = format!(
        "the role {:?} was read before somebody changed it: it is {found}",
        role.name()
    );
    Error::new(ErrorKind::Conflict, message)
}

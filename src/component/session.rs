//! Who is logged on.

use std::collections::BTreeMap;

use crate::model::Principal;

/// Principals, and how many sessions each has.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    counts: BTreeMap<Principal, usize>,
}

impl Sessions {
    /// Begins a session and returns whether it is the principal's first.
    pub(crate) fn begin(&mut self, principal: &Principal) -> bool {
        let count = self.counts.entry(principal.clone()).or_default();
        *count += 1;
        *count == 1
    }

    /// Ends a session and returns whether it was the principal's last.
    pub(crate) fn end(&mut self, principal: &Principal) -> bool {
        let Some(count) = self.counts.get_mut(principal) else {
            return false;
        };
        *count -= 1;
        let is_last = *count == 0;
        if is_last {
            self.counts.remove(principal);
        }
        is_last
    }

    /// Returns whether the principal has a session.
    pub(crate) fn has(&self, principal: &Principal) -> bool {
        self.counts.contains_key(principal)
    }

    /// Returns who has a session, by name.
    pub(crate) fn principals(&self) -> impl Iterator<Item = &Principal> {
        self.counts.keys()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]
mod tests {
    use super::*;

    #[test]
    fn first_and_last_session_of_a_principal_are_told() {
        let (ann, bob) = (
            Principal::try_from("ann").unwrap(),
            Principal::try_from("bob").unwrap(),
        );
        let mut sessions = Sessions::default();
        assert!(sessions.begin(&bob));
        assert_eq!((sessions.begin(&ann), sessions.begin(&ann)), (true, false));
        assert!(sessions.principals().eq([&ann, &bob]));
        assert_eq!((sessions.end(&ann), sessions.has(&ann)), (false, true));
        assert_eq!((sessions.end(&ann), sessions.has(&ann)), (true, false));
        assert_eq!((sessions.end(&ann), sessions.has(&bob)), (false, true));
    }
}

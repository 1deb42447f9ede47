//! What changes mean to single channels: the subscriptions that came and went, by their bindings.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::state::Changes;
use crate::model::{EventClassId, Subscription};
use crate::publish::{Added, SECTION, SubscriptionEntry, SubscriptionKey};
use crate::value::InterfaceId;

/// Subscriptions that came and went, gone through once, however many channels there are.
#[derive(Default)]
pub(super) struct Groups {
    /// binding -> those that are bound so
    by_binding: HashMap<Bound, Group>,
    classes: HashSet<EventClassId>,
    /// Whether some are bound to no class, and so may concern any.
    of_any_class: bool,
}

type Bound = (Option<EventClassId>, Option<InterfaceId>);

#[derive(Default)]
struct Group {
    removed: Vec<Arc<SubscriptionEntry>>,
    added: Vec<Added>,
}

/// Subscriptions that come and go together.
pub(super) struct Section<'a> {
    pub(super) removed: Vec<Arc<SubscriptionEntry>>,
    pub(super) added: Vec<&'a mut Added>,
}

impl Groups {
    /// Takes what came out of the changes; what went stays, for those who tell of it.
    pub(super) fn new(changes: &mut Changes) -> Self {
        let mut groups = Self::default();
        for entry in &changes.removed {
            let group = groups.group(&entry.record);
            group.removed.push(Arc::clone(entry));
        }
        for added in changes.added.drain(..) {
            groups.group(&added.entry.record).added.push(added);
        }
        groups
    }

    fn group(&mut self, record: &Subscription) -> &mut Group {
        let binding = record.binding();
        match binding.class() {
            Some(class) => _ = self.classes.insert(class),
            None => self.of_any_class = true,
        }
        let bound = (binding.class(), binding.interface());
        self.by_binding.entry(bound).or_default()
    }

    /// Returns whether some are bound to no class, and so may concern any.
    pub(super) fn are_of_any_class(&self) -> bool {
        self.of_any_class
    }

    /// Returns the classes that some are bound to.
    pub(super) fn classes(&self) -> impl Iterator<Item = EventClassId> {
        self.classes.iter().copied()
    }

    /// Returns what concerns a channel: as one section, which every fire sees whole or not at all,
    /// or if they are very many in sections of at most `limit`. What replaces an entry comes in the
    /// same section as that goes, so that no fire misses both.
    pub(super) fn sections(
        &mut self,
        class: EventClassId,
        interface: InterfaceId,
        limit: usize,
    ) -> Vec<Section<'_>> {
        let (class, interface) = (Some(class), Some(interface));
        let bound = [(class, None), (class, interface), (None, interface)];
        let bound = self.by_binding.get_disjoint_mut(bound.each_ref());
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        for group in bound.into_iter().flatten() {
            removed.extend(group.removed.iter().cloned());
            added.extend(&mut group.added);
        }
        if removed.len() + added.len() <= SECTION {
            let is_empty = removed.is_empty() && added.is_empty();
            return Vec::from_iter((!is_empty).then_some(Section { removed, added }));
        }
        split(removed, added, limit)
    }
}

fn split<'a>(
    removed: Vec<Arc<SubscriptionEntry>>,
    added: Vec<&'a mut Added>,
    limit: usize,
) -> Vec<Section<'a>> {
    let mut gone: HashMap<SubscriptionKey, Vec<_>> = HashMap::new();
    for entry in removed {
        gone.entry(entry.key()).or_default().push(entry);
    }
    let (filtered, loose): (Vec<_>, Vec<_>) =
        added.into_iter().partition(|it| it.entry.may_be_filtered());
    // Each section of the loose ones would make new lanes of all: they are one.
    let mut parts = Vec::new();
    if !loose.is_empty() {
        parts.push(loose);
    }
    let mut filtered = filtered.into_iter();
    while filtered.len() > 0 {
        parts.push(filtered.by_ref().take(limit).collect());
    }
    let mut sections = Vec::new();
    for added in parts {
        let replaced = added
            .iter()
            .filter_map(|added| gone.remove(&added.entry.key()));
        let removed = replaced.flatten().collect();
        sections.push(Section { removed, added });
    }
    let rest = gone.into_values().flatten();
    let (filtered, loose): (Vec<_>, Vec<_>) = rest.partition(|it| it.may_be_filtered());
    let parts = filtered.chunks(SECTION).map(<[_]>::to_vec);
    let parts = parts.chain((!loose.is_empty()).then_some(loose));
    sections.extend(parts.map(|removed| Section {
        removed,
        added: Vec::new(),
    }));
    sections
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]
mod tests {
    use super::*;
    use crate::store::record::StoredSubscription;
    use crate::{Subscription, SubscriptionId};

    fn class(id: u128) -> EventClassId {
        EventClassId::from_u128(id)
    }

    fn interface(id: u128) -> InterfaceId {
        InterfaceId::from_u128(id)
    }

    fn entry(id: u128, of_class: Option<u128>, filter: &str) -> Arc<SubscriptionEntry> {
        let record = Subscription::builder("a").id(SubscriptionId::from_u128(id));
        let record = match of_class {
            Some(id) => record.class(class(id)),
            None => record.interface(interface(1)),
        };
        let record = record.filter(filter).component("nobody").build().unwrap();
        Arc::new(SubscriptionEntry::from(StoredSubscription {
            record,
            order: 0,
            ensured: None,
        }))
    }

    fn groups(
        removed: impl IntoIterator<Item = Arc<SubscriptionEntry>>,
        added: impl IntoIterator<Item = Arc<SubscriptionEntry>>,
    ) -> Groups {
        let added = added.into_iter().map(|entry| Added {
            entry,
            compiled: None,
        });
        let mut changes = Changes {
            removed: removed.into_iter().collect(),
            added: added.collect(),
            ..Changes::default()
        };
        Groups::new(&mut changes)
    }

    #[test]
    fn channel_has_what_is_bound_to_its_class_or_to_its_interface_alone() {
        let mut groups = groups([entry(1, Some(1), "x > 1")], [entry(2, Some(2), "x > 1")]);
        assert!(!groups.are_of_any_class());
        let sections = groups.sections(class(1), interface(1), SECTION);
        assert_eq!((sections[0].removed.len(), sections[0].added.len()), (1, 0));
        assert!(groups.sections(class(3), interface(1), SECTION).is_empty());

        let mut groups = self::groups([], [entry(1, Some(1), "x > 1"), entry(2, None, "x > 1")]);
        assert!(groups.are_of_any_class());
        assert_eq!(
            groups.sections(class(1), interface(1), SECTION)[0]
                .added
                .len(),
            2
        );
        assert_eq!(
            groups.sections(class(2), interface(1), SECTION)[0]
                .added
                .len(),
            1
        );
        assert!(groups.sections(class(2), interface(2), SECTION).is_empty());
    }

    #[test]
    fn what_is_bound_otherwise_now_comes_in_the_section_in_which_it_goes() {
        let count = 2 * u128::try_from(SECTION).unwrap();
        let removed = (0..count).map(|id| entry(id, Some(1), "x > 1"));
        let added = (0..count).rev().map(|id| entry(id, None, "x > 2"));
        let mut groups = groups(removed, added);
        let sections = groups.sections(class(1), interface(1), SECTION);
        assert_eq!(sections.len(), 2);
        for section in sections {
            let gone: HashSet<_> = section.removed.iter().map(|it| it.record.id()).collect();
            assert_eq!(gone.len(), SECTION);
            let mut added = section.added.iter();
            assert!(added.all(|added| gone.contains(&added.entry.record.id())));
        }
    }
}

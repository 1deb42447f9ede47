//! What the broker shows, compared with what the model has.

use std::collections::BTreeMap;

use loosely::SubscriptionStatus;

use crate::machine::{Checked, Machine};
use crate::model::{Called, Model};
use crate::operations::{CLASSES, Operation, TREES};
use crate::program::{text, tree_name};
use crate::records::{class_id, class_of, id_of, slot_of};
use crate::subscriber::Call;

impl Machine {
    /// Compares the subscriptions that an operation names: all of them would take longer than
    /// everything else.
    pub(crate) fn check_slots(&self, operation: &Operation) -> Checked {
        for slot in operation.slots() {
            let found = self.program.broker.subscription(id_of(slot));
            let found = found.map(|record| record.without_revision());
            let expected = self.model.records.get(&slot).map(|it| it.wish.to_record());
            if found != expected {
                return Err(format!("slot {slot} is {found:?}, not {expected:?}"));
            }
        }
        Ok(())
    }

    /// Checks whom a fire has called itself, and in which order.
    pub(crate) fn check_called(
        &self,
        operation: &Operation,
        serial: u64,
        calls: &[Call],
    ) -> Checked {
        let Operation::Fire(shot) = operation else {
            return Ok(());
        };
        let class = self.model.classes[shot.class];
        let is_parallel = class.is_some_and(|class| class.value.parallel);
        let expected = self.model.called.iter().map(|called| {
            let fails = self.model.flawed[called.component] && shot.amount < 0;
            (*called, (serial, shot.symbol, shot.amount, 1, fails))
        });
        let found = calls.iter().filter_map(|call| {
            let slot = slot_of(call.subscription)?;
            let called = Called {
                slot,
                component: call.component,
                priority: self.model.records.get(&slot)?.wish.priority,
            };
            let what = (
                call.serial,
                call.symbol,
                call.amount,
                call.attempt,
                call.failed,
            );
            Some((called, what))
        });
        let (mut expected, mut found): (Vec<_>, Vec<_>) = (expected.collect(), found.collect());
        if is_parallel {
            // Those of one priority come in any order.
            expected.sort_by_key(|(called, _)| (-called.priority, called.slot));
            let is_ordered = found.is_sorted_by_key(|(called, _)| -called.priority);
            if !is_ordered {
                return Err(format!(
                    "{found:?} came in another order than their priorities'"
                ));
            }
            found.sort_by_key(|(called, _)| (-called.priority, called.slot));
        }
        match found == expected {
            true => Ok(()),
            false => Err(format!("it called {found:?}, not {expected:?}")),
        }
    }

    pub(crate) fn check_all(&self, model: &Model) -> Checked {
        self.check_records(model)?;
        self.check_classes(model)?;
        self.check_trees(model)?;
        let found = self.program.letters()?;
        let expected = model.letters();
        match found == expected {
            true => Ok(()),
            false => Err(format!("dead letters {found:?}, not {expected:?}")),
        }
    }

    fn check_records(&self, model: &Model) -> Checked {
        let found = self.program.broker.subscriptions("ALL").map_err(text)?;
        let found: Vec<_> = found.into_iter().map(|it| it.without_revision()).collect();
        let expected = model.in_store_order();
        let records: Vec<_> = expected.iter().map(|it| it.wish.to_record()).collect();
        if found != records {
            return Err(format!("{found:#?} are stored, not {records:#?}"));
        }
        for record in expected {
            let slot = record.wish.slot;
            let is_known = |class: &usize| model.classes[*class].is_some();
            let known = match class_of(slot) {
                Some(class) => is_known(&class),
                None => (0..CLASSES).any(|class| is_known(&class)),
            };
            let expected = match (record.wish.enabled, known) {
                (false, _) => SubscriptionStatus::Disabled,
                (true, true) => SubscriptionStatus::Active,
                (true, false) => SubscriptionStatus::Unchecked,
            };
            let found = self.program.broker.status(id_of(slot));
            if found.as_ref() != Some(&expected) {
                return Err(format!("slot {slot} is {found:?}, not {expected:?}"));
            }
        }
        Ok(())
    }

    fn check_classes(&self, model: &Model) -> Checked {
        for (class, expected) in model.classes.iter().enumerate() {
            let found = self.program.broker.class(class_id(class));
            let of = |class: &loosely::EventClass| {
                let detached = class.delivery().is_some();
                let text = class.description().map(str::to_owned);
                (class.firing(), detached, text)
            };
            let expected = expected.map(|it| of(&it.value.new_class(class)));
            let found = found.as_ref().map(of);
            if found != expected {
                return Err(format!("class {class} is {found:?}, not {expected:?}"));
            }
        }
        Ok(())
    }

    fn check_trees(&self, model: &Model) -> Checked {
        for tree in 0..TREES {
            let broker = &self.program.broker;
            let pairs = broker.tree(tree_name(tree)).map_err(text)?;
            let pairs = pairs.starting_with("").map_err(text)?;
            let pairs: Result<Vec<_>, _> = pairs.collect();
            let pairs = pairs.map_err(text)?.into_iter();
            let found: BTreeMap<_, _> = pairs.map(|(key, value)| (key[0], value[0])).collect();
            let expected = &model.trees[tree];
            if found != *expected {
                return Err(format!("tree {tree} is {found:?}, not {expected:?}"));
            }
        }
        Ok(())
    }
}

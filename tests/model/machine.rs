//! A case: each operation is done by the program and by the model, and both are compared.

use loosely::ErrorKind;

use crate::model::{Model, Outcome};
use crate::operations::{Bound, Crash, Instances, Mode, Operation, SLOTS, Shot, Staff, Step, Wish};
use crate::program::{LONG, Medium, Program};
use crate::records::{class_of, id_of, is_bound, slot_of};
use crate::subscriber::Call;

pub(crate) struct Machine {
    pub(crate) program: Program,
    pub(crate) model: Model,
    /// The number of the next event.
    serial: u64,
}

pub(crate) type Checked = Result<(), String>;

/// Plays a case, and says what was not as expected.
pub(crate) fn play(operations: &[Operation], medium: Medium) -> Checked {
    let model = Model::new();
    let mut machine = Machine {
        program: Program::begin(medium, model.flawed)?,
        model,
        serial: 0,
    };
    for (place, operation) in operations.iter().enumerate() {
        let done = machine.step(operation);
        done.map_err(|why| format!("{place}. {operation:?}: {why}"))?;
    }
    machine
        .settle()
        .map_err(|why| format!("at the end: {why}"))?;
    machine
        .close([true; 3])
        .map_err(|why| format!("reopened: {why}"))?;
    machine
        .settle()
        .map_err(|why| format!("behind the end: {why}"))
}

impl Machine {
    fn step(&mut self, operation: &Operation) -> Checked {
        let Some(operation) = self.adapted(operation)? else {
            return Ok(());
        };
        match &operation {
            Operation::Settle => self.settle(),
            Operation::Close(staff) => self.close(*staff),
            Operation::Crash(crash) if self.program.is_volatile() => self.crash(crash),
            Operation::Crash(crash) => {
                let during = crash.during.as_deref();
                during.map_or(Ok(()), |it| self.perform(it))?;
                self.close(crash.staff)
            }
            operation => self.perform(operation),
        }
    }

    fn perform(&mut self, operation: &Operation) -> Checked {
        let letter = self.letter(operation);
        let serial = self.next_serial(operation);
        let expected = self.model.apply(operation, serial);
        let found = self.program.perform(operation, serial, letter)?;
        if let Operation::Turn(component) = operation {
            let is_flawed = self.model.flawed[*component];
            self.program.tape.turn(*component, is_flawed);
        }
        if found != expected {
            return Err(format!("{found:?}, not {expected:?}"));
        }
        let calls = self.program.tape.take();
        let (called, calls) = self.of_fire(operation, serial, calls);
        self.check_called(operation, serial, &called)?;
        see(&mut self.model, &calls)?;
        self.check_slots(operation)
    }

    /// Returns the dead letter that an operation is about, before it is done.
    fn letter(&self, operation: &Operation) -> Option<(usize, u64)> {
        match operation {
            Operation::Replay(nth) | Operation::Purge(nth) => self.model.nth_letter(*nth),
            _ => None,
        }
    }

    /// Returns the number of the first event of an operation.
    fn next_serial(&mut self, operation: &Operation) -> u64 {
        let first = self.serial;
        self.serial += operation.shots().len() as u64;
        first
    }

    /// Returns the operation as it can be done now, and foretold; nothing if it cannot.
    fn adapted(&mut self, operation: &Operation) -> Result<Option<Operation>, String> {
        if self.is_racing(operation) {
            self.settle()?;
        }
        Ok(Some(match operation {
            Operation::Ensure(wish) => Operation::Ensure(self.possible(*wish)),
            Operation::Store(wish) => Operation::Store(self.possible(*wish)),
            Operation::Update(wish, of) => Operation::Update(self.possible(*wish), *of),
            Operation::UnregisterClass(class, _) => {
                // What waits for the class would wait for its return.
                let is_such = |shot: &Shot| shot.class == *class;
                let waits = (0..SLOTS).any(|slot| self.waits(slot, is_such));
                match waits {
                    true => return Ok(None),
                    false => operation.clone(),
                }
            }
            Operation::Replay(nth) => {
                let letter = self.model.nth_letter(*nth);
                let shot = letter.and_then(|letter| self.model.shot_of_letter(letter));
                match shot.is_some_and(|shot| self.model.classes[shot.class].is_none()) {
                    true => return Ok(None),
                    false => operation.clone(),
                }
            }
            Operation::Fire(_) | Operation::Transaction(_) if self.is_behind(operation) => {
                return Ok(None);
            }
            Operation::Transaction(steps) => {
                let fires = steps.iter().any(|step| step.shot().is_some());
                let steps = steps.iter().map(|step| match step {
                    Step::Ensure(wish) => Step::Ensure(self.possible_beside(*wish, fires)),
                    Step::Store(wish) => Step::Store(self.possible_beside(*wish, fires)),
                    step => step.clone(),
                });
                Operation::Transaction(steps.collect())
            }
            Operation::Crash(crash) => {
                let during = match &crash.during {
                    Some(during) => self.adapted(during)?.map(Box::new),
                    None => None,
                };
                Operation::Crash(Crash {
                    during,
                    ..crash.clone()
                })
            }
            operation => operation.clone(),
        }))
    }

    /// Returns a wish that can be foretold: a subscription with events that may fail stays what it
    /// is, since a queue that ends goes by another schedule.
    fn possible(&self, wish: Wish) -> Wish {
        let mut wish = wish.fitting();
        if let Some(present) = self.model.records.get(&wish.slot)
            && present.wish.mode.is_queued()
            && self.waits(wish.slot, |shot| shot.amount < 0)
        {
            wish.mode = present.wish.mode;
        }
        wish
    }

    /// As [`possible`](Self::possible), in a transaction that may fire: one that has a queue before
    /// keeps it.
    fn possible_beside(&self, wish: Wish, fires: bool) -> Wish {
        let mut wish = self.possible(wish);
        let present = self.model.records.get(&wish.slot).map(|it| it.wish.mode);
        if let Some(mode) = present.filter(|mode| fires && mode.is_queued()) {
            wish.mode = mode;
        }
        wish
    }

    /// Returns whether an operation fires at a subscription which an event would reach behind what
    /// waits in its lane, or at once if that is empty by then.
    fn is_behind(&self, operation: &Operation) -> bool {
        let shots = operation.shots();
        let is_behind = |slot: usize| {
            let backlog = &self.model.backlogs[slot];
            let record = self.model.records.get(&slot);
            record.is_some_and(|record| match record.wish.mode {
                Mode::Queued | Mode::Keyed | Mode::Keeping => false,
                Mode::Detached => backlog.any_queued(|_| true),
                Mode::Unsaid | Mode::Inline => !backlog.is_quiet(),
            })
        };
        let reaches = |slot: usize| shots.iter().any(|shot| is_bound(slot, *shot));
        (0..SLOTS).any(|slot| reaches(slot) && is_behind(slot))
    }

    /// Returns whether it matters to an operation what is done meanwhile.
    fn is_racing(&self, operation: &Operation) -> bool {
        let fails = |slot: usize| self.is_open(slot, |shot| shot.amount < 0);
        match operation {
            Operation::Turn(_) | Operation::Replay(_) | Operation::Purge(_) => true,
            Operation::Remove(slot) => fails(*slot),
            Operation::UnregisterClass(class, bound) => {
                let is_such = |shot: &Shot| shot.class == *class;
                let is_removed = |slot| *bound == Bound::Remove && class_of(slot) == Some(*class);
                (0..SLOTS)
                    .any(|slot| self.is_open(slot, is_such) || (is_removed(slot) && fails(slot)))
            }
            Operation::Ensure(wish) | Operation::Store(wish) | Operation::Update(wish, _) => {
                self.is_moved(wish)
            }
            Operation::Fire(_) => self.is_behind(operation),
            Operation::Transaction(steps) => {
                let is_racing = |step: &Step| match step {
                    Step::Remove(slot) => fails(*slot),
                    Step::Ensure(wish) | Step::Store(wish) => self.is_moved(wish),
                    _ => false,
                };
                steps.iter().any(is_racing) || self.is_behind(operation)
            }
            Operation::Crash(Crash { during, .. }) => during
                .as_deref()
                .is_some_and(|during| self.is_racing(during)),
            _ => false,
        }
    }

    /// Returns whether a wish may have what is in the lane of its slot stored in a queue, or what
    /// is in its queue delivered by other rules.
    fn is_moved(&self, wish: &Wish) -> bool {
        let record = self.model.records.get(&wish.slot);
        let is_moved = record.is_some_and(|it| it.wish.mode.is_queued() != wish.mode.is_queued());
        is_moved && self.model.backlogs[wish.slot].is_busy()
    }

    fn waits(&self, slot: usize, is_such: impl Fn(&Shot) -> bool) -> bool {
        self.model.backlogs[slot].any_queued(|due| is_such(&due.shot))
    }

    /// Returns whether an event waits in a queue, or its end may not be stored.
    fn is_open(&self, slot: usize, is_such: impl Fn(&Shot) -> bool) -> bool {
        self.model.backlogs[slot].any_open(|due| is_such(&due.shot))
    }

    /// Tells the calls that a fire has made itself from the others.
    fn of_fire(
        &self,
        operation: &Operation,
        serial: u64,
        calls: Vec<Call>,
    ) -> (Vec<Call>, Vec<Call>) {
        let is_fire = matches!(operation, Operation::Fire(_));
        let called = &self.model.called;
        calls.into_iter().partition(|call| {
            let slot = slot_of(call.subscription);
            let is_called = called.iter().any(|called| Some(called.slot) == slot);
            is_fire && call.serial == serial && is_called
        })
    }

    /// Waits until nothing is left to do, and compares all there is.
    fn settle(&mut self) -> Checked {
        if !self.program.broker.idle(LONG) {
            return Err("there is no end to what is to be done".to_owned());
        }
        see(&mut self.model, &self.program.tape.take())?;
        for slot in 0..SLOTS {
            let component = self.model.records.get(&slot).map(|it| it.wish.component);
            let flows = self.model.flows(slot);
            let settled = self.model.backlogs[slot].settle(flows, component);
            settled.map_err(|why| format!("slot {slot}: {why}"))?;
        }
        self.count()?;
        self.check_all(&self.model)
    }

    /// Compares how many events wait.
    fn count(&mut self) -> Checked {
        for slot in self.model.records.keys().copied() {
            let health = self.program.broker.subscription_health(id_of(slot));
            let health = health.ok_or_else(|| format!("slot {slot} has no health"))?;
            let counted = self.model.backlogs[slot].count(health.waiting());
            counted.map_err(|why| format!("slot {slot}: {why}"))?;
        }
        Ok(())
    }

    fn close(&mut self, staff: Staff) -> Checked {
        self.program.close()?;
        see(&mut self.model, &self.program.tape.take())?;
        self.program.restart(self.model.flawed)?;
        self.model.close(&self.program.letters()?)?;
        self.model.components = Default::default();
        self.check_all(&self.model)?;
        self.count()?;
        self.begin(staff)
    }

    /// Registers the components with which a program begins.
    fn begin(&mut self, staff: Staff) -> Checked {
        for (number, _) in staff
            .into_iter()
            .enumerate()
            .filter(|(_, is_there)| *is_there)
        {
            self.perform(&Operation::RegisterComponent(number, Instances::One))?;
        }
        Ok(())
    }

    /// Ends the program without a word, in the midst of an operation.
    fn crash(&mut self, crash: &Crash) -> Checked {
        self.program.arm(crash);
        let mut candidates = vec![self.model.clone()];
        let mut calls = Vec::new();
        if let Some(operation) = crash.during.as_deref() {
            let letter = self.letter(operation);
            let serial = self.next_serial(operation);
            let expected = self.model.apply(operation, serial);
            let found = self.program.perform(operation, serial, letter)?;
            self.program.cut(crash.kept);
            let all = self.program.tape.take();
            let called;
            (called, calls) = self.of_fire(operation, serial, all);
            match (&found, &expected) {
                _ if found == expected => candidates = vec![self.model.clone()],
                (Outcome::Fired(found), Outcome::Fired(expected)) if found.is_cut(expected) => {
                    self.model.doubt(serial..serial + 1);
                    candidates = vec![self.model.clone()];
                }
                (Outcome::Refused(kind), _) if is_cut(*kind) => {
                    // Of a fire that was refused nothing was fired.
                    if !matches!(operation, Operation::Fire(_)) {
                        candidates.push(self.model.clone());
                    }
                }
                _ => return Err(format!("{found:?}, not {expected:?}, on its way out")),
            }
            if matches!(found, Outcome::Fired(_)) {
                self.check_called(operation, serial, &called)?;
            }
        } else {
            self.program.cut(crash.kept);
            calls.extend(self.program.tape.take());
        }
        self.resume(candidates, &calls)?;
        self.begin(crash.staff)
    }

    /// Begins again after a crash, and finds which of the candidates is true.
    fn resume(&mut self, candidates: Vec<Model>, calls: &[Call]) -> Checked {
        self.program.restart(self.model.flawed)?;
        let letters = self.program.letters()?;
        let (mut fitting, mut why) = (Vec::new(), String::new());
        let count = candidates.len();
        for mut model in candidates {
            model.blur();
            let seen = see(&mut model, calls);
            model.crash(&letters);
            model.components = Default::default();
            match seen.and_then(|()| self.check_all(&model)) {
                Ok(()) => fitting.push(model),
                Err(error) => why = format!("{why}\n{error}"),
            }
        }
        let is_open = fitting.len() > 1;
        self.model = fitting
            .pop()
            .ok_or(format!("none of {count} is true: {why}"))?;
        if is_open {
            // Nothing tells whether it was done, nor of which revision the records are.
            self.model.doubt(self.serial.saturating_sub(8)..self.serial);
            self.model.forget_read();
            self.program.forget_read();
        }
        self.count()
    }
}

fn see(model: &mut Model, calls: &[Call]) -> Checked {
    for call in calls {
        let slot = slot_of(call.subscription).ok_or("a call of nobody's")?;
        let is_flawed = model.flawed[call.component];
        let seen = model.backlogs[slot].saw(call, is_flawed);
        seen.map_err(|why| format!("slot {slot}: {why}"))?;
    }
    Ok(())
}

/// Returns whether an operation may end so when the power is cut.
fn is_cut(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::Uncertain)
}

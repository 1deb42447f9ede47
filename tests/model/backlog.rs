//! What a subscription is still to have, and what it had.

use crate::operations::{COMPONENTS, Shot};
use crate::records::ATTEMPTS;
use crate::subscriber::Call;

/// What one subscription, or the ones that had its id, is to have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Backlog {
    /// In the order of acceptance.
    dues: Vec<Due>,
    /// What it had since it was last known that this is stored.
    settling: Vec<Due>,
    /// The dead letters, in the order in which their events were accepted.
    letters: Vec<Due>,
    /// Whether queued events could be delivered at any time since all was settled.
    flowed: bool,
    /// Which components may have been called since then.
    served: [bool; COMPONENTS],
    /// Whether anything was on its way since then: who calls may not be through with it.
    is_busy: bool,
}

/// An event that is to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) serial: u64,
    pub(crate) shot: Shot,
    pub(crate) way: Way,
    /// Its place in the order of acceptance of all events.
    pub(crate) number: u64,
    pub(crate) attempts: u32,
    /// Whether attempts may have been forgotten.
    is_vague: bool,
    /// Whether the last attempt may not have counted, as the program was being closed.
    is_doubtful: bool,
    /// Whether an attempt has failed since all was settled.
    has_failed: bool,
    pub(crate) certainty: Certainty,
}

/// How an event comes: those that come the same way come in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Lane,
    /// At once, behind a commit.
    Apart,
    Queue,
    Keyed(Option<char>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// It comes.
    Must,
    /// It comes, or it came, or it was not stored.
    May,
    /// It was given up, and may be under way.
    GivenUp,
}

impl Due {
    pub(crate) fn new(serial: u64, shot: Shot, way: Way, number: u64) -> Self {
        Self {
            serial,
            shot,
            way,
            number,
            attempts: 0,
            is_vague: false,
            is_doubtful: false,
            has_failed: false,
            certainty: Certainty::Must,
        }
    }

    pub(crate) fn is_queued(&self) -> bool {
        !matches!(self.way, Way::Lane | Way::Apart)
    }

    fn is(&self, call: &Call) -> bool {
        let least = match (self.is_vague, self.is_doubtful) {
            (true, _) => 1,
            (false, true) => self.attempts,
            (false, false) => self.attempts + 1,
        };
        let attempt = (least..=self.attempts + 1).contains(&call.attempt);
        let is_like = (self.shot.symbol, self.shot.amount) == (call.symbol, call.amount);
        self.serial == call.serial && is_like && attempt
    }
}

impl Backlog {
    pub(crate) fn add(&mut self, due: Due) {
        self.dues.push(due);
        self.is_busy = true;
    }

    /// Says that a component may be called now, and whether queued events are delivered.
    pub(crate) fn touch(&mut self, component: usize, flows: bool) {
        self.served[component] = true;
        self.flowed |= flows;
        self.is_busy |= flows && !self.dues.is_empty();
    }

    /// Says that nobody knows what was delivered to whom.
    pub(crate) fn blur(&mut self) {
        self.flowed = true;
        self.served = [true; COMPONENTS];
    }

    /// Says that something has changed under the events in the lane which may have kept some of
    /// them from being delivered.
    pub(crate) fn doubt_lane(&mut self, concerned: impl Fn(&Due) -> bool) {
        let lane = self.dues.iter_mut().filter(|due| !due.is_queued());
        for due in lane.filter(|due| concerned(due)) {
            due.certainty = Certainty::May;
        }
    }

    /// Says that the subscription is gone.
    pub(crate) fn give_up(&mut self) {
        for due in &mut self.dues {
            due.certainty = Certainty::GivenUp;
        }
        self.settling.clear();
    }

    /// Says that the event with this serial may not have been stored.
    pub(crate) fn doubt(&mut self, serial: u64) {
        let dues = self.dues.iter_mut();
        for due in dues.filter(|due| due.serial == serial && due.is_queued()) {
            due.certainty = Certainty::May;
        }
    }

    /// Takes in a call.
    pub(crate) fn saw(&mut self, call: &Call, is_flawed: bool) -> Result<(), String> {
        let must_fail = is_flawed && call.amount < 0;
        if call.failed != must_fail || !self.served[call.component] {
            return Err(format!("{call:?} is of another component than was named"));
        }
        let Some(place) = self.place_of(call) else {
            let message = "came, and was not to come now";
            return Err(format!("{call:?} {message}: {:#?}", self.dues));
        };
        let way = self.dues[place].way;
        let certainty = self.dues[place].certainty;
        let mut due = self.dues.remove(place);
        // What is behind it in order was not to come any more.
        let mut index = 0;
        self.dues.retain(|other| {
            let is_before = index < place;
            index += 1;
            let is_passed = is_before && other.way == way && other.certainty == Certainty::May;
            !is_passed || certainty == Certainty::GivenUp
        });
        due.attempts = call.attempt;
        due.is_vague = false;
        due.is_doubtful = false;
        due.has_failed = call.failed;
        // One whose last attempt was stored, but not its end, is tried as often again.
        let is_last = due.attempts.is_multiple_of(ATTEMPTS);
        let is_over = !call.failed || !due.is_queued() || is_last;
        match is_over {
            false => {
                let behind = self.dues.iter().position(|it| it.number > due.number);
                self.dues.insert(behind.unwrap_or(self.dues.len()), due);
            }
            true if due.is_queued() && due.certainty != Certainty::GivenUp => {
                if call.failed {
                    self.bury(due.clone());
                }
                self.settling.push(due);
            }
            true => {}
        }
        Ok(())
    }

    fn place_of(&self, call: &Call) -> Option<usize> {
        let is_next = |place: &usize| {
            let due = &self.dues[*place];
            let is_held_back = |before: &Due| {
                before.way == due.way
                    && due.way != Way::Apart
                    && before.certainty == Certainty::Must
            };
            let holds_back =
                due.certainty != Certainty::GivenUp && self.dues[..*place].iter().any(is_held_back);
            due.is(call) && (self.flowed || !due.is_queued()) && !holds_back
        };
        (0..self.dues.len()).find(is_next)
    }

    fn bury(&mut self, due: Due) {
        let behind = self.letters.iter().position(|it| it.number > due.number);
        self.letters
            .insert(behind.unwrap_or(self.letters.len()), due);
    }

    /// Says that nothing is left to do, and what was done is stored.
    pub(crate) fn settle(&mut self, flows: bool, component: Option<usize>) -> Result<(), String> {
        let is_late = |due: &&Due| due.certainty == Certainty::Must && (flows || !due.is_queued());
        if let Some(late) = self.dues.iter().find(is_late) {
            return Err(format!("{late:?} did not come"));
        }
        let waits = |due: &Due| due.is_queued() && due.certainty != Certainty::GivenUp && !flows;
        self.dues.retain(waits);
        self.dues.iter_mut().for_each(|due| due.has_failed = false);
        self.settling.clear();
        self.is_busy = false;
        self.flowed = flows;
        self.served = [false; COMPONENTS];
        if let Some(component) = component {
            self.served[component] = true;
        }
        Ok(())
    }

    /// Says how many events wait, now that nothing is left to do.
    pub(crate) fn count(&mut self, waiting: usize) -> Result<(), String> {
        let musts = self
            .dues
            .iter()
            .filter(|it| it.certainty == Certainty::Must);
        let (least, most) = (musts.count(), self.dues.len());
        if !(least..=most).contains(&waiting) {
            let dues = &self.dues;
            return Err(format!("{waiting} wait, not {least} to {most}: {dues:#?}"));
        }
        if waiting == least {
            self.dues.retain(|due| due.certainty == Certainty::Must);
        } else if waiting == most {
            self.dues
                .iter_mut()
                .for_each(|due| due.certainty = Certainty::Must);
        }
        Ok(())
    }

    /// Says that the program ended without a word: `letters` are the serials of those dead letters
    /// that its successor finds.
    pub(crate) fn crash(&mut self, letters: &[u64]) {
        self.dues
            .retain(|due| due.is_queued() && due.certainty != Certainty::GivenUp);
        for mut due in std::mem::take(&mut self.settling) {
            let is_buried = self.letters.iter().any(|it| it.number == due.number);
            if is_buried && letters.contains(&due.serial) {
                continue;
            }
            // It was not stored as a letter, and so it waits as before.
            self.letters.retain(|letter| letter.number != due.number);
            due.certainty = match is_buried {
                true => Certainty::Must,
                false => Certainty::May,
            };
            self.dues.push(due);
        }
        self.dues.sort_by_key(|due| due.number);
        self.dues.iter_mut().for_each(|due| due.is_vague = true);
    }

    /// Says that the program ended in good order, which delivers what is in the lane: `letters` are
    /// the serials of those dead letters that its successor finds. What failed meanwhile was no
    /// attempt.
    pub(crate) fn close(&mut self, letters: &[u64]) -> Result<(), String> {
        let is_late = |due: &&Due| due.certainty == Certainty::Must && !due.is_queued();
        if let Some(late) = self.dues.iter().find(is_late) {
            return Err(format!("{late:?} did not come before the end"));
        }
        self.dues
            .retain(|due| due.is_queued() && due.certainty != Certainty::GivenUp);
        for due in std::mem::take(&mut self.settling) {
            let is_buried = self.letters.iter().any(|it| it.number == due.number);
            if is_buried && due.has_failed && !letters.contains(&due.serial) {
                self.letters.retain(|letter| letter.number != due.number);
                self.dues.push(due);
            }
        }
        self.dues.sort_by_key(|due| due.number);
        for due in &mut self.dues {
            due.is_doubtful |= std::mem::take(&mut due.has_failed);
        }
        Ok(())
    }

    pub(crate) fn letters(&self) -> &[Due] {
        &self.letters
    }

    /// Takes a dead letter out.
    pub(crate) fn take_letter(&mut self, serial: u64) -> Option<Due> {
        let place = self
            .letters
            .iter()
            .position(|letter| letter.serial == serial)?;
        let letter = self.letters.remove(place);
        // Whoever finds it a letter finds it stored as one.
        self.settling.retain(|due| due.number != letter.number);
        Some(letter)
    }

    /// Returns whether nothing waits, and nobody is at anything.
    pub(crate) fn is_quiet(&self) -> bool {
        self.dues.is_empty() && !self.is_busy
    }

    /// Returns whether somebody may be at an event.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Returns whether an event of which this is true waits in the queue, or its end may not be
    /// stored.
    pub(crate) fn any_open(&self, is_such: impl Fn(&Due) -> bool) -> bool {
        self.any_queued(&is_such) || self.settling.iter().any(is_such)
    }

    /// Returns whether an event waits in the queue of which this is true.
    pub(crate) fn any_queued(&self, is_such: impl Fn(&Due) -> bool) -> bool {
        self.dues.iter().any(|due| due.is_queued() && is_such(due))
    }
}

//! That something has changed, for those who wait for it.

use std::sync::Arc;

use crate::clock::Alarm;

/// The alarm of something that lives, rung at each of its changes: its end is one too.
#[derive(Debug, Default)]
pub(super) struct Pulse(Arc<Alarm>);

impl Pulse {
    pub(super) fn alarm(&self) -> &Arc<Alarm> {
        &self.0
    }

    /// Tells of a change, which everybody sees by now.
    pub(super) fn beat(&self) {
        self.0.ring();
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.beat();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_and_the_end_are_told() {
        let pulse = Pulse::default();
        let alarm = Arc::clone(pulse.alarm());
        let before = alarm.rings();
        pulse.beat();
        let between = alarm.rings();
        assert_ne!(before, between);
        drop(pulse);
        assert_ne!(between, alarm.rings());
    }
}

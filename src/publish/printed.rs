//! What the user's own code prints of itself.

use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::value::panic_message;

/// Prints what may print itself by the user's code, as far as it is kept: to the byte limit, and to
/// a panic. No lock is held for it.
pub(super) fn printed(shown: &dyn fmt::Display) -> Arc<str> {
    let mut text = Bounded(String::new());
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| _ = write!(text, "{shown}"))) {
        drop(panic_message(payload));
    }
    text.0.into()
}

/// A text of so many bytes at most.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let mut fits = more.len().min(BYTES.saturating_sub(self.0.len()));
        while !more.is_char_boundary(fits) {
            fits -= 1;
        }
        self.0.push_str(&more[..fits]);
        // An error ends the printing.
        if fits < more.len() {
            return Err(fmt::Error);
        }
        Ok(())
    }
}

/// More than a person reads of an error.
const BYTES: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    struct Awkward;

    impl fmt::Display for Awkward {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("so far")?;
            std::panic::resume_unwind(Box::new("on purpose"))
        }
    }

    #[test]
    fn what_is_longer_ends_at_a_character() {
        let text = printed(&"\u{e9}".repeat(BYTES));
        assert_eq!(text.len(), BYTES);
        let text = printed(&format!("x{}", "\u{e9}".repeat(BYTES)));
        assert_eq!(text.len(), BYTES - 1);
        assert_eq!(&*printed(&"short"), "short");
    }

    #[test]
    fn what_panics_has_printed_so_much() {
        assert_eq!(&*printed(&Awkward), "so far");
    }
}

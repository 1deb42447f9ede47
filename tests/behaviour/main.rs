//! What the broker promises, a module per noun.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod nesting;

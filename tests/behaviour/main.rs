//! What the broker promises, a module per noun.

mod nesting;

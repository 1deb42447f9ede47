//! The procedural macros of `loosely`; use them through that crate.
#![forbid(unsafe_code)]

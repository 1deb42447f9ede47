//! The whole way from text to a decision.

mod checking;
mod grammar;
mod model;

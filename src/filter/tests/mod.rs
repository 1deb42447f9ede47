//! The whole way from text to a decision.

mod checking;
mod generate;
mod grammar;
mod model;
mod scopes;

//! What the macros make of a trait and of a type.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod conditions;
mod derive;
mod dispatch;
mod events;
mod handlers;
mod parameters;
mod publisher;
mod schema;
mod untyped;

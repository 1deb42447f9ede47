//! What the broker promises, a module per noun.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

mod activation;
mod bag_equality;
mod bindings;
mod class_settings;
mod classes;
mod closing;
mod coherence;
mod components;
mod default_query;
mod drops;
mod dynamic;
mod ensure;
mod evolution;
mod explain;
mod faults;
mod firing;
mod many;
mod nesting;
mod operators;
mod predicates;
mod properties;
mod publisher_filters;
mod query;
mod records;
mod registration;
mod report;
mod roles;
mod serde;
mod sharing;
mod sites;
mod store;
mod support;
mod transient;

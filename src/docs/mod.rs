//! What a user of the crate may want to know beyond the reference, as pages of their own.

pub mod async_programs;
pub mod com_plus;
pub mod guarantees;
pub mod internals;
pub mod seeing;

//! The orders in which threads can go on: the crate's own code under shuttle.
//!
//! Under `--cfg shuttle` the crate's locks, conditions, threads and snapshots are shuttle's, and
//! each model here is run again and again, every time in another order of the steps of its threads:
//! at random, and by PCT, which finds what takes few changes between threads. Every thread has to
//! end: one that nobody wakes is reported as a deadlock. Time stands still.
//!
//! ```text
//! tests/interleavings/run [ORDERS]
//! ```

#[cfg(shuttle)]
mod closing;
#[cfg(shuttle)]
mod commits;
#[cfg(shuttle)]
mod failures;
#[cfg(shuttle)]
mod lanes;
#[cfg(shuttle)]
mod queues;
#[cfg(shuttle)]
mod support;

#[cfg(not(shuttle))]
#[test]
#[ignore = "the models need --cfg shuttle: tests/interleavings/run"]
fn models_hold_in_every_order_tried() {}

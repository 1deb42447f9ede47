//! The store contract, over every store and under every failure.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

mod conformance;
mod expectations;
mod faults;
mod large;
mod pages;
mod support;

#[cfg(feature = "sled")]
mod compaction;
#[cfg(feature = "sled")]
mod copy;
#[cfg(feature = "sled")]
mod damage;
#[cfg(all(feature = "sled", unix))]
mod durability;
#[cfg(all(feature = "sled", target_os = "linux"))]
mod full_disk;
#[cfg(feature = "sled")]
mod idle;
#[cfg(feature = "sled")]
mod opening;
#[cfg(feature = "sled")]
mod queue_damage;
#[cfg(all(feature = "sled", unix))]
mod transactions;

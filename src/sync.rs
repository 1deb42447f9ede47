//! What threads share and wait by, by one name: so that a model checker can take its place.
//!
//! In every ordinary build these are the types of parking_lot, std, arc-swap and crossbeam-channel
//! themselves. Under `--cfg shuttle` they are what stands in `shuttle.rs`: each use is then a point
//! at which [shuttle](https://docs.rs/shuttle) may have another thread go on, and
//! `tests/interleavings` goes through the orders in which it can.
//!
//! Not here is what no order of threads depends on: counters of metrics, numbers that are given
//! once in the process, and the threads that help with a large listing.

#[cfg(shuttle)]
mod shuttle;

#[cfg(not(shuttle))]
pub(crate) use std::sync::{atomic, mpsc};
#[cfg(not(shuttle))]
pub(crate) use std::thread::{self, LocalKey};
#[cfg(not(shuttle))]
pub(crate) use std::thread_local;

#[cfg(not(shuttle))]
pub(crate) use arc_swap::{ArcSwap, ArcSwapOption, Guard};
#[cfg(not(shuttle))]
pub(crate) use crossbeam_channel as channel;
#[cfg(not(shuttle))]
pub(crate) use parking_lot::{
    Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
};

#[cfg(shuttle)]
pub(crate) use self::shuttle::{
    ArcSwap, ArcSwapOption, Condvar, Guard, LocalKey, Mutex, MutexGuard, RwLock, RwLockReadGuard,
    RwLockWriteGuard, atomic, channel, mpsc, thread, thread_local,
};

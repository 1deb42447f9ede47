//! What tells an event from all others.

use std::sync::LazyLock;

use uuid::Uuid;

use crate::value::id::uuid_id;

uuid_id! {
    /// The identity of one fired event.
    EventId, 0x2f1f_8a35_6a4e_4c6b_9d0e_8f7c_51a0_0021
}

/// Returns an id that no other event has: some bits of it are random and the process's own, the
/// others count.
pub(super) fn event_id(sequence: u64) -> EventId {
    static PROCESS: LazyLock<u128> = LazyLock::new(|| Uuid::new_v4().as_u128() << 64);
    let bits = *PROCESS | u128::from(sequence);
    EventId::from_u128(Uuid::new_v8(bits.to_be_bytes()).as_u128())
}

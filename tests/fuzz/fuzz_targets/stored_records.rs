//! Records as the store has them.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| loosely_fuzz::stored_records(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    loosely_fuzz::replay(loosely_fuzz::stored_records)
}

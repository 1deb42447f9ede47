//! Subscriptions as JSON.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| loosely_fuzz::subscription_json(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    loosely_fuzz::replay(loosely_fuzz::subscription_json)
}

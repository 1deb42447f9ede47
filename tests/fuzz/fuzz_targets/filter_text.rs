//! Filter criteria as text.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| loosely_fuzz::filter_text(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    loosely_fuzz::replay(loosely_fuzz::filter_text)
}

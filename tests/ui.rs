//! What the macros accept and refuse, and how they say so.
//!
//! The messages belong to the pinned toolchain; `TRYBUILD=overwrite` writes them anew.

// What the macros say depends on no feature: once with the default ones is enough.
#[cfg(all(feature = "sled", feature = "bincode", not(feature = "tracing")))]
#[test]
fn every_refusal_says_what_to_do_instead() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}

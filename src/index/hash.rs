//! Hashes of what the tables of the index look up.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::LazyLock;

/// What hashes of one index start with: another for each, so that nobody who stores filters can
/// choose ones that collide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seed(u64);

/// A hash in the making.
///
/// Not [`std::hash::Hasher`], as it is passed by value and folds a whole word at a time: looking up
/// the symbols of an event is a tenth of a match.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mixer(u64);

impl Seed {
    /// For keys that are no input of anyone.
    pub(super) const FIXED: Self = Self(0x243F_6A88_85A3_08D3);

    /// For tables that are shared by indexes or made anew too often for a seed of their own.
    pub(super) fn of_process() -> Self {
        static SEED: LazyLock<Seed> = LazyLock::new(Seed::random);
        *SEED
    }

    pub(super) fn random() -> Self {
        Self(RandomState::new().hash_one(0))
    }

    pub(super) fn mixer(self) -> Mixer {
        Mixer(self.0)
    }
}

impl Mixer {
    #[must_use]
    pub(super) fn word(self, word: impl Into<u64>) -> Self {
        Self(fold(self.0 ^ word.into(), ODD))
    }

    #[must_use]
    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        let mut mixer = self.word(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks();
        for word in words {
            mixer = mixer.word(u64::from_le_bytes(*word));
        }
        if rest.is_empty() {
            return mixer;
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        mixer.word(u64::from_le_bytes(last))
    }

    pub(super) fn finish(self) -> u64 {
        fold(self.0, ODD)
    }
}

/// What is formatted is hashed, without ever being a text.
impl fmt::Write for Mixer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        *self = self.bytes(text.as_bytes());
        Ok(())
    }
}

/// Returns the halves of the product, combined: each bit of it depends on all bits of both factors.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the halves are what is combined"
)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// The digits of the golden ratio, as good as any odd number without a pattern.
const ODD: u64 = 0x9E37_79B9_7F4A_7C15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_differ_in_their_end_or_length_differ() {
        let mixer = Seed(7).mixer();
        let texts = ["", "\0", "a", "a\0", "12345678", "12345678\0", "123456789"];
        let mut hashes = texts.map(|text| mixer.bytes(text.as_bytes()).finish());
        hashes.sort_unstable();
        assert!(hashes.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn hashes_of_small_numbers_differ_in_both_ends() {
        let hash = |n: u64| Seed(7).mixer().word(n).finish();
        let distinct = |of: fn(u64) -> u64| {
            let mut all: Vec<_> = (0..64).map(|n| of(hash(n))).collect();
            all.sort_unstable();
            all.dedup();
            all.len()
        };
        assert!(distinct(|hash| hash >> 48) > 60);
        assert!(distinct(|hash| hash & 0xFFFF) > 60);
    }
}

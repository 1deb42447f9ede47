//! The order of calling, for what an index has found.

/// Sorts numbers by their upper halves.
///
/// Digit by digit, from the lowest on, where there are enough to make up for the counting: then each
/// costs a few nanoseconds, however many there are.
pub(super) fn sort_by_upper_half(numbers: &mut Vec<u64>, spare: &mut Vec<u64>) {
    if numbers.len() < BY_DIGITS_FROM {
        numbers.sort_unstable();
        return;
    }
    let first = numbers.first().copied().unwrap_or_default();
    let differing = numbers
        .iter()
        .fold(0, |bits, number| bits | (number ^ first));
    let bits = (u64::BITS - differing.leading_zeros()).saturating_sub(UPPER_HALF);
    let mut shift = UPPER_HALF;
    while shift < UPPER_HALF + bits {
        sort_by_digit(numbers, spare, shift);
        std::mem::swap(numbers, spare);
        shift += DIGIT_BITS;
    }
}

/// Copies the numbers in the order of one digit; equal ones stay in the order they are in.
fn sort_by_digit(numbers: &[u64], sorted: &mut Vec<u64>, shift: u32) {
    let digit = |number: u64| (number >> shift) as usize & (DIGITS - 1);
    let mut places = [0_u32; DIGITS];
    numbers
        .iter()
        .for_each(|number| places[digit(*number)] += 1);
    let mut next = 0;
    for place in &mut places {
        next += std::mem::replace(place, next);
    }
    sorted.clear();
    sorted.resize(numbers.len(), 0);
    for number in numbers {
        let place = &mut places[digit(*number)];
        sorted[*place as usize] = *number;
        *place += 1;
    }
}

/// Where the upper half begins.
pub(super) const UPPER_HALF: u32 = 32;

/// Two digits tell a million subscriptions apart, and the counts of one fill a quarter of the
/// first-level cache.
const DIGIT_BITS: u32 = 11;
const DIGITS: usize = 1 << DIGIT_BITS;

/// Below, comparing is faster than counting.
const BY_DIGITS_FROM: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_are_sorted_by_all_bits_that_differ() {
        for count in [0, 1, 10, BY_DIGITS_FROM, 10 * BY_DIGITS_FROM] {
            for bits in [0, 1, 11, 12, 32] {
                let mut random = 7_u64;
                let mut numbers: Vec<_> = (0..count as u64)
                    .map(|at| {
                        random = random
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1);
                        let upper = random.checked_shr(64 - bits).unwrap_or_default();
                        upper << UPPER_HALF | at
                    })
                    .collect();
                let mut expected = numbers.clone();
                expected.sort_unstable();
                sort_by_upper_half(&mut numbers, &mut Vec::new());
                assert_eq!(numbers, expected, "{count} numbers of {bits} bits");
            }
        }
    }
}

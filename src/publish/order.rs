//! The order of calling, for what an index has found.

use super::hit::Hit;

/// Sorts by the places in store order.
///
/// Digit by digit, from the lowest on, where there are enough to make up for the counting: then
/// each costs a few nanoseconds, however many there are.
pub(super) fn sort_by_order(hits: &mut Vec<Hit>, spare: &mut Vec<Hit>) {
    let longest = match hits.len() {
        ..BY_DIGITS_FROM => return hits.sort_unstable_by_key(|hit| hit.order),
        BY_DIGITS_FROM..BY_LONG_DIGITS_FROM => SHORT,
        _ => LONG,
    };
    let first = hits.first().map_or(0, |hit| hit.order);
    let differing = hits.iter().fold(0, |bits, hit| bits | (hit.order ^ first));
    let bits = u32::BITS - differing.leading_zeros();
    // No longer than so many digits have to be: less to count.
    let digits = bits.div_ceil(longest).max(1);
    let length = bits.div_ceil(digits);
    for digit in 0..digits {
        sort_by_digit(hits, spare, digit * length, length);
        std::mem::swap(hits, spare);
    }
}

/// Copies the hits in the order of the digit from a bit on; equal ones stay in the order they are
/// in.
fn sort_by_digit(hits: &[Hit], sorted: &mut Vec<Hit>, from: u32, length: u32) {
    let mask = (DIGITS - 1) >> (LONG - length);
    let digit = |hit: &Hit| (hit.order >> from) as usize & mask;
    let mut places = [0_u32; DIGITS];
    hits.iter().for_each(|hit| places[digit(hit)] += 1);
    let mut next = 0;
    for place in &mut places[..=mask] {
        next += std::mem::replace(place, next);
    }
    // Whatever it has is overwritten.
    sorted.resize(hits.len(), Hit::NONE);
    for hit in hits {
        let place = &mut places[digit(hit)];
        sorted[*place as usize] = *hit;
        *place += 1;
    }
}

/// The bits of a digit: two tell a million subscriptions apart, and the counts of one fill a
/// quarter of the first-level cache.
const LONG: u32 = 11;
const DIGITS: usize = 1 << LONG;

/// Of fewer hits there are more digits, as the counts would be more than the hits.
const SHORT: u32 = 7;

const BY_LONG_DIGITS_FROM: usize = 1_000;

/// Below, comparing is faster than counting.
const BY_DIGITS_FROM: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_are_sorted_by_all_bits_that_differ() {
        for count in [0, 1, 10, BY_DIGITS_FROM, BY_LONG_DIGITS_FROM] {
            for bits in [0, 1, 7, 8, 11, 12, 32] {
                let mut random = 7_u64;
                let mut hits: Vec<_> = (0..count as u32)
                    .map(|at| {
                        random = random
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1);
                        Hit::loose(random.checked_shr(64 - bits).unwrap_or_default(), at)
                    })
                    .collect();
                let mut expected = hits.clone();
                expected.sort_by_key(|hit| hit.order);
                sort_by_order(&mut hits, &mut Vec::new());
                let orders = |hits: &[Hit]| hits.iter().map(|hit| hit.order).collect::<Vec<_>>();
                assert_eq!(orders(&hits), orders(&expected), "{count} of {bits} bits");
            }
        }
    }
}

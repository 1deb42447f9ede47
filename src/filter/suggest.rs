//! Near misses.

/// Returns the name of `known` that was probably meant, if one is near enough: one edit away for
/// each three characters, letter case aside.
pub(super) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let length = written.chars().count();
    if length > LONGEST {
        return None;
    }
    let limit = length.div_ceil(3);
    known
        .into_iter()
        .filter(|name| name.chars().count().abs_diff(length) <= limit)
        .map(|name| (distance(written, name), name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= limit && *distance < length)
        .map(|(_, name)| name)
}

/// Returns how many insertions, deletions, replacements and swaps of neighbours lie between the
/// two, letter case aside.
fn distance(a: &str, b: &str) -> usize {
    let fold = |text: &str| {
        text.chars()
            .flat_map(char::to_lowercase)
            .collect::<Vec<_>>()
    };
    let (a, b) = (fold(a), fold(b));
    // Rows of the distance table: for the first i - 2, i - 1 and i characters of `a`.
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row[j] = best;
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// The longest name that a suggestion is looked for, in characters: the table is its square, and
/// nobody's typing error is in a longer one.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_found() {
        let known = ["symbol", "price", "volume"];
        assert_eq!(nearest("pirce", known), Some("price"));
        assert_eq!(nearest("Symbol", known), Some("symbol"));
        assert_eq!(nearest("vol", known), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn distance_counts_edits_and_swaps() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("pirce", "price"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("A", "a"), 0);
    }
}

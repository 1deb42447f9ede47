//! Patterns of LIKE.

use super::expr::Collation;

/// A pattern, ready to match.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pattern {
    items: Box<[Item]>,
    collation: Collation,
}

/// What follows the literal start of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nothing: the pattern is plain text.
    Nothing,
    /// Any text.
    Anything,
    /// The rest of the pattern.
    Pattern,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    /// This character.
    One(char),
    /// Any one character.
    Any,
    /// Any text, also none.
    Rest,
}

impl Pattern {
    /// Returns the pattern, or `None` if it ends with its escape character.
    pub(super) fn new(text: &str, escape: Option<char>, collation: Collation) -> Option<Self> {
        let mut items = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let item = match c {
                _ if Some(c) == escape => Item::One(fold(chars.next()?, collation)),
                '%' => Item::Rest,
                '_' => Item::Any,
                _ => Item::One(fold(c, collation)),
            };
            // `%%` is `%`, and costs one step back instead of two.
            if item != Item::Rest || items.last() != Some(&Item::Rest) {
                items.push(item);
            }
        }
        let items = items.into();
        Some(Self { items, collation })
    }

    /// Returns the text that every match starts with, and what may follow it; folded if the
    /// collation folds.
    pub(crate) fn prefix(&self) -> (String, Tail) {
        let literal = |item: &Item| match item {
            Item::One(c) => Some(*c),
            Item::Any | Item::Rest => None,
        };
        let prefix: String = self.items.iter().map_while(literal).collect();
        let tail = match self.items.get(prefix.chars().count()..) {
            None | Some([]) => Tail::Nothing,
            Some([Item::Rest]) => Tail::Anything,
            Some(_) => Tail::Pattern,
        };
        (prefix, tail)
    }

    /// Returns how text is compared.
    pub(crate) fn collation(&self) -> Collation {
        self.collation
    }

    /// Returns whether the whole of `text` matches.
    ///
    /// On a mismatch only the last `%` is widened: an earlier one cannot do better. So the time is
    /// at most the product of both lengths, whatever the pattern.
    pub(super) fn matches(&self, text: &str) -> bool {
        let mut rest = text.chars();
        let mut at = 0;
        let mut retry = None;
        loop {
            let before = rest.clone();
            match (self.items.get(at), rest.next()) {
                (None, None) => return true,
                (Some(Item::Rest), _) => {
                    at += 1;
                    retry = Some((at, before.clone()));
                    rest = before;
                }
                (Some(Item::Any), Some(_)) => at += 1,
                (Some(Item::One(wanted)), Some(c)) if *wanted == fold(c, self.collation) => at += 1,
                (_, None) => return false,
                (_, Some(_)) => {
                    let Some((item, from)) = &mut retry else {
                        return false;
                    };
                    from.next();
                    at = *item;
                    rest = from.clone();
                }
            }
        }
    }
}

fn fold(c: char, collation: Collation) -> char {
    match collation {
        Collation::Exact => c,
        Collation::IgnoreAsciiCase => c.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "the patterns are valid")]
    use super::*;

    fn like(text: &str, pattern: &str) -> bool {
        let pattern = Pattern::new(pattern, Some('!'), Collation::Exact);
        pattern.unwrap().matches(text)
    }

    #[test]
    fn wildcards_match_text_and_characters() {
        for pattern in ["MSFT", "M%", "%T", "%S%", "M__T", "%", "%%", "M%F%T", "_%_"] {
            assert!(like("MSFT", pattern), "{pattern}");
        }
        for pattern in ["", "M", "msft", "M_T", "%X%", "MSFT_", "_MSFT"] {
            assert!(!like("MSFT", pattern), "{pattern}");
        }
        assert!(like("", "%") && like("", "") && !like("", "_"));
    }

    #[test]
    fn underscore_is_one_character_not_one_byte() {
        assert!(like("\u{fc}", "_"));
        assert!(!like("\u{fc}", "__"));
    }

    #[test]
    fn last_wildcard_is_widened_until_the_rest_fits() {
        assert!(like("aabab", "%ab"));
        assert!(like("mississippi", "%iss%ip%"));
        assert!(!like("mississippi", "%iss%ix%"));
    }

    #[test]
    fn escape_takes_the_meaning_of_what_follows() {
        assert!(like("5%", "5!%") && !like("55", "5!%"));
        assert!(like("a!", "a!!"));
        assert!(Pattern::new("a!", Some('!'), Collation::Exact).is_none());
    }

    #[test]
    fn nocase_folds_ascii_alone() {
        let pattern = Pattern::new("mS\u{dc}%", None, Collation::IgnoreAsciiCase).unwrap();
        assert!(pattern.matches("Ms\u{dc}x"));
        assert!(!pattern.matches("ms\u{fc}x"));
    }

    #[test]
    fn literal_start_ends_at_the_first_wildcard() {
        let start = |text: &str| {
            let pattern = Pattern::new(text, Some('!'), Collation::Exact);
            pattern.unwrap().prefix()
        };
        assert_eq!(start("ab"), ("ab".to_owned(), Tail::Nothing));
        assert_eq!(start("5!%%"), ("5%".to_owned(), Tail::Anything));
        assert_eq!(start("a_%"), ("a".to_owned(), Tail::Pattern));
        assert_eq!(start("%"), (String::new(), Tail::Anything));
    }

    #[test]
    fn many_wildcards_on_long_text_stay_quadratic() {
        let text = "a".repeat(2_000);
        assert!(!like(&text, &format!("{}b", "a%".repeat(50))));
    }
}

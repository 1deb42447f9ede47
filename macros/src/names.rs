//! Names outside Rust: spelling, former names, and what may not meet.

use proc_macro2::Span;
use quote::format_ident;
use syn::ext::IdentExt;
use syn::{Ident, LitStr};

use crate::errors::Errors;

/// The name of a method, a parameter, a field or a variant outside Rust.
pub(crate) struct Names {
    /// The name that schemas show.
    pub(crate) name: String,
    /// Former names.
    pub(crate) aliases: Vec<String>,
    /// Where a refusal of the name points.
    pub(crate) span: Span,
}

impl Names {
    /// Returns the name and then the former names.
    pub(crate) fn all(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.name).chain(&self.aliases)
    }
}

/// A spelling that `rename_all` can ask for.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    Camel,
    Pascal,
    Snake,
    ScreamingSnake,
    Kebab,
}

impl Case {
    /// Returns the spelling that `literal` names.
    pub(crate) fn parse(literal: &LitStr) -> syn::Result<Self> {
        let text = literal.value();
        let found = SPELLINGS.iter().find(|(spelling, _)| *spelling == text);
        found.map(|(_, case)| *case).ok_or_else(|| {
            let known = SPELLINGS.map(|(spelling, _)| format!("`{spelling}`"));
            let message = format!("unknown spelling: expected one of {}", known.join(", "));
            syn::Error::new(literal.span(), message)
        })
    }

    /// Returns the name spelled so, whatever its spelling was.
    pub(crate) fn apply(self, name: &str) -> String {
        let words = words(name);
        if words.is_empty() {
            return name.to_owned();
        }
        let capitalized = words.iter().map(|word| capitalized(word));
        match self {
            Self::Camel => words[..1]
                .iter()
                .cloned()
                .chain(capitalized.skip(1))
                .collect(),
            Self::Pascal => capitalized.collect(),
            Self::Snake => words.join("_"),
            Self::ScreamingSnake => words.join("_").to_uppercase(),
            Self::Kebab => words.join("-"),
        }
    }
}

/// The names of the structs of owned arguments, so that they differ from each other and from the
/// rest, and of the variants that hold them.
#[derive(Default)]
pub(crate) struct EventNames {
    structures: Vec<String>,
    variants: Vec<String>,
}

impl EventNames {
    /// Returns the names of the struct and of the variant of a method.
    pub(crate) fn of(&mut self, interface: &Ident, method: &Ident) -> (Ident, Ident) {
        let name = Case::Pascal.apply(&plain(method));
        let structure = free(name.clone(), &MADE, &mut self.structures);
        let digit = name.starts_with(|first: char| first.is_ascii_digit());
        let name = if digit { format!("Event{name}") } else { name };
        // The one name in this spelling that no variant can have.
        let variant = free(name, &["Self"], &mut self.variants);
        (
            format_ident!("{interface}{structure}"),
            format_ident!("{variant}"),
        )
    }
}

/// Returns the name with as much added as none of the taken ones has, and takes it.
fn free(mut name: String, reserved: &[&str], taken: &mut Vec<String>) -> String {
    while reserved.contains(&name.as_str()) || taken.contains(&name) {
        name.push_str("Event");
    }
    taken.push(name.clone());
    name
}

/// Returns the identifier as a name, without the `r#` of a raw one.
pub(crate) fn plain(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// Refuses names that are there twice, among names and former names.
///
/// A former name that is now the name of another would give an old event's value to the wrong one.
pub(crate) fn refuse_repeated<'a>(
    kind: &str,
    names: impl IntoIterator<Item = &'a Names>,
    errors: &mut Errors,
) {
    let mut seen: Vec<&String> = Vec::new();
    for names in names {
        for name in names.all() {
            if seen.contains(&name) {
                let message = format!("the {kind} name `{name}` is taken already");
                errors.push(syn::Error::new(names.span, message));
            }
            seen.push(name);
        }
    }
}

/// Returns the words of a name in lower case: `price_changed`, `PriceChanged` and `HTTPPrice2` have
/// two.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for part in name.split(['_', '-']) {
        let letters: Vec<char> = part.chars().collect();
        for (index, letter) in letters.iter().enumerate() {
            let after_lower = index > 0 && !letters[index - 1].is_uppercase();
            let before_lower = letters
                .get(index + 1)
                .is_some_and(|next| next.is_lowercase());
            let starts = index == 0 || letter.is_uppercase() && (after_lower || before_lower);
            if starts {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(letter.to_lowercase());
            }
        }
    }
    words
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters.clone()).collect()
}

/// What the types are called, behind the trait's name, that are made for every interface.
const MADE: [&str; 6] = [
    "Publisher",
    "With",
    "Handlers",
    "LocalHandlers",
    "AsyncHandlers",
    "Event",
];

const SPELLINGS: [(&str, Case); 5] = [
    ("camelCase", Case::Camel),
    ("PascalCase", Case::Pascal),
    ("snake_case", Case::Snake),
    ("SCREAMING_SNAKE_CASE", Case::ScreamingSnake),
    ("kebab-case", Case::Kebab),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_reads_rust_names_of_both_styles() {
        for name in ["http_price_2x", "HttpPrice2x", "HTTPPrice2x"] {
            let snake = if name.contains('_') {
                "http_price_2x"
            } else {
                "http_price2x"
            };
            assert_eq!(Case::Snake.apply(name), snake);
            assert_eq!(Case::Pascal.apply(name), "HttpPrice2x");
            assert_eq!(Case::Camel.apply(name), "httpPrice2x");
        }
        assert_eq!(Case::ScreamingSnake.apply("PriceChanged"), "PRICE_CHANGED");
        assert_eq!(Case::Kebab.apply("price_changed"), "price-changed");
    }

    #[test]
    fn name_without_letters_is_kept() {
        assert_eq!(Case::Camel.apply("__"), "__");
    }
}

//! Refusals, collected so that one build shows them all.

use std::fmt::Display;

use quote::ToTokens;

/// The refusals found so far.
#[derive(Default)]
pub(crate) struct Errors {
    found: Option<syn::Error>,
}

impl Errors {
    /// Adds a refusal at the span of `tokens`.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    /// Adds a refusal at the span of `tokens` if they are there.
    pub(crate) fn at_some(&mut self, tokens: Option<impl ToTokens>, message: impl Display) {
        if let Some(tokens) = tokens {
            self.at(tokens, message);
        }
    }

    /// Adds a refusal.
    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.found {
            Some(found) => found.combine(error),
            None => self.found = Some(error),
        }
    }

    /// Returns what is in `result`, or adds its refusal.
    pub(crate) fn take<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// Returns all refusals as one error, or `value` if there is none.
    pub(crate) fn or<T>(self, value: T) -> syn::Result<T> {
        self.found.map_or(Ok(value), Err)
    }
}

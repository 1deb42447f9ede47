//! The place of the parser in the tokens, and its limits.

use super::error::{FilterError, FilterErrorKind, quoted};
use super::lexer::{Lexer, Token, TokenKind};
use super::operand::Span;

/// The parser; its rules are in [`parse`](super::parse).
pub(super) struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    next: Token<'a>,
    /// The token behind the next one.
    second: Token<'a>,
    /// Where the token before stands.
    last: Span,
    depth: usize,
    predicates: usize,
}

/// What a rule returns.
pub(super) type Parsed<T> = Result<T, FilterError>;

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut lexer = Lexer::new(text);
        let (next, second) = (lexer.next(), lexer.next());
        Self {
            text,
            lexer,
            next,
            second,
            last: Span::default(),
            depth: 0,
            predicates: 0,
        }
    }

    pub(super) fn peek(&self) -> &TokenKind<'a> {
        &self.next.kind
    }

    /// Returns the token behind the next one.
    pub(super) fn peek_second(&self) -> &TokenKind<'a> {
        &self.second.kind
    }

    pub(super) fn span(&self) -> Span {
        self.next.span
    }

    /// Returns the span of the token before.
    pub(super) fn last_span(&self) -> Span {
        self.last
    }

    /// Takes the next token; the last one stays.
    pub(super) fn advance(&mut self) {
        if !self.next.is_last() {
            self.last = self.next.span;
            let third = self.lexer.next();
            self.next = std::mem::replace(&mut self.second, third);
        }
    }

    /// Takes the next token if it is what `wanted` says.
    pub(super) fn take(&mut self, wanted: impl Fn(&TokenKind<'_>) -> bool) -> bool {
        let found = wanted(self.peek());
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn at_word(&self, word: &str) -> bool {
        is_word(self.peek(), word)
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        self.take(|kind| is_word(kind, word))
    }

    /// Returns the error that says what is here instead of `expected`.
    pub(super) fn unexpected(&self, expected: &str) -> FilterError {
        if let TokenKind::Bad(error) = self.peek() {
            return error.clone();
        }
        let span = self.span();
        let found = match self.peek() {
            TokenKind::End => "the end".to_owned(),
            _ => quoted(self.text.get(span.range()).unwrap_or_default()),
        };
        FilterError::new(FilterErrorKind::Syntax, span, found, expected)
    }

    /// Runs a rule one level deeper.
    pub(super) fn nested<T>(&mut self, rule: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == MAX_DEPTH {
            return Err(too_deep(self.last_span()));
        }
        self.depth += 1;
        let result = rule(self);
        self.depth -= 1;
        result
    }

    pub(super) fn count_predicate(&mut self) -> Parsed<()> {
        self.predicates += 1;
        if self.predicates > MAX_PREDICATES {
            let expected = format!("at most {MAX_PREDICATES} predicates");
            let kind = FilterErrorKind::TooLarge;
            return Err(FilterError::new(
                kind,
                self.span(),
                "one more predicate",
                expected,
            ));
        }
        Ok(())
    }
}

/// Returns the error for what nests too deep at `span`.
pub(super) fn too_deep(span: Span) -> FilterError {
    let expected = format!("at most {MAX_DEPTH} levels of parentheses and NOT");
    FilterError::new(FilterErrorKind::TooLarge, span, "one more level", expected)
}

pub(super) fn is_word(kind: &TokenKind<'_>, word: &str) -> bool {
    matches!(kind, TokenKind::Word(found) if found.eq_ignore_ascii_case(word))
}

pub(super) fn is_and(kind: &TokenKind<'_>) -> bool {
    matches!(kind, TokenKind::And) || is_word(kind, "AND")
}

pub(super) fn is_or(kind: &TokenKind<'_>) -> bool {
    matches!(kind, TokenKind::Or) || is_word(kind, "OR")
}

/// How deep parentheses, sets and NOT may nest, inclusive. A level costs some 5 KiB of stack in a
/// debug build, so the deepest text takes a quarter of the 2 MiB of a spawned thread.
const MAX_DEPTH: usize = 100;

/// How many comparisons criteria may have, inclusive; members of a set do not count. Each one is
/// evaluated at every event that no earlier one decides.
const MAX_PREDICATES: usize = 1_000;

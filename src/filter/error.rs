//! What is wrong with criteria, and where.

use std::error::Error as StdError;
use std::fmt;
use std::ops::Range;

use super::operand::Span;
use crate::error::{Error, ErrorKind};
use crate::model::Problems;

/// Criteria that do not parse, or do not fit what they are about.
///
/// `Display` is one sentence; the alternate form, `{:#}`, also shows the line of the text with the
/// place underlined.
///
/// ```
/// let error = loosely::Filter::parse("price > 185 AND").unwrap_err();
/// assert_eq!(error.span(), 15..15);
/// assert_eq!(
///     format!("{error:#}"),
///     "found the end at byte 15, expected a name, a constant, NOT, ALL or (\n  \
///      price > 185 AND\n                 ^"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    // Boxed, as every step of the parser returns it.
    inner: Box<Inner>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Inner {
    kind: FilterErrorKind,
    span: Range<usize>,
    found: String,
    expected: String,
    suggestion: Option<String>,
    text: String,
}

/// What is wrong with criteria, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FilterErrorKind {
    /// The text is not in the language.
    Syntax,
    /// A name stands for nothing that the criteria are about.
    UnknownName,
    /// An operator does not apply to a value of this type, or the types of both sides differ.
    Type,
    /// A constant cannot be read, or cannot be a value of the type that it is compared with.
    Literal,
    /// A limit on the length, the nesting or the number of predicates is exceeded.
    TooLarge,
}

impl FilterError {
    pub(super) fn new(
        kind: FilterErrorKind,
        span: Span,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        let inner = Inner {
            kind,
            span: span.range(),
            found: found.into(),
            expected: expected.into(),
            suggestion: None,
            text: String::new(),
        };
        Self {
            inner: Box::new(inner),
        }
    }

    pub(super) fn suggesting(mut self, suggestion: Option<String>) -> Self {
        self.inner.suggestion = suggestion;
        self
    }

    /// Returns the same error as one of a constant.
    pub(super) fn of_literal(mut self) -> Self {
        self.inner.kind = FilterErrorKind::Literal;
        self
    }

    pub(super) fn in_text(mut self, text: &str) -> Self {
        let end = text.len();
        let span = &mut self.inner.span;
        *span = span.start.min(end)..span.end.min(end);
        text.clone_into(&mut self.inner.text);
        self
    }

    /// Returns what is wrong, for programs.
    pub fn kind(&self) -> FilterErrorKind {
        self.inner.kind
    }

    /// Returns where it is, in bytes of [`text`](Self::text); empty at the end of the text.
    #[doc(alias = "errorIndex")]
    pub fn span(&self) -> Range<usize> {
        self.inner.span.clone()
    }

    /// Returns what is there.
    pub fn found(&self) -> &str {
        &self.inner.found
    }

    /// Returns what could be there.
    pub fn expected(&self) -> &str {
        &self.inner.expected
    }

    /// Returns what was probably meant.
    pub fn suggestion(&self) -> Option<&str> {
        self.inner.suggestion.as_deref()
    }

    /// Returns the text of the criteria; for a filter that was built, its canonical text.
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// Writes the line with the span and a line that underlines it, each indented by two columns.
    fn write_excerpt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { span, text, .. } = &*self.inner;
        let start = floor_boundary(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = floor_boundary(text, span.end).clamp(start, line_end);

        let before = visible(&text[line_start..start]);
        let marked = visible(&text[start..end]);
        let after = visible(&text[end..line_end]);
        let skipped = before.len().saturating_sub(SHOWN_BEFORE);
        let cut = if skipped > 0 { "..." } else { "" };
        let before: String = before.iter().skip(skipped).collect();
        let more = if after.len() > SHOWN_AFTER || marked.len() > SHOWN_MARKED {
            "..."
        } else {
            ""
        };
        let carets = marked.len().clamp(1, SHOWN_MARKED);
        let room = if marked.len() > SHOWN_MARKED {
            0
        } else {
            SHOWN_AFTER
        };
        let marked: String = marked.iter().take(SHOWN_MARKED).collect();
        let after: String = after.iter().take(room).collect();
        let indent = cut.len() + before.chars().count();
        write!(f, "\n  {cut}{before}{marked}{after}{more}")?;
        write!(f, "\n  {:indent$}{:^<carets$}", "", "")
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.inner;
        let (found, expected) = (&inner.found, &inner.expected);
        let start = inner.span.start;
        write!(f, "found {found} at byte {start}, expected {expected}")?;
        if let Some(suggestion) = &inner.suggestion {
            write!(f, "; did you mean {suggestion}?")?;
        }
        if f.alternate() {
            self.write_excerpt(f)?;
        }
        Ok(())
    }
}

impl StdError for FilterError {}

/// Returns `text` in quotes, cut to a length that a message can bear, control characters blanked.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = visible(text).into_iter().take(SHOWN_MARKED).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    format!("`{shown}`")
}

/// Returns the characters with control characters blanked, so that the columns of both lines agree.
fn visible(text: &str) -> Vec<char> {
    let blank = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(blank).collect()
}

fn floor_boundary(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

/// How many characters an excerpt shows before and after the place, and of the place itself: 100
/// columns together with the dots.
const SHOWN_BEFORE: usize = 30;
const SHOWN_AFTER: usize = 20;
const SHOWN_MARKED: usize = 40;

impl From<FilterError> for Error {
    fn from(error: FilterError) -> Self {
        Self::new(ErrorKind::Filter, "the criteria are not valid").explained_by(error)
    }
}

impl Error {
    /// Returns what is wrong with criteria, if they are at fault, alone or beside others.
    pub fn filter_error(&self) -> Option<&FilterError> {
        let source = StdError::source(self)?;
        if let Some(problems) = source.downcast_ref::<Problems>() {
            return problems.iter().find_map(|one| one.source()?.downcast_ref());
        }
        source.downcast_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str, span: Range<usize>) -> FilterError {
        let span = Span::new(span.start, span.end);
        FilterError::new(FilterErrorKind::Syntax, span, "x", "y").in_text(text)
    }

    #[test]
    fn carets_stand_under_the_span_after_non_ascii_text() {
        let text = "name = '\u{fc}\u{fc}' AND prise = 1";
        let start = text.find("prise").unwrap_or_default();
        let shown = format!("{:#}", error(text, start..start + 5));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[1], format!("  {text}"));
        assert_eq!(lines[2], format!("{}^^^^^", " ".repeat(18)));
    }

    #[test]
    fn only_the_line_of_the_span_is_shown() {
        let shown = format!("{:#}", error("a = 1\nAND b ? 2\nAND c = 3", 12..13));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[1..], ["  AND b ? 2", "        ^"]);
    }

    #[test]
    fn long_text_is_cut_around_the_span() {
        let text = format!("{}?{}", "a".repeat(5_000), "b".repeat(5_000));
        let shown = format!("{:#}", error(&text, 5_000..5_001));
        let lines: Vec<&str> = shown.lines().collect();
        let excerpt = format!("  ...{}?{}...", "a".repeat(30), "b".repeat(20));
        assert_eq!(lines[1], excerpt);
        assert_eq!(lines[2].find('^'), excerpt.find('?'));
    }

    #[test]
    fn span_past_the_end_is_brought_back() {
        let error = error("a", 7..9);
        assert_eq!(error.span(), 1..1);
        assert_eq!(
            format!("{error:#}").lines().last(),
            Some("   ^"),
            "one caret after the last character"
        );
    }
}

//! Criteria as tokens.

use std::borrow::Cow;

use uuid::Uuid;

use super::error::{FilterError, FilterErrorKind, quoted};
use super::expr::CompareOp;
use super::literal::parse_number;
use super::operand::Span;
use crate::value::Value;

/// A token and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind<'a>,
    pub(super) span: Span,
}

#[derive(Debug, Clone)]
pub(super) enum TokenKind<'a> {
    /// A keyword or a name.
    Word(&'a str),
    /// A name in brackets, never a keyword.
    Bracketed(Cow<'a, str>),
    /// Text in quotes.
    Text(Cow<'a, str>),
    /// A constant that is complete in one token: a number, a UUID, bytes.
    Constant(Value),
    Compare(CompareOp),
    /// `&`; the word AND is a [`Word`](Self::Word), as are OR and NOT.
    And,
    /// `|`
    Or,
    /// `!` or `~`
    Not,
    Open,
    Close,
    Comma,
    Dot,
    /// The end of the text.
    End,
    /// What is no token; nothing else follows. It is reported only when the parser gets there, so
    /// that the first error in the text is the one reported.
    Bad(FilterError),
}

/// The tokens of a text, one after the other.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl Token<'_> {
    /// Returns whether no token follows.
    pub(super) fn is_last(&self) -> bool {
        matches!(self.kind, TokenKind::End | TokenKind::Bad(_))
    }
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Returns the next token; behind the last one, an end.
    pub(super) fn next(&mut self) -> Token<'a> {
        self.skip_white_space();
        let start = self.at;
        let kind = self.token().unwrap_or_else(TokenKind::Bad);
        let span = Span::new(start, self.at);
        Token { kind, span }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_white_space(&mut self) {
        // A space, a sign or a letter, mostly, and not worth decoding.
        let bytes = self.text.as_bytes();
        while bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
        if !bytes.get(self.at).is_some_and(u8::is_ascii_graphic) {
            self.at = self.text.len() - self.rest().trim_start().len();
        }
    }

    fn token(&mut self) -> Result<TokenKind<'a>, FilterError> {
        let rest = self.rest();
        let mut chars = rest.chars();
        let Some(first) = chars.next() else {
            return Ok(TokenKind::End);
        };
        let second = chars.next().unwrap_or('\0');
        if let Some((kind, length)) = operator(first, second) {
            self.at += length;
            return Ok(kind);
        }
        match first {
            '\'' | '"' => self.delimited(first).map(TokenKind::Text),
            '[' => self.delimited(']').map(TokenKind::Bracketed),
            '{' => self.uuid(),
            'x' | 'X' if matches!(second, '\'' | '"') => self.bytes(second),
            '+' | '-' if second.is_ascii_digit() => self.number(),
            '0'..='9' => self.number(),
            _ if is_name_start(first) => {
                let length = name_length(rest);
                self.at += length;
                Ok(TokenKind::Word(&rest[..length]))
            }
            _ => Err(self.bad(first.len_utf8(), "a name, a constant or an operator")),
        }
    }

    /// Returns the error for the next `length` bytes.
    fn bad(&self, length: usize, expected: &str) -> FilterError {
        let span = Span::new(self.at, self.at + length);
        let found = quoted(self.rest().get(..length).unwrap_or_default());
        FilterError::new(FilterErrorKind::Syntax, span, found, expected)
    }

    /// Reads up to the delimiter `close`, which stands for itself where it is doubled.
    fn delimited(&mut self, close: char) -> Result<Cow<'a, str>, FilterError> {
        let rest = self.rest();
        // Each delimiter is one byte.
        let mut end = 1;
        let mut is_doubled = false;
        while let Some(found) = rest.get(end..).and_then(|tail| tail.find(close)) {
            end += found;
            let content = &rest[1..end];
            if !rest[end + 1..].starts_with(close) {
                self.at += end + 1;
                return Ok(match is_doubled {
                    true => content
                        .replace(&format!("{close}{close}"), &close.to_string())
                        .into(),
                    false => content.into(),
                });
            }
            is_doubled = true;
            end += 2;
        }
        let expected = format!("a closing {close}");
        let span = Span::new(self.at, self.text.len());
        let found = quoted(rest);
        let kind = FilterErrorKind::Syntax;
        Err(FilterError::new(kind, span, found, expected))
    }

    fn uuid(&mut self) -> Result<TokenKind<'a>, FilterError> {
        let rest = self.rest();
        let Some(end) = rest.find('}') else {
            return Err(self.bad(rest.len(), "a closing }"));
        };
        let uuid = Uuid::try_parse(rest[1..end].trim())
            .map_err(|_| self.bad(end + 1, "a UUID in braces").of_literal())?;
        self.at += end + 1;
        Ok(TokenKind::Constant(Value::Uuid(uuid)))
    }

    fn bytes(&mut self, quote: char) -> Result<TokenKind<'a>, FilterError> {
        let start = self.at;
        self.at += 1;
        let digits = self.delimited(quote)?;
        let bytes = hex(&digits).ok_or_else(|| {
            let length = std::mem::replace(&mut self.at, start) - start;
            self.bad(length, "an even number of hexadecimal digits")
                .of_literal()
        })?;
        Ok(TokenKind::Constant(Value::Bytes(bytes)))
    }

    fn number(&mut self) -> Result<TokenKind<'a>, FilterError> {
        let rest = self.rest();
        let (digits, tail) = rest.split_at(number_length(rest));
        if tail.starts_with(is_name_continue) {
            let more = name_length(tail);
            return Err(self.bad(digits.len() + more, "a number, or a name in brackets"));
        }
        let value = parse_number(digits);
        let value = value.ok_or_else(|| self.bad(digits.len(), "a number").of_literal())?;
        self.at += digits.len();
        Ok(TokenKind::Constant(value))
    }
}

/// Returns the operator and its length; the longest match, so that `~=` is "not equal" and never
/// NOT before an equals sign.
fn operator(first: char, second: char) -> Option<(TokenKind<'static>, usize)> {
    use CompareOp::{Eq, Ge, Gt, Le, Lt, Ne};
    Some(match (first, second) {
        ('=', '=') => (TokenKind::Compare(Eq), 2),
        ('!' | '~', '=') | ('<', '>') => (TokenKind::Compare(Ne), 2),
        ('<', '=') => (TokenKind::Compare(Le), 2),
        ('>', '=') => (TokenKind::Compare(Ge), 2),
        ('=', _) => (TokenKind::Compare(Eq), 1),
        ('<', _) => (TokenKind::Compare(Lt), 1),
        ('>', _) => (TokenKind::Compare(Gt), 1),
        ('!' | '~', _) => (TokenKind::Not, 1),
        ('&', _) => (TokenKind::And, 1),
        ('|', _) => (TokenKind::Or, 1),
        ('(', _) => (TokenKind::Open, 1),
        (')', _) => (TokenKind::Close, 1),
        (',', _) => (TokenKind::Comma, 1),
        ('.', _) => (TokenKind::Dot, 1),
        _ => return None,
    })
}

/// Returns how many bytes of `text` are a number: a sign, digits, a fraction, an exponent.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        let tail = bytes.get(from..).unwrap_or_default();
        from + tail.iter().take_while(|b| b.is_ascii_digit()).count()
    };
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let signed = |at: usize| at + usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
    let mut end = digits(signed(0));
    if bytes.get(end) == Some(&b'.') && is_digit(end + 1) {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) && is_digit(signed(end + 1)) {
        end = digits(signed(end + 1));
    }
    end
}

/// Returns how many bytes of `text` continue a name.
fn name_length(text: &str) -> usize {
    let is_plain = |byte: &u8| *byte == b'_' || byte.is_ascii_alphanumeric();
    let plain = text.bytes().take_while(|byte| is_plain(byte)).count();
    let tail = text.get(plain..).unwrap_or_default();
    plain + tail.find(|c| !is_name_continue(c)).unwrap_or(tail.len())
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let nibble = |b: &u8| {
        char::from(*b)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let mut pairs = digits.as_bytes().chunks_exact(2);
    let bytes = pairs.by_ref().map(|pair| match pair {
        [high, low] => Some(nibble(high)? << 4 | nibble(low)?),
        _ => None,
    });
    let bytes = bytes.collect::<Option<_>>()?;
    pairs.remainder().is_empty().then_some(bytes)
}

pub(super) fn is_name_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

pub(super) fn is_name_continue(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token<'_>> {
        let mut lexer = Lexer::new(text);
        let mut tokens = vec![lexer.next()];
        while !tokens.iter().any(Token::is_last) {
            tokens.push(lexer.next());
        }
        tokens
    }

    fn shapes(text: &str) -> String {
        let all = tokens(text).into_iter().map(|token| match token.kind {
            TokenKind::Word(word) => word.to_owned(),
            TokenKind::Bracketed(name) => format!("[{name}]"),
            TokenKind::Text(text) => format!("<{text}>"),
            TokenKind::Constant(value) => value.to_string(),
            TokenKind::Compare(op) => op.to_string(),
            TokenKind::Bad(error) => format!("bad {error}"),
            other => format!("{other:?}"),
        });
        all.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn longest_operator_wins() {
        assert_eq!(
            shapes("~= ~ != ! == = <> <= < >= >"),
            "<> Not <> Not = = <> <= < >= > End"
        );
        assert_eq!(shapes("a~=5"), "a <> 5 End");
    }

    #[test]
    fn both_quotes_delimit_and_double_to_stand_for_themselves() {
        assert_eq!(
            shapes(r#"'it''s' "a 'b' ""c""" ''"#),
            "<it's> <a 'b' \"c\"> <> End"
        );
        assert_eq!(shapes("[a]]b] []"), "[a]b] [] End");
    }

    #[test]
    fn numbers_have_signs_fractions_and_exponents() {
        assert_eq!(
            shapes("-5 +5 1.5 1e3 2.5E-1 -0.0"),
            "-5 5 1.5 1000.0 0.25 -0.0 End"
        );
        assert_eq!(shapes("18446744073709551615"), "18446744073709551615 End");
        assert_eq!(shapes("18446744073709551616"), "1.8446744073709552e19 End");
        assert_eq!(shapes("a.5"), "a Dot 5 End");
        assert_eq!(
            shapes("5x"),
            "bad found `5x` at byte 0, expected a number, or a name in brackets"
        );
    }

    #[test]
    fn uuids_and_bytes_are_constants() {
        let uuid = "{19d10a70-0000-0000-0000-00000000000a}";
        assert_eq!(shapes(uuid), format!("{uuid} End"));
        assert_eq!(shapes("x'0aFF' X\"\" x"), "x'0aff' x'' x End");
        assert!(shapes("{19d1}").contains("expected a UUID in braces"));
        assert!(shapes("x'0'").contains("even number of hexadecimal"));
        assert!(shapes("x'\u{e9}'").contains("hexadecimal"));
    }

    #[test]
    fn what_is_no_token_ends_the_list_with_its_place() {
        assert!(shapes("a = 'open").ends_with("found `'open` at byte 4, expected a closing '"));
        assert!(shapes("a \0").contains("at byte 2"));
        assert!(shapes("[a").ends_with("expected a closing ]"));
        assert!(shapes("{a").ends_with("expected a closing }"));
    }
}

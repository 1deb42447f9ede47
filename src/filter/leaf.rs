//! The leaves of the grammar: names, texts and constants.

use super::cursor::{Parsed, Parser, is_word};
use super::display::is_reserved;
use super::lexer::TokenKind;
use super::literal::{DURATION, TIME, parse_duration, parse_time};
use super::operand::{Literal, Name};
use crate::value::Value;

impl Parser<'_> {
    pub(super) fn at_name(&self) -> bool {
        match self.peek() {
            TokenKind::Bracketed(_) => true,
            TokenKind::Word(word) => !is_reserved(word),
            _ => false,
        }
    }

    /// name := step { . step }
    pub(super) fn name(&mut self) -> Parsed<Name> {
        let start = self.span();
        if !self.at_name() {
            return Err(self.unexpected("a name"));
        }
        let first = self.step()?;
        let name = if matches!(self.peek(), TokenKind::Dot) {
            let mut steps = vec![first];
            while self.take(|kind| matches!(kind, TokenKind::Dot)) {
                steps.push(self.step()?);
            }
            Name::new(steps)
        } else {
            Name::single(first)
        };
        Ok(name.at(start.to(self.last_span())))
    }

    fn step(&mut self) -> Parsed<String> {
        let step = match self.peek() {
            TokenKind::Word(word) => (*word).to_owned(),
            TokenKind::Bracketed(name) => name.clone().into_owned(),
            _ => return Err(self.unexpected("a name, in brackets if it is no word")),
        };
        self.advance();
        Ok(step)
    }

    /// constant := text | number | uuid | bytes | TRUE | FALSE | NULL | (TIMESTAMP | DURATION) text
    pub(super) fn constant(&mut self) -> Parsed<Option<Literal>> {
        let start = self.span();
        let value = match self.peek() {
            TokenKind::Text(text) => Value::Str(text.clone().into_owned()),
            TokenKind::Constant(value) => value.clone(),
            kind if is_word(kind, "TRUE") => Value::Bool(true),
            kind if is_word(kind, "FALSE") => Value::Bool(false),
            kind if is_word(kind, "NULL") => Value::Null,
            kind if is_word(kind, "TIMESTAMP") => {
                let Some(text) = self.text_after_word() else {
                    return Ok(None);
                };
                let time = parse_time(&text).map(Value::Time);
                time.ok_or_else(|| self.unexpected(TIME).of_literal())?
            }
            kind if is_word(kind, "DURATION") => {
                let Some(text) = self.text_after_word() else {
                    return Ok(None);
                };
                let duration = parse_duration(&text).map(Value::Duration);
                duration.ok_or_else(|| self.unexpected(DURATION).of_literal())?
            }
            _ => return Ok(None),
        };
        self.advance();
        let span = start.to(self.last_span());
        Ok(Some(Literal::from(value).at(span)))
    }

    /// Takes the word if text follows, and returns the text; else the word is a name.
    fn text_after_word(&mut self) -> Option<String> {
        let TokenKind::Text(text) = self.peek_second() else {
            return None;
        };
        let text = text.clone().into_owned();
        self.advance();
        Some(text)
    }

    pub(super) fn text(&mut self, expected: &str) -> Parsed<String> {
        let TokenKind::Text(text) = self.peek() else {
            return Err(self.unexpected(expected));
        };
        let text = text.clone().into_owned();
        self.advance();
        Ok(text)
    }
}

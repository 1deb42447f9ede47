//! The parser: one function a rule of the grammar in the [module's documentation](super).

use super::cursor::{Parsed, Parser, is_and, is_or, is_word};
use super::error::{FilterError, FilterErrorKind, quoted};
use super::expr::{Collation, CompareOp, Expr};
use super::lexer::TokenKind;
use super::operand::{Literal, Name, Operand, Span};
use super::pattern::Pattern;

/// Returns the normal form of the criteria.
pub(super) fn parse(text: &str) -> Result<Expr, FilterError> {
    if text.len() > MAX_BYTES {
        return Err(too_long(text.len()).in_text(text));
    }
    let mut parser = Parser::new(text);
    let expr = parser.whole().map_err(|error| error.in_text(text))?;
    // Canonical text is at most some five times longer; it must parse as well, since it is stored.
    if text.len() > MAX_BYTES / 8 {
        let length = expr.to_string().len();
        if length > MAX_BYTES {
            return Err(too_long(length).in_text(text));
        }
    }
    Ok(expr)
}

/// Returns the name that `text` is, if it is nothing but a path.
pub(super) fn parse_path(text: &str) -> Parsed<Name> {
    let mut parser = Parser::new(text);
    let name = parser.name()?;
    match parser.peek() {
        TokenKind::End => Ok(name),
        _ => Err(parser.unexpected("the end of the name")),
    }
}

impl Parser<'_> {
    /// query := or, to the end of the text
    fn whole(&mut self) -> Parsed<Expr> {
        let expr = self.or()?;
        match self.peek() {
            TokenKind::End => Ok(expr),
            _ => Err(self.unexpected("AND, OR or the end")),
        }
    }

    /// or := and { OR and }
    fn or(&mut self) -> Parsed<Expr> {
        let mut expr = self.and()?;
        while self.take(is_or) {
            expr = expr.or(self.and()?);
        }
        Ok(expr.shrunk())
    }

    /// and := unary { AND unary }
    fn and(&mut self) -> Parsed<Expr> {
        let mut expr = self.unary()?;
        while self.take(is_and) {
            expr = expr.and(self.unary()?);
        }
        Ok(expr.shrunk())
    }

    /// unary := NOT unary | primary
    fn unary(&mut self) -> Parsed<Expr> {
        if !self.take(|kind| matches!(kind, TokenKind::Not) || is_word(kind, "NOT")) {
            return self.primary();
        }
        let inner = self.nested(Self::unary)?;
        Ok(Expr::Not(Box::new(inner)))
    }

    /// primary := ALL | ( or ) | compare
    fn primary(&mut self) -> Parsed<Expr> {
        if self.take_word("ALL") {
            return Ok(Expr::All);
        }
        if self.take(|kind| matches!(kind, TokenKind::Open)) {
            let inner = self.nested(Self::or)?;
            self.close("AND, OR or )")?;
            return Ok(inner);
        }
        self.count_predicate()?;
        match self.constant()? {
            Some(constant) => self.compare_flipped(constant),
            None if self.at_name() => self.compare(),
            None => Err(self.unexpected("a name, a constant, NOT, ALL or (")),
        }
    }

    /// compare, with the constant first: constant op name
    fn compare_flipped(&mut self, constant: Literal) -> Parsed<Expr> {
        let op = self.compare_op()?;
        if !self.at_name() {
            return Err(self.unexpected("a name, as the left side is a constant"));
        }
        let name = self.name()?;
        let collation = self.collation()?;
        comparison(name, op.flipped(), Operand::Constant(constant), collation)
    }

    /// compare := name [collate] (op operand | [NOT] (BETWEEN | IN | LIKE) ... | IS [NOT] NULL)
    fn compare(&mut self) -> Parsed<Expr> {
        let name = self.name()?;
        let collation = self.collation()?;
        if self.take_word("IS") {
            let negated = self.take_word("NOT");
            if !self.take_word("NULL") {
                return Err(self.unexpected("NULL"));
            }
            return Ok(Expr::IsNull { name, negated });
        }
        let negated = self.take_word("NOT");
        if self.take_word("BETWEEN") {
            return self.between(name, negated, collation);
        }
        if self.take_word("IN") {
            return self.members(name, negated, collation);
        }
        if self.take_word("LIKE") {
            return self.like(name, negated, collation);
        }
        if negated {
            return Err(self.unexpected("BETWEEN, IN or LIKE"));
        }
        let op = self.compare_op()?;
        if matches!(self.peek(), TokenKind::Open) {
            return self.set(name, op, collation);
        }
        let operand = self.operand()?;
        let collation = self.collation_or(collation)?;
        comparison(name, op, operand, collation)
    }

    fn compare_op(&mut self) -> Parsed<CompareOp> {
        let TokenKind::Compare(op) = *self.peek() else {
            return Err(self.unexpected("an operator, such as =, <, IN, LIKE, BETWEEN or IS"));
        };
        self.advance();
        Ok(op)
    }

    /// operand := constant | name
    fn operand(&mut self) -> Parsed<Operand> {
        match self.constant()? {
            Some(constant) => Ok(Operand::Constant(constant)),
            None if self.at_name() => Ok(self.name()?.into()),
            None => Err(self.unexpected("a constant or a name")),
        }
    }

    /// BETWEEN operand AND operand
    fn between(&mut self, name: Name, negated: bool, collation: Collation) -> Parsed<Expr> {
        let low = self.bound()?;
        if !self.take(is_and) {
            return Err(self.unexpected("AND"));
        }
        let high = self.bound()?;
        Ok(Expr::Between {
            name,
            negated,
            bounds: Box::new((low, high)),
            collation: self.collation_or(collation)?,
        })
    }

    fn bound(&mut self) -> Parsed<Operand> {
        let operand = self.operand()?;
        has_order(&operand)?;
        Ok(operand)
    }

    /// IN ( constant { , constant } )
    fn members(&mut self, name: Name, negated: bool, collation: Collation) -> Parsed<Expr> {
        if !self.take(|kind| matches!(kind, TokenKind::Open)) {
            return Err(self.unexpected("("));
        }
        let mut values = vec![self.member()?];
        while self.take(|kind| matches!(kind, TokenKind::Comma)) {
            values.push(self.member()?);
        }
        self.close(", or )")?;
        let collation = self.collation_or(collation)?;
        Ok(member_of(name, negated, values, collation))
    }

    /// op ( constant { (AND | OR) constant } ), where AND binds tighter
    fn set(&mut self, name: Name, op: CompareOp, collation: Collation) -> Parsed<Expr> {
        if !op.is_equality() {
            return Err(self.unexpected("a constant or a name; only = and <> take a set"));
        }
        self.advance();
        let groups = self.nested(Self::groups)?;
        self.close("|, & or )")?;
        let collation = self.collation_or(collation)?;
        let flat = groups.iter().all(|group| group.len() == 1);
        if flat || op == CompareOp::Ne {
            let values = groups.into_iter().flatten().collect();
            return Ok(member_of(name, op == CompareOp::Ne, values, collation));
        }
        Ok(Expr::Groups {
            name,
            groups,
            collation,
        })
    }

    fn groups(&mut self) -> Parsed<Vec<Vec<Literal>>> {
        let mut groups = Vec::new();
        loop {
            let mut group = vec![self.member()?];
            while self.take(is_and) {
                group.push(self.member()?);
            }
            groups.push(group);
            if !self.take(is_or) {
                return Ok(groups);
            }
        }
    }

    fn member(&mut self) -> Parsed<Literal> {
        self.constant()?
            .ok_or_else(|| self.unexpected("a constant"))
    }

    /// LIKE text [ESCAPE text]
    fn like(&mut self, name: Name, negated: bool, collation: Collation) -> Parsed<Expr> {
        let start = self.span();
        let pattern = self.text("a pattern in quotes")?;
        let escape = if self.take_word("ESCAPE") {
            let span = self.span();
            let text = self.text("a character in quotes")?;
            let mut chars = text.chars();
            let (Some(escape), None) = (chars.next(), chars.next()) else {
                let found = quoted(&text);
                let kind = FilterErrorKind::Literal;
                return Err(FilterError::new(kind, span, found, "one character"));
            };
            Some(escape)
        } else {
            None
        };
        let collation = self.collation_or(collation)?;
        if Pattern::new(&pattern, escape, collation).is_none() {
            let span = start.to(self.last_span());
            let found = quoted(&pattern);
            let expected = "a pattern that does not end with its escape character";
            return Err(FilterError::new(
                FilterErrorKind::Literal,
                span,
                found,
                expected,
            ));
        }
        Ok(Expr::Like {
            name,
            negated,
            pattern,
            escape,
            collation,
        })
    }

    fn collation(&mut self) -> Parsed<Collation> {
        self.collation_or(Collation::Exact)
    }

    /// [COLLATE (NOCASE | BINARY)]; without it, what was said before
    fn collation_or(&mut self, before: Collation) -> Parsed<Collation> {
        // A name may be called `collate`.
        if !self.at_word("COLLATE") || !matches!(self.peek_second(), TokenKind::Word(_)) {
            return Ok(before);
        }
        self.advance();
        if self.take_word("NOCASE") {
            Ok(Collation::IgnoreAsciiCase)
        } else if self.take_word("BINARY") {
            Ok(Collation::Exact)
        } else {
            Err(self.unexpected("NOCASE or BINARY"))
        }
    }

    fn close(&mut self, expected: &str) -> Parsed<()> {
        if self.take(|kind| matches!(kind, TokenKind::Close)) {
            Ok(())
        } else {
            Err(self.unexpected(expected))
        }
    }
}

/// Returns `name op operand`; `= NULL` is IS NULL.
fn comparison(name: Name, op: CompareOp, operand: Operand, collation: Collation) -> Parsed<Expr> {
    if !op.is_equality() {
        has_order(&operand)?;
    } else if is_null(&operand) {
        let negated = op == CompareOp::Ne;
        return Ok(Expr::IsNull { name, negated });
    }
    Ok(Expr::Compare {
        name,
        op,
        operand,
        collation,
    })
}

/// Returns `name [NOT] IN values`, which of one value is a comparison. NULL alone stays a set, as
/// `= NULL` would read as IS NULL.
fn member_of(name: Name, negated: bool, mut values: Vec<Literal>, collation: Collation) -> Expr {
    match values.pop() {
        Some(one) if values.is_empty() && !one.value().view().is_null() => Expr::Compare {
            name,
            op: if negated {
                CompareOp::Ne
            } else {
                CompareOp::Eq
            },
            operand: Operand::Constant(one),
            collation,
        },
        last => {
            values.extend(last);
            values.shrink_to_fit();
            Expr::In {
                name,
                negated,
                values,
                collation,
            }
        }
    }
}

fn has_order(operand: &Operand) -> Parsed<()> {
    match operand {
        Operand::Constant(constant) if is_null(operand) => {
            let expected = "a value that has an order, or IS NULL";
            let kind = FilterErrorKind::Type;
            Err(FilterError::new(kind, constant.span(), "NULL", expected))
        }
        _ => Ok(()),
    }
}

fn is_null(operand: &Operand) -> bool {
    matches!(operand, Operand::Constant(constant) if constant.value().view().is_null())
}

fn too_long(length: usize) -> FilterError {
    let span = Span::new(MAX_BYTES, MAX_BYTES);
    let found = format!("{length} bytes of text");
    let expected = format!("at most {MAX_BYTES}");
    FilterError::new(FilterErrorKind::TooLarge, span, found, expected)
}

/// How long criteria may be, inclusive: room for some 5,000 names in one IN, while a million such
/// texts cannot come out of one small request.
const MAX_BYTES: usize = 65_536;

//! Expressions: by precedence climbing, Flink's precedences.

use super::Parser;
use super::ast::{
    BinaryOp, Call, Expr, ExprKind, Ident, IsTest, Literal, OrderItem, Over, TableArgument, UnaryOp,
};
use super::lexer::TokenKind;
use super::span::{Span, SqlError, SqlResult};
use crate::types::{Interval, TimeUnit};

const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const COMPARE: u8 = 4;
pub(super) const ADD: u8 = 6;
const MULTIPLY: u8 = 7;
const CONCAT: u8 = 8;
const UNARY: u8 = 9;

pub(super) fn expr(kind: ExprKind, span: Span) -> Expr {
    Expr { kind: Box::new(kind), span }
}

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> SqlResult<Expr> {
        self.nested(|parser| parser.expr_above(0))
    }

    pub(super) fn expr_above(&mut self, least: u8) -> SqlResult<Expr> {
        let mut left = self.prefix()?;
        let mut terms = 0;
        loop {
            terms += 1;
            if terms > 20_000 {
                return Err(SqlError::at(self.span(), "the expression has too many terms"));
            }
            let Some((op, precedence)) = self.infix_operator() else {
                if least <= COMPARE
                    && let Some(next) = self.predicate(&left)?
                {
                    left = next;
                    continue;
                }
                return Ok(left);
            };
            if precedence < least {
                return Ok(left);
            }
            self.advance();
            if precedence == COMPARE
                && let Some(quantified) = self.quantified(&left, op)?
            {
                left = quantified;
                continue;
            }
            let right = self.nested(|parser| parser.expr_above(precedence + 1))?;
            let span = left.span.to(right.span);
            left = expr(ExprKind::Binary(op, left, right), span);
        }
    }

    fn infix_operator(&self) -> Option<(BinaryOp, u8)> {
        Some(match self.peek() {
            TokenKind::Symbol(symbol) => match *symbol {
                "+" => (BinaryOp::Plus, ADD),
                "-" => (BinaryOp::Minus, ADD),
                "*" => (BinaryOp::Multiply, MULTIPLY),
                "/" => (BinaryOp::Divide, MULTIPLY),
                "%" => (BinaryOp::Modulo, MULTIPLY),
                "||" => (BinaryOp::Concat, CONCAT),
                "=" => (BinaryOp::Equal, COMPARE),
                "<>" | "!=" => (BinaryOp::NotEqual, COMPARE),
                "<" => (BinaryOp::Less, COMPARE),
                "<=" => (BinaryOp::LessOrEqual, COMPARE),
                ">" => (BinaryOp::Greater, COMPARE),
                ">=" => (BinaryOp::GreaterOrEqual, COMPARE),
                _ => return None,
            },
            TokenKind::Word(word, false) if word.eq_ignore_ascii_case("AND") => (BinaryOp::And, AND),
            TokenKind::Word(word, false) if word.eq_ignore_ascii_case("OR") => (BinaryOp::Or, OR),
            _ => return None,
        })
    }

    /// `op ALL (query)` and `op ANY | SOME (query)`, behind the operator.
    fn quantified(&mut self, left: &Expr, op: BinaryOp) -> SqlResult<Option<Expr>> {
        let all = self.is_word("ALL");
        if !(all || self.is_word("ANY") || self.is_word("SOME")) || !self.is_symbol_at(1, "(") {
            return Ok(None);
        }
        self.advance();
        self.expect_symbol("(")?;
        let start = left.span;
        let result = if self.begins_query() {
            let query = Box::new(self.query()?);
            ExprKind::Quantified { expr: left.clone(), op, all, query }
        } else {
            // A list: comparisons with each, joined by AND or OR.
            let list = self.list(Parser::expr)?;
            let span = start.to(self.span());
            let mut each = list.into_iter().map(|item| expr(ExprKind::Binary(op, left.clone(), item), span));
            let first = each.next().ok_or_else(|| self.unexpected("a list"))?;
            let join = if all { BinaryOp::And } else { BinaryOp::Or };
            *each.fold(first, |one, other| expr(ExprKind::Binary(join, one, other), span)).kind
        };
        self.expect_symbol(")")?;
        Ok(Some(expr(result, start.to(self.last_span()))))
    }

    /// `IS …`, `[NOT] BETWEEN | IN | LIKE | SIMILAR TO …` behind an operand.
    fn predicate(&mut self, left: &Expr) -> SqlResult<Option<Expr>> {
        let start = left.span;
        let kind = if self.take_word("IS") {
            self.is_test(left)?
        } else if let Some(overlaps) = self.overlaps(left)? {
            overlaps
        } else {
            let ahead = usize::from(self.is_word("NOT"));
            let known = ["BETWEEN", "IN", "LIKE", "SIMILAR"];
            let Some(which) = known.into_iter().find(|word| self.is_word_at(ahead, word)) else {
                return Ok(None);
            };
            let negated = self.take_word("NOT");
            self.advance();
            match which {
                "BETWEEN" => self.between(left, negated)?,
                "IN" => self.within(left, negated)?,
                _ => {
                    let similar = which == "SIMILAR";
                    if similar {
                        self.expect_word("TO")?;
                    }
                    let pattern = self.expr_above(ADD)?;
                    let escape = if self.take_word("ESCAPE") { Some(self.expr_above(ADD)?) } else { None };
                    ExprKind::Like { expr: left.clone(), pattern, escape, negated, similar }
                }
            }
        };
        Ok(Some(expr(kind, start.to(self.last_span()))))
    }

    fn is_test(&mut self, left: &Expr) -> SqlResult<ExprKind> {
        let negated = self.take_word("NOT");
        let test = if self.take_word("NULL") {
            IsTest::Null
        } else if self.take_word("TRUE") {
            IsTest::True
        } else if self.take_word("FALSE") {
            IsTest::False
        } else if self.take_word("UNKNOWN") {
            IsTest::Unknown
        } else if self.take_words(&["DISTINCT", "FROM"]) {
            IsTest::DistinctFrom(self.expr_above(ADD)?)
        } else if self.take_word("JSON") {
            let kinds = ["VALUE", "SCALAR", "ARRAY", "OBJECT"];
            let kind = kinds.into_iter().find(|kind| self.take_word(kind)).unwrap_or("VALUE");
            IsTest::Json(kind.to_owned())
        } else {
            return Err(self.unexpected("NULL, TRUE, FALSE, UNKNOWN, DISTINCT FROM or JSON"));
        };
        Ok(ExprKind::Is { expr: left.clone(), test, negated })
    }

    fn between(&mut self, left: &Expr, negated: bool) -> SqlResult<ExprKind> {
        let symmetric = self.take_word("SYMMETRIC");
        self.take_word("ASYMMETRIC");
        let low = self.expr_above(ADD)?;
        self.expect_word("AND")?;
        let high = self.expr_above(ADD)?;
        Ok(ExprKind::Between { expr: left.clone(), low, high, negated, symmetric })
    }

    fn within(&mut self, left: &Expr, negated: bool) -> SqlResult<ExprKind> {
        self.expect_symbol("(")?;
        let kind = if self.begins_query() {
            ExprKind::InQuery { expr: left.clone(), query: Box::new(self.query()?), negated }
        } else {
            ExprKind::InList { expr: left.clone(), list: self.list(Parser::expr)?, negated }
        };
        self.expect_symbol(")")?;
        Ok(kind)
    }

    /// Whether a query stands here, perhaps in parentheses.
    pub(super) fn begins_query(&self) -> bool {
        let mut ahead = 0;
        while self.is_symbol_at(ahead, "(") {
            ahead += 1;
        }
        ["SELECT", "WITH", "VALUES"].iter().any(|word| self.is_word_at(ahead, word))
    }

    fn prefix(&mut self) -> SqlResult<Expr> {
        let start = self.span();
        if self.take_word("NOT") {
            let operand = self.nested(|parser| parser.expr_above(NOT))?;
            let span = start.to(operand.span);
            return Ok(expr(ExprKind::Unary(UnaryOp::Not, operand), span));
        }
        for (symbol, op) in [("-", UnaryOp::Minus), ("+", UnaryOp::Plus)] {
            if self.take_symbol(symbol) {
                let operand = self.nested(|parser| parser.expr_above(UNARY))?;
                let span = start.to(operand.span);
                return Ok(expr(ExprKind::Unary(op, operand), span));
            }
        }
        let primary = self.primary()?;
        self.postfix(primary)
    }

    /// An operand without any infix operator or predicate.
    pub(super) fn primary_operand(&mut self) -> SqlResult<Expr> {
        self.nested(|parser| parser.expr_above(ADD))
    }

    /// `[index]` and `.field` behind an operand.
    fn postfix(&mut self, mut operand: Expr) -> SqlResult<Expr> {
        loop {
            if self.take_symbol("[") {
                let index = self.expr()?;
                self.expect_symbol("]")?;
                let span = operand.span.to(self.last_span());
                operand = expr(ExprKind::Index(operand, index), span);
            } else if self.is_symbol(".") && !self.is_symbol_at(1, "*") {
                self.advance();
                let field = self.any_ident("a field's name")?;
                let span = operand.span.to(field.span);
                operand = expr(ExprKind::Field(operand, field), span);
            } else {
                return Ok(operand);
            }
        }
    }

    fn primary(&mut self) -> SqlResult<Expr> {
        let start = self.span();
        let kind = match self.peek().clone() {
            TokenKind::Number(digits) => {
                self.advance();
                ExprKind::Literal(Literal::Number(digits))
            }
            TokenKind::Text(mut text) => {
                self.advance();
                // Texts in a row are one text.
                while let TokenKind::Text(more) = self.peek() {
                    text.push_str(more);
                    self.advance();
                }
                ExprKind::Literal(Literal::Text(text))
            }
            TokenKind::Bytes(bytes) => {
                self.advance();
                ExprKind::Literal(Literal::Bytes(bytes))
            }
            TokenKind::Symbol("(") => return self.parenthesised_expr(),
            TokenKind::Word(word, quoted) => {
                if !quoted && let Some(kind) = self.keyword_expr(&word.to_ascii_uppercase())? {
                    kind
                } else {
                    return self.name_or_call();
                }
            }
            _ => return Err(self.unexpected("an expression")),
        };
        Ok(expr(kind, start.to(self.last_span())))
    }

    fn parenthesised_expr(&mut self) -> SqlResult<Expr> {
        let start = self.span();
        self.expect_symbol("(")?;
        if self.begins_query() {
            let query = self.query()?;
            self.expect_symbol(")")?;
            return Ok(expr(ExprKind::Scalar(Box::new(query)), start.to(self.last_span())));
        }
        let mut items = self.list(Parser::expr)?;
        self.expect_symbol(")")?;
        let span = start.to(self.last_span());
        if items.len() == 1 {
            let inner = items.remove(0);
            return Ok(Expr { kind: inner.kind, span });
        }
        Ok(expr(ExprKind::Row(items), span))
    }

    /// Expressions that a keyword begins; none if the word is a name here.
    fn keyword_expr(&mut self, word: &str) -> SqlResult<Option<ExprKind>> {
        let followed_by_text = matches!(self.peek_at(1), TokenKind::Text(_));
        let followed_by_paren = self.is_symbol_at(1, "(");
        Ok(Some(match word {
            "NULL" => self.constant(Literal::Null),
            "TRUE" => self.constant(Literal::Bool(true)),
            "FALSE" => self.constant(Literal::Bool(false)),
            "UNKNOWN" if !followed_by_paren && !self.is_symbol_at(1, ".") => self.constant(Literal::Null),
            "DATE" | "TIME" | "TIMESTAMP" if followed_by_text => {
                self.advance();
                let text = self.text_literal("text")?;
                ExprKind::Literal(match word {
                    "DATE" => Literal::Date(text),
                    "TIME" => Literal::Time(text),
                    _ => Literal::Timestamp(text),
                })
            }
            "INTERVAL" => self.interval_literal()?,
            "CASE" => self.case()?,
            "CAST" | "TRY_CAST" if followed_by_paren => {
                self.advance();
                self.expect_symbol("(")?;
                let operand = self.expr()?;
                self.expect_word("AS")?;
                let target = self.data_type()?;
                self.expect_symbol(")")?;
                ExprKind::Cast { expr: operand, target, is_try: word == "TRY_CAST" }
            }
            "EXISTS" if followed_by_paren => {
                self.advance();
                self.expect_symbol("(")?;
                let query = self.query()?;
                self.expect_symbol(")")?;
                ExprKind::Exists(Box::new(query))
            }
            "ROW" if followed_by_paren => {
                self.advance();
                ExprKind::Row(self.parenthesised(Parser::expr)?)
            }
            "ARRAY" if self.is_symbol_at(1, "[") => {
                self.advance();
                ExprKind::Array(self.bracketed()?)
            }
            "ARRAY" if followed_by_paren => {
                self.advance();
                self.expect_symbol("(")?;
                self.query()?;
                self.expect_symbol(")")?;
                ExprKind::ArrayQuery
            }
            "MAP" if self.is_symbol_at(1, "[") => {
                self.advance();
                ExprKind::Map(self.bracketed()?)
            }
            "DESCRIPTOR" if followed_by_paren => {
                self.advance();
                ExprKind::Descriptor(self.parenthesised(|parser| parser.any_ident("a column"))?)
            }
            "TABLE" => ExprKind::Table(self.table_argument()?),
            "EXTRACT" | "TRIM" | "POSITION" | "SUBSTRING" | "OVERLAY" | "CEIL" | "CEILING" | "FLOOR"
                if followed_by_paren =>
            {
                return self.special_call(word).map(Some);
            }
            "JSON_VALUE" | "JSON_QUERY" | "JSON_EXISTS" | "JSON_OBJECT" | "JSON_ARRAY" | "JSON_OBJECTAGG"
            | "JSON_ARRAYAGG"
                if followed_by_paren =>
            {
                return self.json_call(word).map(Some);
            }
            "TIMESTAMPDIFF" | "TIMESTAMPADD" if followed_by_paren => {
                return self.timestamp_call(word).map(Some);
            }
            "CURRENT_DATE" | "CURRENT_TIME" | "CURRENT_TIMESTAMP" | "LOCALTIME" | "LOCALTIMESTAMP"
                if !followed_by_paren =>
            {
                let name = self.any_ident("a function")?;
                ExprKind::Call(Call::plain(name, Vec::new()))
            }
            _ => return Ok(None),
        }))
    }

    fn constant(&mut self, literal: Literal) -> ExprKind {
        self.advance();
        ExprKind::Literal(literal)
    }

    fn bracketed(&mut self) -> SqlResult<Vec<Expr>> {
        self.expect_symbol("[")?;
        if self.take_symbol("]") {
            return Ok(Vec::new());
        }
        let items = self.list(Parser::expr)?;
        self.expect_symbol("]")?;
        Ok(items)
    }

    fn case(&mut self) -> SqlResult<ExprKind> {
        self.expect_word("CASE")?;
        let operand = if self.is_word("WHEN") { None } else { Some(self.expr()?) };
        let mut branches = Vec::new();
        while self.take_word("WHEN") {
            let mut when = self.expr()?;
            // `WHEN 1, 2 THEN` means either.
            while self.take_symbol(",") {
                let other = self.expr()?;
                branches.push((when, other.clone()));
                when = other;
            }
            self.expect_word("THEN")?;
            let then = self.expr()?;
            branches.push((when, then));
        }
        if branches.is_empty() {
            return Err(self.unexpected("`WHEN`"));
        }
        let otherwise = if self.take_word("ELSE") { Some(self.expr()?) } else { None };
        self.expect_word("END")?;
        Ok(ExprKind::Case { operand, branches, otherwise })
    }

    /// `INTERVAL [+|-] 'text' unit [TO unit]`
    fn interval_literal(&mut self) -> SqlResult<ExprKind> {
        let start = self.span();
        self.expect_word("INTERVAL")?;
        let negative = self.take_symbol("-");
        self.take_symbol("+");
        let text = match self.peek().clone() {
            TokenKind::Number(digits) => {
                self.advance();
                digits
            }
            _ => self.text_literal("the interval's length in quotes")?,
        };
        let (first, second) = self.interval_units()?;
        let interval = Interval::parse(&text, first, second).ok_or_else(|| {
            SqlError::at(start.to(self.last_span()), format!("'{text}' is no such interval"))
        })?;
        let interval = if negative { interval.negated() } else { interval };
        Ok(ExprKind::Literal(Literal::Interval(interval)))
    }

    /// `unit[(precision)] [TO unit[(precision)]]`
    pub(super) fn interval_units(&mut self) -> SqlResult<(TimeUnit, Option<TimeUnit>)> {
        let first = self.interval_unit()?;
        let second = if self.take_word("TO") { Some(self.interval_unit()?) } else { None };
        Ok((first, second))
    }

    fn interval_unit(&mut self) -> SqlResult<TimeUnit> {
        let unit = match self.peek() {
            TokenKind::Word(word, false) => {
                TimeUnit::parse(word).ok_or_else(|| self.unexpected("a unit of time"))?
            }
            _ => return Err(self.unexpected("a unit of time")),
        };
        self.advance();
        if self.take_symbol("(") {
            self.integer("a precision")?;
            if self.take_symbol(",") {
                self.integer("a precision")?;
            }
            self.expect_symbol(")")?;
        }
        Ok(unit)
    }

    /// `TABLE t [PARTITION BY …] [ORDER BY …]`, `TABLE (query)`; a query in parentheses alone is read elsewhere.
    fn table_argument(&mut self) -> SqlResult<TableArgument> {
        self.expect_word("TABLE")?;
        let query = if self.is_symbol("(") {
            self.expect_symbol("(")?;
            let query = self.query()?;
            self.expect_symbol(")")?;
            query
        } else {
            let name = self.object_name("a table")?;
            super::query::query_of_table(name)
        };
        let partition_by =
            if self.take_words(&["PARTITION", "BY"]) { self.columns_of_partition()? } else { Vec::new() };
        let order_by =
            if self.take_words(&["ORDER", "BY"]) { self.list(Parser::order_item)? } else { Vec::new() };
        Ok(TableArgument { query: Box::new(query), partition_by, order_by })
    }

    /// One column, or several in parentheses.
    fn columns_of_partition(&mut self) -> SqlResult<Vec<Expr>> {
        if self.is_symbol("(") { self.parenthesised(Parser::expr) } else { Ok(vec![self.expr()?]) }
    }

    pub(super) fn order_item(&mut self) -> SqlResult<OrderItem> {
        let expr = self.expr()?;
        let descending = self.take_word("DESC");
        if !descending {
            self.take_word("ASC");
        }
        let nulls_first = if self.take_words(&["NULLS", "FIRST"]) {
            Some(true)
        } else if self.take_words(&["NULLS", "LAST"]) {
            Some(false)
        } else {
            None
        };
        Ok(OrderItem { expr, descending, nulls_first })
    }

    fn name_or_call(&mut self) -> SqlResult<Expr> {
        let start = self.span();
        let is_name_for_any_word = self.is_symbol_at(1, "(");
        let mut parts =
            vec![if is_name_for_any_word { self.any_ident("a name")? } else { self.ident("an expression")? }];
        while self.is_symbol(".") && matches!(self.peek_at(1), TokenKind::Word(..)) {
            self.advance();
            parts.push(self.any_ident("a name")?);
        }
        if !self.is_symbol("(") {
            return Ok(expr(ExprKind::Name(parts), start.to(self.last_span())));
        }
        let call = self.call(parts)?;
        Ok(expr(ExprKind::Call(call), start.to(self.last_span())))
    }

    /// `(arguments) [FILTER …] [WITHIN GROUP …] [OVER …]` behind a function's name.
    pub(super) fn call(&mut self, name: Vec<Ident>) -> SqlResult<Call> {
        self.expect_symbol("(")?;
        let mut call = Call { name, ..Call::default() };
        if self.is_symbol("*") && self.is_symbol_at(1, ")") {
            self.advance();
            call.star = true;
        } else if !self.is_symbol(")") {
            call.distinct = self.take_word("DISTINCT");
            self.take_word("ALL");
            call.args = self.list(Parser::argument)?;
            if self.take_words(&["ORDER", "BY"]) {
                call.order_by = self.list(Parser::order_item)?;
            }
        }
        call.ignore_nulls = self.null_treatment();
        self.expect_symbol(")")?;
        self.behind_call(call)
    }

    fn null_treatment(&mut self) -> Option<bool> {
        if self.take_words(&["IGNORE", "NULLS"]) {
            Some(true)
        } else if self.take_words(&["RESPECT", "NULLS"]) {
            Some(false)
        } else {
            None
        }
    }

    pub(super) fn behind_call(&mut self, mut call: Call) -> SqlResult<Call> {
        call.ignore_nulls = self.null_treatment().or(call.ignore_nulls);
        if self.take_words(&["WITHIN", "GROUP"]) {
            self.expect_symbol("(")?;
            self.expect_words(&["ORDER", "BY"])?;
            call.order_by = self.list(Parser::order_item)?;
            self.expect_symbol(")")?;
        }
        if self.is_word("FILTER") && self.is_symbol_at(1, "(") {
            self.advance();
            self.expect_symbol("(")?;
            self.expect_word("WHERE")?;
            call.filter = Some(self.expr()?);
            self.expect_symbol(")")?;
        }
        call.ignore_nulls = self.null_treatment().or(call.ignore_nulls);
        if self.take_word("OVER") {
            call.over = Some(if self.is_symbol("(") {
                Over::Spec(self.window_spec()?)
            } else {
                Over::Named(self.ident("a window's name")?)
            });
        }
        Ok(call)
    }

    fn argument(&mut self) -> SqlResult<Expr> {
        if matches!(self.peek(), TokenKind::Word(..)) && self.is_symbol_at(1, "=>") {
            let name = self.any_ident("an argument's name")?;
            self.expect_symbol("=>")?;
            let value = self.argument()?;
            let span = name.span.to(value.span);
            return Ok(expr(ExprKind::Named(name, value), span));
        }
        self.expr()
    }
}

impl Call {
    pub(crate) fn plain(name: Ident, args: Vec<Expr>) -> Self {
        Call { name: vec![name], args, ..Call::default() }
    }
}

//! The dialect: Flink's SQL, from text to tree.
//!
//! The grammar is Flink's, not a general one: hints stay where they stand, every expression knows its place in the text,
//! and what is not understood is refused by name. Nesting is limited, so that no script can exhaust the stack.

pub(crate) mod ast;
mod classify;
mod ddl;
mod expr;
mod from;
mod lexer;
mod over;
mod query;
pub(crate) mod span;
mod special;
mod statement;
#[cfg(test)]
mod tests;
mod types;

pub(crate) use classify::keywords;
pub use classify::{Piece, PieceKind, pieces};

use ast::Ident;
use lexer::{Token, TokenKind, tokenize};
use span::{Span, SqlError, SqlResult};

/// Most levels of nesting in a statement.
const NESTING_MAX: usize = 120;

/// A statement and the text it was written as.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    pub(crate) statement: ast::Statement,
    pub(crate) span: Span,
}

/// The statements of a script, which are separated by semicolons.
pub(crate) fn parse_script(text: &str) -> SqlResult<Vec<Parsed>> {
    let mut parser = Parser::new(text)?;
    let mut statements = Vec::new();
    loop {
        while parser.take_symbol(";") {}
        if parser.at_end() {
            return Ok(statements);
        }
        let start = parser.span();
        let statement = parser.statement()?;
        let span = start.to(parser.last_span());
        if !parser.at_end() && !parser.is_symbol(";") {
            return Err(parser.unexpected("the end of the statement"));
        }
        statements.push(Parsed { statement, span });
    }
}

/// A query alone, as a view keeps it.
pub(crate) fn parse_query(text: &str) -> SqlResult<ast::Query> {
    let mut parser = Parser::new(text)?;
    let query = parser.query()?;
    if parser.at_end() { Ok(query) } else { Err(parser.unexpected("the end of the query")) }
}

/// Whether `text` holds a whole statement: its last one is ended by a semicolon.
pub(crate) fn is_complete(text: &str) -> bool {
    match tokenize(text) {
        Ok(tokens) => {
            let last = tokens.iter().rev().find(|token| token.kind != TokenKind::End);
            last.is_none_or(|token| token.kind == TokenKind::Symbol(";"))
        }
        Err(error) => !error.message.ends_with("never closed") && text.trim_end().ends_with(';'),
    }
}

pub(crate) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> SqlResult<Self> {
        Ok(Parser { text, tokens: tokenize(text)?, at: 0, depth: 0 })
    }

    fn peek_at(&self, ahead: usize) -> &TokenKind {
        &self.tokens[(self.at + ahead).min(self.tokens.len() - 1)].kind
    }

    fn peek(&self) -> &TokenKind {
        self.peek_at(0)
    }

    fn span(&self) -> Span {
        self.tokens[self.at.min(self.tokens.len() - 1)].span
    }

    fn last_span(&self) -> Span {
        self.tokens[self.at.saturating_sub(1)].span
    }

    fn at_end(&self) -> bool {
        *self.peek() == TokenKind::End
    }

    fn advance(&mut self) {
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
    }

    fn is_word_at(&self, ahead: usize, keyword: &str) -> bool {
        matches!(self.peek_at(ahead), TokenKind::Word(word, false) if word.eq_ignore_ascii_case(keyword))
    }

    fn is_word(&self, keyword: &str) -> bool {
        self.is_word_at(0, keyword)
    }

    /// Whether the next words are `keywords`.
    fn are_words(&self, keywords: &[&str]) -> bool {
        keywords.iter().enumerate().all(|(ahead, keyword)| self.is_word_at(ahead, keyword))
    }

    fn take_word(&mut self, keyword: &str) -> bool {
        let found = self.is_word(keyword);
        if found {
            self.advance();
        }
        found
    }

    fn take_words(&mut self, keywords: &[&str]) -> bool {
        let found = self.are_words(keywords);
        if found {
            keywords.iter().for_each(|_| self.advance());
        }
        found
    }

    fn expect_word(&mut self, keyword: &str) -> SqlResult<()> {
        if self.take_word(keyword) { Ok(()) } else { Err(self.unexpected(&format!("`{keyword}`"))) }
    }

    fn expect_words(&mut self, keywords: &[&str]) -> SqlResult<()> {
        keywords.iter().try_for_each(|keyword| self.expect_word(keyword))
    }

    fn is_symbol_at(&self, ahead: usize, symbol: &str) -> bool {
        matches!(self.peek_at(ahead), TokenKind::Symbol(found) if *found == symbol)
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        self.is_symbol_at(0, symbol)
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        if found {
            self.advance();
        }
        found
    }

    fn expect_symbol(&mut self, symbol: &str) -> SqlResult<()> {
        if self.take_symbol(symbol) { Ok(()) } else { Err(self.unexpected(&format!("`{symbol}`"))) }
    }

    /// An error that says what was expected where the parser is.
    fn unexpected(&self, expected: &str) -> SqlError {
        let found = match self.peek() {
            TokenKind::End => "the text ends".to_owned(),
            TokenKind::Word(word, _) => format!("found `{word}`"),
            TokenKind::Number(text) => format!("found `{text}`"),
            TokenKind::Text(text) => format!("found '{text}'"),
            TokenKind::Symbol(symbol) => format!("found `{symbol}`"),
            TokenKind::Bytes(_) => "found bytes".to_owned(),
            TokenKind::HintStart | TokenKind::HintEnd => "found a hint".to_owned(),
        };
        SqlError::at(self.span(), format!("expected {expected}, but {found}"))
    }

    /// A name: quoted, or a word that is not reserved.
    fn ident(&mut self, what: &str) -> SqlResult<Ident> {
        match self.peek() {
            TokenKind::Word(word, quoted) if *quoted || !is_reserved(word) => {
                let ident = Ident { name: word.clone(), span: self.span() };
                self.advance();
                Ok(ident)
            }
            TokenKind::Word(word, false) => {
                let hint = format!("put the name in backticks: `{word}`");
                Err(self.unexpected(what).hint(hint))
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// A name behind a dot or an AS may be any word.
    fn any_ident(&mut self, what: &str) -> SqlResult<Ident> {
        match self.peek() {
            TokenKind::Word(word, _) => {
                let ident = Ident { name: word.clone(), span: self.span() };
                self.advance();
                Ok(ident)
            }
            _ => Err(self.unexpected(what)),
        }
    }

    fn object_name(&mut self, what: &str) -> SqlResult<Vec<Ident>> {
        let mut parts = vec![self.ident(what)?];
        while self.take_symbol(".") {
            parts.push(self.any_ident(what)?);
        }
        Ok(parts)
    }

    fn text_literal(&mut self, what: &str) -> SqlResult<String> {
        match self.peek() {
            TokenKind::Text(text) => {
                let text = text.clone();
                self.advance();
                Ok(text)
            }
            _ => Err(self.unexpected(what)),
        }
    }

    fn integer(&mut self, what: &str) -> SqlResult<u32> {
        match self.peek() {
            TokenKind::Number(digits) => match digits.parse() {
                Ok(number) => {
                    self.advance();
                    Ok(number)
                }
                Err(_) => Err(self.unexpected(what)),
            },
            _ => Err(self.unexpected(what)),
        }
    }

    /// `item, item, …`
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> SqlResult<T>) -> SqlResult<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.take_symbol(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// `(item, item, …)`
    fn parenthesised<T>(&mut self, item: impl FnMut(&mut Self) -> SqlResult<T>) -> SqlResult<Vec<T>> {
        self.expect_symbol("(")?;
        let items = self.list(item)?;
        self.expect_symbol(")")?;
        Ok(items)
    }

    /// Goes one level deeper for as long as `parse` runs.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> SqlResult<T>) -> SqlResult<T> {
        if self.depth >= NESTING_MAX {
            return Err(SqlError::at(self.span(), "the statement is nested too deeply")
                .hint(format!("at most {NESTING_MAX} levels are possible; split it by views")));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// Tries `parse` and goes back if it fails.
    fn attempt<T>(&mut self, parse: impl FnOnce(&mut Self) -> SqlResult<T>) -> Option<T> {
        let (at, depth) = (self.at, self.depth);
        match parse(self) {
            Ok(parsed) => Some(parsed),
            Err(_) => {
                (self.at, self.depth) = (at, depth);
                None
            }
        }
    }
}

/// Words that begin or go on with a clause, and so cannot be names without quotes.
const RESERVED: [&str; 71] = [
    "ALL",
    "AND",
    "ANY",
    "ARRAY",
    "AS",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "CREATE",
    "CROSS",
    "DATE",
    "DELETE",
    "DISTINCT",
    "DROP",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "FALSE",
    "FETCH",
    "FOR",
    "FROM",
    "FULL",
    "GROUP",
    "GROUPING",
    "HAVING",
    "IN",
    "INNER",
    "INSERT",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "LATERAL",
    "LEFT",
    "LIKE",
    "LIMIT",
    "MATCH_RECOGNIZE",
    "MINUS",
    "NATURAL",
    "NOT",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "PRIMARY",
    "QUALIFY",
    "RIGHT",
    "SELECT",
    "SET",
    "SOME",
    "TABLE",
    "TABLESAMPLE",
    "THEN",
    "TO",
    "TRUE",
    "UNION",
    "UNNEST",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
    "WITHIN",
];

fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| word.eq_ignore_ascii_case(reserved))
}

//! From text to tokens: Flink's lexical rules.
//!
//! Identifiers are quoted by backticks; text in double quotes is refused, as in Flink. Hints (`/*+ … */`) are tokens,
//! other comments are not.

use super::span::{Span, SqlError, SqlResult};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// An identifier or keyword as written, and whether it was quoted.
    Word(String, bool),
    Number(String),
    Text(String),
    Bytes(Vec<u8>),
    HintStart,
    HintEnd,
    /// An operator or punctuation.
    Symbol(&'static str),
    End,
}

#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
}

/// Longer symbols first.
const SYMBOLS: [&str; 31] = [
    "<=>", "=>", "<=", ">=", "<>", "!=", "||", "->", "{-", "-}", "(", ")", "[", "]", "{", "}", ",", ";", ".",
    "+", "-", "*", "/", "%", "=", "<", ">", "?", ":", "^", "$",
];

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    in_hint: bool,
}

/// The tokens of `text`, an end token last.
pub(crate) fn tokenize(text: &str) -> SqlResult<Vec<Token>> {
    let mut lexer = Lexer { text, at: 0, in_hint: false };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks()?;
        let start = lexer.at;
        let kind = lexer.next()?;
        let ended = kind == TokenKind::End;
        tokens.push(Token { kind, span: Span::new(start, lexer.at) });
        if ended {
            return Ok(tokens);
        }
    }
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) -> SqlResult<()> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
            self.at += rest.len() - trimmed.len();
            let rest = self.rest();
            if rest.starts_with("--") || rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") && !rest.starts_with("/*+") {
                let start = self.at;
                match rest.find("*/") {
                    Some(end) => self.at += end + 2,
                    None => {
                        return Err(SqlError::at(
                            Span::new(start, start + 2),
                            "this comment is never closed",
                        ));
                    }
                }
            } else {
                return Ok(());
            }
        }
    }

    fn next(&mut self) -> SqlResult<TokenKind> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(TokenKind::End) };
        if rest.starts_with("/*+") {
            self.at += 3;
            self.in_hint = true;
            return Ok(TokenKind::HintStart);
        }
        if self.in_hint && rest.starts_with("*/") {
            self.at += 2;
            self.in_hint = false;
            return Ok(TokenKind::HintEnd);
        }
        let followed_by_quote = rest[first.len_utf8()..].starts_with('\'');
        match first {
            '\'' => self.text_literal().map(TokenKind::Text),
            'x' | 'X' if followed_by_quote => self.byte_literal(),
            'u' | 'U' if rest[1..].starts_with("&'") => {
                self.at += 2;
                self.unicode_literal()
            }
            'n' | 'N' if followed_by_quote => {
                self.at += 1;
                self.text_literal().map(TokenKind::Text)
            }
            '`' => self.quoted_name(),
            '"' => Err(SqlError::at(Span::new(self.at, self.at + 1), "double quotes mean nothing here")
                .hint("quote names by backticks (`name`) and text by single quotes ('text')")),
            '0'..='9' => Ok(self.number()),
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => Ok(self.number()),
            c if c.is_alphabetic() || c == '_' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'));
                let word = rest[..end.unwrap_or(rest.len())].to_owned();
                self.at += word.len();
                Ok(TokenKind::Word(word, false))
            }
            _ => match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
                Some(symbol) => {
                    self.at += symbol.len();
                    Ok(TokenKind::Symbol(symbol))
                }
                None => Err(SqlError::at(
                    Span::new(self.at, self.at + first.len_utf8()),
                    format!("the character `{first}` has no meaning here"),
                )),
            },
        }
    }

    /// Text between quotes, which are doubled inside.
    fn delimited(&mut self, quote: char, what: &str) -> SqlResult<String> {
        let start = self.at;
        let mut text = String::new();
        let mut chars = self.text[start + 1..].char_indices().peekable();
        while let Some((offset, c)) = chars.next() {
            if c != quote {
                text.push(c);
            } else if chars.next_if(|(_, next)| *next == quote).is_some() {
                text.push(quote);
            } else {
                self.at = start + 1 + offset + quote.len_utf8();
                return Ok(text);
            }
        }
        Err(SqlError::at(Span::new(start, start + 1), format!("this {what} is never closed")))
    }

    fn text_literal(&mut self) -> SqlResult<String> {
        self.delimited('\'', "text")
    }

    fn quoted_name(&mut self) -> SqlResult<TokenKind> {
        self.delimited('`', "name").map(|name| TokenKind::Word(name, true))
    }

    fn byte_literal(&mut self) -> SqlResult<TokenKind> {
        let start = self.at;
        self.at += 1;
        let digits = self.text_literal()?;
        let wrong = || SqlError::at(Span::new(start, start + 1), "X'…' holds pairs of hexadecimal digits");
        if digits.len() % 2 != 0 || !digits.is_ascii() {
            return Err(wrong());
        }
        let pairs = (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16));
        pairs.collect::<Result<Vec<u8>, _>>().map(TokenKind::Bytes).map_err(|_| wrong())
    }

    fn unicode_literal(&mut self) -> SqlResult<TokenKind> {
        let start = self.at;
        let raw = self.text_literal()?;
        let mut text = String::new();
        let mut rest = raw.as_str();
        while let Some(place) = rest.find('\\') {
            text.push_str(&rest[..place]);
            rest = &rest[place + 1..];
            if let Some(after) = rest.strip_prefix('\\') {
                text.push('\\');
                rest = after;
                continue;
            }
            let (skip, digits) = if rest.starts_with('+') { (1, 6) } else { (0, 4) };
            let code = rest.get(skip..skip + digits).and_then(|digits| u32::from_str_radix(digits, 16).ok());
            match code.and_then(char::from_u32) {
                Some(c) => text.push(c),
                None => {
                    return Err(SqlError::at(
                        Span::new(start, start + 1),
                        "`\\` is followed by four hexadecimal digits",
                    ));
                }
            }
            rest = &rest[skip + digits..];
        }
        text.push_str(rest);
        Ok(TokenKind::Text(text))
    }

    fn number(&mut self) -> TokenKind {
        let bytes = self.rest().as_bytes();
        let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut end = digits(0);
        if bytes.get(end) == Some(&b'.') && bytes.get(end + 1) != Some(&b'.') {
            end += 1;
            end += digits(end);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end + 1 + sign);
            if exponent > 0 {
                end += 1 + sign + exponent;
            }
        }
        let number = self.rest()[..end].to_owned();
        self.at += end;
        TokenKind::Number(number)
    }
}

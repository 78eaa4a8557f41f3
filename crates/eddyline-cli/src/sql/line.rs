//! Editing a statement: several lines until its semicolon, colours, completion.

use super::complete::candidates;
use super::shell::Command;
use eddyline_sql::{PieceKind, Session, Vocabulary, pieces};
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper, Result};
use std::borrow::Cow;

/// What the line editor asks.
#[derive(Default)]
pub(super) struct Line {
    /// The words that mean something now.
    pub(super) known: Vocabulary,
}

impl Completer for Line {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _context: &Context<'_>) -> Result<(usize, Vec<Pair>)> {
        let (start, words) = candidates(&self.known, line, at);
        let pairs = words.into_iter().map(|word| Pair { display: word.clone(), replacement: word });
        Ok((start, pairs.collect()))
    }
}

impl Validator for Line {
    fn validate(&self, context: &mut ValidationContext<'_>) -> Result<ValidationResult> {
        let text = context.input();
        let is_whole = text.trim().is_empty() || Command::of(text).is_some() || Session::is_complete(text);
        Ok(if is_whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Hinter for Line {
    type Hint = String;
}

/// The colour of a part of a statement.
fn colour(kind: PieceKind) -> Option<&'static str> {
    match kind {
        PieceKind::Keyword => Some("1;34"),
        PieceKind::Function => Some("36"),
        PieceKind::Text => Some("32"),
        PieceKind::Number => Some("35"),
        PieceKind::Comment | PieceKind::Hint => Some("2"),
        PieceKind::QuotedName => Some("33"),
        PieceKind::Name | PieceKind::Symbol => None,
    }
}

/// `text` with colours.
pub(super) fn coloured(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() * 2);
    let mut at = 0;
    for piece in pieces(text) {
        shown.push_str(&text[at..piece.range.start]);
        at = piece.range.end;
        match colour(piece.kind) {
            Some(code) => shown.push_str(&format!("\x1b[{code}m{}\x1b[0m", &text[piece.range])),
            None => shown.push_str(&text[piece.range]),
        }
    }
    shown.push_str(&text[at..]);
    shown
}

impl Highlighter for Line {
    fn highlight<'l>(&self, line: &'l str, _at: usize) -> Cow<'l, str> {
        Cow::Owned(coloured(line))
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _default: bool) -> Cow<'b, str> {
        Cow::Owned(format!("\x1b[1m{prompt}\x1b[0m"))
    }

    fn highlight_char(&self, _line: &str, _at: usize, kind: CmdKind) -> bool {
        kind != CmdKind::MoveCursor
    }
}

impl Helper for Line {}

//! What parts of a text are, for those who colour it and complete it.
//!
//! Nothing is ever wrong here: a text that is not ended yet goes on to the end.

use std::ops::Range;

/// What a part of a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// A word of the language.
    Keyword,
    /// The name of a function: what stands before a parenthesis.
    Function,
    /// Another name.
    Name,
    /// A name in backticks.
    QuotedName,
    /// A text in quotes.
    Text,
    /// A number.
    Number,
    /// A comment.
    Comment,
    /// A hint, `/*+ … */`.
    Hint,
    /// Anything else that is no blank.
    Symbol,
}

/// A part of a statement: what it is, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// What it is.
    pub kind: PieceKind,
    /// Where it is.
    pub range: Range<usize>,
}

/// Words of the language that can be names too.
const OTHER_KEYWORDS: &str = "ADD AFTER ALTER ANALYZE ASC BATCH BEGIN BIGINT BOOLEAN BYTES CASCADE CATALOG CATALOGS CHAR \
    CHARACTER COLUMN COLUMNS COMMENT CONSTRAINT CUMULATE CURRENT DATABASE DATABASES DAY DAYS DECIMAL DESC DESCRIBE \
    DESCRIPTOR DOUBLE ENFORCED ESCAPE EXCLUDING EXECUTE EXPLAIN FILTER FIRST FLOAT FOLLOWING FUNCTION FUNCTIONS \
    GENERATED HOP HOUR HOURS IF INCLUDING INT INTEGER JOBS KEY LAST MAP METADATA MINUTE MINUTES MODIFY MONTH MONTHS MULTISET \
    NEXT NULLS OF ONLY OPTIONS ORDINALITY OVERWRITE OVERWRITING PARTITIONED PLAN PRECEDING RANGE RENAME REPLACE \
    RESET RESPECT IGNORE ROLLUP CUBE ROW ROWS SECOND SECONDS SEMI ANTI SESSION SETS SHOW SIMILAR SMALLINT STATEMENT \
    STRING SYSTEM_TIME TABLES TEMPORARY TIME TIMESTAMP TIMESTAMP_LTZ TINYINT TUMBLE UNBOUNDED USE VARCHAR VIEW \
    VIEWS VIRTUAL WATERMARK WATERMARKS WITHOUT ZONE YEAR YEARS";

/// All words of the language, in upper case and in order.
pub fn keywords() -> Vec<&'static str> {
    let mut all: Vec<&str> =
        super::RESERVED.iter().copied().chain(OTHER_KEYWORDS.split_whitespace()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn is_keyword(word: &str) -> bool {
    super::is_reserved(word)
        || OTHER_KEYWORDS.split_whitespace().any(|known| word.eq_ignore_ascii_case(known))
}

/// The parts of `text`, in order, without the blanks between them.
///
/// # Examples
/// ```
/// use eddyline_sql::{PieceKind, pieces};
/// let kinds: Vec<PieceKind> = pieces("SELECT COUNT(*) -- all").into_iter().map(|piece| piece.kind).collect();
/// assert_eq!(kinds[..3], [PieceKind::Keyword, PieceKind::Function, PieceKind::Symbol]);
/// assert_eq!(kinds.last(), Some(&PieceKind::Comment));
/// ```
pub fn pieces(text: &str) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (kind, length) = piece(rest, first);
        found.push(Piece { kind, range: at..at + length });
        at += length;
    }
    found
}

/// What `rest`, whose first letter is `first`, begins with, and its length.
fn piece(rest: &str, first: char) -> (PieceKind, usize) {
    let through = |end: &str, from: usize| {
        rest.get(from..).and_then(|rest| rest.find(end)).map_or(rest.len(), |place| from + place + end.len())
    };
    match first {
        '-' if rest.starts_with("--") => (PieceKind::Comment, rest.find('\n').unwrap_or(rest.len())),
        '/' if rest.starts_with("/*+") => (PieceKind::Hint, through("*/", 3)),
        '/' if rest.starts_with("/*") => (PieceKind::Comment, through("*/", 2)),
        '\'' => (PieceKind::Text, quoted(rest, '\'')),
        '`' => (PieceKind::QuotedName, quoted(rest, '`')),
        '0'..='9' => {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.'));
            (PieceKind::Number, end.unwrap_or(rest.len()))
        }
        c if c.is_alphabetic() || c == '_' => {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'));
            let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
            let is_call = behind.trim_start().starts_with('(');
            let kind = match (is_keyword(word), is_call) {
                (_, true)
                    if crate::functions::find(word).is_some()
                        || crate::plan::AggregateFunction::find(word).is_some() =>
                {
                    PieceKind::Function
                }
                (true, _) => PieceKind::Keyword,
                (false, true) => PieceKind::Function,
                (false, false) => PieceKind::Name,
            };
            (kind, word.len())
        }
        c => (PieceKind::Symbol, c.len_utf8()),
    }
}

/// The length of what stands between quotes, which are doubled inside.
fn quoted(rest: &str, quote: char) -> usize {
    let mut letters = rest.char_indices().skip(1).peekable();
    while let Some((place, letter)) = letters.next() {
        if letter == quote && letters.next_if(|(_, next)| *next == quote).is_none() {
            return place + 1;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_what_is_written_even_if_it_has_no_end() {
        let text =
            "select a.`b``c`, 'it''s' || x'0f', 1.5e3 /*+ OPTIONS('k'='v') */ from t -- é\nwhere f(1) > '…";
        let shown: Vec<(PieceKind, &str)> =
            pieces(text).into_iter().map(|piece| (piece.kind, &text[piece.range])).collect();
        use PieceKind::*;
        for wanted in [
            (Keyword, "select"),
            (Name, "a"),
            (QuotedName, "`b``c`"),
            (Text, "'it''s'"),
            (Number, "1.5e3"),
            (Hint, "/*+ OPTIONS('k'='v') */"),
            (Comment, "-- é"),
            (Function, "f"),
            (Text, "'…"),
        ] {
            assert!(shown.contains(&wanted), "{wanted:?} in {shown:?}");
        }
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            let all = pieces(&text[..end]);
            assert!(all.iter().all(|piece| !piece.range.is_empty() && piece.range.end <= end));
        }
    }

    #[test]
    fn keywords_are_in_order_and_hold_those_that_are_reserved() {
        let all = keywords();
        assert!(all.is_sorted() && all.contains(&"SELECT") && all.contains(&"WATERMARK"));
    }
}

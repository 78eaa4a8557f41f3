//! Where records end.
//!
//! A [`Scanner`] is fed the bytes of a file piece by piece and says where records end, however the pieces are cut. It
//! knows as much of a format as that takes: for CSV, when a line feed is part of a quoted field.

/// How records are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// Every line feed ends a record. A file can be read from the middle.
    #[default]
    Lines,
    /// A line feed within quotes ends none. Where a record starts is known only by reading from the start, so a file
    /// is read by one reader.
    Quoted(Quoting),
}

/// The bytes that matter for where a record of fields ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoting {
    /// Ends a field.
    pub delimiter: u8,
    /// Begins and ends a quoted field.
    pub quote: u8,
    /// Takes its meaning from the next byte of a quoted field.
    pub escape: Option<u8>,
    /// Begins a line that is a comment.
    pub comment: Option<u8>,
}

impl Framing {
    /// Whether records can be found from any offset on, so that readers can share a file.
    pub fn is_splittable(self) -> bool {
        matches!(self, Framing::Lines)
    }

    /// A scanner that stands at the start of a record.
    pub fn scanner(self) -> Scanner {
        Scanner { framing: self, place: Place::RecordStart }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    RecordStart,
    FieldStart,
    /// In a field without quotes, or behind the quotes of one with.
    Field,
    Quoted,
    /// Behind a quote in a quoted field: its end, unless another follows.
    QuoteInQuoted,
    Escaped,
    Comment,
}

/// Finds the ends of records.
///
/// # Examples
/// ```
/// use eddyline_formats::{Framing, Quoting};
///
/// let quoting = Quoting { delimiter: b',', quote: b'"', escape: None, comment: None };
/// let mut scanner = Framing::Quoted(quoting).scanner();
/// assert_eq!(scanner.next_end(b"a,\"b\n"), None, "within quotes");
/// assert_eq!(scanner.next_end(b"c\"\nd"), Some(3));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Scanner {
    framing: Framing,
    place: Place,
}

impl Scanner {
    /// Looks through `bytes`, which follow what was scanned before, up to the first record end; answers the index
    /// behind it. After that, the scanner stands at the start of a record; after `None`, behind `bytes`.
    #[inline]
    pub fn next_end(&mut self, bytes: &[u8]) -> Option<usize> {
        match self.framing {
            Framing::Lines => memchr::memchr(b'\n', bytes).map(|at| at + 1),
            Framing::Quoted(quoting) => self.next_quoted_end(quoting, bytes),
        }
    }

    fn next_quoted_end(&mut self, quoting: Quoting, bytes: &[u8]) -> Option<usize> {
        let Quoting { delimiter, quote, escape, comment } = quoting;
        let mut at = 0;
        while at < bytes.len() {
            // Long stretches in which nothing matters are skipped at once.
            let skipped = match (self.place, escape) {
                (Place::Field, _) => memchr::memchr2(delimiter, b'\n', &bytes[at..]),
                (Place::Quoted, None) => memchr::memchr(quote, &bytes[at..]),
                (Place::Quoted, Some(escape)) => memchr::memchr2(quote, escape, &bytes[at..]),
                (Place::Comment, _) => memchr::memchr(b'\n', &bytes[at..]),
                _ => Some(0),
            };
            at += skipped?;
            let byte = bytes[at];
            at += 1;
            self.place = match self.place {
                Place::Escaped => Place::Quoted,
                Place::Quoted if byte == quote => Place::QuoteInQuoted,
                Place::Quoted => Place::Escaped,
                Place::QuoteInQuoted if byte == quote => Place::Quoted,
                _ if byte == b'\n' => {
                    self.place = Place::RecordStart;
                    return Some(at);
                }
                Place::Comment => Place::Comment,
                Place::RecordStart if comment == Some(byte) => Place::Comment,
                Place::RecordStart | Place::FieldStart if byte == quote => Place::Quoted,
                _ if byte == delimiter => Place::FieldStart,
                _ => Place::Field,
            };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUOTING: Quoting =
        Quoting { delimiter: b',', quote: b'"', escape: Some(b'\\'), comment: Some(b'#') };

    fn ends(framing: Framing, pieces: &[&[u8]]) -> Vec<usize> {
        let (mut scanner, mut ends, mut base) = (framing.scanner(), Vec::new(), 0);
        for piece in pieces {
            let mut at = 0;
            while let Some(end) = scanner.next_end(&piece[at..]) {
                at += end;
                ends.push(base + at);
            }
            base += piece.len();
        }
        ends
    }

    #[test]
    fn a_line_feed_in_quotes_ends_nothing() {
        let framing = Framing::Quoted(QUOTING);
        for (text, expected) in [
            ("a,b\nc\n", vec![4, 6]),
            ("\"a\nb\",c\n", vec![8]),
            ("\"a\"\"\nb\",c\nd\n", vec![10, 12]),
            ("\"a\\\"\nb\"\n", vec![8]),
            ("a\"b\nc\"\n", vec![4, 7]),
            ("#it's \"open\na\n", vec![12, 14]),
            ("\n\n", vec![1, 2]),
            ("\"open\n\n", vec![]),
        ] {
            assert_eq!(ends(framing, &[text.as_bytes()]), expected, "{text:?}");
        }
        assert_eq!(ends(Framing::Lines, &[b"\"a\nb\"\n"]), [3, 6]);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_bytes_are_cut(text in "[a,\"\\\\#\n]{0,60}", cut in 0usize..60) {
            let (text, cut) = (text.as_bytes(), cut.min(text.len()));
            for framing in [Framing::Lines, Framing::Quoted(QUOTING)] {
                let whole = ends(framing, &[text]);
                prop_assert_eq!(&ends(framing, &[&text[..cut], &text[cut..]]), &whole);
            }
        }
    }
}

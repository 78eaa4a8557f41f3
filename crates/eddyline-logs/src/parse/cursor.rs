//! Takes one field after the other from a line.

use super::timestamp::{TIME_BYTES, parse_timestamp};
use super::{Reason, Unparsed};
use eddyline_core::EventTime;

/// A position in a line. Every method either takes one field and moves on, or fails where it stands.
pub(super) struct Cursor<'a> {
    line: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: &'a [u8]) -> Self {
        Cursor { line, position: 0 }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        &self.line[self.position..]
    }

    fn fail<T>(&self, reason: Reason, ahead: usize) -> Result<T, Unparsed> {
        Err(Unparsed::new(reason, self.position + ahead))
    }

    pub(super) fn at_end(&self) -> bool {
        self.position == self.line.len()
    }

    /// One space between fields; the end of the line means that fields are missing.
    #[inline]
    pub(super) fn space(&mut self) -> Result<(), Unparsed> {
        match self.line.get(self.position) {
            Some(b' ') => {
                self.position += 1;
                Ok(())
            }
            Some(_) => self.fail(Reason::MissingSpace, 0),
            None => self.fail(Reason::MissingField, 0),
        }
    }

    /// A non-empty field up to the next space, which is taken too.
    #[inline]
    pub(super) fn word(&mut self, missing: Reason) -> Result<&'a [u8], Unparsed> {
        let rest = self.rest();
        match rest.iter().position(|&byte| byte == b' ') {
            None => self.fail(missing, rest.len()),
            Some(0) => self.fail(missing, 0),
            Some(end) => {
                self.position += end + 1;
                Ok(&rest[..end])
            }
        }
    }

    /// The client's address and the space behind it: printable ASCII, or the line is no text at all.
    #[inline]
    pub(super) fn host(&mut self) -> Result<&'a [u8], Unparsed> {
        let rest = self.rest();
        match rest.iter().position(|byte| !byte.is_ascii_graphic()) {
            None => self.fail(Reason::MissingField, rest.len()),
            Some(end) if rest[end] != b' ' => self.fail(Reason::BinaryGarbage, end),
            Some(0) => self.fail(Reason::MissingField, 0),
            Some(end) => {
                self.position += end + 1;
                Ok(&rest[..end])
            }
        }
    }

    /// The user, who may have spaces in the name, and the space behind; the next byte is the opening bracket.
    #[inline]
    pub(super) fn user(&mut self) -> Result<&'a [u8], Unparsed> {
        let rest = self.rest();
        // Nearly always the user is `-`.
        let end = if rest.starts_with(b"- [") { Some(1) } else { memchr::memmem::find(rest, b" [") };
        match end {
            Some(0) => self.fail(Reason::MissingField, 0),
            Some(end) => {
                self.position += end + 1;
                Ok(&rest[..end])
            }
            None => {
                let user_end = rest.iter().position(|&byte| byte == b' ').map_or(rest.len(), |end| end + 1);
                let reason =
                    if user_end >= rest.len() { Reason::MissingField } else { Reason::MissingOpeningBracket };
                self.fail(reason, user_end)
            }
        }
    }

    /// `[time]`; the cursor stands on the bracket.
    #[inline]
    pub(super) fn timestamp(&mut self) -> Result<EventTime, Unparsed> {
        let inner = &self.rest()[1..];
        let Some((time, behind)) = inner.split_first_chunk::<TIME_BYTES>() else {
            return match inner.iter().position(|&byte| byte == b']') {
                Some(_) => self.fail(Reason::MalformedTime, 1),
                None => self.fail(Reason::MissingClosingBracket, 1 + inner.len()),
            };
        };
        if behind.first() != Some(&b']') {
            // A bracket that comes earlier or later closes a time of another form.
            return match inner.iter().take(2 * TIME_BYTES).position(|&byte| byte == b']') {
                Some(_) => self.fail(Reason::MalformedTime, 1),
                None => self.fail(Reason::MissingClosingBracket, 1 + TIME_BYTES),
            };
        }
        match parse_timestamp(time) {
            Ok(milliseconds) => {
                self.position += TIME_BYTES + 2;
                Ok(milliseconds)
            }
            Err(unparsed) => self.fail(unparsed.reason, unparsed.column),
        }
    }

    /// What stands between two quotes; `\"` does not end it, `\\"` does.
    #[inline]
    pub(super) fn quoted(&mut self) -> Result<&'a [u8], Unparsed> {
        let rest = self.rest();
        if rest.first() != Some(&b'"') {
            let reason = if rest.is_empty() { Reason::MissingField } else { Reason::MissingOpeningQuote };
            return self.fail(reason, 0);
        }
        let inner = &rest[1..];
        for quote in memchr::memchr_iter(b'"', inner) {
            let backslashes = inner[..quote].iter().rev().take_while(|&&byte| byte == b'\\').count();
            if backslashes % 2 == 0 {
                self.position += quote + 2;
                return Ok(&inner[..quote]);
            }
        }
        self.fail(Reason::MissingClosingQuote, rest.len())
    }

    /// Three digits.
    #[inline]
    pub(super) fn status(&mut self) -> Result<u16, Unparsed> {
        let rest = self.rest();
        if rest.is_empty() {
            return self.fail(Reason::MissingField, 0);
        }
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let ends = rest.get(digits).is_none_or(|&byte| byte == b' ');
        if digits == 0 || !ends {
            return self.fail(Reason::StatusNotANumber, digits);
        }
        if digits != 3 || !(b'1'..=b'5').contains(&rest[0]) {
            return self.fail(Reason::StatusOutOfRange, 0);
        }
        self.position += 3;
        Ok(rest[..3].iter().fold(0, |number, byte| number * 10 + u16::from(byte - b'0')))
    }

    /// A decimal number up to a space or the end, or `-` for none.
    #[inline]
    pub(super) fn byte_count(&mut self) -> Result<u64, Unparsed> {
        let rest = self.rest();
        let mut number: u64 = 0;
        let mut end = 0;
        for &byte in rest.iter().take_while(|&&byte| byte != b' ') {
            if byte == b'-' && end == 0 && rest.get(1).is_none_or(|&next| next == b' ') {
                self.position += 1;
                return Ok(0);
            }
            if !byte.is_ascii_digit() {
                return self.fail(Reason::BytesNotANumber, end);
            }
            let grown = number.checked_mul(10).and_then(|tens| tens.checked_add(u64::from(byte - b'0')));
            number = match grown {
                Some(grown) => grown,
                None => return self.fail(Reason::BytesOutOfRange, 0),
            };
            end += 1;
        }
        if end == 0 {
            return self.fail(Reason::MissingField, 0);
        }
        self.position += end;
        Ok(number)
    }
}

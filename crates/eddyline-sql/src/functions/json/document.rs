//! A JSON text, read and written.
//!
//! Numbers keep the digits that they were written with. What follows the first value of a text is left alone, as
//! Flink's parser does it.

use std::fmt::Write;

/// How deep arrays and objects may lie in each other.
const DEPTH_MAX: usize = 256;

#[derive(Debug, Clone, PartialEq)]
pub(in crate::functions) enum Json {
    Null,
    Bool(bool),
    /// As it is printed.
    Number(String),
    Text(String),
    Array(Vec<Json>),
    /// In the order of the text; of equal names the last one counts.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The first value of `text`; none if there is no valid one.
    pub(in crate::functions) fn parse(text: &str) -> Option<Json> {
        let mut reader = Reader { text, at: 0 };
        reader.value(0)
    }

    pub(in crate::functions) fn is_scalar(&self) -> bool {
        !matches!(self, Json::Array(_) | Json::Object(_))
    }

    pub(in crate::functions) fn member(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.iter().find(|(known, _)| known == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Appends the text, the members of objects ordered by name if `sorted`.
    pub(in crate::functions) fn write(&self, sorted: bool, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Number(digits) => out.push_str(digits),
            Json::Text(text) => write_text(text, out),
            Json::Array(items) => {
                out.push('[');
                for (number, item) in items.iter().enumerate() {
                    out.push_str(if number > 0 { "," } else { "" });
                    item.write(sorted, out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                let mut members: Vec<&(String, Json)> = members.iter().collect();
                if sorted {
                    members.sort_by(|one, other| one.0.cmp(&other.0));
                }
                out.push('{');
                for (number, (name, value)) in members.into_iter().enumerate() {
                    out.push_str(if number > 0 { "," } else { "" });
                    write_text(name, out);
                    out.push(':');
                    value.write(sorted, out);
                }
                out.push('}');
            }
        }
    }

    pub(in crate::functions) fn to_text(&self, sorted: bool) -> String {
        let mut text = String::new();
        self.write(sorted, &mut text);
        text
    }
}

/// Appends `text` in quotes.
pub(in crate::functions) fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            letter if (letter as u32) < 0x20 => {
                // Writing to a text never fails.
                let _ = write!(out, "\\u{:04X}", letter as u32);
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn take(&mut self, expected: &str) -> Option<()> {
        let is_there = self.text.as_bytes()[self.at..].starts_with(expected.as_bytes());
        is_there.then(|| self.at += expected.len())
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        self.skip_blanks();
        if depth > DEPTH_MAX {
            return None;
        }
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(Json::Text),
            b't' => self.take("true").and_then(|()| self.word(Json::Bool(true))),
            b'f' => self.take("false").and_then(|()| self.word(Json::Bool(false))),
            b'n' => self.take("null").and_then(|()| self.word(Json::Null)),
            _ => self.number(),
        }
    }

    /// A word ends where no letter follows.
    fn word(&self, value: Json) -> Option<Json> {
        let goes_on = self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        (!goes_on).then_some(value)
    }

    fn object(&mut self, depth: usize) -> Option<Json> {
        self.take("{")?;
        let mut members: Vec<(String, Json)> = Vec::new();
        self.skip_blanks();
        if self.take("}").is_some() {
            return Some(Json::Object(members));
        }
        loop {
            self.skip_blanks();
            let name = self.string()?;
            self.skip_blanks();
            self.take(":")?;
            let value = self.value(depth + 1)?;
            match members.iter_mut().find(|(known, _)| *known == name) {
                Some(member) => member.1 = value,
                None => members.push((name, value)),
            }
            self.skip_blanks();
            if self.take(",").is_none() {
                self.take("}")?;
                return Some(Json::Object(members));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<Json> {
        self.take("[")?;
        let mut items = Vec::new();
        self.skip_blanks();
        if self.take("]").is_some() {
            return Some(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_blanks();
            if self.take(",").is_none() {
                self.take("]")?;
                return Some(Json::Array(items));
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        self.take("\"")?;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let end = rest.find(['"', '\\'])?;
            if rest[..end].bytes().any(|byte| byte < 0x20) {
                return None;
            }
            out.push_str(&rest[..end]);
            self.at += end + 1;
            if rest.as_bytes()[end] == b'"' {
                return Some(out);
            }
            out.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += 1;
        Some(match letter {
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'"' | b'\\' | b'/' => char::from(letter),
            b'u' => {
                let high = self.unit()?;
                if !(0xd800..0xe000).contains(&high) {
                    return char::from_u32(high);
                }
                if high >= 0xdc00 || self.take("\\u").is_none() {
                    return Some('\u{fffd}');
                }
                let low = self.unit()?;
                let pair = 0x10000 + ((high - 0xd800) << 10) + low.wrapping_sub(0xdc00);
                if (0xdc00..0xe000).contains(&low) { char::from_u32(pair)? } else { '\u{fffd}' }
            }
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Option<Json> {
        let start = self.at;
        let _ = self.take("-");
        let whole = self.at;
        let count = self.digits();
        if count == 0 || (count > 1 && self.text.as_bytes()[whole] == b'0') {
            return None;
        }
        let mut is_whole = true;
        if self.take(".").is_some() {
            is_whole = false;
            if self.digits() == 0 {
                return None;
            }
        }
        if self.take("e").or_else(|| self.take("E")).is_some() {
            is_whole = false;
            let _ = self.take("+").or_else(|| self.take("-"));
            if self.digits() == 0 {
                return None;
            }
        }
        let text = &self.text[start..self.at];
        let printed = if is_whole { text.to_owned() } else { big_decimal(text)? };
        self.word(Json::Number(printed))
    }
}

/// A number with a fraction or an exponent as Java's `BigDecimal` prints it: `1.50`, `1E+3`, `1.5E-10`.
pub(in crate::functions) fn big_decimal(text: &str) -> Option<String> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(place) => (&text[..place], text[place + 1..].parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let scale = fraction.len() as i64 - exponent;
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    let adjusted = digits.len() as i64 - 1 - scale;
    let sign = if negative && digits != "0" { "-" } else { "" };
    if scale >= 0 && adjusted >= -6 {
        if scale == 0 {
            return Some(format!("{sign}{digits}"));
        }
        let padded = format!("{digits:0>width$}", width = scale as usize + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale as usize);
        return Some(format!("{sign}{whole}.{fraction}"));
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    Some(format!("{sign}{first}{point}{rest}E{adjusted:+}"))
}

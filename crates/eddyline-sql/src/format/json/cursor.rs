//! Reading JSON text token by token.
//!
//! Nothing is copied unless a string has escapes. Control characters in strings are taken as they are, as Flink does.

/// Objects and arrays within each other, at most.
const DEPTH_MAX: usize = 500;

/// What is wrong with a record.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Whether the text is no JSON, so that nothing behind it can be read.
    pub(crate) is_syntax: bool,
    pub(crate) message: String,
    /// The path of the field, innermost first.
    pub(crate) path: Vec<String>,
}

impl Fault {
    /// A value that does not fit its column.
    pub(crate) fn value(message: impl Into<String>) -> Box<Self> {
        Box::new(Fault { is_syntax: false, message: message.into(), path: Vec::new() })
    }

    pub(crate) fn syntax(message: impl Into<String>) -> Box<Self> {
        Box::new(Fault { is_syntax: true, message: message.into(), path: Vec::new() })
    }

    pub(crate) fn in_field(mut self: Box<Self>, name: &str) -> Box<Self> {
        self.path.push(name.to_owned());
        self
    }

    /// For people: what, and in which field.
    pub(crate) fn describe(&self) -> String {
        if self.path.is_empty() {
            return self.message.clone();
        }
        let path: Vec<&str> = self.path.iter().rev().map(String::as_str).collect();
        format!("field `{}`: {}", path.join("."), self.message)
    }
}

pub(crate) type Parsed<T> = Result<T, Box<Fault>>;

/// What a value is, by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Object,
    Array,
    Text,
    Number,
    True,
    False,
    Null,
}

/// A place in the text of a record.
pub(crate) struct Cursor<'a> {
    text: &'a str,
    pub(crate) at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Cursor { text, at: 0 }
    }

    #[inline]
    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.bytes().get(self.at).copied()
    }

    #[inline]
    pub(crate) fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
    }

    pub(crate) fn at_end(&mut self) -> bool {
        self.skip_space();
        self.at >= self.text.len()
    }

    fn unexpected(&self, wanted: &str) -> Box<Fault> {
        let found = match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(found) => format!("`{found}`"),
            None => "the end".to_owned(),
        };
        Fault::syntax(format!("no JSON: {wanted} expected at byte {}, found {found}", self.at))
    }

    /// What comes next; it is not taken.
    #[inline]
    pub(crate) fn token(&mut self) -> Parsed<Token> {
        self.skip_space();
        Ok(match self.byte() {
            Some(b'"') => Token::Text,
            Some(b'-' | b'0'..=b'9') => Token::Number,
            Some(b'{') => Token::Object,
            Some(b'[') => Token::Array,
            Some(b't') => Token::True,
            Some(b'f') => Token::False,
            Some(b'n') => Token::Null,
            _ => return Err(self.unexpected("a value")),
        })
    }

    #[inline]
    fn expect(&mut self, byte: u8, what: &str) -> Parsed<()> {
        self.skip_space();
        if self.byte() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(self.unexpected(what))
    }

    /// Takes `true`, `false` or `null`.
    pub(crate) fn word(&mut self, word: &'static str) -> Parsed<()> {
        if self.bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.unexpected(word))
    }

    /// Takes the beginning of an object.
    #[inline]
    pub(crate) fn begin_object(&mut self) -> Parsed<()> {
        self.expect(b'{', "`{`")
    }

    /// Takes the beginning of an array.
    pub(crate) fn begin_array(&mut self) -> Parsed<()> {
        self.expect(b'[', "`[`")
    }

    /// Whether another member or item follows; `first` if none was read yet. Takes what stands between.
    #[inline]
    pub(crate) fn has_next(&mut self, end: u8, first: bool) -> Parsed<bool> {
        self.skip_space();
        match self.byte() {
            Some(byte) if byte == end => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                Ok(true)
            }
            _ if first => Ok(true),
            _ => Err(self.unexpected(if end == b'}' { "`,` or `}`" } else { "`,` or `]`" })),
        }
    }

    /// Takes the name of a member and the colon behind it.
    #[inline]
    pub(crate) fn name<'s>(&mut self, scratch: &'s mut String) -> Parsed<&'s str>
    where
        'a: 's,
    {
        self.skip_space();
        if self.byte() != Some(b'"') {
            return Err(self.unexpected("a name"));
        }
        let name = self.string(scratch)?;
        self.expect(b':', "`:`")?;
        Ok(name)
    }

    /// Takes a string; `scratch` holds it if it has escapes.
    #[inline]
    pub(crate) fn string<'s>(&mut self, scratch: &'s mut String) -> Parsed<&'s str>
    where
        'a: 's,
    {
        let start = self.at + 1;
        let end = self.find_special(start)?;
        if self.bytes()[end] == b'"' {
            self.at = end + 1;
            return Ok(&self.text[start..end]);
        }
        self.escaped(start, end, scratch)?;
        Ok(scratch.as_str())
    }

    /// The first quote or backslash from `from` on. Eight bytes are looked at at a time.
    #[inline]
    fn find_special(&self, from: usize) -> Parsed<usize> {
        const LOW: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x8080_8080_8080_8080;
        let has_zero = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
        let bytes = self.bytes();
        let mut at = from;
        while let Some(chunk) = bytes.get(at..at + 8) {
            let word = u64::from_le_bytes(chunk.try_into().expect("invariant: eight bytes"));
            let found = has_zero(word ^ (LOW * u64::from(b'"'))) | has_zero(word ^ (LOW * u64::from(b'\\')));
            if found != 0 {
                return Ok(at + (found.trailing_zeros() / 8) as usize);
            }
            at += 8;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        match rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
            Some(place) => Ok(at + place),
            None => Err(Fault::syntax("no JSON: a string is not closed")),
        }
    }

    fn escaped(&mut self, start: usize, first: usize, scratch: &mut String) -> Parsed<()> {
        scratch.clear();
        let (mut from, mut special) = (start, first);
        loop {
            scratch.push_str(&self.text[from..special]);
            if self.bytes()[special] == b'"' {
                self.at = special + 1;
                return Ok(());
            }
            self.at = special + 1;
            self.escape(scratch)?;
            from = self.at;
            special = self.find_special(from)?;
        }
    }

    /// Takes what follows a backslash.
    fn escape(&mut self, out: &mut String) -> Parsed<()> {
        let Some(byte) = self.byte() else { return Err(self.unexpected("an escape")) };
        self.at += 1;
        out.push(match byte {
            b'"' | b'\\' | b'/' => byte as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(out),
            _ => {
                self.at -= 1;
                return Err(self.unexpected("an escape"));
            }
        });
        Ok(())
    }

    fn unicode(&mut self, out: &mut String) -> Parsed<()> {
        let unit = self.four_digits()?;
        let mut code = u32::from(unit);
        if (0xd800..0xdc00).contains(&unit) && self.bytes()[self.at..].starts_with(b"\\u") {
            let behind = self.at;
            self.at += 2;
            let low = self.four_digits()?;
            if (0xdc00..0xe000).contains(&low) {
                code = 0x10000 + ((u32::from(unit) - 0xd800) << 10) + (u32::from(low) - 0xdc00);
            } else {
                self.at = behind;
            }
        }
        // Half of a pair alone is no character.
        out.push(char::from_u32(code).unwrap_or('\u{fffd}'));
        Ok(())
    }

    fn four_digits(&mut self) -> Parsed<u16> {
        let digits = self
            .text
            .get(self.at..self.at + 4)
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
            Some(unit) => {
                self.at += 4;
                Ok(unit)
            }
            None => Err(self.unexpected("four hexadecimal digits")),
        }
    }

    /// Takes a number of at most 18 digits without fraction and exponent; if it is another, takes nothing.
    #[inline]
    pub(crate) fn short_whole(&mut self) -> Option<i64> {
        let bytes = self.bytes();
        let negative = bytes.get(self.at) == Some(&b'-');
        let start = self.at + usize::from(negative);
        let (mut at, mut value) = (start, 0i64);
        while at < start + 18 {
            let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit <= 9)
            else {
                break;
            };
            value = value * 10 + i64::from(digit);
            at += 1;
        }
        let has_leading_zero = bytes.get(start) == Some(&b'0') && at > start + 1;
        let goes_on =
            bytes.get(at).is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E'));
        if at == start || has_leading_zero || goes_on {
            return None;
        }
        self.at = at;
        Some(if negative { -value } else { value })
    }

    /// Takes a number; answers its text and whether it has a fraction or an exponent.
    #[inline]
    pub(crate) fn number(&mut self) -> Parsed<(&'a str, bool)> {
        let start = self.at;
        let bytes = self.bytes();
        let mut at = start + usize::from(bytes.get(start) == Some(&b'-'));
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let whole = at;
        at = digits(at);
        let mut fits = at > whole && (bytes[whole] != b'0' || at == whole + 1);
        let mut is_float = false;
        if bytes.get(at) == Some(&b'.') {
            let end = digits(at + 1);
            fits &= end > at + 1;
            (at, is_float) = (end, true);
        }
        if let Some(b'e' | b'E') = bytes.get(at) {
            at += 1;
            if let Some(b'+' | b'-') = bytes.get(at) {
                at += 1;
            }
            let end = digits(at);
            fits &= end > at;
            (at, is_float) = (end, true);
        }
        if !fits {
            return Err(self.unexpected("a number"));
        }
        self.at = at;
        Ok((&self.text[start..at], is_float))
    }

    /// Takes a value without looking into it more than it takes to find its end; answers its text.
    pub(crate) fn skip_value(&mut self) -> Parsed<&'a str> {
        self.skip_space();
        let start = self.at;
        self.skip(0)?;
        Ok(&self.text[start..self.at])
    }

    fn skip(&mut self, depth: usize) -> Parsed<()> {
        if depth > DEPTH_MAX {
            return Err(Fault::syntax(format!(
                "no JSON that is read: more than {DEPTH_MAX} levels of nesting"
            )));
        }
        match self.token()? {
            Token::Text => self.skip_string(),
            Token::Number => self.number().map(|_| ()),
            Token::True => self.word("true"),
            Token::False => self.word("false"),
            Token::Null => self.word("null"),
            Token::Array => {
                self.at += 1;
                let mut first = true;
                while self.has_next(b']', first)? {
                    first = false;
                    self.skip(depth + 1)?;
                }
                Ok(())
            }
            Token::Object => {
                self.at += 1;
                let mut first = true;
                while self.has_next(b'}', first)? {
                    first = false;
                    self.skip_space();
                    if self.byte() != Some(b'"') {
                        return Err(self.unexpected("a name"));
                    }
                    self.skip_string()?;
                    self.expect(b':', "`:`")?;
                    self.skip(depth + 1)?;
                }
                Ok(())
            }
        }
    }

    fn skip_string(&mut self) -> Parsed<()> {
        let mut at = self.at + 1;
        loop {
            let special = self.find_special(at)?;
            if self.bytes()[special] == b'"' {
                self.at = special + 1;
                return Ok(());
            }
            at = special + 2;
        }
    }

    /// Takes an object; answers where the value of each member begins. Of members with one name, the last counts.
    pub(crate) fn members(&mut self) -> Parsed<Vec<(String, usize)>> {
        let mut members: Vec<(String, usize)> = Vec::new();
        let mut scratch = String::new();
        self.begin_object()?;
        let mut first = true;
        while self.has_next(b'}', first)? {
            first = false;
            let name = self.name(&mut scratch)?.to_owned();
            self.skip_space();
            let place = self.at;
            self.skip(1)?;
            match members.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = place,
                None => members.push((name, place)),
            }
        }
        Ok(members)
    }

    /// Takes an array; answers where its items begin.
    pub(crate) fn items(&mut self) -> Parsed<Vec<usize>> {
        let mut items = Vec::new();
        self.begin_array()?;
        while self.has_next(b']', items.is_empty())? {
            self.skip_space();
            items.push(self.at);
            self.skip(1)?;
        }
        Ok(items)
    }
}

/// Appends `text` as a JSON string.
pub(crate) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut from = 0;
    for (place, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            8 => "\\b",
            12 => "\\f",
            0..=31 => "",
            _ => continue,
        };
        out.push_str(&text[from..place]);
        if escape.is_empty() {
            out.push_str(&format!("\\u{byte:04X}"));
        } else {
            out.push_str(escape);
        }
        from = place + 1;
    }
    out.push_str(&text[from..]);
    out.push('"');
}

/// Appends the JSON value `text`, which was checked, without needless spaces and escapes.
pub(crate) fn write_compact(text: &str, out: &mut String) -> Parsed<()> {
    let mut cursor = Cursor::new(text);
    let mut scratch = String::new();
    while !cursor.at_end() {
        if cursor.byte() == Some(b'"') {
            write_string(cursor.string(&mut scratch)?, out);
            continue;
        }
        let start = cursor.at;
        while cursor.byte().is_some_and(|byte| !matches!(byte, b'"' | b' ' | b'\n' | b'\r' | b'\t')) {
            cursor.at += 1;
        }
        out.push_str(&text[start..cursor.at]);
    }
    Ok(())
}

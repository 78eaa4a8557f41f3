//! Regular expressions in Java's syntax, run by an engine that never backtracks.
//!
//! What Java means otherwise than the engine is rewritten: `\d`, `\w`, `\s` and POSIX classes are ASCII, `.` stops at
//! all ends of lines, `\Q…\E` quotes. What the engine lacks (look-around, back references, possessive quantifiers) is
//! refused by name. One thing differs: `$` does not match before the last end of line.

use regex::Regex;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Patterns that a thread keeps compiled.
const CACHED_PATTERNS_MAX: usize = 64;

/// A pattern, compiled.
pub(super) struct JavaRegex {
    /// None if Java would not take the pattern either.
    regex: Option<Regex>,
}

/// The bytes of a match.
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
}

thread_local! {
    static CACHE: RefCell<BTreeMap<String, Rc<JavaRegex>>> = const { RefCell::new(BTreeMap::new()) };
}

impl JavaRegex {
    /// The compiled pattern; an error if it needs what the engine has not.
    pub(super) fn cached(pattern: &str) -> Result<Rc<JavaRegex>, String> {
        CACHE.with_borrow_mut(|cache| {
            if let Some(known) = cache.get(pattern) {
                return Ok(known.clone());
            }
            let compiled = Rc::new(JavaRegex::compile(pattern)?);
            if cache.len() >= CACHED_PATTERNS_MAX {
                cache.clear();
            }
            cache.insert(pattern.to_owned(), compiled.clone());
            Ok(compiled)
        })
    }

    fn compile(pattern: &str) -> Result<JavaRegex, String> {
        let translated = Translator::new(pattern).run()?;
        match Regex::new(&translated) {
            Ok(regex) => Ok(JavaRegex { regex: Some(regex) }),
            Err(regex::Error::CompiledTooBig(bytes)) => {
                Err(format!("the pattern '{pattern}' needs more than {bytes} bytes"))
            }
            Err(_) => Ok(JavaRegex { regex: None }),
        }
    }

    /// The engine's expression; none if the pattern is wrong.
    pub(super) fn valid(&self) -> Option<&Regex> {
        self.regex.as_ref()
    }

    /// The first match.
    pub(super) fn find(&self, text: &str) -> Option<Found> {
        let found = self.regex.as_ref()?.find(text)?;
        Some(Found { start: found.start(), end: found.end() })
    }

    /// The parts between matches. As in Java, an empty match at the beginning splits nothing off.
    pub(super) fn split<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let Some(regex) = &self.regex else { return vec![text] };
        let (mut parts, mut begin) = (Vec::new(), 0);
        for found in regex.find_iter(text) {
            if found.end() == 0 || (found.start() == found.end() && found.start() == text.len()) {
                continue;
            }
            parts.push(&text[begin..found.start()]);
            begin = found.end();
        }
        parts.push(&text[begin..]);
        parts
    }
}

const LINE_ENDS: &str = r"\n\r\u{85}\u{2028}\u{2029}";

struct Translator<'a> {
    pattern: &'a str,
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    out: String,
    /// How many `[` are open.
    class_depth: usize,
    /// Whether `.` matches everything, for (?s).
    dot_all: bool,
}

impl<'a> Translator<'a> {
    fn new(pattern: &'a str) -> Self {
        let out = String::with_capacity(pattern.len() + 16);
        Translator { pattern, rest: pattern.chars().peekable(), out, class_depth: 0, dot_all: false }
    }

    fn refused(&self, what: &str) -> String {
        format!("the pattern '{}' has {what}, which is not supported", self.pattern)
    }

    fn run(mut self) -> Result<String, String> {
        while let Some(letter) = self.rest.next() {
            match letter {
                '\\' => self.escape()?,
                '[' => self.open_class(),
                ']' if self.class_depth > 0 => {
                    self.class_depth -= 1;
                    self.out.push(']');
                }
                '~' if self.class_depth > 0 => self.out.push_str(r"\~"),
                '-' if self.class_depth > 0 => self.dash(),
                letter if self.class_depth > 0 => self.out.push(letter),
                '(' => self.open_group()?,
                '.' if !self.dot_all => {
                    self.out.push_str("[^");
                    self.out.push_str(LINE_ENDS);
                    self.out.push(']');
                }
                '*' | '+' | '?' | '}' => {
                    self.out.push(letter);
                    if self.rest.peek() == Some(&'+') {
                        return Err(self.refused("a possessive quantifier"));
                    }
                    if letter != '}' && self.rest.peek() == Some(&'?') {
                        self.out.push('?');
                        self.rest.next();
                    }
                }
                letter => self.out.push(letter),
            }
        }
        Ok(self.out)
    }

    fn open_class(&mut self) {
        self.class_depth += 1;
        self.out.push('[');
        if self.rest.peek() == Some(&'^') {
            self.out.push('^');
            self.rest.next();
        }
        // A bracket that stands first is itself.
        if self.rest.peek() == Some(&']') {
            self.out.push_str(r"\]");
            self.rest.next();
        }
    }

    /// A dash in a class is a range only between two characters; the engine knows `--`, Java does not.
    fn dash(&mut self) {
        let is_literal = matches!(self.rest.peek(), None | Some(']' | '[' | '-'))
            || self.out.ends_with(['[', ']'])
            || self.out.ends_with("[^");
        self.out.push_str(if is_literal { r"\-" } else { "-" });
    }

    fn open_group(&mut self) -> Result<(), String> {
        self.out.push('(');
        if self.rest.peek() != Some(&'?') {
            return Ok(());
        }
        let ahead: String = self.rest.clone().skip(1).take(2).collect();
        match ahead.as_bytes() {
            [b'=' | b'!', ..] | [b'<', b'=' | b'!'] => return Err(self.refused("look-around")),
            [b'>', ..] => return Err(self.refused("an independent group")),
            _ => {}
        }
        let flags: String = self
            .rest
            .clone()
            .skip(1)
            .take_while(|letter| letter.is_ascii_alphabetic() || *letter == '-')
            .collect();
        let set = flags.split('-').next().unwrap_or_default();
        if set.contains('s') {
            self.dot_all = true;
        }
        if set.contains('d') {
            return Err(self.refused("the flag d"));
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let Some(letter) = self.rest.next() else {
            // The engine says that something is missing.
            self.out.push('\\');
            return Ok(());
        };
        let within = self.class_depth > 0;
        let class = |members: &str| if within { members.to_owned() } else { format!("[{members}]") };
        let negated = |members: &str| format!("[^{members}]");
        const BLANKS: &str = r" \t\n\x0B\f\r";
        const WORDS: &str = "a-zA-Z0-9_";
        const HORIZONTAL: &str = r" \t\u{A0}\u{1680}\u{180E}\u{2000}-\u{200A}\u{202F}\u{205F}\u{3000}";
        let text = match letter {
            'd' => class("0-9"),
            'D' => negated("0-9"),
            'w' => class(WORDS),
            'W' => negated(WORDS),
            's' => class(BLANKS),
            'S' => negated(BLANKS),
            'h' => class(HORIZONTAL),
            'H' => negated(HORIZONTAL),
            'R' if !within => r"(?:\r\n|[\n\x0B\f\r\u{85}\u{2028}\u{2029}])".to_owned(),
            'Z' if !within => r"\n?\z".to_owned(),
            'b' if !within => r"(?-u:\b)".to_owned(),
            'e' => r"\x1B".to_owned(),
            'Q' => {
                self.quoted();
                return Ok(());
            }
            'E' => String::new(),
            'p' | 'P' => self.property(letter),
            '0'..='9' => return Err(self.refused("a back reference or an octal number")),
            'k' => return Err(self.refused("a back reference")),
            'G' | 'X' | 'N' | 'c' => return Err(self.refused(&format!("\\{letter}"))),
            letter => format!("\\{letter}"),
        };
        // Java lets a dash behind a class be itself.
        self.out.push_str(&text);
        if within && matches!(letter, 'd' | 'w' | 's' | 'h' | 'p' | 'P') && self.rest.peek() == Some(&'-') {
            self.rest.next();
            self.out.push_str(r"\-");
        }
        Ok(())
    }

    /// What stands before `\E` is taken as it is.
    fn quoted(&mut self) {
        let mut quoted = String::new();
        while let Some(letter) = self.rest.next() {
            if letter == '\\' && self.rest.peek() == Some(&'E') {
                self.rest.next();
                break;
            }
            quoted.push(letter);
        }
        self.out.push_str(&regex::escape(&quoted));
    }

    /// `\p{Alpha}` and its like: of ASCII, unless they are Unicode's own.
    fn property(&mut self, letter: char) -> String {
        let mut name = String::new();
        if self.rest.peek() == Some(&'{') {
            self.rest.next();
            name.extend(self.rest.by_ref().take_while(|letter| *letter != '}'));
        } else {
            name.extend(self.rest.next());
        }
        const POSIX: [&str; 13] = [
            "Lower", "Upper", "ASCII", "Alpha", "Digit", "Alnum", "Punct", "Graph", "Print", "Blank",
            "Cntrl", "XDigit", "Space",
        ];
        let negation = if letter == 'P' { "^" } else { "" };
        if POSIX.contains(&name.as_str()) {
            return format!("[[:{negation}{}:]]", name.to_ascii_lowercase());
        }
        let bare = match name.as_str() {
            "javaLowerCase" => "Lowercase",
            "javaUpperCase" => "Uppercase",
            "javaWhitespace" => "White_Space",
            other => other.strip_prefix("Is").unwrap_or(other),
        };
        format!("\\{letter}{{{bare}}}")
    }
}

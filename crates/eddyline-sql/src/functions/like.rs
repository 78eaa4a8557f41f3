//! LIKE and SIMILAR TO.

use super::columns::{Last, bools, text_at};
use super::signature::{Takes, strict};
use super::{Argument, CallInfo, Function, Resolved};
use crate::types::TypeKind;
use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use regex::Regex;

pub(super) const FUNCTIONS: &[Function] =
    &[Function::columns("LIKE", resolve_like, like), Function::columns("SIMILAR TO", resolve_like, similar)];

/// The text, the pattern, and the character that takes the meaning from the next one.
fn resolve_like(arguments: &[Argument]) -> Result<Resolved, String> {
    strict(arguments, &[Takes::Text, Takes::Text, Takes::Text], 1, TypeKind::Boolean)
}

fn like(columns: &[ArrayRef], rows: usize, _: &CallInfo) -> Result<ArrayRef, String> {
    matches(columns, rows, LikePattern::parse, |pattern, text| pattern.matches(text))
}

fn similar(columns: &[ArrayRef], rows: usize, _: &CallInfo) -> Result<ArrayRef, String> {
    matches(columns, rows, similar_regex, |pattern, text| pattern.is_match(text))
}

fn matches<P>(
    columns: &[ArrayRef],
    rows: usize,
    parse: fn(&str, Option<char>) -> Result<P, String>,
    holds: fn(&P, &str) -> bool,
) -> Result<ArrayRef, String> {
    let (texts, patterns) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let escapes = columns.get(2).map(|column| column.as_string::<i32>());
    let mut last = Last::new();
    let mut last_escape = None;
    bools(rows, |row| {
        let escape = match escapes {
            Some(escapes) => match text_at(escapes, row) {
                Some(escape) => Some(escape_of(escape)?),
                None => return Ok(None),
            },
            None => None,
        };
        let (Some(text), Some(pattern)) = (text_at(texts, row), text_at(patterns, row)) else {
            return Ok(None);
        };
        if escape != last_escape {
            (last, last_escape) = (Last::new(), escape);
        }
        Ok(Some(holds(last.get(pattern, |pattern| parse(pattern, escape))?, text)))
    })
}

fn escape_of(escape: &str) -> Result<char, String> {
    let mut letters = escape.chars();
    match (letters.next(), letters.next()) {
        (Some(single), None) => Ok(single),
        _ => Err(format!("the escape '{escape}' is not a single character")),
    }
}

/// A pattern of LIKE: parts with `%` between them.
struct LikePattern {
    /// What the text begins with.
    head: Part,
    /// What follows in this order, somewhere.
    middle: Vec<Part>,
    /// What the text ends with; none if the pattern has no `%`, and the head is the whole text.
    tail: Option<Part>,
}

/// A part of a pattern, without `%`.
enum Part {
    Text(String),
    /// With `_` in it, which are none.
    Letters(Vec<Option<char>>),
}

/// Whether `letter` is the one that is wanted. A `_`, for which none is wanted, is no end of a line, as in Flink.
fn fits(wanted: Option<char>, letter: char) -> bool {
    match wanted {
        Some(wanted) => wanted == letter,
        None => !matches!(letter, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}'),
    }
}

impl Part {
    fn new(letters: Vec<Option<char>>) -> Part {
        match letters.iter().copied().collect::<Option<String>>() {
            Some(text) => Part::Text(text),
            None => Part::Letters(letters),
        }
    }

    /// What is left of `text` behind this part at its beginning.
    fn strip<'a>(&self, text: &'a str) -> Option<&'a str> {
        match self {
            Part::Text(part) => text.strip_prefix(part.as_str()),
            Part::Letters(letters) => {
                let mut rest = text.chars();
                let is_here =
                    letters.iter().all(|wanted| rest.next().is_some_and(|letter| fits(*wanted, letter)));
                is_here.then_some(rest.as_str())
            }
        }
    }

    /// What is left of `text` behind the first place where this part is.
    fn find<'a>(&self, text: &'a str) -> Option<&'a str> {
        match self {
            Part::Text(part) => text.find(part.as_str()).map(|start| &text[start + part.len()..]),
            Part::Letters(_) => text.char_indices().find_map(|(start, _)| self.strip(&text[start..])),
        }
    }

    fn ends(&self, text: &str) -> bool {
        match self {
            Part::Text(part) => text.ends_with(part.as_str()),
            Part::Letters(letters) => {
                let mut rest = text.chars().rev();
                letters.iter().rev().all(|wanted| rest.next().is_some_and(|letter| fits(*wanted, letter)))
            }
        }
    }
}

impl LikePattern {
    fn parse(pattern: &str, escape: Option<char>) -> Result<LikePattern, String> {
        let mut parts = vec![Vec::new()];
        let mut letters = pattern.chars();
        while let Some(letter) = letters.next() {
            let open = parts.last_mut().expect("invariant: there is a part from the beginning");
            if Some(letter) == escape {
                match letters.next() {
                    Some(next) if next == '%' || next == '_' || Some(next) == escape => open.push(Some(next)),
                    _ => {
                        return Err(format!(
                            "the escape '{letter}' in '{pattern}' stands before no %, _ or itself"
                        ));
                    }
                }
            } else if letter == '%' {
                parts.push(Vec::new());
            } else if letter == '_' {
                open.push(None);
            } else {
                open.push(Some(letter));
            }
        }
        let mut parts = parts.into_iter().map(Part::new);
        let head = parts.next().expect("invariant: there is a part from the beginning");
        let mut middle: Vec<Part> = parts.collect();
        let tail = middle.pop();
        middle.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        Ok(LikePattern { head, middle, tail })
    }

    /// The first place that fits is the best one for each part: what comes behind has the more room.
    fn matches(&self, text: &str) -> bool {
        let Some(mut rest) = self.head.strip(text) else { return false };
        let Some(tail) = &self.tail else { return rest.is_empty() };
        for part in &self.middle {
            match part.find(rest) {
                Some(behind) => rest = behind,
                None => return false,
            }
        }
        tail.ends(rest)
    }
}

/// A pattern of SIMILAR TO as a regular expression.
fn similar_regex(pattern: &str, escape: Option<char>) -> Result<Regex, String> {
    let wrong = |why: &str| format!("the pattern '{pattern}' of SIMILAR TO {why}");
    let mut out = String::from("^(?:");
    let mut letters = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(letter) = letters.next() {
        if Some(letter) == escape {
            let next = letters.next().ok_or_else(|| wrong("ends with its escape"))?;
            out.push_str(&regex::escape(&next.to_string()));
            continue;
        }
        match letter {
            '[' if letters.peek() == Some(&':') => {
                let name: String = letters.by_ref().take_while(|letter| *letter != ']').collect();
                let name = name.trim_matches(':').to_ascii_lowercase();
                let name = if name == "whitespace" { "space".to_owned() } else { name };
                out.push_str(&format!("[:{name}:]"));
            }
            ']' => {
                in_class = false;
                out.push(']');
            }
            '[' => {
                in_class = true;
                out.push('[');
            }
            '^' | '-' if in_class => out.push(letter),
            letter if in_class => out.push_str(&regex::escape(&letter.to_string())),
            '%' => out.push_str("(?s:.*)"),
            '_' => out.push_str(r"[^\n\r\u{85}\u{2028}\u{2029}]"),
            '|' | '*' | '+' | '?' | '(' | ')' | '{' | '}' => out.push(letter),
            letter => out.push_str(&regex::escape(&letter.to_string())),
        }
    }
    out.push_str(")$");
    Regex::new(&out).map_err(|_| wrong("is not one"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What LIKE means, letter by letter.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('%', rest)), None) => naive(rest, text),
            (Some(('%', rest)), Some((_, behind))) => naive(rest, text) || naive(pattern, behind),
            (Some(('_', rest)), Some((_, behind))) => naive(rest, behind),
            (Some((letter, rest)), Some((other, behind))) => letter == other && naive(rest, behind),
            _ => false,
        }
    }

    /// All texts of at most `most` of `letters`.
    fn texts(letters: &[char], most: usize) -> Vec<Vec<char>> {
        let mut all = vec![Vec::new()];
        let mut last = all.clone();
        for _ in 0..most {
            let longer = last
                .iter()
                .flat_map(|text| letters.iter().map(move |letter| [text.as_slice(), &[*letter]].concat()));
            last = longer.collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    #[test]
    fn all_short_patterns_match_as_they_are_defined() {
        let texts_of_two = texts(&['a', 'ä'], 5);
        for pattern in texts(&['a', 'ä', '%', '_'], 4) {
            let written: String = pattern.iter().collect();
            let compiled = LikePattern::parse(&written, None).unwrap();
            for text in &texts_of_two {
                let joined: String = text.iter().collect();
                assert_eq!(compiled.matches(&joined), naive(&pattern, text), "'{joined}' LIKE '{written}'");
            }
        }
    }
}

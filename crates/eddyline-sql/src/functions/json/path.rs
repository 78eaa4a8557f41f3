//! Paths into a JSON text: `$.a.b[0]['c d'][*]`, with `lax` or `strict` (which is the default) before.

use super::document::Json;

/// What to do about parts that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// They are empty.
    Lax,
    /// They are errors.
    Strict,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Members of one object; several names give a list.
    Members(Vec<String>),
    /// Items of an array, from the end if negative.
    Items(Vec<i64>),
    /// Items from one place to before another.
    Range(Option<i64>, Option<i64>),
    Wildcard,
    /// The step behind, at any depth.
    Anywhere(Box<Step>),
}

/// A path, taken apart.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) mode: Mode,
    /// None if it is not valid: using it is an error of the kind that ON ERROR is about.
    steps: Option<Vec<Step>>,
}

impl Path {
    /// Refuses what is valid and not supported: filters and functions.
    pub(super) fn parse(text: &str) -> Result<Path, String> {
        let trimmed = text.trim_start();
        let worded = |word: &str| {
            let rest = trimmed.get(..word.len()).filter(|start| start.eq_ignore_ascii_case(word));
            rest.map(|_| &trimmed[word.len()..]).filter(|rest| rest.starts_with(char::is_whitespace))
        };
        let (mode, rest) = match (worded("lax"), worded("strict")) {
            (Some(rest), _) => (Mode::Lax, rest.trim()),
            (_, Some(rest)) => (Mode::Strict, rest.trim()),
            _ => (Mode::Strict, trimmed.trim_end()),
        };
        if rest.contains("?(") || rest.ends_with("()") {
            return Err(format!("the path '{text}' has a filter or a function, which is not supported"));
        }
        Ok(Path { mode, steps: steps(rest) })
    }

    /// What the path leads to, with NULL for a member that is null; none for nothing. An error for what is not there in
    /// strict mode and for a path that is none.
    pub(super) fn find(&self, document: &Json) -> Result<Option<Json>, String> {
        let Some(steps) = &self.steps else { return Err("the path is not valid".into()) };
        let is_definite = steps.iter().all(|step| match step {
            Step::Members(names) => names.len() == 1,
            Step::Items(places) => places.len() == 1,
            _ => false,
        });
        if !is_definite {
            let mut found = vec![document];
            let mut is_single = true;
            for step in steps {
                let mut next = Vec::new();
                for value in found {
                    step.apply(value, &mut next);
                }
                // Before the first step that may be many, what is not there is an error.
                is_single &= step.is_definite();
                if next.is_empty() && is_single && self.mode == Mode::Strict {
                    return Err("the path leads nowhere".into());
                }
                found = next;
            }
            return Ok(Some(Json::Array(found.into_iter().cloned().collect())));
        }
        let mut value = document;
        for step in steps {
            let mut next = Vec::new();
            step.apply(value, &mut next);
            match next.first() {
                Some(found) => value = found,
                None if self.mode == Mode::Lax => return Ok(None),
                None => return Err("the path leads nowhere".into()),
            }
        }
        Ok(if *value == Json::Null { None } else { Some(value.clone()) })
    }
}

impl Step {
    fn is_definite(&self) -> bool {
        matches!(self, Step::Members(_) | Step::Items(_))
    }

    fn apply<'a>(&self, value: &'a Json, found: &mut Vec<&'a Json>) {
        match (self, value) {
            (Step::Members(names), Json::Object(_)) => {
                found.extend(names.iter().filter_map(|name| value.member(name)))
            }
            (Step::Items(places), Json::Array(items)) => {
                found.extend(places.iter().filter_map(|place| items.get(index(*place, items.len())?)));
            }
            (Step::Range(from, to), Json::Array(items)) => {
                let clamp = |place: i64| {
                    let length = items.len() as i64;
                    (if place < 0 { place + length } else { place }).clamp(0, length) as usize
                };
                let (from, to) = (from.map_or(0, clamp), to.map_or(items.len(), clamp));
                found.extend(items.get(from..to).unwrap_or_default());
            }
            (Step::Wildcard, Json::Array(items)) => found.extend(items),
            (Step::Wildcard, Json::Object(members)) => found.extend(members.iter().map(|(_, value)| value)),
            (Step::Anywhere(step), _) => {
                step.apply(value, found);
                match value {
                    Json::Array(items) => items.iter().for_each(|item| self.apply(item, found)),
                    Json::Object(members) => members.iter().for_each(|(_, value)| self.apply(value, found)),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

fn index(place: i64, length: usize) -> Option<usize> {
    let place = if place < 0 { place + length as i64 } else { place };
    usize::try_from(place).ok()
}

/// The steps behind `$`, which may be missing.
fn steps(text: &str) -> Option<Vec<Step>> {
    let mut rest = match text.strip_prefix('$') {
        Some(rest) => rest.to_owned(),
        None => format!(".{text}"),
    };
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let is_anywhere = rest.starts_with("..");
        let behind_dots = rest.trim_start_matches('.');
        if rest.len() - behind_dots.len() > 2 {
            return None;
        }
        let is_dotted = rest.len() > behind_dots.len();
        let (step, behind) = if behind_dots.starts_with('[') {
            bracket(behind_dots)?
        } else if is_dotted {
            name(behind_dots)?
        } else {
            return None;
        };
        steps.push(if is_anywhere { Step::Anywhere(Box::new(step)) } else { step });
        rest = behind;
    }
    Some(steps)
}

fn name(text: &str) -> Option<(Step, String)> {
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let name = text[..end].trim();
    if name.is_empty() || name.contains([' ', '\'', '"', ']', '(', ')']) {
        return None;
    }
    let step = if name == "*" { Step::Wildcard } else { Step::Members(vec![name.to_owned()]) };
    Some((step, text[end..].to_owned()))
}

/// `[0]`, `[0,2]`, `[1:3]`, `[*]`, `['name']`
fn bracket(text: &str) -> Option<(Step, String)> {
    let inner = text[1..].trim_start();
    if inner.starts_with(['\'', '"']) {
        return quoted_names(inner);
    }
    let (within, behind) = inner.split_once(']')?;
    let within = within.trim();
    let number = |text: &str| text.trim().parse::<i64>().ok();
    let step = if within == "*" {
        Step::Wildcard
    } else if let Some((from, to)) = within.split_once(':') {
        let bound = |text: &str| if text.trim().is_empty() { Some(None) } else { number(text).map(Some) };
        Step::Range(bound(from)?, bound(to)?)
    } else {
        Step::Items(within.split(',').map(number).collect::<Option<_>>()?)
    };
    Some((step, behind.to_owned()))
}

fn quoted_names(text: &str) -> Option<(Step, String)> {
    let (mut names, mut rest) = (Vec::new(), text);
    loop {
        let quote = rest.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
        let (mut name, mut is_closed) = (String::new(), false);
        let mut letters = rest[1..].char_indices();
        while let Some((place, letter)) = letters.next() {
            if letter == '\\' {
                name.push(letters.next()?.1);
            } else if letter == quote {
                rest = rest[place + 2..].trim_start();
                is_closed = true;
                break;
            } else {
                name.push(letter);
            }
        }
        if !is_closed {
            return None;
        }
        names.push(name);
        if let Some(behind) = rest.strip_prefix(',') {
            rest = behind.trim_start();
        } else {
            return Some((Step::Members(names), rest.strip_prefix(']')?.to_owned()));
        }
    }
}

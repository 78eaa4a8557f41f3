//! Errors with the line of the script that they are about.

use eddyline_core::Error;
use std::fmt::Write;

/// The widest part of a line that is shown, in letters.
const SHOWN_MAX: usize = 100;

/// Where an error of a script points to.
struct Place {
    line: usize,
    column: usize,
    length: usize,
}

/// `error` for people who see `script`: what, the place in `name` with its line and marks under it, what to do.
///
/// # Examples
/// ```
/// use eddyline_sql::{OutputFormat, Session, report};
/// let script = "SELECT 1;\nSELECT LOWR('A');";
/// let error = Session::new().run_script(script, OutputFormat::Table, &mut Vec::new()).expect_err("no such function");
/// assert_eq!(
///     report(&error, script, Some("names.sql")),
///     "error: there is no function `LOWR`\n\
///      \x20 where: names.sql, line 2, column 8\n\
///      \x20   2 | SELECT LOWR('A');\n\
///      \x20     |        ^^^^^^^^^\n\
///      \x20 try: did you mean `LOWER`?"
/// );
/// ```
pub fn report(error: &Error, script: &str, name: Option<&str>) -> String {
    let detail = error.detail().unwrap_or_default();
    let place = place_of(detail);
    let line = place.as_ref().and_then(|place| script.lines().nth(place.line - 1));
    let (Some(place), Some(line)) = (place, line) else {
        let text = error.report();
        return match name {
            Some(name) if detail.is_empty() => {
                text.replacen("\n  try:", &format!("\n  where: {name}\n  try:"), 1)
            }
            _ => text,
        };
    };
    let mut text = format!("error: {}\n  where: ", error.message());
    if let Some(name) = name {
        let _ = write!(text, "{name}, ");
    }
    let _ = write!(text, "line {}, column {}", place.line, place.column);
    excerpt(&place, line, &mut text);
    if let Some(hint) = error.hint() {
        let _ = write!(text, "\n  try: {hint}");
    }
    text
}

/// The line, and marks under what is meant.
fn excerpt(place: &Place, line: &str, text: &mut String) {
    let letters: Vec<char> = line.chars().map(|letter| if letter == '\t' { ' ' } else { letter }).collect();
    // Of a long line, what stands around the place.
    let start = if letters.len() > SHOWN_MAX { place.column.saturating_sub(SHOWN_MAX / 2) } else { 0 };
    let shown: String = letters.iter().skip(start).take(SHOWN_MAX).collect();
    let number = place.line.to_string();
    let margin = " ".repeat(number.len());
    let before = (place.column - 1).saturating_sub(start);
    let marks = place.length.clamp(1, SHOWN_MAX.saturating_sub(before).max(1));
    let _ = write!(text, "\n    {number} | {}", shown.trim_end());
    let _ = write!(text, "\n    {margin} | {}{}", " ".repeat(before), "^".repeat(marks));
}

/// Reads `line 3, column 8: `text`` as errors of scripts have it.
fn place_of(detail: &str) -> Option<Place> {
    let rest = detail.strip_prefix("line ")?;
    let (line, rest) = rest.split_once(", column ")?;
    let (column, near) = rest.split_once(": `").unwrap_or((rest, ""));
    let place = Place {
        line: line.parse().ok()?,
        column: column.parse().ok()?,
        length: near.strip_suffix('`').unwrap_or(near).chars().count(),
    };
    (place.line > 0 && place.column > 0).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_around_the_place_and_the_end_of_the_text_has_a_mark() {
        let line = format!("SELECT {}x FROM t", "1 + ".repeat(100));
        let column = line.find('x').unwrap() + 1;
        let error = Error::config("no x").with_detail(format!("line 1, column {column}: `x`"));
        let text = report(&error, &line, None);
        let lines: Vec<&str> = text.lines().collect();
        let mark = lines[3].find('^').unwrap();
        assert_eq!(&lines[2][mark..=mark], "x");
        assert!(lines[2].chars().count() < 120);
        let error = Error::config("expected more").with_detail("line 1, column 7");
        assert!(report(&error, "SELECT", None).ends_with("1 | SELECT\n      |       ^"));
    }

    #[test]
    fn errors_without_a_place_say_what_they_know() {
        let error = Error::input("no file").with_hint("look");
        assert_eq!(report(&error, "SELECT 1", Some("a.sql")), "error: no file\n  where: a.sql\n  try: look");
        assert_eq!(report(&error, "SELECT 1", None), error.report());
        let error = Error::input("no file").with_detail("data.csv");
        assert_eq!(report(&error, "", Some("a.sql")), error.report());
    }
}

//! What was found, beside what was promised: as a table, as Markdown, as lines to plot.

use std::fmt::Write;

/// What is promised of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// Nothing: it is there for comparison.
    None,
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

/// A figure.
#[derive(Debug, Clone)]
pub struct Line {
    /// What was measured.
    pub what: String,
    /// What came out; the median if it was measured several times.
    pub value: f64,
    /// The least and the greatest that came out.
    pub range: (f64, f64),
    /// The unit of the value.
    pub unit: &'static str,
    /// What is promised.
    pub target: Target,
    /// What else has to be known.
    pub note: String,
}

impl Line {
    /// A figure out of one or several measurements.
    pub fn new(what: impl Into<String>, unit: &'static str, values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let range = (sorted.first().copied().unwrap_or(f64::NAN), sorted.last().copied().unwrap_or(f64::NAN));
        Line {
            what: what.into(),
            value: median(&sorted),
            range,
            unit,
            target: Target::None,
            note: String::new(),
        }
    }

    /// With a promise that the value stays below.
    pub fn at_most(mut self, limit: f64) -> Self {
        self.target = Target::AtMost(limit);
        self
    }

    /// With a promise that the value stays above.
    pub fn at_least(mut self, limit: f64) -> Self {
        self.target = Target::AtLeast(limit);
        self
    }

    /// With a remark.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Whether the promise is kept; nothing if there is none.
    pub fn kept(&self) -> Option<bool> {
        match self.target {
            Target::None => None,
            Target::AtMost(limit) => Some(self.value <= limit),
            Target::AtLeast(limit) => Some(self.value >= limit),
        }
    }

    fn verdict(&self) -> &'static str {
        match self.kept() {
            None => "",
            Some(true) => "PASS",
            Some(false) => "short",
        }
    }

    fn target_text(&self) -> String {
        match self.target {
            Target::None => String::new(),
            Target::AtMost(limit) => format!("≤ {}", number(limit)),
            Target::AtLeast(limit) => format!("≥ {}", number(limit)),
        }
    }

    fn cells(&self) -> [String; 6] {
        let range = if self.range.0 == self.range.1 {
            String::new()
        } else {
            format!("{} … {}", number(self.range.0), number(self.range.1))
        };
        [
            self.what.clone(),
            format!("{} {}", number(self.value), self.unit),
            range,
            self.target_text(),
            self.verdict().to_owned(),
            self.note.clone(),
        ]
    }
}

/// The middle of what is sorted.
fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[length / 2],
        length => f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]),
    }
}

/// A number with as many digits as say something.
pub fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100_000.0 => {
            let digits = format!("{value:.0}");
            let mut grouped = String::new();
            for (index, digit) in digits.chars().enumerate() {
                if index > 0 && (digits.len() - index) % 3 == 0 {
                    grouped.push(',');
                }
                grouped.push(digit);
            }
            grouped
        }
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 || value == value.trunc() => format!("{value:.1}").replace(".0", ""),
        _ => format!("{value:.2}"),
    }
}

/// All figures of one benchmark.
#[derive(Debug, Clone)]
pub struct Report {
    /// What it is called.
    pub name: &'static str,
    /// What was set, and what the machine was like meanwhile.
    pub settings: String,
    /// The figures.
    pub lines: Vec<Line>,
}

const HEADER: [&str; 6] = ["measured", "value", "range", "target", "", "remark"];

impl Report {
    /// For the terminal.
    pub fn table(&self) -> String {
        let rows: Vec<[String; 6]> = self.lines.iter().map(Line::cells).collect();
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([HEADER[column].chars().count()]).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..HEADER.len()).map(width).collect();
        let mut text = format!("\n{}   ({})\n", self.name, self.settings);
        for row in std::iter::once(&HEADER.map(str::to_owned)).chain(&rows) {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            let line: Vec<String> = cells.collect();
            let _ = writeln!(text, "  {}", line.join("  ").trim_end());
        }
        text
    }

    /// For a document.
    pub fn markdown(&self) -> String {
        let mut text = format!("### {}\n\n{}\n\n", self.name, self.settings);
        let _ = writeln!(text, "| {} |\n|{}", HEADER.join(" | "), "---|".repeat(HEADER.len()));
        for line in &self.lines {
            let cells = line.cells().map(|cell| cell.replace('|', "/"));
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_held_against_its_target() {
        let line = Line::new("x", "ns", &[3.0, 1.0, 2.0]).at_most(2.0);
        assert_eq!((line.value, line.range, line.verdict()), (2.0, (1.0, 3.0), "PASS"));
        assert_eq!(Line::new("x", "ns", &[1.0, 2.0]).at_least(1.6).verdict(), "short");
        assert_eq!(Line::new("x", "ns", &[f64::NAN]).at_most(5.0).verdict(), "short");
        assert_eq!(Line::new("x", "ns", &[1.0]).kept(), None);
    }

    #[test]
    fn numbers_are_readable() {
        let texts = [0.254, 12.34, 40.0, 250.4, 1_234_567.0].map(number);
        assert_eq!(texts, ["0.25", "12.3", "40", "250", "1,234,567"]);
    }

    #[test]
    fn documents_hold_every_line() {
        let lines = vec![Line::new("one | two", "ns", &[1.0]).at_most(2.0).note("why")];
        let report = Report { name: "window", settings: "all defaults".into(), lines };
        assert!(report.markdown().contains("| one / two | 1 ns |  | ≤ 2 | PASS | why |"));
        assert!(report.table().contains("one | two  1 ns"));
    }
}

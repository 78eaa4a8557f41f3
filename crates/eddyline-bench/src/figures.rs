//! What a measured job tells the program that started it: named numbers, a line each on standard output.
//!
//! Every measurement runs in a process of its own, so that none inherits another's memory, threads or children. All
//! processes of a job may print figures; equal names are added up.

use eddyline_core::{Error, Result};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// How lines with figures start.
const MARK: &str = "figure ";
/// The first argument of a process that measures.
pub const CASE: &str = "case";

/// Tells a figure.
pub fn print(name: &str, value: f64) {
    let mut out = std::io::stdout().lock();
    // Nobody listens any more: nothing is measured any more.
    let _ = writeln!(out, "{MARK}{name} {value}").and_then(|()| out.flush());
}

/// The name and value on a line, if it tells a figure.
pub fn parse(line: &str) -> Option<(String, f64)> {
    let (name, value) = line.strip_prefix(MARK)?.split_once(' ')?;
    Some((name.to_owned(), value.trim().parse().ok()?))
}

/// What was told, by name.
#[derive(Debug, Clone, Default)]
pub struct Figures(BTreeMap<String, f64>);

impl Figures {
    /// Adds a figure to those of the same name.
    pub fn add(&mut self, name: String, value: f64) {
        *self.0.entry(name).or_default() += value;
    }

    /// A figure that must have been told.
    ///
    /// # Errors
    /// If it was not.
    pub fn get(&self, name: &str) -> Result<f64> {
        self.0.get(name).copied().ok_or_else(|| Error::internal(format!("the measured job told no `{name}`")))
    }
}

/// What a measurement is told: `name=value` words on its command line.
#[derive(Debug, Clone, Default)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// Reads the words.
    ///
    /// # Errors
    /// If one is not `name=value`.
    pub fn parse(words: &[String]) -> Result<Self> {
        let pairs = words.iter().map(|word| match word.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(Error::config(format!("`{word}` is not name=value"))),
        });
        pairs.collect::<Result<_>>().map(Settings)
    }

    /// A number; `default` if it is not given.
    ///
    /// # Errors
    /// If it is given and is no number.
    pub fn number(&self, name: &str, default: u64) -> Result<u64> {
        match self.0.get(name) {
            None => Ok(default),
            Some(text) => {
                text.parse().map_err(|_| Error::config(format!("`{name}` must be a number, not `{text}`")))
            }
        }
    }

    /// A word; empty if it is not given.
    pub fn word(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// A measurement that runs.
pub struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    input: Option<ChildStdin>,
    figures: Figures,
}

fn failed(what: &str, error: &std::io::Error) -> Error {
    Error::internal(format!("a measurement cannot be {what}: {error}"))
}

impl Running {
    /// Starts the measurement `name` in a process of its own.
    ///
    /// # Errors
    /// If no process can be started.
    pub fn start(name: &str, settings: &[String]) -> Result<Self> {
        let program = std::env::current_exe().map_err(|error| failed("started", &error))?;
        let mut child = Command::new(program)
            .arg(CASE)
            .arg(name)
            .args(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed("started", &error))?;
        let output = child.stdout.take().expect("invariant: standard output was piped just now");
        let input = child.stdin.take();
        Ok(Running { child, lines: BufReader::new(output).lines(), input, figures: Figures::default() })
    }

    /// The next figure it tells; none once it has ended.
    ///
    /// # Errors
    /// If its output cannot be read.
    pub fn next_figure(&mut self) -> Result<Option<(String, f64)>> {
        for line in self.lines.by_ref() {
            let line = line.map_err(|error| failed("read", &error))?;
            if let Some((name, value)) = parse(&line) {
                self.figures.add(name.clone(), value);
                return Ok(Some((name, value)));
            }
        }
        Ok(None)
    }

    /// Tells it to stop: its standard input ends.
    pub fn stop(&mut self) {
        self.input = None;
    }

    /// Waits for its end and returns all figures.
    ///
    /// # Errors
    /// If it failed.
    pub fn finish(mut self) -> Result<Figures> {
        while self.next_figure()?.is_some() {}
        let status = self.child.wait().map_err(|error| failed("waited for", &error))?;
        if status.success() {
            Ok(self.figures)
        } else {
            Err(Error::internal(format!("a measurement failed ({status})")))
        }
    }
}

/// Runs the measurement `name` in a process of its own.
///
/// # Errors
/// If it fails.
pub fn measure(name: &str, settings: &[String]) -> Result<Figures> {
    Running::start(name, settings)?.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_all_processes_add_up() {
        let mut figures = Figures::default();
        for line in ["figure counted 5", "some other line", "figure counted 7.5", "figure x y"] {
            if let Some((name, value)) = parse(line) {
                figures.add(name, value);
            }
        }
        assert_eq!(figures.get("counted").unwrap(), 12.5);
        assert!(figures.get("x").is_err());
    }

    #[test]
    fn settings_are_named() {
        let settings = Settings::parse(&["workers=2".into(), "format=rows".into()]).unwrap();
        assert_eq!((settings.number("workers", 1).unwrap(), settings.number("records", 7).unwrap()), (2, 7));
        assert_eq!((settings.word("format"), settings.word("edge")), ("rows", ""));
        assert!(settings.number("format", 1).is_err());
        assert!(Settings::parse(&["workers".into()]).is_err());
    }
}

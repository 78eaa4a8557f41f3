//! Reading the options of a table, and refusing those that make no sense.

use crate::catalog::TableDef;
use crate::parser::span::{SqlError, SqlResult, nearest};
use std::time::Duration;

/// The options of a table, as they are asked for one by one. What nobody asked for is unknown.
pub(crate) struct OptionReader<'a> {
    table: &'a TableDef,
    known: Vec<String>,
}

impl<'a> OptionReader<'a> {
    pub(crate) fn new(table: &'a TableDef) -> Self {
        OptionReader { table, known: vec!["connector".into()] }
    }

    /// Knows that there is an option, also if it does not matter now.
    pub(crate) fn know(&mut self, key: &str) {
        self.known.push(key.to_owned());
    }

    pub(crate) fn text(&mut self, key: &str) -> Option<&'a str> {
        self.know(key);
        self.table.option(key)
    }

    pub(crate) fn required(&mut self, key: &str) -> SqlResult<&'a str> {
        self.text(key).ok_or_else(|| {
            let table = self.table.name();
            let connector = self.table.connector();
            let unknown =
                self.table.options.keys().filter(|known| !self.known.contains(known)).map(String::as_str);
            let error =
                SqlError::new(format!("table `{table}` needs the option '{key}' of connector '{connector}'"));
            match nearest(key, unknown) {
                Some(near) => error.hint(format!("did you mean '{key}' by '{near}'?")),
                None => error.hint(format!("add '{key}' = '…' to WITH (…)")),
            }
        })
    }

    fn wrong(&self, key: &str, value: &str, wanted: &str) -> SqlError {
        SqlError::new(format!("table `{}`: '{key}' = '{value}' is no {wanted}", self.table.name()))
    }

    pub(crate) fn bool(&mut self, key: &str, default: bool) -> SqlResult<bool> {
        match self.text(key) {
            None => Ok(default),
            Some(text) if text.trim().eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.trim().eq_ignore_ascii_case("false") => Ok(false),
            Some(text) => Err(self.wrong(key, text, "boolean: true or false")),
        }
    }

    /// A whole number from `least` on.
    pub(crate) fn whole(&mut self, key: &str, least: i64) -> SqlResult<Option<i64>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        match text.trim().parse::<i64>() {
            Ok(value) if value >= least => Ok(Some(value)),
            Ok(_) => Err(self.wrong(key, text, &format!("number from {least} on"))),
            Err(_) => Err(self.wrong(key, text, "whole number")),
        }
    }

    pub(crate) fn float(&mut self, key: &str) -> SqlResult<Option<f64>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let value = text.trim().parse::<f64>().ok().filter(|value| value.is_finite());
        value.map(Some).ok_or_else(|| self.wrong(key, text, "number"))
    }

    /// One of `choices`, whatever the case.
    pub(crate) fn choice(&mut self, key: &str, choices: &[&'static str]) -> SqlResult<Option<&'static str>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let found = choices.iter().find(|choice| choice.eq_ignore_ascii_case(text.trim()));
        found.copied().map(Some).ok_or_else(|| {
            let hint = match nearest(text, choices.iter().copied()) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("it is one of {}", choices.join(", ")),
            };
            self.wrong(key, text, "value of this option").hint(hint)
        })
    }

    /// A character; `\t` and the like may be written so.
    pub(crate) fn character(&mut self, key: &str) -> SqlResult<Option<u8>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let byte = match text {
            "\\t" => b'\t',
            "\\n" => b'\n',
            "\\r" => b'\r',
            _ => match text.as_bytes() {
                [byte] if byte.is_ascii() => *byte,
                _ => return Err(self.wrong(key, text, "single ASCII character")),
            },
        };
        Ok(Some(byte))
    }

    /// A length of time: `500 ms`, `10s`, `1 min`, or milliseconds without a unit.
    pub(crate) fn duration(&mut self, key: &str) -> SqlResult<Option<Duration>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        duration_millis(text).map(|millis| Some(Duration::from_millis(millis))).ok_or_else(|| {
            self.wrong(key, text, "length of time")
                .hint("write a number and a unit, such as '10 s' or '500 ms'")
        })
    }

    /// A number of bytes: `128MB`, `64 kb`, or bytes without a unit.
    pub(crate) fn bytes(&mut self, key: &str) -> SqlResult<Option<u64>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let bytes = with_unit(text, |unit| {
            Some(match unit {
                "" | "b" | "bytes" => 1,
                "k" | "kb" | "kibibytes" => 1 << 10,
                "m" | "mb" | "mebibytes" => 1 << 20,
                "g" | "gb" | "gibibytes" => 1 << 30,
                "t" | "tb" | "tebibytes" => 1 << 40,
                _ => return None,
            })
        });
        bytes.map(Some).ok_or_else(|| {
            self.wrong(key, text, "number of bytes").hint("write a number and a unit, such as '128MB'")
        })
    }

    /// Fails if there is an option that nobody asked for.
    pub(crate) fn finish(self) -> SqlResult<()> {
        let Some(unknown) = self.table.options.keys().find(|key| !self.known.contains(key)) else {
            return Ok(());
        };
        let (table, connector) = (self.table.name(), self.table.connector());
        let error =
            SqlError::new(format!("table `{table}`: connector '{connector}' has no option '{unknown}'"));
        Err(match nearest(unknown, self.known.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean '{near}'?")),
            None => {
                let mut known: Vec<&str> = self.known.iter().map(String::as_str).collect();
                known.sort_unstable();
                known.dedup();
                error.hint(format!("its options are {}", known.join(", ")))
            }
        })
    }
}

/// The milliseconds of a length of time, such as `10 s`.
pub(crate) fn duration_millis(text: &str) -> Option<u64> {
    with_unit(text, |unit| {
        Some(match unit {
            "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1,
            "s" | "sec" | "secs" | "second" | "seconds" => 1_000,
            "m" | "min" | "minute" | "minutes" => 60_000,
            "h" | "hour" | "hours" => 3_600_000,
            "d" | "day" | "days" => 86_400_000,
            _ => return None,
        })
    })
}

fn with_unit(text: &str, factor: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let unit = text[end..].trim().to_ascii_lowercase();
    text[..end].parse::<u64>().ok()?.checked_mul(factor(&unit)?)
}

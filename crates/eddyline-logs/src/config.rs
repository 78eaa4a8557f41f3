//! The configuration file of `eddyline logs`, in TOML.
//!
//! Every key may be left out; one that does not exist is an error that names it. What is given on the command line
//! goes before the file.

use crate::detect::DetectionSettings;
use crate::format::{Format, ReadOptions, Zone};
use crate::job::{FormatRule, LogJob};
use crate::store::{Retention, StoreSettings};
use eddyline_core::{Error, EventTime, Result};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// Seconds that lines may be out of order in input that ends, and in files that are followed.
const DELAY_SECONDS: (u64, u64) = (60, 10);

/// What the file says.
///
/// # Examples
/// ```
/// use eddyline_logs::config::Config;
///
/// let config = Config::parse("inputs = ['/var/log/nginx/access.log']\nfollow = true\n[alerts]\nscanner-paths = 40")?;
/// let job = config.job(1_780_000_000_000)?;
/// assert!(job.follow && job.detection.scanner_paths == 40);
/// let error = Config::parse("input = ['a.log']").unwrap_err();
/// assert!(error.report().contains("unknown field `input`"));
/// # Ok::<(), eddyline_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Files, directories and patterns to read.
    pub inputs: Vec<PathBuf>,
    /// Whether to go on reading as the files grow.
    pub follow: bool,
    /// How far out of order lines may be, in seconds; 60 for input that ends, 10 for files that are followed.
    pub delay_seconds: Option<u64>,
    /// Where lines that cannot be read are kept.
    pub dead_letters: Option<PathBuf>,
    /// Where checkpoints are kept; in the store's directory unless said.
    pub checkpoint_dir: Option<PathBuf>,
    /// Worker threads.
    pub workers: Option<u32>,
    /// The zone of times that say none: `UTC`, `+02:00`, `Europe/Berlin`.
    pub time_zone: Option<String>,
    /// Parts of paths by which logins are recognised.
    pub login_paths: Option<Vec<String>>,
    /// Formats by file names.
    pub format: Vec<FormatConfig>,
    /// The limits of alerts.
    pub alerts: DetectionSettings,
    /// What is stored.
    pub store: Option<StoreConfig>,
    /// What is served.
    pub server: Option<ServerConfig>,
}

/// The format of the files whose names match a pattern.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormatConfig {
    /// The pattern, with `*`.
    pub pattern: String,
    /// The name of the format.
    pub format: String,
}

/// What is stored, where, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StoreConfig {
    /// The directory.
    pub directory: PathBuf,
    /// Whether every line is stored.
    #[serde(default = "yes")]
    pub lines: bool,
    /// What is kept.
    #[serde(default)]
    pub keep: Retention,
}

fn yes() -> bool {
    true
}

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServerConfig {
    /// Address and port.
    #[serde(default = "loopback")]
    pub listen: String,
    /// The token that clients have to show.
    pub token: Option<String>,
}

fn loopback() -> String {
    "127.0.0.1:8080".to_owned()
}

impl Config {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// What is wrong, and in which line.
    pub fn parse(text: &str) -> Result<Config> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            let found = Error::config(format!("the configuration cannot be read: {}", error.message()))
                .with_hint("all keys are described in docs/logs.md");
            match line {
                Some(line) => found.with_detail(format!("line {line}")),
                None => found,
            }
        })
    }

    /// The job that the file describes, at the time of day `now_ms`.
    ///
    /// # Errors
    /// If there is no such format or time zone, or a limit makes no sense.
    pub fn job(&self, now_ms: EventTime) -> Result<LogJob> {
        let delay = if self.follow { DELAY_SECONDS.1 } else { DELAY_SECONDS.0 };
        let mut reading = ReadOptions { reference_ms: now_ms, ..ReadOptions::default() };
        if let Some(zone) = &self.time_zone {
            reading.zone = Zone::named(zone)?;
        }
        if let Some(paths) = &self.login_paths {
            reading.login_paths.clone_from(paths);
        }
        let rule = |rule: &FormatConfig| {
            Ok(FormatRule { pattern: rule.pattern.clone(), format: Format::named(&rule.format)? })
        };
        self.alerts.check()?;
        Ok(LogJob {
            follow: self.follow,
            delay: Duration::from_secs(self.delay_seconds.unwrap_or(delay)),
            dead_letters: self.dead_letters.clone(),
            reading,
            formats: self.format.iter().map(rule).collect::<Result<_>>()?,
            detection: self.alerts.clone(),
            store: self.store.as_ref().map(|store| StoreSettings {
                directory: store.directory.clone(),
                lines: store.lines,
                live: self.follow,
            }),
            ..LogJob::new(self.inputs.clone())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_read() {
        let config = Config::parse(include_str!("../../../docs/eddyline-logs.toml")).unwrap();
        assert!(config.follow && config.store.is_some() && config.server.is_some());
        assert_eq!(config.alerts, DetectionSettings::default());
        assert!(config.job(0).is_ok());
    }

    #[test]
    fn mistakes_say_where_and_what() {
        let report = |text: &str| Config::parse(text).and_then(|config| config.job(0)).unwrap_err().report();
        assert!(report("follow = true\nworkers = 'two'").contains("line 2"));
        assert!(report("[[format]]\npattern = '*'\nformat = 'xml'").contains("there is no log format `xml`"));
        assert!(report("time-zone = 'Nowhere/None'").contains("there is no time zone"));
        assert!(report("[alerts]\nspike-rate-min = 7.0").contains("spike-rate-min"));
    }
}

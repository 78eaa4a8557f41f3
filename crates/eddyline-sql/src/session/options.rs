//! Options of a session: those of SQL, and those of the engine that runs its jobs.

use crate::connector::options::duration_millis;
use crate::parser::span::{SqlError, SqlResult};
use eddyline::Options;
use eddyline_core::{Error, Result};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// Whether queries give changes as they come, or final results at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlMode {
    /// Changes as they come.
    Streaming,
    /// Final results only.
    Batch,
}

pub(super) struct SqlOptions {
    initial: Options,
    pub(super) engine: Options,
    pub(super) batch: bool,
    set: BTreeMap<String, String>,
}

/// Options with few values.
const CHOICES: [(&str, &[&str]); 3] = [
    ("table.exec.sink.not-null-enforcer", &["ERROR", "DROP"]),
    ("table.exec.sink.keyed-shuffle", &["AUTO", "FORCE", "NONE"]),
    // Every sink takes whole changes, so none is materialised: in Flink, too, FORCE is for upsert sinks alone.
    ("table.exec.sink.upsert-materialize", &["AUTO", "FORCE", "NONE"]),
];

/// How long state lives after it was last written.
const STATE_TTL: &str = "table.exec.state.ttl";

/// Options whose names begin so are kept for whom they may concern.
const OWN_PREFIXES: [&str; 4] = ["table.", "sql-client.", "pipeline.", "sql-gateway."];

const MAX_ROWS: &str = "sql-client.execution.max-table-result.rows";
const MAX_WIDTH: &str = "sql-client.display.max-column-width";

/// Keys that are worth to be proposed.
const OWN_KEYS: [&str; 16] = [
    "execution.runtime-mode",
    "parallelism.default",
    "pipeline.name",
    "execution.checkpointing.interval",
    "sql-client.execution.result-mode",
    MAX_ROWS,
    MAX_WIDTH,
    "state.backend.type",
    "table.exec.legacy-cast-behaviour",
    "table.exec.mini-batch.enabled",
    "table.exec.resource.default-parallelism",
    "table.exec.sink.not-null-enforcer",
    "table.exec.source.cdc-events-duplicate",
    "table.local-time-zone",
    "restart-strategy.type",
    "execution.checkpointing.dir",
];

impl SqlOptions {
    pub(super) fn new(engine: Options) -> Self {
        SqlOptions { initial: engine.clone(), engine, batch: false, set: BTreeMap::new() }
    }

    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "execution.runtime-mode" => match value.to_ascii_lowercase().as_str() {
                "streaming" => self.batch = false,
                "batch" => self.batch = true,
                other => {
                    return Err(Error::config(format!("option `{key}` cannot be `{other}`"))
                        .with_hint("give `streaming` or `batch`"));
                }
            },
            "sql-client.execution.result-mode" => {
                let modes = ["table", "changelog", "tableau"];
                if !modes.iter().any(|mode| value.eq_ignore_ascii_case(mode)) {
                    return Err(Error::config(format!("option `{key}` cannot be `{value}`"))
                        .with_hint("give `table`, `changelog` or `tableau`"));
                }
            }
            MAX_ROWS | MAX_WIDTH => {
                if value.parse::<u32>().is_err() {
                    return Err(Error::config(format!("option `{key}` cannot be `{value}`"))
                        .with_hint("give a whole number"));
                }
            }
            "table.local-time-zone" => {
                zone(value).map_err(|error| error.into_error(""))?;
            }
            "table.exec.resource.default-parallelism" => self.engine.set("parallelism.default", value)?,
            STATE_TTL => {
                state_ttl_ms(value).map_err(|error| error.into_error(""))?;
            }
            _ if CHOICES.iter().any(|(known, _)| *known == key) => {
                let choices =
                    CHOICES.iter().find(|(known, _)| *known == key).map_or(&[][..], |(_, choices)| choices);
                if !choices.iter().any(|choice| choice.eq_ignore_ascii_case(value)) {
                    return Err(Error::config(format!("option `{key}` cannot be `{value}`"))
                        .with_hint(format!("give one of {}", choices.join(", "))));
                }
            }
            _ if OWN_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
                && key != "pipeline.max-parallelism" => {}
            _ => self.engine.set(key, value)?,
        }
        self.set.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    pub(super) fn reset(&mut self, key: Option<&str>) {
        let before = std::mem::take(&mut self.set);
        self.engine = self.initial.clone();
        if before.contains_key("execution.runtime-mode")
            && key.is_none_or(|key| key == "execution.runtime-mode")
        {
            self.batch = false;
        }
        for (other, value) in before {
            if key.is_some_and(|key| key != other) {
                // It was possible before, so it is now.
                let _ = self.set(&other, &value);
            }
        }
    }

    pub(super) fn is(&self, key: &str, wanted: &str) -> bool {
        self.set.get(key).is_some_and(|value| value.eq_ignore_ascii_case(wanted))
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.set.get(key).map(String::as_str)
    }

    /// Keys that SET takes, in order.
    pub(super) fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = OWN_KEYS.iter().map(|key| (*key).to_owned()).collect();
        keys.extend(self.set.keys().cloned());
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Rows of a result that are kept to be looked at.
    pub(super) fn rows_max(&self) -> usize {
        self.get(MAX_ROWS).and_then(|rows| rows.parse().ok()).unwrap_or(super::live::ROWS_MAX)
    }

    pub(super) fn all(&self) -> Vec<(String, String)> {
        self.set.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    pub(super) fn job_name(&self) -> Option<&str> {
        self.set.get("pipeline.name").map(String::as_str)
    }

    /// How long state lives after it was last written, milliseconds; 0 is for ever.
    pub(super) fn state_ttl_ms(&self) -> SqlResult<i64> {
        self.set.get(STATE_TTL).map_or(Ok(0), |value| state_ttl_ms(value))
    }

    pub(super) fn zone(&self) -> SqlResult<TimeZone> {
        match self.set.get("table.local-time-zone") {
            Some(name) => zone(name),
            None => Ok(TimeZone::system()),
        }
    }
}

fn state_ttl_ms(value: &str) -> SqlResult<i64> {
    let millis = duration_millis(value).and_then(|millis| i64::try_from(millis).ok());
    millis.ok_or_else(|| {
        SqlError::new(format!("`{STATE_TTL}` = `{value}` is no length of time"))
            .hint("give a number and a unit, such as '12 h', or 0 for state that stays")
    })
}

fn zone(name: &str) -> SqlResult<TimeZone> {
    if name.eq_ignore_ascii_case("default") {
        return Ok(TimeZone::system());
    }
    let offset =
        name.strip_prefix("GMT").or_else(|| name.strip_prefix("UTC")).filter(|offset| !offset.is_empty());
    if let Some(offset) = offset {
        let (sign, digits) = match offset.split_at(1) {
            ("+", digits) => (1, digits),
            ("-", digits) => (-1, digits),
            _ => (0, ""),
        };
        let (hours, minutes) = digits.split_once(':').unwrap_or((digits, "0"));
        if let (Ok(hours), Ok(minutes)) = (hours.parse::<i32>(), minutes.parse::<i32>())
            && sign != 0
            && let Ok(offset) = jiff::tz::Offset::from_seconds(sign * (hours * 3_600 + minutes * 60))
        {
            return Ok(TimeZone::fixed(offset));
        }
    }
    TimeZone::get(name).map_err(|_| {
        SqlError::new(format!("there is no time zone `{name}`"))
            .hint("give a name such as Europe/Berlin, UTC or GMT+02:00")
    })
}

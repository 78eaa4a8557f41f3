//! Changelogs in JSON: Debezium, Canal, Maxwell and Oracle GoldenGate.
//!
//! | format | a change | operations |
//! |---|---|---|
//! | `debezium-json` | `before`, `after` | `op`: `c`, `r` (insert), `u`, `d` |
//! | `ogg-json` | `before`, `after` | `op_type`: `I`, `U`, `D`, `T` (truncate: refused) |
//! | `canal-json` | `data`, `old`: arrays | `type`: `INSERT`, `UPDATE`, `DELETE`; `CREATE` is left out |
//! | `maxwell-json` | `data`, `old` | `type`: `insert`, `update`, `delete` |
//!
//! In Canal's and Maxwell's updates `old` holds what changed alone; the rest is taken from `data`. Written are
//! inserts and deletes: an update is a delete and an insert, as in Flink.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub(crate) use decode::ChangelogDecoder;
pub(crate) use encode::ChangelogEncoder;

use super::json::JsonOptions;
use crate::connector::options::OptionReader;
use crate::parser::span::{SqlError, SqlResult};
use regex::Regex;

/// Who writes changes so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    Debezium,
    Ogg,
    Canal,
    Maxwell,
}

/// The options of a changelog format.
#[derive(Debug, Clone)]
pub(crate) struct ChangelogOptions {
    pub(crate) flavour: Flavour,
    /// Whether the change stands in `payload`, beside its schema.
    pub(crate) schema_include: bool,
    /// Only changes of databases and tables whose whole names match.
    pub(crate) database: Option<Regex>,
    pub(crate) table: Option<Regex>,
    pub(crate) json: JsonOptions,
}

impl ChangelogOptions {
    pub(crate) fn read(options: &mut OptionReader<'_>, name: &str) -> SqlResult<Self> {
        let flavour = match name {
            "debezium-json" => Flavour::Debezium,
            "ogg-json" => Flavour::Ogg,
            "canal-json" => Flavour::Canal,
            _ => Flavour::Maxwell,
        };
        let json = JsonOptions::read(options, name)?;
        let schema_include =
            flavour == Flavour::Debezium && options.bool("debezium-json.schema-include", false)?;
        let (mut database, mut table) = (None, None);
        if flavour == Flavour::Canal {
            database = pattern(options, "canal-json.database.include")?;
            table = pattern(options, "canal-json.table.include")?;
        }
        Ok(ChangelogOptions { flavour, schema_include, database, table, json })
    }
}

fn pattern(options: &mut OptionReader<'_>, key: &str) -> SqlResult<Option<Regex>> {
    let Some(text) = options.text(key) else { return Ok(None) };
    let whole = Regex::new(&format!("^(?:{text})$"));
    whole
        .map(Some)
        .map_err(|error| SqlError::new(format!("'{key}' = '{text}' is no regular expression: {error}")))
}

//! Rows that a query itself gives, as a table.

use crate::connector::{self, TableSource};
use crate::row::Value;
use crate::types::SqlType;

/// Rows that the query itself gives.
pub(super) struct ValuesSource {
    pub(super) rows: Vec<Vec<Value>>,
    pub(super) types: Vec<SqlType>,
}

struct ValuesReader {
    rows: Option<Vec<Vec<Value>>>,
    types: Vec<SqlType>,
}

impl TableSource for ValuesSource {
    fn is_bounded(&self) -> bool {
        true
    }

    fn reader(
        &self,
        instance: u32,
        _parallelism: u32,
    ) -> eddyline_core::Result<Box<dyn connector::TableReader>> {
        let rows = (instance == 0 && !self.rows.is_empty()).then(|| self.rows.clone());
        Ok(Box::new(ValuesReader { rows, types: self.types.clone() }))
    }
}

impl connector::TableReader for ValuesReader {
    fn restore(&mut self, positions: Vec<connector::Position>) -> eddyline_core::Result<()> {
        if positions.iter().any(|(name, _)| name == "given") {
            self.rows = None;
        }
        Ok(())
    }

    fn read(&mut self, _rows_max: usize) -> eddyline_core::Result<connector::ReadOutcome> {
        let Some(rows) = self.rows.take() else { return Ok(connector::ReadOutcome::End) };
        let columns = crate::row::build_columns(&self.types, rows.iter().map(Vec::as_slice));
        Ok(connector::ReadOutcome::Rows(connector::Rows { columns, count: rows.len(), kinds: None }))
    }

    fn positions(&self) -> Vec<connector::Position> {
        if self.rows.is_none() { vec![("given".into(), Vec::new())] } else { Vec::new() }
    }
}

//! What a table is made of.

use crate::connector::HostRef;
use crate::parser::ast::Expr;
use crate::types::SqlType;
use std::collections::BTreeMap;

/// Where a column's values come from.
#[derive(Debug, Clone)]
pub(crate) enum ColumnSource {
    /// The records of the table.
    Physical,
    /// What the connector knows of a record: `METADATA FROM 'key'`.
    Metadata { key: String, is_virtual: bool },
    /// Other columns.
    Computed(Expr),
}

#[derive(Debug, Clone)]
pub(crate) struct TableColumn {
    pub(crate) name: String,
    pub(crate) data_type: SqlType,
    pub(crate) source: ColumnSource,
    pub(crate) comment: Option<String>,
}

impl TableColumn {
    /// Whether INSERT gives values for it.
    pub(crate) fn is_persisted(&self) -> bool {
        match &self.source {
            ColumnSource::Physical => true,
            ColumnSource::Metadata { is_virtual, .. } => !is_virtual,
            ColumnSource::Computed(_) => false,
        }
    }
}

/// A table as CREATE TABLE defines it.
#[derive(Debug, Clone)]
pub(crate) struct TableDef {
    /// `catalog.database.name`
    pub(crate) path: [String; 3],
    pub(crate) columns: Vec<TableColumn>,
    /// The rowtime column and the expression of its watermark.
    pub(crate) watermark: Option<(String, Expr)>,
    pub(crate) primary_key: Vec<String>,
    pub(crate) partition_keys: Vec<String>,
    pub(crate) options: BTreeMap<String, String>,
    /// How long state that a query keeps of its rows lives, milliseconds, if a hint says so.
    pub(crate) state_ttl_ms: Option<i64>,
    /// Whether it is gone with the session, wherever it lies.
    pub(crate) temporary: bool,
    /// The text of the statements from which the table can be made again.
    pub(crate) definition: String,
    /// The rows, if the program has them.
    pub(crate) host: Option<HostRef>,
}

impl TableDef {
    pub(crate) fn name(&self) -> &str {
        &self.path[2]
    }

    pub(crate) fn option(&self, key: &str) -> Option<&str> {
        self.options.get(key).map(String::as_str)
    }

    pub(crate) fn connector(&self) -> &str {
        self.option("connector").unwrap_or_default()
    }

    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The columns that the connector and its format know: physical ones and metadata.
    pub(crate) fn stored_columns(&self) -> impl Iterator<Item = &TableColumn> {
        self.columns.iter().filter(|column| !matches!(column.source, ColumnSource::Computed(_)))
    }
}

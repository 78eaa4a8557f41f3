//! What scripts define: catalogs, databases, tables, views.

mod table;

pub(crate) use table::{ColumnSource, TableColumn, TableDef};

//! What tests of formats and connectors share.

use super::{Encoder, Format, FormatColumn, FormatSchema, RowsBuilder};
use crate::catalog::{ColumnSource, TableColumn, TableDef};
use crate::connector::Rows;
use crate::connector::options::OptionReader;
use crate::expr::text_format::value_to_text;
use crate::parser::span::SqlResult;
use crate::row::{ColumnView, Value, build_columns, kind, views_of};
use crate::types::{SqlType, TypeKind};
use eddyline_formats::RawRecord;
use jiff::tz::TimeZone;

/// A table with physical columns and options.
pub(crate) fn table(connector: &str, columns: &[(&str, TypeKind)], with: &[(&str, &str)]) -> TableDef {
    let column = |(name, kind): &(&str, TypeKind)| TableColumn {
        name: (*name).to_owned(),
        data_type: kind.clone().nullable(),
        source: ColumnSource::Physical,
        comment: None,
    };
    let options = with.iter().copied().chain([("connector", connector)]);
    TableDef {
        path: ["c".into(), "d".into(), "t".into()],
        columns: columns.iter().map(column).collect(),
        watermark: None,
        primary_key: Vec::new(),
        partition_keys: Vec::new(),
        options: options.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        state_ttl_ms: None,
        temporary: false,
        definition: String::new(),
        host: None,
    }
}

pub(crate) fn schema(columns: &[(&str, TypeKind)]) -> FormatSchema {
    let column = |(name, kind): &(&str, TypeKind)| FormatColumn {
        name: (*name).to_owned(),
        data_type: kind.clone().nullable(),
    };
    FormatSchema::all(columns.iter().map(column).collect())
}

/// The format of a table with these options, all of which it has to know.
pub(crate) fn options(with: &[(&str, &str)], columns: &[(&str, TypeKind)]) -> SqlResult<Format> {
    let table = table("test", columns, with);
    let mut options = OptionReader::new(&table);
    let format = Format::of(&mut options, &schema(columns).columns)?;
    options.finish()?;
    Ok(format)
}

/// The rows of one record.
pub(crate) fn decode(format: &Format, columns: &[(&str, TypeKind)], record: &str) -> Result<Rows, String> {
    let schema = schema(columns);
    let mut rows = RowsBuilder::new(&schema, format.is_changelog());
    format.decoder(&schema).decode(RawRecord::new(record.as_bytes(), 1), &mut rows)?;
    Ok(rows.finish())
}

/// The rows as texts, values separated by `|`, with what they mean before them if they are changes.
pub(crate) fn show(rows: &Rows, columns: &[(&str, TypeKind)]) -> Vec<String> {
    let views: Vec<ColumnView<'_>> = rows.columns.iter().map(ColumnView::new).collect();
    let row = |row: usize| {
        let cells = views
            .iter()
            .zip(columns)
            .map(|(view, (_, kind))| value_to_text(&view.value(row), kind, &TimeZone::UTC));
        let line = cells.collect::<Vec<String>>().join("|");
        match &rows.kinds {
            Some(kinds) => format!("{} {line}", kind::symbol(kinds[row])),
            None => line,
        }
    };
    (0..rows.count).map(row).collect()
}

/// The bytes of rows of values, and what each means.
pub(crate) fn encode(
    format: &Format,
    columns: &[(&str, TypeKind)],
    rows: &[(i8, Vec<Value>)],
) -> Result<String, String> {
    let types: Vec<SqlType> = columns.iter().map(|(_, kind)| kind.clone().nullable()).collect();
    let arrays = build_columns(&types, rows.iter().map(|(_, row)| row.as_slice()));
    let views = views_of(&arrays);
    let encoder = format.encoder(&schema(columns)).map_err(|error| error.message)?;
    let Encoder::Records(mut encoder) = encoder else { return Err("it has no records".into()) };
    let mut out = Vec::new();
    for (row, (row_kind, _)) in rows.iter().enumerate() {
        encoder.encode(&views, row, *row_kind, &mut out)?;
    }
    String::from_utf8(out).map_err(|error| error.to_string())
}

/// The values of rows.
pub(crate) fn values(rows: &Rows) -> Vec<Vec<Value>> {
    let views: Vec<ColumnView<'_>> = rows.columns.iter().map(ColumnView::new).collect();
    (0..rows.count).map(|row| views.iter().map(|view| view.value(row)).collect()).collect()
}

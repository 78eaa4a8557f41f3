//! Tables that are only written to: `print` shows rows, `blackhole` swallows them.

use super::options::OptionReader;
use super::{SinkMode, TableSink, TableWriter, no_metadata, physical_columns};
use crate::catalog::TableDef;
use crate::format::show;
use crate::parser::span::SqlResult;
use crate::row::{kind, views_of};
use crate::types::SqlType;
use arrow_array::RecordBatch;
use eddyline_core::{Error, Result};
use std::io::{self, Write};
use std::sync::Arc;

struct PrintSink {
    identifier: String,
    to_stderr: bool,
    types: Vec<SqlType>,
}

/// The sink that prints changes as Flink does: `+I[1, a]`.
pub(super) fn sink_of(table: &TableDef) -> SqlResult<Arc<dyn TableSink>> {
    no_metadata(table)?;
    let mut options = OptionReader::new(table);
    let identifier = options.text("print-identifier").unwrap_or_default().to_owned();
    let to_stderr = options.bool("standard-error", false)?;
    options.whole("sink.parallelism", 1)?;
    options.finish()?;
    let types = physical_columns(table).into_iter().map(|column| column.data_type).collect();
    Ok(Arc::new(PrintSink { identifier, to_stderr, types }))
}

impl TableSink for PrintSink {
    fn mode(&self) -> SinkMode {
        SinkMode::Retract
    }

    fn writer(&self, instance: u32, _attempt: u64) -> Result<Box<dyn TableWriter>> {
        let output: Box<dyn Write + Send> =
            if self.to_stderr { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
        Ok(Box::new(PrintWriter {
            prefix: prefix(&self.identifier, instance),
            types: self.types.clone(),
            output,
        }))
    }
}

/// `name> `, `name:2> ` of the second instance.
fn prefix(identifier: &str, instance: u32) -> String {
    match (identifier, instance) {
        ("", 0) => String::new(),
        (identifier, 0) => format!("{identifier}> "),
        ("", instance) => format!("{}> ", instance + 1),
        (identifier, instance) => format!("{identifier}:{}> ", instance + 1),
    }
}

struct PrintWriter {
    prefix: String,
    types: Vec<SqlType>,
    output: Box<dyn Write + Send>,
}

impl TableWriter for PrintWriter {
    fn write(&mut self, rows: &RecordBatch, kinds: Option<&[i8]>) -> Result<()> {
        let views = views_of(rows.columns());
        let mut lines = String::new();
        for row in 0..rows.num_rows() {
            let row_kind = kinds.map_or(kind::INSERT, |kinds| kinds[row]);
            lines.push_str(&self.prefix);
            lines.push_str(&show::change(row_kind, &self.types, &views, row));
            lines.push('\n');
        }
        // All at once, so that lines of several instances do not mix.
        let written = self.output.write_all(lines.as_bytes()).and_then(|()| self.output.flush());
        written.map_err(|error| Error::output(format!("cannot print rows: {error}")))
    }

    fn prepare(&mut self, _checkpoint: u64) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn commit(&mut self, _prepared: &[u8]) -> Result<()> {
        Ok(())
    }
}

struct Blackhole;

/// The sink that swallows all.
pub(super) fn blackhole_of(table: &TableDef) -> SqlResult<Arc<dyn TableSink>> {
    no_metadata(table)?;
    let mut options = OptionReader::new(table);
    options.whole("sink.parallelism", 1)?;
    options.finish()?;
    Ok(Arc::new(Blackhole))
}

impl TableSink for Blackhole {
    fn mode(&self) -> SinkMode {
        SinkMode::Retract
    }

    fn writer(&self, _instance: u32, _attempt: u64) -> Result<Box<dyn TableWriter>> {
        Ok(Box::new(Blackhole))
    }

    fn overwrite(&self) -> Result<()> {
        Ok(())
    }
}

impl TableWriter for Blackhole {
    fn write(&mut self, _rows: &RecordBatch, _kinds: Option<&[i8]>) -> Result<()> {
        Ok(())
    }

    fn prepare(&mut self, _checkpoint: u64) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn commit(&mut self, _prepared: &[u8]) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Value, build_columns};
    use crate::types::{TypeKind, arrow_schema};
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn rows_are_printed_with_what_they_mean_and_who_prints() {
        let types = vec![TypeKind::Int.nullable(), TypeKind::STRING.nullable()];
        let rows = [vec![Value::Int(1), Value::Text("a".into())], vec![Value::Null, Value::Text("b".into())]];
        let columns = build_columns(&types, rows.iter().map(Vec::as_slice));
        let schema = arrow_schema([("x", &types[0]), ("y", &types[1])]);
        let batch = RecordBatch::try_new(schema, columns).unwrap();
        let output = Shared::default();
        let mut writer = PrintWriter { prefix: prefix("me", 1), types, output: Box::new(output.clone()) };
        writer.write(&batch, Some(&[kind::INSERT, kind::DELETE])).unwrap();
        let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text, "me:2> +I[1, a]\nme:2> -D[null, b]\n");
        assert_eq!((prefix("", 0), prefix("", 1), prefix("a", 0)), ("".into(), "2> ".into(), "a> ".into()));
    }
}

//! From the columns of a table to records.

use super::AvroOptions;
use super::bytes::{write_long, write_sized};
use super::container::BlockWriter;
use super::schema::schema_of;
use crate::format::{FileEncoder, FormatSchema};
use crate::row::{ColumnView, Value, views_of};
use crate::types::{SqlType, TypeKind};
use arrow_array::ArrayRef;
use eddyline_core::stable_hash;
use std::fs::File;

/// A block has about so many bytes before it is packed.
const BLOCK_BYTES: usize = 64 << 10;

/// Writes an Avro file.
pub(crate) struct AvroEncoder {
    types: Vec<(String, SqlType)>,
    blocks: BlockWriter,
    records: Vec<u8>,
    count: u64,
}

impl AvroEncoder {
    /// Writes rows of the columns of `schema` to `file`, which is empty.
    pub(crate) fn new(file: File, schema: &FormatSchema, options: &AvroOptions) -> Result<Self, String> {
        let text =
            schema_of(&schema.columns, options.legacy_timestamps).map_err(|error| error.message)?.to_string();
        // What ends a block only has to be rare in records.
        let halves = [stable_hash(text.as_bytes()), stable_hash(format!("{text}.").as_bytes())];
        let mut sync = [0; 16];
        sync[..8].copy_from_slice(&halves[0].to_le_bytes());
        sync[8..].copy_from_slice(&halves[1].to_le_bytes());
        let types = schema.columns.iter().map(|column| (column.name.clone(), column.data_type.clone()));
        let blocks = BlockWriter::create(file, &text, options, sync)?;
        Ok(AvroEncoder { types: types.collect(), blocks, records: Vec::new(), count: 0 })
    }

    fn record(&mut self, views: &[ColumnView<'_>], row: usize) -> Result<(), String> {
        for ((name, data_type), view) in self.types.iter().zip(views) {
            column(data_type, view, row, &mut self.records)
                .map_err(|reason| format!("column `{name}`: {reason}"))?;
        }
        self.count += 1;
        Ok(())
    }
}

impl FileEncoder for AvroEncoder {
    fn write(&mut self, columns: &[ArrayRef], rows: usize) -> Result<(), String> {
        let views = views_of(columns);
        for row in 0..rows {
            self.record(&views, row)?;
            if self.records.len() >= BLOCK_BYTES {
                self.end_block()?;
            }
        }
        Ok(())
    }

    fn held_bytes(&self) -> usize {
        self.records.len()
    }

    fn bytes(&self) -> u64 {
        self.blocks.written + self.records.len() as u64
    }

    fn end_block(&mut self) -> Result<(), String> {
        if self.count > 0 {
            self.blocks.block(&self.records, self.count)?;
            self.records.clear();
            self.count = 0;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<File, String> {
        self.end_block()?;
        Ok(self.blocks.into_file())
    }
}

/// Writes which branch of a union comes, if the type may be NULL; answers whether a value comes.
#[inline]
fn begin(data_type: &SqlType, is_null: bool, out: &mut Vec<u8>) -> Result<bool, String> {
    match (data_type.nullable, is_null) {
        (true, is_null) => out.push(if is_null { 0 } else { 2 }),
        (false, true) => return Err("NULL in what is NOT NULL".into()),
        (false, false) => {}
    }
    Ok(!is_null)
}

fn column(data_type: &SqlType, view: &ColumnView<'_>, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
    let is_null = view.is_null(row);
    if !begin(data_type, is_null, out)? {
        return Ok(());
    }
    match &data_type.kind {
        kind if kind.is_text() => write_sized(view.text(row).unwrap_or_default().as_bytes(), out),
        kind if kind.is_bytes() => write_sized(view.bytes(row).unwrap_or_default(), out),
        kind => match view.int(row) {
            Some(int) => whole(kind, int, out),
            None => inner(kind, &view.value(row), out)?,
        },
    }
    Ok(())
}

/// A whole number, a date or a time.
fn whole(kind: &TypeKind, int: i64, out: &mut Vec<u8>) {
    let int = match kind {
        TypeKind::Timestamp(0..=3) | TypeKind::TimestampLtz(0..=3) => int.div_euclid(1_000),
        _ => int,
    };
    write_long(int, out);
}

fn value(data_type: &SqlType, value: &Value, out: &mut Vec<u8>) -> Result<(), String> {
    if begin(data_type, value.is_null(), out)? { inner(&data_type.kind, value, out) } else { Ok(()) }
}

fn inner(kind: &TypeKind, given: &Value, out: &mut Vec<u8>) -> Result<(), String> {
    match (kind, given) {
        (_, Value::Bool(given)) => out.push(u8::from(*given)),
        (kind, Value::Int(given)) => whole(kind, *given, out),
        (TypeKind::Float, Value::Float(given)) => out.extend_from_slice(&(*given as f32).to_le_bytes()),
        (_, Value::Float(given)) => out.extend_from_slice(&given.to_le_bytes()),
        (_, Value::Decimal(given)) => write_sized(shortest(&given.to_be_bytes()), out),
        (_, Value::Text(given)) => write_sized(given.as_bytes(), out),
        (_, Value::Bytes(given)) => write_sized(given, out),
        (TypeKind::Array(item), Value::List(items)) => {
            if !items.is_empty() {
                write_long(items.len() as i64, out);
            }
            items.iter().try_for_each(|given| value(item, given, out))?;
            write_long(0, out);
        }
        (kind, Value::Map(entries)) => {
            let values = match kind {
                TypeKind::Map(_, values) => SqlType::clone(values),
                _ => TypeKind::Int.not_null(),
            };
            if !entries.is_empty() {
                write_long(entries.len() as i64, out);
            }
            for (key, given) in entries {
                write_sized(key.as_text().ok_or("the key of a MAP is NULL")?.as_bytes(), out);
                value(&values, given, out)?;
            }
            write_long(0, out);
        }
        (TypeKind::Row(fields), Value::Row(row)) => {
            for (field, given) in fields.iter().zip(row) {
                value(&field.data_type, given, out)?;
            }
        }
        _ => return Err(format!("no value of {kind}")),
    }
    Ok(())
}

/// Big-endian bytes without those that say nothing.
fn shortest(bytes: &[u8; 16]) -> &[u8] {
    let fill = if bytes[0] & 0x80 != 0 { 0xff } else { 0 };
    let idle = (0..15).take_while(|at| bytes[*at] == fill && (bytes[at + 1] & 0x80 != 0) == (fill == 0xff));
    &bytes[idle.count()..]
}

//! Raw: a record is the value of the table's only column.

use super::rows::{FormatColumn, FormatSchema, RowsBuilder};
use super::{RecordDecoder, RecordEncoder};
use crate::connector::options::OptionReader;
use crate::parser::span::{SqlError, SqlResult, nearest};
use crate::row::{ColumnView, kind};
use crate::types::TypeKind;
use eddyline_formats::RawRecord;

/// How text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charset {
    Utf8,
    Ascii,
    Latin1,
}

/// The options of the format.
#[derive(Debug, Clone)]
pub(crate) struct RawOptions {
    charset: Charset,
    little_endian: bool,
}

impl RawOptions {
    pub(crate) fn read(options: &mut OptionReader<'_>) -> SqlResult<Self> {
        let charsets = [
            ("utf-8", Charset::Utf8),
            ("utf8", Charset::Utf8),
            ("us-ascii", Charset::Ascii),
            ("ascii", Charset::Ascii),
            ("iso-8859-1", Charset::Latin1),
            ("latin1", Charset::Latin1),
        ];
        let name = options.text("raw.charset").unwrap_or("UTF-8").to_ascii_lowercase();
        let found = charsets.iter().find(|(known, _)| *known == name).map(|(_, charset)| *charset);
        let charset = found.ok_or_else(|| {
            let error = SqlError::new(format!("'raw.charset' = '{name}' is not supported"));
            match nearest(&name, charsets.iter().map(|(known, _)| *known)) {
                Some(near) => error.hint(format!("did you mean '{near}'?")),
                None => error.hint("it is one of UTF-8, US-ASCII and ISO-8859-1"),
            }
        })?;
        let endianness = options.choice("raw.endianness", &["big-endian", "little-endian"])?;
        Ok(RawOptions { charset, little_endian: endianness == Some("little-endian") })
    }
}

/// Whether a table has one column, of a type that can be raw.
pub(crate) fn check_columns(columns: &[FormatColumn]) -> SqlResult<()> {
    let [column] = columns else {
        let message = format!("the format `raw` needs a table of one column, not {}", columns.len());
        return Err(SqlError::new(message).hint("metadata and computed columns do not count"));
    };
    let kind = &column.data_type.kind;
    if kind.is_text()
        || kind.is_bytes()
        || kind.is_integer()
        || kind.is_approximate()
        || *kind == TypeKind::Boolean
    {
        return Ok(());
    }
    Err(SqlError::new(format!("column `{}`: {kind} cannot be raw", column.name))
        .hint("use STRING, BYTES or a number"))
}

fn width(kind: &TypeKind) -> usize {
    match kind {
        TypeKind::Boolean | TypeKind::TinyInt => 1,
        TypeKind::SmallInt => 2,
        TypeKind::Int | TypeKind::Float => 4,
        _ => 8,
    }
}

/// Reads records as they are.
pub(crate) struct RawDecoder {
    /// None if the column is not asked for.
    kind: Option<TypeKind>,
    options: RawOptions,
}

impl RawDecoder {
    pub(crate) fn new(schema: &FormatSchema, options: &RawOptions) -> Self {
        let kind = schema.wanted_columns().next().map(|column| column.data_type.kind.clone());
        RawDecoder { kind, options: options.clone() }
    }

    fn number(&self, bytes: &[u8], kind: &TypeKind) -> Result<u64, String> {
        let width = width(kind);
        if bytes.len() != width {
            return Err(format!("{} bytes, where {kind} has {width}", bytes.len()));
        }
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Ok(if self.options.little_endian {
            bytes.iter().rev().fold(0, fold)
        } else {
            bytes.iter().fold(0, fold)
        })
    }
}

impl RecordDecoder for RawDecoder {
    fn decode(&mut self, record: RawRecord<'_>, out: &mut RowsBuilder) -> Result<(), String> {
        let Some(kind) = &self.kind else {
            out.end_row(kind::INSERT);
            return Ok(());
        };
        let bytes = record.bytes;
        match kind {
            kind if kind.is_bytes() => out.columns[0].append_bytes(bytes),
            kind if kind.is_text() => match self.options.charset {
                Charset::Latin1 => {
                    out.columns[0]
                        .append_text(&bytes.iter().map(|byte| char::from(*byte)).collect::<String>());
                }
                // As in Java, what cannot be read is U+FFFD.
                Charset::Utf8 => out.columns[0].append_text(&String::from_utf8_lossy(bytes)),
                Charset::Ascii => {
                    let text =
                        bytes.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '\u{fffd}' });
                    out.columns[0].append_text(&text.collect::<String>());
                }
            },
            TypeKind::Boolean => {
                let value = self.number(bytes, kind)? != 0;
                out.columns[0].append_bool(value);
            }
            TypeKind::Float => {
                let value = f32::from_bits(self.number(bytes, kind)? as u32);
                out.columns[0].append_float(f64::from(value));
            }
            TypeKind::Double => {
                let value = f64::from_bits(self.number(bytes, kind)?);
                out.columns[0].append_float(value);
            }
            kind => {
                let shift = 64 - 8 * width(kind) as u32;
                // Sign extension.
                let value = (self.number(bytes, kind)? << shift) as i64 >> shift;
                out.columns[0].append_int(value);
            }
        }
        out.end_row(kind::INSERT);
        Ok(())
    }
}

/// Writes records as they are, each with a line feed.
pub(crate) struct RawEncoder {
    kind: TypeKind,
    options: RawOptions,
}

impl RawEncoder {
    pub(crate) fn new(schema: &FormatSchema, options: &RawOptions) -> Self {
        let kind = schema.columns.first().map_or(TypeKind::Null, |column| column.data_type.kind.clone());
        RawEncoder { kind, options: options.clone() }
    }
}

impl RecordEncoder for RawEncoder {
    fn encode(
        &mut self,
        views: &[ColumnView<'_>],
        row: usize,
        _kind: i8,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let Some(view) = views.first() else { return Err("a raw table has a column".into()) };
        if let Some(text) = view.text(row) {
            match self.options.charset {
                Charset::Utf8 => out.extend_from_slice(text.as_bytes()),
                // As in Java, what cannot be written is `?`.
                Charset::Latin1 => {
                    out.extend(text.chars().map(|letter| u8::try_from(letter).unwrap_or(b'?')))
                }
                Charset::Ascii => {
                    out.extend(
                        text.chars().map(|letter| if letter.is_ascii() { letter as u8 } else { b'?' }),
                    );
                }
            }
        } else if let Some(bytes) = view.bytes(row) {
            out.extend_from_slice(bytes);
        } else if !view.is_null(row) {
            let bits = match (view.bool(row), view.float(row)) {
                (Some(value), _) => u64::from(value),
                (None, Some(value)) if self.kind == TypeKind::Float => u64::from((value as f32).to_bits()),
                (None, Some(value)) => value.to_bits(),
                (None, None) => view.int(row).unwrap_or_default() as u64,
            };
            let width = width(&self.kind);
            if self.options.little_endian {
                out.extend_from_slice(&bits.to_le_bytes()[..width]);
            } else {
                out.extend_from_slice(&bits.to_be_bytes()[8 - width..]);
            }
        }
        out.push(b'\n');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Value, build_columns, views_of};

    fn round(kind: TypeKind, value: Value, options: &RawOptions) -> (Vec<u8>, Value) {
        let column = FormatColumn { name: "a".into(), data_type: kind.nullable() };
        let types = [column.data_type.clone()];
        let schema = FormatSchema::all(vec![column]);
        let columns = build_columns(&types, [[value].as_slice()]);
        let mut out = Vec::new();
        RawEncoder::new(&schema, options).encode(&views_of(&columns), 0, kind::INSERT, &mut out).unwrap();
        assert_eq!(out.pop(), Some(b'\n'));
        let mut rows = RowsBuilder::new(&schema, false);
        RawDecoder::new(&schema, options).decode(RawRecord::new(&out, 0), &mut rows).unwrap();
        let rows = rows.finish();
        (out, ColumnView::new(&rows.columns[0]).value(0))
    }

    #[test]
    fn values_go_through_bytes_and_back() {
        let big = RawOptions { charset: Charset::Utf8, little_endian: false };
        let little = RawOptions { charset: Charset::Latin1, little_endian: true };
        assert_eq!(round(TypeKind::Int, Value::Int(-2), &big), (vec![255, 255, 255, 254], Value::Int(-2)));
        assert_eq!(round(TypeKind::SmallInt, Value::Int(-2), &little), (vec![254, 255], Value::Int(-2)));
        for (kind, value) in [
            (TypeKind::STRING, Value::Text("é".into())),
            (TypeKind::BYTES, Value::Bytes(vec![0, 255])),
            (TypeKind::Boolean, Value::Bool(true)),
            (TypeKind::Float, Value::Float(1.5)),
            (TypeKind::Double, Value::Float(-1.25)),
            (TypeKind::BigInt, Value::Int(i64::MIN)),
            (TypeKind::TinyInt, Value::Int(-1)),
        ] {
            for options in [&big, &little] {
                assert_eq!(round(kind.clone(), value.clone(), options).1, value, "{kind}");
            }
        }
    }

    #[test]
    fn a_number_of_the_wrong_length_is_refused() {
        let column = FormatColumn { name: "a".into(), data_type: TypeKind::Int.nullable() };
        let schema = FormatSchema::all(vec![column]);
        let options = RawOptions { charset: Charset::Utf8, little_endian: false };
        let mut rows = RowsBuilder::new(&schema, false);
        let read = RawDecoder::new(&schema, &options).decode(RawRecord::new(b"12345", 0), &mut rows);
        assert_eq!(read.unwrap_err(), "5 bytes, where INT has 4");
        assert_eq!(rows.finish().count, 0);
    }
}

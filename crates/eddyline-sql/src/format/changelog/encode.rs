//! From rows and what they mean to changes in JSON.

use super::{ChangelogOptions, Flavour};
use crate::format::RecordEncoder;
use crate::format::json::JsonWriter;
use crate::format::rows::FormatSchema;
use crate::row::{ColumnView, kind};

/// Writes changes, one a line.
pub(crate) struct ChangelogEncoder {
    flavour: Flavour,
    writer: JsonWriter,
    line: String,
}

impl ChangelogEncoder {
    pub(crate) fn new(schema: &FormatSchema, options: &ChangelogOptions) -> Self {
        ChangelogEncoder {
            flavour: options.flavour,
            writer: JsonWriter::new(schema, &options.json),
            line: String::new(),
        }
    }
}

impl RecordEncoder for ChangelogEncoder {
    fn encode(
        &mut self,
        views: &[ColumnView<'_>],
        row: usize,
        row_kind: i8,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let (before, behind) = match (self.flavour, kind::is_retraction(row_kind)) {
            (Flavour::Debezium, false) => (r#"{"before":null,"after":"#, r#","op":"c"}"#),
            (Flavour::Debezium, true) => (r#"{"before":"#, r#","after":null,"op":"d"}"#),
            (Flavour::Ogg, false) => (r#"{"before":null,"after":"#, r#","op_type":"I"}"#),
            (Flavour::Ogg, true) => (r#"{"before":"#, r#","after":null,"op_type":"D"}"#),
            (Flavour::Canal, false) => (r#"{"data":["#, r#"],"type":"INSERT"}"#),
            (Flavour::Canal, true) => (r#"{"data":["#, r#"],"type":"DELETE"}"#),
            (Flavour::Maxwell, false) => (r#"{"data":"#, r#","type":"insert"}"#),
            (Flavour::Maxwell, true) => (r#"{"data":"#, r#","type":"delete"}"#),
        };
        self.line.clear();
        self.line.push_str(before);
        self.writer.row(views, row, &mut self.line)?;
        self.line.push_str(behind);
        out.extend_from_slice(self.line.as_bytes());
        out.push(b'\n');
        Ok(())
    }
}

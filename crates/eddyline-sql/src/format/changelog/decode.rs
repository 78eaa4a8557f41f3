//! From changes in JSON to rows and what they mean.

use super::{ChangelogOptions, Flavour};
use crate::format::RecordDecoder;
use crate::format::json::{Cursor, Fault, Parsed, RowPlan, Token, ValueDecoder, at_end, text_of};
use crate::format::rows::{FormatSchema, RowsBuilder};
use crate::row::kind;
use eddyline_formats::RawRecord;

/// Reads changes.
pub(crate) struct ChangelogDecoder {
    options: ChangelogOptions,
    plan: RowPlan,
    values: ValueDecoder,
}

/// Where the members of an object begin.
type Members = [(String, usize)];

impl ChangelogDecoder {
    pub(crate) fn new(schema: &FormatSchema, options: &ChangelogOptions) -> Self {
        let fields = schema.wanted_columns().map(|column| (column.name.as_str(), &column.data_type));
        ChangelogDecoder {
            plan: RowPlan::new(fields),
            values: ValueDecoder::new(&options.json),
            options: options.clone(),
        }
    }

    fn change(&mut self, text: &str, out: &mut RowsBuilder) -> Parsed<()> {
        let mut cursor = Cursor::new(text);
        if cursor.token()? == Token::Null {
            // A tombstone: a record without a value.
            return Ok(());
        }
        let mut members = cursor.members()?;
        at_end(&mut cursor)?;
        if self.options.schema_include {
            let payload = present(&mut cursor, &members, "payload");
            let Some(payload) = payload else { return Ok(()) };
            cursor.at = payload;
            members = cursor.members().map_err(|fault| fault.in_field("payload"))?;
        }
        match self.options.flavour {
            Flavour::Debezium => self.before_after(&mut cursor, &members, "op", out),
            Flavour::Ogg => self.before_after(&mut cursor, &members, "op_type", out),
            Flavour::Canal => self.canal(&mut cursor, &members, out),
            Flavour::Maxwell => self.maxwell(&mut cursor, &members, out),
        }
    }

    fn before_after(
        &mut self,
        cursor: &mut Cursor<'_>,
        members: &Members,
        operation: &'static str,
        out: &mut RowsBuilder,
    ) -> Parsed<()> {
        let name = text_member(cursor, members, operation)?;
        let (before, after) = match name.as_str() {
            "c" | "r" | "I" => (None, Some(kind::INSERT)),
            "u" | "U" => (Some(kind::UPDATE_BEFORE), Some(kind::UPDATE_AFTER)),
            "d" | "D" => (Some(kind::DELETE), None),
            _ => return Err(unknown(operation, &name)),
        };
        for (member, row_kind) in [("before", before), ("after", after)] {
            let Some(row_kind) = row_kind else { continue };
            let Some(place) = present(cursor, members, member) else {
                return Err(Fault::value(match member {
                    "before" => format!(
                        "the change `{name}` does not say what was before; for PostgreSQL, set REPLICA IDENTITY of \
                         the table to FULL"
                    ),
                    _ => format!("the change `{name}` does not say what is after"),
                }));
            };
            self.row(cursor, place, row_kind, out).map_err(|fault| fault.in_field(member))?;
        }
        Ok(())
    }

    fn canal(&mut self, cursor: &mut Cursor<'_>, members: &Members, out: &mut RowsBuilder) -> Parsed<()> {
        for (member, filter) in [("database", &self.options.database), ("table", &self.options.table)] {
            let Some(filter) = filter else { continue };
            if !filter.is_match(&text_member(cursor, members, member)?) {
                return Ok(());
            }
        }
        let name = text_member(cursor, members, "type")?;
        let row_kind = match name.as_str() {
            "INSERT" => kind::INSERT,
            "UPDATE" => kind::UPDATE_AFTER,
            "DELETE" => kind::DELETE,
            "CREATE" => return Ok(()),
            _ => return Err(unknown("type", &name)),
        };
        let data = items(cursor, members, "data")?;
        let old = if row_kind == kind::UPDATE_AFTER { items(cursor, members, "old")? } else { Vec::new() };
        for (number, place) in data.iter().enumerate() {
            if row_kind == kind::UPDATE_AFTER {
                let Some(old) = old.get(number) else {
                    return Err(Fault::value("`old` has fewer rows than `data`"));
                };
                // What is NULL in `old` did not change.
                self.before(cursor, *old, *place, false, out)?;
            }
            self.row(cursor, *place, row_kind, out).map_err(|fault| fault.in_field("data"))?;
        }
        Ok(())
    }

    fn maxwell(&mut self, cursor: &mut Cursor<'_>, members: &Members, out: &mut RowsBuilder) -> Parsed<()> {
        let name = text_member(cursor, members, "type")?;
        let row_kind = match name.as_str() {
            "insert" => kind::INSERT,
            "update" => kind::UPDATE_AFTER,
            "delete" => kind::DELETE,
            _ => return Err(unknown("type", &name)),
        };
        let place = present(cursor, members, "data").ok_or_else(|| Fault::value("there is no `data`"))?;
        if row_kind == kind::UPDATE_AFTER {
            let old = present(cursor, members, "old").ok_or_else(|| Fault::value("there is no `old`"))?;
            self.before(cursor, old, place, true, out)?;
        }
        self.row(cursor, place, row_kind, out).map_err(|fault| fault.in_field("data"))
    }

    /// Reads a whole row.
    fn row(
        &mut self,
        cursor: &mut Cursor<'_>,
        place: usize,
        row_kind: i8,
        out: &mut RowsBuilder,
    ) -> Parsed<()> {
        cursor.at = place;
        let read = self.values.row(cursor, &self.plan, &mut out.columns);
        out.end_row(row_kind);
        read
    }

    /// Reads the row as it was before a change: of `old` what it says, the rest of `data`.
    fn before(
        &mut self,
        cursor: &mut Cursor<'_>,
        old: usize,
        data: usize,
        nulls_count: bool,
        out: &mut RowsBuilder,
    ) -> Parsed<()> {
        cursor.at = old;
        let old = cursor.members().map_err(|fault| fault.in_field("old"))?;
        cursor.at = data;
        let data = cursor.members().map_err(|fault| fault.in_field("data"))?;
        let read = self.values.row_at(cursor, &self.plan, &mut out.columns, |cursor, name| {
            let before = if nulls_count { find(&old, name) } else { present(cursor, &old, name) };
            before.or_else(|| find(&data, name))
        });
        out.end_row(kind::UPDATE_BEFORE);
        read
    }
}

fn find(members: &Members, name: &str) -> Option<usize> {
    members.iter().find(|(known, _)| known == name).map(|(_, place)| *place)
}

/// Where the member `name` begins, if it is there and not NULL.
fn present(cursor: &mut Cursor<'_>, members: &Members, name: &str) -> Option<usize> {
    let place = find(members, name)?;
    cursor.at = place;
    (cursor.token().ok()? != Token::Null).then_some(place)
}

fn text_member(cursor: &mut Cursor<'_>, members: &Members, name: &str) -> Parsed<String> {
    let missing = || Fault::value(format!("the change has no text `{name}`"));
    cursor.at = present(cursor, members, name).ok_or_else(missing)?;
    if cursor.token()? != Token::Text {
        return Err(missing());
    }
    Ok(cursor.string(&mut String::new())?.to_owned())
}

fn items(cursor: &mut Cursor<'_>, members: &Members, name: &str) -> Parsed<Vec<usize>> {
    let missing = || Fault::value(format!("the change has no array `{name}`"));
    cursor.at = present(cursor, members, name).ok_or_else(missing)?;
    if cursor.token()? != Token::Array {
        return Err(missing());
    }
    cursor.items()
}

fn unknown(member: &str, value: &str) -> Box<Fault> {
    Fault::value(format!("`{member}` is `{value}`, which is no operation of this format"))
}

impl RecordDecoder for ChangelogDecoder {
    fn decode(&mut self, record: RawRecord<'_>, out: &mut RowsBuilder) -> Result<(), String> {
        let text = text_of(record.bytes)?;
        if text.trim().is_empty() {
            return Ok(());
        }
        let row = out.rows();
        self.change(text, out).map_err(|fault| {
            out.spoil_from(row);
            fault.describe()
        })
    }

    fn fields_ignored(&self) -> u64 {
        self.values.fields_ignored
    }
}

//! Reading CSV.

use super::Csv;
use crate::{Decoder, Framing, RawRecord};
use csv::ByteRecord;
use csv_core::{ReadRecordResult, Terminator};
use serde::de::{DeserializeOwned, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;

/// Reads CSV; made by [`Csv::decoder`].
pub struct CsvDecoder<T> {
    csv: Csv,
    columns: Option<ByteRecord>,
    splitter: Splitter,
    record: ByteRecord,
    value: PhantomData<fn() -> T>,
}

impl<T> CsvDecoder<T> {
    pub(super) fn new(csv: Csv) -> Self {
        let columns = (!csv.columns.is_empty()).then(|| ByteRecord::from(csv.columns.clone()));
        CsvDecoder {
            splitter: Splitter::new(&csv),
            csv,
            columns,
            record: ByteRecord::new(),
            value: PhantomData,
        }
    }
}

impl<T> Clone for CsvDecoder<T> {
    fn clone(&self) -> Self {
        CsvDecoder::new(self.csv.clone())
    }
}

impl<T: DeserializeOwned + 'static> Decoder<T> for CsvDecoder<T> {
    fn framing(&self) -> Framing {
        self.csv.framing()
    }

    fn decode(&mut self, record: RawRecord<'_>) -> Result<Option<T>, String> {
        let bytes = record.without_mark();
        let is_comment = self.csv.comment.is_some_and(|begin| bytes.first() == Some(&begin));
        if bytes.is_empty() || is_comment || (self.csv.header && record.offset == 0) {
            return Ok(None);
        }
        self.splitter.split(bytes, self.csv.null_literal.as_deref(), &mut self.record)?;
        let count = self.record.len();
        let wrong_count = |expected: usize| format!("{count} columns, expected {expected}");
        if let Some(columns) = &self.columns {
            let (extra, allowed) = (count > columns.len(), self.csv.extra_columns);
            if count < columns.len() || (extra && !allowed) {
                return Err(wrong_count(columns.len()));
            }
            return self.record.deserialize(Some(columns)).map(Some).map_err(|error| reason(&error, count));
        }
        let WithRest { value, rest } =
            self.record.deserialize(None).map_err(|error| reason(&error, count))?;
        if rest > 0 && !self.csv.extra_columns {
            return Err(wrong_count(count - rest));
        }
        Ok(Some(value))
    }
}

/// What is wrong, with columns counted from 1 as people do.
fn reason(error: &csv::Error, count: usize) -> String {
    match error.kind() {
        csv::ErrorKind::Deserialize { err, .. } => match err.field().filter(|_| !is_too_short(err.kind())) {
            Some(field) => format!("column {}: {}", field + 1, err.kind()),
            None if is_too_short(err.kind()) => format!("too few columns: {count}"),
            None => err.kind().to_string(),
        },
        _ => error.to_string(),
    }
}

fn is_too_short(kind: &csv::DeserializeErrorKind) -> bool {
    match kind {
        csv::DeserializeErrorKind::UnexpectedEndOfRow => true,
        csv::DeserializeErrorKind::Message(text) => text.starts_with("invalid length"),
        _ => false,
    }
}

/// Takes a record apart into fields.
pub(super) struct Splitter {
    reader: csv_core::Reader,
    fields: Vec<u8>,
    ends: Vec<usize>,
}

impl Splitter {
    pub(super) fn new(csv: &Csv) -> Self {
        let mut builder = csv_core::ReaderBuilder::new();
        builder.delimiter(csv.delimiter).escape(csv.escape).terminator(Terminator::Any(b'\n'));
        match csv.quote {
            Some(quote) => builder.quote(quote),
            None => builder.quoting(false),
        };
        Splitter { reader: builder.build(), fields: vec![0; 256], ends: vec![0; 16] }
    }

    /// Puts the fields of the record `bytes` into `record`, those that are `null` as empty ones.
    pub(super) fn split(
        &mut self,
        bytes: &[u8],
        null: Option<&str>,
        record: &mut ByteRecord,
    ) -> Result<(), String> {
        self.reader.reset();
        record.clear();
        let (mut inputs, mut current) = ([&b"\n"[..]].into_iter(), bytes);
        let (mut filled, mut ended) = (0, 0);
        loop {
            let (output, ends) = (&mut self.fields[filled..], &mut self.ends[ended..]);
            let (result, taken, written, ends) = self.reader.read_record(current, output, ends);
            current = &current[taken..];
            filled += written;
            ended += ends;
            match result {
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::InputEmpty => match inputs.next() {
                    Some(next) => current = next,
                    None => return Err("a quote is not closed".to_string()),
                },
                ReadRecordResult::Record if current.is_empty() => break,
                ReadRecordResult::Record => return Err("a line feed in the middle of a record".to_string()),
                ReadRecordResult::End => return Err("no record".to_string()),
            }
        }
        let mut start = 0;
        for end in &self.ends[..ended] {
            let field = &self.fields[start..*end];
            record.push_field(if null.is_some_and(|null| null.as_bytes() == field) { b"" } else { field });
            start = *end;
        }
        Ok(())
    }
}

/// A value read from the first fields of a record, and how many fields there are behind them.
struct WithRest<T> {
    value: T,
    rest: usize,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for WithRest<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<fn() -> T>);
        impl<'de, T: DeserializeOwned> Visitor<'de> for Fields<T> {
            type Value = WithRest<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a record")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<WithRest<T>, A::Error> {
                let value = fields.next_element()?;
                let value = value.ok_or_else(|| serde::de::Error::invalid_length(0, &self))?;
                let mut rest = 0;
                while fields.next_element::<IgnoredAny>()?.is_some() {
                    rest += 1;
                }
                Ok(WithRest { value, rest })
            }
        }
        deserializer.deserialize_tuple(2, Fields(PhantomData))
    }
}

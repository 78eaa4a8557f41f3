//! Reading row groups: which of them may have what is asked for, and which of their rows do.

use super::files::FileCache;
use super::lines::{HOST, LINE, PATH, STATUS, StoredLine, TIME, lines_of};
use super::query::LineQuery;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampMillisecondType};
use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::ArrowError;
use eddyline_core::{Error, EventTime, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicate, ArrowPredicateFn, ParquetRecordBatchReaderBuilder, RowFilter,
};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Rows that are read at a time.
const BATCH_ROWS: usize = 2_048;

/// A row group that may have what is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) path: PathBuf,
    pub(super) number: usize,
    /// Its least and greatest time.
    pub(super) first: EventTime,
    pub(super) last: EventTime,
}

/// The row groups of the file at `path` that may have lines that `query` asks for, by their statistics.
pub(super) fn groups(cache: &FileCache, path: &Path, query: &LineQuery) -> Result<Vec<Group>> {
    let Some((_, footer)) = cache.open(path)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for (number, group) in footer.metadata().row_groups().iter().enumerate() {
        let (first, last) = times(group).unwrap_or((EventTime::MIN, EventTime::MAX));
        let is_in_time = first < query.times.end && last >= query.times.start;
        if is_in_time && has_status(group, query) {
            found.push(Group { path: path.to_owned(), number, first, last });
        }
    }
    Ok(found)
}

fn times(group: &RowGroupMetaData) -> Option<(EventTime, EventTime)> {
    match group.column(TIME).statistics()? {
        Statistics::Int64(values) => Some((*values.min_opt()?, *values.max_opt()?)),
        _ => None,
    }
}

fn has_status(group: &RowGroupMetaData, query: &LineQuery) -> bool {
    let Some((least, greatest)) = query.status else { return true };
    match group.column(STATUS).statistics() {
        Some(Statistics::Int32(values)) => match (values.min_opt(), values.max_opt()) {
            (Some(min), Some(max)) => *max >= i32::from(least) && *min <= i32::from(greatest),
            _ => true,
        },
        _ => true,
    }
}

/// Has `visit` look at the lines of a row group that `query` asks for, in the order of the file.
pub(super) fn read(
    cache: &FileCache,
    group: &Group,
    query: &LineQuery,
    visit: &mut dyn FnMut(StoredLine) -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    let Some((file, footer)) = cache.open(&group.path)? else { return Ok(ControlFlow::Continue(())) };
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer);
    let unreadable = |error: &dyn std::fmt::Display| {
        Error::storage(format!("cannot read a stored file: {error}"))
            .with_detail(group.path.display().to_string())
    };
    if may_have_host(&builder, group.number, query).map_err(|error| unreadable(&error))? {
        let filter = filter(&builder, query);
        let reader = builder
            .with_row_groups(vec![group.number])
            .with_batch_size(BATCH_ROWS)
            .with_row_filter(filter)
            .build()
            .map_err(|error| unreadable(&error))?;
        for batch in reader {
            let batch = batch.map_err(|error| unreadable(&error))?;
            let lines = lines_of(&batch).ok_or_else(|| unreadable(&"its columns are not those of lines"))?;
            for line in lines {
                if visit(line).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Whether the Bloom filter of the row group says that the host may be in it.
fn may_have_host(
    builder: &ParquetRecordBatchReaderBuilder<File>,
    number: usize,
    query: &LineQuery,
) -> parquet::errors::Result<bool> {
    let Some(host) = query.host.as_ref().filter(|host| !host.contains('*')) else { return Ok(true) };
    let filter = builder.get_row_group_column_bloom_filter(number, HOST)?;
    Ok(filter.is_none_or(|filter| filter.check(host.as_str())))
}

/// First what is cheap to read, then the lines themselves.
fn filter(builder: &ParquetRecordBatchReaderBuilder<File>, query: &LineQuery) -> RowFilter {
    let columns =
        |numbers: &[usize]| ProjectionMask::roots(builder.parquet_schema(), numbers.iter().copied());
    let mut predicates: Vec<Box<dyn ArrowPredicate>> = Vec::new();
    let wanted = query.clone();
    let mask = columns(&[TIME, STATUS]);
    predicates.push(Box::new(ArrowPredicateFn::new(mask, move |batch| by_numbers(&wanted, &batch))));
    if query.host.is_some() {
        let wanted = query.clone();
        let by_host = move |batch: RecordBatch| by_text(&batch, |host| wanted.wants_host(host.as_bytes()));
        predicates.push(Box::new(ArrowPredicateFn::new(columns(&[HOST]), by_host)));
    }
    if query.path.is_some() {
        let wanted = query.clone();
        let by_path = move |batch: RecordBatch| by_text(&batch, |path| wanted.wants_path(path.as_bytes()));
        predicates.push(Box::new(ArrowPredicateFn::new(columns(&[PATH]), by_path)));
    }
    if query.text.is_some() {
        let wanted = query.clone();
        let by_line = move |batch: RecordBatch| by_text(&batch, |line| wanted.wants_text(line.as_bytes()));
        predicates.push(Box::new(ArrowPredicateFn::new(columns(&[LINE]), by_line)));
    }
    RowFilter::new(predicates)
}

fn by_numbers(query: &LineQuery, batch: &RecordBatch) -> Result<BooleanArray, ArrowError> {
    let time = batch.column(0).as_primitive_opt::<TimestampMillisecondType>();
    let status = batch.column(1).as_primitive_opt::<Int32Type>();
    let (Some(time), Some(status)) = (time, status) else {
        return Err(ArrowError::SchemaError("time and status are of other types".into()));
    };
    let wanted = time.values().iter().zip(status.values());
    let wanted =
        wanted.map(|(time, status)| query.times.contains(time) && query.wants_status(*status as u16));
    Ok(wanted.collect::<Vec<bool>>().into())
}

fn by_text(batch: &RecordBatch, wanted: impl Fn(&str) -> bool) -> Result<BooleanArray, ArrowError> {
    let Some(texts) = batch.column(0).as_string_opt::<i32>() else {
        return Err(ArrowError::SchemaError("a text is of another type".into()));
    };
    Ok(texts.iter().map(|text| wanted(text.unwrap_or_default())).collect::<Vec<bool>>().into())
}

//! The rows that a decoder makes.

use crate::connector::Rows;
use crate::row::{ColumnBuilder, kind};
use crate::types::SqlType;
use arrow_array::{Array, ArrayRef, BooleanArray};
use std::collections::BTreeSet;

/// A column that a decoder fills.
#[derive(Debug, Clone)]
pub(crate) struct FormatColumn {
    pub(crate) name: String,
    pub(crate) data_type: SqlType,
}

/// The columns of the records of a table, and those that are asked for.
#[derive(Debug, Clone)]
pub(crate) struct FormatSchema {
    pub(crate) columns: Vec<FormatColumn>,
    /// Indices into `columns`, ascending: what decoders append, in this order.
    pub(crate) wanted: Vec<usize>,
}

impl FormatSchema {
    /// All of `columns`.
    pub(crate) fn all(columns: Vec<FormatColumn>) -> Self {
        FormatSchema { wanted: (0..columns.len()).collect(), columns }
    }

    pub(crate) fn wanted_columns(&self) -> impl Iterator<Item = &FormatColumn> {
        self.wanted.iter().map(|column| &self.columns[*column])
    }
}

/// Rows in the making. A decoder appends to each of `columns` once and calls [`RowsBuilder::end_row`]; a row that turns
/// out to be bad is completed all the same and left out of the result.
pub(crate) struct RowsBuilder {
    pub(crate) columns: Vec<ColumnBuilder>,
    rows: usize,
    kinds: Option<Vec<i8>>,
    spoiled: BTreeSet<usize>,
}

impl RowsBuilder {
    pub(crate) fn new(schema: &FormatSchema, is_changelog: bool) -> Self {
        RowsBuilder {
            columns: schema
                .wanted_columns()
                .map(|column| ColumnBuilder::new(&column.data_type.kind))
                .collect(),
            rows: 0,
            kinds: is_changelog.then(Vec::new),
            spoiled: BTreeSet::new(),
        }
    }

    /// The number of rows, bad ones included.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    #[inline]
    pub(crate) fn end_row(&mut self, row_kind: i8) {
        self.rows += 1;
        if let Some(kinds) = &mut self.kinds {
            kinds.push(row_kind);
        }
    }

    /// Leaves out all rows from `row` on that there are so far.
    pub(crate) fn spoil_from(&mut self, row: usize) {
        self.spoiled.extend(row..self.rows);
    }

    pub(crate) fn finish(self) -> Rows {
        let mut columns: Vec<ArrayRef> = self.columns.into_iter().map(ColumnBuilder::finish).collect();
        let (mut kinds, mut count) = (self.kinds, self.rows);
        if !self.spoiled.is_empty() {
            let keep: BooleanArray = (0..count).map(|row| Some(!self.spoiled.contains(&row))).collect();
            for column in &mut columns {
                *column = arrow_select::filter::filter(column.as_ref(), &keep)
                    .expect("invariant: every column has an entry for each row");
            }
            if let Some(kinds) = &mut kinds {
                let mut row = 0;
                kinds.retain(|_| {
                    row += 1;
                    !self.spoiled.contains(&(row - 1))
                });
            }
            count -= self.spoiled.len();
        }
        debug_assert!(columns.iter().all(|column| column.len() == count));
        if kinds.as_ref().is_some_and(|kinds| kinds.iter().all(|row_kind| *row_kind == kind::INSERT)) {
            kinds = None;
        }
        Rows { columns, count, kinds }
    }
}

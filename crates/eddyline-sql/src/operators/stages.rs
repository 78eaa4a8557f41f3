//! Steps without state: projection, filter, expansion, unnesting, and kinds for rows that have none.

use super::batches::{Incoming, assemble};
use super::{Settings, failed, wall_micros};
use crate::expr::{FilteredProgram, Program, Typed, evaluate, without_nulls};
use crate::row::{ColumnBuilder, ColumnView, Value, kind};
use crate::types::{SqlType, TypeKind};
use arrow_array::{Array, ArrayRef, UInt32Array};
use eddyline_core::{Batch, Error, Result};
use eddyline_runtime::operator::Stage;

fn internal(error: impl std::fmt::Display) -> Error {
    Error::internal(error.to_string())
}

type Emit<'a> = &'a mut dyn FnMut(Batch) -> Result<()>;

/// Computes columns.
pub(crate) struct ProjectStage {
    pub(crate) exprs: Program,
    pub(crate) updating: bool,
    pub(crate) settings: Settings,
}

impl Stage for ProjectStage {
    fn apply(&mut self, batch: Batch, emit: Emit<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.updating)?;
        let context = self.settings.context(wall_micros());
        let columns = self.exprs.evaluate(&input.rows, &context).map_err(|error| failed("Calc", error))?;
        let rows = assemble(columns, input.len(), input.kinds().map(<[i8]>::to_vec))?;
        emit(Batch::from_arrow(rows, input.created_micros))
    }
}

/// Lets rows pass, and computes columns of those.
pub(crate) struct CalcStage {
    pub(crate) program: FilteredProgram,
    pub(crate) updating: bool,
    pub(crate) settings: Settings,
}

impl Stage for CalcStage {
    fn apply(&mut self, batch: Batch, emit: Emit<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.updating)?;
        let context = self.settings.context(wall_micros());
        let computed = self.program.evaluate(&input.rows, &context).map_err(|error| failed("Calc", error))?;
        let Some((passes, columns)) = computed else { return Ok(()) };
        let passing = |kinds: &[i8]| {
            let kinds = kinds.iter().zip(passes.iter()).filter(|(_, passes)| *passes == Some(true));
            kinds.map(|(kind, _)| *kind).collect()
        };
        let rows = assemble(columns, passes.true_count(), input.kinds().map(passing))?;
        emit(Batch::from_arrow(rows, input.created_micros))
    }
}

/// Lets rows pass.
pub(crate) struct FilterStage {
    pub(crate) predicate: Program,
    pub(crate) updating: bool,
    pub(crate) settings: Settings,
}

impl Stage for FilterStage {
    fn apply(&mut self, batch: Batch, emit: Emit<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.updating)?;
        let context = self.settings.context(wall_micros());
        let holds = self.predicate.evaluate(&input.rows, &context).map_err(|error| failed("Calc", error))?;
        let passes = without_nulls(&holds[0]);
        match passes.true_count() {
            0 => Ok(()),
            all if all == passes.len() => emit(batch),
            _ => {
                let rows =
                    arrow_select::filter::filter_record_batch(batch.arrow()?, &passes).map_err(internal)?;
                emit(Batch::from_arrow(rows, input.created_micros))
            }
        }
    }
}

/// Gives each row once per projection.
pub(crate) struct ExpandStage {
    pub(crate) projections: Vec<Vec<Typed>>,
    pub(crate) updating: bool,
    pub(crate) settings: Settings,
}

impl Stage for ExpandStage {
    fn apply(&mut self, batch: Batch, emit: Emit<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.updating)?;
        let context = self.settings.context(wall_micros());
        for exprs in &self.projections {
            let columns = exprs.iter().map(|expr| evaluate(expr, &input.rows, &context));
            let columns = columns
                .collect::<std::result::Result<Vec<_>, _>>()
                .map_err(|error| failed("Expand", error))?;
            let rows = assemble(columns, input.len(), input.kinds().map(<[i8]>::to_vec))?;
            emit(Batch::from_arrow(rows, input.created_micros))?;
        }
        Ok(())
    }
}

/// A row per element of an array, map or multiset.
pub(crate) struct UnnestStage {
    pub(crate) expr: Typed,
    /// The types of the columns that are added.
    pub(crate) added: Vec<SqlType>,
    pub(crate) outer: bool,
    pub(crate) ordinality: bool,
    pub(crate) updating: bool,
    pub(crate) settings: Settings,
}

impl UnnestStage {
    /// The values of the added columns for each element.
    fn elements(&self, value: Value) -> Vec<Vec<Value>> {
        let spreads = |item: &SqlType| matches!(item.kind, TypeKind::Row(_));
        let width = self.added.len() - usize::from(self.ordinality);
        let row = |item: Value, spread: bool| match item {
            Value::Row(fields) if spread => fields,
            Value::Null if spread => vec![Value::Null; width],
            item => vec![item],
        };
        let mut rows: Vec<Vec<Value>> = match (value, &self.expr.data_type.kind) {
            (Value::List(items), TypeKind::Array(item)) => {
                items.into_iter().map(|value| row(value, spreads(item))).collect()
            }
            (Value::Map(entries), TypeKind::Multiset(item)) => entries
                .into_iter()
                .flat_map(|(value, count)| {
                    let count = usize::try_from(count.as_int().unwrap_or(0)).unwrap_or(0);
                    std::iter::repeat_n(row(value, spreads(item)), count)
                })
                .collect(),
            (Value::Map(entries), _) => entries.into_iter().map(|(key, value)| vec![key, value]).collect(),
            _ => Vec::new(),
        };
        if self.ordinality {
            rows.iter_mut().zip(1i64..).for_each(|(row, number)| row.push(Value::Int(number)));
        }
        if rows.is_empty() && self.outer {
            rows.push(vec![Value::Null; self.added.len()]);
        }
        rows
    }
}

impl Stage for UnnestStage {
    fn apply(&mut self, batch: Batch, emit: Emit<'_>) -> Result<()> {
        let input = Incoming::new(&batch, self.updating)?;
        let context = self.settings.context(wall_micros());
        let values =
            evaluate(&self.expr, &input.rows, &context).map_err(|error| failed("Correlate", error))?;
        let view = ColumnView::new(&values);
        let mut indices: Vec<u32> = Vec::new();
        let mut builders: Vec<ColumnBuilder> =
            self.added.iter().map(|added| ColumnBuilder::new(&added.kind)).collect();
        for row in 0..input.len() {
            for element in self.elements(view.value(row)) {
                indices.push(row as u32);
                for (builder, value) in builders.iter_mut().zip(&element) {
                    builder.append(value);
                }
            }
        }
        if indices.is_empty() {
            return Ok(());
        }
        let (count, kinds) = (
            indices.len(),
            input.kinds().map(|kinds| indices.iter().map(|row| kinds[*row as usize]).collect()),
        );
        let indices = UInt32Array::from(indices);
        let take = |column: &ArrayRef| arrow_select::take::take(column, &indices, None).map_err(internal);
        let mut columns = input.rows.columns().iter().map(take).collect::<Result<Vec<_>>>()?;
        columns.extend(builders.into_iter().map(ColumnBuilder::finish));
        emit(Batch::from_arrow(assemble(columns, count, kinds)?, input.created_micros))
    }
}

/// Refuses rows with NULL where a table's column must not be, or leaves them out.
pub(crate) struct NotNullStage {
    /// The columns and their names.
    pub(crate) columns: Vec<(usize, String)>,
    pub(crate) drops: bool,
}

impl Stage for NotNullStage {
    fn apply(&mut self, batch: Batch, emit: Emit<'_>) -> Result<()> {
        let rows = batch.arrow()?;
        let mut passes = vec![true; rows.num_rows()];
        for (column, name) in &self.columns {
            let nulls = rows.column(*column).logical_nulls().filter(|nulls| nulls.null_count() > 0);
            let Some(nulls) = nulls else { continue };
            if !self.drops {
                return Err(failed("Sink", format!("column `{name}` is NOT NULL, but a row has NULL there")));
            }
            passes.iter_mut().zip(nulls.iter()).for_each(|(passes, valid)| *passes &= valid);
        }
        if passes.iter().all(|passes| *passes) {
            return emit(batch);
        }
        let passes = arrow_array::BooleanArray::from(passes);
        let rows = arrow_select::filter::filter_record_batch(rows, &passes).map_err(internal)?;
        emit(Batch::from_arrow(rows, batch.created_micros))
    }
}

/// Says of rows that are only inserted that they are.
pub(crate) struct KindStage;

impl Stage for KindStage {
    fn apply(&mut self, batch: Batch, emit: Emit<'_>) -> Result<()> {
        let rows = batch.arrow()?;
        let count = rows.num_rows();
        let rows = assemble(rows.columns().to_vec(), count, Some(vec![kind::INSERT; count]))?;
        emit(Batch::from_arrow(rows, batch.created_micros))
    }
}

/// Passes rows on: where several edges meet.
pub(crate) struct PassStage;

impl Stage for PassStage {
    fn apply(&mut self, batch: Batch, emit: Emit<'_>) -> Result<()> {
        emit(batch)
    }
}

//! Several expressions over the same rows: what they have in common is computed once.
//!
//! A part is computed once if it comes twice or more often, and if one of these places is reached for every row: so
//! nothing is computed for a row, and may fail there, that would not have been computed anyway.

use super::eval::{EvalContext, EvalResult, evaluate, text, without_nulls};
use super::{Node, Typed};
use arrow_array::{Array, ArrayRef, BooleanArray, NullArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Parts of expressions among which equal ones are sought.
const PARTS_MAX: usize = 1_000;

/// Expressions over rows of so many columns.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// What is computed first: each sees the columns and those before it as further columns.
    shared: Vec<Typed>,
    exprs: Vec<Typed>,
}

/// How a part is used.
#[derive(Default, Clone, Copy)]
struct Uses {
    count: usize,
    /// Whether it is computed for every row anyway.
    always: bool,
}

impl Program {
    pub(crate) fn new(exprs: Vec<Typed>, width: usize) -> Self {
        let mut uses: HashMap<Typed, Uses> = HashMap::new();
        if !is_large(&exprs) {
            exprs.iter().for_each(|expr| count(expr, true, &mut uses));
        }
        let mut shared: Vec<Typed> = uses
            .into_iter()
            .filter(|(_, uses)| uses.count > 1 && uses.always)
            .map(|(part, _)| part)
            .collect();
        // Small ones first, as they may be parts of others; the text makes the order the same in every run.
        shared.sort_by_cached_key(|part| (size(part), format!("{part:?}")));
        let replaced = |mut expr: Typed, known: &[Typed]| {
            expr.rewrite(&mut |part| {
                let place = known.iter().position(|known| known == part)?;
                Some(Typed::column(width + place, &part.data_type))
            });
            expr
        };
        let exprs = exprs.into_iter().map(|expr| replaced(expr, &shared)).collect();
        let shared_below =
            (0..shared.len()).map(|number| replaced(shared[number].clone(), &shared[..number])).collect();
        Program { shared: shared_below, exprs }
    }

    /// The value of each expression for each row of `batch`.
    pub(crate) fn evaluate(&self, batch: &RecordBatch, context: &EvalContext) -> EvalResult<Vec<ArrayRef>> {
        let mut widened = None;
        for part in &self.shared {
            let so_far = widened.as_ref().unwrap_or(batch);
            let column = evaluate(part, so_far, context)?;
            widened = Some(with_column(so_far, column)?);
        }
        let batch = widened.as_ref().unwrap_or(batch);
        self.exprs.iter().map(|expr| evaluate(expr, batch, context)).collect()
    }
}

/// A condition, and expressions over the rows for which it holds; what the condition has computed of these is not computed
/// again.
#[derive(Debug, Clone)]
pub(crate) struct FilteredProgram {
    /// The condition, and then what it shares with the expressions.
    condition: Program,
    /// Over the columns, and what the condition shares.
    exprs: Program,
    /// The columns that the expressions use.
    used: BTreeSet<usize>,
}

impl FilteredProgram {
    pub(crate) fn new(condition: Typed, mut exprs: Vec<Typed>, width: usize) -> Self {
        let mut uses: HashMap<Typed, Uses> = HashMap::new();
        if !is_large(&exprs) && !is_large(std::slice::from_ref(&condition)) {
            count(&condition, true, &mut uses);
        }
        let mut shared: Vec<Typed> = Vec::new();
        for expr in &mut exprs {
            expr.rewrite(&mut |part| {
                uses.get(part).filter(|uses| uses.always)?;
                let place = shared.iter().position(|known| known == part).unwrap_or_else(|| {
                    shared.push(part.clone());
                    shared.len() - 1
                });
                Some(Typed::column(width + place, &part.data_type))
            });
        }
        let used = exprs.iter().flat_map(Typed::columns).collect();
        let exprs = Program::new(exprs, width + shared.len());
        let condition = Program::new(std::iter::once(condition).chain(shared).collect(), width);
        FilteredProgram { condition, exprs, used }
    }

    /// Where the condition holds, and the value of each expression there; none if it holds nowhere.
    pub(crate) fn evaluate(
        &self,
        batch: &RecordBatch,
        context: &EvalContext,
    ) -> EvalResult<Option<(BooleanArray, Vec<ArrayRef>)>> {
        let mut computed = self.condition.evaluate(batch, context)?;
        let shared = computed.split_off(1);
        let passes = without_nulls(&computed[0]);
        let rows = passes.true_count();
        if rows == 0 {
            return Ok(None);
        }
        let mut columns = Vec::with_capacity(batch.num_columns() + shared.len());
        for (number, column) in batch.columns().iter().chain(&shared).enumerate() {
            columns.push(match self.used.contains(&number) {
                true if rows == passes.len() => column.clone(),
                true => arrow_select::filter::filter(column, &passes).map_err(text)?,
                false => Arc::new(NullArray::new(rows)) as ArrayRef,
            });
        }
        let fields: Vec<Field> =
            columns.iter().map(|column| Field::new("", column.data_type().clone(), true)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options);
        let values = self.exprs.evaluate(&batch.map_err(text)?, context)?;
        Ok(Some((passes, values)))
    }
}

fn with_column(batch: &RecordBatch, column: ArrayRef) -> EvalResult<RecordBatch> {
    let mut fields: Vec<Arc<Field>> = batch.schema_ref().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("$shared", column.data_type().clone(), true)));
    let mut columns = batch.columns().to_vec();
    columns.push(column);
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options).map_err(text)
}

/// Whether looking for what is the same would take longer than it could ever save.
fn is_large(exprs: &[Typed]) -> bool {
    let mut open: Vec<&Typed> = exprs.iter().collect();
    let mut parts = 0;
    while let Some(expr) = open.pop() {
        parts += 1;
        if parts > PARTS_MAX {
            return true;
        }
        open.extend(expr.children());
    }
    false
}

fn size(expr: &Typed) -> usize {
    1 + expr.children().into_iter().map(size).sum::<usize>()
}

/// Counts the parts of `expr`, which is computed for every row if `always`.
fn count(expr: &Typed, always: bool, uses: &mut HashMap<Typed, Uses>) {
    let is_work = matches!(
        &*expr.node,
        Node::Call(..) | Node::Arithmetic(..) | Node::Cast { .. } | Node::Compare(..) | Node::Index(..)
    );
    if is_work && expr.is_deterministic() {
        let known = uses.entry(expr.clone()).or_default();
        known.count += 1;
        known.always |= always;
        if known.count > 1 {
            return;
        }
    }
    match &*expr.node {
        Node::Case { branches, otherwise } => {
            for (number, (when, then)) in branches.iter().enumerate() {
                count(when, always && number == 0, uses);
                count(then, false, uses);
            }
            count(otherwise, false, uses);
        }
        Node::And(parts) | Node::Or(parts) => {
            for (number, part) in parts.iter().enumerate() {
                count(part, always && (number == 0 || !part.can_fail()), uses);
            }
        }
        Node::Coalesce(parts) => {
            for (number, part) in parts.iter().enumerate() {
                count(part, always && number == 0, uses);
            }
        }
        _ => expr.children().into_iter().for_each(|child| count(child, always, uses)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Arithmetic, Comparison};
    use super::*;
    use crate::row::Value;
    use crate::types::TypeKind;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{Int64Array, StringArray};
    use jiff::tz::TimeZone;

    fn long(value: i64) -> Typed {
        Typed::literal(Value::Int(value), TypeKind::BigInt.not_null())
    }

    fn divided(divisor: i64) -> Typed {
        let column = Typed::column(0, &TypeKind::BigInt.nullable());
        Typed::new(Node::Arithmetic(Arithmetic::Divide, column, long(divisor)), TypeKind::BigInt.nullable())
    }

    fn compared(left: Typed, right: Typed) -> Typed {
        Typed::new(Node::Compare(Comparison::Greater, left, right), TypeKind::Boolean.nullable())
    }

    fn batch() -> RecordBatch {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("a", Arc::new(Int64Array::from(vec![Some(10), None, Some(30)]))),
            ("b", Arc::new(StringArray::from(vec!["x", "y", "z"]))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn context() -> EvalContext {
        EvalContext { zone: TimeZone::UTC, now_micros: 0, lenient_casts: false }
    }

    #[test]
    fn what_comes_twice_is_computed_once_and_gives_the_same() {
        let both = [divided(2), compared(divided(2), long(7))];
        let program = Program::new(both.to_vec(), 2);
        assert_eq!(program.shared, [divided(2)]);
        let columns = program.evaluate(&batch(), &context()).unwrap();
        let alone: Vec<ArrayRef> =
            both.iter().map(|expr| evaluate(expr, &batch(), &context()).unwrap()).collect();
        assert_eq!(columns, alone);
        assert_eq!(
            columns[0].as_primitive::<Int64Type>().iter().collect::<Vec<_>>(),
            [Some(5), None, Some(15)]
        );
    }

    #[test]
    fn what_a_condition_has_computed_is_not_computed_again() {
        let condition = compared(divided(2), long(7));
        let exprs = vec![divided(2), Typed::column(1, &TypeKind::STRING.nullable())];
        let program = FilteredProgram::new(condition, exprs, 2);
        assert_eq!(program.used, BTreeSet::from([1, 2]), "the quotient is a column now");
        let (passes, columns) = program.evaluate(&batch(), &context()).unwrap().unwrap();
        assert_eq!(passes.iter().collect::<Vec<_>>(), [Some(false), Some(false), Some(true)]);
        assert_eq!(columns[0].as_primitive::<Int64Type>().values()[..], [15]);
        assert_eq!(columns[1].as_string::<i32>().value(0), "z");
        let never = FilteredProgram::new(compared(divided(2), long(99)), vec![divided(0)], 2);
        assert!(never.evaluate(&batch(), &context()).unwrap().is_none(), "nothing is divided by zero");
    }

    #[test]
    fn what_some_rows_do_not_reach_is_left_where_it_is() {
        // Division by zero is not reached.
        let case = Typed::new(
            Node::Case {
                branches: vec![(
                    compared(Typed::column(0, &TypeKind::BigInt.nullable()), long(99)),
                    divided(0),
                )],
                otherwise: long(1),
            },
            TypeKind::BigInt.nullable(),
        );
        let program = Program::new(vec![case.clone(), case], 2);
        assert!(program.shared.iter().all(|part| matches!(*part.node, Node::Compare(..))));
        assert!(program.evaluate(&batch(), &context()).is_ok());
    }
}

//! Temporal joins: `FOR SYSTEM_TIME AS OF`.

use super::Binder;
use super::expr::ExprBinder;
use super::scope::Scope;
use crate::parser::ast::{self, Expr, JoinCondition};
use crate::parser::span::{SqlError, SqlResult};
use crate::plan::{Op, Rel, TimeAttribute, join_columns, with_key_columns};

impl Binder<'_> {
    /// `left` joined with the rows of `right` that were valid at `time`.
    pub(super) fn temporal_join<'s>(
        &self,
        (left, left_scope): (Rel, Scope<'_>),
        (right, right_scope): (Rel, Scope<'_>),
        kind: ast::JoinKind,
        time: &Expr,
        condition: &JoinCondition,
        outer: Option<&'s Scope<'s>>,
    ) -> SqlResult<(Rel, Scope<'s>)> {
        let at = |message: &str| SqlError::at(time.span, message);
        if self.batch {
            return Err(at("temporal joins are for streams").hint("run it in streaming mode"));
        }
        let kind = match kind {
            ast::JoinKind::Inner => crate::plan::JoinKind::Inner,
            ast::JoinKind::Left => crate::plan::JoinKind::Left,
            _ => return Err(at("FOR SYSTEM_TIME AS OF can be joined by INNER and LEFT JOIN only")),
        };
        let bound = ExprBinder::new(self, &left_scope, "FOR SYSTEM_TIME AS OF").bind(time)?;
        let column = bound.as_column();
        let left_time = match column.and_then(|column| left.columns[column].time) {
            Some(TimeAttribute::Rowtime) => column,
            Some(TimeAttribute::Proctime) => {
                return Err(at("temporal joins by processing time are not supported")
                    .hint("use the rowtime of the left side"));
            }
            None => None,
        };
        let left_time = left_time.ok_or_else(|| at("this is no time attribute of the left side"))?;
        let is_rowtime = |place: &usize| right.columns[*place].time == Some(TimeAttribute::Rowtime);
        let right_time = (0..right.columns.len()).find(is_rowtime).ok_or_else(|| {
            at("the table of versions has no event time").hint("define a WATERMARK for its time column")
        })?;
        let JoinCondition::On(on) = condition else {
            return Err(at("a temporal join needs ON with equalities for the key of the table of versions"));
        };
        let (width, right_width) = (left.columns.len(), right.columns.len());
        let mut scope = left_scope.join(right_scope, width);
        scope.outer = None;
        let mut binder = ExprBinder::new(self, &scope, "ON");
        let on = binder.condition(on)?;
        if !binder.found.subqueries.is_empty() {
            return Err(at("a temporal join takes no sub-query in ON"));
        }
        let (left, right, condition) = with_key_columns(left, right, on);
        let all = left.columns.len();
        let columns = join_columns(&left.columns, &right.columns, kind);
        let joined = Rel::new(
            Op::TemporalJoin { left, right, kind, condition, times: (left_time, right_time) },
            columns,
        );
        let kept: Vec<usize> = (0..width).chain(all..all + right_width).collect();
        let names = kept.iter().map(|column| joined.columns[*column].name.clone()).collect();
        let exprs = kept.iter().map(|column| joined.typed(*column)).collect();
        let mut rel = joined.project(exprs, names);
        for column in &mut rel.columns[width..] {
            column.time = None;
        }
        for column in &mut scope.columns {
            column.column = rel.columns[column.index].clone();
        }
        Ok((rel, Scope { columns: scope.columns, outer }))
    }
}

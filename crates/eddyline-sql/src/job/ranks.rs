//! What follows an order in the graph: ranks, and calls over other rows.

use super::translate::{Stream, Translator};
use crate::operators::over::{OverSpec, WholeOver};
use crate::operators::over_time::TimeOver;
use crate::operators::rank::RankSpec;
use crate::parser::span::SqlResult;
use crate::plan::{Op, OverGroup, RankFunction, Rel, TimeAttribute};
use eddyline_runtime::graph::NodeSpec;

impl Translator {
    pub(super) fn rank_spec_of(
        &self,
        rel: &Rel,
        order: Vec<crate::row::SortOrder>,
        updating: bool,
    ) -> RankSpec {
        RankSpec {
            function: RankFunction::RowNumber,
            partition: Vec::new(),
            order,
            start: 1,
            end: u64::MAX,
            number: false,
            last_of_equals: false,
            first_by_time: None,
            updating,
            output: rel.types(),
            settings: self.settings.clone(),
        }
    }

    pub(super) fn rank_spec(&self, rel: &Rel, updating: bool) -> RankSpec {
        let Op::Rank { input, function, partition, order, start, end, number, .. } = &*rel.op else {
            return self.rank_spec_of(rel, Vec::new(), updating);
        };
        let is_first =
            *start == 1 && *end == 1 && *function == RankFunction::RowNumber && !self.settings.batch;
        let column =
            order.first().filter(|_| is_first && order.len() == 1).map(|first| &input.columns[first.column]);
        let descending = order.first().is_some_and(|first| first.descending);
        let rowtime =
            column.filter(|column| column.time == Some(TimeAttribute::Rowtime) && !descending && !updating);
        let per_milli =
            |column: &crate::plan::Column| if column.data_type.kind.in_nanos() { 1_000_000 } else { 1_000 };
        RankSpec {
            function: *function,
            partition: partition.clone(),
            order: order.clone(),
            start: *start,
            end: *end,
            number: *number,
            last_of_equals: descending && column.is_some_and(|column| column.time.is_some()),
            first_by_time: rowtime.map(|column| (order[0].column, per_milli(column))),
            updating,
            output: rel.types(),
            settings: self.settings.clone(),
        }
    }

    /// One operator per group of calls.
    pub(super) fn over(&mut self, rel: &Rel, input: &Rel, groups: &[OverGroup]) -> SqlResult<Stream> {
        let mut stream = self.stream(input)?;
        let mut types = input.types();
        for group in groups {
            let route = Self::keyed(group.partition.clone());
            let spec = OverSpec::new(group.clone(), types.clone(), stream.updating, self.settings.clone());
            types.clone_from(&spec.output);
            let time = match group.order.as_slice() {
                [first] if !first.descending => {
                    input.columns[first.column].time.map(|time| (first.column, time))
                }
                _ => None,
            };
            match time {
                Some((column, time)) if !self.settings.batch && !stream.updating => {
                    let per_milli =
                        if input.columns[column].data_type.kind.in_nanos() { 1_000_000 } else { 1_000 };
                    let by_arrival = time == TimeAttribute::Proctime;
                    let make = move || TimeOver::new(spec.clone(), column, per_milli, by_arrival);
                    stream = self.operator(
                        NodeSpec::named("OverAggregate"),
                        rel,
                        vec![(stream, route)],
                        false,
                        make,
                    );
                }
                _ => {
                    let updating = !self.settings.batch;
                    let make = move || WholeOver::new(spec.clone());
                    stream = self.operator(
                        NodeSpec::named("OverAggregate"),
                        rel,
                        vec![(stream, route)],
                        updating,
                        make,
                    );
                }
            }
        }
        Ok(stream)
    }
}

//! Each operation of a plan becomes an operator, and each input an edge.

use super::uid::{Uids, describe};
use super::values::ValuesSource;
use crate::catalog::TableDef;
use crate::connector::{self, TableSink};
use crate::operators::Settings;
use crate::operators::exchange::by_columns;
use crate::operators::limit::LimitOperator;
use crate::operators::normalize::ChangelogNormalize;
use crate::operators::over::{OverSpec, WholeOver};
use crate::operators::over_time::TimeOver;
use crate::operators::rank::{RankSpec, StreamRank, WindowRank};
use crate::operators::scan::{ScanOperator, ScanSpec};
use crate::operators::session::{SessionAssign, SessionSpec};
use crate::operators::set::SetOperator;
use crate::operators::sink::{CollectOperator, Collected, TableSinkOperator};
use crate::operators::sort::SortOperator;
use crate::operators::stages::{
    ExpandStage, FilterStage, KindStage, NotNullStage, PassStage, ProjectStage, UnnestStage,
};
use crate::operators::window::WindowStage;
use crate::parser::span::{SqlError, SqlResult};
use crate::plan::{Op, OverGroup, RankFunction, Rel, TimeAttribute, WindowKind, changelog_mode};
use crate::types::SqlType;
use eddyline_core::batch::decode_rows;
use eddyline_runtime::graph::{JobBuilder, NodeHandle, NodeSpec, Partitioning};
use eddyline_runtime::partition::{self, PartitionerFactory};
use std::sync::Arc;

/// Where the rows of a query go.
pub(crate) enum Target {
    Table(Arc<TableDef>, Arc<dyn TableSink>),
    Collect(Arc<Collected>),
}

/// A relation in the graph.
#[derive(Clone)]
pub(super) struct Stream {
    node: NodeHandle,
    uid: String,
    pub(super) updating: bool,
    /// Whether all rows are on one instance.
    single: bool,
}

/// Builds the graph of one job, of one query or several.
pub(crate) struct Translator {
    pub(crate) builder: JobBuilder,
    pub(super) settings: Settings,
    uids: Uids,
    pub(crate) all_bounded: bool,
    /// Whether there are sessions.
    sessions: bool,
}

pub(super) enum Route {
    Forward,
    Global,
    Keyed(Vec<usize>),
}

impl Translator {
    pub(crate) fn new(name: &str, max_parallelism: u32, settings: Settings) -> Self {
        let builder = JobBuilder::new(name, max_parallelism);
        Translator { builder, settings, uids: Uids::default(), all_bounded: true, sessions: false }
    }

    /// Adds `rel` and its way to `target`.
    pub(crate) fn add(&mut self, rel: &Rel, target: Target) -> SqlResult<()> {
        self.sessions |= rel.has_sessions();
        let mut stream = self.stream(rel)?;
        let updating = stream.updating;
        match target {
            Target::Table(table, sink) => {
                let persisted = table.columns.iter().filter(|column| column.is_persisted()).enumerate();
                let not_null = persisted.filter(|(place, column)| {
                    !column.data_type.nullable && rel.columns[*place].data_type.nullable
                });
                let columns: Vec<(usize, String)> =
                    not_null.map(|(place, column)| (place, column.name.clone())).collect();
                if !columns.is_empty() {
                    let drops = self.settings.drops_nulls;
                    let make = move || NotNullStage { columns: columns.clone(), drops };
                    stream = self.stage("NotNullEnforcer", rel, stream, updating, make);
                }
                let uid = self.uids.next("sink", &table.path.join("."), &[&stream.uid]);
                let name = format!("Sink: {}", table.name());
                let node = self
                    .builder
                    .add_sink(NodeSpec::named(name), move || TableSinkOperator::new(sink.clone(), updating));
                self.builder.set_uid(node, uid);
                // Changes of a row must not overtake one another.
                let route = if updating && !stream.single { Route::Global } else { Route::Forward };
                self.connect(&stream, node, 0, route);
            }
            Target::Collect(collected) => {
                let uid = self.uids.next("collect", "", &[&stream.uid]);
                let make = move || CollectOperator { collected: collected.clone(), updating };
                let node = self.builder.add_sink(NodeSpec::named("collect").with_parallelism(1), make);
                self.builder.set_uid(node, uid);
                self.connect(&stream, node, 0, Route::Global);
            }
        }
        Ok(())
    }

    fn connect(&mut self, from: &Stream, to: NodeHandle, input: usize, route: Route) {
        let (partitioning, partitioner): (Partitioning, Option<PartitionerFactory>) = match route {
            Route::Forward => (Partitioning::Forward, None),
            Route::Global => (Partitioning::Global, Some(partition::global())),
            Route::Keyed(columns) => (Partitioning::Hash, Some(by_columns(columns))),
        };
        self.builder.connect((from.node, 0), (to, input), partitioning, partitioner, decode_rows::<u8>);
    }

    pub(super) fn stage<S: eddyline_runtime::Stage + 'static>(
        &mut self,
        name: &str,
        rel: &Rel,
        input: Stream,
        updating: bool,
        make: impl Fn() -> S + Send + Sync + 'static,
    ) -> Stream {
        let node = self.builder.add_stage(NodeSpec::named(name), make);
        let uid = self.uids.next(name, &describe(rel), &[&input.uid]);
        self.builder.set_uid(node, uid.clone());
        self.connect(&input, node, 0, Route::Forward);
        Stream { node, uid, updating, single: input.single }
    }

    pub(super) fn operator<O: eddyline_runtime::Operator + 'static>(
        &mut self,
        spec: NodeSpec,
        rel: &Rel,
        inputs: Vec<(Stream, Route)>,
        updating: bool,
        make: impl Fn() -> O + Send + Sync + 'static,
    ) -> Stream {
        let name = spec.name.clone();
        let node = self.builder.add_operator(spec.with_watermarks(), make);
        let before: Vec<&str> = inputs.iter().map(|(stream, _)| stream.uid.as_str()).collect();
        let uid = self.uids.next(&name, &describe(rel), &before);
        self.builder.set_uid(node, uid.clone());
        let single = inputs.iter().all(|(_, route)| match route {
            Route::Global => true,
            Route::Keyed(columns) => columns.is_empty(),
            Route::Forward => false,
        });
        for (number, (stream, route)) in inputs.into_iter().enumerate() {
            self.connect(&stream, node, number, route);
        }
        Stream { node, uid, updating, single }
    }

    /// By `columns`. Without any, all rows meet at the owner of the empty key: there its state belongs.
    pub(super) fn keyed(columns: Vec<usize>) -> Route {
        Route::Keyed(columns)
    }

    /// The same rows with kinds.
    fn with_kinds(&mut self, rel: &Rel, stream: Stream) -> Stream {
        if stream.updating { stream } else { self.stage("kinds", rel, stream, true, || KindStage) }
    }

    /// The settings of an operator by windows.
    pub(super) fn window_settings(&self, rel: &Rel) -> Settings {
        Settings { local_windows: has_local_windows(rel), ..self.settings.clone() }
    }

    pub(super) fn updating(&self, rel: &Rel) -> bool {
        changelog_mode(rel, self.settings.batch, &connector::is_changelog).is_updating()
    }

    pub(super) fn stream(&mut self, rel: &Rel) -> SqlResult<Stream> {
        let settings = self.settings.clone();
        match &*rel.op {
            Op::Scan { table, computed, watermark, needed } => {
                let whole = connector::source_of(table)?;
                let stored = stored_columns(computed, needed);
                let (source, stored) = match whole.projected(&stored) {
                    Some(source) => (source, Some(stored)),
                    None => (whole, None),
                };
                self.all_bounded &= source.is_bounded();
                let spec = ScanSpec {
                    name: table.name().to_owned(),
                    updating: source.is_changelog(),
                    source,
                    computed: computed.clone(),
                    columns: rel.types(),
                    needed: needed.clone(),
                    stored,
                    watermark: watermark.clone(),
                    touching: self.sessions,
                    settings,
                };
                let normalizes = self.settings.normalizes && spec.updating;
                let keys: Vec<usize> =
                    table.primary_key.iter().filter_map(|name| table.column(name)).collect();
                let scan = self.source(rel, spec);
                if !normalizes || keys.is_empty() {
                    return Ok(scan);
                }
                let (route, types) = (Self::keyed(keys.clone()), rel.types());
                let make = move || ChangelogNormalize::new(keys.clone(), &types);
                let node = NodeSpec::named("ChangelogNormalize");
                Ok(self.operator(node, rel, vec![(scan, route)], true, make))
            }
            Op::Values { rows } => {
                let types = rel.types();
                let source = Arc::new(ValuesSource { rows: rows.clone(), types });
                let computed: Vec<_> = rel.columns.iter().map(|_| None).collect();
                let spec = ScanSpec {
                    name: "values".into(),
                    source,
                    needed: vec![true; computed.len()],
                    columns: rel.types(),
                    stored: None,
                    computed,
                    watermark: None,
                    updating: false,
                    touching: false,
                    settings,
                };
                Ok(self.source(rel, spec))
            }
            Op::Project { input, exprs } => {
                let stream = self.stream(input)?;
                let (updating, exprs) = (stream.updating, exprs.clone());
                let make =
                    move || ProjectStage { exprs: exprs.clone(), updating, settings: settings.clone() };
                Ok(self.stage("Calc", rel, stream, updating, make))
            }
            Op::Filter { input, predicate } => {
                let stream = self.stream(input)?;
                let (updating, predicate) = (stream.updating, predicate.clone());
                let make = move || FilterStage {
                    predicate: predicate.clone(),
                    updating,
                    settings: settings.clone(),
                };
                Ok(self.stage("Calc", rel, stream, updating, make))
            }
            Op::Expand { input, projections } => {
                let stream = self.stream(input)?;
                let (updating, projections) = (stream.updating, projections.clone());
                let make = move || ExpandStage {
                    projections: projections.clone(),
                    updating,
                    settings: settings.clone(),
                };
                Ok(self.stage("Expand", rel, stream, updating, make))
            }
            Op::Unnest { input, expr, outer, ordinality } => {
                let stream = self.stream(input)?;
                let (updating, expr, outer, ordinality) =
                    (stream.updating, expr.clone(), *outer, *ordinality);
                let added: Vec<SqlType> = rel.types()[input.columns.len()..].to_vec();
                let make = move || UnnestStage {
                    expr: expr.clone(),
                    added: added.clone(),
                    outer,
                    ordinality,
                    updating,
                    settings: settings.clone(),
                };
                Ok(self.stage("Correlate", rel, stream, updating, make))
            }
            Op::Union { inputs } => {
                let updating = self.updating(rel);
                let mut streams = Vec::new();
                for input in inputs {
                    let stream = self.stream(input)?;
                    streams.push(if updating { self.with_kinds(input, stream) } else { stream });
                }
                let node = self.builder.add_stage(NodeSpec::named("Union"), || PassStage);
                let before: Vec<&str> = streams.iter().map(|stream| stream.uid.as_str()).collect();
                let uid = self.uids.next("Union", &describe(rel), &before);
                self.builder.set_uid(node, uid.clone());
                for stream in &streams {
                    self.connect(stream, node, 0, Route::Forward);
                }
                Ok(Stream { node, uid, updating, single: false })
            }
            Op::Window { input, kind, time, partition } => self.window(rel, input, *kind, *time, partition),
            Op::Aggregate { .. } => self.aggregate(rel),
            Op::Join { .. } => self.join(rel),
            Op::TemporalJoin { .. } => self.temporal_join(rel),
            Op::Set { left, right, op, all } => {
                let (left_stream, right_stream) = (self.stream(left)?, self.stream(right)?);
                let updating = [left_stream.updating, right_stream.updating];
                let columns: Vec<usize> = (0..left.columns.len()).collect();
                let (op, all, output, batch) = (*op, *all, rel.types(), settings.batch);
                let make = move || SetOperator::new(op, all, updating, &output, settings.clone());
                let inputs =
                    vec![(left_stream, Self::keyed(columns.clone())), (right_stream, Self::keyed(columns))];
                Ok(self.operator(NodeSpec::named("SetOperation"), rel, inputs, !batch, make))
            }
            Op::Rank { input, partition, window, .. } => {
                let stream = self.stream(input)?;
                let mut spec = self.rank_spec(rel, stream.updating);
                let route = Self::keyed(partition.clone());
                match window {
                    Some((_, end)) => {
                        let end = partition[*end];
                        spec.settings = self.window_settings(rel);
                        let make = move || WindowRank::new(spec.clone(), end);
                        Ok(self.operator(
                            NodeSpec::named("WindowRank"),
                            rel,
                            vec![(stream, route)],
                            false,
                            make,
                        ))
                    }
                    None => {
                        let batch = settings.batch;
                        let make = move || StreamRank::new(spec.clone());
                        Ok(self.operator(NodeSpec::named("Rank"), rel, vec![(stream, route)], !batch, make))
                    }
                }
            }
            Op::Over { input, groups } => self.over(rel, input, groups),
            Op::Sort { input, order } => {
                let stream = self.stream(input)?;
                let first = &input.columns[order[0].column];
                let by_time =
                    !settings.batch && !order[0].descending && first.time == Some(TimeAttribute::Rowtime);
                if !by_time && !settings.batch && !self.all_bounded {
                    return Err(SqlError::new(
                        "rows without end can be sorted by a rowtime attribute, ascending, only",
                    )
                    .hint("add a LIMIT, or run it in batch mode"));
                }
                let per_milli = if first.data_type.kind.in_nanos() { 1_000_000 } else { 1_000 };
                let time = by_time.then_some((order[0].column, per_milli));
                let mut spec = self.rank_spec_of(rel, order.clone(), stream.updating);
                spec.output = rel.types();
                let make = move || SortOperator::new(spec.clone(), time);
                Ok(self.operator(NodeSpec::named("Sort"), rel, vec![(stream, Route::Global)], false, make))
            }
            Op::Limit { input, order, offset, fetch } => {
                let stream = self.stream(input)?;
                let (offset, fetch) = (*offset, *fetch);
                if order.is_empty() && !stream.updating {
                    let make = move || LimitOperator::new(offset, fetch);
                    return Ok(self.operator(
                        NodeSpec::named("Limit"),
                        rel,
                        vec![(stream, Route::Global)],
                        false,
                        make,
                    ));
                }
                let mut spec = self.rank_spec_of(rel, order.clone(), stream.updating);
                spec.start = offset + 1;
                spec.end = fetch.map_or(u64::MAX, |fetch| offset.saturating_add(fetch));
                let batch = settings.batch;
                let make = move || StreamRank::new(spec.clone());
                Ok(self.operator(
                    NodeSpec::named("SortLimit"),
                    rel,
                    vec![(stream, Route::Global)],
                    !batch,
                    make,
                ))
            }
        }
    }

    fn source(&mut self, rel: &Rel, spec: ScanSpec) -> Stream {
        let name = format!("Source: {}", spec.name);
        let (uid, updating) = (self.uids.next("source", &describe(rel), &[]), spec.updating);
        let node = self.builder.add_source(NodeSpec::named(name), move || ScanOperator::new(spec.clone()));
        self.builder.set_uid(node, uid.clone());
        Stream { node, uid, updating, single: false }
    }

    pub(super) fn window(
        &mut self,
        rel: &Rel,
        input: &Rel,
        kind: WindowKind,
        time: usize,
        partition: &[usize],
    ) -> SqlResult<Stream> {
        let stream = self.stream(input)?;
        let (updating, settings) = (stream.updating, self.window_settings(rel));
        let output = rel.types();
        if let WindowKind::Session { gap } = kind {
            let spec = SessionSpec {
                gap,
                time,
                partition: partition.to_vec(),
                input: input.types(),
                output,
                updating,
                processing_time: input.columns[time].time == Some(TimeAttribute::Proctime),
                settings,
            };
            let route = Self::keyed(partition.to_vec());
            let make = move || SessionAssign::new(&spec);
            return Ok(self.operator(
                NodeSpec::named("SessionWindow"),
                rel,
                vec![(stream, route)],
                updating,
                make,
            ));
        }
        let time_type = input.columns[time].data_type.clone();
        let window_time = output[output.len() - 1].clone();
        let make = move || WindowStage {
            kind,
            time,
            time_type: time_type.clone(),
            window_time: window_time.clone(),
            updating,
            settings: settings.clone(),
        };
        Ok(self.stage("WindowTableFunction", rel, stream, updating, make))
    }

    fn rank_spec_of(&self, rel: &Rel, order: Vec<crate::row::SortOrder>, updating: bool) -> RankSpec {
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

    fn rank_spec(&self, rel: &Rel, updating: bool) -> RankSpec {
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
    fn over(&mut self, rel: &Rel, input: &Rel, groups: &[OverGroup]) -> SqlResult<Stream> {
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

/// Which of a table's stored columns, by their number among them, have to be read.
fn stored_columns(computed: &[Option<crate::expr::Typed>], needed: &[bool]) -> Vec<usize> {
    let mut wanted = std::collections::BTreeSet::new();
    let mut stored = 0;
    for (column, needed) in computed.iter().zip(needed) {
        match column {
            None => {
                if *needed {
                    wanted.insert(stored);
                }
                stored += 1;
            }
            // Computed columns speak of stored ones by their number.
            Some(expr) if *needed => wanted.extend(expr.columns()),
            Some(_) => {}
        }
    }
    wanted.into_iter().collect()
}

/// Whether the windows of `rel` are on the session's clock.
fn has_local_windows(rel: &Rel) -> bool {
    match &*rel.op {
        Op::Window { input, time, .. } => {
            matches!(input.columns[*time].data_type.kind, crate::types::TypeKind::TimestampLtz(_))
        }
        _ => rel.inputs().into_iter().any(has_local_windows),
    }
}

/// Whether the windows below are of processing time.
pub(super) fn is_processing_time(rel: &Rel) -> bool {
    match &*rel.op {
        Op::Window { input, time, .. } => input.columns[*time].time == Some(TimeAttribute::Proctime),
        _ => rel.inputs().into_iter().any(is_processing_time),
    }
}

//! Each operation of a plan becomes an operator, and each input an edge.

use super::uid::{Uids, describe, fingerprint, is_deterministic};
use super::values::ValuesSource;
use crate::catalog::TableDef;
use crate::connector::{self, TableSink};
use crate::expr::{FilteredProgram, Program, Typed};
use crate::operators::exchange::by_columns;
use crate::operators::limit::LimitOperator;
use crate::operators::normalize::ChangelogNormalize;
use crate::operators::rank::{StreamRank, WindowRank};
use crate::operators::scan::{ScanOperator, ScanSpec};
use crate::operators::session::{SessionRows, SessionSpec, Sessions};
use crate::operators::set::SetOperator;
use crate::operators::sink::{CollectOperator, Collected, TableSinkOperator};
use crate::operators::sort::SortOperator;
use crate::operators::stages::{
    CalcStage, ExpandStage, FilterStage, KindStage, NotNullStage, PassStage, ProjectStage, UnnestStage,
};
use crate::operators::window::WindowStage;
use crate::operators::{KeyedShuffle, Settings};
use crate::parser::span::{SqlError, SqlResult};
use crate::plan::{Op, Rel, TimeAttribute, WindowKind, changelog_mode, upsert_keys};
use crate::types::SqlType;
use eddyline_core::batch::decode_rows;
use eddyline_runtime::graph::{JobBuilder, NodeHandle, NodeSpec, Partitioning};
use eddyline_runtime::partition::{self, PartitionerFactory};
use std::collections::HashMap;
use std::fmt::Write;
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
    /// The operators that are there by what they compute of what: equal ones are one.
    made: HashMap<String, Stream>,
    /// The columns that are read of each table, by all that is added.
    read: HashMap<String, Vec<bool>>,
}

#[derive(Debug)]
pub(super) enum Route {
    Forward,
    Global,
    Keyed(Vec<usize>),
}

impl Translator {
    pub(crate) fn new(name: &str, max_parallelism: u32, settings: Settings) -> Self {
        let builder = JobBuilder::new(name, max_parallelism);
        Translator {
            builder,
            settings,
            uids: Uids::default(),
            all_bounded: true,
            sessions: false,
            made: HashMap::new(),
            read: HashMap::new(),
        }
    }

    /// Says that `rel` will be added: so a table that several relations read is read once, for all of them.
    pub(crate) fn announce(&mut self, rel: &Rel) {
        if let Op::Scan { needed, .. } = &*rel.op {
            let read = self.read.entry(scanned(rel)).or_insert_with(|| vec![false; needed.len()]);
            read.iter_mut().zip(needed).for_each(|(read, needed)| *read |= needed);
        }
        rel.inputs().into_iter().for_each(|input| self.announce(input));
    }

    /// Adds `rel` and its way to `target`.
    pub(crate) fn add(&mut self, rel: &Rel, target: Target) -> SqlResult<()> {
        self.sessions |= rel.has_sessions();
        self.announce(rel);
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
                    stream = self.stage_of("NotNullEnforcer", &table.path.join("."), stream, updating, make);
                }
                let uid = self.uids.next("sink", &table.path.join("."), &[&stream.uid]);
                let name = format!("Sink: {}", table.name());
                let node = self
                    .builder
                    .add_sink(NodeSpec::named(name), move || TableSinkOperator::new(sink.clone(), updating));
                self.builder.set_uid(node, uid);
                let route = self.sink_route(rel, &table, &stream);
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

    /// How rows come to the sink: changes of rows with one key must not overtake one another, so those that may come from
    /// several instances meet again.
    fn sink_route(&self, rel: &Rel, table: &TableDef, stream: &Stream) -> Route {
        let persisted: Vec<&str> = table
            .columns
            .iter()
            .filter(|column| column.is_persisted())
            .map(|column| column.name.as_str())
            .collect();
        let place = |name: &String| persisted.iter().position(|known| known == name);
        let key: Vec<usize> = table.primary_key.iter().filter_map(place).collect();
        match self.settings.keyed_shuffle {
            KeyedShuffle::Force if !key.is_empty() => Route::Keyed(key),
            KeyedShuffle::None => Route::Forward,
            _ if !stream.updating || stream.single => Route::Forward,
            _ if key.is_empty() => Route::Global,
            _ => {
                let within = |upsert: &Vec<usize>| upsert.iter().all(|column| key.contains(column));
                if upsert_keys(rel).iter().any(within) { Route::Forward } else { Route::Keyed(key) }
            }
        }
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
        let key = format!("{name}|{}|{}|{updating}", fingerprint(rel), input.uid);
        if let Some(made) = self.made.get(&key) {
            return made.clone();
        }
        let stream = self.stage_of(name, &describe(rel), input, updating, make);
        self.remember(rel, key, &stream);
        stream
    }

    /// A stage that computes what `described` says.
    pub(super) fn stage_of<S: eddyline_runtime::Stage + 'static>(
        &mut self,
        name: &str,
        described: &str,
        input: Stream,
        updating: bool,
        make: impl Fn() -> S + Send + Sync + 'static,
    ) -> Stream {
        let node = self.builder.add_stage(NodeSpec::named(name), make);
        let uid = self.uids.next(name, described, &[&input.uid]);
        self.builder.set_uid(node, uid.clone());
        self.connect(&input, node, 0, Route::Forward);
        Stream { node, uid, updating, single: input.single }
    }

    fn remember(&mut self, rel: &Rel, key: String, stream: &Stream) {
        if is_deterministic(rel) {
            self.made.insert(key, stream.clone());
        }
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
        let mut key = format!("{name}|{}|{updating}", fingerprint(rel));
        for (stream, route) in &inputs {
            let _ = write!(key, "|{} {route:?}", stream.uid);
        }
        for input in rel.inputs() {
            let _ = write!(key, "|{:?}", input.hinted_ttl_ms());
        }
        if let Some(made) = self.made.get(&key) {
            return made.clone();
        }
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
        let stream = Stream { node, uid, updating, single };
        self.remember(rel, key, &stream);
        stream
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

    /// How long state of the rows of `rel` lives, milliseconds; 0 is for ever.
    pub(super) fn ttl_ms_of(&self, rel: &Rel) -> i64 {
        rel.hinted_ttl_ms().unwrap_or(self.settings.ttl_ms)
    }

    pub(super) fn updating(&self, rel: &Rel) -> bool {
        changelog_mode(rel, self.settings.batch, &connector::is_changelog).is_updating()
    }

    pub(super) fn stream(&mut self, rel: &Rel) -> SqlResult<Stream> {
        let settings = self.settings.clone();
        match &*rel.op {
            Op::Scan { table, computed, watermark, needed } => {
                let key = scanned(rel);
                if let Some(made) = self.made.get(&key) {
                    return Ok(made.clone());
                }
                let needed = self.read.get(&key).unwrap_or(needed).clone();
                let whole = connector::source_of(table)?;
                let stored = stored_columns(computed, &needed);
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
                    needed,
                    stored,
                    watermark: watermark.clone(),
                    touching: self.sessions,
                    settings,
                };
                let normalizes = self.settings.normalizes && spec.updating;
                let keys: Vec<usize> =
                    table.primary_key.iter().filter_map(|name| table.column(name)).collect();
                let mut stream = self.source(rel, spec);
                if normalizes && !keys.is_empty() {
                    let (route, types, settings) =
                        (Self::keyed(keys.clone()), rel.types(), self.settings.clone());
                    let make = move || ChangelogNormalize::new(keys.clone(), &types, settings.clone());
                    let node = NodeSpec::named("ChangelogNormalize");
                    stream = self.operator(node, rel, vec![(stream, route)], true, make);
                }
                self.remember(rel, key, &stream);
                Ok(stream)
            }
            Op::Values { rows } => {
                let types = rel.types();
                let source = Arc::new(ValuesSource { rows: rows.clone(), types });
                let computed: Vec<_> = rel.columns.iter().map(|_| None).collect();
                let spec = ScanSpec {
                    name: "values".into(),
                    source,
                    needed: vec![true; computed.len()],
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
                if let Op::Filter { input: below, predicate } = &*input.op {
                    return self.calc(rel, below, predicate, exprs);
                }
                let stream = self.stream(input)?;
                let updating = stream.updating;
                let exprs = Program::new(exprs.clone(), input.columns.len());
                let make =
                    move || ProjectStage { exprs: exprs.clone(), updating, settings: settings.clone() };
                Ok(self.stage("Calc", rel, stream, updating, make))
            }
            Op::Filter { input, predicate } => {
                let stream = self.stream(input)?;
                let updating = stream.updating;
                let predicate = Program::new(vec![predicate.clone()], input.columns.len());
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

    /// A projection of the rows of `input` for which a condition holds.
    fn calc(&mut self, rel: &Rel, input: &Rel, predicate: &Typed, exprs: &[Typed]) -> SqlResult<Stream> {
        let stream = self.stream(input)?;
        let (updating, settings) = (stream.updating, self.settings.clone());
        let program = FilteredProgram::new(predicate.clone(), exprs.to_vec(), input.columns.len());
        let make = move || CalcStage { program: program.clone(), updating, settings: settings.clone() };
        let described = format!("{predicate:?};{}", fingerprint(rel));
        let key = format!("calc|{described}|{}|{updating}", stream.uid);
        if let Some(made) = self.made.get(&key) {
            return Ok(made.clone());
        }
        let stream = self.stage_of("Calc", &described, stream, updating, make);
        if predicate.is_deterministic() {
            self.remember(rel, key, &stream);
        }
        Ok(stream)
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
            let window_time = output[output.len() - 1].clone();
            let spec = SessionSpec {
                gap,
                time,
                time_type: input.columns[time].data_type.clone(),
                partition: partition.to_vec(),
                output,
                updating,
                processing_time: input.columns[time].time == Some(TimeAttribute::Proctime),
                settings: settings.clone(),
            };
            let route = Self::keyed(partition.to_vec());
            let make = move || {
                let rows = SessionRows { window_time: window_time.clone(), settings: settings.clone() };
                Sessions::new(spec.clone(), rows)
            };
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
        // Slices of the windows are not the windows.
        let is_whole = matches!(&*rel.op, Op::Window { kind: of_rel, .. } if *of_rel == kind);
        let name = if is_whole { "WindowTableFunction" } else { "WindowSlices" };
        Ok(self.stage(name, rel, stream, updating, make))
    }
}

/// What a scan reads, but for which columns.
fn scanned(rel: &Rel) -> String {
    let Op::Scan { table, computed, watermark, .. } = &*rel.op else { return String::new() };
    format!("scan|{:?}|{:?}|{}|{computed:?}|{watermark:?}", table.path, table.options, table.definition)
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

//! Queries and inserts: planned, run as a job, shown.

use super::live::JobProgress;
use super::result::ScriptOutput;
use super::{Session, on_large_stack};
use crate::bind::{Binder, cast_to, store_as};
use crate::catalog::{Object, TableDef};
use crate::connector::{self, SinkMode};
use crate::expr::Typed;
use crate::job::{Target, Translator};
use crate::operators::sink::Collected;
use crate::parser::ast::{Expr, Insert, Query, Statement};
use crate::parser::span::{SqlError, SqlResult};
use crate::plan::{Rel, changelog_mode, explain, explain_sink, growing_state, optimize};
use crate::row::Value;
use eddyline_core::{Clock, Error, ErrorKind, Result, SystemClock};
use eddyline_runtime::BatchMode;
use eddyline_runtime::attempt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// How often rows of a running query are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How often the figures of a running job are asked for.
const STATUS_EVERY: Duration = Duration::from_millis(100);

/// How a job has ended, if not by a failure.
pub(super) struct Ran {
    pub(super) progress: JobProgress,
    pub(super) cancelled: bool,
}

impl Session {
    /// The optimised plan of a query.
    fn plan(&self, query: &Query) -> SqlResult<Rel> {
        on_large_stack(|| {
            let binder = Binder::new(&self.catalogs, self.context()?, self.options.batch);
            let rel = binder.bind(query)?;
            for note in binder.notes.borrow().iter() {
                tracing::warn!("{note}");
            }
            Ok(optimize(rel))
        })
    }

    pub(super) fn query(&self, query: &Query, script: &str, output: &mut ScriptOutput<'_>) -> Result<()> {
        let rel = self.plan(query).map_err(|error| error.into_error(script))?;
        self.warn(&rel).map_err(|error| error.into_error(script))?;
        let names = unique_names(&rel);
        let collected = Arc::new(Collected::default());
        let name = self.options.job_name().unwrap_or("query").to_owned();
        let settings = self.settings().map_err(|error| error.into_error(script))?;
        let mut translator = Translator::new(&name, self.options.engine.max_parallelism, settings);
        translator
            .add(&rel, Target::Collect(collected.clone()))
            .map_err(|error| error.or_at(query.span).into_error(script))?;
        let mut rows = output.rows(names, rel.types());
        if output.watcher.is_some() {
            let zone = self.options.zone().map_err(|error| error.into_error(script))?;
            rows.watched(self.options.rows_max(), zone, translator.all_bounded, self.options.batch);
        }
        let ran = self.run_job(translator, false, &mut |progress| {
            for (batch, kinds) in collected.take() {
                output.take(&mut rows, &batch, &kinds)?;
            }
            output.look(progress, Some(&mut rows))
        })?;
        output.ended(&ran, Some(&rows))?;
        output.finish(&rows)
    }

    /// What the user should know of the plan of a job that runs as long as its tables give rows.
    fn warnings(&self, rel: &Rel) -> SqlResult<Vec<String>> {
        if self.options.batch {
            return Ok(Vec::new());
        }
        let is_bounded =
            |table: &TableDef| connector::source_of(table).is_ok_and(|source| source.is_bounded());
        Ok(growing_state(rel, self.options.state_ttl_ms()?, &is_bounded))
    }

    /// Tells what the user should know of a plan.
    fn warn(&self, rel: &Rel) -> SqlResult<()> {
        self.warnings(rel)?.iter().for_each(|warning| tracing::warn!("{warning}"));
        Ok(())
    }

    /// Runs a job to its end; `look` is called from time to time and at the end, and may cancel it.
    fn run_job(
        &self,
        translator: Translator,
        prints: bool,
        look: &mut dyn FnMut(&JobProgress) -> Result<ControlFlow<()>>,
    ) -> Result<Ran> {
        let mut engine = self.options.engine.clone();
        let batch = self.options.batch;
        if !batch {
            // Scans cut their batches where a watermark between two rows makes a difference.
            engine.runtime.tick_per_batch = true;
        }
        let mut runtime = engine.job_options()?;
        if batch {
            runtime.services.insert(Arc::new(BatchMode));
            runtime.checkpoints.interval_ms = None;
        }
        let job = translator.builder.build()?;
        let clock = SystemClock::new();
        let started = clock.monotonic_micros();
        let handle = attempt::start(job, runtime)?;
        let mut ran = Ran { progress: JobProgress { prints, ..JobProgress::default() }, cancelled: false };
        let mut status_at = Duration::ZERO;
        while !handle.is_finished() {
            ran.progress.elapsed = Duration::from_micros(clock.monotonic_micros() - started);
            if ran.progress.elapsed >= status_at {
                ran.progress.records_in = handle.status().records_in;
                status_at = ran.progress.elapsed + STATUS_EVERY;
            }
            match look(&ran.progress) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) if ran.cancelled => {}
                Ok(ControlFlow::Break(())) => {
                    ran.cancelled = true;
                    handle.cancel();
                }
                Err(error) => {
                    handle.cancel();
                    let _ = handle.wait();
                    return Err(error);
                }
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
        ran.progress.elapsed = Duration::from_micros(clock.monotonic_micros() - started);
        ran.progress.records_in = ran.progress.records_in.max(handle.status().records_in);
        match handle.wait() {
            Ok(_) => ran.cancelled = false,
            Err(error) if ran.cancelled && error.kind() == ErrorKind::Cancelled => {}
            Err(error) => return Err(error),
        }
        let _ = look(&ran.progress)?;
        Ok(ran)
    }

    pub(super) fn insert(
        &self,
        inserts: &[Insert],
        script: &str,
        output: &mut ScriptOutput<'_>,
    ) -> Result<()> {
        let describe = |error: SqlError| error.into_error(script);
        let name = match (self.options.job_name(), inserts) {
            (Some(name), _) => name.to_owned(),
            (None, [insert]) => format!(
                "insert-into_{}",
                insert.table.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join(".")
            ),
            (None, _) => "statement-set".to_owned(),
        };
        let settings = self.settings().map_err(describe)?;
        let mut translator = Translator::new(&name, self.options.engine.max_parallelism, settings);
        let planned = inserts.iter().map(|insert| self.plan_insert(insert));
        let planned = planned.collect::<SqlResult<Vec<_>>>().map_err(describe)?;
        planned.iter().for_each(|(rel, _)| translator.announce(rel));
        let prints = planned.iter().any(|(_, table)| table.connector() == "print");
        for (insert, (rel, table)) in inserts.iter().zip(planned) {
            let sink =
                connector::sink_of(&table).map_err(|error| describe(error.or_at(insert.table[0].span)))?;
            self.check_changes(&rel, &table, sink.mode(), insert).map_err(describe)?;
            self.warn(&rel).map_err(describe)?;
            if insert.overwrite {
                sink.overwrite()?;
            }
            translator
                .add(&rel, Target::Table(table, sink))
                .map_err(|error| describe(error.or_at(insert.query.span)))?;
        }
        let ran = self.run_job(translator, prints, &mut |progress| output.look(progress, None))?;
        output.ended(&ran, None)
    }

    /// Refuses a query that changes its rows for a table that only takes new ones.
    fn check_changes(&self, rel: &Rel, table: &TableDef, mode: SinkMode, insert: &Insert) -> SqlResult<()> {
        if mode != SinkMode::Append
            || !changelog_mode(rel, self.options.batch, &connector::is_changelog).is_updating()
        {
            return Ok(());
        }
        let cause = cause_of_updates(rel, self.options.batch, &connector::is_changelog);
        Err(SqlError::at(
            insert.query.span,
            format!(
                "the table `{}` accepts only inserts, but the query updates rows that it gave ({cause})",
                table.name()
            ),
        )
        .hint("write to a table whose format holds changes (debezium-json), or run it in batch mode"))
    }

    /// The rows of an INSERT with the persisted columns of its table, in order.
    fn plan_insert(&self, insert: &Insert) -> SqlResult<(Rel, Arc<TableDef>)> {
        let span = insert.table[0].span;
        let Object::Table(table) = self.catalogs.resolve(&insert.table)? else {
            return Err(SqlError::at(span, "a view cannot be written to"));
        };
        let mut table = table.clone();
        let options = insert.hints.iter().flat_map(|hint| hint.options.clone());
        let options: Vec<(String, String)> = options.collect();
        if !options.is_empty() {
            Arc::make_mut(&mut table).options.extend(options);
        }
        let rel = self.plan(&insert.query)?;
        let context = self.context()?;
        let persisted: Vec<_> = table.columns.iter().filter(|column| column.is_persisted()).collect();
        let is_static = |name: &str| insert.partition.iter().any(|(column, _)| column.name == name);
        let wanted: Vec<String> = if insert.columns.is_empty() {
            persisted.iter().map(|column| column.name.clone()).filter(|name| !is_static(name)).collect()
        } else {
            insert.columns.iter().map(|column| column.name.clone()).collect()
        };
        if wanted.len() != rel.columns.len() {
            return Err(SqlError::at(
                insert.query.span,
                format!(
                    "`{}` takes {} columns, but the query has {}",
                    table.name(),
                    wanted.len(),
                    rel.columns.len()
                ),
            )
            .hint(format!("the columns are {}", wanted.join(", "))));
        }
        for (name, place) in wanted.iter().zip(insert.columns.iter().map(Some).chain(std::iter::repeat(None)))
        {
            if !persisted.iter().any(|column| column.name == *name) {
                let span = place.map_or(span, |column| column.span);
                return Err(SqlError::at(
                    span,
                    format!("`{}` has no column `{name}` that can be written", table.name()),
                ));
            }
        }
        let mut exprs = Vec::new();
        let mut names = Vec::new();
        for column in &persisted {
            let value = if let Some((_, value)) =
                insert.partition.iter().find(|(name, _)| name.name == column.name)
            {
                self.constant(value)?
            } else if let Some(place) = wanted.iter().position(|name| *name == column.name) {
                rel.typed(place)
            } else {
                Typed::literal(Value::Null, crate::types::TypeKind::Null.nullable())
            };
            if !column.data_type.nullable && value.as_literal() == Some(&Value::Null) {
                return Err(SqlError::at(
                    insert.query.span,
                    format!("column `{}` is NOT NULL and gets no value", column.name),
                ));
            }
            exprs.push(if value.data_type.kind == crate::types::TypeKind::Null {
                cast_to(value, &column.data_type.kind, &context)
            } else {
                store_as(value, &column.data_type, &context, &column.name, insert.query.span)?
            });
            names.push(column.name.clone());
        }
        Ok((optimize(rel.project(exprs, names)), table))
    }

    /// A constant expression.
    fn constant(&self, expr: &Expr) -> SqlResult<Typed> {
        let query = crate::parser::ast::Query {
            with: Vec::new(),
            body: crate::parser::ast::SetExpr::Values(vec![expr.clone()], expr.span),
            order_by: Vec::new(),
            limit: None,
            offset: None,
            span: expr.span,
        };
        let rel = self.plan(&query)?;
        match &*rel.op {
            crate::plan::Op::Values { rows } if rows.len() == 1 && rows[0].len() == 1 => {
                Ok(Typed::literal(rows[0][0].clone(), rel.columns[0].data_type.clone()))
            }
            _ => Err(SqlError::at(expr.span, "a constant is expected here")),
        }
    }

    /// EXPLAIN: the plan as bound, and as it is run.
    pub(super) fn explain(
        &self,
        details: &[String],
        statement: &Statement,
        script: &str,
        output: &mut ScriptOutput<'_>,
    ) -> Result<()> {
        let describe = |error: SqlError| error.into_error(script);
        let settings = self.settings().map_err(describe)?;
        let mut translator = Translator::new("explain", self.options.engine.max_parallelism, settings);
        let mut rels: Vec<(Rel, Option<Arc<TableDef>>)> = Vec::new();
        match statement {
            Statement::Query(query) => {
                let rel = self.plan(query).map_err(describe)?;
                translator.add(&rel, Target::Collect(Arc::default())).map_err(describe)?;
                rels.push((rel, None));
            }
            Statement::Insert(insert) => {
                self.explain_insert(insert, &mut translator, &mut rels).map_err(describe)?
            }
            Statement::InsertSet(inserts) => {
                for insert in inserts {
                    self.explain_insert(insert, &mut translator, &mut rels).map_err(describe)?;
                }
            }
            _ => return Err(Error::config("only queries and INSERT can be explained")),
        }
        let is_changelog =
            |table: &TableDef| connector::source_of(table).is_ok_and(|source| source.is_changelog());
        let modes = details.iter().any(|detail| detail == "CHANGELOG_MODE");
        let modes: Option<&dyn Fn(&TableDef) -> bool> = if modes { Some(&is_changelog) } else { None };
        let batch = self.options.batch;
        output.text("== Optimized Logical Plan ==")?;
        for (rel, table) in &rels {
            output.text(&match table {
                Some(table) => explain_sink(rel, table, batch, modes),
                None => explain(rel, batch, modes),
            })?;
        }
        let warnings = rels.iter().map(|(rel, _)| self.warnings(rel)).collect::<SqlResult<Vec<_>>>();
        let warnings: Vec<String> = warnings.map_err(describe)?.into_iter().flatten().collect();
        if !warnings.is_empty() {
            output.text(&format!("\n== Warnings ==\n{}", warnings.join("\n")))?;
        }
        let job = translator.builder.build()?;
        output.text("\n== Physical Execution Plan ==")?;
        if details.iter().any(|detail| detail == "JSON_EXECUTION_PLAN") {
            let json = serde_json::to_string_pretty(&job.graph)
                .map_err(|error| Error::internal(error.to_string()))?;
            return output.text(&json);
        }
        output.text(&job.graph.to_text())
    }

    fn explain_insert(
        &self,
        insert: &Insert,
        translator: &mut Translator,
        rels: &mut Vec<(Rel, Option<Arc<TableDef>>)>,
    ) -> SqlResult<()> {
        let (rel, table) = self.plan_insert(insert)?;
        let sink = connector::sink_of(&table)?;
        self.check_changes(&rel, &table, sink.mode(), insert)?;
        translator.add(&rel, Target::Table(table.clone(), sink))?;
        rels.push((rel, Some(table)));
        Ok(())
    }
}

/// The names of the columns; a name that stands twice gets a number, as in Flink.
fn unique_names(rel: &Rel) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for column in &rel.columns {
        let mut name = column.name.clone();
        let mut number = 0;
        while names.contains(&name) {
            name = format!("{}{number}", column.name);
            number += 1;
        }
        names.push(name);
    }
    names
}

/// The operation that makes a plan update rows.
fn cause_of_updates(rel: &Rel, batch: bool, is_changelog: &dyn Fn(&TableDef) -> bool) -> String {
    for input in rel.inputs() {
        if changelog_mode(input, batch, is_changelog).is_updating() {
            return cause_of_updates(input, batch, is_changelog);
        }
    }
    let text = explain(rel, batch, None);
    text.lines().next().unwrap_or_default().to_owned()
}

//! Aggregations in the graph: without windows, by window, and by slices of windows that overlap.

use super::translate::{Stream, Translator, is_processing_time};
use crate::expr::{Program, Typed};
use crate::operators::Settings;
use crate::operators::aggregate::{AggregateSpec, GroupAggregate, WindowAggregate};
use crate::operators::session::{SessionGroups, SessionSpec, Sessions};
use crate::operators::sliced::{SlicedAggregate, SlicedSpec, WindowColumn};
use crate::operators::stages::ProjectStage;
use crate::parser::span::SqlResult;
use crate::plan::{AggregateCall, Op, Rel, WindowKind};
use crate::row::Value;
use eddyline::NodeSpec;
use std::collections::BTreeSet;

/// Windows of which groups are kept without their rows being told apart by window, and the columns of each result.
struct Windows<'r> {
    windows: &'r Rel,
    /// What is computed of rows and windows before they are grouped.
    exprs: Option<&'r [Typed]>,
    input: &'r Rel,
    time: usize,
    kind: WindowKind,
    partition: &'r [usize],
    /// Keys that are no columns of the window.
    keys: Vec<usize>,
    before: Vec<WindowColumn>,
    behind: Vec<WindowColumn>,
}

/// What `input` says of the windows, if the keys that are no columns of theirs stand together, and nothing else depends on
/// which of its windows a row is in.
fn windows_of<'r>(input: &'r Rel, keys: &[usize], calls: &[AggregateCall]) -> Option<Windows<'r>> {
    let (windows, exprs) = match &*input.op {
        Op::Project { input: below, exprs } => (below, Some(exprs.as_slice())),
        _ => (input, None),
    };
    let Op::Window { input: rows, kind, time, partition } = &*windows.op else { return None };
    let width = rows.columns.len();
    let column = |column: &usize| {
        let source = exprs.map_or(Some(*column), |exprs| exprs[*column].as_column())?;
        match source.checked_sub(width)? {
            0 => Some(WindowColumn::Start),
            1 => Some(WindowColumn::End),
            _ => Some(WindowColumn::Time),
        }
    };
    let computes_with_window = exprs
        .into_iter()
        .flatten()
        .any(|expr| expr.as_column().is_none() && expr.columns().iter().any(|column| *column >= width));
    let aggregates_window = calls.iter().any(|call| {
        let order = call.order.iter().map(|order| &order.column);
        call.args.iter().chain(&call.filter).chain(order).any(|used| column(used).is_some())
    });
    if computes_with_window || aggregates_window {
        return None;
    }
    let before: Vec<WindowColumn> = keys.iter().map_while(column).collect();
    let own: Vec<usize> =
        keys[before.len()..].iter().copied().take_while(|key| column(key).is_none()).collect();
    let rest = &keys[before.len() + own.len()..];
    let behind: Vec<WindowColumn> = rest.iter().map_while(column).collect();
    (behind.len() == rest.len()).then_some(Windows {
        windows,
        exprs,
        input: rows,
        time: *time,
        kind: *kind,
        partition,
        keys: own,
        before,
        behind,
    })
}

impl Translator {
    pub(super) fn aggregate(&mut self, rel: &Rel) -> SqlResult<Stream> {
        let Op::Aggregate { input, keys, calls, window } = &*rel.op else {
            unreachable!("invariant: called for aggregations alone");
        };
        let name = if window.is_some() { "WindowAggregate" } else { "GroupAggregate" };
        let settings = match window {
            Some(_) => self.window_settings(rel),
            None => Settings { ttl_ms: self.ttl_ms_of(input), ..self.settings.clone() },
        };
        let spec_of = |keys: &[usize], updating: bool| {
            AggregateSpec::new(name.into(), keys, calls, &input.types(), updating, settings.clone())
        };
        if let Some((_, end)) = window
            && !settings.batch
            && spec_of(keys, self.updating(input)).merges()
            && let Some(found) = windows_of(input, keys, calls)
        {
            let by_clock = is_processing_time(found.windows);
            match found.kind {
                WindowKind::Hop { slide, size, .. } if size % slide == 0 && size != slide && !by_clock => {
                    let aggregate = spec_of(&found.keys, false);
                    return self.sliced(rel, &found, aggregate, keys[*end]);
                }
                WindowKind::Session { gap } => {
                    if let Some(stream) = self.by_session(rel, &found, gap, &|keys| spec_of(keys, false))? {
                        return Ok(stream);
                    }
                }
                _ => {}
            }
        }
        let stream = self.stream(input)?;
        let spec = spec_of(keys, stream.updating);
        let route = Self::keyed(keys.clone());
        match window {
            Some((_, end)) => {
                let (end, by_clock) = (keys[*end], is_processing_time(input));
                let make = move || WindowAggregate::new(spec.clone(), end, by_clock);
                Ok(self.operator(NodeSpec::named(name), rel, vec![(stream, route)], false, make))
            }
            None => {
                let gives = !settings.batch;
                let make = move || GroupAggregate::new(spec.clone());
                Ok(self.operator(NodeSpec::named(name), rel, vec![(stream, route)], gives, make))
            }
        }
    }

    /// Counts each row once, in the slice between the starts of two windows.
    fn sliced(
        &mut self,
        rel: &Rel,
        found: &Windows<'_>,
        aggregate: AggregateSpec,
        end: usize,
    ) -> SqlResult<Stream> {
        let WindowKind::Hop { slide, size, offset } = found.kind else {
            unreachable!("invariant: windows that overlap");
        };
        let slice = WindowKind::Tumble { size: slide, offset };
        let mut stream = self.window(found.windows, found.input, slice, found.time, &[])?;
        let Op::Aggregate { input, .. } = &*rel.op else {
            unreachable!("invariant: called for aggregations alone");
        };
        if let Some(exprs) = found.exprs {
            let plain = self.settings.clone();
            let exprs = Program::new(exprs.to_vec(), found.windows.columns.len());
            let make =
                move || ProjectStage { exprs: exprs.clone(), updating: false, settings: plain.clone() };
            stream = self.stage("Calc", input, stream, false, make);
        }
        let types = found.windows.types();
        let sliced = SlicedSpec {
            aggregate,
            size,
            slide,
            end,
            before: found.before.clone(),
            behind: found.behind.clone(),
            output: rel.types(),
            window_time: types[types.len() - 1].clone(),
        };
        let route = Self::keyed(found.keys.clone());
        let make = move || SlicedAggregate::new(sliced.clone());
        Ok(self.operator(NodeSpec::named("WindowAggregate"), rel, vec![(stream, route)], false, make))
    }

    /// Keeps a group per session, if the keys are what sessions are partitioned by, and columns of the input as they are.
    fn by_session(
        &mut self,
        rel: &Rel,
        found: &Windows<'_>,
        gap: i64,
        spec_of: &dyn Fn(&[usize]) -> AggregateSpec,
    ) -> SqlResult<Option<Stream>> {
        let width = found.input.columns.len();
        let exprs = found.exprs.map_or_else(|| found.windows.all_typed(), <[Typed]>::to_vec);
        // What is computed of rows alone is computed before they come into sessions.
        let mut computed: Vec<Typed> = Vec::with_capacity(exprs.len() + 1 + found.partition.len());
        for expr in &exprs {
            let of_window = expr.as_column().is_some_and(|column| column >= width);
            computed.push(if of_window {
                Typed::literal(Value::Null, expr.data_type.as_nullable())
            } else {
                expr.clone()
            });
        }
        let by_key: BTreeSet<Option<usize>> = found.keys.iter().map(|key| exprs[*key].as_column()).collect();
        let partition: BTreeSet<Option<usize>> = found.partition.iter().map(|column| Some(*column)).collect();
        if by_key != partition || by_key.len() != found.keys.len() {
            return Ok(None);
        }
        let time = computed.len();
        computed.push(found.input.typed(found.time));
        let stream = self.stream(found.input)?;
        let plain = self.settings.clone();
        let described = format!("{computed:?}");
        let program = Program::new(computed, width);
        let make = move || ProjectStage { exprs: program.clone(), updating: false, settings: plain.clone() };
        let stream = self.stage_of("Calc", &described, stream, false, make);
        let types = found.windows.types();
        let spec = SessionSpec {
            gap,
            time,
            time_type: found.input.columns[found.time].data_type.clone(),
            partition: found.keys.clone(),
            output: rel.types(),
            updating: false,
            processing_time: is_processing_time(found.windows),
            settings: self.window_settings(rel),
        };
        let (aggregate, before, behind) = (spec_of(&found.keys), found.before.clone(), found.behind.clone());
        let window_time = types[types.len() - 1].clone();
        let make = move || {
            let groups =
                SessionGroups::new(aggregate.clone(), before.clone(), behind.clone(), window_time.clone());
            Sessions::new(spec.clone(), groups)
        };
        let route = Self::keyed(found.keys.clone());
        let node = NodeSpec::named("SessionAggregate");
        Ok(Some(self.operator(node, rel, vec![(stream, route)], false, make)))
    }
}

//! Aggregations in the graph: without windows, by window, and by slices of windows that overlap.

use super::translate::{Stream, Translator, is_processing_time};
use crate::expr::Typed;
use crate::operators::Settings;
use crate::operators::aggregate::{AggregateSpec, GroupAggregate, WindowAggregate};
use crate::operators::sliced::{SlicedAggregate, SlicedSpec, WindowColumn};
use crate::operators::stages::ProjectStage;
use crate::parser::span::SqlResult;
use crate::plan::{AggregateCall, Op, Rel, WindowKind};
use eddyline::NodeSpec;

/// Overlapping windows, and the columns of each result.
struct Overlapping<'r> {
    windows: &'r Rel,
    /// What is computed of rows and windows before they are grouped.
    exprs: Option<&'r [Typed]>,
    input: &'r Rel,
    time: usize,
    slide: i64,
    size: i64,
    offset: i64,
    /// Keys that are no columns of the window.
    keys: Vec<usize>,
    before: Vec<WindowColumn>,
    behind: Vec<WindowColumn>,
}

/// What `input` says of the windows, if they overlap, the keys that are no columns of theirs stand together, and nothing else
/// depends on which of its windows a row is in.
fn overlapping<'r>(input: &'r Rel, keys: &[usize], calls: &[AggregateCall]) -> Option<Overlapping<'r>> {
    let (windows, exprs) = match &*input.op {
        Op::Project { input: below, exprs } => (below, Some(exprs.as_slice())),
        _ => (input, None),
    };
    let Op::Window { input: rows, kind: WindowKind::Hop { slide, size, offset }, time, .. } = &*windows.op
    else {
        return None;
    };
    if size % slide != 0 || size == slide || is_processing_time(windows) {
        return None;
    }
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
    (behind.len() == rest.len()).then_some(Overlapping {
        windows,
        exprs,
        input: rows,
        time: *time,
        slide: *slide,
        size: *size,
        offset: *offset,
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
            && let Some(found) = overlapping(input, keys, calls)
        {
            let slice = WindowKind::Tumble { size: found.slide, offset: found.offset };
            let mut stream = self.window(found.windows, found.input, slice, found.time, &[])?;
            if let Some(exprs) = found.exprs {
                let (exprs, plain) = (exprs.to_vec(), self.settings.clone());
                let make =
                    move || ProjectStage { exprs: exprs.clone(), updating: false, settings: plain.clone() };
                stream = self.stage("Calc", input, stream, false, make);
            }
            let types = found.windows.types();
            let sliced = SlicedSpec {
                aggregate: spec_of(&found.keys, false),
                size: found.size,
                slide: found.slide,
                end: keys[*end],
                before: found.before,
                behind: found.behind,
                output: rel.types(),
                window_time: types[types.len() - 1].clone(),
            };
            let route = Self::keyed(found.keys);
            let make = move || SlicedAggregate::new(sliced.clone());
            return Ok(self.operator(NodeSpec::named(name), rel, vec![(stream, route)], false, make));
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
}

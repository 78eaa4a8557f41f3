//! Aggregations in the graph: without windows, by window, and by slices of windows that overlap.

use super::translate::{Stream, Translator, is_processing_time};
use crate::operators::aggregate::{AggregateSpec, GroupAggregate, WindowAggregate};
use crate::operators::sliced::{SlicedAggregate, SlicedSpec, WindowColumn};
use crate::parser::span::SqlResult;
use crate::plan::{Op, Rel, WindowKind};
use eddyline::NodeSpec;

/// Overlapping windows over `input`, and the columns of each result.
struct Overlapping<'r> {
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

/// What `input` says of the windows, if they overlap and the keys that are no columns of theirs stand together.
fn overlapping<'r>(input: &'r Rel, keys: &[usize]) -> Option<Overlapping<'r>> {
    let Op::Window { input: rows, kind: WindowKind::Hop { slide, size, offset }, time, .. } = &*input.op
    else {
        return None;
    };
    if size % slide != 0 || size == slide || is_processing_time(input) {
        return None;
    }
    let width = rows.columns.len();
    let column = |key: &usize| match key.checked_sub(width) {
        Some(0) => Some(WindowColumn::Start),
        Some(1) => Some(WindowColumn::End),
        Some(_) => Some(WindowColumn::Time),
        None => None,
    };
    let before: Vec<WindowColumn> = keys.iter().map_while(column).collect();
    let own: Vec<usize> = keys[before.len()..].iter().copied().take_while(|key| *key < width).collect();
    let rest = &keys[before.len() + own.len()..];
    let behind: Vec<WindowColumn> = rest.iter().map_while(column).collect();
    (behind.len() == rest.len()).then_some(Overlapping {
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
        let settings = if window.is_some() { self.window_settings(rel) } else { self.settings.clone() };
        let spec_of = |keys: &[usize], updating: bool| {
            AggregateSpec::new(name.into(), keys, calls, &input.types(), updating, settings.clone())
        };
        if window.is_some()
            && !settings.batch
            && spec_of(keys, self.updating(input)).merges()
            && let Some(found) = overlapping(input, keys)
        {
            let slice = WindowKind::Tumble { size: found.slide, offset: found.offset };
            let stream = self.window(input, found.input, slice, found.time, &[])?;
            let types = input.types();
            let sliced = SlicedSpec {
                aggregate: spec_of(&found.keys, false),
                size: found.size,
                slide: found.slide,
                end: found.input.columns.len() + 1,
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

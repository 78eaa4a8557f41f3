//! Calling the function of a window.

use super::super::function::{WindowContext, WindowOpenContext};
use super::super::{EvictorContext, Window};
use super::contents::WindowContents;
use super::pane::{Contents, WindowKey};
use super::pane_states::PaneStates;
use crate::function::{Collector, KeyedOpenContext, RuntimeContext};
use crate::side_output::{SideOutputs, SidePorts};
use crate::state::KeyedStates;
use eddyline_core::{Data, EventTime, Key, Result};
use eddyline_runtime::OperatorContext;

/// The times at which something happens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) watermark: EventTime,
    pub(super) processing_time_ms: i64,
}

/// A function on windows, its states and its outputs.
pub(super) struct Firing<K, W, T, C: WindowContents<K, W, T>>
where
    K: Key,
    W: Window,
    T: Data,
{
    pub(super) contents: C,
    pub(super) states: KeyedStates<K>,
    pane_states: PaneStates<K, W>,
    ports: SidePorts,
    side: SideOutputs,
    out: Collector<C::Output>,
}

impl<K: Key, W: Window, T: Data, C: WindowContents<K, W, T>> Firing<K, W, T, C> {
    pub(super) fn new(contents: C, ports: SidePorts, windows_merge: bool) -> Self {
        Firing {
            contents,
            states: KeyedStates::new(),
            pane_states: PaneStates::new(windows_merge),
            ports,
            side: SideOutputs::none(),
            out: Collector::at(0),
        }
    }

    pub(super) fn open(&mut self, context: &OperatorContext<'_>) -> Result<()> {
        self.side = self.ports.outputs();
        let runtime = RuntimeContext::new(context, self.states.states.clone());
        let mut keyed = KeyedOpenContext { runtime: &runtime, states: &mut self.states };
        self.contents.open(&mut WindowOpenContext { keyed: &mut keyed, panes: &mut self.pane_states })?;
        self.states.states.seal();
        Ok(())
    }

    /// Gives a window to its function, if it has contents.
    pub(super) fn fire(
        &mut self,
        (hash, place): (u64, &WindowKey<K, W>),
        contents: &mut Option<Contents<T, C::Folded>>,
        moment: Moment,
        context: &OperatorContext<'_>,
    ) -> Result<()> {
        let Some(kept) = contents else { return Ok(()) };
        self.states.time.set(moment.watermark, place.window.max_timestamp());
        self.states.key.set(hash, &place.key);
        self.pane_states.enter(hash, place);
        self.out.set_timestamp(place.window.max_timestamp());
        let Moment { watermark, processing_time_ms } = moment;
        let mut window = WindowContext {
            info: context.info(),
            clock: context.clock(),
            window: &place.window,
            watermark,
            side: &mut self.side,
        };
        let evicting = EvictorContext { watermark, processing_time_ms };
        self.contents.fire(&place.key, kept, &evicting, &mut window, &mut self.out)?;
        if matches!(kept, Contents::Listed(elements) if elements.is_empty()) {
            *contents = None;
        }
        Ok(())
    }

    /// Lets the function know that a window is dropped, and drops its states.
    pub(super) fn clear(
        &mut self,
        (hash, place): (u64, &WindowKey<K, W>),
        moment: Moment,
        context: &OperatorContext<'_>,
    ) -> Result<()> {
        self.states.time.set(moment.watermark, place.window.max_timestamp());
        self.states.key.set(hash, &place.key);
        self.pane_states.enter(hash, place);
        let mut window = WindowContext {
            info: context.info(),
            clock: context.clock(),
            window: &place.window,
            watermark: moment.watermark,
            side: &mut self.side,
        };
        self.contents.clear(&place.key, &mut window)?;
        self.pane_states.forget(hash, place);
        Ok(())
    }

    /// Sends on what was collected, if it is much.
    pub(super) fn flush_full(
        &mut self,
        created_micros: u64,
        context: &mut OperatorContext<'_>,
    ) -> Result<()> {
        self.out.flush_full(0, created_micros, context)?;
        self.side.flush_full(created_micros, context)
    }

    /// Sends on what was collected.
    pub(super) fn flush(&mut self, created_micros: u64, context: &mut OperatorContext<'_>) -> Result<()> {
        self.out.flush(0, created_micros, context)?;
        self.side.flush(created_micros, context)?;
        self.states.clean_up(1);
        Ok(())
    }
}

//! The operator's own state.

use super::super::Window;
use super::pane::{OpenWindow, WindowKey, namespace_of};
use super::timers::table_of;
use crate::function::TimeDomain;
use crate::operators::fetching::{Due, DueTimers};
use crate::state::States;
use crate::timers::KeyedTimers;
use eddyline_core::{Data, Key, Result};
use eddyline_runtime::{Fetching, StateFactory};
use eddyline_state::{KeyedTable, ManagedState, PlacedTable};

/// Panes, open windows and timers.
pub(super) struct Tables<K, W, P> {
    pub(super) panes: PlacedTable<WindowKey<K, W>, P>,
    /// The windows of each key that are open, if windows merge.
    pub(super) open: Option<KeyedTable<K, Vec<OpenWindow<W>>>>,
    pub(super) timers: KeyedTimers<WindowKey<K, W>>,
}

/// What a timer's key has.
struct OfKey<'a> {
    panes: &'a mut dyn ManagedState,
    open: Option<&'a mut dyn ManagedState>,
    states: &'a mut States,
}

impl Fetching for OfKey<'_> {
    fn each(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState)) {
        visit(self.panes);
        if let Some(open) = &mut self.open {
            visit(*open);
        }
        self.states.each(visit);
    }
}

impl<K: Key, W: Window, P: Data> Tables<K, W, P> {
    pub(super) fn new(tables: &StateFactory, windows_merge: bool) -> Result<Self> {
        Ok(Tables {
            panes: tables.placed_table("__windows")?,
            open: if windows_merge { Some(tables.keyed_table("__open-windows")?) } else { None },
            timers: KeyedTimers::new(tables.info()),
        })
    }

    /// Whether the next timer of `domain` may fire: what it needs of the operator's and of the function's `states` is in
    /// memory.
    pub(super) fn next_due(
        &mut self,
        due: &mut DueTimers,
        (domain, up_to): (TimeDomain, i64),
        states: &mut States,
    ) -> Result<Due> {
        let Tables { panes, open, timers } = self;
        let open = open.as_mut().map(|open| open as &mut dyn ManagedState);
        due.next(table_of(timers, domain), up_to, &mut OfKey { panes, open, states })
    }

    pub(super) fn visit(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut self.panes)?;
        if let Some(open) = &mut self.open {
            visit(open)?;
        }
        self.timers.visit(visit)
    }

    /// The windows of a key that are open; none unless windows merge.
    pub(super) fn open_of(&self, hash: u64, key: &K) -> &[OpenWindow<W>] {
        self.open.as_ref().and_then(|open| open.get(hash, key)).map_or(&[], Vec::as_slice)
    }

    /// Where the pane of `place` is kept, if windows merge; none if the window is not open any more.
    pub(super) fn kept_under(&self, hash: u64, place: &WindowKey<K, W>) -> Option<WindowKey<K, W>> {
        let found = self.open_of(hash, &place.key).iter().find(|open| open.window == place.window)?;
        Some(WindowKey { window: found.kept_under.clone(), key: place.key.clone() })
    }

    /// Forgets that a window is open.
    pub(super) fn close_window(&mut self, hash: u64, place: &WindowKey<K, W>) {
        let Some(open) = &mut self.open else { return };
        let Some(windows) = open.get_mut(hash, &place.key) else { return };
        windows.retain(|open| open.window != place.window);
        if windows.is_empty() {
            open.remove(hash, &place.key);
        }
    }

    pub(super) fn remove_pane(&mut self, hash: u64, kept: &WindowKey<K, W>) -> Option<P> {
        self.panes.remove(namespace_of(&kept.window), hash, kept)
    }
}

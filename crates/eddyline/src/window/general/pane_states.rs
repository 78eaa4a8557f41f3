//! States that functions keep per key and window.

use super::super::Window;
use super::pane::{WindowKey, namespace_of};
use crate::state::States;
use eddyline_core::{Data, Error, Key, Result};
use eddyline_runtime::StateFactory;
use eddyline_state::{KeyContext, PlacedTable, ValueBackend, ValueState};
use std::cell::RefCell;
use std::rc::Rc;

/// A table of which the entry of a window can be dropped.
trait PaneTable<K, W> {
    fn forget(&mut self, hash: u64, place: &WindowKey<K, W>);
}

impl<K: Key, W: Window, V: Data> PaneTable<K, W> for PlacedTable<WindowKey<K, W>, V> {
    fn forget(&mut self, hash: u64, place: &WindowKey<K, W>) {
        self.remove(namespace_of(&place.window), hash, place);
    }
}

/// The states per key and window of an operator instance, and whose turn it is.
pub(crate) struct PaneStates<K, W> {
    current: KeyContext<WindowKey<K, W>>,
    tables: Vec<Rc<RefCell<dyn PaneTable<K, W>>>>,
    windows_merge: bool,
}

impl<K: Key, W: Window> PaneStates<K, W> {
    pub(crate) fn new(windows_merge: bool) -> Self {
        PaneStates { current: KeyContext::new(), tables: Vec::new(), windows_merge }
    }

    /// Declares a value per key and window.
    pub(crate) fn value<V: Data>(
        &mut self,
        name: &str,
        tables: &StateFactory,
        states: &States,
    ) -> Result<ValueState<V>> {
        if self.windows_merge {
            return Err(Error::config(format!(
                "the state `{name}` per window cannot be kept for windows that merge"
            ))
            .with_hint("keep it per key, or use windows that do not merge"));
        }
        let table = Rc::new(RefCell::new(tables.placed_table(name)?));
        states.declare(name, table.clone())?;
        self.tables.push(table.clone());
        Ok(ValueState::new(Rc::new(PaneBackend { current: self.current.clone(), table })))
    }

    /// Makes a window the current one.
    pub(crate) fn enter(&self, hash: u64, place: &WindowKey<K, W>) {
        if !self.tables.is_empty() {
            self.current.set(hash, place);
        }
    }

    /// Drops what was kept for a window.
    pub(crate) fn forget(&self, hash: u64, place: &WindowKey<K, W>) {
        self.tables.iter().for_each(|table| table.borrow_mut().forget(hash, place));
    }
}

/// Values of the current window.
struct PaneBackend<K, W, V> {
    current: KeyContext<WindowKey<K, W>>,
    table: Rc<RefCell<PlacedTable<WindowKey<K, W>, V>>>,
}

impl<K: Key, W: Window, V: Data> ValueBackend<V> for PaneBackend<K, W, V> {
    fn read(&self, see: &mut dyn FnMut(Option<&V>)) {
        let table = self.table.borrow();
        self.current.with(|hash, place| see(table.get(namespace_of(&place.window), hash, place)));
    }

    fn change(&self, make: &mut dyn FnMut() -> V, change: &mut dyn FnMut(&mut V)) {
        let mut table = self.table.borrow_mut();
        self.current.with(|hash, place| change(table.entry(namespace_of(&place.window), hash, place, make)));
    }

    fn take(&self) -> Option<V> {
        let mut table = self.table.borrow_mut();
        self.current.with(|hash, place| table.remove(namespace_of(&place.window), hash, place))
    }
}

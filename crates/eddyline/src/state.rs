//! The states that functions declare, held for the runtime.

use crate::state_ttl::OperatorTime;
use eddyline_core::{Data, Error, Key, Result};
use eddyline_runtime::{Fetching, InstanceInfo, StateFactory};
use eddyline_state::ttl::CleanUp;
use eddyline_state::{BroadcastState, KeyContext, ManagedState, ValueState};
use std::cell::RefCell;
use std::rc::Rc;

/// Names with this prefix are the operators' own.
const RESERVED_PREFIX: &str = "__";

/// States by name, in the order in which they were declared. Clones are the same states: the operator shows to the
/// runtime what its function declares.
#[derive(Clone, Default)]
pub(crate) struct States(Rc<RefCell<Declared>>);

#[derive(Default)]
struct Declared {
    names: Vec<String>,
    states: Vec<Rc<RefCell<dyn ManagedState>>>,
    /// What is declared now would miss what the checkpoint holds for it.
    sealed: bool,
}

impl States {
    /// Takes in a state that was declared under `name`.
    pub(crate) fn declare(&self, name: &str, state: Rc<RefCell<dyn ManagedState>>) -> Result<()> {
        if name.starts_with(RESERVED_PREFIX) {
            return Err(Error::config(format!("a state cannot be called `{name}`"))
                .with_hint("names that begin with `__` are reserved"));
        }
        let mut declared = self.0.borrow_mut();
        if declared.sealed {
            return Err(Error::user(format!("the state `{name}` is declared too late"))
                .with_hint("declare states in `open`, keep the handle and use it later"));
        }
        if declared.names.iter().any(|known| known == name) {
            return Err(Error::config(format!("the state `{name}` is declared twice")).with_hint(
                "give each state of an operator a name of its own; clone the handle to share it",
            ));
        }
        declared.names.push(name.to_owned());
        declared.states.push(state);
        Ok(())
    }

    /// Keeps a name for a state of the operator's own.
    pub(crate) fn reserve(&self, name: &str) {
        self.0.borrow_mut().names.push(name.to_owned());
    }

    /// `open` is over.
    pub(crate) fn seal(&self) {
        self.0.borrow_mut().sealed = true;
    }

    /// Tells all states that the keys of these hashes are about to be used.
    pub(crate) fn warm(&self, hashes: &[u64]) {
        self.0.borrow().states.iter().for_each(|state| state.borrow().warm(hashes));
    }

    /// Shows all states in order.
    pub(crate) fn visit(&self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        self.0.borrow().states.iter().try_for_each(|state| visit(&mut *state.borrow_mut()))
    }
}

impl Fetching for States {
    fn each(&mut self, visit: &mut dyn FnMut(&mut dyn ManagedState)) {
        self.0.borrow().states.iter().for_each(|state| visit(&mut *state.borrow_mut()));
    }
}

/// The keyed states of an operator instance, and whose turn it is.
pub(crate) struct KeyedStates<K> {
    pub(crate) key: KeyContext<K>,
    pub(crate) states: States,
    /// By what event time states age.
    pub(crate) time: Rc<OperatorTime>,
    /// States with a time to live.
    pub(crate) aging: Vec<Rc<dyn CleanUp>>,
}

impl<K: Key> KeyedStates<K> {
    pub(crate) fn new() -> Self {
        KeyedStates {
            key: KeyContext::new(),
            states: States::default(),
            time: OperatorTime::new(),
            aging: Vec::new(),
        }
    }

    /// Cleans up what belongs to `records` records that were processed.
    #[inline]
    pub(crate) fn clean_up(&self, records: usize) {
        for state in &self.aging {
            state.after_records(records);
        }
    }

    /// Declares a value per key.
    pub(crate) fn value<V: Data>(&mut self, name: &str, tables: &StateFactory) -> Result<ValueState<V>> {
        let table = Rc::new(RefCell::new(tables.keyed_table::<K, V>(name)?));
        self.states.declare(name, table.clone())?;
        Ok(ValueState::in_table(&self.key, &table))
    }
}

/// Declares a state that is equal in all instances.
pub(crate) fn declare_broadcast<K: Data + Ord, V: Data>(
    states: &States,
    name: &str,
    info: &InstanceInfo,
) -> Result<Rc<RefCell<BroadcastState<K, V>>>> {
    let state = Rc::new(RefCell::new(BroadcastState::new(name, info.instance)));
    states.declare(name, state.clone())?;
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_not_reserved() {
        let state = |name: &str| Rc::new(RefCell::new(BroadcastState::<u8, u8>::new(name, 0)));
        let states = States::default();
        states.declare("a", state("a")).unwrap();
        assert!(states.declare("a", state("a")).unwrap_err().message().contains("declared twice"));
        assert!(states.declare("__a", state("__a")).is_err());
        let mut seen = Vec::new();
        let visited = states.visit(&mut |state| {
            seen.push(state.descriptor().name);
            Ok(())
        });
        visited.unwrap();
        assert_eq!(seen, ["a"]);
        states.clone().seal();
        assert!(states.declare("b", state("b")).unwrap_err().message().contains("too late"));
    }
}

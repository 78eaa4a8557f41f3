//! Accumulators: what functions of all instances add up to, for whoever runs the job.
//!
//! An instance adds to a copy of its own. The copy is part of the instance's state: a checkpoint keeps it, a restart
//! goes on with what the checkpoint says, and at another parallelism copies are dealt out and merged. So the result
//! counts every record exactly once, whatever happened on the way. The result is merged from the copies of all
//! instances, in the order of uids and instances, by the program that asks for it.

mod kinds;
mod results;

pub use kinds::{Average, Count, Histogram, List, Maximum, Minimum, Sum, Summand};
pub use results::AccumulatorResults;

use crate::context::InstanceInfo;
use eddyline_core::{Data, Error, Result};
use eddyline_protocol::AccumulatorPart;
use eddyline_state::{ManagedState, OperatorListState};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// Something to add to, and to merge with what others have added.
///
/// The order in which instances add is not fixed; a result that is to be the same each time needs an addition that
/// does not depend on it.
///
/// # Examples
/// ```
/// use eddyline_core::Data;
/// use eddyline_runtime::accumulators::JobAccumulator;
///
/// /// The longest word.
/// #[derive(Debug, Clone, Default, Data)]
/// struct Longest(String);
///
/// impl JobAccumulator for Longest {
///     type Input = String;
///
///     fn add(&mut self, word: String) {
///         if word.len() > self.0.len() {
///             self.0 = word;
///         }
///     }
///     fn merge(&mut self, other: Self) {
///         self.add(other.0);
///     }
/// }
/// ```
pub trait JobAccumulator: Data + Default {
    /// What is added.
    type Input;

    /// Adds an input.
    fn add(&mut self, input: Self::Input);

    /// Adds everything that had been added to `other`.
    fn merge(&mut self, other: Self);
}

/// The name of the state that keeps an accumulator begins with this; user states cannot begin like that.
const STATE_PREFIX: &str = "__accumulator:";
/// The most bytes of all accumulators of a worker together: they travel with every heartbeat.
pub const ACCUMULATOR_BYTES_MAX: usize = 1 << 20;

/// An accumulator as an instance of a function sees it. Clones add to the same one.
pub struct AccumulatorHandle<A> {
    shared: Rc<Shared<A>>,
}

impl<A> Clone for AccumulatorHandle<A> {
    fn clone(&self) -> Self {
        AccumulatorHandle { shared: self.shared.clone() }
    }
}

struct Shared<A> {
    /// One item; after a restore as many as there were instances to be merged.
    state: RefCell<OperatorListState<A>>,
    /// Whether it has changed since it was published.
    changed: Cell<bool>,
}

impl<A: JobAccumulator> Shared<A> {
    fn change<R>(&self, change: impl FnOnce(&mut A) -> R) -> R {
        self.changed.set(true);
        let mut state = self.state.borrow_mut();
        let items = state.items_mut();
        if items.len() != 1 {
            let merged = std::mem::take(items).into_iter().reduce(|mut all, other| {
                all.merge(other);
                all
            });
            items.push(merged.unwrap_or_default());
        }
        change(&mut items[0])
    }
}

impl<A: JobAccumulator> AccumulatorHandle<A> {
    /// Adds an input.
    #[inline]
    pub fn add(&self, input: A::Input) {
        self.shared.change(|accumulator| accumulator.add(input));
    }

    /// A copy of what this instance has added so far.
    pub fn local(&self) -> A {
        self.shared.change(|accumulator| accumulator.clone())
    }
}

/// What the registry needs of an accumulator of any type.
trait AnyAccumulator {
    fn visit(&self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()>;
    /// The copy as it is now, unless it has not changed since it was taken last.
    fn publish(&self, name: &str, info: &InstanceInfo) -> Option<AccumulatorPart>;
}

impl<A: JobAccumulator> AnyAccumulator for Shared<A> {
    fn visit(&self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        visit(&mut *self.state.borrow_mut())
    }

    fn publish(&self, name: &str, info: &InstanceInfo) -> Option<AccumulatorPart> {
        if !self.changed.get() {
            return None;
        }
        let bytes = self.change(|accumulator| eddyline_core::data::to_bytes(accumulator));
        self.changed.set(false);
        Some(AccumulatorPart {
            name: name.to_owned(),
            type_name: std::any::type_name::<A>().to_owned(),
            uid: info.uid.to_string(),
            instance: info.instance,
            schema: A::schema(),
            bytes,
        })
    }
}

struct Registered {
    name: String,
    accumulator: Rc<dyn AnyAccumulator>,
    published: Option<Arc<AccumulatorPart>>,
}

#[derive(Default)]
struct Registry {
    registered: Vec<Registered>,
    /// States are restored: what is declared now would miss what the checkpoint holds for it.
    sealed: bool,
}

/// The accumulators of an operator instance. Clones are the same accumulators.
#[derive(Clone, Default)]
pub struct Accumulators(Rc<RefCell<Registry>>);

impl Accumulators {
    /// Declares an accumulator; to be called in `open`.
    ///
    /// # Errors
    /// If the instance has an accumulator of that name, or `open` is over.
    pub fn declare<A: JobAccumulator>(
        &self,
        name: &str,
        info: &InstanceInfo,
    ) -> Result<AccumulatorHandle<A>> {
        let mut registry = self.0.borrow_mut();
        if registry.sealed {
            return Err(Error::user(format!("the accumulator `{name}` is declared too late"))
                .with_hint("declare accumulators in `open`, keep the handle and add to it later"));
        }
        if registry.registered.iter().any(|known| known.name == name) {
            return Err(Error::config(format!("the accumulator `{name}` is declared twice"))
                .with_detail(format!("operator `{}`", info.name))
                .with_hint("clone the handle to add in several places"));
        }
        let state = OperatorListState::list(format!("{STATE_PREFIX}{name}"), info.instance);
        let shared = Rc::new(Shared { state: RefCell::new(state), changed: Cell::new(true) });
        let accumulator: Rc<dyn AnyAccumulator> = shared.clone();
        registry.registered.push(Registered { name: name.to_owned(), accumulator, published: None });
        Ok(AccumulatorHandle { shared })
    }

    /// `open` is over.
    pub(crate) fn seal(&self) {
        self.0.borrow_mut().sealed = true;
    }

    pub(crate) fn visit(&self, visit: &mut dyn FnMut(&mut dyn ManagedState) -> Result<()>) -> Result<()> {
        self.0.borrow().registered.iter().try_for_each(|known| known.accumulator.visit(visit))
    }

    /// What this instance has added to all accumulators.
    pub(crate) fn report(&self, info: &InstanceInfo) -> Vec<Arc<AccumulatorPart>> {
        let mut registry = self.0.borrow_mut();
        let parts = registry.registered.iter_mut().filter_map(|known| {
            if let Some(part) = known.accumulator.publish(&known.name, info) {
                known.published = Some(Arc::new(part));
            }
            known.published.clone()
        });
        parts.collect()
    }
}

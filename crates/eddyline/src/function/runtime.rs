//! What any function may ask of the job it runs in.

use crate::environment::Parameters;
use crate::state::States;
use eddyline_core::{Clock, Data, Result};
use eddyline_runtime::accumulators::{AccumulatorHandle, Accumulators, JobAccumulator};
use eddyline_runtime::metrics::Metrics;
use eddyline_runtime::migrations::Migrations;
use eddyline_runtime::{InstanceInfo, OperatorContext, Services, StateFactory};
use eddyline_state::{BroadcastState, Migration, OperatorListState};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// What a function may ask of the job it runs in: who it is, the parameters of the program, services, metrics,
/// accumulators, and state that belongs to the operator instead of to a key.
///
/// Given to `open`; clones are cheap and stay valid as long as the function.
///
/// # Examples
/// ```
/// use eddyline::accumulators::{AccumulatorHandle, Count};
/// use eddyline::{Environment, MapFunction, Parameters, Result, RuntimeContext};
///
/// /// Adds a number that is given on the command line, and counts what is above a hundred then.
/// #[derive(Default)]
/// struct Shift {
///     by: u64,
///     large: Option<AccumulatorHandle<Count>>,
/// }
///
/// impl MapFunction<u64, u64> for Shift {
///     fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
///         self.by = context.parameters().parsed_or("by", 1)?;
///         self.large = Some(context.accumulator("large")?);
///         context.metrics().gauge("by")?.set(self.by as f64);
///         Ok(())
///     }
///
///     fn map(&mut self, value: u64) -> Result<u64> {
///         let shifted = value + self.by;
///         if let Some(large) = self.large.as_ref().filter(|_| shifted > 100) {
///             large.add(1);
///         }
///         Ok(shifted)
///     }
/// }
///
/// let environment = Environment::new();
/// environment.set_parameters(Parameters::from_args(["--by", "90"])?);
/// let shifted = environment.from_collection(vec![5, 10, 15]).map_with(Shift::default).collect();
/// let report = environment.execute("shift")?;
/// assert_eq!(shifted.rows(), [95, 100, 105]);
/// assert_eq!(report.accumulator::<Count>("large")?.map(|count| count.value()), Some(1));
/// # Ok::<(), eddyline::Error>(())
/// ```
#[derive(Clone)]
pub struct RuntimeContext {
    info: InstanceInfo,
    clock: Arc<dyn Clock>,
    services: Services,
    parameters: Arc<Parameters>,
    metrics: Metrics,
    accumulators: Accumulators,
    migrations: Migrations,
    states: States,
    tables: StateFactory,
}

impl RuntimeContext {
    /// The context of an instance whose operator shows `states` to the runtime.
    pub(crate) fn new(context: &OperatorContext<'_>, states: States) -> Self {
        RuntimeContext {
            info: context.info().clone(),
            clock: context.clock().clone(),
            services: context.services().clone(),
            parameters: context.service::<Parameters>().unwrap_or_default(),
            metrics: context.metrics().clone(),
            accumulators: context.accumulators().clone(),
            migrations: context.migrations().clone(),
            states,
            tables: context.states(),
        }
    }

    /// Makes the tables of this instance.
    pub(crate) fn tables(&self) -> &StateFactory {
        &self.tables
    }

    /// The facts about this instance: name and uid of the operator, number of the instance and how many there are,
    /// number of the attempt.
    pub fn info(&self) -> &InstanceInfo {
        &self.info
    }

    /// The clock of the job: injected, so that tests and simulations decide what time it is.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The time of the job's clock, milliseconds since the epoch.
    pub fn processing_time_ms(&self) -> i64 {
        self.clock.wall_millis()
    }

    /// The parameters of the program; see [`Environment::parameters`](crate::Environment::parameters).
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// A service installed by the environment of the job, found by its type.
    pub fn service<S: Send + Sync + 'static>(&self) -> Option<Arc<S>> {
        self.services.get::<S>()
    }

    /// The metrics of this instance; they are part of the job's status.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Declares an accumulator; to be called in `open`. Instances of all operators may add to one of the same name.
    ///
    /// # Errors
    /// If this instance has declared an accumulator of that name already, or `open` is over.
    pub fn accumulator<A: JobAccumulator>(&self, name: &str) -> Result<AccumulatorHandle<A>> {
        self.accumulators.declare(name, &self.info)
    }

    /// Says what becomes of the values of the state `state` of this operator that were written as `Old`, a type from
    /// which the rules of evolution do not lead to the type of today; to be called in `open`. Of several migrations of
    /// one state, that from the type that a checkpoint was written with is applied. Values are whole: that of a list
    /// state is a `Vec`, that of a map state a `BTreeMap`.
    ///
    /// An error of `migrate` ends the restore. See also `#[data(migrate_from = "…")]` of [`Data`], which goes with a type
    /// wherever it is.
    ///
    /// # Examples
    /// ```
    /// use eddyline::{Collector, KeyedContext, KeyedOpenContext, KeyedProcessFunction, Result, ValueState};
    ///
    /// /// Sums money: in whole units once, in hundredths today.
    /// #[derive(Default)]
    /// struct Sum {
    ///     hundredths: Option<ValueState<i64>>,
    /// }
    ///
    /// impl KeyedProcessFunction<u64, f64, i64> for Sum {
    ///     fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
    ///         context.runtime().migrate_from("sum", |units: f64| Ok((units * 100.0).round() as i64));
    ///         self.hundredths = Some(context.value_state("sum")?);
    ///         Ok(())
    ///     }
    ///
    ///     fn process_element(
    ///         &mut self,
    ///         units: f64,
    ///         _context: &mut KeyedContext<'_, u64>,
    ///         out: &mut Collector<i64>,
    ///     ) -> Result<()> {
    ///         let Some(sum) = &self.hundredths else { return Ok(()) };
    ///         sum.with_mut(|| 0, |sum| *sum += (units * 100.0).round() as i64);
    ///         out.collect(sum.get().unwrap_or_default());
    ///         Ok(())
    ///     }
    /// }
    /// ```
    pub fn migrate_from<Old: Data, New: Data>(
        &self,
        state: &str,
        migrate: impl Fn(Old) -> Result<New> + Send + Sync + 'static,
    ) {
        self.migrations.add(Migration::new(state, migrate));
    }

    /// Declares a list of items of this instance; to be called in `open`. When the job is restored, the items of all
    /// instances are dealt out anew.
    ///
    /// # Errors
    /// If the operator has another state of that name, or the name begins with `__`.
    pub fn operator_list_state<V: Data>(&self, name: &str) -> Result<OperatorList<V>> {
        self.declare(name, OperatorListState::list(name, self.info.instance))
    }

    /// Declares a list of items of this instance; to be called in `open`. When the job is restored, every instance
    /// gets the items of all instances and keeps those that it wants.
    ///
    /// # Errors
    /// As for [`RuntimeContext::operator_list_state`].
    pub fn operator_union_state<V: Data>(&self, name: &str) -> Result<OperatorList<V>> {
        self.declare(name, OperatorListState::union(name, self.info.instance))
    }

    fn declare<V: Data>(&self, name: &str, state: OperatorListState<V>) -> Result<OperatorList<V>> {
        let state = Rc::new(RefCell::new(state));
        self.states.declare(name, state.clone())?;
        Ok(OperatorList { state })
    }

    /// Declares a map that the function keeps equal in all instances; to be called in `open`. When the job is
    /// restored, each instance gets one of the copies.
    ///
    /// # Errors
    /// As for [`RuntimeContext::operator_list_state`].
    pub fn operator_broadcast_state<BK: Data + Ord, BV: Data>(
        &self,
        name: &str,
    ) -> Result<OperatorMap<BK, BV>> {
        let state = Rc::new(RefCell::new(BroadcastState::new(name, self.info.instance)));
        self.states.declare(name, state.clone())?;
        Ok(OperatorMap { state })
    }
}

/// Items that belong to an operator instance. Clones are handles to the same list.
///
/// # Examples
/// ```
/// use eddyline::{Collector, OperatorList, ProcessContext, ProcessFunction, Result, RuntimeContext};
///
/// /// Hands records on in pairs; one that waits for its partner survives a restart.
/// #[derive(Default)]
/// struct Pairs {
///     waiting: Option<OperatorList<u64>>,
/// }
///
/// impl ProcessFunction<u64, (u64, u64)> for Pairs {
///     fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
///         self.waiting = Some(context.operator_list_state("waiting")?);
///         Ok(())
///     }
///
///     fn process_element(
///         &mut self,
///         value: u64,
///         _context: &mut ProcessContext<'_>,
///         out: &mut Collector<(u64, u64)>,
///     ) -> Result<()> {
///         let Some(waiting) = &self.waiting else { return Ok(()) };
///         match waiting.with_mut(Vec::pop) {
///             Some(first) => out.collect((first, value)),
///             None => waiting.add(value),
///         }
///         Ok(())
///     }
/// }
/// ```
pub struct OperatorList<V> {
    state: Rc<RefCell<OperatorListState<V>>>,
}

impl<V> Clone for OperatorList<V> {
    fn clone(&self) -> Self {
        OperatorList { state: self.state.clone() }
    }
}

impl<V: Data> OperatorList<V> {
    /// Appends an item.
    pub fn add(&self, item: V) {
        self.state.borrow_mut().add(item);
    }

    /// A copy of the items.
    pub fn get(&self) -> Vec<V> {
        self.with(<[V]>::to_vec)
    }

    /// Replaces all items.
    pub fn update(&self, items: Vec<V>) {
        self.state.borrow_mut().set(items);
    }

    /// Shows the items without copying them.
    pub fn with<R>(&self, see: impl FnOnce(&[V]) -> R) -> R {
        see(self.state.borrow().items())
    }

    /// Lets the items be changed in place. `change` must not use this list itself.
    pub fn with_mut<R>(&self, change: impl FnOnce(&mut Vec<V>) -> R) -> R {
        change(self.state.borrow_mut().items_mut())
    }

    /// Takes all items out.
    pub fn clear(&self) {
        self.update(Vec::new());
    }
}

/// Entries that the function keeps equal in all instances of an operator. Clones are handles to the same map.
///
/// # Examples
/// ```
/// use eddyline::{Collector, Environment, OperatorMap, ProcessContext, ProcessFunction, Result, RuntimeContext};
///
/// /// Numbers names; every instance gets all records, so that all of them agree.
/// #[derive(Default)]
/// struct Numbers {
///     known: Option<OperatorMap<String, u64>>,
/// }
///
/// impl ProcessFunction<String, (String, u64)> for Numbers {
///     fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
///         self.known = Some(context.operator_broadcast_state("numbers")?);
///         Ok(())
///     }
///
///     fn process_element(
///         &mut self,
///         name: String,
///         _context: &mut ProcessContext<'_>,
///         out: &mut Collector<(String, u64)>,
///     ) -> Result<()> {
///         let Some(known) = &self.known else { return Ok(()) };
///         let number = known.get(&name).unwrap_or(known.entries().len() as u64);
///         known.insert(name.clone(), number);
///         out.collect((name, number));
///         Ok(())
///     }
/// }
///
/// let environment = Environment::new();
/// let names = environment.from_collection(["b", "a", "b"].map(String::from).to_vec());
/// let numbered = names.broadcast().process(Numbers::default).collect();
/// environment.execute("numbers")?;
/// assert_eq!(numbered.rows()[2], ("b".to_string(), 0));
/// # Ok::<(), eddyline::Error>(())
/// ```
pub struct OperatorMap<BK, BV> {
    state: Rc<RefCell<BroadcastState<BK, BV>>>,
}

impl<BK, BV> Clone for OperatorMap<BK, BV> {
    fn clone(&self) -> Self {
        OperatorMap { state: self.state.clone() }
    }
}

impl<BK: Data + Ord, BV: Data> OperatorMap<BK, BV> {
    /// A copy of what `key` maps to.
    pub fn get(&self, key: &BK) -> Option<BV> {
        self.state.borrow().get(key).cloned()
    }

    /// Maps `key` to `value` and returns what it mapped to before.
    pub fn insert(&self, key: BK, value: BV) -> Option<BV> {
        self.state.borrow_mut().insert(key, value)
    }

    /// Takes `key` out and returns what it mapped to.
    pub fn remove(&self, key: &BK) -> Option<BV> {
        self.state.borrow_mut().remove(key)
    }

    /// A copy of all entries, in the order of their keys.
    pub fn entries(&self) -> Vec<(BK, BV)> {
        self.state.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Takes everything out.
    pub fn clear(&self) {
        self.state.borrow_mut().clear();
    }
}

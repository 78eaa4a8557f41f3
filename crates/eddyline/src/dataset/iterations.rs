//! Iterations: a step, again and again.
//!
//! The rounds are laid out one behind the other: each is a copy of the step in the job's graph, and begins when the one
//! before it has ended, as every operator on bounded data does. So a round sees exactly the results of the last one, a
//! failure in any of them is like any other failure, and there is nothing to agree on. What it costs: data from outside
//! that a step uses is collected by each of its copies, and the copies share the memory for collecting. A gate behind each
//! round of an iteration with a criterion lets the data into the next round, or out.

use super::DataSet;
use super::operators::{FirstBody, GateBody, Gated};
use eddyline_core::{Data, Error, Key};
use eddyline_runtime::graph::NodeSpec;

/// Most rounds of an iteration: each is a copy of the step.
pub const ITERATION_ROUNDS_MAX: u32 = 256;

impl<T: Data> DataSet<T> {
    /// Takes `rounds` steps: each gets the results of the one before it, the first one this data.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let numbers = environment.from_collection(vec![1u64, 2]).bounded();
    /// let grown = numbers.iterate(3, |numbers| numbers.map(|number| number * 10)).collect();
    /// environment.execute("grow")?;
    /// let mut grown = grown.rows();
    /// grown.sort();
    /// assert_eq!(grown, [1_000, 2_000]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn iterate(&self, rounds: u32, step: impl Fn(&DataSet<T>) -> DataSet<T>) -> DataSet<T> {
        let rounds = self.checked(rounds);
        (0..rounds).fold(self.clone(), |current, _| step(&current))
    }

    /// Takes steps until one of them leaves its criterion empty, `rounds` at most. A step gets the results of the one
    /// before it and answers its own and the criterion: values of any kind, as long as there shall be another round.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let numbers = environment.from_collection(vec![1u64, 7]).bounded();
    /// let grown = numbers
    ///     .iterate_until(20, |numbers| {
    ///         let doubled = numbers.map(|number| number * 2);
    ///         let small = doubled.filter(|number| *number < 10);
    ///         (doubled, small)
    ///     })
    ///     .collect();
    /// environment.execute("grow")?;
    /// let mut grown = grown.rows();
    /// grown.sort();
    /// assert_eq!(grown, [16, 112]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn iterate_until<C: Data>(
        &self,
        rounds: u32,
        step: impl Fn(&DataSet<T>) -> (DataSet<T>, DataSet<C>),
    ) -> DataSet<T> {
        let rounds = self.checked(rounds);
        let mut current = self.clone();
        let mut alive: Option<DataSet<()>> = None;
        let mut results: Option<DataSet<T>> = None;
        for round in 1..=rounds {
            let (result, criterion) = step(&current);
            let gated = gate(&result, &criterion, alive.as_ref(), round == rounds);
            let out = gated.filter(|row| !row.goes_on).flat_map(|row: Gated<T>, out| {
                row.value.into_iter().for_each(|value| out.collect(value));
            });
            results = Some(results.map_or(out.clone(), |results| results.union(&out)));
            current = gated.filter(|row| row.goes_on).flat_map(|row: Gated<T>, out| {
                row.value.into_iter().for_each(|value| out.collect(value));
            });
            alive = Some(gated.filter(|row| row.goes_on && row.value.is_none()).map(|_| ()));
        }
        results.unwrap_or_else(|| self.clone())
    }

    /// Keeps this data as a *solution set*, a value per key, and changes it round by round: a step gets the solution set
    /// and a *workset*, and answers the values that are to take the place of those with the same key (or to be added), and
    /// the next workset. Ends when a workset is empty, after `rounds` rounds at most; gives the solution set.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// // The least number that each node can reach, along edges in both directions.
    /// let environment = Environment::new();
    /// let edges = environment.from_collection(vec![(1u64, 2u64), (2, 1), (2, 3), (3, 2), (5, 6), (6, 5)]).bounded();
    /// let nodes = environment.from_collection((1..=6).map(|node| (node, node)).collect::<Vec<(u64, u64)>>()).bounded();
    /// let components = nodes.iterate_delta(&nodes, 10, |node| node.0, |components, changed| {
    ///     let offers = changed.join(&edges, |node| node.0, |edge| edge.0).inner(|node, edge| (edge.1, node.1));
    ///     let least = offers.group_by(|offer| offer.0).min_by(|offer| offer.1);
    ///     let better = least
    ///         .join(components, |offer| offer.0, |node| node.0)
    ///         .inner(|offer, node| (offer.0, offer.1, offer.1 < node.1))
    ///         .filter(|(_, _, better)| *better)
    ///         .map(|(node, component, _)| (node, component));
    ///     (better.clone(), better)
    /// });
    /// let components = components.collect();
    /// environment.execute("components")?;
    /// let mut components = components.rows();
    /// components.sort();
    /// assert_eq!(components, [(1, 1), (2, 1), (3, 1), (4, 4), (5, 5), (6, 5)]);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn iterate_delta<K: Key, W: Data>(
        &self,
        workset: &DataSet<W>,
        rounds: u32,
        key: impl Fn(&T) -> K + Clone + Send + Sync + 'static,
        step: impl Fn(&DataSet<T>, &DataSet<W>) -> (DataSet<T>, DataSet<W>),
    ) -> DataSet<T> {
        let workset = std::cell::RefCell::new(workset.clone());
        self.iterate_until(rounds, |solution| {
            let (delta, next) = step(solution, &workset.borrow());
            let changed =
                solution.group_by(key.clone()).co_group(&delta.group_by(key.clone()), |_, old, new, out| {
                    if let Some(value) = new.last().or_else(|| old.last()) {
                        out.collect(value);
                    }
                });
            workset.replace(next.clone());
            (changed.name("solution set"), next)
        })
    }

    /// The number of rounds, if there can be so many copies of a step.
    fn checked(&self, rounds: u32) -> u32 {
        if rounds > ITERATION_ROUNDS_MAX {
            self.stream.graph.borrow_mut().refuse(
                Error::config(format!("an iteration cannot have {rounds} rounds"))
                    .with_detail(format!(
                        "each round is a copy of the step; the limit is {ITERATION_ROUNDS_MAX}"
                    ))
                    .with_hint("let it converge sooner, or run the job again on its results"),
            );
        }
        rounds.min(ITERATION_ROUNDS_MAX)
    }
}

/// The end of a round: its result, whether there is another one, and whether the iteration has come so far at all.
fn gate<T: Data, C: Data>(
    result: &DataSet<T>,
    criterion: &DataSet<C>,
    alive: Option<&DataSet<()>>,
    is_last: bool,
) -> DataSet<Gated<T>> {
    let goes_on = criterion.blocking("criterion", || FirstBody::<C>::new(1)).broadcast();
    let is_first = alive.is_none();
    let spec = NodeSpec::named("round");
    let gated = result.blocking_two(&goes_on, spec, move || GateBody::<T>::new(is_first, is_last));
    if let (Some(alive), Some(node)) = (alive, gated.stream.only_node()) {
        alive.broadcast().stream.lead_into(node, 2);
    }
    gated
}

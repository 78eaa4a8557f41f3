//! Two keyed streams, joined.

use super::{DataStream, KeyedStream};
use crate::function::OutputTag;
use crate::join::{JoinOperator, JoinOptions, LATE_LEFT_OUTPUT, LATE_RIGHT_OUTPUT, LEFT_INPUT, RIGHT_INPUT};
use crate::side_output::SidePorts;
use eddyline_core::{Data, Key};
use eddyline_runtime::graph::NodeSpec;
use std::time::Duration;

/// Two keyed streams that are to be joined.
pub struct JoinedStreams<K, L, R> {
    pub(super) left: KeyedStream<K, L>,
    pub(super) right: KeyedStream<K, R>,
    options: JoinOptions,
    sides: SidePorts,
    outputs: usize,
}

impl<K: Key, T: Data> KeyedStream<K, T> {
    /// Joins the stream with another one that has keys of the same type: every pair of records with equal keys,
    /// once.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let names = environment.from_collection(vec![(1u64, "anna".to_string()), (2, "ben".to_string())]);
    /// let orders = environment.from_collection(vec![(1u64, 30u32), (1, 12)]);
    /// let with_names = orders
    ///     .key_by(|(customer, _)| *customer)
    ///     .join(&names.key_by(|(customer, _)| *customer))
    ///     .apply(|(_, price), (_, name)| (name.clone(), *price));
    /// with_names.print();
    /// # environment.explain()?;
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn join<R: Data>(&self, right: &KeyedStream<K, R>) -> JoinedStreams<K, T, R> {
        JoinedStreams {
            left: self.clone(),
            right: right.clone(),
            options: JoinOptions::default(),
            sides: SidePorts::default(),
            outputs: 1,
        }
    }
}

impl<K: Key, L: Data, R: Data> JoinedStreams<K, L, R> {
    /// Keeps records for partners until the watermark is more than `retention` past them; without it, for ever.
    #[must_use]
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.options.retention_ms = Some(crate::watermark::millis(retention));
        self
    }

    /// Emits records that come too late to be joined on side outputs, to be read from the stream of pairs.
    #[must_use]
    pub fn side_output_late_data(mut self, left: &OutputTag<L>, right: &OutputTag<R>) -> Self {
        let added =
            self.sides.port(left, LATE_LEFT_OUTPUT).and_then(|_| self.sides.port(right, LATE_RIGHT_OUTPUT));
        if let Err(problem) = added {
            self.left.stream.graph.borrow_mut().refuse(problem);
        }
        self.options.emits_late = true;
        self.outputs = LATE_RIGHT_OUTPUT + 1;
        self
    }

    /// Makes the result of a pair; its timestamp is the greater one of both.
    pub fn apply<O: Data>(
        &self,
        join: impl Fn(&L, &R) -> O + Clone + Send + Sync + 'static,
    ) -> DataStream<O> {
        let (left_key, right_key) = (self.left.key_of.clone(), self.right.key_of.clone());
        let options = self.options;
        let make = move || {
            let (left_key, right_key) = (left_key.clone(), right_key.clone());
            JoinOperator::new(
                move |left: &L| left_key(left),
                move |right: &R| right_key(right),
                join.clone(),
                options,
            )
        };
        let (left, right) = (&self.left.stream, &self.right.stream);
        if let Err(problem) = make() {
            left.graph.borrow_mut().refuse(problem);
        }
        let spec = NodeSpec::named("join").with_watermarks().with_outputs(self.outputs);
        let node = left.graph.borrow_mut().nodes.add_operator(spec, move || {
            make().expect("invariant: a job with an impossible join is not built")
        });
        left.lead_into(node, LEFT_INPUT);
        right.lead_into(node, RIGHT_INPUT);
        DataStream::new(left.graph.clone(), node).with_sides(self.sides.clone())
    }
}

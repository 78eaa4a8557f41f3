//! Loops.

use super::DataStream;
use eddyline_core::Data;
use eddyline_runtime::graph::NodeSpec;

impl<T: Data> DataStream<T> {
    /// A loop: `body` gets this stream together with what goes round, and answers what is to go round again and
    /// what leaves the loop. The input of the job ends only when nothing goes round any more, so the body must let
    /// every record leave (or drop it) at last. Records on their way round are part of each checkpoint.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// // Halves numbers until they are odd.
    /// let environment = Environment::new();
    /// let odd = environment.from_collection(vec![12u64, 7, 40]).iterate(|numbers| {
    ///     let again = numbers.filter(|number| number % 2 == 0).map(|number| number / 2);
    ///     let done = numbers.filter(|number| number % 2 == 1);
    ///     (again, done)
    /// });
    /// odd.print();
    /// # environment.explain()?;
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn iterate<U: Data>(
        &self,
        body: impl FnOnce(DataStream<T>) -> (DataStream<T>, DataStream<U>),
    ) -> DataStream<U> {
        let head = self.graph.borrow_mut().nodes.add_loop_head(NodeSpec::named("loop"));
        self.lead_into(head, 0);
        let (feedback, out) = body(DataStream::new(self.graph.clone(), head));
        let tail = self.graph.borrow_mut().nodes.add_loop_tail(head, NodeSpec::named("feedback"));
        feedback.lead_into(tail, 0);
        out
    }
}

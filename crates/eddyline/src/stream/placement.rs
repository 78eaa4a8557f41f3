//! Where operators run: which share a slot, and which are fused.

use super::{DataStream, DataStreamSink};
use eddyline_core::{Data, Error};
use eddyline_runtime::graph::Chaining;

impl<T: Data> DataStream<T> {
    /// Puts the operator that this stream comes from into a slot sharing group: a slot of a cluster runs operators of
    /// one group only. What follows is in the same group unless it says otherwise. Kept in the graph; without a
    /// cluster it makes no difference except that steps of different groups are not fused.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let numbers = environment.from_collection(vec![1u64]);
    /// numbers.map(|number| number + 1).slot_sharing_group("heavy").print();
    /// assert!(environment.explain()?.to_text().contains("slot sharing group `heavy`"));
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn slot_sharing_group(self, group: &str) -> Self {
        self.change("slot sharing group", |graph, node| {
            if group.trim().is_empty() {
                graph.refuse(no_group());
            }
            graph.nodes.node_mut(node).slot_sharing_group = Some(group.to_owned());
        })
    }

    /// Keeps the step that this stream comes from apart: it is fused neither with what is before nor with what
    /// follows. Only stateless steps (map, filter and the like) are ever fused.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let numbers = environment.from_collection(vec![1u64]).map(|number| number + 1);
    /// numbers.filter(|number| *number > 1).disable_chaining().map(|number| number * 2).print();
    /// assert_eq!(environment.explain()?.nodes.len(), 5);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn disable_chaining(self) -> Self {
        self.change("chain", |graph, node| graph.nodes.node_mut(node).chaining = Chaining::Never)
    }

    /// Begins a new chain with the step that this stream comes from: it is not fused with what is before.
    ///
    /// # Examples
    /// ```
    /// use eddyline::Environment;
    ///
    /// let environment = Environment::new();
    /// let numbers = environment.from_collection(vec![1u64]).map(|number| number + 1);
    /// numbers.filter(|number| *number > 1).start_new_chain().map(|number| number * 2).print();
    /// assert_eq!(environment.explain()?.nodes.len(), 4);
    /// # Ok::<(), eddyline::Error>(())
    /// ```
    pub fn start_new_chain(self) -> Self {
        self.change("chain", |graph, node| graph.nodes.node_mut(node).chaining = Chaining::Head)
    }
}

impl DataStreamSink {
    /// Puts the sink into a slot sharing group, as [`DataStream::slot_sharing_group`].
    pub fn slot_sharing_group(self, group: &str) -> Self {
        let mut graph = self.graph.borrow_mut();
        if group.trim().is_empty() {
            graph.refuse(no_group());
        }
        graph.nodes.node_mut(self.node).slot_sharing_group = Some(group.to_owned());
        drop(graph);
        self
    }
}

fn no_group() -> Error {
    Error::config("a slot sharing group has no name")
        .with_hint("name it, or leave slot_sharing_group out for the group of the inputs")
}

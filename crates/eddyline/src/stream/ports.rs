//! Outputs of operators of one's own.

use super::DataStream;
use eddyline_core::{Data, Error};

impl<T: Data> DataStream<T> {
    /// Output number `port` of the operator that this stream comes from, as values of type `S`; for operators of
    /// your own (see [`DataStream::transform`]) whose spec says that they have several outputs. Output 0 is this
    /// stream itself.
    pub fn output<S: Data>(&self, port: usize) -> DataStream<S> {
        let node = self.upstreams[0].node;
        let outputs = self.graph.borrow().nodes.graph().nodes[node.0].outputs;
        if self.upstreams.len() != 1 || port >= outputs {
            self.graph.borrow_mut().refuse(
                Error::config(format!("there is no output {port} here"))
                    .with_hint("say in the operator's spec how many outputs it has (`with_outputs`)"),
            );
        }
        let mut stream = DataStream::new(self.graph.clone(), node);
        stream.upstreams[0].port = port;
        stream
    }
}

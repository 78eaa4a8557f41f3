//! Where connectors find their disk and the threads that wait for it.

use eddyline_runtime::OperatorContext;
use eddyline_state::{FileSystem, LocalFileSystem};
use std::sync::Arc;

/// The service by which the environment of a job lends its connectors a disk; without it they take the machine's.
#[derive(Clone)]
pub struct ConnectorEnvironment {
    /// The files that sinks write.
    pub file_system: Arc<dyn FileSystem>,
    /// Where waiting for files is done.
    pub waiting: Waiting,
}

/// Where a connector waits for files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// On a thread of its own, so that the worker never waits.
    OwnThread,
    /// In the call itself: everything in one thread, for simulations and tests.
    Inline,
}

impl Default for ConnectorEnvironment {
    fn default() -> Self {
        ConnectorEnvironment { file_system: Arc::new(LocalFileSystem), waiting: Waiting::OwnThread }
    }
}

impl ConnectorEnvironment {
    /// An environment in one thread on `file_system`.
    pub fn inline(file_system: Arc<dyn FileSystem>) -> Self {
        ConnectorEnvironment { file_system, waiting: Waiting::Inline }
    }

    /// What the job's environment says, else the machine's own files.
    pub fn of(context: &OperatorContext<'_>) -> Self {
        context.service::<ConnectorEnvironment>().map_or_else(Self::default, |found| (*found).clone())
    }
}

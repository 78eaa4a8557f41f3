//! What makes calls: a closure, or a function with a life of its own.

use crate::function::RuntimeContext;
use eddyline_core::{Data, Result};
use std::future::Future;

/// Makes a call of each record, with something that the instance keeps: a client, a pool of connections.
///
/// Any closure that makes a future of a record is such a function, too.
///
/// # Examples
/// ```
/// use eddyline::async_call::{AsyncFunction, AsyncOptions, AsyncOrder};
/// use eddyline::{Environment, Result, RuntimeContext};
/// use std::future::Future;
/// use std::sync::Arc;
///
/// /// Asks a service for the names of customers; here it is a list.
/// #[derive(Default)]
/// struct Names {
///     client: Arc<Vec<String>>,
/// }
///
/// impl AsyncFunction<u64, String> for Names {
///     fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
///         let address = context.parameters().get_or("service", "localhost");
///         self.client = Arc::new(vec![format!("Anna from {address}"), "Ben".to_string()]);
///         Ok(())
///     }
///
///     fn call(&self, id: u64) -> impl Future<Output = Result<Vec<String>>> + Send + 'static {
///         let client = self.client.clone();
///         async move { Ok(client.get(id as usize).cloned().into_iter().collect()) }
///     }
///
///     fn timed_out(&mut self, id: &u64) -> Result<Option<Vec<String>>> {
///         Ok(Some(vec![format!("customer {id}")]))
///     }
/// }
///
/// let environment = Environment::new();
/// let ids = environment.from_collection(vec![0, 1, 7]);
/// let names = ids.async_function(AsyncOptions::new(AsyncOrder::Ordered), Names::default).collect();
/// environment.execute("names")?;
/// assert_eq!(names.rows(), ["Anna from localhost", "Ben"]);
/// # Ok::<(), eddyline::Error>(())
/// ```
pub trait AsyncFunction<T: Data, U: Data>: 'static {
    /// Prepares the instance: this is where clients are made. Called once, before anything else.
    ///
    /// # Errors
    /// End the attempt.
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Makes a call: a future that runs elsewhere. Must not block itself.
    fn call(&self, record: T) -> impl Future<Output = Result<Vec<U>>> + Send + 'static;

    /// The last attempt for `record` has taken too long: what leaves instead of an answer. None, and the call has
    /// failed, as [`OnFailure`](super::OnFailure) says.
    ///
    /// # Errors
    /// End the attempt of the job.
    fn timed_out(&mut self, record: &T) -> Result<Option<Vec<U>>> {
        let _ = record;
        Ok(None)
    }

    /// Releases what the instance holds; called once, also after errors. Calls that are under way may outlive it.
    fn close(&mut self) {}
}

impl<T, U, F, Answers> AsyncFunction<T, U> for F
where
    T: Data,
    U: Data,
    F: Fn(T) -> Answers + 'static,
    Answers: Future<Output = Result<Vec<U>>> + Send + 'static,
{
    fn call(&self, record: T) -> impl Future<Output = Result<Vec<U>>> + Send + 'static {
        self(record)
    }
}

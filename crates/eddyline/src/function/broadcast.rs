//! Functions on a stream that is connected with a broadcast one.
//!
//! Records of the broadcast side reach every instance and change *broadcast state*, which is thus equal everywhere;
//! records of the other side can only read it. A handle is declared in `open`; the context decides what may be done
//! with it.

use super::{Collector, KeyedContext, ProcessContext, RuntimeContext, TimeDomain};
use crate::state::{KeyedStates, States, declare_broadcast};
use eddyline_core::{Clock, Data, Key, Result};
use eddyline_runtime::InstanceInfo;
use eddyline_state::{BroadcastState, ListState, MapState, ValueState};
use std::cell::{Ref, RefCell, RefMut};
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::sync::Arc;

/// A broadcast state: a map that is equal in all instances. Show it to a context to use it.
pub struct BroadcastHandle<BK, BV> {
    state: Rc<RefCell<BroadcastState<BK, BV>>>,
}

impl<BK, BV> Clone for BroadcastHandle<BK, BV> {
    fn clone(&self) -> Self {
        BroadcastHandle { state: self.state.clone() }
    }
}

/// A function on a stream and a broadcast stream.
///
/// # Examples
/// ```
/// use eddyline::{
///     BroadcastContext, BroadcastHandle, BroadcastOpenContext, BroadcastProcessFunction, BroadcastReadContext,
///     Collector, Result,
/// };
///
/// /// Lets words pass that are on a list; the list comes in on the broadcast side.
/// #[derive(Default)]
/// struct Allowed {
///     words: Option<BroadcastHandle<String, bool>>,
/// }
///
/// impl BroadcastProcessFunction<String, String, String> for Allowed {
///     fn open(&mut self, context: &mut BroadcastOpenContext<'_>) -> Result<()> {
///         self.words = Some(context.broadcast_state("words")?);
///         Ok(())
///     }
///
///     fn process_element(
///         &mut self,
///         word: String,
///         context: &mut BroadcastReadContext<'_>,
///         out: &mut Collector<String>,
///     ) -> Result<()> {
///         if self.words.as_ref().is_some_and(|words| context.state(words).get(&word).is_some()) {
///             out.collect(word);
///         }
///         Ok(())
///     }
///
///     fn process_broadcast_element(
///         &mut self,
///         word: String,
///         context: &mut BroadcastContext<'_>,
///         _out: &mut Collector<String>,
///     ) -> Result<()> {
///         if let Some(words) = &self.words {
///             context.state(words).insert(word, true);
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait BroadcastProcessFunction<T: Data, B: Data, U: Data>: 'static {
    /// Declares the broadcast states; called once per instance, before anything else.
    ///
    /// # Errors
    /// End the attempt.
    fn open(&mut self, context: &mut BroadcastOpenContext<'_>) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Takes a record of the side that is not broadcast.
    ///
    /// # Errors
    /// End the attempt, naming operator and record.
    fn process_element(
        &mut self,
        value: T,
        context: &mut BroadcastReadContext<'_>,
        out: &mut Collector<U>,
    ) -> Result<()>;

    /// Takes a record of the broadcast side. Every instance gets it: what is done to broadcast state must depend on
    /// the record and the state alone.
    ///
    /// # Errors
    /// End the attempt, naming operator and record.
    fn process_broadcast_element(
        &mut self,
        value: B,
        context: &mut BroadcastContext<'_>,
        out: &mut Collector<U>,
    ) -> Result<()>;

    /// Releases what the instance holds; called once, also after errors.
    fn close(&mut self) {}
}

/// A function on a keyed stream and a broadcast stream: as [`BroadcastProcessFunction`], with state and timers per
/// key for the keyed side.
pub trait KeyedBroadcastProcessFunction<K: Key, T: Data, B: Data, U: Data>: 'static {
    /// Declares keyed and broadcast states; called once per instance, before anything else.
    ///
    /// # Errors
    /// End the attempt.
    fn open(&mut self, context: &mut BroadcastOpenContext<'_, K>) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Takes a record of the keyed side; `broadcast` shows broadcast state.
    ///
    /// # Errors
    /// End the attempt, naming operator and record.
    fn process_element(
        &mut self,
        value: T,
        context: &mut KeyedContext<'_, K>,
        broadcast: &BroadcastReader,
        out: &mut Collector<U>,
    ) -> Result<()>;

    /// Takes a record of the broadcast side. There is no current key.
    ///
    /// # Errors
    /// End the attempt, naming operator and record.
    fn process_broadcast_element(
        &mut self,
        value: B,
        context: &mut BroadcastContext<'_>,
        out: &mut Collector<U>,
    ) -> Result<()>;

    /// A timer of the current key is due.
    ///
    /// # Errors
    /// End the attempt.
    fn on_timer(
        &mut self,
        time: i64,
        domain: TimeDomain,
        context: &mut KeyedContext<'_, K>,
        broadcast: &BroadcastReader,
        out: &mut Collector<U>,
    ) -> Result<()> {
        let _ = (time, domain, context, broadcast, out);
        Ok(())
    }

    /// Releases what the instance holds; called once, also after errors.
    fn close(&mut self) {}
}

/// The right to read broadcast state.
pub struct BroadcastReader {
    pub(crate) _private: (),
}

impl BroadcastReader {
    /// Shows a broadcast state.
    pub fn state<'s, BK: Data + Ord, BV: Data>(
        &self,
        handle: &'s BroadcastHandle<BK, BV>,
    ) -> Ref<'s, BroadcastState<BK, BV>> {
        handle.state.borrow()
    }
}

/// Where a function declares its states; `K` is `()` where the other side is not keyed.
pub struct BroadcastOpenContext<'a, K = ()> {
    pub(crate) runtime: &'a RuntimeContext,
    pub(crate) states: &'a States,
    pub(crate) keyed: Option<&'a mut KeyedStates<K>>,
}

impl<K: Key> BroadcastOpenContext<'_, K> {
    /// The job, as seen from this instance: parameters, services, metrics, accumulators, state without keys.
    pub fn runtime(&self) -> &RuntimeContext {
        self.runtime
    }

    /// The facts about this instance.
    pub fn info(&self) -> &InstanceInfo {
        self.runtime.info()
    }

    /// The clock of the job.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        self.runtime.clock()
    }

    /// A map that is equal in all instances.
    ///
    /// # Errors
    /// If the operator has another state of that name, or the name begins with `__`.
    pub fn broadcast_state<BK: Data + Ord, BV: Data>(
        &mut self,
        name: &str,
    ) -> Result<BroadcastHandle<BK, BV>> {
        Ok(BroadcastHandle { state: declare_broadcast(self.states, name, self.runtime.info())? })
    }

    /// One value per key of the keyed side.
    ///
    /// # Errors
    /// As for [`BroadcastOpenContext::broadcast_state`], and if the other side is not keyed.
    pub fn value_state<V: Data>(&mut self, name: &str) -> Result<ValueState<V>> {
        match &mut self.keyed {
            Some(keyed) => keyed.value(name, self.runtime.tables()),
            None => Err(eddyline_core::Error::config(format!("there is no key for the state `{name}`"))
                .with_hint("call key_by before connect_broadcast to have state per key")),
        }
    }

    /// A list per key of the keyed side.
    ///
    /// # Errors
    /// As for [`BroadcastOpenContext::value_state`].
    pub fn list_state<V: Data>(&mut self, name: &str) -> Result<ListState<V>> {
        Ok(ListState::new(self.value_state(name)?))
    }

    /// A map per key of the keyed side.
    ///
    /// # Errors
    /// As for [`BroadcastOpenContext::value_state`].
    pub fn map_state<UK: Data + Ord, V: Data>(&mut self, name: &str) -> Result<MapState<UK, V>> {
        Ok(MapState::new(self.value_state(name)?))
    }
}

/// What may be asked while a record of the side that is not broadcast is processed: all that a [`ProcessContext`]
/// answers, to which this dereferences, and the broadcast states.
pub struct BroadcastReadContext<'a> {
    pub(crate) process: ProcessContext<'a>,
}

impl BroadcastReadContext<'_> {
    /// Shows a broadcast state.
    pub fn state<'s, BK: Data + Ord, BV: Data>(
        &self,
        handle: &'s BroadcastHandle<BK, BV>,
    ) -> Ref<'s, BroadcastState<BK, BV>> {
        handle.state.borrow()
    }
}

impl<'a> Deref for BroadcastReadContext<'a> {
    type Target = ProcessContext<'a>;

    fn deref(&self) -> &ProcessContext<'a> {
        &self.process
    }
}

impl<'a> DerefMut for BroadcastReadContext<'a> {
    fn deref_mut(&mut self) -> &mut ProcessContext<'a> {
        &mut self.process
    }
}

/// What may be asked while a record of the broadcast side is processed: all that a [`ProcessContext`] answers, to which
/// this dereferences; and the broadcast states may be changed.
pub struct BroadcastContext<'a> {
    pub(crate) process: ProcessContext<'a>,
}

impl BroadcastContext<'_> {
    /// Lets a broadcast state be changed.
    pub fn state<'s, BK: Data + Ord, BV: Data>(
        &self,
        handle: &'s BroadcastHandle<BK, BV>,
    ) -> RefMut<'s, BroadcastState<BK, BV>> {
        handle.state.borrow_mut()
    }
}

impl<'a> Deref for BroadcastContext<'a> {
    type Target = ProcessContext<'a>;

    fn deref(&self) -> &ProcessContext<'a> {
        &self.process
    }
}

impl<'a> DerefMut for BroadcastContext<'a> {
    fn deref_mut(&mut self) -> &mut ProcessContext<'a> {
        &mut self.process
    }
}

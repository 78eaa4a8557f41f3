//! What is kept of a window's records, and what is made of it when the window fires.

use super::super::function::{Elements, ProcessWindowFunction, WindowContext, WindowOpenContext};
use super::super::{Aggregator, Evictor, EvictorContext, TimestampedValue, Window, WindowResult};
use super::pane::Contents;
use crate::function::Collector;
use eddyline_core::{Data, EventTime, Key, Result};
use std::marker::PhantomData;
use std::sync::Arc;

/// An evictor, if there is one.
pub(crate) type SomeEvictor<T, W> = Option<Arc<dyn Evictor<T, W>>>;

/// How records become contents, and contents results.
pub(crate) trait WindowContents<K: Key, W: Window, T: Data>: 'static {
    /// What incremental functions keep.
    type Folded: Data;
    /// What comes out.
    type Output: Data;

    fn open(&mut self, context: &mut WindowOpenContext<'_, '_, K, W>) -> Result<()>;

    fn add(&self, contents: &mut Option<Contents<T, Self::Folded>>, value: T, timestamp: EventTime);

    /// Adds `later` to `earlier`.
    fn merge(&self, earlier: &mut Contents<T, Self::Folded>, later: Contents<T, Self::Folded>);

    fn fire(
        &mut self,
        key: &K,
        contents: &mut Contents<T, Self::Folded>,
        evicting: &EvictorContext,
        context: &mut WindowContext<'_, W>,
        out: &mut Collector<Self::Output>,
    ) -> Result<()>;

    fn clear(&mut self, key: &K, context: &mut WindowContext<'_, W>) -> Result<()>;

    fn close(&mut self);
}

/// What becomes of the result of an incremental function.
pub(crate) trait Finish<K: Key, W: Window, V, U: Data>: 'static {
    fn open(&mut self, context: &mut WindowOpenContext<'_, '_, K, W>) -> Result<()>;

    fn finish(
        &mut self,
        key: &K,
        value: V,
        context: &mut WindowContext<'_, W>,
        out: &mut Collector<U>,
    ) -> Result<()>;

    fn clear(&mut self, key: &K, context: &mut WindowContext<'_, W>) -> Result<()>;

    fn close(&mut self);
}

/// It leaves as it is, with its key and its window.
pub(crate) struct AsRow;

impl<K: Key, W: Window, V: Data> Finish<K, W, V, WindowResult<K, V, W>> for AsRow {
    fn open(&mut self, _: &mut WindowOpenContext<'_, '_, K, W>) -> Result<()> {
        Ok(())
    }

    fn finish(
        &mut self,
        key: &K,
        value: V,
        context: &mut WindowContext<'_, W>,
        out: &mut Collector<WindowResult<K, V, W>>,
    ) -> Result<()> {
        out.collect(WindowResult { key: key.clone(), window: context.window().clone(), value });
        Ok(())
    }

    fn clear(&mut self, _: &K, _: &mut WindowContext<'_, W>) -> Result<()> {
        Ok(())
    }

    fn close(&mut self) {}
}

/// A function is given it.
pub(crate) struct Given<F>(pub(crate) F);

impl<K: Key, W: Window, V: Data, U: Data, F: ProcessWindowFunction<K, W, V, U>> Finish<K, W, V, U>
    for Given<F>
{
    fn open(&mut self, context: &mut WindowOpenContext<'_, '_, K, W>) -> Result<()> {
        self.0.open(context)
    }

    fn finish(
        &mut self,
        key: &K,
        value: V,
        context: &mut WindowContext<'_, W>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        let only = TimestampedValue { value, timestamp: context.window().max_timestamp() };
        self.0.process(key, Elements::from(std::slice::from_ref(&only)), context, out)
    }

    fn clear(&mut self, key: &K, context: &mut WindowContext<'_, W>) -> Result<()> {
        self.0.clear(key, context)
    }

    fn close(&mut self) {
        self.0.close();
    }
}

fn list<T, S>(contents: &mut Option<Contents<T, S>>, value: T, timestamp: EventTime) {
    let element = TimestampedValue { value, timestamp };
    match contents {
        Some(Contents::Listed(elements)) => elements.push(element),
        other => *other = Some(Contents::Listed(vec![element])),
    }
}

/// Records are folded as they come; with an evictor, when the window fires.
pub(crate) struct Incremental<T, W, G, N, U> {
    pub(crate) aggregator: G,
    pub(crate) finish: N,
    pub(crate) evictor: SomeEvictor<T, W>,
    pub(crate) _output: PhantomData<fn() -> U>,
}

impl<K, W, T, G, N, U> WindowContents<K, W, T> for Incremental<T, W, G, N, U>
where
    K: Key,
    W: Window,
    T: Data,
    G: Aggregator<Input = T>,
    N: Finish<K, W, G::Output, U>,
    U: Data,
{
    type Folded = G::State;
    type Output = U;

    fn open(&mut self, context: &mut WindowOpenContext<'_, '_, K, W>) -> Result<()> {
        self.finish.open(context)
    }

    fn add(&self, contents: &mut Option<Contents<T, G::State>>, value: T, timestamp: EventTime) {
        if self.evictor.is_some() {
            return list(contents, value, timestamp);
        }
        if let Some(Contents::Folded(state)) = contents {
            return self.aggregator.add(state, value);
        }
        let mut state = self.aggregator.create();
        self.aggregator.add(&mut state, value);
        *contents = Some(Contents::Folded(state));
    }

    fn merge(&self, earlier: &mut Contents<T, G::State>, later: Contents<T, G::State>) {
        match (earlier, later) {
            (Contents::Folded(state), Contents::Folded(other)) => self.aggregator.merge(state, &other),
            (Contents::Listed(elements), Contents::Listed(others)) => elements.extend(others),
            // The program was restarted with an evictor, or without the one it had.
            (Contents::Folded(state), Contents::Listed(others)) => {
                others.into_iter().for_each(|other| self.aggregator.add(state, other.value));
            }
            (earlier @ Contents::Listed(_), folded) => {
                let listed = std::mem::replace(earlier, folded);
                self.merge(earlier, listed);
            }
        }
    }

    fn fire(
        &mut self,
        key: &K,
        contents: &mut Contents<T, G::State>,
        evicting: &EvictorContext,
        context: &mut WindowContext<'_, W>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        let elements = match contents {
            Contents::Folded(state) => {
                return self.finish.finish(key, self.aggregator.result(state), context, out);
            }
            Contents::Listed(elements) => elements,
        };
        if let Some(evictor) = &self.evictor {
            evictor.evict_before(elements, context.window, evicting);
        }
        if !elements.is_empty() {
            let mut state = self.aggregator.create();
            elements.iter().for_each(|element| self.aggregator.add(&mut state, element.value.clone()));
            self.finish.finish(key, self.aggregator.result(&state), context, out)?;
        }
        if let Some(evictor) = &self.evictor {
            evictor.evict_after(elements, context.window, evicting);
        }
        Ok(())
    }

    fn clear(&mut self, key: &K, context: &mut WindowContext<'_, W>) -> Result<()> {
        self.finish.clear(key, context)
    }

    fn close(&mut self) {
        self.finish.close();
    }
}

/// All records are kept, and a function is given them.
pub(crate) struct Whole<T, W, F, U> {
    pub(crate) function: F,
    pub(crate) evictor: SomeEvictor<T, W>,
    pub(crate) _output: PhantomData<fn() -> U>,
}

impl<K, W, T, F, U> WindowContents<K, W, T> for Whole<T, W, F, U>
where
    K: Key,
    W: Window,
    T: Data,
    F: ProcessWindowFunction<K, W, T, U>,
    U: Data,
{
    type Folded = ();
    type Output = U;

    fn open(&mut self, context: &mut WindowOpenContext<'_, '_, K, W>) -> Result<()> {
        self.function.open(context)
    }

    fn add(&self, contents: &mut Option<Contents<T, ()>>, value: T, timestamp: EventTime) {
        list(contents, value, timestamp);
    }

    fn merge(&self, earlier: &mut Contents<T, ()>, later: Contents<T, ()>) {
        if let (Contents::Listed(elements), Contents::Listed(others)) = (earlier, later) {
            elements.extend(others);
        }
    }

    fn fire(
        &mut self,
        key: &K,
        contents: &mut Contents<T, ()>,
        evicting: &EvictorContext,
        context: &mut WindowContext<'_, W>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        let Contents::Listed(elements) = contents else { return Ok(()) };
        if let Some(evictor) = &self.evictor {
            evictor.evict_before(elements, context.window, evicting);
        }
        self.function.process(key, Elements::from(&elements[..]), context, out)?;
        if let Some(evictor) = &self.evictor {
            evictor.evict_after(elements, context.window, evicting);
        }
        Ok(())
    }

    fn clear(&mut self, key: &K, context: &mut WindowContext<'_, W>) -> Result<()> {
        self.function.clear(key, context)
    }

    fn close(&mut self) {
        self.function.close();
    }
}

//! Functions on two streams of different types.

use super::{Collector, KeyedContext, KeyedOpenContext, ProcessContext, RuntimeContext, TimeDomain};
use eddyline_core::{Data, Key, Result};

/// A function that sees every record of two streams. Records of the two come in any order.
///
/// # Examples
/// ```
/// use eddyline::{CoProcessFunction, Collector, Environment, ProcessContext, Result};
///
/// /// Writes down numbers and words in one list.
/// struct Both;
///
/// impl CoProcessFunction<u64, String, String> for Both {
///     fn process_element1(
///         &mut self,
///         number: u64,
///         _context: &mut ProcessContext<'_>,
///         out: &mut Collector<String>,
///     ) -> Result<()> {
///         out.collect(number.to_string());
///         Ok(())
///     }
///
///     fn process_element2(
///         &mut self,
///         word: String,
///         _context: &mut ProcessContext<'_>,
///         out: &mut Collector<String>,
///     ) -> Result<()> {
///         out.collect(word);
///         Ok(())
///     }
/// }
///
/// let environment = Environment::new();
/// let numbers = environment.from_collection(vec![1u64]);
/// let words = environment.from_collection(vec!["one".to_string()]);
/// let both = numbers.connect(&words).process(|| Both).collect();
/// environment.execute("both")?;
/// assert_eq!(both.len(), 2);
/// # Ok::<(), eddyline::Error>(())
/// ```
pub trait CoProcessFunction<A: Data, B: Data, U: Data>: 'static {
    /// Prepares the instance; called once, before anything else. States and accumulators are declared here; what a
    /// checkpoint holds for them is there from [`CoProcessFunction::restored`] on.
    ///
    /// # Errors
    /// End the attempt.
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// The states hold what was restored; also called when there was nothing to restore.
    ///
    /// # Errors
    /// End the attempt.
    fn restored(&mut self) -> Result<()> {
        Ok(())
    }

    /// Takes a record of the first stream.
    ///
    /// # Errors
    /// End the attempt, naming operator and record.
    fn process_element1(
        &mut self,
        value: A,
        context: &mut ProcessContext<'_>,
        out: &mut Collector<U>,
    ) -> Result<()>;

    /// Takes a record of the second stream.
    ///
    /// # Errors
    /// End the attempt, naming operator and record.
    fn process_element2(
        &mut self,
        value: B,
        context: &mut ProcessContext<'_>,
        out: &mut Collector<U>,
    ) -> Result<()>;

    /// A checkpoint is taken: brings the states up to date with what the function keeps in its fields.
    ///
    /// # Errors
    /// End the attempt.
    fn snapshot(&mut self) -> Result<()> {
        Ok(())
    }

    /// The input has ended: the last chance to emit something, without a timestamp of its own.
    ///
    /// # Errors
    /// End the attempt.
    fn finish(&mut self, out: &mut Collector<U>) -> Result<()> {
        let _ = out;
        Ok(())
    }

    /// Releases what the instance holds; called once, also after errors.
    fn close(&mut self) {}
}

/// A function that sees every record of two streams with the same keys, and shares the state and the timers of a key
/// between them. Records of the two come in any order.
///
/// # Examples
/// ```
/// use eddyline::{
///     Collector, Environment, KeyedCoProcessFunction, KeyedContext, KeyedOpenContext, Result, ValueState,
/// };
///
/// /// Says what an order costs as soon as it has been paid.
/// #[derive(Default)]
/// struct Paid {
///     price: Option<ValueState<u64>>,
/// }
///
/// impl KeyedCoProcessFunction<u64, (u64, u64), u64, (u64, u64)> for Paid {
///     fn open(&mut self, context: &mut KeyedOpenContext<'_, u64>) -> Result<()> {
///         self.price = Some(context.value_state("price")?);
///         Ok(())
///     }
///
///     fn process_element1(
///         &mut self,
///         (order, price): (u64, u64),
///         _context: &mut KeyedContext<'_, u64>,
///         out: &mut Collector<(u64, u64)>,
///     ) -> Result<()> {
///         let Some(known) = &self.price else { return Ok(()) };
///         match known.take() {
///             // The payment came first.
///             Some(_) => out.collect((order, price)),
///             None => known.update(price),
///         }
///         Ok(())
///     }
///
///     fn process_element2(
///         &mut self,
///         order: u64,
///         _context: &mut KeyedContext<'_, u64>,
///         out: &mut Collector<(u64, u64)>,
///     ) -> Result<()> {
///         let Some(known) = &self.price else { return Ok(()) };
///         match known.take() {
///             Some(price) => out.collect((order, price)),
///             None => known.update(0),
///         }
///         Ok(())
///     }
/// }
///
/// let environment = Environment::new();
/// let orders = environment.from_collection(vec![(7u64, 30u64), (8, 40)]);
/// let payments = environment.from_collection(vec![8u64]);
/// let paid = orders
///     .key_by(|(order, _)| *order)
///     .connect(&payments.key_by(|order| *order))
///     .process(Paid::default)
///     .collect();
/// environment.execute("paid")?;
/// assert_eq!(paid.rows(), [(8, 40)]);
/// # Ok::<(), eddyline::Error>(())
/// ```
pub trait KeyedCoProcessFunction<K: Key, A: Data, B: Data, U: Data>: 'static {
    /// Declares the states; called once per instance, before anything else.
    ///
    /// # Errors
    /// End the attempt.
    fn open(&mut self, context: &mut KeyedOpenContext<'_, K>) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Takes a record of the first stream; its key is the current one.
    ///
    /// # Errors
    /// End the attempt, naming operator and record.
    fn process_element1(
        &mut self,
        value: A,
        context: &mut KeyedContext<'_, K>,
        out: &mut Collector<U>,
    ) -> Result<()>;

    /// Takes a record of the second stream; its key is the current one.
    ///
    /// # Errors
    /// End the attempt, naming operator and record.
    fn process_element2(
        &mut self,
        value: B,
        context: &mut KeyedContext<'_, K>,
        out: &mut Collector<U>,
    ) -> Result<()>;

    /// A timer is due; the key it was registered for is the current one. As for
    /// [`KeyedProcessFunction::on_timer`](super::KeyedProcessFunction::on_timer).
    ///
    /// # Errors
    /// End the attempt.
    fn on_timer(
        &mut self,
        time: i64,
        domain: TimeDomain,
        context: &mut KeyedContext<'_, K>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        let _ = (time, domain, context, out);
        Ok(())
    }

    /// Releases what the instance holds; called once, also after errors.
    fn close(&mut self) {}
}

/// A map of two streams to one, with a life of its own. For closures, see
/// [`ConnectedStreams::map`](crate::stream::ConnectedStreams::map).
pub trait CoMapFunction<A: Data, B: Data, U: Data>: 'static {
    /// Prepares the instance; called once, before anything else.
    ///
    /// # Errors
    /// End the attempt.
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Makes a value of one of the first stream.
    ///
    /// # Errors
    /// End the attempt, naming operator and record.
    fn map1(&mut self, value: A) -> Result<U>;

    /// Makes a value of one of the second stream.
    ///
    /// # Errors
    /// End the attempt, naming operator and record.
    fn map2(&mut self, value: B) -> Result<U>;

    /// Releases what the instance holds; called once, also after errors.
    fn close(&mut self) {}
}

/// A flat map of two streams to one, with a life of its own. For closures, see
/// [`ConnectedStreams::flat_map`](crate::stream::ConnectedStreams::flat_map).
pub trait CoFlatMapFunction<A: Data, B: Data, U: Data>: 'static {
    /// Prepares the instance; called once, before anything else.
    ///
    /// # Errors
    /// End the attempt.
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Emits any number of values for one of the first stream.
    ///
    /// # Errors
    /// End the attempt, naming operator and record.
    fn flat_map1(&mut self, value: A, out: &mut Collector<U>) -> Result<()>;

    /// Emits any number of values for one of the second stream.
    ///
    /// # Errors
    /// End the attempt, naming operator and record.
    fn flat_map2(&mut self, value: B, out: &mut Collector<U>) -> Result<()>;

    /// Releases what the instance holds; called once, also after errors.
    fn close(&mut self) {}
}

/// A [`CoMapFunction`] as a process function.
pub(crate) struct CoMapped<F>(pub(crate) F);

impl<A: Data, B: Data, U: Data, F: CoMapFunction<A, B, U>> CoProcessFunction<A, B, U> for CoMapped<F> {
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        self.0.open(context)
    }

    fn process_element1(
        &mut self,
        value: A,
        _: &mut ProcessContext<'_>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        out.collect(self.0.map1(value)?);
        Ok(())
    }

    fn process_element2(
        &mut self,
        value: B,
        _: &mut ProcessContext<'_>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        out.collect(self.0.map2(value)?);
        Ok(())
    }

    fn close(&mut self) {
        self.0.close();
    }
}

/// A [`CoFlatMapFunction`] as a process function.
pub(crate) struct CoFlatMapped<F>(pub(crate) F);

impl<A: Data, B: Data, U: Data, F: CoFlatMapFunction<A, B, U>> CoProcessFunction<A, B, U>
    for CoFlatMapped<F>
{
    fn open(&mut self, context: &mut RuntimeContext) -> Result<()> {
        self.0.open(context)
    }

    fn process_element1(
        &mut self,
        value: A,
        _: &mut ProcessContext<'_>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        self.0.flat_map1(value, out)
    }

    fn process_element2(
        &mut self,
        value: B,
        _: &mut ProcessContext<'_>,
        out: &mut Collector<U>,
    ) -> Result<()> {
        self.0.flat_map2(value, out)
    }

    fn close(&mut self) {
        self.0.close();
    }
}

/// Two closures as a function on two streams.
pub(crate) struct CoClosures<F, G>(pub(crate) F, pub(crate) G);

impl<A, B, U, F, G> CoFlatMapFunction<A, B, U> for CoClosures<F, G>
where
    A: Data,
    B: Data,
    U: Data,
    F: FnMut(A, &mut Collector<U>) + 'static,
    G: FnMut(B, &mut Collector<U>) + 'static,
{
    fn flat_map1(&mut self, value: A, out: &mut Collector<U>) -> Result<()> {
        (self.0)(value, out);
        Ok(())
    }

    fn flat_map2(&mut self, value: B, out: &mut Collector<U>) -> Result<()> {
        (self.1)(value, out);
        Ok(())
    }
}

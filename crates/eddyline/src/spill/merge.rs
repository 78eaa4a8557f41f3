//! Reading what was spilled: merged in order, or one run after the other.

use super::run::RunReader;
use eddyline_core::{Data, Result};
use std::cmp::Ordering;
use std::sync::Arc;

/// How records are sorted.
pub(crate) type Order<T> = Arc<dyn Fn(&T, &T) -> Ordering + Send + Sync>;

/// Sorted records.
pub(super) enum Source<T> {
    Run(RunReader<T>),
    Rows(std::vec::IntoIter<T>),
}

impl<T: Data> Source<T> {
    fn next(&mut self) -> Result<Option<T>> {
        match self {
            Source::Run(run) => run.next(),
            Source::Rows(rows) => Ok(rows.next()),
        }
    }
}

/// Sorted sources as one; of equal records those of an earlier source come first.
pub(crate) struct Merge<T> {
    sources: Vec<Source<T>>,
    /// The next record of each source.
    heads: Vec<Option<T>>,
    /// A binary heap of the sources that have one.
    heap: Vec<usize>,
    order: Order<T>,
}

impl<T: Data> Merge<T> {
    pub(super) fn new(mut sources: Vec<Source<T>>, order: Order<T>) -> Result<Self> {
        let heads = sources.iter_mut().map(Source::next).collect::<Result<Vec<_>>>()?;
        let heap: Vec<usize> = (0..heads.len()).filter(|source| heads[*source].is_some()).collect();
        let mut merge = Merge { sources, heads, heap, order };
        for parent in (0..merge.heap.len() / 2).rev() {
            merge.sift_down(parent);
        }
        Ok(merge)
    }

    /// The next record, not yet taken.
    pub(crate) fn peek(&self) -> Option<&T> {
        self.heap.first().and_then(|source| self.heads[*source].as_ref())
    }

    /// The next record.
    pub(crate) fn next(&mut self) -> Result<Option<T>> {
        let Some(source) = self.heap.first().copied() else { return Ok(None) };
        let following = self.sources[source].next()?;
        if following.is_none() {
            self.heap.swap_remove(0);
        }
        let next = std::mem::replace(&mut self.heads[source], following);
        self.sift_down(0);
        Ok(next)
    }

    fn is_before(&self, one: usize, other: usize) -> bool {
        match (&self.heads[one], &self.heads[other]) {
            (Some(left), Some(right)) => (self.order)(left, right).then(one.cmp(&other)).is_lt(),
            (left, _) => left.is_some(),
        }
    }

    fn sift_down(&mut self, mut parent: usize) {
        loop {
            let (left, right) = (2 * parent + 1, 2 * parent + 2);
            let mut least = parent;
            for child in [left, right] {
                if child < self.heap.len() && self.is_before(self.heap[child], self.heap[least]) {
                    least = child;
                }
            }
            if least == parent {
                return;
            }
            self.heap.swap(parent, least);
            parent = least;
        }
    }
}

/// Records in the order of their arrival, once.
pub(crate) struct Sequence<T> {
    runs: std::vec::IntoIter<RunReader<T>>,
    run: Option<RunReader<T>>,
    rows: std::vec::IntoIter<T>,
}

impl<T: Data> Sequence<T> {
    pub(super) fn new(runs: Vec<RunReader<T>>, rows: Vec<T>) -> Self {
        Sequence { runs: runs.into_iter(), run: None, rows: rows.into_iter() }
    }

    /// The next record.
    pub(crate) fn next(&mut self) -> Result<Option<T>> {
        loop {
            if let Some(run) = &mut self.run
                && let Some(value) = run.next()?
            {
                return Ok(Some(value));
            }
            self.run = self.runs.next();
            if self.run.is_none() {
                return Ok(self.rows.next());
            }
        }
    }
}

/// Records in the order of their arrival; can be read again.
pub(crate) struct Repeatable<T> {
    runs: Vec<RunReader<T>>,
    rows: Vec<T>,
    run: usize,
    row: usize,
}

impl<T: Data> Repeatable<T> {
    pub(super) fn new(runs: Vec<RunReader<T>>, rows: Vec<T>) -> Self {
        Repeatable { runs, rows, run: 0, row: 0 }
    }

    /// The next record.
    pub(crate) fn next(&mut self) -> Result<Option<T>> {
        while let Some(run) = self.runs.get_mut(self.run) {
            if let Some(value) = run.next()? {
                return Ok(Some(value));
            }
            run.release();
            self.run += 1;
        }
        let value = self.rows.get(self.row).cloned();
        self.row += usize::from(value.is_some());
        Ok(value)
    }

    /// Begins again.
    pub(crate) fn rewind(&mut self) {
        if let Some(run) = self.runs.get_mut(self.run) {
            run.rewind();
        }
        (self.run, self.row) = (0, 0);
    }
}

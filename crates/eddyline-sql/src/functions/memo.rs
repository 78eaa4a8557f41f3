//! What a function that is dear to compute gave for texts before: URLs, paths and agents come again and again.
//!
//! A memo belongs to a thread and to what is computed. It is bounded, and rests for a while when its texts do not repeat.

use eddyline_core::stable_hash;
use hashbrown::HashTable;
use std::cell::RefCell;

/// Texts that are remembered, and the length up to which they are.
const TEXTS_MAX: usize = 16_384;
const LENGTH_MAX: usize = 512;
/// Things that are computed and remembered on a thread.
const MEMOS_MAX: usize = 64;
/// Questions after which it is decided whether remembering pays.
const TRIAL: u64 = 8_192;
/// Batches for which a memo that does not pay rests.
const REST: u32 = 256;

thread_local! {
    static MEMOS: RefCell<Vec<(String, Memo)>> = const { RefCell::new(Vec::new()) };
}

/// A part of a text, as its bytes from the one to the other; none if there is no such part.
type Part = Option<(usize, usize)>;

/// Parts of texts.
#[derive(Debug, Default)]
pub(super) struct Memo {
    known: HashTable<(String, Part)>,
    asked: u64,
    found: u64,
    rests: u32,
}

impl Memo {
    /// The memo of what `computed` names, for one batch of rows.
    pub(super) fn take(computed: &str) -> Self {
        MEMOS.with_borrow_mut(|memos| {
            let place = memos.iter().position(|(known, _)| known == computed);
            place.map(|place| memos.swap_remove(place).1).unwrap_or_default()
        })
    }

    /// Keeps the memo for the next batch.
    pub(super) fn keep(mut self, computed: String) {
        self.rests = self.rests.saturating_sub(1);
        if self.asked >= TRIAL {
            if self.found * 2 < self.asked {
                self.known = HashTable::new();
                self.rests = REST;
            }
            (self.asked, self.found) = (0, 0);
        }
        MEMOS.with_borrow_mut(|memos| {
            if memos.len() < MEMOS_MAX {
                memos.push((computed, self));
            }
        });
    }

    /// What `compute` gives for `text`.
    #[inline]
    pub(super) fn part(&mut self, text: &str, compute: impl FnOnce(&str) -> Part) -> Part {
        if self.rests > 0 || text.len() > LENGTH_MAX {
            return compute(text);
        }
        self.asked += 1;
        let hash = stable_hash(text.as_bytes());
        if let Some((_, part)) = self.known.find(hash, |(known, _)| known == text) {
            self.found += 1;
            return *part;
        }
        let part = compute(text);
        if self.known.len() >= TEXTS_MAX {
            self.known.clear();
        }
        let rehash = |(known, _): &(String, Part)| stable_hash(known.as_bytes());
        self.known.insert_unique(hash, (text.to_owned(), part), rehash);
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_is_computed_once_and_what_does_not_is_not_kept() {
        let mut computed = 0;
        for batch in 0..3 {
            let mut memo = Memo::take("length");
            for row in 0..10_000 {
                let text = format!("text {}", row % 10);
                let part = memo.part(&text, |text| {
                    computed += 1;
                    Some((0, text.len()))
                });
                assert_eq!(part, Some((0, 6)), "batch {batch}");
            }
            memo.keep("length".into());
        }
        assert_eq!(computed, 10);
        let mut memo = Memo::take("others");
        (0..10_000).for_each(|row| assert_eq!(memo.part(&row.to_string(), |_| None), None));
        memo.keep("others".into());
        let memo = Memo::take("others");
        assert!(memo.rests > 0 && memo.known.is_empty());
    }
}

//! Which windows of a key become one when a window is added.

use super::super::{MergeWindows, Window};
use super::pane::OpenWindow;

/// What adding a window to the open ones comes to.
#[derive(Debug, PartialEq)]
pub(super) struct Merge<W> {
    /// The window that there is then.
    pub(super) result: W,
    /// The windows that it is made of, beside the new one, by their ends.
    pub(super) merged: Vec<OpenWindow<W>>,
}

impl<W: Window> Merge<W> {
    /// Adds `window` to `open`.
    pub(super) fn plan(open: &[OpenWindow<W>], window: &W, merge: MergeWindows<W>) -> Self {
        // A key has one window open most of the time.
        if let [only] = open {
            return match merge(window, &only.window) {
                Some(both) => Merge { result: both, merged: vec![only.clone()] },
                None => Merge { result: window.clone(), merged: Vec::new() },
            };
        }
        let mut result = window.clone();
        let mut is_merged = vec![false; open.len()];
        let mut merged = Vec::new();
        // What has been merged may merge with what the new window alone did not.
        let mut goes_on = true;
        while goes_on {
            goes_on = false;
            for (other, is_merged) in open.iter().zip(&mut is_merged) {
                if !*is_merged && let Some(both) = merge(&result, &other.window) {
                    result = both;
                    *is_merged = true;
                    goes_on = true;
                    merged.push(other.clone());
                }
            }
        }
        merged.sort_by_key(|other| other.window.max_timestamp());
        Merge { result, merged }
    }

    /// The one open window that the new one lies within, if that is all there is to it.
    pub(super) fn within(&self) -> Option<&OpenWindow<W>> {
        match self.merged.as_slice() {
            [only] if only.window == self.result => Some(only),
            _ => None,
        }
    }

    /// Replaces what was merged by the result, whose pane is kept under `kept_under`.
    pub(super) fn apply(&self, open: &mut Vec<OpenWindow<W>>, kept_under: W) {
        open.retain(|other| !self.merged.contains(other));
        open.push(OpenWindow { window: self.result.clone(), kept_under });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::{EventTimeSessionWindows, TimeWindow, WindowAssigner};
    use std::time::Duration;

    #[test]
    fn a_window_merges_with_all_that_it_touches() {
        let sessions = EventTimeSessionWindows::with_gap(Duration::from_millis(10));
        let merge = WindowAssigner::<()>::merging(&sessions).unwrap();
        let window = |start, end| TimeWindow { start, end };
        let open = |start, end| OpenWindow { window: window(start, end), kept_under: window(start, end) };
        let known = vec![open(30, 40), open(0, 10), open(50, 60)];
        let alone = Merge::plan(&known, &window(11, 21), merge);
        assert_eq!(alone, Merge { result: window(11, 21), merged: vec![] });
        let bridge = Merge::plan(&known, &window(10, 30), merge);
        assert_eq!(bridge, Merge { result: window(0, 40), merged: vec![open(0, 10), open(30, 40)] });
        let mut applied = known.clone();
        bridge.apply(&mut applied, window(0, 10));
        assert_eq!(applied.len(), 2);
        let inner = Merge::plan(&known, &window(51, 60), merge);
        assert_eq!(inner.within(), Some(&open(50, 60)));
        assert!(bridge.within().is_none() && alone.within().is_none());
    }
}

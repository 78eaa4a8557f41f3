//! What the function of an instance says about state whose types have changed, between `open` and the restore.

use eddyline_state::Migration;
use std::cell::RefCell;
use std::rc::Rc;

/// The migrations of one operator instance. Clones share them.
#[derive(Clone, Default)]
pub struct Migrations(Rc<RefCell<Vec<Migration>>>);

impl Migrations {
    /// Adds a migration; of several for one state the first that takes what was written is applied.
    pub fn add(&self, migration: Migration) {
        self.0.borrow_mut().push(migration);
    }

    /// Takes all of them out, for the restore.
    pub(crate) fn take(&self) -> Vec<Migration> {
        self.0.take()
    }
}

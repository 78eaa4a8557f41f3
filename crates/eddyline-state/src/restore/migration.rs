//! What a user says about values whose type has changed beyond the rules.

use super::same_layout;
use crate::ttl;
use eddyline_core::data::to_bytes;
use eddyline_core::{Data, DataType, DecodeError, Reader, Result, Value};
use std::sync::Arc;

/// How values of a state that were written as one type become values of another.
///
/// It is applied to a state of that name whose values were written with exactly the layout of the old type, times to
/// live aside, and to whole values: that of a list state is a `Vec`, that of a map state a `BTreeMap`.
///
/// # Examples
/// ```
/// use eddyline_state::Migration;
///
/// let seconds_to_text = Migration::new("due", |seconds: u64| Ok(format!("{seconds} s")));
/// assert_eq!(seconds_to_text.state(), "due");
/// ```
#[derive(Clone)]
pub struct Migration {
    state: String,
    from: DataType,
    apply: Arc<dyn Fn(Value) -> Result<Value, DecodeError> + Send + Sync>,
}

impl Migration {
    /// Values of the state `state` that were written as `Old` become what `migrate` makes of them; an error of it ends
    /// the restore.
    pub fn new<Old: Data, New: Data>(
        state: impl Into<String>,
        migrate: impl Fn(Old) -> Result<New> + Send + Sync + 'static,
    ) -> Self {
        let to = New::schema();
        let apply = move |written: Value| {
            let new = migrate(Old::from_value(written)?)
                .map_err(|error| DecodeError::new(format!("the migration failed: {error}")))?;
            Value::decode(&to, &mut Reader::new(&to_bytes(&new)))
        };
        Migration { state: state.into(), from: Old::schema(), apply: Arc::new(apply) }
    }

    /// The name of the state.
    pub fn state(&self) -> &str {
        &self.state
    }

    /// Whether it is meant for values of the state `state` that were written as `written`.
    pub(super) fn takes(&self, state: &str, written: &DataType) -> bool {
        self.state == state && same_layout(&self.from, &ttl::without_times(written))
    }

    /// The value as it is now, with the times of before where its parts are the same.
    pub(super) fn apply(&self, written: Value) -> Result<Value, DecodeError> {
        let (value, times) = ttl::split_times(written)?;
        Ok(ttl::join_times((self.apply)(value)?, times))
    }
}

//! Whether a job gives results as it goes or at its end.

use eddyline_core::{Error, Result};

/// How results come: `execution.runtime-mode`.
///
/// # Examples
/// ```
/// use eddyline::{Environment, RuntimeMode};
///
/// let mut environment = Environment::new();
/// environment.options_mut().set("execution.runtime-mode", "batch")?;
/// assert_eq!(environment.options().runtime_mode, RuntimeMode::Batch);
/// # Ok::<(), eddyline::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RuntimeMode {
    /// As soon as they are there, changes of earlier ones too.
    #[default]
    Streaming,
    /// Final ones, at the end of the input. No periodic checkpoints are taken: after a failure the job begins again.
    Batch,
    /// As `Batch`, if every source says that it ends by itself
    /// ([`SplitSource::is_bounded`](crate::SplitSource::is_bounded)), else as `Streaming`.
    Automatic,
}

impl RuntimeMode {
    pub(super) fn parse(key: &str, text: &str) -> Result<Self> {
        match text.trim().to_ascii_uppercase().as_str() {
            "STREAMING" => Ok(RuntimeMode::Streaming),
            "BATCH" => Ok(RuntimeMode::Batch),
            "AUTOMATIC" => Ok(RuntimeMode::Automatic),
            _ => Err(Error::config(format!("option `{key}` cannot be `{text}`"))
                .with_hint("give `STREAMING`, `BATCH` or `AUTOMATIC`")),
        }
    }

    /// Whether results are to be final only, in a job of which `all_bounded` says whether all of its sources end by themselves.
    pub(super) fn is_batch(self, all_bounded: impl FnOnce() -> bool) -> bool {
        match self {
            RuntimeMode::Streaming => false,
            RuntimeMode::Batch => true,
            RuntimeMode::Automatic => all_bounded(),
        }
    }
}

//! Bugs planted on purpose, to see whether the simulation finds them.
//!
//! Each is one condition in the place where the mistake would be made. Without the feature `simulation` the
//! question is a constant `false`, so the product does not contain them.

/// A mistake that can be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Batches that belong behind a cut are processed before it.
    LostStash,
    /// Sinks are told to commit before COMPLETE is durable.
    EarlyCommit,
    /// What earlier attempts say is believed.
    MissingFence,
    /// Restored operators start without a watermark.
    WatermarkReset,
    /// Restored timers are forgotten.
    LostTimer,
    /// Records on their way round a loop at a cut are not written down.
    DroppedInFlight,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 6] = [
        Bug::LostStash,
        Bug::EarlyCommit,
        Bug::MissingFence,
        Bug::WatermarkReset,
        Bug::LostTimer,
        Bug::DroppedInFlight,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Bug::LostStash => "lost-stash",
            Bug::EarlyCommit => "early-commit",
            Bug::MissingFence => "missing-fence",
            Bug::WatermarkReset => "watermark-reset",
            Bug::LostTimer => "lost-timer",
            Bug::DroppedInFlight => "dropped-in-flight",
        }
    }
}

thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Plants `bug` in everything that runs in this thread from now on; `None` takes it out again.
pub fn plant(bug: Option<Bug>) {
    PLANTED.with(|planted| planted.set(bug));
}

/// Whether `bug` is planted in this thread.
pub(crate) fn is_planted(bug: Bug) -> bool {
    PLANTED.with(|planted| planted.get() == Some(bug))
}

//! What is said at the door of a running job: by `eddyline job`, or any other program, a line of JSON each way.

use crate::failure::FailureReport;
use serde::{Deserialize, Serialize};

/// What somebody wants of a running job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlRequest {
    /// Say how you are.
    Status,
    /// Take a savepoint.
    Savepoint {
        /// In which directory; `None`: where the job's options say.
        directory: Option<String>,
    },
    /// Stop cleanly.
    Stop {
        /// Whether as if the input had ended.
        drain: bool,
    },
    /// Stop cleanly and keep the last state as a savepoint.
    StopWithSavepoint {
        /// In which directory; `None`: where the job's options say.
        directory: Option<String>,
        /// Whether as if the input had ended.
        drain: bool,
    },
    /// Go on with another number of workers.
    Rescale {
        /// Workers, over all processes.
        parallelism: u32,
    },
    /// End at once.
    Cancel,
}

/// What a running job answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlAnswer {
    /// How it is.
    Status(Box<JobSummary>),
    /// The savepoint is whole.
    Savepoint {
        /// Where it is.
        path: String,
    },
    /// It is done, or will be.
    Done,
    /// It cannot be done.
    Refused(Box<FailureReport>),
}

/// How a job is, in short.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSummary {
    /// Its name.
    pub job: String,
    /// The process of its supervisor.
    pub pid: u32,
    /// Where it is in its life: `created`, `running`, `restarting`, `finished`, `failed` or `cancelled`.
    pub state: String,
    /// The newest attempt.
    pub attempt: u64,
    /// How often it was started again.
    pub restarts: u32,
    /// Workers, over all processes.
    pub parallelism: u32,
    /// Checkpoints completed by this supervisor.
    pub checkpoints: u64,
    /// The newest of them.
    pub last_checkpoint: Option<u64>,
    /// Records read by sources in this attempt.
    pub records_in: u64,
    /// Records given to sinks in this attempt.
    pub records_out: u64,
    /// The least watermark, milliseconds since the epoch; `None` before the first.
    pub watermark_ms: Option<i64>,
    /// What the job waits for, if it does.
    pub held_by: Option<String>,
    /// Where its checkpoints are.
    pub checkpoint_dir: Option<String>,
    /// Where its savepoints are written if nobody says where.
    pub savepoint_dir: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_can_be_read_by_other_programs() {
        let request = ControlRequest::StopWithSavepoint { directory: Some("/kept".into()), drain: false };
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(text, r#"{"stop_with_savepoint":{"directory":"/kept","drain":false}}"#);
        assert_eq!(serde_json::from_str::<ControlRequest>(&text).unwrap(), request);
        assert_eq!(serde_json::from_str::<ControlRequest>(r#""status""#).unwrap(), ControlRequest::Status);
    }
}

//! Who may speak: only the current attempt of the same job.

use crate::manifest::AttemptId;
use crate::message::Envelope;

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Of the current attempt: act on it.
    Accept,
    /// Of an attempt that has ended: drop it.
    Stale,
    /// Of a later attempt: the receiver itself has been replaced and must end with
    /// [`Cancelled`](eddyline_core::ErrorKind::Cancelled).
    Superseded,
    /// Of another job: drop it and say so.
    Foreign,
}

/// Judges whether `envelope` belongs to attempt `current_attempt` of `job`.
pub fn fence<M>(job: &str, current_attempt: AttemptId, envelope: &Envelope<M>) -> Verdict {
    if envelope.job != job {
        return Verdict::Foreign;
    }
    match envelope.attempt.cmp(&current_attempt) {
        std::cmp::Ordering::Less => Verdict::Stale,
        std::cmp::Ordering::Equal => Verdict::Accept,
        std::cmp::Ordering::Greater => Verdict::Superseded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::ToWorker;

    #[test]
    fn only_the_current_attempt_of_the_same_job_is_heard() {
        let envelope = Envelope { job: "a".into(), attempt: 5, process: 0, message: ToWorker::Shutdown };
        assert_eq!(fence("a", 5, &envelope), Verdict::Accept);
        assert_eq!(fence("a", 6, &envelope), Verdict::Stale);
        assert_eq!(fence("a", 4, &envelope), Verdict::Superseded);
        assert_eq!(fence("b", 5, &envelope), Verdict::Foreign);
    }
}

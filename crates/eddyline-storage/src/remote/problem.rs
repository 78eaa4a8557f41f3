//! What goes wrong with remote storage, for people, and never with a secret in it.

use eddyline_core::Error;
use std::time::Duration;

/// Most bytes of what a server says that are shown.
const SAID_BYTES_MAX: usize = 400;

/// Explains what went wrong at one location.
#[derive(Clone)]
pub(super) struct Problems {
    location: String,
    /// What must not be shown, whoever says it.
    secrets: Vec<String>,
    /// What to look at when access is refused.
    access_hint: &'static str,
}

impl Problems {
    pub(super) fn new(location: &str, secrets: Vec<String>, access_hint: &'static str) -> Self {
        let location = location.trim_end_matches('/').to_owned();
        // A secret of a few letters would blot out half of every message.
        let secrets = secrets.into_iter().filter(|secret| secret.len() >= 4).collect();
        Problems { location, secrets, access_hint }
    }

    pub(super) fn locate(&self, name: &str) -> String {
        if name.is_empty() { self.location.clone() } else { format!("{}/{name}", self.location) }
    }

    pub(super) fn explain(&self, doing: &str, name: &str, error: &object_store::Error) -> Error {
        let said = self.shown(&error.to_string());
        let (what, hint) = match error {
            _ if said.contains("NoSuchBucket") => {
                ("the bucket does not exist", "make the bucket, or correct the location")
            }
            object_store::Error::NotFound { .. } => {
                ("there is no such object", "check that the location is right and nobody deletes files there")
            }
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                ("the storage refuses access", self.access_hint)
            }
            _ if self.is_refusal(&said) => ("the storage refuses access", self.access_hint),
            object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. } => {
                ("the name is taken", "start the job once only")
            }
            _ => ("the storage does not do it", "check that it can be reached and has room"),
        };
        Error::storage(format!("cannot {doing} an object: {what}"))
            .with_detail(format!("{}: {said}", self.locate(name)))
            .with_hint(hint)
    }

    fn is_refusal(&self, said: &str) -> bool {
        [
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "AccessDenied",
            "403 Forbidden",
            "AccessControlException",
        ]
        .iter()
        .any(|word| said.contains(word))
    }

    pub(super) fn too_late(&self, doing: &str, name: &str, limit: Duration) -> Error {
        Error::storage(format!("cannot {doing} an object: no answer after {} s", limit.as_secs()))
            .with_detail(self.locate(name))
            .with_hint("check the network and the storage's servers")
    }

    pub(super) fn too_short(&self, name: &str, offset: u64, length: u64) -> Error {
        Error::storage("a file is shorter than it should be")
            .with_detail(format!("{}: {length} bytes wanted at byte {offset}", self.locate(name)))
            .with_hint("the file was cut off or replaced: restore from an older checkpoint")
    }

    /// What may be shown of `said`.
    fn shown(&self, said: &str) -> String {
        let mut text = said.replace(['\n', '\r'], " ");
        for secret in &self.secrets {
            text = text.replace(secret, "…");
        }
        if text.len() > SAID_BYTES_MAX {
            let end = (0..=SAID_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
            text.push('…');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_blotted_out_and_long_answers_cut() {
        let problems = Problems::new("s3://b/x/", vec!["hush-hush".into(), "k".into()], "look at the key");
        let source = format!("SignatureDoesNotMatch for hush-hush\n{}", "é".repeat(900));
        let error = object_store::Error::Generic { store: "S3", source: source.into() };
        let report = problems.explain("write", "a/b", &error);
        assert_eq!(report.hint(), Some("look at the key"));
        let text = report.report();
        assert!(!text.contains("hush") && text.contains("s3://b/x/a/b") && text.len() < 900, "{text}");
        let missing = object_store::Error::NotFound { path: "p".into(), source: "NoSuchBucket".into() };
        assert!(problems.explain("list", "", &missing).message().contains("bucket does not exist"));
    }
}

//! The names of a file sink's files.
//!
//! `<prefix>-<sink>-<attempt>-<instance>-<number><suffix>`: the sink's part is a hash of its uid, so that two sinks
//! can share a directory; attempt, instance and number make each name unique. Until it is committed, a file has a
//! dot before and `.inprogress` behind its name. A name may have a bucket before it, the path of a directory.

use eddyline_core::stable_hash;

const PENDING_ENDING: &str = ".inprogress";
/// The ending of a copy that is written because the first could not be made durable.
const COPY_ENDING: &str = ".again";

/// What all files of one sink have in their names.
#[derive(Debug, Clone)]
pub(crate) struct NamePattern {
    start: String,
    suffix: String,
}

/// What a name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ParsedName {
    pub(crate) attempt: u64,
    pub(crate) instance: u32,
    pub(crate) number: u64,
    pub(crate) visible: bool,
}

impl NamePattern {
    /// The pattern of the sink with stable identity `uid`.
    pub(crate) fn new(prefix: &str, suffix: &str, uid: &str) -> Self {
        let tag = stable_hash(uid.as_bytes()) as u32;
        NamePattern { start: format!("{prefix}-{tag:08x}-"), suffix: suffix.to_string() }
    }

    /// The name under which a file becomes visible.
    pub(crate) fn visible(&self, attempt: u64, instance: u32, number: u64) -> String {
        format!("{}{attempt}-{instance}-{number}{}", self.start, self.suffix)
    }

    /// Reads a name of this sink, whatever state the file is in.
    pub(crate) fn parse(&self, name: &str) -> Option<ParsedName> {
        let (inner, visible) = match name.strip_prefix('.') {
            Some(hidden) => {
                let inner =
                    hidden.strip_suffix(PENDING_ENDING).or_else(|| hidden.strip_suffix(COPY_ENDING))?;
                (inner, false)
            }
            None => (name, true),
        };
        let mut numbers = inner.strip_prefix(&self.start)?.strip_suffix(&self.suffix)?.split('-');
        let (attempt, instance, number) = (numbers.next()?, numbers.next()?, numbers.next()?);
        if numbers.next().is_some() {
            return None;
        }
        Some(ParsedName {
            attempt: attempt.parse().ok()?,
            instance: instance.parse().ok()?,
            number: number.parse().ok()?,
            visible,
        })
    }
}

/// The name a file has until it is committed.
pub(crate) fn pending(visible: &str) -> String {
    hidden(visible, PENDING_ENDING)
}

/// The name of a second copy of a file that is not committed.
pub(crate) fn copy(visible: &str) -> String {
    hidden(visible, COPY_ENDING)
}

fn hidden(visible: &str, ending: &str) -> String {
    let (bucket, name) = split(visible);
    format!("{bucket}.{name}{ending}")
}

/// The bucket with its `/`, if there is one, and the name in it.
fn split(name: &str) -> (&str, &str) {
    name.split_at(name.rfind('/').map_or(0, |at| at + 1))
}

/// The bucket of a name, without its `/`; empty if it has none.
pub(crate) fn bucket_of(name: &str) -> &str {
    split(name).0.trim_end_matches('/')
}

/// The visible name of the file that has the hidden name `name`.
pub(crate) fn visible_of(name: &str) -> String {
    let (bucket, name) = split(name);
    let inner = name.strip_prefix('.').unwrap_or(name);
    let inner =
        inner.strip_suffix(PENDING_ENDING).or_else(|| inner.strip_suffix(COPY_ENDING)).unwrap_or(inner);
    format!("{bucket}{inner}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_whose_they_are() {
        let pattern = NamePattern::new("part", ".tsv", "uid");
        let name = pattern.visible(3, 1, 20);
        let parsed = |visible| Some(ParsedName { attempt: 3, instance: 1, number: 20, visible });
        assert_eq!(pattern.parse(&name), parsed(true));
        assert_eq!(pattern.parse(&pending(&name)), parsed(false));
        assert_eq!(pattern.parse(&copy(&name)), parsed(false));
        assert_eq!(visible_of(&pending(&name)), name);
        let in_bucket = format!("a=b/c/{name}");
        assert_eq!(pending(&in_bucket), format!("a=b/c/.{name}.inprogress"));
        assert_eq!((visible_of(&copy(&in_bucket)), bucket_of(&in_bucket)), (in_bucket.clone(), "a=b/c"));
        for other in [NamePattern::new("part", ".tsv", "other"), NamePattern::new("dead", ".tsv", "uid")] {
            assert_eq!(other.parse(&name), None);
        }
        for strange in ["part", ".inprogress", "part-x-1-2-3.tsv", ".part-1-2.tsv.inprogress", ""] {
            assert_eq!(pattern.parse(strange), None, "{strange}");
        }
    }
}

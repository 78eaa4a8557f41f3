//! Which checkpoint a job starts from.
//!
//! The newest one whose files are all in order. One that is damaged is passed over, which is said loudly and never
//! in silence; one that belongs to something else (job, format, maximum parallelism, operators) is an error at
//! once, because an older one would not fit either and skipping it would lose work.

use crate::manifest::{CheckpointId, MANIFEST_FORMAT, MANIFEST_FORMAT_OLDEST, Manifest};
use eddyline_core::{Error, Result};
use std::collections::BTreeSet;

/// A complete checkpoint on storage and what its verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its number, from its place on storage (a damaged manifest may not tell).
    pub checkpoint: CheckpointId,
    /// What was found.
    pub finding: Finding,
}

/// What the verification of a checkpoint found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The manifest reads and all segments are there with the right checksum.
    Good(Box<Manifest>),
    /// Something is missing or does not match its checksum.
    Damaged {
        /// What, and in which file.
        reason: String,
    },
}

/// What the job needs a checkpoint to fit to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreRequest {
    /// The name of the job.
    pub job: String,
    /// Its number of key groups.
    pub max_parallelism: u32,
    /// The uids of its operators.
    pub uids: BTreeSet<String>,
    /// Whether state that no operator takes may be dropped.
    pub allow_non_restored_state: bool,
    /// Whether to start from nothing when there are checkpoints but all are damaged.
    pub allow_fresh_start: bool,
    /// Whose state is not to be restored.
    pub drop_state: DropState,
}

/// Operators whose state is not to be restored, because somebody said so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DropState {
    /// Their uids, whether the job still has them or not.
    pub uids: BTreeSet<String>,
    /// Only what older checkpoints than this hold is dropped: what the operators have kept since then stays. `None`: not
    /// known yet, everything counts.
    pub before: Option<CheckpointId>,
}

/// Something a person has to know about a restore; to be logged as a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreNotice {
    /// A damaged checkpoint was passed over. What it had committed may be produced again.
    UseOlder {
        /// The one passed over.
        damaged: CheckpointId,
        /// What is wrong with it.
        reason: String,
        /// What is used instead; `None`: the job starts from nothing.
        instead: Option<CheckpointId>,
    },
    /// State was dropped, as allowed.
    StateDropped {
        /// The uid that no operator has.
        uid: String,
    },
    /// State was dropped, as somebody asked for it by uid.
    StateDroppedAsAsked {
        /// The operator's uid.
        uid: String,
        /// The names of its states.
        states: Vec<String>,
    },
    /// State was to be dropped that is not there.
    NothingToDrop {
        /// The uid that was given.
        uid: String,
        /// The uids of which there is state.
        known: Vec<String>,
    },
}

impl std::fmt::Display for RestoreNotice {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RestoreNotice::UseOlder { damaged, reason, instead } => {
                write!(formatter, "checkpoint {damaged} is damaged ({reason}); ")?;
                match instead {
                    Some(older) => write!(formatter, "restoring the older checkpoint {older} instead"),
                    None => write!(formatter, "starting from nothing instead"),
                }
            }
            RestoreNotice::StateDropped { uid } => {
                write!(
                    formatter,
                    "the state of operator uid `{uid}` is dropped: no operator of the job has it"
                )
            }
            RestoreNotice::StateDroppedAsAsked { uid, states } => {
                let states = states.join("`, `");
                write!(
                    formatter,
                    "the state of operator uid `{uid}` (`{states}`) is dropped, as asked for: the operator starts empty"
                )
            }
            RestoreNotice::NothingToDrop { uid, known } => {
                let known = known.join("`, `");
                write!(
                    formatter,
                    "no state of operator uid `{uid}` is there to be dropped; there is state of `{known}`"
                )
            }
        }
    }
}

/// What to start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreChoice {
    /// The checkpoint; `None`: nothing.
    pub restore: Option<Box<Manifest>>,
    /// What has to be said about it, in the order of the events.
    pub notices: Vec<RestoreNotice>,
}

/// Chooses among `candidates`, in any order, what a job starts from.
///
/// # Errors
/// Of kind `State` if all candidates are damaged and a fresh start is not allowed; of kind `Config` if the newest
/// good one belongs to another job or does not fit to this one.
pub fn choose_restore(request: &RestoreRequest, candidates: &[Candidate]) -> Result<RestoreChoice> {
    let mut newest_first: Vec<&Candidate> = candidates.iter().collect();
    newest_first.sort_by_key(|candidate| std::cmp::Reverse(candidate.checkpoint));
    let mut damaged = Vec::new();
    let mut good = None;
    for candidate in newest_first {
        match &candidate.finding {
            Finding::Damaged { reason } => damaged.push((candidate.checkpoint, reason.clone())),
            Finding::Good(manifest) => {
                good = Some(manifest);
                break;
            }
        }
    }
    let instead = good.map(|manifest| manifest.checkpoint);
    if let (None, Some((newest, reason))) = (instead, damaged.first())
        && !request.allow_fresh_start
    {
        return Err(Error::state("every checkpoint of the job is damaged")
            .with_detail(format!("the newest, {newest}: {reason}"))
            .with_hint(
                "bring the missing files back, restore a savepoint, or allow a fresh start, which reads all input again",
            ));
    }
    let mut notices: Vec<_> = damaged
        .into_iter()
        .map(|(damaged, reason)| RestoreNotice::UseOlder { damaged, reason, instead })
        .collect();
    let mut restore = good.cloned();
    if let Some(manifest) = &mut restore {
        check_fit(request, manifest, true)?;
        notices.extend(drop_state(&request.drop_state, manifest));
        notices.extend(check_uids(request, manifest)?);
    }
    Ok(RestoreChoice { restore, notices })
}

/// Takes the state that is to be dropped out of what a checkpoint says; answers what has to be said about it.
pub fn drop_state(wanted: &DropState, manifest: &mut Manifest) -> Vec<RestoreNotice> {
    if wanted.before.is_some_and(|before| manifest.checkpoint >= before) {
        return Vec::new();
    }
    let mut notices = Vec::new();
    for uid in &wanted.uids {
        let dropped = manifest.operators.iter().filter(|operator| operator.uid == *uid);
        let states: BTreeSet<String> = dropped
            .flat_map(|operator| &operator.states)
            .map(|state| state.descriptor.name.clone())
            .collect();
        notices.push(if states.is_empty() {
            let known: BTreeSet<&String> = manifest.operators.iter().map(|operator| &operator.uid).collect();
            RestoreNotice::NothingToDrop { uid: uid.clone(), known: known.into_iter().cloned().collect() }
        } else {
            RestoreNotice::StateDroppedAsAsked { uid: uid.clone(), states: states.into_iter().collect() }
        });
    }
    manifest.operators.retain(|operator| !wanted.uids.contains(&operator.uid));
    notices
}

/// `own` says that it was found where the job keeps its checkpoints; what a person has pointed to may be any job's.
fn check_fit(request: &RestoreRequest, manifest: &Manifest, own: bool) -> Result<()> {
    let place = format!("checkpoint {}", manifest.checkpoint);
    if !(MANIFEST_FORMAT_OLDEST..=MANIFEST_FORMAT).contains(&manifest.format) {
        let theirs = manifest.format;
        let ours = format!("formats {MANIFEST_FORMAT_OLDEST} to {MANIFEST_FORMAT}");
        return Err(Error::config(format!("checkpoint format {theirs} cannot be read, only {ours}"))
            .with_detail(place)
            .with_hint("restore with the version of Eddyline that wrote it"));
    }
    if own && manifest.job != request.job {
        return Err(Error::config(format!(
            "the checkpoint belongs to job `{}`, not to `{}`",
            manifest.job, request.job
        ))
        .with_detail(place)
        .with_hint("give each job a checkpoint directory of its own, or start the job under its old name"));
    }
    if manifest.max_parallelism != request.max_parallelism {
        let (theirs, ours) = (manifest.max_parallelism, request.max_parallelism);
        return Err(Error::config(format!(
            "the checkpoint was taken with a maximum parallelism of {theirs}, the job has {ours}"
        ))
        .with_detail(place)
        .with_hint(format!(
            "set the maximum parallelism to {theirs}; it cannot change while state is kept"
        )));
    }
    Ok(())
}

/// Checks that the job can start from the savepoint or checkpoint that somebody has pointed to; answers what has to be
/// said about it.
///
/// # Errors
/// Of kind `Config` if it does not fit to the job.
pub fn check_snapshot(request: &RestoreRequest, manifest: &Manifest) -> Result<Vec<RestoreNotice>> {
    check_fit(request, manifest, false)?;
    check_uids(request, manifest)
}

/// State that no operator takes is dropped only if that was allowed.
fn check_uids(request: &RestoreRequest, manifest: &Manifest) -> Result<Vec<RestoreNotice>> {
    let mut dropped = Vec::new();
    for operator in &manifest.operators {
        let has_state = operator.states.iter().any(|state| !state.chains.is_empty());
        if !has_state || request.uids.contains(&operator.uid) {
            continue;
        }
        let uid = operator.uid.clone();
        if !request.allow_non_restored_state {
            let known = request.uids.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            return Err(Error::config(format!("no operator takes the state of uid `{uid}`"))
                .with_detail(format!("checkpoint {}; the job's uids: {known}", manifest.checkpoint))
                .with_hint(format!(
                    "give the operator its old uid `{uid}`; or drop what it kept \
                     (execution.state-recovery.drop-state: {uid}), or all state that no operator takes \
                     (execution.state-recovery.ignore-unclaimed-state: true)"
                )));
        }
        dropped.push(RestoreNotice::StateDropped { uid });
    }
    Ok(dropped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{
        ManifestKind, OperatorManifest, SegmentChain, StateDescriptor, StateKind, StateManifest,
    };
    use eddyline_core::{DataType, ErrorKind};

    fn request() -> RestoreRequest {
        RestoreRequest {
            job: "logs".into(),
            max_parallelism: 128,
            uids: BTreeSet::from(["count".to_owned()]),
            allow_non_restored_state: false,
            allow_fresh_start: false,
            drop_state: DropState::default(),
        }
    }

    fn manifest(checkpoint: CheckpointId) -> Manifest {
        let descriptor = StateDescriptor {
            name: "s".into(),
            kind: StateKind::KeyedValue,
            key: DataType::Text,
            value: DataType::Bool,
        };
        let chains = vec![SegmentChain { group: 0, segments: Vec::new() }];
        let states = vec![StateManifest { descriptor, chains }];
        Manifest {
            format: MANIFEST_FORMAT,
            job: "logs".into(),
            checkpoint,
            attempt: 1,
            tick: 10,
            completed_at_ms: 0,
            max_parallelism: 128,
            finished: false,
            kind: ManifestKind::Checkpoint,
            origin: None,
            operators: vec![OperatorManifest { uid: "count".into(), states }],
        }
    }

    fn good(checkpoint: CheckpointId) -> Candidate {
        Candidate { checkpoint, finding: Finding::Good(Box::new(manifest(checkpoint))) }
    }

    fn damaged(checkpoint: CheckpointId) -> Candidate {
        Candidate { checkpoint, finding: Finding::Damaged { reason: "bad checksum".into() } }
    }

    #[test]
    fn nothing_there_means_a_fresh_start() {
        let choice = choose_restore(&request(), &[]).unwrap();
        assert_eq!(choice, RestoreChoice { restore: None, notices: Vec::new() });
    }

    #[test]
    fn the_newest_good_one_is_taken_in_whatever_order_they_come() {
        let choice = choose_restore(&request(), &[good(2), good(5), good(3)]).unwrap();
        assert_eq!(choice.restore.unwrap().checkpoint, 5);
        assert_eq!(choice.notices, []);
    }

    #[test]
    fn a_damaged_newer_one_is_passed_over_loudly() {
        let choice = choose_restore(&request(), &[good(2), damaged(5), damaged(1)]).unwrap();
        assert_eq!(choice.restore.unwrap().checkpoint, 2);
        let reason = "bad checksum".to_owned();
        assert_eq!(choice.notices, [RestoreNotice::UseOlder { damaged: 5, reason, instead: Some(2) }]);
        assert_eq!(
            choice.notices[0].to_string(),
            "checkpoint 5 is damaged (bad checksum); restoring the older checkpoint 2 instead"
        );
    }

    #[test]
    fn all_damaged_is_an_error_unless_a_fresh_start_is_allowed() {
        let candidates = [damaged(1), damaged(2)];
        let error = choose_restore(&request(), &candidates).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::State);
        assert!(error.hint().is_some() && error.detail().unwrap().contains("the newest, 2"));
        let allowed = RestoreRequest { allow_fresh_start: true, ..request() };
        let choice = choose_restore(&allowed, &candidates).unwrap();
        assert_eq!((choice.restore, choice.notices.len()), (None, 2));
    }

    #[test]
    fn what_does_not_fit_is_an_error_even_if_an_older_one_would() {
        type Change = fn(&mut Manifest);
        let cases: [(Change, &str); 4] = [
            (|manifest| manifest.format = MANIFEST_FORMAT + 1, "format"),
            (|manifest| manifest.job = "other".into(), "`other`"),
            (|manifest| manifest.max_parallelism = 64, "64"),
            (|manifest| manifest.operators[0].uid = "gone".into(), "`gone`"),
        ];
        for (change, word) in cases {
            let mut wrong = manifest(9);
            change(&mut wrong);
            let newest = Candidate { checkpoint: 9, finding: Finding::Good(Box::new(wrong)) };
            let error = choose_restore(&request(), &[newest, good(8)]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().contains(word), "{error}");
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn state_without_an_operator_is_dropped_only_if_allowed_and_said() {
        let mut changed = manifest(9);
        changed.operators[0].uid = "gone".into();
        let candidate = Candidate { checkpoint: 9, finding: Finding::Good(Box::new(changed.clone())) };
        let allowed = RestoreRequest { allow_non_restored_state: true, ..request() };
        let choice = choose_restore(&allowed, &[candidate]).unwrap();
        assert_eq!(choice.notices, [RestoreNotice::StateDropped { uid: "gone".into() }]);
        changed.operators[0].states[0].chains.clear();
        let empty = Candidate { checkpoint: 9, finding: Finding::Good(Box::new(changed)) };
        assert_eq!(choose_restore(&request(), &[empty]).unwrap().notices, []);
    }

    #[test]
    fn state_is_dropped_by_uid_once_and_loudly() {
        let drop = |uids: [&str; 2], before| RestoreRequest {
            drop_state: DropState { uids: uids.map(str::to_owned).into(), before },
            ..request()
        };
        let mut with_two = manifest(9);
        with_two.operators.push(OperatorManifest { uid: "gone".into(), ..manifest(9).operators[0].clone() });
        let candidate = Candidate { checkpoint: 9, finding: Finding::Good(Box::new(with_two)) };
        let candidates = [candidate];
        let choice = choose_restore(&drop(["gone", "typo"], Some(10)), &candidates).unwrap();
        let uids: Vec<String> =
            choice.restore.unwrap().operators.iter().map(|operator| operator.uid.clone()).collect();
        assert_eq!(uids, ["count"]);
        let (uid, known) = ("typo".to_owned(), vec!["count".to_owned(), "gone".to_owned()]);
        assert_eq!(
            choice.notices,
            [
                RestoreNotice::StateDroppedAsAsked { uid: "gone".into(), states: vec!["s".into()] },
                RestoreNotice::NothingToDrop { uid, known }
            ]
        );
        assert!(choice.notices[0].to_string().contains("(`s`) is dropped, as asked for"));
        // What came after the start is kept.
        let error = choose_restore(&drop(["gone", "typo"], Some(9)), &candidates).unwrap_err();
        assert!(error.hint().unwrap().contains("drop-state: gone"), "{}", error.report());
        let choice = choose_restore(&drop(["count", "gone"], Some(5)), &[good(7)]).unwrap();
        assert_eq!((choice.restore.unwrap().operators.len(), choice.notices), (1, Vec::new()));
    }
}

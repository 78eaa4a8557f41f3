//! A test for each rule of the checkpoint coordinator.

use super::CheckpointDecision as D;
use super::*;
use crate::manifest::Manifest;

fn at(now_ms: u64) -> Moment {
    Moment { now_ms, wall_ms: 1_000_000 + now_ms as i64 }
}

fn config() -> CheckpointConfig {
    CheckpointConfig {
        interval_ms: Some(100),
        timeout_ms: 1_000,
        max_concurrent: 2,
        tolerable_failed_checkpoints: 1,
        ..Default::default()
    }
}

fn started_with(config: CheckpointConfig) -> CheckpointCoordinator {
    let mut machine = CheckpointCoordinator::new(config, "logs", 128, BTreeSet::new(), 1).unwrap();
    assert_eq!(machine.on_attempt_started(at(0), 1, BTreeSet::from([0, 1]), None).unwrap(), []);
    machine
}

fn started() -> CheckpointCoordinator {
    started_with(config())
}

fn trigger(id: CheckpointId) -> D {
    D::Trigger { id, kind: CheckpointKind::Checkpoint }
}

fn part(
    machine: &mut CheckpointCoordinator,
    now_ms: u64,
    worker: WorkerIndex,
    id: CheckpointId,
) -> Decisions {
    let part = PartManifest { operators: Vec::new(), bytes_written: 0 };
    let attempt = machine.newest_attempt.unwrap();
    machine.on_part_done(at(now_ms), attempt, worker, id, id * 10, part)
}

/// Brings both parts and expects the write to start.
fn parts(machine: &mut CheckpointCoordinator, now_ms: u64, id: CheckpointId) -> Manifest {
    assert_eq!(part(machine, now_ms, 0, id), []);
    match part(machine, now_ms, 1, id).pop() {
        Some(D::WriteComplete(manifest)) => *manifest,
        other => panic!("{other:?}"),
    }
}

fn ids(decisions: &[D], pick: fn(&D) -> Option<CheckpointId>) -> Vec<CheckpointId> {
    decisions.iter().filter_map(pick).collect()
}

fn aborts(decisions: &[D]) -> Vec<CheckpointId> {
    ids(decisions, |decision| if let D::Abort { id, .. } = decision { Some(*id) } else { None })
}

fn retires(decisions: &[D]) -> Vec<CheckpointId> {
    ids(decisions, |decision| if let D::Retire { id } = decision { Some(*id) } else { None })
}

fn fails(decisions: &[D]) -> bool {
    decisions.iter().any(|decision| matches!(decision, D::FailAttempt { .. }))
}

#[test]
fn a_checkpoint_goes_from_trigger_by_complete_to_commit() {
    let mut machine = started();
    assert_eq!(machine.next_due_ms(), Some(100));
    assert_eq!(machine.on_time(at(99)), []);
    assert_eq!(machine.on_time(at(100)), [trigger(1)]);
    assert_eq!(machine.on_cut_announced(at(101), 1, 1, 10), []);
    let manifest = parts(&mut machine, 120, 1);
    assert_eq!((manifest.checkpoint, manifest.attempt, manifest.tick), (1, 1, 10));
    assert_eq!((manifest.completed_at_ms, manifest.finished), (1_000_120, false));
    assert_eq!(machine.writing(), Some(1));
    assert_eq!(machine.on_complete_written(at(130), 1), [D::NotifyCommit { id: 1 }]);
    assert_eq!(machine.on_complete_written(at(130), 1), [], "told twice, done once");
    assert_eq!(machine.retained(), &BTreeSet::from([1]));
}

#[test]
fn no_more_than_the_limit_are_in_flight_and_missed_ones_are_not_made_up_for() {
    let mut machine = started();
    assert_eq!(machine.on_time(at(350)), [trigger(1)]);
    assert_eq!(machine.on_time(at(450)), [trigger(2)]);
    assert_eq!(machine.on_time(at(900)), []);
    assert_eq!(machine.next_due_ms(), Some(1_350), "only the time-out is left to wait for");
}

#[test]
fn the_pause_is_kept_after_a_checkpoint_has_ended() {
    let mut machine = started_with(CheckpointConfig { min_pause_ms: 80, max_concurrent: 1, ..config() });
    machine.on_time(at(100));
    parts(&mut machine, 190, 1);
    machine.on_complete_written(at(195), 1);
    assert_eq!(machine.next_due_ms(), Some(275));
    assert_eq!(machine.on_time(at(274)), []);
    assert_eq!(machine.on_time(at(275)), [trigger(2)]);
}

#[test]
fn a_checkpoint_that_completes_subsumes_older_ones() {
    let mut machine = started();
    machine.on_time(at(100));
    machine.on_time(at(200));
    part(&mut machine, 210, 0, 1);
    parts(&mut machine, 220, 2);
    let decisions = machine.on_complete_written(at(230), 2);
    assert_eq!(decisions[0], D::NotifyCommit { id: 2 });
    assert_eq!(aborts(&decisions), [1]);
    assert_eq!(decisions.last(), Some(&D::DiscardParts { id: 1 }));
    assert_eq!(
        part(&mut machine, 240, 1, 1),
        [D::DiscardParts { id: 1 }],
        "a late part leaves nothing behind"
    );
}

#[test]
fn completes_are_written_one_at_a_time() {
    let mut machine = started();
    machine.on_time(at(100));
    machine.on_time(at(200));
    parts(&mut machine, 220, 1);
    part(&mut machine, 220, 0, 2);
    assert_eq!(part(&mut machine, 220, 1, 2), []);
    let decisions = machine.on_complete_written(at(230), 1);
    assert_eq!(decisions[0], D::NotifyCommit { id: 1 });
    assert!(matches!(&decisions[1], D::WriteComplete(manifest) if manifest.checkpoint == 2));
}

#[test]
fn a_failed_part_fails_its_checkpoint_only_until_too_many_fail() {
    let mut machine = started();
    machine.on_time(at(100));
    machine.on_time(at(200));
    let decisions = machine.on_part_failed(at(210), 1, 0, 1, "disk full");
    assert_eq!((aborts(&decisions), fails(&decisions)), (vec![1], false));
    assert_eq!(machine.on_part_failed(at(211), 1, 1, 1, "disk full"), [], "counted once");
    assert_eq!(machine.in_flight(), [2]);
    let decisions = machine.on_part_failed(at(220), 1, 0, 2, "disk full");
    assert!(fails(&decisions), "{decisions:?}");
    assert_eq!(machine.on_time(at(500)), [], "an attempt that is to end takes no more checkpoints");
}

#[test]
fn a_success_starts_the_count_of_failures_over() {
    let mut machine = started();
    for (round, id) in [(0, 1), (1, 3), (2, 5)] {
        let now_ms = 100 + round * 200;
        assert_eq!(machine.on_time(at(now_ms)), [trigger(id)]);
        assert!(!fails(&machine.on_part_failed(at(now_ms), 1, 0, id, "no")));
        assert_eq!(machine.on_time(at(now_ms + 100)), [trigger(id + 1)]);
        parts(&mut machine, now_ms + 100, id + 1);
        machine.on_complete_written(at(now_ms + 100), id + 1);
    }
}

#[test]
fn a_late_checkpoint_is_given_up_and_says_who_was_late() {
    let mut machine = started();
    machine.on_time(at(100));
    part(&mut machine, 110, 0, 1);
    let decisions = machine.on_time(at(1_100));
    assert!(
        matches!(&decisions[0], D::Abort { id: 1, reason } if reason.contains("no part from workers [1]")),
        "{decisions:?}"
    );
}

#[test]
fn two_cuts_of_one_checkpoint_fail_it() {
    let mut machine = started();
    machine.on_time(at(100));
    machine.on_cut_announced(at(101), 1, 1, 11);
    assert_eq!(aborts(&part(&mut machine, 110, 0, 1)), [1]);
}

#[test]
fn a_complete_that_cannot_be_written_is_a_failed_checkpoint() {
    let mut machine = started();
    machine.on_time(at(100));
    parts(&mut machine, 110, 1);
    let decisions = machine.on_complete_failed(at(120), 1, "disk full");
    assert_eq!(aborts(&decisions), [1]);
    assert!(machine.retained().is_empty());
}

#[test]
fn repeated_foreign_and_old_messages_are_ignored() {
    let mut machine = started();
    machine.on_time(at(100));
    assert_eq!(part(&mut machine, 110, 0, 1), []);
    assert_eq!(part(&mut machine, 110, 0, 1), [], "repeated");
    assert_eq!(part(&mut machine, 110, 9, 1), [], "no such worker");
    assert_eq!(part(&mut machine, 110, 1, 7), [], "no such checkpoint");
    let empty = PartManifest { operators: Vec::new(), bytes_written: 0 };
    assert_eq!(machine.on_part_done(at(110), 0, 1, 1, 10, empty), [], "old attempt");
    assert_eq!(machine.on_part_failed(at(110), 0, 1, 1, "no"), []);
    assert_eq!(machine.on_input_ended(at(110), 0), []);
    assert_eq!(machine.in_flight(), [1]);
}

#[test]
fn retained_ones_go_when_subsumed_but_not_while_something_in_flight_may_refer_to_them() {
    let mut machine = started();
    machine.on_time(at(100));
    parts(&mut machine, 110, 1);
    machine.on_complete_written(at(120), 1);
    machine.on_time(at(200));
    machine.on_time(at(300));
    parts(&mut machine, 310, 2);
    let decisions = machine.on_complete_written(at(320), 2);
    assert!(retires(&decisions).is_empty(), "3 is in flight: {decisions:?}");
    assert_eq!(machine.retained(), &BTreeSet::from([2]));
    parts(&mut machine, 330, 3);
    assert_eq!(retires(&machine.on_complete_written(at(340), 3)), [1, 2]);
}

#[test]
fn the_end_of_input_takes_the_final_checkpoint_at_once_and_finishes_when_all_have_committed() {
    let mut machine = started();
    machine.on_time(at(100));
    machine.on_time(at(200));
    let decisions = machine.on_input_ended(at(201), 1);
    assert_eq!(aborts(&decisions), [1, 2]);
    assert_eq!(decisions.last(), Some(&D::Trigger { id: 3, kind: CheckpointKind::Final }));
    assert_eq!(machine.on_time(at(500)), [], "nothing after the final one");
    assert!(parts(&mut machine, 510, 3).finished);
    assert_eq!(machine.on_committed(1, 0, 3), [], "not durable yet");
    assert_eq!(machine.on_complete_written(at(520), 3), [D::NotifyCommit { id: 3 }]);
    assert_eq!(machine.on_committed(1, 0, 3), []);
    assert_eq!(machine.on_committed(1, 0, 3), []);
    assert_eq!(machine.on_committed(1, 1, 3), [D::Finished]);
    assert!(machine.is_finished());
    assert_eq!((machine.on_time(at(9_000)), machine.next_due_ms()), (vec![], None));
}

#[test]
fn a_final_checkpoint_that_fails_is_tried_again() {
    let mut machine = started();
    machine.on_input_ended(at(10), 1);
    machine.on_part_failed(at(20), 1, 0, 1, "disk full");
    assert_eq!(machine.next_due_ms(), Some(120));
    assert_eq!(machine.on_time(at(120)), [D::Trigger { id: 2, kind: CheckpointKind::Final }]);
}

#[test]
fn a_final_commit_that_nobody_answers_fails_the_attempt() {
    let mut machine = started();
    machine.on_input_ended(at(10), 1);
    parts(&mut machine, 20, 1);
    machine.on_complete_written(at(30), 1);
    assert_eq!(machine.next_due_ms(), Some(1_030));
    assert!(fails(&machine.on_time(at(1_030))));
    let restored = Some(Restored { checkpoint: 1, finished: true, origin: None });
    let decisions = machine.on_attempt_started(at(2_000), 2, BTreeSet::from([0]), restored).unwrap();
    assert_eq!(decisions, [D::NotifyCommit { id: 1 }], "the restored end is only committed");
    assert_eq!(machine.on_time(at(2_500)), []);
    assert_eq!(machine.on_committed(2, 0, 1), [D::Finished]);
}

#[test]
fn suspend_takes_a_final_checkpoint_that_is_not_the_end_and_survives_a_restart() {
    let mut machine = started();
    let expected = D::Trigger { id: 1, kind: CheckpointKind::Final };
    assert_eq!(machine.request_stop(at(10), StopMode::Suspend), [expected]);
    machine.on_attempt_ended(1);
    let again = machine.on_attempt_started(at(50), 2, BTreeSet::from([0, 1]), None).unwrap();
    assert_eq!(again, [D::Trigger { id: 2, kind: CheckpointKind::Final }]);
    assert!(!parts(&mut machine, 60, 2).finished);
}

#[test]
fn drain_waits_for_the_end_of_input() {
    let mut machine = started();
    assert_eq!(machine.request_stop(at(10), StopMode::Drain), []);
    assert_eq!(machine.on_time(at(100)), [trigger(1)], "draining may take long");
}

#[test]
fn a_savepoint_is_not_subsumed_and_commits_nothing_behind_a_newer_one() {
    let mut machine = started();
    let savepoint = D::Trigger { id: 1, kind: CheckpointKind::Savepoint };
    assert_eq!(machine.request_savepoint(at(10), 7), [savepoint]);
    machine.on_time(at(100));
    parts(&mut machine, 110, 2);
    assert_eq!(machine.on_complete_written(at(120), 2), [D::NotifyCommit { id: 2 }]);
    parts(&mut machine, 130, 1);
    let answer = D::SavepointComplete { request: 7, id: 1 };
    let written = machine.on_complete_written(at(140), 1);
    assert_eq!(written, [answer, D::Retire { id: 1 }], "2 has committed what 1 would");
    assert_eq!(machine.retained(), &BTreeSet::from([2]));
}

#[test]
fn a_failed_savepoint_does_not_count_and_at_the_end_the_final_checkpoint_serves() {
    let mut machine = started_with(CheckpointConfig { tolerable_failed_checkpoints: 0, ..config() });
    machine.request_savepoint(at(10), 1);
    let failed = machine.on_part_failed(at(20), 1, 0, 1, "no");
    assert!(!fails(&failed));
    assert!(failed.iter().any(|decision| matches!(decision, D::SavepointFailed { request: 1, .. })));
    machine.on_input_ended(at(30), 1);
    assert_eq!(machine.request_savepoint(at(40), 2), []);
    assert_eq!(machine.request_final_savepoint(3), []);
    parts(&mut machine, 50, 2);
    let done = machine.on_complete_written(at(60), 2);
    for request in [3, 2] {
        assert!(done.contains(&D::SavepointComplete { request, id: 2 }), "{done:?}");
    }
    assert!(matches!(machine.request_savepoint(at(70), 4)[..], [D::SavepointFailed { request: 4, .. }]));
    assert!(matches!(machine.request_final_savepoint(5)[..], [D::SavepointFailed { request: 5, .. }]));
}

#[test]
fn a_savepoint_that_was_under_way_when_the_job_failed_is_answered() {
    let mut machine = started_with(CheckpointConfig { max_concurrent: 1, ..config() });
    machine.request_savepoint(at(10), 1);
    assert_eq!(machine.request_savepoint(at(11), 2), [], "one at a time");
    let ended = machine.on_attempt_ended(1);
    assert!(matches!(ended[0], D::SavepointFailed { request: 1, .. }), "{ended:?}");
    let next = machine.on_attempt_started(at(20), 2, BTreeSet::from([0, 1]), None).unwrap();
    assert_eq!(next, [D::Trigger { id: 2, kind: CheckpointKind::Savepoint }], "who waited is served");
}

#[test]
fn an_open_write_outlives_its_attempt_and_is_committed_by_the_next() {
    let mut machine = started();
    machine.on_time(at(100));
    machine.on_time(at(200));
    parts(&mut machine, 210, 1);
    machine.on_attempt_ended(1);
    assert_eq!(machine.in_flight(), [1], "2 is given up, the outcome of 1 is open");
    assert_eq!(machine.on_complete_written(at(220), 1), [D::DiscardParts { id: 2 }]);
    let restored = Some(Restored { checkpoint: 1, finished: false, origin: None });
    let decisions = machine.on_attempt_started(at(300), 2, BTreeSet::from([0]), restored).unwrap();
    assert_eq!(decisions, [D::NotifyCommit { id: 1 }]);
    assert_eq!(machine.on_time(at(400)), [trigger(3)], "numbers go on");
}

#[test]
fn what_was_passed_over_at_a_restore_is_removed_once_there_is_something_newer() {
    let on_storage = BTreeSet::from([4, 5]);
    let roomy = CheckpointConfig { num_retained: 3, ..config() };
    let mut machine = CheckpointCoordinator::new(roomy, "logs", 128, on_storage, 1).unwrap();
    let restored = Some(Restored { checkpoint: 4, finished: false, origin: None });
    machine.on_attempt_started(at(0), 1, BTreeSet::from([0, 1]), restored).unwrap();
    assert_eq!(machine.retained(), &BTreeSet::from([4]));
    assert_eq!(machine.on_time(at(100)), [trigger(6)]);
    parts(&mut machine, 110, 6);
    assert_eq!(retires(&machine.on_complete_written(at(120), 6)), [5]);
    assert_eq!(machine.retained(), &BTreeSet::from([4, 6]));
}

#[test]
fn attempts_must_grow_and_options_must_make_sense() {
    let mut machine = started();
    assert!(machine.on_attempt_started(at(1), 1, BTreeSet::from([0]), None).is_err());
    assert!(machine.on_attempt_started(at(1), 2, BTreeSet::new(), None).is_err());
    let wrong = CheckpointConfig { max_concurrent: 0, ..config() };
    let error = CheckpointCoordinator::new(wrong, "logs", 128, BTreeSet::new(), 1).unwrap_err();
    assert!(error.message().contains("max-concurrent"), "{error}");
}

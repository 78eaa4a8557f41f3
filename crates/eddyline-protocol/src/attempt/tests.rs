//! A test for each rule of the job master.

use super::*;
use crate::message::WorkerActivity;

fn config() -> AttemptConfig {
    AttemptConfig {
        processes: 2,
        start_timeout_ms: 1_000,
        heartbeat_timeout_ms: 100,
        watchdog_micros: Some(50_000),
        end_timeout_ms: 500,
    }
}

fn master() -> JobMaster {
    JobMaster::new(config(), RestartStrategy::FixedDelay { attempts: 1, delay_ms: 10 }).unwrap()
}

fn running() -> JobMaster {
    let mut master = master();
    let spawn = AttemptDecision::SpawnAttempt { attempt: 1, restore_hint: RestoreHint::AsConfigured };
    assert_eq!(master.on_start(0, 1, 0.0), [spawn]);
    assert_eq!(master.on_worker_running(5, 1, 0), []);
    assert_eq!(master.on_worker_running(5, 1, 1), [AttemptDecision::AttemptRunning { attempt: 1 }]);
    assert_eq!(master.state(), AttemptState::Running);
    master
}

fn user_failure() -> FailureReport {
    FailureReport::new(FailureKind::User, "panic").with_operator("parse", None)
}

fn killed(master: &JobMaster, decisions: &[AttemptDecision]) {
    assert!(
        matches!(decisions, [AttemptDecision::ReportFailure(_), AttemptDecision::KillAttempt { .. }]),
        "{decisions:?}"
    );
    assert_eq!(master.state(), AttemptState::Stopping);
}

fn exit_all(master: &mut JobMaster, now_ms: u64, attempt: AttemptId) -> Vec<AttemptDecision> {
    let mut out = master.on_worker_exit(now_ms, attempt, 0, &ProcessExit::Signal(9));
    out.extend(master.on_worker_exit(now_ms, attempt, 1, &ProcessExit::Signal(9)));
    out
}

#[test]
fn a_failed_attempt_is_followed_by_another_from_the_latest_checkpoint() {
    let mut master = running();
    let decisions = master.on_worker_failed(20, 1, user_failure());
    killed(&master, &decisions);
    assert_eq!(
        exit_all(&mut master, 30, 1),
        [AttemptDecision::AttemptEnded { attempt: 1 }, AttemptDecision::BackOff { until_ms: 40 }]
    );
    assert_eq!(master.next_due_ms(), Some(40));
    assert_eq!(master.on_time(39), []);
    assert_eq!(master.on_time(40), [AttemptDecision::ClaimAttempt]);
    let spawn = AttemptDecision::SpawnAttempt { attempt: 2, restore_hint: RestoreHint::Latest };
    assert_eq!(master.on_start(41, 2, 0.0), [spawn]);
    assert_eq!(master.restarts(), 1);
}

#[test]
fn when_restarts_are_used_up_the_job_fails_with_the_cause() {
    let mut master = running();
    master.on_worker_failed(20, 1, user_failure());
    exit_all(&mut master, 30, 1);
    master.on_time(40);
    master.on_start(41, 2, 0.0);
    master.on_worker_failed(42, 2, user_failure());
    let decisions = exit_all(&mut master, 43, 2);
    let Some(AttemptDecision::GiveUp { error }) = decisions.last() else { panic!("{decisions:?}") };
    assert_eq!(error.operator.as_deref(), Some("parse"));
    assert!(error.detail.as_ref().unwrap().contains("not restarted"));
    assert_eq!(master.state(), AttemptState::Failed);
}

#[test]
fn what_would_fail_again_is_not_tried_again() {
    for kind in [FailureKind::Config, FailureKind::Memory, FailureKind::Cancelled] {
        let mut master = running();
        master.on_worker_failed(20, 1, FailureReport::new(kind, "no"));
        let decisions = exit_all(&mut master, 30, 1);
        assert!(matches!(decisions.last(), Some(AttemptDecision::GiveUp { .. })), "{kind:?}");
    }
}

#[test]
fn a_cause_replaces_its_echo_but_not_the_other_way_round() {
    let mut master = running();
    let decisions = master.on_worker_exit(20, 1, 0, &ProcessExit::Code(101));
    killed(&master, &decisions);
    let memory = FailureReport::new(FailureKind::Memory, "state is full");
    assert_eq!(
        master.on_worker_failed(21, 1, memory.clone()),
        [AttemptDecision::ReportFailure(Box::new(memory.clone()))]
    );
    assert_eq!(master.on_worker_failed(22, 1, FailureReport::new(FailureKind::Network, "reset")), []);
    assert_eq!(master.on_worker_failed(22, 1, user_failure()), []);
    let decisions = master.on_worker_exit(23, 1, 1, &ProcessExit::Signal(9));
    assert_eq!(decisions.last(), Some(&AttemptDecision::GiveUp { error: Box::new(memory) }));
}

#[test]
fn a_silent_process_ends_the_attempt() {
    let mut master = running();
    assert_eq!(master.next_due_ms(), Some(105));
    assert_eq!(master.on_heartbeat(90, 1, 0, &ProgressReport::default()), []);
    assert_eq!(master.on_time(104), []);
    let decisions = master.on_time(105);
    killed(&master, &decisions);
    let AttemptDecision::ReportFailure(report) = &decisions[0] else { unreachable!() };
    assert!(report.message.contains("[1]"), "{report:?}");
}

#[test]
fn start_up_takes_only_so_long() {
    let mut master = master();
    master.on_start(0, 1, 0.0);
    assert_eq!(master.next_due_ms(), Some(1_000));
    master.on_worker_running(950, 1, 1);
    assert_eq!(master.on_time(999), []);
    let decisions = master.on_time(1_000);
    killed(&master, &decisions);
    let AttemptDecision::ReportFailure(report) = &decisions[0] else { unreachable!() };
    assert!(report.message.contains("[0]"), "{report:?}");
}

#[test]
fn the_watchdog_names_the_operator_that_does_not_return() {
    let mut master = running();
    let activity = |since_micros| ProgressReport {
        workers: vec![WorkerActivity {
            worker: 3,
            operator: Some("enrich".into()),
            uid: Some("u7".into()),
            since_micros,
        }],
        ..Default::default()
    };
    assert_eq!(master.on_heartbeat(10, 1, 1, &activity(50_000)), []);
    let decisions = master.on_heartbeat(11, 1, 1, &activity(50_001));
    killed(&master, &decisions);
    let AttemptDecision::ReportFailure(report) = &decisions[0] else { unreachable!() };
    assert_eq!((report.operator.as_deref(), report.uid.as_deref()), (Some("enrich"), Some("u7")));
    assert_eq!(report.kind, FailureKind::User);
}

#[test]
fn nothing_of_an_old_attempt_counts() {
    let mut master = running();
    master.on_worker_failed(20, 1, user_failure());
    exit_all(&mut master, 30, 1);
    master.on_time(40);
    master.on_start(41, 2, 0.0);
    for process in [0, 1] {
        assert_eq!(master.on_worker_running(42, 1, process), []);
        assert_eq!(master.on_worker_exit(42, 1, process, &ProcessExit::Signal(9)), []);
    }
    assert_eq!(master.on_worker_failed(42, 1, user_failure()), []);
    assert_eq!(master.on_finished(42, 1), []);
    assert_eq!(master.state(), AttemptState::Starting);
    assert_eq!(master.next_due_ms(), Some(1_041), "an old heartbeat does not start the clock");
}

#[test]
fn a_clean_end_waits_for_all_processes() {
    let mut master = running();
    assert_eq!(master.on_finished(20, 1), [AttemptDecision::TellShutdown]);
    assert_eq!(master.on_worker_exit(21, 1, 0, &ProcessExit::Code(0)), []);
    assert_eq!(
        master.on_worker_exit(22, 1, 1, &ProcessExit::Code(0)),
        [AttemptDecision::AttemptEnded { attempt: 1 }, AttemptDecision::Done]
    );
    assert_eq!((master.state(), master.next_due_ms()), (AttemptState::Finished, None));
}

#[test]
fn a_process_that_does_not_close_is_ended_and_the_job_is_still_done() {
    let mut master = running();
    master.on_finished(20, 1);
    assert_eq!(master.on_time(519), []);
    let decisions = master.on_time(520);
    assert!(matches!(decisions[1], AttemptDecision::KillAttempt { .. }), "{decisions:?}");
    assert_eq!(decisions.last(), Some(&AttemptDecision::Done));
}

#[test]
fn a_process_that_cannot_be_ended_does_not_hold_up_the_restart() {
    let mut master = running();
    master.on_worker_failed(20, 1, user_failure());
    assert_eq!(master.next_due_ms(), Some(520));
    let decisions = master.on_time(520);
    assert!(matches!(decisions[0], AttemptDecision::ReportFailure(_)));
    assert_eq!(decisions.last(), Some(&AttemptDecision::BackOff { until_ms: 530 }));
}

#[test]
fn a_process_that_ends_before_the_job_is_a_failure_even_with_code_zero() {
    let mut master = running();
    let decisions = master.on_worker_exit(20, 1, 0, &ProcessExit::Code(0));
    killed(&master, &decisions);
}

#[test]
fn a_stop_is_told_once_and_again_after_a_restart() {
    let mut master = running();
    let stop = AttemptDecision::TellStop { mode: StopMode::Suspend };
    assert_eq!(master.on_stop_requested(StopMode::Suspend), std::slice::from_ref(&stop));
    assert_eq!(master.on_stop_requested(StopMode::Drain), []);
    master.on_worker_failed(20, 1, user_failure());
    exit_all(&mut master, 30, 1);
    master.on_time(40);
    master.on_start(41, 2, 0.0);
    master.on_worker_running(42, 2, 0);
    assert_eq!(master.on_worker_running(42, 2, 1), [stop, AttemptDecision::AttemptRunning { attempt: 2 }]);
}

#[test]
fn a_cancelled_job_is_not_started_again() {
    let mut master = running();
    let decisions = master.on_cancel_requested(20);
    killed(&master, &decisions);
    let decisions = exit_all(&mut master, 21, 1);
    assert!(matches!(decisions.last(), Some(AttemptDecision::GiveUp { .. })), "{decisions:?}");

    let mut waiting = running();
    waiting.on_worker_failed(20, 1, user_failure());
    exit_all(&mut waiting, 30, 1);
    assert!(matches!(waiting.on_cancel_requested(31)[..], [AttemptDecision::GiveUp { .. }]));
    assert_eq!(waiting.on_time(1_000), []);
}

#[test]
fn what_goes_wrong_while_a_cancelled_job_ends_does_not_start_it_again() {
    let mut master = running();
    let decisions = master.on_cancel_requested(20);
    killed(&master, &decisions);
    let internal = FailureReport::new(FailureKind::Internal, "a peer is gone in a way that looks worse");
    assert_eq!(master.on_worker_failed(21, 1, internal), []);
    let decisions = exit_all(&mut master, 22, 1);
    assert!(matches!(decisions.last(), Some(AttemptDecision::GiveUp { .. })), "{decisions:?}");
}

#[test]
fn a_start_that_cannot_work_is_not_tried_again_but_storage_is() {
    for (kind, gives_up) in
        [(FailureKind::State, true), (FailureKind::Config, true), (FailureKind::Storage, false)]
    {
        let mut master = master();
        master.on_start(0, 1, 0.0);
        let decisions = master.on_start_failed(1, 1, FailureReport::new(kind, "no"));
        assert_eq!(decisions[1], AttemptDecision::AttemptEnded { attempt: 1 });
        assert_eq!(matches!(decisions[2], AttemptDecision::GiveUp { .. }), gives_up, "{kind:?}");
    }
}

#[test]
fn an_attempt_number_that_is_not_new_ends_the_job() {
    let mut master = running();
    master.on_worker_failed(20, 1, user_failure());
    exit_all(&mut master, 30, 1);
    master.on_time(40);
    assert!(matches!(master.on_start(41, 1, 0.0)[..], [AttemptDecision::GiveUp { .. }]));
}

#[test]
fn limits_of_zero_are_refused() {
    let wrong = AttemptConfig { processes: 0, ..config() };
    assert!(JobMaster::new(wrong, RestartStrategy::None).is_err());
}

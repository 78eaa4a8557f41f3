//! Jobs that are told to stop, or are replaced: nothing is lost, nothing is left.
use eddyline_tests::harness::{Deadline, Ended, Place, Signal, Started, processes_with, visible_files};
use std::collections::BTreeSet;

const PROGRAM: &str = env!("CARGO_BIN_EXE_trouble-workload");
const INTERVAL: &str = "-Dexecution.checkpointing.interval=50 ms";

fn wait_for_output(started: &mut Started, place: &Place, name: &str) {
    let path = place.path(name);
    started.wait_for("visible output", || !visible_files(&path).is_empty()).unwrap();
}

fn end(started: Started, place: &Place) -> Ended {
    let ended = started.end().unwrap();
    let out = place.text("out");
    Deadline::minute("the end of all processes")
        .wait_for(|| processes_with(&out).is_empty().then_some(()))
        .unwrap();
    ended
}

/// Every number below `count` is there once, and the state has counted all of them.
fn assert_complete(lines: &[String], count: u64) {
    let (mut values, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for line in lines {
        let (value, number) = line.split_once(' ').unwrap();
        let (value, number): (u64, u64) = (value.parse().unwrap(), number.parse().unwrap());
        assert!(values.insert(value), "{value} is there twice");
        assert!(
            numbers.insert((value % 10, number)),
            "{number} was given to two numbers that end in {}",
            value % 10
        );
    }
    assert_eq!(values, (0..count).collect());
    assert_eq!(numbers, (0..10).flat_map(|key| (0..count / 10).map(move |number| (key, number))).collect());
}

fn suspend_and_go_on(processes: &str) {
    let place = Place::new(PROGRAM).unwrap();
    let (checkpoints, out) = (place.text("checkpoints"), place.text("out"));
    let arguments =
        ["--processes", processes, "-p", "2", "--checkpoint-dir", &checkpoints, INTERVAL, "--", "count"];
    let arguments: Vec<&str> = arguments.into_iter().chain([out.as_str(), "3000", "3000"]).collect();
    let mut suspended = 0;
    for _ in 0..2 {
        let mut started = place.start(&arguments).unwrap();
        let before = visible_files(&place.path("out")).len();
        let path = place.path("out");
        started.wait_for("new output", || visible_files(&path).len() > before).unwrap();
        started.press_control_c();
        let ended = end(started, &place);
        assert!(ended.status.success(), "{ended:?}");
        assert!(!ended.said.contains("ERROR"), "{}", ended.said);
        suspended = place.lines("out").len();
        assert!(suspended < 3_000, "the job was to be stopped half way");
    }
    assert!(suspended > 0);
    let ended = end(place.start(&arguments).unwrap(), &place);
    assert!(ended.status.success(), "{ended:?}");
    assert_complete(&place.lines("out"), 3_000);
}

#[test]
fn a_job_that_is_interrupted_is_suspended_and_goes_on() {
    suspend_and_go_on("1");
}

#[test]
fn a_job_of_several_processes_that_is_interrupted_is_suspended_and_goes_on() {
    suspend_and_go_on("2");
}

#[test]
fn a_job_without_checkpoints_that_is_interrupted_is_drained() {
    for processes in ["1", "2"] {
        let place = Place::new(PROGRAM).unwrap();
        let out = place.text("out");
        let arguments =
            ["--processes", processes, "-p", "2", INTERVAL, "--", "sums", &out, "1000000000", "2000"];
        let mut started = place.start(&arguments).unwrap();
        wait_for_output(&mut started, &place, "out/numbers");
        started.press_control_c();
        let ended = end(started, &place);
        assert!(ended.status.success(), "{ended:?}");
        let (numbers, sums) = (place.lines("out/numbers"), place.lines("out/sums"));
        assert_eq!(sums, [numbers.len().to_string()], "the end of the stream closes the window");
        assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), numbers.len());
        let hidden = std::fs::read_dir(place.path("out/numbers")).unwrap().flatten();
        let hidden: Vec<_> =
            hidden.filter(|file| file.file_name().to_string_lossy().starts_with('.')).collect();
        assert!(hidden.is_empty(), "{hidden:?}");
    }
}

#[test]
fn a_second_interrupt_ends_the_job_at_once() {
    let place = Place::new(PROGRAM).unwrap();
    let out = place.text("out");
    // A record that never comes back cannot be drained.
    let arguments = ["-p", "1", "-Deddyline.step-timeout=1 h", "--", "stuck", &out, "10"];
    let mut started = place.start(&arguments).unwrap();
    let output = started.pid().unwrap();
    started.wait_for("a worker thread", || threads(output.as_raw_nonzero().get()) > 3).unwrap();
    started.signal(Signal::INT);
    // Two signals that come before the first is taken notice of are one: the program says when it was.
    let log = started.log();
    started
        .wait_for("the first signal heard", || log.text().contains("press Ctrl-C again to end at once"))
        .unwrap();
    started.signal(Signal::INT);
    let ended = end(started, &place);
    assert!(!ended.status.success());
}

fn threads(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().count()
}

#[test]
fn of_two_supervisors_the_older_one_ends() {
    let place = Place::new(PROGRAM).unwrap();
    let (checkpoints, out) = (place.text("checkpoints"), place.text("out"));
    let arguments =
        ["--processes", "2", "-p", "2", "--checkpoint-dir", &checkpoints, INTERVAL, "--", "count"];
    let arguments: Vec<&str> = arguments.into_iter().chain([out.as_str(), "3000", "2000"]).collect();
    let mut older = place.start(&arguments).unwrap();
    wait_for_output(&mut older, &place, "out");
    let newer = place.start(&arguments).unwrap();
    let older = older.end().unwrap();
    assert!(!older.status.success(), "{older:?}");
    let knows =
        ["was replaced by attempt", "another supervisor"].iter().any(|words| older.said.contains(words));
    assert!(knows, "{}", older.said);
    let newer = end(newer, &place);
    assert!(newer.status.success(), "{newer:?}");
    assert_complete(&place.lines("out"), 3_000);
}

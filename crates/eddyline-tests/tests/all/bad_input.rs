//! What a person gets to read when something is wrong: what it is, where, and what to do.
use eddyline_tests::harness::{Ended, Place, Signal, visible_files};

const PROGRAM: &str = env!("CARGO_BIN_EXE_trouble-workload");
const INTERVAL: &str = "-Dexecution.checkpointing.interval=50 ms";

/// The program has failed, in words of its own, and has said all of `parts`.
fn assert_fails(ended: &Ended, parts: &[&str]) {
    assert!(!ended.status.success(), "{ended:?}");
    for part in parts {
        assert!(ended.said.contains(part), "`{part}` is not in:\n{}", ended.said);
    }
    for unwanted in ["stack backtrace", "panicked at", "RUST_BACKTRACE"] {
        assert!(!ended.said.contains(unwanted), "`{unwanted}` is in:\n{}", ended.said);
    }
}

/// A job that was suspended half way: its output, its checkpoints.
fn suspended() -> (Place, [String; 3]) {
    let place = Place::new(PROGRAM).unwrap();
    let arguments = [place.text("checkpoints"), INTERVAL.to_owned(), place.text("out")];
    let mut started = place.start(&count(&arguments, "count")).unwrap();
    let (out, enough) = (place.path("out"), || place.complete_checkpoints("trouble").len() >= 3);
    started.wait_for("three checkpoints", || visible_files(&out).len() >= 3 && enough()).unwrap();
    started.signal(Signal::INT);
    let ended = started.end().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    (place, arguments)
}

fn count<'a>([checkpoints, interval, out]: &'a [String; 3], mode: &'a str) -> Vec<&'a str> {
    let retained = "-Dexecution.checkpointing.num-retained=3";
    vec!["--checkpoint-dir", checkpoints, interval, retained, "--", mode, out, "2000", "3000"]
}

#[test]
fn a_panic_names_operator_uid_and_record() {
    for processes in ["1", "2"] {
        let place = Place::new(PROGRAM).unwrap();
        let arguments = ["--processes", processes, "-p", processes, "--", "panic", "", "100"];
        let ended = place.run(&arguments).unwrap();
        assert_fails(&ended, &["divide by zero", "divide", "divide-7", "record "]);
    }
}

#[test]
fn an_error_of_user_code_names_operator_uid_and_record() {
    for processes in ["1", "2"] {
        let place = Place::new(PROGRAM).unwrap();
        let arguments = ["--processes", processes, "-p", processes, "--", "error", "", "100"];
        let ended = place.run(&arguments).unwrap();
        assert_fails(&ended, &["seven is not wanted", "leave sevens out", "refuse", "refuse-7", "record "]);
    }
}

#[test]
fn a_missing_file_is_named() {
    let place = Place::new(PROGRAM).unwrap();
    let missing = place.text("missing.log");
    assert_fails(&place.run(&["--", "lines", &missing]).unwrap(), &[&missing]);
}

#[test]
fn a_checkpoint_directory_that_cannot_be_is_named() {
    let place = Place::new(PROGRAM).unwrap();
    std::fs::write(place.path("file"), "").unwrap();
    let (beneath, named) = (place.text("file/checkpoints"), place.text("file"));
    for (directory, named, reason) in [
        (beneath.as_str(), named.as_str(), "Not a directory"),
        ("/proc/eddyline-tests", "/proc/eddyline-tests", "cannot make directory"),
    ] {
        let ended =
            place.run(&["--checkpoint-dir", directory, "--", "count", &place.text("out"), "10"]).unwrap();
        assert_fails(&ended, &[reason, named]);
    }
}

#[test]
fn a_damaged_checkpoint_is_skipped_and_said_so() {
    let (place, arguments) = suspended();
    let newest = place.complete_checkpoints("trouble").pop().unwrap();
    std::fs::write(newest.join("COMPLETE"), "{}\ncrc32:00000000\n").unwrap();
    let ended = place.run(&count(&arguments, "count")).unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let number = newest.file_name().unwrap().to_str().unwrap().rsplit('-').next().unwrap().to_owned();
    let number = number.trim_start_matches('0');
    assert!(
        ended.said.contains("WARN") && ended.said.contains(&format!("checkpoint {number}")),
        "{}",
        ended.said
    );
}

#[test]
fn without_any_good_checkpoint_nothing_is_started() {
    let (place, arguments) = suspended();
    for checkpoint in place.complete_checkpoints("trouble") {
        std::fs::write(checkpoint.join("COMPLETE"), "nothing").unwrap();
    }
    let before = place.lines("out");
    assert_fails(&place.run(&count(&arguments, "count")).unwrap(), &["checkpoint", "damaged", "try:"]);
    assert_eq!(place.lines("out"), before);
}

#[test]
fn a_checkpoint_of_another_job_is_refused() {
    let (place, arguments) = suspended();
    std::fs::rename(place.path("checkpoints/trouble"), place.path("checkpoints/other-trouble")).unwrap();
    let ended = place.run(&count(&arguments, "other-job")).unwrap();
    assert_fails(&ended, &["trouble", "other-trouble", "try:"]);
}

#[test]
fn state_that_nobody_takes_is_refused_unless_it_is_dropped_on_purpose() {
    let (place, arguments) = suspended();
    let mut renamed = count(&arguments, "renamed");
    let ended = place.run(&renamed).unwrap();
    assert_fails(&ended, &["remember", "try:"]);
    renamed.insert(0, "-Dexecution.state-recovery.ignore-unclaimed-state=true");
    let ended = place.run(&renamed).unwrap();
    assert!(ended.status.success(), "{ended:?}");
}

#[test]
fn options_that_do_not_exist_or_cannot_be_are_explained() {
    let place = Place::new(PROGRAM).unwrap();
    let run = |option: &str| place.run(&[option, "--", "count", &place.text("out"), "10"]).unwrap();
    assert_fails(
        &run("-Dexecution.checkpointing.intervall=1 s"),
        &["did you mean `execution.checkpointing.interval`"],
    );
    assert_fails(
        &run("-Dexecution.checkpointing.interval=soon"),
        &["execution.checkpointing.interval", "soon"],
    );
    assert_fails(&run("-Dparallelism.default=0"), &["workers"]);
    assert_fails(&run("--paralellism=2"), &["did you mean `--parallelism`"]);
    assert_fails(&run("-Deddyline.processes=2"), &["1 workers cannot be divided over 2 processes"]);
    assert!(!place.path("out").exists(), "nothing was started");
}

#[test]
fn a_port_in_use_is_named() {
    let place = Place::new(PROGRAM).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap();
    let addresses = format!("-Deddyline.addresses=127.0.0.1:0,{taken}");
    let arguments = ["--processes", "2", "-p", "2", &addresses, "--", "count", &place.text("out"), "10"];
    assert_fails(
        &place.run(&arguments).unwrap(),
        &[&format!("cannot listen on {taken}"), "choose another address"],
    );
}

#[test]
fn an_operator_that_is_stuck_is_named() {
    for processes in ["1", "2"] {
        let place = Place::new(PROGRAM).unwrap();
        let options = ["-Deddyline.step-timeout=300 ms", "-Dheartbeat.interval=100 ms"];
        let arguments =
            ["--processes", processes, "-p", processes, options[0], options[1], "--", "stuck", "", "100"];
        assert_fails(&place.run(&arguments).unwrap(), &["wait", "wait-for-ever"]);
    }
}

#[test]
fn what_filled_the_memory_is_named() {
    let place = Place::new(PROGRAM).unwrap();
    let ended = place.run(&["--memory", "16m", "--", "memory", "", "1000000000"]).unwrap();
    assert_fails(&ended, &["over its memory", "`kept` of `keep`", "taskmanager.memory.process.size"]);
}

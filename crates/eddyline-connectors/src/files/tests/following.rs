//! Files that grow, are rotated, cut off, deleted and created while they are followed.

use super::super::followed::ROTATION_GRACE_MS;
use super::{Driver, Place, TextFiles};

fn follow(place: &Place) -> Driver {
    Driver::new(&TextFiles::new([place.path("a.log")]).follow(), &[], 0, 1)
}

fn follow_directory(place: &Place) -> Driver {
    Driver::new(&TextFiles::new([place.directory()]).follow(), &[], 0, 1)
}

/// Polls until a rotation's grace is over.
fn poll_twice(driver: &mut Driver) -> Vec<String> {
    const { assert!(ROTATION_GRACE_MS < 10_000, "a poll in these tests is 10 s") };
    let mut lines = driver.poll();
    lines.extend(driver.poll());
    lines
}

#[test]
fn a_growing_file_gives_lines_once_they_have_an_end() {
    let place = Place::new();
    place.write("a.log", "one\ntw");
    let mut driver = follow(&place);
    assert_eq!(driver.poll(), ["one"]);
    assert!(driver.poll().is_empty());
    place.append("a.log", "o\nthree\n");
    assert_eq!(driver.poll(), ["two", "three"]);
    assert_eq!(driver.lines[1].1, 4, "offset of the line that came in two pieces");
    assert!(!driver.ended && driver.warnings.is_empty());
}

#[test]
fn a_rotated_file_is_finished_through_the_old_handle_first() {
    let place = Place::new();
    place.write("a.log", "one\n");
    let mut driver = follow(&place);
    driver.poll();
    place.append("a.log", "two\n");
    place.rename("a.log", "a.log.1");
    place.write("a.log", "");
    assert_eq!(driver.poll(), ["two"]);
    place.append("a.log.1", "three\n");
    assert_eq!(poll_twice(&mut driver), ["three"], "the writer has not opened the new file yet");
    place.append("a.log", "four\n");
    driver.poll();
    place.append("a.log.1", "late\nunfinished");
    assert_eq!(driver.poll(), ["late"]);
    assert_eq!(poll_twice(&mut driver), ["unfinished", "four"]);
    place.append("a.log", "five\n");
    assert_eq!(driver.poll(), ["five"]);
    assert_eq!(driver.state().len(), 1);
    assert!(driver.warnings.is_empty());
}

#[test]
fn a_file_that_is_cut_off_is_read_from_its_start_with_a_warning() {
    let place = Place::new();
    place.write("a.log", "one\ntwo\n");
    let mut driver = follow(&place);
    driver.poll();
    place.write("a.log", "new\n");
    assert_eq!(driver.poll(), ["new"]);
    assert!(driver.warnings[0].contains("cut off") && driver.warnings[0].contains("a.log"));
    assert!(driver.warnings[0].contains('8'), "says how far it had come: {}", driver.warnings[0]);
    place.write("a.log", "another and longer than all before\n");
    assert_eq!(driver.poll(), ["another and longer than all before"], "cut off and grown between two looks");
    assert_eq!(driver.warnings.len(), 2);
    place.write("a.log", "");
    assert!(driver.poll().is_empty());
    place.append("a.log", "after\n");
    assert_eq!(driver.poll(), ["after"]);
}

#[test]
fn a_file_that_is_deleted_and_created_again_goes_on() {
    let place = Place::new();
    place.write("a.log", "one\n");
    let mut driver = follow(&place);
    driver.poll();
    std::fs::remove_file(place.path("a.log")).unwrap();
    assert!(driver.poll().is_empty());
    place.write("a.log", "two\n");
    assert_eq!(poll_twice(&mut driver), ["two"]);
    assert_eq!(driver.state()[0].number, 1);
}

#[test]
fn new_files_of_a_directory_are_found_and_renamed_ones_known() {
    let place = Place::new();
    place.write("a.log", "a1\n");
    let mut driver = follow_directory(&place);
    assert_eq!(driver.poll(), ["a1"]);
    place.write("b.log", "b1\n");
    place.write("c.log.gz", "no text\n");
    assert_eq!(driver.poll(), ["b1"]);
    place.rename("a.log", "a.log.1");
    place.write("a.log", "a2\n");
    assert_eq!(poll_twice(&mut driver), ["a2"]);
    place.append("a.log.1", "to the renamed file\n");
    assert_eq!(poll_twice(&mut driver), ["to the renamed file"]);
    std::fs::remove_file(place.path("a.log.1")).unwrap();
    std::fs::remove_file(place.path("b.log")).unwrap();
    poll_twice(&mut driver);
    driver.poll();
    let left: Vec<_> = driver.state().iter().map(|split| split.path.clone()).collect();
    assert_eq!(left, [place.path("a.log").to_str().unwrap()], "what is gone is forgotten");
    assert!(driver.warnings.is_empty(), "{:?}", driver.warnings);
}

#[test]
fn a_rotation_by_copying_is_not_read_twice() {
    let place = Place::new();
    place.write("a.log", "one\ntwo\n");
    let mut driver = follow_directory(&place);
    driver.poll();
    std::fs::copy(place.path("a.log"), place.path("a.log.1")).unwrap();
    assert!(driver.poll().is_empty());
    place.write("a.log", "three\n");
    assert_eq!(poll_twice(&mut driver), ["three"]);
    assert!(driver.poll().is_empty());
}

#[test]
fn after_a_restore_reading_goes_on_wherever_the_file_is() {
    for change in ["none", "renamed", "cut", "deleted"] {
        let place = Place::new();
        place.write("a.log", "one\ntwo\n");
        let mut before = follow(&place);
        before.poll();
        place.append("a.log", "three\n");
        match change {
            "renamed" => {
                place.rename("a.log", "a.log.1");
                place.write("a.log", "four\n");
            }
            "cut" => _ = place.write("a.log", "four\n"),
            "deleted" => {
                // The new file exists before the old one goes, so that it cannot get its inode.
                place.write("next", "four\n");
                place.rename("next", "a.log");
            }
            _ => {}
        }
        let files = TextFiles::new([place.path("a.log")]).follow();
        let mut after = Driver::new(&files, &before.state(), 0, 1);
        let lines = poll_twice(&mut after);
        let (expected, warnings): (&[&str], _) = match change {
            "none" => (&["three"], 0),
            "renamed" => (&["three", "four"], 0),
            _ => (&["four"], 1),
        };
        assert_eq!(lines, expected, "{change}");
        assert_eq!(after.warnings.len(), warnings, "{change}: {:?}", after.warnings);
    }
}

#[test]
fn a_directory_restored_reads_nothing_again() {
    let place = Place::new();
    place.write("a.log", "a1\n");
    let mut before = follow_directory(&place);
    before.poll();
    place.rename("a.log", "a.log.1");
    place.write("a.log", "a2\n");
    poll_twice(&mut before);
    let files = TextFiles::new([place.directory()]).follow();
    let mut after = Driver::new(&files, &before.state(), 0, 1);
    assert!(poll_twice(&mut after).is_empty());
    place.append("a.log.1", "x\n");
    place.append("a.log", "y\n");
    let mut lines = poll_twice(&mut after);
    lines.sort();
    assert_eq!(lines, ["x", "y"]);
}

/// Appends to a file so that it counts as written at second `second`.
fn write_at(place: &Place, name: &str, text: &str, second: u64) {
    place.append(name, text);
    let file = std::fs::File::options().write(true).open(place.path(name)).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(second)).unwrap();
}

#[test]
fn files_that_had_the_path_while_nobody_looked_are_read_in_order() {
    for restarted in [true, false] {
        let place = Place::new();
        write_at(&place, "a.log.3", "long ago\n", 10);
        write_at(&place, "a.log", "one\n", 100);
        let mut driver = follow(&place);
        assert_eq!(driver.poll(), ["one"]);
        // Three rotations, the last of which is by date.
        write_at(&place, "a.log", "two\n", 200);
        place.rename("a.log", "a.log.2");
        write_at(&place, "a.log", "three\n", 300);
        place.rename("a.log", "a.log.1");
        write_at(&place, "a.log", "four\nunfinished", 400);
        place.rename("a.log", "a.log-20260131");
        write_at(&place, "a.log", "five\n", 500);
        write_at(&place, "a.log.bak", "not ours\n", 450);
        if restarted {
            let files = TextFiles::new([place.path("a.log")]).follow();
            driver = Driver::new(&files, &driver.state(), 0, 1);
        }
        let lines: Vec<String> = (0..6).flat_map(|_| driver.poll()).collect();
        assert_eq!(lines, ["two", "three", "four", "unfinished", "five"], "restarted: {restarted}");
        assert!(driver.warnings.is_empty(), "{:?}", driver.warnings);
        assert_eq!(driver.state().len(), 1);
    }
}

#[test]
fn a_restart_between_two_rotated_files_goes_on_with_the_right_one() {
    let place = Place::new();
    write_at(&place, "a.log", "one\n", 100);
    let mut driver = follow(&place);
    driver.poll();
    place.rename("a.log", "a.log.2");
    write_at(&place, "a.log", "two\n", 200);
    place.rename("a.log", "a.log.1");
    write_at(&place, "a.log", "three\n", 300);
    let mut lines = Vec::new();
    for _ in 0..6 {
        let files = TextFiles::new([place.path("a.log")]).follow();
        driver = Driver::new(&files, &driver.state(), 0, 1);
        lines.extend(poll_twice(&mut driver));
    }
    assert_eq!(lines, ["two", "three"]);
}

//! What the job has to give, computed the plain way, and the judgement over what it gave.

use super::functions::bucket_of;
use super::job::{ALARM_EVERY, GAP_MS, OUTPUTS, WINDOW_MS};
use super::records::{Event, LATE_KEYS, SPLITS, event, loop_rounds};
use std::collections::BTreeMap;
use std::path::Path;

/// Lines by output, sorted.
pub type Lines = BTreeMap<&'static str, Vec<String>>;

/// What a job over these records has to give.
pub fn expected(seed: u64, records_per_split: u64) -> Lines {
    let events: Vec<Event> = (0..SPLITS)
        .flat_map(|split| {
            (0..records_per_split).map(move |index| event(seed, split, index, records_per_split))
        })
        .collect();
    let on_time: Vec<&Event> = events.iter().filter(|event| !event.is_late()).collect();
    let windows = counted(&on_time, |event| event.time.div_euclid(WINDOW_MS) * WINDOW_MS);
    let ids = |wanted: &dyn Fn(&Event) -> bool| {
        events.iter().filter(|event| wanted(event)).map(|event| event.id.to_string()).collect::<Vec<_>>()
    };
    let mut lines = Lines::from([
        ("windows", windows.clone()),
        ("answer-windows", windows),
        ("late", ids(&Event::is_late)),
        ("sessions", sessions(&on_time)),
        ("buckets", counted(&on_time, |event| bucket_of(event.time))),
        ("alarms", ids(&|event| event.id % ALARM_EVERY == 0)),
        ("loop", events.iter().map(|event| format!("{} {}", event.id, loop_rounds(event.id))).collect()),
        ("answers", ids(&|_| true)),
    ]);
    lines.values_mut().for_each(|lines| lines.sort());
    lines
}

fn counted(events: &[&Event], group: impl Fn(&Event) -> i64) -> Vec<String> {
    let mut groups: BTreeMap<(u64, i64), (u64, u64)> = BTreeMap::new();
    for event in events {
        let (count, sum) = groups.entry((event.key, group(event))).or_default();
        (*count, *sum) = (*count + 1, *sum + event.id);
    }
    groups.into_iter().map(|((key, group), (count, sum))| format!("{key} {group} {count} {sum}")).collect()
}

fn sessions(events: &[&Event]) -> Vec<String> {
    let mut sorted: Vec<&&Event> = events.iter().collect();
    sorted.sort_by_key(|event| (event.key, event.time));
    let mut sessions: Vec<(u64, i64, i64, u64, u64)> = Vec::new();
    for event in sorted {
        match sessions.last_mut() {
            Some((key, _, end, count, sum)) if *key == event.key && event.time <= *end => {
                (*end, *count, *sum) = (event.time + GAP_MS, *count + 1, *sum + event.id);
            }
            _ => sessions.push((event.key, event.time, event.time + GAP_MS, 1, event.id)),
        }
    }
    let line = |(key, start, end, count, sum)| format!("{key} {start} {end} {count} {sum}");
    sessions.into_iter().map(line).collect()
}

/// The visible lines of all outputs in `out`, sorted; a late record that made a window of its own (because it came
/// before there was a watermark) counts as late.
fn given(out: &Path) -> std::io::Result<Lines> {
    let mut lines = Lines::new();
    for output in OUTPUTS {
        let mut all = Vec::new();
        // An output that nothing was written to may have no directory.
        for entry in std::fs::read_dir(out.join(output)).into_iter().flatten() {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().starts_with('.') {
                all.extend(std::fs::read_to_string(entry.path())?.lines().map(str::to_owned));
            }
        }
        lines.insert(output, all);
    }
    let is_late =
        |line: &String| line.split(' ').next().and_then(|key| key.parse::<u64>().ok()) >= Some(LATE_KEYS);
    let windows = lines.remove("windows").unwrap_or_default();
    let (late, windows): (Vec<String>, Vec<String>) = windows.into_iter().partition(is_late);
    lines.insert("windows", windows);
    let late = late.iter().map(|line| line.rsplit(' ').next().unwrap_or_default().to_owned());
    lines.entry("late").or_default().extend(late);
    lines.values_mut().for_each(|lines| lines.sort());
    Ok(lines)
}

/// Compares what is visible in `out` with what has to be there.
///
/// # Errors
/// What is lost, doubled or wrong, and where.
pub fn judge(out: &Path, expected: &Lines) -> Result<(), String> {
    let given = given(out).map_err(|error| format!("the output cannot be read: {error}"))?;
    let mut problems = Vec::new();
    for (output, expected) in expected {
        let given = given.get(output).map_or(&[][..], Vec::as_slice);
        let (expected, given) = (tally(expected), tally(given));
        let missing: Vec<_> = expected.iter().filter(|(line, _)| !given.contains_key(*line)).collect();
        let doubled: Vec<_> = given.iter().filter(|(_, count)| **count > 1).collect();
        let wrong: Vec<_> = given.iter().filter(|(line, _)| !expected.contains_key(*line)).collect();
        for (what, lines) in [("lost", missing), ("doubled", doubled), ("wrong", wrong)] {
            if !lines.is_empty() {
                let some: Vec<_> = lines.iter().take(5).collect();
                problems.push(format!("{output}: {} {what}, among them {some:?}", lines.len()));
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

fn tally(lines: &[String]) -> BTreeMap<&String, usize> {
    let mut counts = BTreeMap::new();
    lines.iter().for_each(|line| *counts.entry(line).or_default() += 1);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(out: &Path, lines: &Lines) {
        for (output, lines) in lines {
            std::fs::create_dir_all(out.join(output)).unwrap();
            std::fs::write(out.join(output).join("part"), lines.join("\n")).unwrap();
            std::fs::write(out.join(output).join(".part"), "nobody sees this").unwrap();
        }
    }

    #[test]
    fn what_is_lost_doubled_or_wrong_is_found() {
        let (place, expected) = (tempfile::tempdir().unwrap(), expected(1, 200));
        assert!(
            expected.values().all(|lines| lines.len() > 20),
            "an output that is nearly empty proves nothing"
        );
        write(place.path(), &expected);
        judge(place.path(), &expected).unwrap();
        for output in OUTPUTS {
            let mut lost = expected.clone();
            lost.get_mut(output).unwrap().pop();
            write(place.path(), &lost);
            assert!(judge(place.path(), &expected).unwrap_err().contains("1 lost"), "{output}");
            let mut doubled = expected.clone();
            let again = doubled[output][3].clone();
            doubled.get_mut(output).unwrap().push(again);
            write(place.path(), &doubled);
            assert!(judge(place.path(), &expected).unwrap_err().contains("1 doubled"), "{output}");
            write(place.path(), &expected);
        }
    }

    #[test]
    fn a_late_record_counts_once_wherever_it_is() {
        let (place, expected) = (tempfile::tempdir().unwrap(), expected(1, 200));
        let mut early = expected.clone();
        let id: u64 = early.get_mut("late").unwrap().pop().unwrap().parse().unwrap();
        early.get_mut("windows").unwrap().push(format!("{} -1000000000 1 {id}", LATE_KEYS + id));
        write(place.path(), &early);
        judge(place.path(), &expected).unwrap();
        early.get_mut("late").unwrap().push(id.to_string());
        write(place.path(), &early);
        assert!(judge(place.path(), &expected).unwrap_err().contains("late: 1 doubled"));
    }
}

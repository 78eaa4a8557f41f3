//! The reference model: what the output of a job has to be, whatever went wrong on the way.

use crate::jobs::{Event, Kind, Outcome, catalogue_input, event_of, read_visible, rule_of};
use crate::scenario::{Branch, ROUNDS_MAX, Scenario, Terminal, Transform, WINDOW_MS};
use crate::world::Disk;
use eddyline_core::EventTime;
use std::collections::BTreeMap;

type Tally = (u64, i64);

/// Reads what is visible on `disk` and compares it with what has to be; answers how many rows there are, too.
pub fn judge(scenario: &Scenario, disk: &Disk) -> (usize, Result<(), String>) {
    match scenario.catalogue {
        Some(job) => match read_visible::<String>(disk) {
            Ok(lines) => (lines.len(), job.judge(&catalogue_input(scenario), &lines)),
            Err(error) => (0, Err(error.report())),
        },
        None => match read_visible::<Outcome>(disk) {
            Ok(rows) => (rows.len(), check(scenario, &rows)),
            Err(error) => (0, Err(error.report())),
        },
    }
}

/// Compares what is visible with what has to be.
///
/// # Errors
/// Says the first differences.
pub fn check(scenario: &Scenario, visible: &[Outcome]) -> Result<(), String> {
    for (number, branch) in scenario.branches.iter().enumerate() {
        let rows: Vec<&Outcome> = visible.iter().filter(|row| row.branch as usize == number).collect();
        let events = input_of(scenario, branch);
        let checked = match branch.terminal {
            Terminal::Records => check_records(&events, &rows),
            Terminal::Windows => check_windows(scenario, &events, &rows),
            Terminal::Timers => {
                check_windows(scenario, &events, &rows).and_then(|()| check_totals(&events, &rows, 1))
            }
            Terminal::Rules => {
                let factor = (0..scenario.input.rules).map(|rule| rule_of(&scenario.input, rule)).sum();
                check_totals(&events, &rows, factor)
            }
        };
        checked.map_err(|difference| format!("branch {number} ({:?}): {difference}", branch.terminal))?;
    }
    match visible.iter().find(|row| row.branch as usize >= scenario.branches.len()) {
        Some(row) => Err(format!("a row of no branch: {row:?}")),
        None => Ok(()),
    }
}

/// All records that reach the end of `branch`.
fn input_of(scenario: &Scenario, branch: &Branch) -> Vec<(Event, EventTime)> {
    let circles = branch.transforms.contains(&Transform::Loop);
    let splits = 0..branch.sources as u32 * scenario.input.splits;
    let events = splits.flat_map(|split| {
        (0..scenario.input.records).map(move |index| event_of(&scenario.input, split, index))
    });
    let round = |(mut event, at): (Event, EventTime)| {
        event.rounds = if circles { event.index % ROUNDS_MAX } else { 0 };
        (event, at)
    };
    events.map(round).collect()
}

fn compare<K: Ord + std::fmt::Debug>(
    what: &str,
    expected: &BTreeMap<K, Tally>,
    found: &BTreeMap<K, Tally>,
) -> Result<(), String> {
    let mut differences = Vec::new();
    for (key, tally) in expected {
        if found.get(key) != Some(tally) {
            differences.push(format!("{what} {key:?}: expected {tally:?}, found {:?}", found.get(key)));
        }
    }
    differences.extend(
        found.keys().filter(|key| !expected.contains_key(key)).map(|key| format!("{what} {key:?}: invented")),
    );
    match differences.len() {
        0 => Ok(()),
        count => {
            Err(format!("{count} wrong; {}", differences.into_iter().take(4).collect::<Vec<_>>().join("; ")))
        }
    }
}

fn check_records(events: &[(Event, EventTime)], rows: &[&Outcome]) -> Result<(), String> {
    let place = |event: &Event| (u64::from(event.split) << 32) | u64::from(event.index);
    let expected: BTreeMap<(u64, i64, u64, i64), Tally> = events
        .iter()
        .map(|(event, at)| ((place(event), *at, u64::from(event.rounds), event.value), (1, 0)))
        .collect();
    let mut found: BTreeMap<(u64, i64, u64, i64), Tally> = BTreeMap::new();
    for row in rows {
        found.entry((row.key, row.at, row.count, row.sum)).or_default().0 += 1;
    }
    compare("record", &expected, &found)
}

/// Every window fires once, and what it lacks was late.
fn check_windows(
    scenario: &Scenario,
    events: &[(Event, EventTime)],
    rows: &[&Outcome],
) -> Result<(), String> {
    let mut expected: BTreeMap<(u64, i64), Tally> = BTreeMap::new();
    for (event, at) in events {
        add(
            expected.entry((event.key, (at.div_euclid(WINDOW_MS) + 1) * WINDOW_MS)).or_default(),
            (1, event.value),
        );
    }
    let mut found: BTreeMap<(u64, i64), Tally> = BTreeMap::new();
    let mut fired = std::collections::BTreeSet::new();
    for row in rows {
        if row.kind == Kind::Window.number() && !fired.insert((row.key, row.at)) {
            return Err(format!("the window of key {} that ends at {} fired twice", row.key, row.at));
        }
        if row.kind == Kind::Late.number() && !scenario.input.unruly {
            return Err(format!("a record of key {} for {} came late, but none was", row.key, row.at));
        }
        if row.kind == Kind::Window.number() || row.kind == Kind::Late.number() {
            add(found.entry((row.key, row.at)).or_default(), (row.count, row.sum));
        }
    }
    compare("window", &expected, &found)
}

fn check_totals(events: &[(Event, EventTime)], rows: &[&Outcome], factor: i64) -> Result<(), String> {
    let mut expected: BTreeMap<u64, Tally> = BTreeMap::new();
    for (event, _) in events {
        add(expected.entry(event.key).or_default(), (1, event.value * factor));
    }
    let mut found: BTreeMap<u64, Tally> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.kind == Kind::Total.number()) {
        add(found.entry(row.key).or_default(), (row.count, row.sum));
    }
    compare("total of key", &expected, &found)
}

fn add(tally: &mut Tally, (count, sum): Tally) {
    tally.0 += count;
    tally.1 += sum;
}

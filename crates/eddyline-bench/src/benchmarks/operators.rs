//! Every operator and kind of window against a bare loop of the same computation.

use super::{Effort, PerRecord, measure};
use crate::operator_jobs::{NOTHING, OPERATORS, Operator};
use crate::report::{Line, Report, number};
use eddyline_core::{Error, Result};

/// What was measured of one operator, a value for each round.
#[derive(Default)]
struct Found {
    bare: Vec<f64>,
    one: Vec<f64>,
    two: Vec<f64>,
}

/// Measures one operator; refuses to tell how fast a wrong result was.
fn measured(operator: &Operator, records: u64) -> Result<[PerRecord; 3]> {
    let records = records / operator.share;
    let mut sum = None;
    let mut run = |settings: &str| {
        let name = operator.name.replace(' ', "-");
        let figures = measure("operator", &format!("operator={name} records={records} {settings}"))?;
        let found = figures.get("sum")?;
        let wanted = *sum.get_or_insert(found);
        if found != wanted {
            return Err(Error::internal(format!("{name} ({settings}) came to {found} instead of {wanted}")));
        }
        let per_record = |figure: &str| figures.get(figure).map(|nanos| nanos / records as f64);
        Ok(PerRecord { processor: per_record("cpu_ns")?, wall: per_record("wall_ns")? })
    };
    Ok([run("engine=0")?, run("workers=1")?, run("workers=2")?])
}

fn round(operator: &Operator, records: u64, nothing: [f64; 3], found: &mut Found) -> Result<()> {
    let times = measured(operator, records)?.map(|times| times.processor);
    found.bare.push(times[0] - nothing[0]);
    found.one.push(times[1] - nothing[1]);
    found.two.push(times[2] - nothing[2]);
    Ok(())
}

/// How dear an operator is: the remark beside its figure.
fn remark(kind: &str, found: &Found) -> String {
    let value = |values: &[f64]| Line::new("", "ns", values).value;
    let (bare, one, two) = (value(&found.bare), value(&found.one), value(&found.two));
    // Less than a nanosecond is the noise of the subtraction.
    let ratio = if bare >= 1.0 { format!(", {} × bare", number(one / bare)) } else { String::new() };
    format!("{kind}: bare {} ns, two workers {} ns{ratio}", number(bare.max(0.0)), number(two))
}

pub fn run(effort: Effort) -> Result<Report> {
    let records = effort.of(4_000_000, 200_000);
    let mut lines = Vec::new();
    let mut rounds = Vec::new();
    for _ in 0..effort.repeats {
        rounds.push(measured(&NOTHING, records)?.map(|times| times.processor));
    }
    let nothing = [0, 1, 2]
        .map(|at| Line::new("", "", &rounds.iter().map(|round| round[at]).collect::<Vec<_>>()).value);
    let own = Line::new(NOTHING.name, "ns", &rounds.iter().map(|round| round[1]).collect::<Vec<_>>());
    let rest = format!(
        "bare {} ns, two workers {} ns; taken off all others",
        number(nothing[0]),
        number(nothing[2])
    );
    lines.push(own.note(rest));
    for (kind, operators) in OPERATORS {
        for operator in *operators {
            let mut found = Found::default();
            for _ in 0..effort.repeats {
                round(operator, records, nothing, &mut found)?;
            }
            lines.push(Line::new(operator.name, "ns", &found.one).note(remark(kind, &found)));
        }
    }
    let settings = format!(
        "processor time per record on one worker, without source and sink; {records} records (a quarter where they \
         are dear), 1,000 keys, windows of 50 ms with 50,000 records"
    );
    Ok(Report { name: "operators", settings: effort.settings(&settings), lines })
}

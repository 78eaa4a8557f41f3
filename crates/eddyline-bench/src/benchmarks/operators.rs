//! Every operator and kind of window against a bare loop of the same computation.

use super::{Effort, PerRecord, measure};
use crate::operator_jobs::{DEAR, NOTHING, OPERATORS, Operator};
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

fn round(operator: &Operator, records: u64, nothing: &[Line; 3], found: &mut Found) -> Result<()> {
    let [bare, one, two] = measured(operator, records)?.map(|times| times.processor);
    found.bare.push(bare - nothing[0].value);
    found.one.push(one - nothing[1].value);
    found.two.push(two - nothing[2].value);
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

/// What source and sink cost alone, with as many records as operators get that have this share of them: a job that
/// is short has its start to pay.
fn nothing(share: u64, records: u64, repeats: usize) -> Result<[Line; 3]> {
    let mut found = [const { Vec::new() }; 3];
    for _ in 0..repeats {
        let times = measured(&NOTHING.with_share(share), records)?;
        found.iter_mut().zip(times).for_each(|(found, times)| found.push(times.processor));
    }
    Ok(found.map(|found| Line::new(NOTHING.name, "ns", &found)))
}

pub fn run(effort: Effort) -> Result<Report> {
    let records = effort.of(4_000_000, 200_000);
    let of_share = [nothing(1, records, effort.repeats)?, nothing(DEAR, records, effort.repeats)?];
    let [bare, one, two] = of_share[0].clone();
    let rest =
        format!("bare {} ns, two workers {} ns; taken off all others", number(bare.value), number(two.value));
    let mut lines = vec![one.note(rest)];
    for (kind, operators) in OPERATORS {
        for operator in *operators {
            let mut found = Found::default();
            let nothing = &of_share[usize::from(operator.share == DEAR)];
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

//! Small steps, functions that can fail, and ways to hand records out.

use crate::support::{Shape, environment, run, sorted};
use eddyline::{Collector, Environment, Error, Result};

#[test]
fn steps_do_what_the_same_steps_of_iterators_do() {
    for parallelism in 1..=3 {
        let environment = environment(Shape { parallelism, batch_rows: 3, tick_millis: 1 });
        let numbers = environment.from_collection((0..50u64).collect());
        let halves = numbers.filter_map(|number| (number % 2 == 0).then_some(number / 2)).inspect(|_| {});
        let spread = numbers.flat_map_iter(|number| (0..number % 4).map(move |step| number * 10 + step));
        let more = numbers.map(|number| number + 100);
        let all = halves.union_all([&spread, &more]).collect();
        run(&environment, "steps");
        let expected = (0..25)
            .chain((0..50).flat_map(|number| (0..number % 4).map(move |step| number * 10 + step)))
            .chain(100..150);
        assert_eq!(sorted(all.rows()), sorted(expected.collect()));
    }
}

#[test]
fn no_record_is_lost_or_doubled_however_records_are_handed_out() {
    for (before, after) in [(1, 4), (2, 4), (3, 2), (4, 1), (4, 4)] {
        let environment = environment(Shape { parallelism: 4, batch_rows: 2, tick_millis: 1 });
        let numbers =
            environment.from_collection((0..200u64).collect()).map(|number| number).set_parallelism(before);
        let shuffled = numbers.shuffle().map(|number| number).set_parallelism(after).collect();
        let rescaled = numbers.rescale().map(|number| number).set_parallelism(after).collect();
        run(&environment, "handed out");
        assert_eq!(sorted(shuffled.rows()), (0..200).collect::<Vec<_>>(), "{before} to {after}");
        assert_eq!(sorted(rescaled.rows()), (0..200).collect::<Vec<_>>(), "{before} to {after}");
    }
}

/// The report of a job over the numbers up to 9 that is described by `describe` and has to fail.
fn report_of(describe: impl Fn(&eddyline::DataStream<u32>)) -> String {
    let environment = Environment::new();
    describe(&environment.from_collection((0..10u32).collect()));
    environment.execute("job").unwrap_err().report()
}

#[test]
fn an_error_of_a_function_ends_the_job_with_operator_and_record() {
    let fatal = |number: u32| if number == 6 { Err(Error::user("six is too much")) } else { Ok(number) };
    let reports = [
        report_of(|numbers| drop(numbers.try_map(fatal).name("careful").print())),
        report_of(|numbers| {
            drop(numbers.try_filter(move |number| fatal(*number).map(|_| true)).name("careful").print());
        }),
        report_of(|numbers| {
            drop(numbers.try_filter_map(move |number| fatal(number).map(Some)).name("careful").print());
        }),
        report_of(|numbers| {
            let careful = numbers.try_flat_map(move |number, out: &mut Collector<u32>| -> Result<()> {
                out.collect(fatal(number)?);
                Ok(())
            });
            drop(careful.name("careful").print());
        }),
    ];
    for report in reports {
        assert!(report.contains("six is too much"), "{report}");
        assert!(report.contains("careful") && report.contains("record 7"), "{report}");
    }
}

#[test]
fn errors_of_the_standard_library_need_no_conversion() {
    let environment = Environment::new();
    let words = environment.from_collection(vec!["7".to_string(), "8".to_string()]);
    let numbers = words
        .try_map(|word| -> Result<u64> { Ok(word.parse::<u64>()? + u64::from(word.parse::<u8>()?)) })
        .collect();
    run(&environment, "numbers");
    assert_eq!(numbers.rows(), [14, 16]);
}

//! Counts the words of text files: `cargo run -p eddyline-examples --example word_count -- -p 2 -- FILE…`.

use eddyline::window::{Count, SlicedWindows};
use eddyline::{Collector, Environment, Result, WatermarkStrategy};
use eddyline_connectors::files::{TextFiles, TextLine};

fn main() -> Result<()> {
    let environment = Environment::from_args()?;
    let files = TextFiles::new(environment.arguments());
    // Lines have no time of their own: all belong to one day, which is over when the files are.
    let whole = WatermarkStrategy::no_watermarks().with_timestamp_assigner(|_, _| 0);
    environment
        .from_source("lines", move || files.read_lines(), whole)
        .flat_map(|line: TextLine, out: &mut Collector<String>| {
            line.line.split_whitespace().for_each(|word| out.collect(word.to_lowercase()));
        })
        .key_by(|word| word.clone())
        .window(SlicedWindows::tumbling(24 * 60 * 60 * 1000))
        .aggregate(Count::new())
        .map(|count| format!("{:>8} {}", count.value, count.key))
        .print();
    environment.execute("word-count")?;
    Ok(())
}

//! Runs a script: `script FILE [json|csv|changelog|table] [batch|streaming] [parallelism]`.
use eddyline_sql::{OutputFormat, Session, SqlMode};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let argument =
        |number: usize, default: &str| arguments.get(number).map_or(default.to_owned(), Clone::clone);
    let script = std::fs::read_to_string(argument(1, "")).expect("script");
    let mut session = Session::new();
    session.set_option("parallelism.default", &argument(4, "1")).expect("parallelism");
    if argument(3, "streaming") == "batch" {
        session.set_mode(SqlMode::Batch);
    }
    let format = match argument(2, "json").as_str() {
        "csv" => OutputFormat::Csv,
        "changelog" => OutputFormat::Changelog,
        "table" => OutputFormat::Table,
        _ => OutputFormat::Json,
    };
    if let Err(error) = session.run_script(&script, format, &mut std::io::stdout()) {
        eprintln!("{}", error.report());
        std::process::exit(1);
    }
}

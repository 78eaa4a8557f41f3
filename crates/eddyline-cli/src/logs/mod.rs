//! `eddyline logs`: the log job with a display, a server and a store.

mod arguments;
mod demo;
mod display;
mod http;
mod query;
mod service;
mod tui;

pub use arguments::LogsArguments;

use arguments::{LogsCommand, RunArguments, now_ms};
use demo::Demo;
use display::Display;
use eddyline::Environment;
use eddyline_core::Result;
use eddyline_logs::config::{ServerConfig, StoreConfig};
use eddyline_logs::store::Retention;
use service::Service;
use std::time::Duration;

/// Where lines that cannot be read are kept, unless said.
const DEAD_LETTERS: &str = "eddyline-dead-letters";
/// How far out of order the lines of the made-up site may be, in seconds.
const DEMO_DELAY_SECONDS: u64 = 10;

/// Runs the log job, or asks one.
///
/// # Errors
/// What the user has to know: a file that cannot be read, an option that does not exist, what ended the job.
pub fn run(arguments: &LogsArguments) -> Result<()> {
    match &arguments.command {
        Some(LogsCommand::Query(query)) => query::run(query),
        None => process(&arguments.run),
    }
}

fn process(arguments: &RunArguments) -> Result<()> {
    let mut config = arguments.config()?;
    let demo = if config.inputs.is_empty() { Some(Demo::start(arguments.seed, now_ms())?) } else { None };
    if let Some(demo) = &demo {
        config.inputs = vec![demo.log()];
        config.follow = true;
        config.delay_seconds = Some(config.delay_seconds.unwrap_or(DEMO_DELAY_SECONDS));
        config.dead_letters = Some(demo.directory().join("dead-letters"));
        config.store.get_or_insert_with(|| StoreConfig {
            directory: demo.directory().join("store"),
            lines: true,
            keep: Retention::default(),
        });
        if !arguments.no_server {
            let loopback = || ServerConfig { listen: "127.0.0.1:8080".to_owned(), token: None };
            config.server.get_or_insert_with(loopback);
        }
    }
    let dead_letters = config.dead_letters.get_or_insert_with(|| DEAD_LETTERS.into()).clone();
    let mut job = config.job(now_ms())?;
    job.reading.format = arguments.format()?;
    let environment = Environment::with_options(arguments.options(&config)?);
    let watch = job.describe(&environment)?;
    // The address is taken before the job starts: what cannot be served is told before anything is read.
    let listener =
        config.server.as_ref().map(|server| Service::listen(server, demo.is_some())).transpose()?;
    let handle = environment.start("eddyline-logs")?;
    let keep = config.store.as_ref().map(|store| store.keep.clone());
    let service = Service::start(listener, keep, &watch, &handle)?;
    let mut display = Display::new(arguments.json, config.follow, dead_letters);
    if let Some(demo) = &demo {
        display.say(&format!(
            "a made-up site is visited, a minute a second; its log is {}\n",
            demo.log().display()
        ));
    }
    if let Some(address) = service.address() {
        display.say(&format!("the page is at http://{address}/ ; Ctrl-C ends it\n"));
    }
    let limit = arguments.seconds.map(Duration::from_secs);
    let report = if arguments.tui {
        tui::watch(&watch, handle, limit, service.address())?
    } else {
        display.watch(&watch, handle, limit)?
    };
    drop(service);
    display.finish(&watch, &report);
    Ok(())
}

//! Jobs with a server that closes, comes late, breaks off and never stops.

use super::*;
use eddyline::{Environment, WatermarkStrategy};
use eddyline_core::Result;
use eddyline_formats::{JsonLines, Text};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

/// A server whose connections are each served what the next text says.
fn serve(texts: Vec<String>) -> String {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for text in texts {
            let (mut stream, _) = server.accept().unwrap();
            let _ = stream.write_all(text.as_bytes());
        }
    });
    address
}

fn run(source: SocketSource) -> Result<Vec<String>> {
    let environment = Environment::new();
    environment.set_parallelism(2);
    let source = move || source.decode(Text.decoder());
    let lines = environment.from_source("lines", source, WatermarkStrategy::no_watermarks()).collect();
    environment.execute("lines")?;
    Ok(lines.rows())
}

#[test]
fn records_come_whole_over_any_number_of_connections() {
    let long: String = (0..50_000).map(|number| format!("{number}\r\n")).collect();
    let lines = run(SocketSource::new(serve(vec![long.clone() + "last"]))).unwrap();
    assert!(lines.iter().map(String::as_str).eq(long.lines().chain(["last"])));
    let source = SocketSource::new(serve(vec!["a|b|".into(), "c|d".into()])).delimiter(b'|');
    let again = source.retries_max(1).retry_interval(Duration::from_millis(1));
    let error = run(again.clone());
    // The third attempt to connect is refused: then the retry counts, and the last failure is told.
    assert!(error.is_err_and(|error| error.report().contains("retries_max")));
}

#[test]
fn what_does_not_work_is_a_clear_error() {
    let nobody = {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        server.local_addr().unwrap().to_string()
    };
    let error = run(SocketSource::new(nobody.clone())).unwrap_err().report();
    assert!(error.contains(&nobody) && error.contains("start the server"), "{error}");
    let source = SocketSource::new(serve(vec!["x".repeat(100_000)])).record_bytes_max(1_000);
    assert!(run(source).unwrap_err().report().contains("too long"));
    let environment = Environment::new();
    let sink = SocketSink::<u64>::new(nobody, Text.encoder())
        .retries_max(1)
        .retry_interval(Duration::from_millis(1));
    environment
        .from_collection(vec![1u64])
        .add_sink_operator(eddyline::NodeSpec::named("socket"), move || sink.operator());
    assert!(environment.execute("sink").err().unwrap().report().contains("cannot write to a socket"));
    assert_eq!(pause_after(1, Duration::from_secs(1)), Duration::from_secs(1));
    assert_eq!(pause_after(3, Duration::from_secs(1)), Duration::from_secs(4));
    assert_eq!(pause_after(u32::MAX, Duration::from_secs(1)), RETRY_INTERVAL_MAX);
}

#[test]
fn everything_is_written_before_the_job_has_finished() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap().to_string();
    let reading = std::thread::spawn(move || {
        let (stream, _) = server.accept().unwrap();
        BufReader::new(stream).lines().map(|line| line.unwrap().parse().unwrap()).collect::<Vec<u64>>()
    });
    let environment = Environment::new();
    environment
        .from_collection((0..300_000u64).collect())
        .write_to_socket(&address, JsonLines::new().encoder());
    environment.execute("sink").unwrap();
    assert!(reading.join().unwrap().into_iter().eq(0..300_000));
}

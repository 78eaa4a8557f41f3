//! What the operating system says of a process: processor time, memory, load.

use eddyline_core::{Error, Result};
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Processor time of the calling thread.
pub fn thread_time() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// Processor time of this process and of its children that have ended.
///
/// # Errors
/// Where there is no `/proc` to ask for the children.
pub fn processor_time() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").map_err(|error| {
        Error::internal(format!("processor time of children is only known on Linux: {error}"))
    })?;
    // The name in parentheses may hold anything; numbered from 1, it is field 2, and the children's are 16 and 17.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u64 = [13, 14].iter().filter_map(|at| fields.get(*at)?.parse::<u64>().ok()).sum();
    let children = Duration::from_nanos(ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second());
    Ok(read(ClockId::ProcessCPUTime) + children)
}

/// Bytes of memory that this process has resident now.
///
/// # Errors
/// Where there is no `/proc`.
pub fn resident_bytes() -> Result<u64> {
    status_bytes("VmRSS:")
}

/// The most bytes of memory that this process has ever had resident.
///
/// # Errors
/// Where there is no `/proc`.
pub fn resident_bytes_peak() -> Result<u64> {
    status_bytes("VmHWM:")
}

fn status_bytes(name: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")
        .map_err(|error| Error::internal(format!("resident memory is only known on Linux: {error}")))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|rest| rest.trim().split(' ').next()?.parse::<u64>().ok());
    kilobytes.map(|kilobytes| kilobytes << 10).ok_or_else(|| Error::internal("resident memory is not told"))
}

/// How many threads want to run, over the last minute.
pub fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
}

/// Processor and wall time of a piece of work.
pub struct Stopwatch {
    processor: Duration,
    wall: Instant,
}

impl Stopwatch {
    /// Starts now.
    ///
    /// # Errors
    /// Where processor time is not known.
    pub fn start() -> Result<Self> {
        Ok(Stopwatch { processor: processor_time()?, wall: Instant::now() })
    }

    /// Tells both times as figures `cpu_ns` and `wall_ns`.
    ///
    /// # Errors
    /// Where processor time is not known.
    pub fn print(&self) -> Result<()> {
        let wall = self.wall.elapsed();
        crate::figures::print("wall_ns", wall.as_nanos() as f64);
        crate::figures::print("cpu_ns", (processor_time()? - self.processor).as_nanos() as f64);
        Ok(())
    }
}

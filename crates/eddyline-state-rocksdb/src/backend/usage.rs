//! The processor time of RocksDB's threads and of those that serve requests.

/// Names of threads that work for the databases of this process.
const THREADS: [&str; 2] = ["rocksdb:", "eddyline:state"];
/// A clock tick in `/proc`, the same on every Linux.
const TICK_MILLIS: u64 = 10;

/// Milliseconds of processor time of the threads that serve the databases of this process; none where the system does not
/// tell.
pub(crate) fn background_cpu_millis() -> Option<u64> {
    let mut ticks = 0u64;
    for task in std::fs::read_dir("/proc/self/task").ok()?.flatten() {
        let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else { continue };
        ticks += ticks_of(&stat).unwrap_or(0);
    }
    Some(ticks * TICK_MILLIS)
}

/// User and system time in a line of `/proc/…/stat`, if the thread is one of those.
fn ticks_of(stat: &str) -> Option<u64> {
    let (before, after) = stat.rsplit_once(')')?;
    let name = before.split_once('(')?.1;
    if !THREADS.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    let mut fields = after.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_told_by_their_names() {
        let line = |name: &str| format!("7 ({name}) S 1 2 3 4 5 6 7 8 9 10 40 2 0 0 20 0");
        assert_eq!(ticks_of(&line("rocksdb:low0")), Some(42));
        assert_eq!(ticks_of(&line("eddyline:state-3")), Some(42));
        assert_eq!(ticks_of(&line("main (x)")), None);
        assert!(ticks_of("").is_none());
    }
}

//! What the machine can do: how long a sync takes, and what it is.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes of one write that is synced, about a record or two.
const WRITE: usize = 4096;
const SYNCS: usize = 300;

/// How long `fdatasync` took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Syncs {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// Writes and syncs again and again in `place`, into space that is reserved as the journal's is.
pub(crate) fn fdatasync(place: &Path) -> anyhow::Result<Syncs> {
    let mut file = File::create(place.join("fdatasync"))?;
    file.write_all(&vec![0; WRITE * SYNCS])?;
    file.sync_all()?;
    std::io::Seek::rewind(&mut file)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let begun = Instant::now();
        file.write_all(&[7; WRITE])?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Ok(Syncs { p50: times[SYNCS / 2], p99: times[SYNCS * 99 / 100] })
}

/// One line about the machine.
pub(crate) fn described() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("");
    format!("{cpus} CPUs {model}, Linux {}, load average {load}", kernel.trim())
}

/// Today, as file names have it.
// A run is kept by the day it was made.
#[allow(clippy::disallowed_methods)]
pub(crate) fn today() -> String {
    time::OffsetDateTime::now_utc().date().to_string()
}

//! Processes under comparison: started, watched through /proc, stopped by their pid.

use anyhow::{Context as _, bail};
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ticks per second of the times in /proc: 100 on every Linux of today.
const TICKS: f64 = 100.0;
const START_MAX: Duration = Duration::from_mins(1);

/// A running process; dropping it stops it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts `command`, its output in `log`, and waits until `port` is open.
    pub(crate) fn start(
        name: &str,
        mut command: Command,
        log: &Path,
        port: u16,
    ) -> anyhow::Result<Self> {
        let out = File::create(log)?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let mut process = Self { child, name: name.to_owned() };
        let until = Instant::now() + START_MAX;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if let Some(status) = process.child.try_wait()? {
                let text = std::fs::read_to_string(log).unwrap_or_default();
                bail!("{name} ended with {status}: {text}");
            }
            if Instant::now() > until {
                bail!("{name} does not open port {port}; see {}", log.display());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(process)
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Asked first: a server of two processes ends the other one, too.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        eprintln!("{} does not stop; killed", self.name);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port nobody listens on now.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// CPU seconds that the threads of a process have used.
pub(crate) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may hold anything, so fields are counted behind its bracket.
    let (_, rest) = text.rsplit_once(") ").context("no such form of /proc/PID/stat")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = |place: usize| -> anyhow::Result<f64> {
        Ok(fields.get(place).context("a short /proc/PID/stat")?.parse::<f64>()?)
    };
    Ok((ticks(11)? + ticks(12)?) / TICKS)
}

/// Child processes of a process.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|text| {
            text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()
        })
        .collect()
}

/// Resident memory of a process in MB.
pub(crate) fn rss_mb(pid: u32) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()).context("no VmRSS")?;
    Ok(kib.parse::<f64>()? * 1.024 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::{cpu_seconds, rss_mb};

    #[test]
    fn a_process_can_be_read_off_proc() {
        let me = std::process::id();
        assert!(rss_mb(me).unwrap() > 0.5);
        assert!(cpu_seconds(me).unwrap() < 3600.0);
    }
}

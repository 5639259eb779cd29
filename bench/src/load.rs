//! One measurement: `trailbox load` against a server, and what it cost that server.

use crate::process::cpu_seconds;
use crate::servers::Bed;
use anyhow::{Context as _, bail};
use serde_json::Value;
use std::process::{Command, Stdio};

/// What is asked of the load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leg<'a> {
    pub(crate) connections: u16,
    /// `mixed`, `reads` or `mutating`.
    pub(crate) calls: &'a str,
    /// Calls per second; `None`: as fast as they are answered.
    pub(crate) rate: Option<f64>,
    pub(crate) more: &'a [&'a str],
}

/// What was measured.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Figures {
    pub(crate) per_second: f64,
    /// CPU microseconds of the server per answered call.
    pub(crate) cpu_micros: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// Loads whatever listens on `port`; CPU is that of the processes `pids`.
pub(crate) fn measure(bed: &Bed, port: u16, pids: &[u32], leg: Leg<'_>) -> anyhow::Result<Figures> {
    let seconds = format!("{}s", bed.seconds);
    let endpoint = format!("http://127.0.0.1:{port}");
    let connections = leg.connections.to_string();
    let mut command = Command::new(&bed.trailbox);
    command
        .args(["load", "--no-verify", "--output", "json", "--warm-up", "500ms"])
        .args(["--duration", &seconds, "--endpoint", &endpoint, "--calls", leg.calls])
        .args(["--connections", &connections, "--access-key-id", crate::servers::KEY])
        .arg("--secret-file")
        .arg(&bed.secret)
        .args(leg.more)
        .stderr(Stdio::inherit());
    if let Some(rate) = leg.rate {
        command.args(["--rate", &format!("{rate:.0}")]);
    }
    let before = cpu_of(pids)?;
    let told = command.output().context("cannot start the load")?;
    let after = cpu_of(pids)?;
    if !told.status.success() {
        bail!("the load failed with {}", told.status);
    }
    let told: Value = serde_json::from_slice(&told.stdout).context("what the load says")?;
    let figure = |value: &Value| value.as_f64().context("a figure is missing");
    // CPU is counted over all calls, those of the warm-up too.
    let calls = figure(&told["acknowledged"])?;
    Ok(Figures {
        per_second: figure(&told["callsPerSecond"])?,
        cpu_micros: (after - before) / calls * 1e6,
        p50: figure(&told["latencyMicros"]["p50"])?,
        p99: figure(&told["latencyMicros"]["p99"])?,
    })
}

fn cpu_of(pids: &[u32]) -> anyhow::Result<f64> {
    pids.iter().map(|pid| cpu_seconds(*pid)).sum()
}

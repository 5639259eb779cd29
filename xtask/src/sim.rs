//! `cargo xtask sim`: the recorder in simulated worlds.

use crate::run::{cargo, loudly};

/// The seeds of the gate.
pub(crate) const GATE: [&str; 2] = ["--seeds", "1..300"];

/// Builds and runs `trailbox-sim` with `args`; by the hour as fast as it can be.
pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> anyhow::Result<()> {
    let mut sim = cargo();
    sim.args(["run", "--quiet", "--package", "trailbox-sim"]);
    if args.iter().any(|arg| arg.as_ref() == "--hours") {
        sim.arg("--release");
    }
    loudly(sim.arg("--").args(args))
}

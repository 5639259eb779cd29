//! `cargo xtask ci`: the whole gate, the same here and on the server.

use crate::run::{cargo, command, loudly, output};
use crate::{shows, sim, tidy};

/// Tidy, unit tests, documentation tests, simulated worlds, then the short form of every "Shows".
pub(crate) fn run() -> anyhow::Result<()> {
    tidy::run(false)?;
    ensure_nextest()?;
    // The gate plays the same cases each time; a run by hand draws new ones.
    let seed = ("PROPTEST_RNG_SEED", "20261122");
    loudly(cargo().args(["nextest", "run", "--workspace", "--profile", "ci"]).env(seed.0, seed.1))?;
    loudly(cargo().args(["test", "--workspace", "--doc", "--quiet"]))?;
    sim::run(&sim::GATE)?;
    shows::run(1, true)?;
    // Whether the comparisons still run; their figures mean nothing in a debug build.
    loudly(cargo().args(["build", "-p", "trailbox"]))?;
    let smoke = ["smoke", "--trailbox", "target/debug/trailbox"];
    loudly(cargo().args(["run", "--quiet", "-p", "trailbox-bench", "--"]).args(smoke))
}

/// The test runner, fetched when the machine does not have it.
fn ensure_nextest() -> anyhow::Result<()> {
    if output(command("cargo-nextest").args(["nextest", "--version"])).is_ok() {
        return Ok(());
    }
    loudly(cargo().args(["install", "cargo-nextest", "--locked", "--version", "0.9.143"]))
}

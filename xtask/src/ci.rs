//! `cargo xtask ci`: the whole gate, the same here and on the server.

use crate::run::{cargo, command, loudly, output};
use crate::{fuzz, shows, tidy};

/// How long each fuzz target tries new inputs.
const FUZZ_SECONDS: u32 = 20;

/// Tidy, unit tests, documentation tests, the short form of every "Shows" (the
/// simulated worlds among them), then whether benchmarks run, then fuzzing.
pub(crate) fn run() -> anyhow::Result<()> {
    tidy::run(false)?;
    ensure_nextest()?;
    // The gate plays the same cases each time; a run by hand draws new ones.
    let seed = ("PROPTEST_RNG_SEED", "20261122");
    loudly(cargo().args(["nextest", "run", "--workspace", "--profile", "ci"]).env(seed.0, seed.1))?;
    loudly(cargo().args(["test", "--workspace", "--doc", "--quiet"]))?;
    shows::run(1, true)?;
    shows::run(2, true)?;
    // Whether the comparisons still run; their figures mean nothing in a debug build.
    let smoke = ["smoke", "--trailbox", "target/debug/trailbox"];
    loudly(cargo().args(["run", "--quiet", "-p", "trailbox-bench", "--"]).args(smoke))?;
    fuzz::run(&[], FUZZ_SECONDS)
}

/// The test runner, fetched when the machine does not have it.
fn ensure_nextest() -> anyhow::Result<()> {
    if output(command("cargo-nextest").args(["nextest", "--version"])).is_ok() {
        return Ok(());
    }
    loudly(cargo().args(["install", "cargo-nextest", "--locked", "--version", "0.9.143"]))
}

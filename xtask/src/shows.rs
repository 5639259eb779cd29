//! `cargo xtask shows N`: the proof of an issue, line by line.
//!
//! The short form runs the same lines on fewer calls and a debug build; the
//! gate runs that one. Benchmarks are of the long form only: their figures mean
//! nothing beside other work. Start at [`run`].

mod under_fire;

use crate::run::{cargo, command, loudly, root};
use crate::{routing, vectors, venv};
use anyhow::bail;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs every line of the "Shows" list of issue `number`.
pub(crate) fn run(number: u32, short: bool) -> anyhow::Result<()> {
    match number {
        1 => recorder(short),
        2 => under_fire::run(short),
        _ => bail!("there is no proof for issue {number} yet; known: 1, 2"),
    }
}

/// The recorder: demo, stock clients, genuine records, transparency, crashes.
fn recorder(short: bool) -> anyhow::Result<()> {
    let binary = build(short)?;
    heading(1, "the demo records real calls and says who did what");
    loudly(command(&binary).args(["demo", "--exit"]))?;
    heading(2, "stock clients work unchanged and every call is found");
    loudly(pytest(&binary, short)?.args([
        "conformance/test_services.py",
        "conformance/test_principals.py",
        "conformance/test_lookup.py",
        "conformance/test_bad_input.py",
        "conformance/test_streaming.py",
        "conformance/test_tls.py",
        "conformance/test_full_disk.py",
        "conformance/test_assert_example",
    ]))?;
    heading(3, "exchanges become the records AWS wrote");
    genuine_records()?;
    heading(4, "upstreams see the client's bytes, and every operation has its name");
    routing::run(&routing::requests()?)?;
    loudly(pytest(&binary, short)?.arg("conformance/test_transparency.py"))?;
    heading(5, "kill -9 loses nothing that was acknowledged");
    loudly(pytest(&binary, short)?.arg("conformance/test_crash.py"))
}

fn heading(line: u32, claim: &str) {
    println!("\n=== {line}. {claim}");
}

fn build(short: bool) -> anyhow::Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--package", "trailbox"]);
    if !short {
        build.arg("--release");
    }
    loudly(&mut build)?;
    let profile = if short { "debug" } else { "release" };
    Ok(root().join("target").join(profile).join("trailbox"))
}

/// Python with the stock clients in it.
fn python() -> anyhow::Result<PathBuf> {
    let requirements = std::fs::read_to_string(root().join("conformance/requirements.txt"))?;
    venv::ensure("conformance-venv", &requirements)
}

/// The stock clients' test runner, aimed at `binary`.
fn pytest(binary: &Path, short: bool) -> anyhow::Result<Command> {
    let mut pytest = command(python()?);
    pytest.args(["-m", "pytest", "--quiet", "-rs"]).env("TRAILBOX_BIN", binary);
    if !short {
        pytest.env("FULL", "1");
    }
    Ok(pytest)
}

/// Our own exchanges always; the shared ones when they are on this machine.
fn genuine_records() -> anyhow::Result<()> {
    let mut places = vec![root().join("xtask/data/gateway")];
    let shared = std::env::var_os("TRAILBOX_SHARED")
        .map_or_else(|| root().join("../shared"), PathBuf::from)
        .join("data/gateway");
    if shared.is_dir() {
        places.push(shared);
    } else {
        println!("{} is not there: the shared exchanges were not compared", shared.display());
    }
    for place in places {
        if !vectors::run(&place)? {
            bail!("records differ from the expected ones in {}", place.display());
        }
    }
    Ok(())
}

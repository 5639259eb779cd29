//! `cargo xtask fuzz`: every decoder of foreign bytes against bytes that learn.
//!
//! Each target first replays what is committed in `fuzz/corpus/<target>` and
//! `fuzz/found/<target>`, then goes on with new inputs for a while. What is
//! new goes to `target/fuzz-corpus/<target>`; a crash is written beside it and
//! named. libFuzzer needs switches of the compiler that the stable one keeps
//! for itself, hence `RUSTC_BOOTSTRAP`.

use crate::run::{cargo, command, loudly, output, root};
use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Version of the tool that builds the targets.
const CARGO_FUZZ: &str = "0.13.2";
/// An input that takes longer is a finding, too.
const INPUT_SECONDS: u32 = 10;
/// So is one that needs more memory, in MiB.
const MEMORY_MIB: u32 = 1024;

/// Fuzzes the targets named, or all, for `seconds` each.
pub(crate) fn run(only: &[String], seconds: u32) -> anyhow::Result<()> {
    ensure_cargo_fuzz()?;
    loudly(fuzz().args(["build", "--sanitizer", "none", "--release"]))?;
    let all = targets()?;
    if let Some(unknown) = only.iter().find(|name| !all.contains(name)) {
        bail!("there is no fuzz target `{unknown}`; known: {}", all.join(", "));
    }
    let chosen: Vec<_> =
        all.into_iter().filter(|name| only.is_empty() || only.contains(name)).collect();
    let mut broken = Vec::new();
    for (at, target) in chosen.iter().enumerate() {
        println!("--- {target} ({} of {}), {seconds} s", at + 1, chosen.len());
        if one(target, seconds).is_err() {
            broken.push(target.clone());
        }
    }
    if broken.is_empty() {
        println!("{} targets, nothing found", chosen.len());
        return Ok(());
    }
    bail!("found by fuzzing: {}; the inputs are named above", broken.join(", "))
}

/// Replays what is committed, then tries new inputs.
fn one(target: &str, seconds: u32) -> anyhow::Result<()> {
    let work = root().join("target/fuzz-corpus").join(target);
    std::fs::create_dir_all(&work)?;
    let mut run = command(program(target)?);
    run.arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={INPUT_SECONDS}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
        .arg(format!("-artifact_prefix={}/crash-", work.display()))
        .args(["-print_final_stats=1", "-verbosity=0", "-max_len=65536"])
        .arg(&work);
    for kept in ["corpus", "found"] {
        let place = root().join("fuzz").join(kept).join(target);
        if place.is_dir() {
            run.arg(place);
        }
    }
    loudly(&mut run)
}

/// Names of the targets, from the files.
fn targets() -> anyhow::Result<Vec<String>> {
    let dir = root().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in
        std::fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))?
    {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".rs").filter(|name| *name != "shared").map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// The built target; its directory is named after the machine.
fn program(target: &str) -> anyhow::Result<PathBuf> {
    let built = root().join("fuzz/target");
    for entry in std::fs::read_dir(&built)? {
        let place = entry?.path().join("release").join(target);
        if place.is_file() {
            return Ok(place);
        }
    }
    bail!("the fuzz target `{target}` was not built under {}", built.display())
}

fn fuzz() -> Command {
    let mut command = cargo();
    command.env("RUSTC_BOOTSTRAP", "1").current_dir(root()).arg("fuzz");
    command
}

fn ensure_cargo_fuzz() -> anyhow::Result<()> {
    if output(command(Path::new("cargo-fuzz")).arg("--version")).is_ok() {
        return Ok(());
    }
    loudly(cargo().args(["install", "cargo-fuzz", "--locked", "--version", CARGO_FUZZ]))
}

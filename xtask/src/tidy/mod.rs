//! `cargo xtask tidy`: checks that no reviewer should have to do by eye.

mod floors;
mod licences;
mod sizes;

pub(crate) use sizes::rust_files;

use crate::run::{cargo, command, loudly, root};
use crate::venv;
use anyhow::bail;

/// Runs every check; with `update` the size ratchet is rewritten instead of checked.
pub(crate) fn run(update: bool) -> anyhow::Result<()> {
    loudly(cargo().args(["fmt", "--all", "--check"]))?;
    loudly(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "--deny",
        "warnings",
    ]))?;
    let metadata = floors::metadata()?;
    let mut findings = floors::check(&metadata)?;
    findings.extend(licences::check(&metadata));
    findings.extend(sizes::check(&root(), update)?);
    if !findings.is_empty() {
        bail!("tidy found {} things:\n  {}", findings.len(), findings.join("\n  "));
    }
    crate::compat::run(true)?;
    crate::codegen::run(true)?;
    spelling()
}

/// Typos in everything we wrote. The checker comes as a Python wheel: no long build.
fn spelling() -> anyhow::Result<()> {
    let python = venv::ensure("tidy-venv", "typos==1.39.0\n")?;
    let typos = python.with_file_name("typos");
    loudly(command(typos).args(["--config", "typos.toml"]))
}

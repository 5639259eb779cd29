//! `cargo xtask codegen facts`: the table of services, from a pinned botocore.
//!
//! botocore's models are the input and are not kept; what is committed is
//! `crates/service-facts/data/facts.zst`, names and flags only. The same input
//! gives the same bytes, which `--check` proves. `BOTOCORE_DIR` names a
//! `botocore/data` directory to use instead of the pinned release.

mod derive;
mod models;
pub(crate) mod seal;

use crate::run::{output, root};
use anyhow::{Context as _, ensure};
use std::path::PathBuf;
use std::process::Command;
use trailbox_service_facts::table;

/// The release the table is derived from.
pub(crate) const BOTOCORE: &str = "botocore==1.44.5\n";
/// The committed table, below the root.
const TABLE: &str = "crates/service-facts/data/facts.zst";
/// What the committed table may weigh.
const LIMIT: usize = 1_000_000;

/// Writes the table, or with `check` only compares it.
///
/// # Errors
///
/// Models that cannot be had or read; a table that differs or is too large.
pub(crate) fn run(check: bool) -> anyhow::Result<()> {
    let data = data_directory()?;
    let services = derive::all(&data)?;
    let operations: usize = services.iter().map(|service| service.operations.len()).sum();
    println!("{} services, {operations} operations", services.len());
    let path = root().join(TABLE);
    if check {
        let held = std::fs::read(&path).with_context(|| format!("cannot read {TABLE}"))?;
        let same = table::holds(&held, &services)?;
        ensure!(same, "{TABLE} is stale: run `cargo xtask codegen facts`");
        return Ok(());
    }
    let bytes = table::encode(&services)?;
    ensure!(table::decode(&bytes)?.len() == services.len(), "the table does not read back");
    ensure!(bytes.len() <= LIMIT, "the table has {} bytes; {LIMIT} are allowed", bytes.len());
    println!("{} bytes", bytes.len());
    std::fs::write(&path, bytes).with_context(|| format!("cannot write {TABLE}"))
}

fn data_directory() -> anyhow::Result<PathBuf> {
    if let Some(given) = std::env::var_os("BOTOCORE_DIR") {
        return Ok(given.into());
    }
    let python = crate::venv::ensure("codegen-venv", BOTOCORE)?;
    let ask =
        "import botocore, os; print(os.path.join(os.path.dirname(botocore.__file__), 'data'))";
    Ok(output(Command::new(python).args(["-c", ask]))?.trim().into())
}

//! `cargo xtask shows N`: the proof of an issue, line by line.

use anyhow::bail;

/// Runs every line of the "Shows" list of issue `number`.
pub(crate) fn run(number: u32, short: bool) -> anyhow::Result<()> {
    match number {
        1 => recorder(short),
        _ => bail!("there is no proof for issue {number} yet; known: 1"),
    }
}

fn recorder(_short: bool) -> anyhow::Result<()> {
    Ok(())
}

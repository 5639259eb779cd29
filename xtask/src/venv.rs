//! A Python virtual environment of our own, for the stock clients and botocore.

use crate::run::{command, loudly, root};
use std::path::PathBuf;

/// The environment `name` under `target/`, holding what `requirements` lists.
///
/// Made on first use; made anew when the requirements change.
pub(crate) fn ensure(name: &str, requirements: &str) -> anyhow::Result<PathBuf> {
    let place = root().join("target").join(name);
    let stamp = place.join("requirements.stamp");
    let python = place.join("bin/python");
    if std::fs::read_to_string(&stamp).is_ok_and(|held| held == requirements) {
        return Ok(python);
    }
    loudly(command("python3").args(["-m", "venv", "--clear"]).arg(&place))?;
    let list = place.join("requirements.txt");
    std::fs::write(&list, requirements)?;
    loudly(command(&python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(&list))?;
    std::fs::write(&stamp, requirements)?;
    Ok(python)
}

//! Runs that live beside their crates; their lines are taken into the table.
//!
//! Such a run prints lines that begin with `table: ` and hold the cells of a
//! row from the line to whether it was reached, separated by ` | `.

use crate::table::{Row, Table};
use anyhow::{Context as _, bail};
use std::process::{Command, Stdio};

const MARK: &str = "table: ";
const APPEND: &str = "cargo bench -p trailbox-journal --bench append";
const LOOKUP: &str = "cargo bench -p trailbox-api --bench lookup_events";

/// Appending against writing and syncing the same bytes.
pub(crate) fn run(table: &mut Table) -> anyhow::Result<()> {
    let told = Command::new("cargo")
        .args(["bench", "-p", "trailbox-journal", "--bench", "append"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    let text = String::from_utf8_lossy(&told.stdout);
    print!("{text}");
    if !told.status.success() {
        bail!("{APPEND} failed with {}", told.status);
    }
    let rows: Vec<Row> = text.lines().filter_map(|line| row(line, APPEND)).collect();
    if rows.is_empty() {
        table.note(format!("`{APPEND}` printed no line for the table; its output:"));
        text.lines().filter(|line| !line.is_empty()).for_each(|line| table.note(line.to_owned()));
    }
    for row in rows {
        table.push(row);
    }
    Ok(())
}

/// Looking up takes long to prepare, so it is run by itself.
pub(crate) fn lookup(table: &mut Table) {
    table
        .note(format!("looking up, size of the index, memory and start at 10 million: `{LOOKUP}`"));
}

fn row(line: &str, command: &'static str) -> Option<Row> {
    let cells: Vec<&str> = line.strip_prefix(MARK)?.split(" | ").map(str::trim).collect();
    let [what, ours, rival, ratio, goal, reached] = cells[..] else { return None };
    Some(Row {
        what: what.to_owned(),
        ours: ours.to_owned(),
        rival: rival.to_owned(),
        ratio: ratio.to_owned(),
        goal: goal.to_owned(),
        reached: match reached {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        },
        command,
    })
}

#[cfg(test)]
mod tests {
    use super::row;

    #[test]
    fn a_run_of_another_crate_hands_in_its_lines() {
        let held = row("table: append | 9 | 10 | 0.9 | ≥ 0.8 | yes", "x").unwrap();
        assert_eq!((held.what.as_str(), held.reached), ("append", Some(true)));
        assert!(row("append 9", "x").is_none());
    }
}

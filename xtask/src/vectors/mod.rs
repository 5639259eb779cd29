//! `cargo xtask vectors gateway DIR`: HTTP exchanges against the records AWS wrote.
//!
//! DIR, and `vectors` in it, hold JSON files, each a list of exchanges. Two
//! kinds are read: vectors made from real records, and hand-written protocol
//! cases, whose expected names may be dotted paths. Every exchange is routed,
//! decoded and recorded by the product's own code with session tokens kept;
//! then each field is compared, and each miss printed with its reason.

mod compare;
mod exchange;
mod play;
mod report;

use exchange::Exchange;
use report::Report;
use std::path::{Path, PathBuf};

/// Compares everything in `dir`; `true` when every gate is met.
///
/// # Errors
///
/// When `dir` holds no exchange, or a file is not a list of them.
pub(crate) fn run(dir: &Path) -> anyhow::Result<bool> {
    let facts = trailbox_service_facts::Facts::embedded();
    let mut report = Report::default();
    for file in files(dir)? {
        for exchange in Exchange::read(&file)? {
            let record = play::record(&facts, &exchange)?;
            let outcomes = compare::fields(&exchange, &record);
            report.add(&exchange, outcomes);
        }
    }
    anyhow::ensure!(0 < report.exchanges(), "{} holds no exchange", dir.display());
    report.print();
    Ok(report.passes())
}

/// The JSON files of `dir` and of `vectors` in it, in order.
fn files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for holder in [dir.to_path_buf(), dir.join("vectors")] {
        if !holder.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&holder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    /// The shared vectors, where they are at hand.
    fn shared() -> Option<PathBuf> {
        let beside = || {
            let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
            workspace.parent().map(|root| root.join("../shared"))
        };
        let root = std::env::var_os("TRAILBOX_SHARED").map(PathBuf::from).or_else(beside)?;
        let dir = root.join("data/gateway");
        dir.is_dir().then_some(dir)
    }

    #[test]
    fn hand_written_protocol_cases_are_recorded_as_expected() {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/gateway");
        assert!(super::run(&dir).unwrap(), "a protocol case is missed; see the list");
    }

    #[test]
    #[allow(clippy::print_stdout, reason = "says that nothing was compared")]
    fn records_of_the_shared_vectors_meet_every_gate() {
        match shared() {
            Some(dir) => assert!(super::run(&dir).unwrap(), "a gate is missed; see the table"),
            None => println!("no shared vectors here: set TRAILBOX_SHARED to compare them"),
        }
    }
}

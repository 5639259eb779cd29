//! The recorder under fire: faults, load, re-signing, size, speed, restarts, keys in bulk.
//!
//! The short form leaves out what the gate has run by then: the unit tests, and
//! the files of the recorder's own proof. Benchmarks and the machine whose
//! power is cut are of the long form alone.

use super::{build, heading, pytest, python};
use crate::run::{cargo, command, loudly, root};
use crate::sim;
use std::path::Path;
use std::process::Command;

/// Tests of crates that belong to the first line: crate, and which of its tests.
const FAULTS: [(&str, &str); 3] = [
    ("trailbox-gateway", "test(holding)"),
    ("trailbox-journal", "binary(promises) | binary(faults) | binary(kills) | binary(damage)"),
    ("trailbox-sim", "test(mutant)"),
];

/// Every line, in order.
pub(super) fn run(short: bool) -> anyhow::Result<()> {
    let binary = build(short)?;
    heading(1, "kills, power cuts, full and failing disks break no promise");
    faults(&binary, short)?;
    heading(2, "`trailbox load` is verified on plain, TLS and HTTP/2 listeners");
    loudly(
        pytest(&binary, short)?.args(["conformance/test_load.py", "conformance/test_http2.py"]),
    )?;
    heading(3, "signed anew for a server of another name, and as a forward proxy");
    loudly(
        pytest(&binary, short)?
            .args(["conformance/test_resign.py", "conformance/test_forward_proxy.py"]),
    )?;
    heading(4, "5 GiB up and down, and 64 uploads at once, in bounded memory");
    if short {
        println!("short: the recorder's own proof has run conformance/test_streaming.py");
    } else {
        loudly(cargo().args(["build", "--release", "--package", "trailbox-bench"]))?;
        loudly(&mut bench(&["objects"])?)?;
    }
    heading(5, "what it costs, beside its rivals and limits");
    if short {
        println!("short: figures beside other work mean nothing; `cargo xtask shows 2` has them");
    } else {
        loudly(&mut bench(&["all", "--keep", "shows-2"])?)?;
    }
    heading(6, "a restart under load refuses no connection and fails no call");
    loudly(pytest(&binary, short)?.arg("conformance/test_restart.py"))?;
    heading(7, "a thousand keys of a Ceph RGW or an IAM endpoint are verified and named");
    loudly(pytest(&binary, short)?.arg("conformance/test_principal_sync.py"))
}

fn faults(binary: &Path, short: bool) -> anyhow::Result<()> {
    let mut files = vec!["conformance/test_journal.py"];
    if short {
        println!("short: unit tests and kills have run; power cuts are left to the simulated disk");
    } else {
        files.extend([
            "conformance/test_crash.py",
            "conformance/test_power_cut.py",
            "conformance/test_full_disk.py",
        ]);
        for (package, tests) in FAULTS {
            loudly(cargo().args(["nextest", "run", "--package", package, "-E", tests]))?;
        }
    }
    loudly(pytest(binary, short)?.args(files))?;
    sim::run(&sim::GATE)
}

/// A run of the benchmarks, with the SeaweedFS of the stock clients.
fn bench(words: &[&str]) -> anyhow::Result<Command> {
    let mut bench = command(root().join("target/release/trailbox-bench"));
    bench.args(words).env("WEED", python()?.with_file_name("weed"));
    Ok(bench)
}

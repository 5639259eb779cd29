//! A mixed object load on SeaweedFS, directly and through Trailbox in turn.

use crate::Common;
use crate::load::{Leg, measure};
use crate::process::{Process, free_port};
use crate::servers::{Bed, Server};
use crate::table::{Row, Table, median};
use std::process::Command;
use std::time::Duration;

const COMMAND: &str = "trailbox-bench seaweed";
/// Least share of the rate without us.
const RATE_MIN: f64 = 0.9;
/// Objects of 4 KiB to 1 MiB are put, got, looked at, deleted and listed.
const LOAD: [&str; 4] = ["--services", "s3", "--object-bytes", "4096-1048576"];
/// SeaweedFS serves gRPC on its port and this.
const GRPC: u16 = 10_000;

/// Measures both in turn and adds the line; says so when SeaweedFS is not there.
pub(crate) fn run(common: &Common, table: &mut Table) -> anyhow::Result<()> {
    let bed = Bed::new(common)?;
    let weed = match start(common, &bed) {
        Ok(weed) => weed,
        Err(err) => {
            table.note(format!("SKIPPED SeaweedFS, name the program with --weed: {err:#}"));
            return Ok(());
        }
    };
    let ours = bed.trailbox("trailbox", weed.port, "")?;
    let leg = Leg { connections: 16, calls: "mixed", rate: None, more: &LOAD };
    // Its first writes make volumes.
    measure(&bed, weed.port, &[], leg)?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..common.rounds {
        let direct = measure(&bed, weed.port, &[], leg)?;
        let through = measure(&bed, ours.port, &ours.own(), leg)?;
        println!(
            "round {round}: direct {:.0}/s, through {:.0}/s",
            direct.per_second, through.per_second
        );
        without.push(direct.per_second);
        with.push(through.per_second);
    }
    let (with, without) = (median(with), median(without));
    table.push(Row {
        what: "objects of 4 KiB to 1 MiB on SeaweedFS, mixed, 16 connections".to_owned(),
        ours: format!("{with:.0} calls/s"),
        rival: format!("{without:.0} calls/s (direct)"),
        ratio: format!("{:.2}", with / without),
        goal: format!("≥ {RATE_MIN}"),
        reached: Some(with / without >= RATE_MIN),
        command: COMMAND,
    });
    Ok(())
}

fn start(common: &Common, bed: &Bed) -> anyhow::Result<Server> {
    let place = bed.path().join("weed");
    std::fs::create_dir_all(&place)?;
    let mut command = Command::new(&common.weed);
    command.arg("server").arg(format!("-dir={}", place.display())).args([
        "-s3",
        "-filer",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-volume.max=500",
        "-master.volumeSizeLimitMB=64",
    ]);
    let mut port = 0;
    for name in ["master", "volume", "filer", "s3"] {
        port = weed_port()?;
        command.arg(format!("-{name}.port={port}"));
    }
    command.env("HOME", &place).current_dir(&place);
    let process = Process::start("SeaweedFS", command, &bed.path().join("weed.log"), port)?;
    // Its port is open before its volumes are ready.
    std::thread::sleep(Duration::from_secs(8));
    Ok(Server { process, port })
}

fn weed_port() -> anyhow::Result<u16> {
    loop {
        let port = free_port()?;
        let port = if port > 50_000 { port - 20_000 } else { port };
        let free = |port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
        if free(port) && free(port + GRPC) {
            return Ok(port);
        }
    }
}

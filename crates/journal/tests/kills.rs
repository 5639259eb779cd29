//! A process that is killed in the middle of a step, a restart on what the
//! machine still holds in memory, and then the power goes: what the restart
//! counted as durable must be.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{FixedKeys, NODE, clock, number, read_all, record};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use trailbox_clock::SeededRandom;
use trailbox_journal::disk::{Disk, Fault, SimulatedDisk};
use trailbox_journal::{DataKeys, Journal, OpenError, Options, Stepper};

const DIR: &str = "/journal";

/// Small segments that stay unsealed, no reserve.
fn settings() -> Options {
    let mut settings = Options::new(DIR, NODE);
    (settings.segment_bytes, settings.reserve_bytes, settings.free_bytes_min) = (2 << 10, 0, 0);
    settings.seal = false;
    settings
}

fn open(simulated: &SimulatedDisk, keys: &Arc<FixedKeys>) -> Result<(Journal, Stepper), OpenError> {
    let keys = Arc::clone(keys) as Arc<dyn DataKeys>;
    let random = Arc::new(SeededRandom::new(7));
    Journal::open_stepped(Arc::new(simulated.clone()), keys, clock(), random, settings())
        .map(|(journal, _, stepper)| (journal, stepper))
}

/// Writes records until the disk ends it.
fn write(journal: &Journal, stepper: &mut Stepper, numbers: std::ops::Range<u64>) {
    for n in numbers {
        // A journal that refuses by now was killed.
        let _ = journal.submit(record(n));
        stepper.write();
        if n % 4 == 0 {
            stepper.check();
        }
    }
}

fn numbers(simulated: &SimulatedDisk, keys: &Arc<FixedKeys>) -> Vec<u64> {
    let disk: Arc<dyn Disk> = Arc::new(simulated.clone());
    read_all(disk, keys, Path::new(DIR)).iter().map(number).collect()
}

fn killed_at(operation: u64, before: Option<Fault>, seed: u64) {
    let what = format!("{before:?}, then killed at operation {operation}, seed {seed}");
    let simulated = SimulatedDisk::new(seed);
    let keys = Arc::<FixedKeys>::default();
    if let Some(fault) = before {
        simulated.fail_at(operation - 1, fault);
    }
    simulated.fail_at(operation, Fault::Kill);
    if let Ok((journal, mut stepper)) = open(&simulated, &keys) {
        write(&journal, &mut stepper, 0..12);
    }
    // The machine lives, so everything that was written is still there.
    simulated.kill();
    simulated.restore_power();
    let (journal, mut stepper) = open(&simulated, &keys).unwrap_or_else(|e| panic!("{what}: {e}"));
    write(&journal, &mut stepper, 100..103);
    let had = numbers(&simulated, &keys);
    assert!(had.ends_with(&[100, 101, 102]), "{what}: {had:?}");
    simulated.cut_power();
    drop((journal, stepper));
    simulated.restore_power();
    let reopened = open(&simulated, &keys);
    assert!(reopened.is_ok(), "{what}: {:?}", reopened.err());
    assert_eq!(numbers(&simulated, &keys), had, "{what}");
}

#[test]
fn what_a_restart_after_a_kill_counts_as_durable_survives_a_power_loss() {
    for operation in 1..60 {
        for seed in 0..4 {
            killed_at(operation, None, seed);
            killed_at(operation, Some(Fault::Error(ErrorKind::Other)), seed);
        }
    }
}

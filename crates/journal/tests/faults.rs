//! A disk that fails: what was acknowledged stays, nothing appears twice, and
//! the journal gets well by itself.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{
    FixedKeys, assert_same, ends_in, frame, number, open_with, options, read_all, record,
    wait_until,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use trailbox_journal::disk::{Disk, Fault, SimulatedDisk};
use trailbox_journal::{Admission, AppendError, FrameKind, Journal, Options, Refusal};

const DIR: &str = "/journal";

fn settings() -> Options {
    let mut settings = options(Path::new(DIR));
    settings.segment_bytes = 4 << 10;
    settings.reserve_bytes = 4 << 10;
    settings
}

/// Calls: an intent and, unless that was refused, a record. Returns what was
/// acknowledged.
async fn work(journal: &Journal, calls: std::ops::Range<u64>) -> BTreeSet<(u8, u64)> {
    let mut acknowledged = BTreeSet::new();
    for n in calls {
        for kind in [FrameKind::Intent, FrameKind::Record] {
            match journal.append(frame(kind, n)).await {
                Ok(_) => {
                    acknowledged.insert((kind as u8, n));
                }
                Err(AppendError::Refused(_)) if kind == FrameKind::Intent => break,
                Err(AppendError::Refused(_) | AppendError::Delayed(_)) => {}
                Err(err) => panic!("{err}"),
            }
        }
    }
    acknowledged
}

/// After the power was lost: every acknowledged frame is there once, none
/// twice, and intents are open exactly when they have no record.
fn check(
    (simulated, keys): (&SimulatedDisk, &Arc<FixedKeys>),
    acknowledged: &BTreeSet<(u8, u64)>,
    what: &str,
) {
    simulated.cut_power();
    simulated.restore_power();
    let disk: Arc<dyn Disk> = Arc::new(simulated.clone());
    let (journal, recovery) = match open_with(disk.clone(), keys, settings()) {
        Ok(opened) => opened,
        Err(err) => panic!("{what}: {err}"),
    };
    let mut times: BTreeMap<(u8, u64), usize> = BTreeMap::new();
    for frame in read_all(disk, keys, Path::new(DIR)) {
        assert_same(&frame);
        if !frame.carried {
            *times.entry((frame.kind as u8, number(&frame))).or_default() += 1;
        }
    }
    assert!(times.values().all(|times| *times == 1), "{what}: {times:?}");
    let missing: Vec<_> = acknowledged.iter().filter(|key| !times.contains_key(key)).collect();
    assert!(missing.is_empty(), "{what}: {missing:?} were acknowledged and are gone");
    let (intent, record) = (FrameKind::Intent as u8, FrameKind::Record as u8);
    let open: BTreeSet<u64> = recovery.open_intents.iter().map(number).collect();
    let want: BTreeSet<u64> = times
        .keys()
        .filter(|(kind, n)| *kind == intent && !times.contains_key(&(record, *n)))
        .map(|(_, n)| *n)
        .collect();
    assert_eq!(open, want, "{what}");
    drop(journal);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_operation_fails_nothing_acknowledged_is_lost_and_nothing_is_there_twice() {
    let faults = [
        Fault::PowerLoss,
        Fault::Error(ErrorKind::Other),
        Fault::Short(ErrorKind::Other),
        Fault::Error(ErrorKind::StorageFull),
        Fault::Short(ErrorKind::StorageFull),
    ];
    let operations = {
        let simulated = SimulatedDisk::new(1);
        let (journal, _) =
            open_with(Arc::new(simulated.clone()), &Arc::default(), settings()).unwrap();
        work(&journal, 0..16).await;
        journal.close().await.unwrap();
        simulated.operations()
    };
    assert!(operations > 80, "{operations}");
    // Every operation meets a power loss and, in turn, one of the others;
    // `TRAILBOX_FAULTS=all` lets every operation meet every fault.
    let all = std::env::var("TRAILBOX_FAULTS").is_ok_and(|which| which == "all");
    for operation in 0..operations {
        let turn = usize::try_from(operation).unwrap() % (faults.len() - 1) + 1;
        for (at, fault) in faults.into_iter().enumerate() {
            if all || at == 0 || at == turn {
                fail_once(fault, operation).await;
            }
        }
    }
}

async fn fail_once(fault: Fault, operation: u64) {
    let what = format!("{fault:?} at operation {operation}");
    let simulated = SimulatedDisk::new(operation);
    let keys = Arc::<FixedKeys>::default();
    let disk: Arc<dyn Disk> = Arc::new(simulated.clone());
    simulated.fail_at(operation, fault);
    let journal = match open_with(disk.clone(), &keys, settings()) {
        Ok((journal, _)) => journal,
        Err(_) if fault == Fault::PowerLoss => {
            return check((&simulated, &keys), &BTreeSet::new(), &what);
        }
        Err(_) => open_with(disk, &keys, settings()).unwrap().0,
    };
    let mut acknowledged = work(&journal, 0..16).await;
    // The very last operations may not have been reached yet.
    if fault != Fault::PowerLoss && simulated.operations() > operation {
        wait_until(&what, || journal.admission() == Admission::Open);
        let more = work(&journal, 40..42).await;
        assert_eq!(more.len(), 4, "{what}: all is well again");
        acknowledged.extend(more);
    }
    simulated.cut_power();
    drop(journal);
    check((&simulated, &keys), &acknowledged, &what);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_and_a_power_loss_every_acknowledged_frame_is_there_exactly_once() {
    for seed in 0..10 {
        let simulated = SimulatedDisk::new(seed);
        let keys = Arc::<FixedKeys>::default();
        let (journal, _) = open_with(Arc::new(simulated.clone()), &keys, settings()).unwrap();
        let journal = Arc::new(journal);
        let mut tasks = Vec::new();
        for task in 0..16 {
            let journal = journal.clone();
            tasks.push(tokio::spawn(async move {
                work(&journal, task * 1000..task * 1000 + 1000).await
            }));
        }
        while journal.stats().frames < 100 + 31 * seed {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        simulated.cut_power();
        let mut acknowledged = BTreeSet::new();
        for task in tasks {
            acknowledged.extend(task.await.unwrap());
        }
        assert!(acknowledged.len() > 50, "seed {seed}: {}", acknowledged.len());
        drop(journal);
        check((&simulated, &keys), &acknowledged, &format!("seed {seed}"));
    }
}

#[tokio::test]
async fn a_sick_disk_refuses_new_calls_keeps_outcomes_and_gets_well() {
    let simulated = SimulatedDisk::new(5);
    let keys = Arc::<FixedKeys>::default();
    let disk: Arc<dyn Disk> = Arc::new(simulated.clone());
    let (journal, _) = open_with(disk.clone(), &keys, settings()).unwrap();
    journal.append(frame(FrameKind::Intent, 1)).await.unwrap();
    simulated.set_sick(Some(ErrorKind::ReadOnlyFilesystem));

    let late = journal.append(record(1)).await.unwrap_err();
    assert!(matches!(late, AppendError::Delayed(Refusal::Write { .. })), "{late}");
    let refused = journal.append(frame(FrameKind::Intent, 2)).await.unwrap_err();
    assert!(matches!(refused, AppendError::Refused(Refusal::Write { .. })), "{refused}");
    assert!(matches!(journal.admission(), Admission::Refusing { .. }));
    journal.submit(record(3)).unwrap();
    wait_until("parked", || journal.stats().parked_frames == 2);

    simulated.set_sick(None);
    wait_until("well", || journal.admission() == Admission::Open);
    assert_eq!(journal.stats().parked_frames, 0);
    let all = read_all(disk, &keys, Path::new(DIR));
    let found: Vec<u64> = all.iter().filter(|frame| !frame.carried).map(number).collect();
    assert_eq!(found, [1, 1, 3]);
    simulated.cut_power();
    drop(journal);
    check((&simulated, &keys), &BTreeSet::from([(1, 1), (2, 1), (2, 3)]), "after a sick disk");
}

#[tokio::test]
async fn a_full_disk_refuses_new_calls_and_still_takes_outcomes_from_its_reserve() {
    let simulated = SimulatedDisk::new(5);
    let keys = Arc::<FixedKeys>::default();
    let disk: Arc<dyn Disk> = Arc::new(simulated.clone());
    let mut settings = settings();
    (settings.reserve_bytes, settings.segment_bytes) = (64 << 10, 1 << 20);
    settings.ahead_bytes = 0;
    let (journal, _) = open_with(disk.clone(), &keys, settings).unwrap();
    for n in 0..20 {
        journal.append(frame(FrameKind::Intent, n)).await.unwrap();
    }
    simulated.set_capacity(simulated.used() + 1000);
    let mut n = 100;
    let refused = loop {
        if let Err(err) = journal.append(frame(FrameKind::Intent, n)).await {
            break err;
        }
        n += 1;
        assert!(n < 200, "the disk never fills up");
    };
    let full = |refusal: &Refusal| matches!(refusal, Refusal::DiskFull { .. });
    assert!(matches!(&refused, AppendError::Refused(refusal) if full(refusal)), "{refused}");
    for n in 0..20 {
        journal.append(record(n)).await.unwrap();
    }
    assert!(matches!(journal.admission(), Admission::Refusing { reason } if full(&reason)));
    simulated.set_capacity(1 << 30);
    wait_until("room again", || journal.admission() == Admission::Open);
    assert!(disk.list(Path::new(DIR)).unwrap().iter().any(|name| name == "journal.reserve"));
    journal.append(frame(FrameKind::Intent, 300)).await.unwrap();
}

#[tokio::test]
async fn a_restart_on_a_full_disk_still_writes_the_outcomes_it_owes() {
    let simulated = SimulatedDisk::new(5);
    let keys = Arc::<FixedKeys>::default();
    let disk: Arc<dyn Disk> = Arc::new(simulated.clone());
    let mut settings = settings();
    (settings.reserve_bytes, settings.seal) = (64 << 10, false);
    let (journal, _) = open_with(disk.clone(), &keys, settings.clone()).unwrap();
    for n in 0..3 {
        journal.append(frame(FrameKind::Intent, n)).await.unwrap();
    }
    journal.close().await.unwrap();
    simulated.set_capacity(simulated.used());
    let (journal, recovery) = open_with(disk, &keys, settings).unwrap();
    assert_eq!(recovery.open_intents.len(), 3);
    assert!(matches!(
        journal.admission(),
        Admission::Refusing { reason: Refusal::DiskFull { .. } }
    ));
    for n in 0..3 {
        journal.append(record(n)).await.unwrap();
    }
    simulated.set_capacity(1 << 30);
    wait_until("room again", || journal.admission() == Admission::Open);
}

#[tokio::test]
async fn a_disk_that_runs_low_refuses_before_it_is_full() {
    let simulated = SimulatedDisk::new(5);
    simulated.set_capacity(1 << 20);
    let mut settings = settings();
    settings.free_bytes_min = 2 << 20;
    let (journal, _) = open_with(Arc::new(simulated.clone()), &Arc::default(), settings).unwrap();
    wait_until("refusing", || {
        matches!(journal.admission(), Admission::Refusing { reason: Refusal::DiskFull { .. } })
    });
    journal.append(record(1)).await.unwrap();
    assert!(journal.stats().space.unwrap().total == 1 << 20);
    simulated.set_capacity(1 << 30);
    wait_until("open", || journal.admission() == Admission::Open);
}

#[tokio::test]
async fn durable_content_that_decayed_under_a_failed_sync_stops_the_journal_for_good() {
    let simulated = SimulatedDisk::new(5);
    let keys = Arc::<FixedKeys>::default();
    let disk: Arc<dyn Disk> = Arc::new(simulated.clone());
    let (journal, _) = open_with(disk.clone(), &keys, settings()).unwrap();
    for n in 0..5 {
        journal.append(record(n)).await.unwrap();
    }
    let name = disk.list(Path::new(DIR)).unwrap().into_iter().find(|n| ends_in(n, "open")).unwrap();
    // The write of the next batch succeeds, its sync does not.
    simulated.fail_at(simulated.operations() + 1, Fault::Error(ErrorKind::Other));
    simulated.damage(&Path::new(DIR).join(name), |bytes| bytes[400] ^= 1);
    let err = journal.append(record(5)).await.unwrap_err();
    assert!(matches!(err, AppendError::Delayed(Refusal::Sync { .. })), "{err}");
    wait_until("damaged", || {
        matches!(journal.admission(), Admission::Refusing { reason: Refusal::Damaged(_) })
    });
    let Admission::Refusing { reason } = journal.admission() else { unreachable!() };
    assert!(
        reason.to_string().contains("frames 1 to 5") || reason.to_string().contains("to 5"),
        "{reason}"
    );
    assert!(journal.close().await.is_err(), "the parked record is lost, and close says so");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_pushes_back_and_loses_nothing() {
    let simulated = SimulatedDisk::new(5);
    let keys = Arc::<FixedKeys>::default();
    let mut settings = settings();
    (settings.queue_frames, settings.queue_bytes) = (8, 16 << 10);
    let (journal, _) = open_with(Arc::new(simulated.clone()), &keys, settings).unwrap();
    let journal = Arc::new(journal);
    let refused = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for task in 0..64 {
        let (journal, refused) = (journal.clone(), refused.clone());
        tasks.push(tokio::spawn(async move {
            for n in 0..20 {
                journal.append(record(task * 20 + n)).await.unwrap();
                if let Admission::Refusing { reason: Refusal::QueueFull { .. } } =
                    journal.admission()
                {
                    refused.store(true, Ordering::Relaxed);
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert!(refused.load(Ordering::Relaxed), "admission never said that the queue is full");
    assert_eq!(journal.durable().sequence, 64 * 20);
}

//! Opening, appending, closing, opening again.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{
    ACCOUNTS, FixedKeys, NODE, assert_same, frame, number, open_with, options, read_all, reader,
    record, wait_until,
};
use std::path::Path;
use std::sync::Arc;
use trailbox_journal::disk::{Disk, RealDisk, SimulatedDisk};
use trailbox_journal::{
    Admission, AppendError, FrameKind, OpenError, Payload, Position, ReadError, Stream,
};

const DIR: &str = "/journal";

fn simulated() -> (SimulatedDisk, Arc<dyn Disk>, Arc<FixedKeys>) {
    let disk = SimulatedDisk::new(7);
    (disk.clone(), Arc::new(disk), Arc::default())
}

#[tokio::test]
async fn what_is_appended_is_read_back_in_order_across_segments_and_epochs() {
    let (_, disk, keys) = simulated();
    let dir = Path::new(DIR);
    for epoch in 1..=3 {
        let (journal, recovery) = open_with(disk.clone(), &keys, options(dir)).unwrap();
        assert_eq!(recovery.position.epoch, epoch);
        assert_eq!(recovery.position.sequence, (epoch - 1) * 100);
        assert_eq!(recovery.counter_lost, None);
        for n in (epoch - 1) * 100..epoch * 100 {
            let position = journal.append(record(n)).await.unwrap();
            assert_eq!(position, Position { node: NODE, epoch, sequence: n + 1 });
        }
        journal.close().await.unwrap();
    }
    let all = read_all(disk, &keys, dir);
    assert_eq!(all.iter().map(number).collect::<Vec<_>>(), (0..300).collect::<Vec<_>>());
    all.iter().for_each(assert_same);
}

#[tokio::test]
async fn sealing_changes_files_and_nothing_a_reader_sees() {
    let (_, disk, keys) = simulated();
    let dir = Path::new(DIR);
    let mut sealing = options(dir);
    sealing.seal = false;
    let (journal, _) = open_with(disk.clone(), &keys, sealing).unwrap();
    for n in 0..300 {
        let kind = [FrameKind::Record, FrameKind::Learned, FrameKind::Seen]
            [usize::try_from(n % 3).unwrap()];
        journal.append(frame(kind, n)).await.unwrap();
    }
    journal.close().await.unwrap();
    let before = read_all(disk.clone(), &keys, dir);
    let (journal, _) = open_with(disk.clone(), &keys, options(dir)).unwrap();
    wait_until("sealed", || journal.stats().unsealed_segments == 1);
    assert_eq!(journal.stats().seal_failure, None);
    assert_eq!(read_all(disk.clone(), &keys, dir), before);

    let reader = reader(disk, &keys, dir);
    let segments = reader.segments().unwrap();
    assert!(segments.len() > 6, "{segments:?}");
    for frame in &before {
        assert_eq!(&reader.fetch(frame.position.sequence).unwrap(), frame);
    }
    for segment in segments.iter().filter(|segment| segment.stream != Stream::Open) {
        reader.verify(segment.id, segment.stream).unwrap();
        assert!(segment.min_arrival <= segment.max_arrival);
    }
    let total: u64 = segments.iter().map(|segment| segment.records).sum();
    assert_eq!(total, 300);
    assert!(matches!(reader.fetch(301), Err(ReadError::NoSuchFrame { sequence: 301 })));
}

#[tokio::test]
async fn a_reader_of_one_kind_passes_over_the_rest() {
    let (_, disk, keys) = simulated();
    let dir = Path::new(DIR);
    let (journal, _) = open_with(disk.clone(), &keys, options(dir)).unwrap();
    for n in 0..200 {
        let kind = if n % 50 == 7 { FrameKind::Learned } else { FrameKind::Record };
        journal.append(frame(kind, n)).await.unwrap();
    }
    wait_until("sealed", || journal.stats().unsealed_segments == 1);
    let mut reader = reader(disk, &keys, dir);
    reader.only(&[FrameKind::Learned]);
    let mut learned = Vec::new();
    loop {
        let batch = reader.next_batch(3).unwrap();
        if batch.is_empty() {
            break;
        }
        learned.extend(batch.iter().map(number));
    }
    assert_eq!(learned, [7, 57, 107, 157]);
    assert_eq!(reader.position().sequence, 200);
}

#[tokio::test]
async fn an_intent_stays_open_over_rotation_and_restart_until_its_record_comes() {
    let (_, disk, keys) = simulated();
    let dir = Path::new(DIR);
    let (journal, _) = open_with(disk.clone(), &keys, options(dir)).unwrap();
    journal.append(frame(FrameKind::Intent, 1000)).await.unwrap();
    journal.append(frame(FrameKind::Intent, 1001)).await.unwrap();
    for n in 0..200 {
        journal.append(record(n)).await.unwrap();
    }
    assert_eq!(journal.stats().open_intents, 2);
    journal.append(record(1001)).await.unwrap();
    wait_until("sealed", || journal.stats().unsealed_segments == 1);
    journal.close().await.unwrap();
    for _ in 0..2 {
        let (journal, recovery) = open_with(disk.clone(), &keys, options(dir)).unwrap();
        let open: Vec<u64> = recovery.open_intents.iter().map(number).collect();
        assert_eq!(open, [1000]);
        assert_same(&recovery.open_intents[0]);
        assert_eq!(recovery.open_intents[0].position, recovery.position);
        wait_until("sealed", || journal.stats().unsealed_segments == 1);
        journal.close().await.unwrap();
    }
    let (journal, _) = open_with(disk.clone(), &keys, options(dir)).unwrap();
    journal.append(record(1000)).await.unwrap();
    journal.close().await.unwrap();
    let (_, recovery) = open_with(disk.clone(), &keys, options(dir)).unwrap();
    assert_eq!(recovery.open_intents, []);
    let intents: Vec<bool> = read_all(disk, &keys, dir)
        .iter()
        .filter(|frame| frame.kind == FrameKind::Intent && number(frame) == 1000)
        .map(|frame| frame.carried)
        .collect();
    assert!(!intents[0] && intents.len() > 3 && intents[1..].iter().all(|carried| *carried));
}

#[tokio::test]
async fn an_erased_account_is_gone_and_everything_else_still_verifies() {
    let (_, disk, keys) = simulated();
    let dir = Path::new(DIR);
    let mut unsealed = options(dir);
    unsealed.seal = false;
    let (journal, _) = open_with(disk.clone(), &keys, unsealed).unwrap();
    for n in 0..150 {
        journal.append(record(n)).await.unwrap();
    }
    journal.close().await.unwrap();
    let (journal, _) = open_with(disk.clone(), &keys, options(dir)).unwrap();
    wait_until("sealed", || journal.stats().unsealed_segments == 1);
    let reader = reader(disk.clone(), &keys, dir);
    let heads = |reader: &trailbox_journal::Reader| -> Vec<[u8; 32]> {
        let segments = reader.segments().unwrap();
        let sealed = segments.iter().filter(|segment| segment.stream != Stream::Open);
        sealed.map(|segment| reader.tree_head(segment.id, segment.stream).unwrap()).collect()
    };
    let before = heads(&reader);
    assert!(reader.fetch(2).unwrap().payload.bytes().is_some());
    keys.erase(ACCOUNTS[1]);
    journal.append(record(1000)).await.unwrap();

    for frame in read_all(disk.clone(), &keys, dir) {
        let erased = frame.account == ACCOUNTS[1] && frame.position.sequence <= 150;
        assert_eq!(frame.payload == Payload::Erased, erased, "{}", frame.position);
    }
    assert_eq!(reader.fetch(2).unwrap().payload, Payload::Erased);
    assert_eq!(heads(&reader), before);
    for segment in reader.segments().unwrap() {
        if segment.stream != Stream::Open {
            reader.verify(segment.id, segment.stream).unwrap();
        }
    }
}

#[tokio::test]
async fn frames_of_an_account_erased_before_sealing_keep_their_leaf() {
    let (_, disk, keys) = simulated();
    let dir = Path::new(DIR);
    let mut unsealed = options(dir);
    unsealed.seal = false;
    let (journal, _) = open_with(disk.clone(), &keys, unsealed).unwrap();
    journal.append(frame(FrameKind::Intent, 1)).await.unwrap();
    for n in 0..100 {
        journal.append(record(n + 10)).await.unwrap();
    }
    journal.close().await.unwrap();
    keys.erase(ACCOUNTS[1]);
    let (journal, recovery) = open_with(disk.clone(), &keys, options(dir)).unwrap();
    assert_eq!(recovery.open_intents, [], "an erased intent can never be told");
    wait_until("sealed", || journal.stats().unsealed_segments == 1);
    let reader = reader(disk.clone(), &keys, dir);
    for segment in reader.segments().unwrap() {
        if segment.stream != Stream::Open {
            reader.verify(segment.id, segment.stream).unwrap();
        }
    }
    let all = read_all(disk, &keys, dir);
    let carried = all.iter().filter(|frame| frame.carried).count();
    assert_eq!(all.len(), 101 + carried);
    assert!(all.iter().all(|f| (f.payload == Payload::Erased) == (f.account == ACCOUNTS[1])));
}

#[tokio::test]
async fn retention_drops_streams_apart_and_readers_go_on_behind_them() {
    let (_, disk, keys) = simulated();
    let dir = Path::new(DIR);
    let (journal, _) = open_with(disk.clone(), &keys, options(dir)).unwrap();
    for n in 0..200 {
        journal.append(record(n)).await.unwrap();
    }
    wait_until("sealed", || journal.stats().unsealed_segments == 1);
    let reader = reader(disk.clone(), &keys, dir);
    let segments = reader.segments().unwrap();
    let sealed: Vec<_> = segments.iter().filter(|s| s.stream == Stream::Data).collect();
    let head = reader.tree_head(sealed[1].id, Stream::Data).unwrap();
    for segment in &sealed {
        reader.drop_segment(segment.id, Stream::Data).unwrap();
        reader.drop_segment(segment.id, Stream::Data).unwrap();
    }
    assert_eq!(reader.tree_head(sealed[1].id, Stream::Data).unwrap(), head);
    let last_sealed = sealed.last().unwrap().last;
    for frame in read_all(disk.clone(), &keys, dir) {
        let data = number(&frame).is_multiple_of(3);
        assert!(!data || frame.position.sequence > last_sealed, "{}", frame.position);
    }
    assert!(matches!(reader.fetch(1), Err(ReadError::NoSuchFrame { sequence: 1 })));
    assert!(reader.fetch(2).is_ok());
    reader.drop_segment(sealed[0].id, Stream::Management).unwrap();
    assert_eq!(read_all(disk.clone(), &keys, dir)[0].position.sequence, sealed[1].first + 1);
    journal.close().await.unwrap();
    let (_, recovery) = open_with(disk.clone(), &keys, options(dir)).unwrap();
    assert_eq!(recovery.position.sequence, 200);
    assert!(disk.list(dir).unwrap().iter().all(|name| !name.starts_with("00000000000000000001-")));
}

#[tokio::test]
async fn a_reader_in_another_thread_sees_every_frame_once_while_segments_are_written_and_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, keys): (Arc<dyn Disk>, Arc<FixedKeys>) = (Arc::new(RealDisk), Arc::default());
    let mut settings = options(dir.path());
    settings.segment_bytes = 32 << 10;
    let total = 4000;
    let tail = std::thread::spawn({
        let (disk, keys, dir) = (disk.clone(), keys.clone(), dir.path().to_owned());
        move || {
            let mut reader = reader(disk, &keys, &dir);
            let mut seen = Vec::new();
            wait_until("all frames are read", || {
                loop {
                    let batch = reader.next_batch(64).unwrap();
                    if batch.is_empty() {
                        return seen.len() >= total;
                    }
                    batch.iter().for_each(assert_same);
                    seen.extend(batch.iter().map(|frame| frame.position.sequence));
                }
            });
            seen
        }
    });
    let (journal, _) = open_with(disk, &keys, settings).unwrap();
    let journal = Arc::new(journal);
    let mut tasks = Vec::new();
    for task in 0..20 {
        let journal = journal.clone();
        tasks.push(tokio::spawn(async move {
            for n in 0..200 {
                journal.append(record(task * 200 + n)).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let seen = tokio::task::spawn_blocking(move || tail.join().unwrap()).await.unwrap();
    assert_eq!(seen, (1..=4000).collect::<Vec<u64>>());
    let stats = journal.stats();
    assert!(stats.batches < stats.frames, "{} batches for {} frames", stats.batches, stats.frames);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn a_second_owner_is_refused_with_the_pid_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, keys): (Arc<dyn Disk>, Arc<FixedKeys>) = (Arc::new(RealDisk), Arc::default());
    let (journal, _) = open_with(disk.clone(), &keys, options(dir.path())).unwrap();
    let err = open_with(disk.clone(), &keys, options(dir.path())).unwrap_err();
    let pid = std::process::id().to_string();
    assert!(matches!(&err, OpenError::InUse { owner, .. } if *owner == pid), "{err}");
    journal.close().await.unwrap();
    assert!(open_with(disk, &keys, options(dir.path())).is_ok());
}

#[tokio::test]
async fn a_foreign_directory_is_refused() {
    let (_, disk, keys) = simulated();
    let dir = Path::new(DIR);
    let (journal, _) = open_with(disk.clone(), &keys, options(dir)).unwrap();
    journal.append(record(1)).await.unwrap();
    drop(journal);
    let mut other = options(dir);
    other.node = [9; 16];
    let err = open_with(disk, &keys, other).unwrap_err();
    assert!(matches!(err, OpenError::OtherNode { .. }), "{err}");
}

#[tokio::test]
async fn a_closed_journal_refuses_and_closing_twice_is_closing_once() {
    let (_, disk, keys) = simulated();
    let (journal, _) = open_with(disk, &keys, options(Path::new(DIR))).unwrap();
    assert_eq!(journal.admission(), Admission::Open);
    journal.submit(record(1)).unwrap();
    journal.close().await.unwrap();
    journal.close().await.unwrap();
    assert_eq!(journal.durable().sequence, 1);
    assert!(matches!(journal.admission(), Admission::Refusing { .. }));
    assert!(matches!(journal.append(record(2)).await, Err(AppendError::Refused(_))));
    assert!(matches!(journal.submit(record(2)), Err(AppendError::Refused(_))));
}

#[tokio::test]
async fn many_frames_at_once_stand_side_by_side() {
    let (_, disk, keys) = simulated();
    let dir = Path::new(DIR);
    let (journal, _) = open_with(disk.clone(), &keys, options(dir)).unwrap();
    let mut durable = journal.subscribe();
    let journal = Arc::new(journal);
    let mut tasks = Vec::new();
    for task in 0..10_u64 {
        let journal = journal.clone();
        let frames = (0..10).map(|n| record(task * 10 + n)).collect();
        tasks.push(tokio::spawn(async move { journal.append_all(frames).await.unwrap() }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(durable.wait_for(|position| position.sequence == 100).await.unwrap().epoch, 1);
    assert_eq!(journal.append_all(Vec::new()).await.unwrap(), journal.durable());
    let all: Vec<u64> = read_all(disk, &keys, dir).iter().map(number).collect();
    for ten in all.chunks(10) {
        assert!(ten.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ten:?}");
    }
}

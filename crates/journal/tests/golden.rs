//! The data directory of every release still opens, and says the same.
//!
//! `TRAILBOX_WRITE_GOLDEN=<dir>` writes one of this release instead; do that
//! once per format version, into a new directory, and never again.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{
    FixedKeys, NODE, assert_same, frame, number, open_with, options, payload, read_all, reader,
    record, wait_until,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use trailbox_journal::disk::{Disk, RealDisk};
use trailbox_journal::{FrameKind, Position, Stream};

/// What lies in a golden directory: records 1 to 60 around intents 100 and
/// 101, of which 101 has no record; some segments sealed, two not.
async fn write(dir: &Path) {
    let (disk, keys): (Arc<dyn Disk>, Arc<FixedKeys>) = (Arc::new(RealDisk), Arc::default());
    let mut settings = options(dir);
    settings.segment_bytes = 4 << 10;
    let (journal, _) = open_with(disk.clone(), &keys, settings.clone()).unwrap();
    for n in 1..=40 {
        journal.append(record(n)).await.unwrap();
    }
    for kind in [FrameKind::Learned, FrameKind::Seen, FrameKind::Generation] {
        journal.append(frame(kind, 50 + kind as u64)).await.unwrap();
    }
    wait_until("sealed", || journal.stats().unsealed_segments == 1);
    journal.close().await.unwrap();
    settings.seal = false;
    let (journal, _) = open_with(disk.clone(), &keys, settings).unwrap();
    journal.append(frame(FrameKind::Intent, 100)).await.unwrap();
    journal.append(frame(FrameKind::Intent, 101)).await.unwrap();
    journal.append(record(100)).await.unwrap();
    for n in 41..=60 {
        journal.append(record(n)).await.unwrap();
    }
    journal.close().await.unwrap();
    std::fs::remove_file(dir.join("journal.lock")).unwrap();
    let head = reader(disk, &keys, dir).tree_head(1, Stream::Management).unwrap();
    std::fs::write(dir.with_extension("head"), hex::encode(head) + "\n").unwrap();
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
    }
    to
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

#[tokio::test]
async fn the_directory_of_format_1_opens_and_every_frame_is_what_it_was() {
    if let Some(dir) = std::env::var_os("TRAILBOX_WRITE_GOLDEN") {
        return write(Path::new(&dir)).await;
    }
    let dir = copy(&golden().join("v1"));
    let (disk, keys): (Arc<dyn Disk>, Arc<FixedKeys>) = (Arc::new(RealDisk), Arc::default());
    // Read as it lies, without a recorder.
    let all = read_all(disk.clone(), &keys, dir.path());
    all.iter().for_each(assert_same);
    let numbers: Vec<u64> = all.iter().filter(|frame| !frame.carried).map(number).collect();
    let want: Vec<u64> = (1..=40).chain([53, 54, 55, 100, 101, 100]).chain(41..=60).collect();
    assert_eq!(numbers, want);
    assert_eq!(all[0].position, Position { node: NODE, epoch: 1, sequence: 1 });
    let reader = reader(disk.clone(), &keys, dir.path());
    let segments = reader.segments().unwrap();
    let sealed = segments.iter().filter(|segment| segment.stream != Stream::Open);
    for segment in sealed.clone() {
        reader.verify(segment.id, segment.stream).unwrap();
    }
    assert!(sealed.count() >= 4);
    let head = reader.tree_head(1, Stream::Management).unwrap();
    assert_eq!(
        hex::encode(head),
        std::fs::read_to_string(golden().join("v1.head")).unwrap().trim()
    );

    // Open it for writing, as the next release's recorder does.
    let (journal, recovery) = open_with(disk.clone(), &keys, options(dir.path())).unwrap();
    let open: Vec<u64> = recovery.open_intents.iter().map(number).collect();
    assert_eq!(open, [101]);
    let kept = recovery.open_intents[0].payload.bytes().unwrap();
    assert_eq!(*kept, payload(FrameKind::Intent, 101));
    assert_eq!(recovery.position.epoch, 3);
    journal.append(record(101)).await.unwrap();
    wait_until("sealed", || journal.stats().unsealed_segments == 1);
    journal.close().await.unwrap();
    assert_eq!(read_all(disk, &keys, dir.path()).len(), all.len() + 2);
}

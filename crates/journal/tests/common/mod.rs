//! What the journal's tests share.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "helpers of tests; not every test uses each"
)]

use bytes::Bytes;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use trailbox_clock::{ManualClock, Micros, SeededRandom};
use trailbox_journal::disk::Disk;
use trailbox_journal::{
    DATA, DataKey, DataKeys, Extension, Frame, FrameKind, Journal, KeyError, MANAGEMENT, OpenError,
    Options, Reader, Recovery, StoredFrame,
};

pub const NODE: [u8; 16] = *b"node-of-the-test";
pub const ACCOUNTS: [&str; 3] = ["111122223333", "444455556666", "777788889999"];

/// Data keys that follow from the account's name; erasure is per account.
#[derive(Debug, Default)]
pub struct FixedKeys(Mutex<HashMap<String, u32>>);

impl FixedKeys {
    pub fn erase(&self, account: &str) {
        *self.0.lock().unwrap().entry(account.to_owned()).or_insert(0) += 1;
    }

    fn erased(&self, account: &str) -> u32 {
        self.0.lock().unwrap().get(account).copied().unwrap_or(0)
    }
}

fn key(account: &str, id: u32) -> [u8; 32] {
    let mut key = [u8::try_from(id).unwrap(); 32];
    for (slot, byte) in key.iter_mut().zip(account.bytes()) {
        *slot ^= byte;
    }
    key
}

impl DataKeys for FixedKeys {
    fn current(&self, account: &str) -> Result<DataKey, KeyError> {
        let id = self.erased(account) + 1;
        Ok(DataKey { id, key: key(account, id) })
    }

    fn by_id(&self, account: &str, id: u32) -> Result<[u8; 32], KeyError> {
        let erased = self.erased(account);
        if id <= erased {
            return Err(KeyError::Erased { account: account.to_owned() });
        }
        if id > erased + 1 {
            return Err(KeyError::Unknown { account: account.to_owned(), id });
        }
        Ok(key(account, id))
    }

    fn master_id(&self) -> [u8; 8] {
        *b"fixedkey"
    }
}

pub fn event_id(number: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    id
}

pub fn number(frame: &StoredFrame) -> u64 {
    u64::from_be_bytes(frame.event_id[..8].try_into().unwrap())
}

pub fn payload(kind: FrameKind, number: u64) -> Bytes {
    let filler = "x".repeat(usize::try_from(number % 97).unwrap() * 7);
    Bytes::from(format!(
        "{{\"eventVersion\":\"1.11\",\"kind\":{},\"n\":{number},\"f\":\"{filler}\"}}",
        kind as u8
    ))
}

/// The frame numbered `number`: every third is a data record.
pub fn frame(kind: FrameKind, number: u64) -> Frame {
    let account = ACCOUNTS[usize::try_from(number % 3).unwrap()];
    Frame {
        kind,
        account: account.to_owned(),
        region: "eu-north-1".to_owned(),
        category: if number.is_multiple_of(3) { DATA } else { MANAGEMENT },
        read_only: number.is_multiple_of(2),
        event_id: event_id(number),
        arrival: Micros::from_seconds(1_700_000_000).plus(number.cast_signed()),
        extension: Extension { listener: "main".into(), upstream: "s3".into(), trust: 2 },
        payload: payload(kind, number),
    }
}

pub fn record(number: u64) -> Frame {
    frame(FrameKind::Record, number)
}

/// What comes back is what went in.
pub fn assert_same(stored: &StoredFrame) {
    let want = frame(stored.kind, number(stored));
    assert_eq!(stored.to_frame(), want, "frame at {}", stored.position);
}

/// Small segments, quick checks, no reserve.
pub fn options(dir: &Path) -> Options {
    let mut options = Options::new(dir, NODE);
    options.segment_bytes = 16 << 10;
    options.ahead_bytes = 64 << 10;
    options.reserve_bytes = 0;
    options.free_bytes_min = 0;
    options.check_every = Duration::from_millis(10);
    options
}

pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Micros::from_seconds(1_700_000_000)))
}

pub fn open_with(
    disk: Arc<dyn Disk>,
    keys: &Arc<FixedKeys>,
    options: Options,
) -> Result<(Journal, Recovery), OpenError> {
    let keys = Arc::clone(keys) as Arc<dyn DataKeys>;
    Journal::open(disk, keys, clock(), Arc::new(SeededRandom::new(11)), options)
}

pub fn reader(disk: Arc<dyn Disk>, keys: &Arc<FixedKeys>, dir: &Path) -> Reader {
    Reader::open(disk, Arc::clone(keys) as Arc<dyn DataKeys>, dir).unwrap()
}

/// Everything a fresh reader finds.
pub fn read_all(disk: Arc<dyn Disk>, keys: &Arc<FixedKeys>, dir: &Path) -> Vec<StoredFrame> {
    let mut reader = reader(disk, keys, dir);
    let mut all = Vec::new();
    loop {
        let batch = reader.next_batch(100).unwrap_or_else(|err| panic!("reading: {err}"));
        if batch.is_empty() {
            return all;
        }
        all.extend(batch);
    }
}

/// Waits until `done` holds, for ten seconds at most.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("not within ten seconds: {what}");
}

/// Whether a file name ends in `.suffix`.
pub fn ends_in(name: &str, suffix: &str) -> bool {
    name.rsplit('.').next() == Some(suffix)
}

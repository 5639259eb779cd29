#![no_main]
//! Recovery of a real journal whose files were changed: it opens or says why
//! not, and no reader ever gives a frame that was not written.
//!
//! Input: triples (place, place, value): one byte of one file becomes another;
//! value 0 cuts the file there instead.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use trailbox_clock::{ManualClock, Micros, SeededRandom};
use trailbox_journal::disk::{Disk, SimulatedDisk};
use trailbox_journal::{
    DataKey, DataKeys, Extension, Frame, FrameKind, Journal, KeyError, MANAGEMENT, Options, Reader,
};

const DIR: &str = "/journal";
const NOW: Micros = Micros(1_795_368_600_000_000);

#[derive(Debug)]
struct OneKey;

impl DataKeys for OneKey {
    fn current(&self, _account: &str) -> Result<DataKey, KeyError> {
        Ok(DataKey { id: 1, key: [7; 32] })
    }

    fn by_id(&self, _account: &str, _id: u32) -> Result<[u8; 32], KeyError> {
        Ok([7; 32])
    }
}

fn options() -> Options {
    let mut options = Options::new(DIR, [9; 16]);
    (options.reserve_bytes, options.free_bytes_min, options.seal) = (4096, 4096, false);
    options.ahead_bytes = 4096;
    options
}

fn open(disk: &Arc<dyn Disk>) -> Option<Journal> {
    let (clock, random) = (Arc::new(ManualClock::at(NOW)), Arc::new(SeededRandom::new(1)));
    let opened = Journal::open(Arc::clone(disk), Arc::new(OneKey), clock, random, options());
    opened.ok().map(|(journal, _)| journal)
}

fn payload(number: u8) -> Vec<u8> {
    format!("{{\"eventName\":\"Call{number}\"}}").into_bytes()
}

/// The files of a journal that took nine frames and was killed.
fn files() -> &'static Vec<(String, Vec<u8>)> {
    static FILES: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    FILES.get_or_init(|| {
        let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new(1));
        let journal = open(&disk).expect("an empty disk");
        for number in 0..9 {
            let frame = Frame {
                kind: if number % 3 == 0 { FrameKind::Intent } else { FrameKind::Record },
                account: "111122223333".into(),
                region: "us-east-1".into(),
                category: MANAGEMENT,
                read_only: false,
                event_id: [number; 16],
                arrival: NOW,
                extension: Extension::default(),
                payload: payload(number).into(),
            };
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(journal.append(frame)).expect("a healthy disk");
        }
        let names = disk.list(Path::new(DIR)).expect("a healthy disk");
        let read = |name: String| {
            let file = disk.open(&Path::new(DIR).join(&name), true).expect("it is listed");
            let mut bytes = vec![0; usize::try_from(file.len().expect("open")).expect("small")];
            file.read_at(0, &mut bytes).expect("open");
            (name, bytes)
        };
        names.into_iter().filter(|name| !name.contains("reserve")).map(read).collect()
    })
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut files = files().clone();
    for change in input.chunks_exact(3).take(64) {
        let count = files.len();
        let (_, bytes) = &mut files[usize::from(change[0] >> 5) % count];
        if bytes.is_empty() {
            continue;
        }
        let at = (usize::from(change[0] & 31) << 8 | usize::from(change[1])) % bytes.len();
        if change[2] == 0 { bytes.truncate(at) } else { bytes[at] ^= change[2] }
    }
    let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new(1));
    disk.create_dir(Path::new(DIR)).expect("an empty disk");
    for (name, bytes) in &files {
        let file = disk.create(&Path::new(DIR).join(name)).expect("an empty disk");
        file.write_at(0, bytes).and_then(|()| file.sync()).expect("an empty disk");
    }
    drop(open(&disk));
    let Ok(mut reader) = Reader::open(Arc::clone(&disk), Arc::new(OneKey), DIR) else { return };
    while let Ok(batch) = reader.next_batch(100) {
        if batch.is_empty() {
            break;
        }
        for frame in batch {
            let number = frame.event_id[0];
            let bytes = frame.payload.bytes().expect("the key is there");
            assert!(number < 9 && bytes[..] == payload(number), "a frame nobody wrote");
        }
    }
});

//! A data directory with sealed journal and index, made once and kept.
//!
//! It is laid out as a server's, so `trailbox serve --data DIR` runs on it.

use crate::records::{ACCOUNT, Made, REGION};
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use trailbox_api::{
    Addition, Engine, EngineOptions, EngineParts, People, PeopleError, SyncOrder, SyncReport,
};
use trailbox_clock::{Clock, ManualClock, Micros, Random, SeededRandom};
use trailbox_history::{History, HistoryOptions, HistoryStats, JournalSource};
use trailbox_identity::Directory;
use trailbox_journal::disk::RealDisk;
use trailbox_journal::{DataKeys, Extension, Frame, FrameKind, Journal, MANAGEMENT, Options};
use trailbox_keys::{LocalKeys, MasterKey};

const BATCH: u64 = 500;
/// More unsealed segments than this, and making waits.
const UNSEALED_MAX: u64 = 6;
const NODE: [u8; 16] = [0xbe; 16];

/// The directory and what is in it.
pub struct Data {
    pub dir: PathBuf,
    pub records: u64,
    /// Time of the first record.
    pub start: Micros,
}

impl Data {
    /// What is kept in `dir`; it is made first when there is nothing.
    pub async fn open_or_make(dir: PathBuf, records: u64) -> Self {
        let note = dir.join("made");
        if let Ok(text) = std::fs::read_to_string(&note) {
            let numbers: Vec<i64> = text.split_whitespace().map(|it| it.parse().unwrap()).collect();
            let records = u64::try_from(numbers[0]).unwrap();
            return Self { dir, records, start: Micros(numbers[1]) };
        }
        std::fs::create_dir_all(&dir).unwrap();
        let span = Made::of(records, Micros(0)).time;
        let start = Micros(wall_clock().0 - span.0 - 60_000_000);
        let data = Self { dir, records, start };
        data.make().await;
        std::fs::write(note, format!("{records} {}\n", start.0)).unwrap();
        data
    }

    /// The time right behind the last record.
    pub fn end(&self) -> Micros {
        Micros(self.made(self.records).time.0 + 1_000_000)
    }

    pub fn made(&self, number: u64) -> Made {
        Made::of(number, self.start)
    }

    async fn make(&self) {
        let begun = Instant::now();
        std::fs::write(self.dir.join("node"), format!("{}\n", hex::encode(NODE))).unwrap();
        let clock = Arc::new(ManualClock::at(self.start));
        let time = Arc::<ManualClock>::clone(&clock);
        let options = Options { reserve_bytes: 0, ..Options::new(self.dir.join("journal"), NODE) };
        let (journal, _) =
            Journal::open(Arc::new(RealDisk), self.keys(), time, random(), options).unwrap();
        for first in (0..self.records).step_by(usize::try_from(BATCH).unwrap()) {
            let numbers = first..(first + BATCH).min(self.records);
            let frames: Vec<Frame> = numbers.map(|number| frame(&self.made(number))).collect();
            clock.advance(frames[frames.len() - 1].arrival.0 - clock.now().0);
            journal.append_all(frames).await.unwrap();
            while journal.stats().unsealed_segments > UNSEALED_MAX {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if first % 1_000_000 == 0 {
                println!("{first} of {} journalled, {:.0?}", self.records, begun.elapsed());
            }
        }
        while journal.stats().unsealed_segments > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        journal.close().await.unwrap();
        println!("journal made in {:.0?}", begun.elapsed());
        let history = self.history();
        history.upkeep().unwrap();
        println!("index made after {:.0?}", begun.elapsed());
    }

    fn keys(&self) -> Arc<dyn DataKeys> {
        let master =
            MasterKey::from_file_or_create(&self.dir.join("master.key"), random()).unwrap();
        Arc::new(LocalKeys::open(self.dir.join("keys"), Arc::new(master)).unwrap())
    }

    /// The history as the engine opens it, with empty caches.
    pub fn history(&self) -> Arc<History> {
        let disk = Arc::new(RealDisk);
        let journal = self.dir.join("journal");
        let source = JournalSource::open(disk.clone(), self.keys(), &journal, NODE).unwrap();
        let clock = Arc::new(ManualClock::at(Micros(self.end().0 + 60_000_000)));
        let options = HistoryOptions::new(self.dir.join("history"));
        Arc::new(History::open(disk, Arc::new(source), clock, options).unwrap())
    }

    /// The engine on `history`.
    pub fn engine(&self, history: &Arc<History>) -> Arc<Engine> {
        Arc::new(Engine::new(EngineParts {
            history: history.clone(),
            people: Arc::new(Nobody),
            clock: Arc::new(ManualClock::at(Micros(self.end().0 + 60_000_000))),
            random: random(),
            token_key: [9; 32],
            options: EngineOptions { lookup_tps: None },
        }))
    }

    pub fn describe(&self, stats: &HistoryStats) {
        let journal = bytes_in(&self.dir.join("journal"));
        let per_record = |bytes: u64| bytes as f64 / self.records as f64;
        println!(
            "{} records: journal {:.0} bytes per record in {} files, index {:.1} bytes per record \
             in {} segments",
            self.records,
            per_record(journal.0),
            journal.1,
            per_record(stats.segment_bytes),
            stats.segments,
        );
    }
}

fn frame(made: &Made) -> Frame {
    Frame {
        kind: FrameKind::Record,
        account: ACCOUNT.to_owned(),
        region: REGION.to_owned(),
        category: MANAGEMENT,
        read_only: made.read_only(),
        event_id: made.event_id,
        arrival: made.time,
        extension: Extension { listener: "main".into(), upstream: "default".into(), trust: 1 },
        payload: Bytes::from(made.json()),
    }
}

fn bytes_in(dir: &Path) -> (u64, usize) {
    let sizes = std::fs::read_dir(dir).unwrap().map(|it| it.unwrap().metadata().unwrap().len());
    sizes.fold((0, 0), |(bytes, files), size| (bytes + size, files + 1))
}

fn random() -> Arc<dyn Random> {
    Arc::new(SeededRandom::new(11))
}

#[allow(clippy::disallowed_methods, reason = "a server that runs on the data reads this clock")]
fn wall_clock() -> Micros {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Micros(i64::try_from(now.as_micros()).unwrap())
}

/// Lookups ask for no principals.
#[derive(Debug)]
struct Nobody;

#[async_trait::async_trait]
impl People for Nobody {
    fn directory(&self) -> Arc<Directory> {
        Arc::new(Directory::new())
    }

    async fn add(&self, _: Vec<Addition>) -> Result<(), PeopleError> {
        Ok(())
    }

    async fn remove_principal(&self, _: &str) -> Result<bool, PeopleError> {
        Ok(false)
    }

    async fn remove_key(&self, _: &str) -> Result<bool, PeopleError> {
        Ok(false)
    }

    async fn set_active(&self, _: &str, _: bool) -> Result<bool, PeopleError> {
        Ok(false)
    }

    async fn sync(&self, _: SyncOrder) -> Result<SyncReport, PeopleError> {
        Ok(SyncReport::default())
    }
}

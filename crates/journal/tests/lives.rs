//! Many lives of one journal: random faults, power losses, restarts, and a
//! reader that keeps its position through all of them.
//!
//! `SEED=17 cargo nextest run -p trailbox-journal --test lives` replays one.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{FixedKeys, frame, number, open_with, options, read_all};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use trailbox_clock::{Random as _, SeededRandom};
use trailbox_journal::disk::{Disk, Fault, SimulatedDisk};
use trailbox_journal::{
    AppendError, DataKeys, FrameKind, Journal, Options, Position, ReadError, Reader, StoredFrame,
};

const DIR: &str = "/journal";
const LIVES: u64 = 5;
const CALLS: u64 = 12;

fn settings() -> Options {
    let mut settings = options(Path::new(DIR));
    settings.segment_bytes = 4 << 10;
    settings.reserve_bytes = 4 << 10;
    settings.check_every = Duration::from_millis(2);
    settings
}

fn below(dice: &SeededRandom, limit: u64) -> u64 {
    let mut bytes = [0; 8];
    dice.fill(&mut bytes);
    u64::from_le_bytes(bytes) % limit
}

/// What a frame is to whoever compares two readings.
fn identity(frame: &StoredFrame) -> (u64, u8, u64, bool) {
    (frame.position.sequence, frame.kind as u8, number(frame), frame.carried)
}

struct World {
    seed: u64,
    dice: SeededRandom,
    simulated: SimulatedDisk,
    keys: Arc<FixedKeys>,
    acknowledged: BTreeSet<(u8, u64)>,
    /// What the reader has seen so far, over all lives.
    seen: Vec<(u64, u8, u64, bool)>,
    after: Position,
}

impl World {
    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.simulated.clone())
    }

    fn plan_faults(&self) {
        let now = self.simulated.operations();
        for _ in 0..below(&self.dice, 4) {
            let fault = match below(&self.dice, 5) {
                0 => Fault::PowerLoss,
                1 => Fault::Short(ErrorKind::Other),
                2 => Fault::Error(ErrorKind::StorageFull),
                _ => Fault::Error(ErrorKind::Other),
            };
            self.simulated.fail_at(now + below(&self.dice, 150), fault);
        }
    }

    /// Opens, however often a planned fault gets in the way.
    fn open(&self) -> Journal {
        for _ in 0..20 {
            match open_with(self.disk(), &self.keys, settings()) {
                Ok((journal, _)) => return journal,
                Err(_) if self.simulated.is_off() => self.simulated.restore_power(),
                Err(trailbox_journal::OpenError::Disk { .. }) => {}
                Err(err) => panic!("seed {}: {err}", self.seed),
            }
        }
        panic!("seed {}: does not open", self.seed);
    }

    async fn live(&mut self, life: u64) {
        self.plan_faults();
        let journal = self.open();
        for n in life * 100..life * 100 + CALLS {
            for kind in [FrameKind::Intent, FrameKind::Record] {
                match journal.append(frame(kind, n)).await {
                    Ok(_) => {
                        self.acknowledged.insert((kind as u8, n));
                    }
                    Err(AppendError::Refused(_)) if kind == FrameKind::Intent => break,
                    Err(_) => {}
                }
            }
            if below(&self.dice, 3) == 0 {
                self.read();
            }
            if below(&self.dice, 6) == 0 {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        }
        if below(&self.dice, 3) == 0 {
            drop(journal);
        } else {
            self.simulated.cut_power();
            drop(journal);
        }
        self.simulated.cut_power();
        self.simulated.restore_power();
    }

    fn read(&mut self) {
        // The power may be out.
        let keys = Arc::clone(&self.keys) as Arc<dyn DataKeys>;
        let Ok(mut reader) = Reader::open(self.disk(), keys, DIR) else { return };
        reader.from(self.after);
        loop {
            match reader.next_batch(7) {
                Ok(frames) if frames.is_empty() => break,
                Ok(frames) => self.seen.extend(frames.iter().map(identity)),
                Err(ReadError::Disk { .. }) => break,
                Err(err) => panic!("seed {}: {err}", self.seed),
            }
        }
        self.after = reader.position();
    }

    fn settle(&mut self) {
        let journal = self.open();
        self.read();
        let all = read_all(self.disk(), &self.keys, Path::new(DIR));
        drop(journal);
        let all: Vec<_> = all.iter().map(identity).collect();
        assert_eq!(self.seen, all, "seed {}: one reading and many agree", self.seed);
        let sequences: Vec<u64> = all.iter().map(|frame| frame.0).collect();
        let dense: Vec<u64> = (1..=sequences.len() as u64).collect();
        assert_eq!(sequences, dense, "seed {}", self.seed);
        let originals: Vec<(u8, u64)> =
            all.iter().filter(|frame| !frame.3).map(|frame| (frame.1, frame.2)).collect();
        let once: BTreeSet<(u8, u64)> = originals.iter().copied().collect();
        assert_eq!(once.len(), originals.len(), "seed {}: something is there twice", self.seed);
        let lost: Vec<_> = self.acknowledged.difference(&once).collect();
        assert!(lost.is_empty(), "seed {}: lost {lost:?}", self.seed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_many_lives_nothing_acknowledged_is_lost_and_a_reader_never_has_to_take_anything_back()
{
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("TRAILBOX_SEEDS").unwrap_or(40),
    };
    for seed in seeds {
        let mut world = World {
            seed,
            dice: SeededRandom::new(seed),
            simulated: SimulatedDisk::new(seed),
            keys: Arc::default(),
            acknowledged: BTreeSet::new(),
            seen: Vec::new(),
            after: Position::default(),
        };
        for life in 0..LIVES {
            world.live(life).await;
        }
        world.settle();
    }
}

//! Index files: made, damaged, rebuilt, merged, dropped; and who sees what when.
#![allow(clippy::unwrap_used, reason = "a test may stop at what should not happen")]

mod support;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use support::{ACCOUNTS, MemorySource, Spec, entry};
use trailbox_clock::{Clock as _, ManualClock, Micros};
use trailbox_history::{Attribute, History, HistoryOptions, Query, SourceError};
use trailbox_journal::disk::{Disk as _, Fault, SimulatedDisk};
use trailbox_record::Category;

const START: i64 = 1_790_000_000;
const DIR: &str = "/data/history";

struct World {
    disk: SimulatedDisk,
    source: Arc<MemorySource>,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Micros::from_seconds(START)));
        Self { disk: SimulatedDisk::new(1), source: Arc::default(), clock }
    }

    fn open(&self) -> History {
        self.open_merging(2_000_000)
    }

    fn open_merging(&self, records_max: u64) -> History {
        let (disk, source) = (Arc::new(self.disk.clone()), Arc::clone(&self.source));
        let mut options = HistoryOptions::new(DIR);
        (options.cache_bytes, options.merged_records_max) = (0, records_max);
        let history =
            History::open(disk, source, Arc::<ManualClock>::clone(&self.clock), options).unwrap();
        history.catch_up().unwrap();
        history
    }

    /// Appends `count` records of this second and seals them.
    fn segment(&self, first: u16, count: u16, category: Category) {
        self.append(first, count, category);
        self.source.seal(self.clock.now());
    }

    /// Appends `count` records of this second.
    fn append(&self, first: u16, count: u16, category: Category) {
        for id in first..first + count {
            let time = self.clock.now().seconds();
            let name = usize::from(id) % 4;
            self.source.append(entry(&Spec {
                id,
                account: 0,
                region: 0,
                category,
                name,
                user: 0,
                time,
            }));
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut names = self.disk.list(Path::new(DIR)).unwrap();
        names.sort();
        names.into_iter().map(|name| Path::new(DIR).join(name)).collect()
    }
}

fn count(history: &History, categories: &[Category]) -> usize {
    let query =
        Query { categories: categories.to_vec(), limit: 10_000, ..Query::newest(ACCOUNTS[0]) };
    history.lookup(&query).unwrap().records.len()
}

#[test]
fn any_damage_to_an_index_file_is_found_and_repaired_from_the_journal() {
    let world = World::new();
    world.segment(0, 600, Category::Management);
    let history = world.open();
    let file = world
        .files()
        .into_iter()
        .find(|file| file.to_string_lossy().contains("management"))
        .unwrap();
    let length = world.disk.open(&file, true).unwrap().len().unwrap();
    let history = (0..length).step_by(389).fold(history, |history, at| {
        drop(history);
        world.disk.damage(&file, |bytes| bytes[usize::try_from(at).unwrap()] ^= 0x40);
        let history = world.open();
        assert_eq!(count(&history, &[Category::Management]), 600, "byte {at}");
        let name = (Attribute::EventName, "CreateBucket".to_owned());
        let query = Query { filters: vec![name], limit: 1000, ..Query::newest(ACCOUNTS[0]) };
        assert_eq!(history.lookup(&query).unwrap().records.len(), 150, "byte {at}");
        history
    });
    drop(history);
    world.disk.damage(&file, |bytes| bytes.truncate(100));
    let history = world.open();
    assert_eq!(count(&history, &[Category::Management]), 600);
    let stats = history.stats();
    assert_eq!((stats.damaged, stats.rebuilt), (1, 1));
}

#[test]
fn damage_under_a_running_history_is_repaired_while_it_is_asked() {
    let world = World::new();
    world.segment(0, 600, Category::Management);
    let history = world.open();
    for file in world.files() {
        world.disk.damage(&file, |bytes| bytes[40] ^= 1);
    }
    assert_eq!(count(&history, &[Category::Management]), 600);
    assert_eq!((history.stats().damaged, history.stats().rebuilt), (1, 1));
}

#[test]
fn an_index_file_of_a_later_version_is_not_guessed_at() {
    let world = World::new();
    world.segment(0, 5, Category::Management);
    drop(world.open());
    for file in world.files() {
        world.disk.damage(&file, |bytes| {
            bytes[8] = 2;
            let crc = crc32c::crc32c(&bytes[..16]).to_le_bytes();
            bytes[16..20].copy_from_slice(&crc);
        });
    }
    let history = world.open();
    assert_eq!(history.stats().damaged, 2);
    assert_eq!(count(&history, &[Category::Management]), 5);
}

#[test]
fn a_disk_that_fails_once_is_not_called_damage_and_the_next_upkeep_succeeds() {
    for operation in 0..12 {
        let world = World::new();
        let history = world.open();
        world.segment(0, 20, Category::Management);
        history.catch_up().unwrap();
        let fault = Fault::Error(ErrorKind::Other);
        world.disk.fail_at(world.disk.operations() + operation, fault);
        if let Err(err) = history.upkeep() {
            let said = matches!(err, SourceError::Unavailable { .. });
            assert!(said, "operation {operation}: {err}");
        }
        world.disk.clear_faults();
        history.upkeep().unwrap();
        assert_eq!(history.stats().segment_records, 20, "operation {operation}");
        assert_eq!(count(&history, &[Category::Management]), 20, "operation {operation}");
    }
}

#[test]
fn small_segments_are_merged_and_nothing_changes_for_who_asks() {
    let world = World::new();
    for part in 0..70 {
        world.segment(part * 10, 10, Category::Management);
        world.clock.advance(60_000_000);
    }
    let history = world.open();
    assert_eq!(history.stats().segments, 140);
    history.upkeep().unwrap();
    let stats = history.stats();
    assert!(stats.segments <= 16, "{} segments left", stats.segments);
    assert_eq!(stats.segment_records, 700);
    assert_eq!(count(&history, &[Category::Management]), 700);
    assert_eq!(world.files().len() as u64, stats.segments);
    assert_eq!(count(&world.open(), &[Category::Management]), 700);
}

#[test]
fn a_full_segment_does_not_stop_the_merging_behind_it() {
    let world = World::new();
    for part in 0..70 {
        world.segment(part * 10, 10, Category::Management);
    }
    let history = world.open_merging(100);
    history.upkeep().unwrap();
    let full = 2 * 700 / 100;
    let segments = history.stats().segments;
    assert!(segments <= full + 16, "{segments} segments left");
    assert_eq!(count(&history, &[Category::Management]), 700);
}

#[test]
fn a_crash_between_a_merge_and_its_removals_shows_nothing_twice() {
    let world = World::new();
    for part in 0..8 {
        world.segment(part * 10, 10, Category::Management);
    }
    let history = world.open();
    let read = |file: &PathBuf| {
        let file = world.disk.open(file, true).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_at(0, &mut bytes).unwrap();
        bytes
    };
    let before: Vec<(PathBuf, Vec<u8>)> =
        world.files().into_iter().map(|file| (file.clone(), read(&file))).collect();
    history.upkeep().unwrap();
    drop(history);
    for (file, bytes) in before {
        let _ = world.disk.remove(&file);
        world.disk.create(&file).unwrap().write_at(0, &bytes).unwrap();
    }
    let history = world.open();
    assert_eq!(count(&history, &[Category::Management]), 80);
    assert_eq!(history.stats().segment_records, 80);
    assert_eq!(world.files().len() as u64, history.stats().segments);
}

#[test]
fn each_stream_is_dropped_after_its_own_retention() {
    const DAY: i64 = 86_400_000_000;
    let world = World::new();
    world.segment(0, 10, Category::Management);
    world.segment(100, 10, Category::Data);
    let history = world.open();
    let both = [Category::Management, Category::Data];
    assert_eq!(count(&history, &both), 20);
    world.clock.advance(7 * DAY);
    assert_eq!(count(&history, &both), 20, "the seventh day is inside");
    world.clock.advance(1_000_000);
    assert_eq!(count(&history, &both), 10, "gone before anybody cleans up");
    history.upkeep().unwrap();
    assert_eq!(world.source.sealed_count(), 2);
    world.clock.advance(83 * DAY);
    history.upkeep().unwrap();
    assert_eq!(count(&history, &both), 0);
    assert_eq!(world.source.sealed_count(), 0);
    assert_eq!(world.files(), Vec::<PathBuf>::new());
    assert_eq!(world.open().stats().segments, 0);
}

#[test]
fn an_erased_account_leaves_no_answer_and_no_error() {
    let world = World::new();
    world.segment(0, 10, Category::Management);
    let history = world.open();
    world.segment(20, 5, Category::Management);
    history.catch_up().unwrap();
    world.source.erase(ACCOUNTS[0]);
    assert_eq!(count(&history, &[Category::Management]), 0);
    world.segment(40, 5, Category::Management);
    history.catch_up().unwrap();
    history.upkeep().unwrap();
    assert_eq!(count(&world.open(), &[Category::Management]), 0);
}

#[test]
fn an_index_file_names_nobody() {
    let world = World::new();
    world.segment(0, 100, Category::Management);
    let _history = world.open();
    for file in world.files() {
        world.disk.damage(&file, |bytes| {
            for word in ["alice", "CreateBucket", "bucket-1", "AKIA0", "s3.amazonaws"] {
                assert!(memchr::memmem::find(bytes, word.as_bytes()).is_none(), "{word}");
            }
        });
    }
}

#[test]
fn the_generation_survives_sealing_and_restarts() {
    let world = World::new();
    world.segment(0, 3, Category::Management);
    let generation = world.source.generation();
    world.segment(10, 4, Category::Management);
    let history = world.open();
    assert_eq!(history.generation(), generation);
    let since = Query { after_sequence: generation, ..Query::newest(ACCOUNTS[0]) };
    assert_eq!(history.lookup(&since).unwrap().records.len(), 4);
    let later = world.source.generation();
    history.catch_up().unwrap();
    assert_eq!(history.generation(), later);
    world.source.seal(world.clock.now());
    history.upkeep().unwrap();
    assert_eq!(world.open().generation(), later);
}

#[tokio::test]
async fn whoever_waits_sees_what_was_journalled_before() {
    let world = World::new();
    let history = Arc::new(world.open());
    world.segment(0, 3, Category::Management);
    assert!(!history.wait_for(3, Duration::from_millis(10)).await);
    let waiting = tokio::spawn({
        let history = Arc::clone(&history);
        async move { history.wait_for(3, Duration::from_secs(5)).await }
    });
    tokio::task::yield_now().await;
    history.catch_up().unwrap();
    assert!(waiting.await.unwrap());
    assert_eq!(history.indexed(), 3);
    assert_eq!(count(&history, &[Category::Management]), 3);
}

#[test]
fn lookups_beside_intake_sealing_and_merging_lose_and_repeat_nothing() {
    let world = World::new();
    let history = world.open();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let stopped = || stop.load(std::sync::atomic::Ordering::SeqCst);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !stopped() {
                history.upkeep().unwrap();
            }
        });
        threads.spawn(|| {
            let mut before = 0;
            while !stopped() {
                let indexed = history.indexed();
                let query = Query { limit: 10_000, ..Query::newest(ACCOUNTS[0]) };
                let hits = history.lookup(&query).unwrap().records;
                let sequences: std::collections::BTreeSet<u64> =
                    hits.iter().map(|hit| hit.sequence).collect();
                assert_eq!(sequences.len(), hits.len(), "a record is shown twice");
                assert!(indexed <= sequences.len() as u64, "a record is lost");
                assert!(before <= sequences.len(), "history runs backwards");
                before = sequences.len();
            }
        });
        for part in 0..120 {
            world.segment(part * 20, 20, Category::Management);
            history.catch_up().unwrap();
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
    });
    assert_eq!(count(&history, &[Category::Management]), 2400);
}

#[test]
fn an_open_segment_of_any_size_keeps_few_rows_unpacked_and_all_can_be_looked_up() {
    let world = World::new();
    let mut options = HistoryOptions::new(DIR);
    options.memory_rows_max = 100;
    let (disk, source) = (Arc::new(world.disk.clone()), Arc::clone(&world.source));
    let clock = Arc::<ManualClock>::clone(&world.clock);
    let history = History::open(disk, source, clock, options).unwrap();
    for first in (0..600).step_by(50) {
        world.append(first, 50, Category::Management);
        world.append(first + 2000, 50, Category::Data);
        history.catch_up().unwrap();
        let stats = history.stats();
        assert!(stats.memory_records - stats.packed_records <= 100, "{stats:?}");
    }
    // A repetition of what is packed is still one.
    world.append(7, 3, Category::Management);
    history.catch_up().unwrap();
    assert_eq!(history.stats().repeated, 3);
    let both = [Category::Management, Category::Data];
    assert_eq!((count(&history, &both), count(&history, &both[1..])), (1200, 600));

    world.source.seal(world.clock.now());
    history.upkeep().unwrap();
    assert_eq!((count(&history, &both), history.stats().memory_records), (1200, 0));
}

#[tokio::test]
async fn a_history_is_complete_only_after_what_no_index_file_covers_was_read() {
    let world = World::new();
    world.segment(0, 200, Category::Management);
    world.append(200, 10, Category::Management);
    let (disk, source) = (Arc::new(world.disk.clone()), Arc::clone(&world.source));
    let clock = Arc::<ManualClock>::clone(&world.clock);
    let history = History::begin(disk, source, clock, HistoryOptions::new(DIR)).unwrap();
    assert!(!history.wait_until_complete(Duration::ZERO).await);
    assert_eq!(count(&history, &[Category::Management]), 0);

    history.complete().unwrap();

    assert!(history.wait_until_complete(Duration::ZERO).await);
    assert_eq!(count(&history, &[Category::Management]), 210);
}

//! The history on a real journal: written, sealed, restarted, dropped.
#![allow(clippy::unwrap_used, reason = "a test may stop at what should not happen")]

mod support;

use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{ACCOUNTS, Spec, entry};
use trailbox_clock::{ManualClock, Micros, SeededRandom};
use trailbox_history::{Attribute, History, HistoryOptions, JournalSource, Query};
use trailbox_journal::disk::{Disk as _, SimulatedDisk};
use trailbox_journal::{
    DataKey, DataKeys, Extension, Frame, FrameKind, Journal, KeyError, Options,
};
use trailbox_record::Category;

const START: i64 = 1_790_000_000;
const NODE: [u8; 16] = *b"node-of-the-test";

#[derive(Debug)]
struct FixedKeys;

impl DataKeys for FixedKeys {
    fn current(&self, _: &str) -> Result<DataKey, KeyError> {
        Ok(DataKey { id: 1, key: [5; 32] })
    }

    fn by_id(&self, _: &str, _: u32) -> Result<[u8; 32], KeyError> {
        Ok([5; 32])
    }
}

struct World {
    disk: SimulatedDisk,
    clock: Arc<ManualClock>,
}

impl World {
    fn journal(&self) -> Journal {
        let mut options = Options::new("/data/journal", NODE);
        (options.segment_bytes, options.reserve_bytes, options.free_bytes_min) = (20_000, 0, 0);
        let random = Arc::new(SeededRandom::new(3));
        let disk = Arc::new(self.disk.clone());
        Journal::open(
            disk,
            Arc::new(FixedKeys),
            Arc::<ManualClock>::clone(&self.clock),
            random,
            options,
        )
        .unwrap()
        .0
    }

    fn history(&self) -> History {
        let disk = Arc::new(self.disk.clone());
        let dir = Path::new("/data/journal");
        let source = JournalSource::open(disk.clone(), Arc::new(FixedKeys), dir, NODE).unwrap();
        let options = HistoryOptions::new("/data/history");
        let clock = Arc::<ManualClock>::clone(&self.clock);
        let history = History::open(disk, Arc::new(source), clock, options).unwrap();
        history.catch_up().unwrap();
        history
    }
}

/// An intent and its record, as the recorder writes them.
fn call(id: u16) -> Vec<Frame> {
    let category = if id.is_multiple_of(3) { Category::Data } else { Category::Management };
    let time = START + i64::from(id);
    let spec =
        Spec { id, account: 0, region: 0, category, name: 0, user: usize::from(id % 3), time };
    let entry = entry(&spec);
    let record = Frame {
        kind: FrameKind::Record,
        account: entry.account,
        region: entry.region,
        category: u8::from(category == Category::Data),
        read_only: false,
        event_id: entry.event_id,
        arrival: Micros::from_seconds(time),
        extension: Extension::default(),
        payload: entry.payload,
    };
    let intent =
        Frame { kind: FrameKind::Intent, payload: Bytes::from_static(b"{}"), ..record.clone() };
    vec![intent, record]
}

fn found(history: &History, filter: Option<(Attribute, String)>) -> Vec<String> {
    let query = Query {
        categories: vec![Category::Management, Category::Data],
        filters: filter.into_iter().collect(),
        limit: 10_000,
        ..Query::newest(ACCOUNTS[0])
    };
    let page = history.lookup(&query).unwrap();
    assert_eq!(page.unreadable, 0);
    page.records.into_iter().map(|hit| hit.view.event_id).collect()
}

fn expected(ids: impl DoubleEndedIterator<Item = u16>) -> Vec<String> {
    ids.rev()
        .map(|id| {
            entry(&Spec {
                id,
                account: 0,
                region: 0,
                category: Category::Data,
                name: 0,
                user: 0,
                time: 0,
            })
            .event_id
        })
        .map(|id| support::hyphenated(&id))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_follows_a_journal_through_sealing_and_restarts() {
    let clock = Arc::new(ManualClock::at(Micros::from_seconds(START + 1000)));
    let world = World { disk: SimulatedDisk::new(5), clock };
    let journal = world.journal();
    let history = world.history();
    for id in 0..200 {
        let position = journal.append_all(call(id)).await.unwrap();
        if id % 50 == 0 {
            history.catch_up().unwrap();
            assert_eq!(history.indexed(), position.sequence);
            assert_eq!(found(&history, None), expected(0..=id));
        }
        if id % 70 == 0 {
            history.upkeep().unwrap();
        }
    }
    history.catch_up().unwrap();
    let mut segments = 0;
    for _ in 0..100 {
        history.upkeep().unwrap();
        segments = history.stats().segment_records;
        if 150 < segments {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(150 < segments, "only {segments} records left the memory");
    assert_eq!(found(&history, None), expected(0..200));
    let bob = || Some((Attribute::Username, "bob".to_owned()));
    assert_eq!(found(&history, bob()), expected((0..200).filter(|id| id % 3 == 1)));

    drop(history);
    let history = world.history();
    assert_eq!(found(&history, None), expected(0..200));
    for name in world.disk.list(Path::new("/data/history")).unwrap() {
        world.disk.remove(&Path::new("/data/history").join(name)).unwrap();
    }
    drop(history);
    let history = world.history();
    assert_eq!(found(&history, bob()), expected((0..200).filter(|id| id % 3 == 1)));

    world.clock.advance(8 * 86_400_000_000);
    let dropped = history.upkeep().unwrap().dropped;
    assert!(0 < dropped);
    let management = expected((0..200).filter(|id| id % 3 != 0));
    assert_eq!(found(&history, None), management);
    assert_eq!(found(&world.history(), None), management, "with dropped data segments");
    journal.close().await.unwrap();
}

//! One script over every path of the journal; every operation of it meets every
//! fault. Then the power goes, and the promises are counted out.
//!
//! The journal is driven step by step, so operation `k` is the same in each run.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{FixedKeys, assert_same, clock, frame, number, open_with, options, read_all};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use trailbox_clock::SeededRandom;
use trailbox_journal::disk::{Disk, Fault, SimulatedDisk};
use trailbox_journal::{
    Admission, AppendError, DataKeys, FrameKind, Inspector, Journal, Options, Position, Reader,
    Refusal, Stepper, Stream,
};

const DIR: &str = "/journal";

fn settings() -> Options {
    let mut settings = options(Path::new(DIR));
    (settings.segment_bytes, settings.ahead_bytes) = (4 << 10, 16 << 10);
    settings.reserve_bytes = 4 << 10;
    settings
}

/// What goes wrong at operation `k`.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    Once(Fault),
    /// The file system is read-only from there on, until somebody helps.
    ReadOnly {
        helped: bool,
    },
}

/// What callers were told: frames by kind and number.
#[derive(Debug, Default)]
struct Told {
    durable: BTreeMap<(u8, u64), Position>,
    refused: Vec<(u8, u64)>,
    late: Vec<(u8, u64)>,
    /// Frames that retention may have removed.
    dropped: Vec<(u8, u64)>,
    /// Whether a process ended before its disk was well again: what it refused
    /// last may be there.
    doubt: bool,
}

struct World {
    simulated: SimulatedDisk,
    disk: Arc<dyn Disk>,
    keys: Arc<FixedKeys>,
    told: Told,
    /// Whether somebody makes the disk well again before the end.
    helped: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let simulated = SimulatedDisk::new(seed);
        simulated.set_readers_fail();
        let disk: Arc<dyn Disk> = Arc::new(simulated.clone());
        Self { simulated, disk, keys: Arc::default(), told: Told::default(), helped: false }
    }

    fn open(&self) -> Option<(Journal, Stepper)> {
        let keys = Arc::clone(&self.keys) as Arc<dyn DataKeys>;
        let random = Arc::new(SeededRandom::new(11));
        let opened =
            Journal::open_stepped(self.disk.clone(), keys, clock(), random, settings()).ok()?;
        Some((opened.0, opened.2))
    }

    async fn append(&mut self, parts: &mut (Journal, Stepper), kind: FrameKind, n: u64) {
        let (journal, stepper) = (&parts.0, &mut parts.1);
        let step = async {
            stepper.write();
        };
        let name = (kind as u8, n);
        match tokio::join!(journal.append(frame(kind, n)), step).0 {
            Ok(position) => drop(self.told.durable.insert(name, position)),
            Err(AppendError::Refused(_)) => self.told.refused.push(name),
            Err(AppendError::Delayed(_)) => self.told.late.push(name),
            Err(err) => panic!("{err}"),
        }
    }

    /// Calls: an intent and, unless that was refused or the call is one of
    /// those that stay open, a record.
    async fn calls(&mut self, parts: &mut (Journal, Stepper), calls: std::ops::Range<u64>) {
        for n in calls {
            self.append(parts, FrameKind::Intent, n).await;
            let refused = self.told.refused.contains(&(FrameKind::Intent as u8, n));
            if !refused && n % 5 != 4 {
                self.append(parts, FrameKind::Record, n).await;
            }
            parts.1.check();
        }
    }

    /// Retention: the oldest sealed segment goes, stream by stream.
    fn retain(&mut self) {
        let open = || {
            let keys = Arc::clone(&self.keys) as Arc<dyn DataKeys>;
            Reader::open(self.disk.clone(), keys, DIR)
        };
        let (Ok(reader), Ok(mut reading)) = (open(), open()) else { return };
        let Ok(segments) = reader.segments() else { return };
        let Some(oldest) = segments.iter().find(|it| it.stream != Stream::Open) else { return };
        let Ok(frames) = reading.next_batch(1000) else { return };
        let range = oldest.first..=oldest.last;
        let inside = frames.iter().filter(|f| range.contains(&f.position.sequence) && !f.carried);
        self.told.dropped.extend(inside.map(|frame| (frame.kind as u8, number(frame))));
        for stream in [Stream::Management, Stream::Data] {
            // What fails is tried again on the next round, as history does.
            let _ = reader.drop_segment(oldest.id, stream);
            let _ = reader.drop_segment(oldest.id, stream);
        }
    }

    /// Two lives: append, rotate, seal, drop, append, close; open again.
    async fn play(&mut self) -> bool {
        let Some(mut parts) = self.open().or_else(|| self.help()) else { return false };
        self.calls(&mut parts, 0..8).await;
        while parts.1.seal() {}
        self.calls(&mut parts, 8..12).await;
        while parts.1.seal() {}
        self.retain();
        self.calls(&mut parts, 12..14).await;
        parts.1.check();
        parts.1.check();
        self.told.doubt = parts.0.admission() != Admission::Open;
        let (journal, stepper) = parts;
        let _ = journal.close().await;
        stepper.finish();
        drop(journal);
        let Some(mut parts) = self.open().or_else(|| self.help()) else { return false };
        self.calls(&mut parts, 20..24).await;
        while parts.1.seal() {}
        if self.helped {
            self.simulated.set_sick(None);
        }
        // Two of its checks: it gets well by itself.
        parts.1.check();
        parts.1.check();
        let well = parts.0.admission() == Admission::Open && !self.told.doubt;
        self.simulated.cut_power();
        well
    }

    fn help(&self) -> Option<(Journal, Stepper)> {
        if self.helped {
            self.simulated.set_sick(None);
        }
        self.open()
    }

    /// The power is lost; what was promised?
    fn settle(self, well: bool, what: &str) {
        let Self { simulated, disk, keys, told, .. } = self;
        simulated.set_sick(None);
        simulated.cut_power();
        simulated.restore_power();
        let opened = open_with(disk.clone(), &keys, settings());
        let (journal, recovery) = opened.unwrap_or_else(|err| panic!("{what}: {err}"));
        let newest = told.durable.values().max().copied().unwrap_or_default();
        assert!(recovery.position.sequence >= newest.sequence, "{what}: a position comes twice");
        drop(journal);
        let keys_port = Arc::clone(&keys) as Arc<dyn DataKeys>;
        let checked = Inspector::new(disk.clone(), keys_port, DIR).check(false, &mut |_, _| {});
        assert_eq!(checked.unwrap().findings, [], "{what}");

        let all = read_all(disk.clone(), &keys, Path::new(DIR));
        let again = read_all(disk, &keys, Path::new(DIR));
        assert_eq!(all, again, "{what}: two readers, two orders");
        let mut found = BTreeMap::new();
        for frame in all.iter().filter(|frame| !frame.carried) {
            assert_same(frame);
            let name = (frame.kind as u8, number(frame));
            let twice = found.insert(name, frame.position);
            assert_eq!(twice, None, "{what}: {name:?} is there twice");
            let asked = told.durable.contains_key(&name)
                || told.refused.contains(&name)
                || told.late.contains(&name);
            assert!(asked, "{what}: {name:?} was invented");
        }
        for (name, position) in &told.durable {
            let there = found.get(name);
            let gone = there.is_none() && told.dropped.contains(name);
            assert!(there == Some(position) || gone, "{what}: {name:?} at {position}: {there:?}");
        }
        if well {
            let back: Vec<_> = told.refused.iter().filter(|n| found.contains_key(n)).collect();
            assert_eq!(back, Vec::<&(u8, u64)>::new(), "{what}: refused, and there all the same");
            let kept = |n: &&(u8, u64)| !found.contains_key(*n) && !told.dropped.contains(n);
            let lost: Vec<_> = told.late.iter().filter(kept).collect();
            assert_eq!(lost, Vec::<&(u8, u64)>::new(), "{what}: was to be kept until it can be");
        }
    }
}

async fn every_operation_meets(trouble: Trouble) {
    let operations = {
        let mut world = World::new(1);
        assert!(world.play().await);
        let operations = world.simulated.operations();
        assert_eq!(world.told.durable.len(), 34);
        assert!(world.told.dropped.len() > 3, "{:?}", world.told.dropped);
        world.settle(true, "nothing went wrong");
        operations
    };
    assert!(operations > 200, "{operations}");
    for operation in 0..operations {
        let mut world = World::new(operation);
        match trouble {
            Trouble::Once(fault) => world.simulated.fail_at(operation, fault),
            Trouble::ReadOnly { helped } => {
                world.helped = helped;
                world.simulated.sicken_at(operation, ErrorKind::ReadOnlyFilesystem);
            }
        }
        let well = world.play().await;
        world.settle(well, &format!("{trouble:?} at operation {operation}"));
    }
}

#[tokio::test]
async fn an_input_output_error_at_any_operation_breaks_no_promise() {
    every_operation_meets(Trouble::Once(Fault::Error(ErrorKind::Other))).await;
}

#[tokio::test]
async fn a_half_done_write_at_any_operation_breaks_no_promise() {
    every_operation_meets(Trouble::Once(Fault::Short(ErrorKind::Other))).await;
}

#[tokio::test]
async fn a_full_disk_at_any_operation_breaks_no_promise() {
    every_operation_meets(Trouble::Once(Fault::Error(ErrorKind::StorageFull))).await;
}

#[tokio::test]
async fn a_disk_that_fills_up_half_way_through_any_write_breaks_no_promise() {
    every_operation_meets(Trouble::Once(Fault::Short(ErrorKind::StorageFull))).await;
}

#[tokio::test]
async fn a_power_loss_at_any_operation_breaks_no_promise() {
    every_operation_meets(Trouble::Once(Fault::PowerLoss)).await;
}

#[tokio::test]
async fn a_file_system_that_turns_read_only_anywhere_breaks_no_promise() {
    every_operation_meets(Trouble::ReadOnly { helped: false }).await;
}

#[tokio::test]
async fn a_file_system_that_is_made_writable_again_takes_what_had_to_wait() {
    every_operation_meets(Trouble::ReadOnly { helped: true }).await;
}

#[tokio::test]
async fn a_failed_sync_is_never_tried_again_on_what_it_may_have_lost() {
    let mut world = World::new(3);
    let mut parts = world.open().unwrap();
    world.append(&mut parts, FrameKind::Record, 1).await;
    let before = world.simulated.operations();
    // Write, then the sync: it fails, and the kernel forgets what was dirty.
    world.simulated.fail_at(before + 1, Fault::Error(ErrorKind::Other));
    world.append(&mut parts, FrameKind::Record, 2).await;
    assert_eq!(world.told.late, [(2, 2)]);
    assert_eq!(world.simulated.operations(), before + 2, "nothing is written or synced after it");
    let refusing = parts.0.admission();
    assert!(
        matches!(refusing, Admission::Refusing { reason: Refusal::Sync { .. } }),
        "{refusing:?}"
    );
    let opens = |world: &World| {
        world
            .disk
            .list(Path::new(DIR))
            .unwrap()
            .iter()
            .filter(|n| common::ends_in(n, "open"))
            .count()
    };
    assert_eq!(opens(&world), 1);
    parts.1.check();
    assert_eq!(opens(&world), 2, "what is late goes into a new segment, not behind the doubt");
    assert_eq!(parts.0.stats().sync_failures, 1);
    assert_eq!(parts.0.admission(), Admission::Open);
    drop(parts);
    world.settle(true, "after a failed sync");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_does_not_answer_holds_callers_back_and_memory_within_bounds() {
    let simulated = SimulatedDisk::new(5);
    let keys = Arc::<FixedKeys>::default();
    let mut settings = settings();
    (settings.queue_frames, settings.queue_bytes) = (64, 64 << 10);
    settings.segment_bytes = 1 << 20;
    let (journal, _) = open_with(Arc::new(simulated.clone()), &keys, settings).unwrap();
    let journal = Arc::new(journal);
    simulated.set_stalled(true);
    let tasks: Vec<_> = (0..500)
        .map(|n| {
            let journal = journal.clone();
            tokio::spawn(async move { journal.append(frame(FrameKind::Record, n)).await })
        })
        .collect();
    common::wait_until("crowded", || {
        matches!(journal.admission(), Admission::Refusing { reason: Refusal::QueueFull { .. } })
    });
    for n in 1000..1100 {
        let refused = journal.submit(frame(FrameKind::Record, n)).unwrap_err();
        assert!(matches!(refused, AppendError::Refused(Refusal::QueueFull { .. })), "{refused}");
    }
    let stats = journal.stats();
    assert!(stats.queue_frames <= 64 && stats.queue_bytes <= 64 << 10, "{stats:?}");
    assert_eq!((stats.frames, stats.refused), (0, 100));
    simulated.set_stalled(false);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(journal.durable().sequence, 500);
}

#[tokio::test]
async fn calls_under_way_are_bounded_and_their_records_are_always_taken() {
    let world = World::new(5);
    let keys = Arc::clone(&world.keys) as Arc<dyn DataKeys>;
    let random = Arc::new(SeededRandom::new(11));
    let settings = Options { intent_bytes: 4 << 10, ..settings() };
    let opened = Journal::open_stepped(world.disk.clone(), keys, clock(), random, settings);
    let (journal, _, stepper) = opened.unwrap();
    let (mut parts, mut world) = ((journal, stepper), world);
    for n in 0..40 {
        world.append(&mut parts, FrameKind::Intent, n).await;
    }
    let open = parts.0.stats().open_intents;
    assert!((5..40).contains(&open), "{open}");
    assert_eq!(world.told.refused.len() as u64, 40 - open);
    for n in 0..open {
        world.append(&mut parts, FrameKind::Record, n).await;
    }
    world.append(&mut parts, FrameKind::Intent, 100).await;
    assert_eq!(world.told.durable.len() as u64, 2 * open + 1);
}

#[tokio::test]
async fn a_clock_that_jumps_back_and_forth_loses_nothing_and_ends_few_segments() {
    use trailbox_clock::{Clock as _, ManualClock, Micros};
    let world = World::new(5);
    let keys = Arc::clone(&world.keys) as Arc<dyn DataKeys>;
    let clock = Arc::new(ManualClock::at(Micros::from_seconds(1_700_000_000)));
    let random = Arc::new(SeededRandom::new(11));
    let settings = Options { segment_bytes: 1 << 20, ..settings() };
    let opened =
        Journal::open_stepped(world.disk.clone(), keys, clock.clone(), random, settings.clone());
    let (journal, _, stepper) = opened.unwrap();
    let (mut parts, mut world) = ((journal, stepper), world);
    for n in 0..40 {
        let to = match n % 4 {
            0 => Micros::from_seconds(2_000_000_000),
            1 => Micros(1),
            2 => Micros(i64::MIN / 4),
            _ => Micros::from_seconds(1_700_000_000),
        };
        clock.advance(to.0 - clock.now().0);
        world.append(&mut parts, FrameKind::Record, n).await;
        // A clock that stands still ends no segment, however often it is read.
        let before = world.simulated.operations();
        parts.1.check();
        let after = world.simulated.operations();
        parts.1.check();
        parts.1.check();
        assert!(world.simulated.operations() - after <= after - before, "a busy loop at {n}");
        if n % 10 == 9 {
            while parts.1.seal() {}
        }
    }
    assert!(parts.0.stats().unsealed_segments <= 42);
    assert_eq!(world.told.durable.len(), 40);
    let sequences: Vec<u64> = world.told.durable.values().map(|p| p.sequence).collect();
    assert_eq!(sequences, (1..=40).collect::<Vec<_>>(), "no position depends on the clock");
    drop(parts);
    world.settle(true, "after the jumps");
}

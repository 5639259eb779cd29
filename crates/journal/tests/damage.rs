//! What recovery cuts off, and what it refuses to open.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{
    FixedKeys, ends_in, frame, number, open_with, options, read_all, reader, record, wait_until,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use trailbox_journal::disk::{Disk, SimulatedDisk};
use trailbox_journal::{Corruption, FrameKind, OpenError, ReadError, Stream};

const DIR: &str = "/journal";
const HEADER: usize = 180;

struct Scene {
    simulated: SimulatedDisk,
    disk: Arc<dyn Disk>,
    keys: Arc<FixedKeys>,
}

impl Scene {
    /// `frames` records, each a batch of its own, and a process that died.
    async fn crashed(frames: u64) -> Self {
        let simulated = SimulatedDisk::new(3);
        let scene = Self { disk: Arc::new(simulated.clone()), simulated, keys: Arc::default() };
        let mut settings = options(Path::new(DIR));
        (settings.seal, settings.segment_bytes, settings.ahead_bytes) = (false, 1 << 20, 0);
        let (journal, _) = open_with(scene.disk.clone(), &scene.keys, settings).unwrap();
        for n in 0..frames {
            journal.append(record(n)).await.unwrap();
        }
        scene.simulated.cut_power();
        drop(journal);
        scene.simulated.restore_power();
        scene
    }

    fn open_file(&self) -> PathBuf {
        let names = self.disk.list(Path::new(DIR)).unwrap();
        Path::new(DIR).join(names.iter().find(|name| ends_in(name, "open")).unwrap())
    }

    fn bytes(&self, path: &Path) -> Vec<u8> {
        let file = self.disk.open(path, true).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_at(0, &mut bytes).unwrap();
        bytes
    }

    fn remove_mark(&self) {
        // It may have been lost with the power.
        let _ = self.disk.remove(&Path::new(DIR).join("journal.mark"));
    }

    fn open(&self) -> Result<u64, OpenError> {
        let opened = open_with(self.disk.clone(), &self.keys, options(Path::new(DIR)))?;
        Ok(opened.1.position.sequence)
    }
}

fn starts(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len() - 4).filter(|&at| &bytes[at..at + 4] == b"TBfr").collect()
}

#[tokio::test]
async fn a_file_cut_anywhere_keeps_the_whole_frames_before_the_cut() {
    for cut in (HEADER..2000).step_by(83) {
        let scene = Scene::crashed(5).await;
        scene.remove_mark();
        let file = scene.open_file();
        let bytes = scene.bytes(&file);
        let cut = cut.min(bytes.len());
        scene.simulated.damage(&file, |bytes| bytes.truncate(cut));
        let mut ends: Vec<usize> = starts(&bytes)[1..].to_vec();
        ends.push(bytes.len());
        let whole = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(scene.open().unwrap(), whole as u64, "cut at {cut}");
        assert_eq!(read_all(scene.disk, &scene.keys, Path::new(DIR)).len(), whole);
    }
}

#[tokio::test]
async fn a_flipped_bit_before_a_later_batch_is_refused_by_file_offset_and_range() {
    let starts = {
        let scene = Scene::crashed(5).await;
        starts(&scene.bytes(&scene.open_file()))
    };
    for at in [starts[1], starts[1] + 9, starts[1] + 20, starts[2] - 1, starts[3] + 50] {
        let scene = Scene::crashed(5).await;
        scene.remove_mark();
        let file = scene.open_file();
        scene.simulated.damage(&file, |bytes| bytes[at] ^= 0x10);
        let before = scene.bytes(&file);
        let err = scene.open().unwrap_err();
        let OpenError::Corrupt(Corruption { file: named, offset, first_affected, .. }) = &err
        else {
            panic!("byte {at}: {err}");
        };
        let frame = starts.iter().rposition(|start| *start <= at).unwrap();
        assert_eq!((named, *offset), (&file, starts[frame] as u64), "byte {at}");
        assert_eq!(*first_affected, frame as u64 + 1);
        assert_eq!(scene.bytes(&file), before, "a refused file is left as it is");
    }
}

#[tokio::test]
async fn damage_in_the_last_batch_is_torn_unless_the_mark_knows_better() {
    let scene = Scene::crashed(5).await;
    scene.remove_mark();
    let file = scene.open_file();
    scene.simulated.damage(&file, |bytes| *bytes.last_mut().unwrap() ^= 1);
    assert_eq!(scene.open().unwrap(), 4);

    let (simulated, keys) = (SimulatedDisk::new(3), Arc::<FixedKeys>::default());
    let disk: Arc<dyn Disk> = Arc::new(simulated.clone());
    let mut settings = options(Path::new(DIR));
    settings.seal = false;
    let (journal, _) = open_with(disk.clone(), &keys, settings).unwrap();
    for n in 0..5 {
        journal.append(record(n)).await.unwrap();
    }
    journal.close().await.unwrap();
    let scene = Scene { simulated, disk, keys };
    let file = scene.open_file();
    scene.simulated.damage(&file, |bytes| bytes.truncate(bytes.len() - 1));
    let err = scene.open().unwrap_err();
    let OpenError::Corrupt(corruption) = &err else { panic!("{err}") };
    assert_eq!((corruption.first_affected, corruption.last_affected), (5, 5), "{err}");
}

#[tokio::test]
async fn a_damaged_header_is_refused_and_a_missing_segment_as_well() {
    let scene = Scene::crashed(5).await;
    scene.simulated.damage(&scene.open_file(), |bytes| bytes[30] ^= 1);
    assert!(matches!(scene.open(), Err(OpenError::Corrupt(_))));

    let scene = sealed_scene().await;
    let names = scene.disk.list(Path::new(DIR)).unwrap();
    let second = names.iter().filter(|name| name.ends_with("management.sealed")).nth(1).unwrap();
    let first = &second[..20];
    for name in names.iter().filter(|name| name.starts_with(first)) {
        scene.disk.remove(&Path::new(DIR).join(name)).unwrap();
    }
    let err = scene.open().unwrap_err();
    assert!(err.to_string().contains("segment files are missing"), "{err}");
    let mut reader = reader(scene.disk, &scene.keys, Path::new(DIR));
    let err = loop {
        if let Err(err) = reader.next_batch(1000) {
            break err;
        }
    };
    let missing: u64 = first.parse().unwrap();
    assert!(matches!(err, ReadError::Missing { first, .. } if first == missing), "{err}");
}

async fn sealed_scene() -> Scene {
    let simulated = SimulatedDisk::new(3);
    let disk: Arc<dyn Disk> = Arc::new(simulated.clone());
    let keys = Arc::default();
    let (journal, _) = open_with(disk.clone(), &keys, options(Path::new(DIR))).unwrap();
    for n in 0..150 {
        journal.append(record(n)).await.unwrap();
    }
    wait_until("sealed", || journal.stats().unsealed_segments == 1);
    journal.close().await.unwrap();
    Scene { simulated, disk, keys }
}

#[tokio::test]
async fn damage_in_a_sealed_file_is_found_at_opening_or_at_reading_never_passed_over() {
    let names: Vec<String> = {
        let scene = sealed_scene().await;
        let mut names = scene.disk.list(Path::new(DIR)).unwrap();
        names.retain(|name| ends_in(name, "sealed"));
        names.sort_unstable();
        names
    };
    let path = Path::new(DIR).join(&names[1]);
    let len = sealed_scene().await.bytes(&path).len();
    for at in (0..len).step_by(len / 60) {
        let scene = sealed_scene().await;
        scene.simulated.damage(&path, |bytes| bytes[at] ^= 0x20);
        let found = match scene.open() {
            Err(OpenError::Corrupt(corruption)) => corruption.file == path,
            Err(OpenError::Unsupported { file, .. }) => file == path,
            Err(other) => panic!("byte {at}: {other}"),
            Ok(_) => {
                let reader = reader(scene.disk.clone(), &scene.keys, Path::new(DIR));
                let stream =
                    if names[1].contains("data") { Stream::Data } else { Stream::Management };
                let verified = reader.verify(1, stream);
                matches!(verified, Err(ReadError::Corrupt(corruption)) if corruption.file == path)
            }
        };
        assert!(found, "byte {at} of {len}");
    }
}

#[tokio::test]
async fn a_sealing_that_was_cut_off_is_cleaned_up_without_loss_or_repetition() {
    let numbers: Vec<u64> = (0..120).collect();
    let operations = {
        let simulated = SimulatedDisk::new(3);
        let disk: Arc<dyn Disk> = Arc::new(simulated.clone());
        let keys = Arc::default();
        unsealed(&disk, &keys).await;
        let before = simulated.operations();
        let (journal, _) = open_with(disk, &keys, options(Path::new(DIR))).unwrap();
        wait_until("sealed", || journal.stats().unsealed_segments == 1);
        simulated.operations() - before
    };
    assert!(operations > 30);
    for operation in 0..operations {
        let simulated = SimulatedDisk::new(operation);
        let disk: Arc<dyn Disk> = Arc::new(simulated.clone());
        let keys = Arc::default();
        unsealed(&disk, &keys).await;
        simulated
            .fail_at(simulated.operations() + operation, trailbox_journal::disk::Fault::PowerLoss);
        let opened = open_with(disk.clone(), &keys, options(Path::new(DIR)));
        if let Ok((journal, _)) = &opened {
            wait_until("cut off", || simulated.is_off() || journal.stats().unsealed_segments == 1);
        }
        drop(opened);
        simulated.cut_power();
        simulated.restore_power();
        let (journal, _) = open_with(disk.clone(), &keys, options(Path::new(DIR))).unwrap();
        wait_until("sealed", || journal.stats().unsealed_segments == 1);
        let found: Vec<u64> =
            read_all(disk.clone(), &keys, Path::new(DIR)).iter().map(number).collect();
        assert_eq!(found, numbers, "power lost at operation {operation}");
        let names = disk.list(Path::new(DIR)).unwrap();
        assert!(names.iter().all(|name| !ends_in(name, "tmp")), "{names:?}");
    }
}

async fn unsealed(disk: &Arc<dyn Disk>, keys: &Arc<FixedKeys>) {
    let mut settings = options(Path::new(DIR));
    settings.seal = false;
    let (journal, _) = open_with(disk.clone(), keys, settings).unwrap();
    for n in 0..120 {
        journal.append(frame(FrameKind::Record, n)).await.unwrap();
    }
    journal.close().await.unwrap();
}

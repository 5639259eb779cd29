//! Checking finds every damaged byte; repairing loses no more than that.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{
    FixedKeys, NODE, assert_same, ends_in, frame, number, open_with, options, read_all, record,
    wait_until,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use trailbox_clock::Micros;
use trailbox_journal::disk::{Disk, Fault, SimulatedDisk};
use trailbox_journal::{
    Checked, Damage, DataKeys, FrameKind, Inspector, OpenError, Options, Payload, Repaired,
};

const DIR: &str = "/journal";
const NOW: Micros = Micros(1_700_000_500_000_000);

struct Scene {
    simulated: SimulatedDisk,
    disk: Arc<dyn Disk>,
    keys: Arc<FixedKeys>,
}

/// Sealed segments first, then unsealed ones; closed in order.
async fn scene(seed: u64) -> Scene {
    let simulated = SimulatedDisk::new(seed);
    simulated.set_readers_fail();
    let disk: Arc<dyn Disk> = Arc::new(simulated.clone());
    let keys = Arc::<FixedKeys>::default();
    for (life, seal) in [true, false].into_iter().enumerate() {
        let (journal, _) = open_with(disk.clone(), &keys, settings(seal)).unwrap();
        for n in 0..60 {
            journal.append(record(life as u64 * 100 + n)).await.unwrap();
        }
        if seal {
            wait_until("sealed", || journal.stats().unsealed_segments == 1);
        }
        journal.close().await.unwrap();
    }
    Scene { simulated, disk, keys }
}

fn settings(seal: bool) -> Options {
    let mut settings = options(Path::new(DIR));
    (settings.seal, settings.segment_bytes, settings.ahead_bytes) = (seal, 10 << 10, 0);
    settings
}

impl Scene {
    fn inspector(&self) -> Inspector {
        let keys = Arc::clone(&self.keys) as Arc<dyn DataKeys>;
        Inspector::new(self.disk.clone(), keys, DIR)
    }

    fn check(&self) -> Checked {
        self.inspector().check(false, &mut |_, _| {}).unwrap()
    }

    fn repair(&self) -> Result<Repaired, OpenError> {
        self.inspector().repair((NODE, NOW), &mut |_| Ok(()), &mut |_, _| {})
    }

    fn files(&self, suffix: &str) -> Vec<PathBuf> {
        let mut names = self.disk.list(Path::new(DIR)).unwrap();
        names.retain(|name| ends_in(name, suffix));
        names.sort_unstable();
        names.iter().map(|name| Path::new(DIR).join(name)).collect()
    }

    fn len(&self, path: &Path) -> usize {
        usize::try_from(self.disk.open(path, true).unwrap().len().unwrap()).unwrap()
    }

    fn bytes(&self, path: &Path) -> Vec<u8> {
        let mut bytes = vec![0; self.len(path)];
        self.disk.open(path, true).unwrap().read_at(0, &mut bytes).unwrap();
        bytes
    }

    /// After a repair: nothing is wrong, the journal opens, what is read is
    /// what was written, in order; how many frames still have their payload.
    fn whole_frames(&self, what: &str) -> usize {
        let again = self.check();
        assert_eq!(again.findings, [], "{what}");
        let opened = open_with(self.disk.clone(), &self.keys, settings(false));
        let (journal, recovery) = opened.unwrap_or_else(|err| panic!("{what}: {err}"));
        assert!(recovery.position.sequence >= 120, "{what}: a position would be used twice");
        drop(journal);
        let all = read_all(self.disk.clone(), &self.keys, Path::new(DIR));
        let whole: Vec<_> =
            all.iter().filter(|frame| matches!(frame.payload, Payload::Present(_))).collect();
        for frame in &whole {
            assert_same(frame);
        }
        let numbers: Vec<u64> = whole.iter().map(|frame| number(frame)).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{what}: {numbers:?}");
        let mut reader = common::reader(self.disk.clone(), &self.keys, Path::new(DIR));
        reader.only(&[FrameKind::Record]);
        whole.len()
    }
}

#[tokio::test]
async fn an_undamaged_journal_has_no_findings_and_every_frame_is_counted() {
    let scene = scene(1).await;
    let checked = scene.check();
    assert_eq!((checked.findings.len(), checked.frames), (0, 120));
    assert!(checked.files > 6 && checked.bytes > 10_000, "{checked:?}");
    let stats = scene.inspector().stats().unwrap();
    assert_eq!(stats.iter().map(|file| file.frames).sum::<u64>(), 120);
    assert!(stats.iter().all(|file| !file.accounts.is_empty() && file.raw_bytes > 0));
    assert!(stats.iter().all(|file| file.written_bytes >= file.bytes));
    let nothing = scene.repair().unwrap();
    assert_eq!(nothing, Repaired::default());
    assert_eq!(scene.files("open").len() + scene.files("sealed").len(), stats.len());
}

/// Every byte class of every file, a bit at a time: found by file, repaired,
/// and no more is lost than the damaged place holds.
#[tokio::test]
async fn a_flipped_bit_anywhere_is_found_named_and_repaired_without_losing_more() {
    let template = scene(1).await;
    let mut files = template.files("open");
    files.extend(template.files("sealed"));
    let mut cases = 0;
    for path in files {
        let len = template.len(&path);
        let step = (len / 24).max(1);
        // The edges byte by byte class, the rest in steps.
        let edges = (0..24).chain(len.saturating_sub(24)..len);
        for at in edges.step_by(3).chain((24..len).step_by(step)) {
            let scene = scene(1).await;
            let what = format!("byte {at} of {len} of {}", path.display());
            scene.simulated.damage(&path, |bytes| bytes[at] ^= 1 << (at % 8));
            let before = scene.bytes(&path);
            cases += 1;
            let checked = match scene.inspector().check(false, &mut |_, _| {}) {
                Ok(checked) => checked,
                // A flipped version number claims to be of a newer release.
                Err(err) => {
                    assert!(err.to_string().contains(&*path.to_string_lossy()), "{what}: {err}");
                    continue;
                }
            };
            assert!(!checked.findings.is_empty(), "{what} is passed over");
            assert!(checked.findings.iter().all(|f| f.place.file == path), "{what}: {checked:?}");
            let lost: u64 = checked.findings.iter().map(|found| found.frames).sum();
            let repaired = scene.repair().unwrap();
            assert_eq!(repaired.repairs.len(), checked.findings.len());
            assert_eq!(scene.bytes(&repaired.quarantined[0]), before, "{what}: set aside whole");
            let whole = scene.whole_frames(&what);
            assert!(whole as u64 + lost >= 120, "{what}: {whole} of 120, {lost} said to be lost");
            let one_frame = checked.findings.iter().all(|f| f.damage == Damage::Frames);
            assert!(!one_frame || whole == 119, "{what}: {whole}, {checked:?}");
        }
    }
    assert!(cases > 150, "{cases}");
}

#[tokio::test]
async fn missing_files_and_frames_the_mark_knows_of_become_gaps_that_show() {
    let all = scene(1).await;
    let second = all.files("open")[1].clone();
    for path in [all.files("sealed")[0].clone(), all.files("sealed")[3].clone(), second] {
        let scene = scene(1).await;
        let what = format!("{} is gone", path.display());
        scene.disk.remove(&path).unwrap();
        assert!(!scene.check().findings.is_empty(), "{what}");
        scene.repair().unwrap();
        assert!(scene.whole_frames(&what) < 120, "{what}");
        assert!(!scene.files("dropped").is_empty(), "{what}");
        assert!(scene.check().notes.iter().any(|note| note.contains("set aside by a repair")));
    }
    let scene = scene(1).await;
    let last = scene.files("open").pop().unwrap();
    scene.simulated.damage(&last, |bytes| bytes.truncate(bytes.len() - 10));
    let checked = scene.check();
    assert_eq!(checked.findings.len(), 1, "{checked:?}");
    scene.repair().unwrap();
    assert_eq!(scene.whole_frames("the last frame is cut"), 119);
}

#[tokio::test]
async fn repair_is_refused_while_a_server_runs_and_check_reads_beside_it() {
    let scene = scene(1).await;
    let (journal, _) = open_with(scene.disk.clone(), &scene.keys, settings(false)).unwrap();
    for n in 300..320 {
        journal.append(frame(FrameKind::Record, n)).await.unwrap();
        let checked = scene.inspector().check(true, &mut |_, _| {}).unwrap();
        assert_eq!(checked.findings, [], "after {n}");
        assert_eq!(checked.frames, 120 + n - 299);
    }
    assert!(scene.inspector().in_use());
    assert!(matches!(scene.repair(), Err(OpenError::InUse { .. })));
    journal.close().await.unwrap();
    assert!(!scene.inspector().in_use());
}

#[tokio::test]
async fn a_repair_that_was_cut_off_anywhere_can_be_done_again() {
    let damage = |scene: &Scene| {
        for path in [scene.files("open")[0].clone(), scene.files("sealed")[1].clone()] {
            let middle = scene.len(&path) / 2;
            scene.simulated.damage(&path, |bytes| bytes[middle] ^= 1);
        }
    };
    let (operations, want) = {
        let scene = scene(1).await;
        damage(&scene);
        let before = scene.simulated.operations();
        scene.repair().unwrap();
        (scene.simulated.operations() - before, scene.whole_frames("uninterrupted"))
    };
    for operation in 0..operations {
        for fault in [Fault::PowerLoss, Fault::Error(std::io::ErrorKind::StorageFull)] {
            let scene = scene(1).await;
            let what = format!("{fault:?} at operation {operation} of the repair");
            damage(&scene);
            scene.simulated.fail_at(scene.simulated.operations() + operation, fault);
            // Reading may have met the fault instead; then nothing is amiss.
            let _ = scene.repair();
            scene.simulated.cut_power();
            scene.simulated.restore_power();
            scene.repair().unwrap();
            assert_eq!(scene.whole_frames(&what), want, "{what}");
        }
    }
}

//! Appending to the journal against writing the same bytes and syncing them.
//!
//! `cargo bench -p trailbox-journal` interleaves both in one run, so that the
//! machine's mood hits both alike: N tasks append records of 1.5 KB for a
//! while, then one thread writes batches of exactly the size the journal had
//! just formed and syncs each. The ratio of frames per second is what counts.
//! `TRAILBOX_BENCH_DIR` names the directory (default: the target directory),
//! `TRAILBOX_BENCH_SECONDS` the length of a leg (default 2).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::format_push_string,
    reason = "a benchmark"
)]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a benchmark")]

use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use trailbox_clock::{Clock, Micros, SeededRandom};
use trailbox_journal::disk::{Disk, RealDisk};
use trailbox_journal::{
    DataKey, DataKeys, Extension, Frame, FrameKind, Journal, KeyError, MANAGEMENT, Options,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 5;

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

#[derive(Debug)]
struct SystemClock(Instant);

impl Clock for SystemClock {
    fn now(&self) -> Micros {
        Micros(1_700_000_000_000_000 + self.0.elapsed().as_micros() as i64)
    }
}

/// What one leg achieved.
struct Leg {
    frames_per_second: f64,
    p50: Duration,
    p99: Duration,
    cpu_micros_per_frame: f64,
    frames_per_batch: f64,
    bytes_per_batch: usize,
    write_amplification: f64,
}

fn record(task: usize, number: usize) -> Frame {
    let mut text = format!(
        "{{\"eventVersion\":\"1.11\",\"userIdentity\":{{\"type\":\"IAMUser\",\"principalId\":\"AIDA{task:016}\",\
         \"arn\":\"arn:aws:iam::111122223333:user/worker-{task}\"}},\"eventTime\":\"2026-11-22T17:30:00Z\",\
         \"eventSource\":\"s3.amazonaws.com\",\"eventName\":\"PutBucketTagging\",\"requestID\":\"{number:032x}\",\
         \"requestParameters\":{{"
    );
    let mut state = (task * 1_000_003 + number) as u64;
    while text.len() < 1490 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("\"tag-{:04x}\":\"{:012x}\",", state >> 48, state >> 16));
    }
    text.push_str("\"end\":0}}");
    let mut event_id = [0; 16];
    event_id[..8].copy_from_slice(&(task as u64).to_le_bytes());
    event_id[8..].copy_from_slice(&(number as u64).to_le_bytes());
    Frame {
        kind: FrameKind::Record,
        account: "111122223333".to_owned(),
        region: "eu-north-1".to_owned(),
        category: MANAGEMENT,
        read_only: false,
        event_id,
        arrival: Micros(1_700_000_000_000_000),
        extension: Extension { listener: "main".into(), upstream: "s3".into(), trust: 1 },
        payload: Bytes::from(text),
    }
}

async fn ours(dir: &Path, tasks: usize, seal: bool, time: Duration) -> Leg {
    let dir = dir.join("ours");
    let mut options = Options::new(&dir, [1; 16]);
    (options.reserve_bytes, options.seal) = (0, seal);
    let clock = Arc::new(SystemClock(Instant::now()));
    let random = Arc::new(SeededRandom::new(1));
    let (journal, _) =
        Journal::open(Arc::new(RealDisk), Arc::new(OneKey), clock, random, options).unwrap();
    let journal = Arc::new(journal);
    let stop = Arc::new(AtomicBool::new(false));
    let frames: Vec<Vec<Frame>> =
        (0..tasks).map(|task| (0..8).map(|n| record(task, n)).collect()).collect();
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let workers: Vec<_> = frames
        .into_iter()
        .map(|frames| {
            let (journal, stop) = (journal.clone(), stop.clone());
            tokio::spawn(async move {
                let mut took = Vec::new();
                for frame in frames.iter().cycle() {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let began = Instant::now();
                    journal.append(frame.clone()).await.unwrap();
                    took.push(began.elapsed());
                }
                took
            })
        })
        .collect();
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    let mut took = Vec::new();
    for worker in workers {
        took.extend(worker.await.unwrap());
    }
    let (elapsed, cpu) = (began.elapsed(), cpu_seconds() - cpu);
    if seal {
        // What is complete is sealed before the bytes are counted.
        while journal.stats().unsealed_segments > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let stats = journal.stats();
    journal.close().await.unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    Leg {
        frames_per_second: stats.frames as f64 / elapsed.as_secs_f64(),
        p50: percentile(&mut took, 50),
        p99: percentile(&mut took, 99),
        cpu_micros_per_frame: cpu * 1e6 / stats.frames as f64,
        frames_per_batch: stats.frames as f64 / stats.batches as f64,
        bytes_per_batch: (stats.bytes / stats.batches) as usize,
        write_amplification: stats.write_amplification(),
    }
}

/// Batches like the journal's, written and synced by one thread.
fn raw(dir: &Path, like: &Leg, time: Duration) -> Leg {
    let bytes = vec![b'x'; like.bytes_per_batch];
    let path = dir.join("raw.tmp");
    let mut took = Vec::new();
    let mut file = RealDisk.create(&path).unwrap();
    let mut at = 0;
    let (began, cpu) = (Instant::now(), cpu_seconds());
    while began.elapsed() < time {
        if at >= 64 << 20 {
            RealDisk.remove(&path).unwrap();
            file = RealDisk.create(&path).unwrap();
            at = 0;
        }
        let began = Instant::now();
        file.write_at(at, &bytes).unwrap();
        file.sync().unwrap();
        took.push(began.elapsed());
        at += bytes.len() as u64;
    }
    let (elapsed, cpu) = (began.elapsed(), cpu_seconds() - cpu);
    RealDisk.remove(&path).unwrap();
    let batches = took.len() as f64;
    Leg {
        frames_per_second: batches * like.frames_per_batch / elapsed.as_secs_f64(),
        p50: percentile(&mut took, 50),
        p99: percentile(&mut took, 99),
        cpu_micros_per_frame: cpu * 1e6 / (batches * like.frames_per_batch),
        frames_per_batch: like.frames_per_batch,
        bytes_per_batch: like.bytes_per_batch,
        write_amplification: 1.0,
    }
}

/// Processor time of this process, all threads: ticks of 10 ms on Linux.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn percentile(took: &mut [Duration], percent: usize) -> Duration {
    took.sort_unstable();
    took[(took.len() - 1) * percent / 100]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let seconds = std::env::var("TRAILBOX_BENCH_SECONDS").ok().and_then(|text| text.parse().ok());
    let time = Duration::from_secs_f64(seconds.unwrap_or(2.0));
    let root = std::env::var_os("TRAILBOX_BENCH_DIR")
        .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).to_owned(), PathBuf::from);
    let dir = root.join(format!("journal-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!(
        "tasks seal  frames/batch  ours f/s   raw f/s   ratio  ours p50/p99 ms  raw p50/p99 ms  p99 ratio  CPU µs/frame ours/raw  written/recorded"
    );
    let only = std::env::var("TRAILBOX_BENCH_TASKS").ok().and_then(|text| text.parse().ok());
    for (tasks, seal) in [(1, false), (64, false), (1000, false), (4000, false), (1000, true)] {
        if only.is_some_and(|only: usize| only != tasks) {
            continue;
        }
        let mut legs = Vec::new();
        for _ in 0..ROUNDS {
            let ours = runtime.block_on(ours(&dir, tasks, seal, time));
            let raw = raw(&dir, &ours, time);
            legs.push((ours, raw));
        }
        print_row(tasks, seal, &legs);
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

fn print_row(tasks: usize, seal: bool, legs: &[(Leg, Leg)]) {
    let of = |value: &dyn Fn(&(Leg, Leg)) -> f64| median(legs.iter().map(value).collect());
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{tasks:5} {seal:5} {:12.1} {:10.0} {:9.0} {:7.2}  {:7.3} {:7.3}  {:6.3} {:7.3}  {:8.2}  {:6.2} {:6.2}  {:10.2}",
        of(&|legs| legs.0.frames_per_batch),
        of(&|legs| legs.0.frames_per_second),
        of(&|legs| legs.1.frames_per_second),
        of(&|legs| legs.0.frames_per_second / legs.1.frames_per_second),
        of(&|legs| ms(legs.0.p50)),
        of(&|legs| ms(legs.0.p99)),
        of(&|legs| ms(legs.1.p50)),
        of(&|legs| ms(legs.1.p99)),
        of(&|legs| ms(legs.0.p99) / ms(legs.1.p99)),
        of(&|legs| legs.0.cpu_micros_per_frame),
        of(&|legs| legs.1.cpu_micros_per_frame),
        of(&|legs| legs.0.write_amplification),
    );
}

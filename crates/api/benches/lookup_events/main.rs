//! What `LookupEvents` costs, from the request to the JSON of the answer.
//!
//! `cargo bench -p trailbox-api --bench lookup_events` makes a million records
//! in a journal as the recorder would leave it, indexes it, and asks every kind
//! of question: index, records out of sealed blocks, JSON. Nothing is mocked
//! but the connection. `RECORDS=10000000` sets another size;
//! `TRAILBOX_BENCH_DATA` names the data directory, which is made when it has
//! nothing and kept (ten million records take about ten minutes and 2.5 GB;
//! `trailbox serve --data` runs on it); without it the data is temporary.
//! `ROUNDS` questions are asked of each kind (default 300), `ONLY` picks kinds
//! by a part of their name.
//!
//! *Cold* is the first question of each kind after a new start, files in the
//! page cache. Other load of the machine shows as wall over CPU.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench"
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    unreachable_pub,
    missing_docs,
    reason = "a program that measures and prints"
)]

mod data;
mod questions;
mod records;

use data::Data;
use questions::Kind;
use records::{ACCOUNT, REGION};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use trailbox_api::{Engine, OwnRequest};
use trailbox_exchange::{Headers, RequestHead};
use trailbox_identity::{AccessKey, Caller, Directory, Principal, Secret};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// New starts that the cold figures are taken from.
const COLD: u64 = 5;
/// How long the mixed load runs.
const MIXED: Duration = Duration::from_secs(5);

fn main() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let (records, rounds) =
        (number("RECORDS").unwrap_or(1_000_000), number("ROUNDS").unwrap_or(300));
    let only = std::env::var("ONLY").unwrap_or_default();
    let temporary = tempfile::tempdir().unwrap();
    let dir = std::env::var_os("TRAILBOX_BENCH_DATA")
        .map_or_else(|| temporary.path().to_owned(), std::path::PathBuf::from);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let data = Arc::new(runtime.block_on(Data::open_or_make(dir, records)));
    runtime.block_on(measure_all(&data, rounds, &only));
}

async fn measure_all(data: &Arc<Data>, rounds: u64, only: &str) {
    fdatasync(data);
    let begun = Instant::now();
    let (cpu, history) = (cpu(), data.history());
    let opened = begun.elapsed();
    history.catch_up().unwrap();
    println!(
        "opened in {opened:.0?}, caught up with {} records in {:.0?}; {:.0} ms of CPU",
        history.stats().memory_records,
        begun.elapsed().saturating_sub(opened),
        (self::cpu() - cpu) * 1e3,
    );
    let stats = history.stats();
    data.describe(&stats);
    println!("RSS {} MiB after the start", status("VmRSS") / 1024);
    println!(
        "{:<34} {:>8} {:>8} {:>8} {:>8} {:>8} {:>6} {:>7} {:>7} {:>8}",
        "ms; reads and KiB per call",
        "cold",
        "p50",
        "p99",
        "max",
        "CPU",
        "w/c",
        "reads",
        "KiB",
        "calls/s"
    );
    let engine = data.engine(&history);
    let kinds: Vec<_> = questions::all()
        .into_iter()
        .filter(|kind| kind.name.contains(only))
        .map(Arc::new)
        .collect();
    for kind in &kinds {
        let cold = cold(data, kind).await;
        one(data, &engine, kind, rounds, cold).await;
    }
    mixed(data, &engine, &kinds).await;
    println!("RSS {} MiB, peak {} MiB", status("VmRSS") / 1024, status("VmHWM") / 1024);
}

/// The p50 of a kind's first question after new starts.
async fn cold(data: &Arc<Data>, kind: &Kind) -> f64 {
    let mut times = Vec::new();
    for n in 0..COLD {
        let history = data.history();
        history.catch_up().unwrap();
        times.push(ask(data, &data.engine(&history), kind, n).await);
    }
    times.sort();
    millis(times[times.len() / 2])
}

async fn one(data: &Arc<Data>, engine: &Arc<Engine>, kind: &Arc<Kind>, rounds: u64, cold: f64) {
    let rounds = if kind.pages > 0 { (rounds / 10).max(1) } else { rounds };
    let mut times = Vec::new();
    let (mut used, mut wall, mut reads, mut bytes) = (0.0, 0.0, 0, 0);
    for n in 0..rounds {
        let request = prepared(data, engine, kind, n).await;
        let (before, (reads_before, bytes_before), begun) = (cpu(), io(), Instant::now());
        let answer = engine.answer(request).await;
        let took = begun.elapsed();
        used += cpu() - before;
        wall += took.as_secs_f64();
        let (reads_after, bytes_after) = io();
        // The reading of these figures is two reads of its own.
        reads += reads_after - reads_before;
        bytes += bytes_after - bytes_before;
        times.push(took);
        check(kind, &answer.body, answer.status);
    }
    times.sort();
    let at = |share: usize| millis(times[(times.len() * share / 100).min(times.len() - 1)]);
    let per = |sum: u64| sum as f64 / rounds as f64;
    println!(
        "{:<34} {cold:>8.2} {:>8.2} {:>8.2} {:>8.2} {:>8.2} {:>6.2} {:>7.1} {:>7.0} {:>8.0}",
        kind.name,
        at(50),
        at(99),
        millis(times[times.len() - 1]),
        used * 1e3 / rounds as f64,
        wall / used,
        per(reads),
        per(bytes) / 1024.0,
        if kind.pages > 0 { f64::NAN } else { together(data, engine, kind, rounds).await },
    );
}

/// Calls per second when two ask at once.
async fn together(data: &Arc<Data>, engine: &Arc<Engine>, kind: &Arc<Kind>, rounds: u64) -> f64 {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..2)
        .map(|task| {
            let (data, engine, kind) = (data.clone(), engine.clone(), kind.clone());
            tokio::spawn(async move {
                for n in 0..rounds {
                    ask(&data, &engine, &kind, n * 2 + task).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    (rounds * 2) as f64 / begun.elapsed().as_secs_f64()
}

/// All kinds in turn, two at once.
async fn mixed(data: &Arc<Data>, engine: &Arc<Engine>, kinds: &[Arc<Kind>]) {
    let kinds: Vec<_> = kinds.iter().filter(|kind| kind.pages == 0).cloned().collect();
    if kinds.is_empty() {
        return;
    }
    let (begun, before) = (Instant::now(), cpu());
    let calls = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..2)
        .map(|task| {
            let (data, engine, kinds) = (data.clone(), engine.clone(), kinds.clone());
            let calls = calls.clone();
            tokio::spawn(async move {
                for n in 0.. {
                    let kind = &kinds[n as usize % kinds.len()];
                    ask(&data, &engine, kind, 100_000 + n * 2 + task).await;
                    calls.fetch_add(1, Ordering::Relaxed);
                    if begun.elapsed() > MIXED {
                        return;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let calls = calls.load(Ordering::Relaxed) as f64;
    println!(
        "all kinds in turn, two at once: {:.0} calls/s, {:.2} ms of CPU each: {:.0} calls per CPU second",
        calls / begun.elapsed().as_secs_f64(),
        (cpu() - before) * 1e3 / calls,
        calls / (cpu() - before),
    );
}

async fn ask(data: &Data, engine: &Engine, kind: &Kind, n: u64) -> Duration {
    let request = prepared(data, engine, kind, n).await;
    let begun = Instant::now();
    let answer = engine.answer(request).await;
    let took = begun.elapsed();
    check(kind, &answer.body, answer.status);
    took
}

/// The request to measure: pages before it are turned already.
async fn prepared(data: &Data, engine: &Engine, kind: &Kind, n: u64) -> OwnRequest {
    let mut body = (kind.body)(data, n);
    for _ in 0..kind.pages {
        let answer = engine.answer(request(&body)).await;
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        let Some(token) = answer["NextToken"].as_str() else { break };
        body["NextToken"] = token.into();
    }
    request(&body)
}

fn check(kind: &Kind, body: &[u8], status: u16) {
    assert_eq!(status, 200, "{}: {}", kind.name, String::from_utf8_lossy(body));
    if let Some(records) = kind.records {
        let held = memchr::memmem::find_iter(body, b"\"CloudTrailEvent\"").count();
        assert_eq!(held, records, "{}", kind.name);
    }
}

fn request(body: &Value) -> OwnRequest {
    let target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
    let headers = [("Content-Type", "application/x-amz-json-1.1"), ("X-Amz-Target", target)];
    OwnRequest {
        service: "cloudtrail".to_owned(),
        operation: "LookupEvents".to_owned(),
        head: RequestHead {
            method: "POST".to_owned(),
            target: "/".to_owned(),
            headers: headers
                .map(|(name, value)| (name, value.to_owned()))
                .into_iter()
                .collect::<Headers>(),
        },
        body: body.to_string().into(),
        caller: caller(),
        region: REGION.to_owned(),
        request_id: "11111111-2222-3333-4444-555555555555".to_owned(),
        position: None,
        calls: None,
    }
}

fn caller() -> Caller {
    let mut admin = Principal::user(ACCOUNT, "/", "admin", "AIDAADMIN000000000000");
    admin.administrator = true;
    let mut directory = Directory::new();
    directory.add_key(AccessKey::lasting("AKIAADMIN", Secret::new("secret"), &admin.arn));
    directory.add_principal(admin);
    Caller::verified(&directory, directory.key("AKIAADMIN").unwrap())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// CPU seconds of this process's living threads.
fn cpu() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let of = |place: std::path::PathBuf| -> Option<f64> {
        let text = std::fs::read_to_string(place.join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    threads.filter_map(|it| of(it.ok()?.path())).sum::<f64>() / 1e9
}

/// Reads and bytes read since the start.
fn io() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/self/io").unwrap();
    let of = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (of("syscr:"), of("rchar:"))
}

/// A line of `/proc/self/status`, KiB.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// How busy the disk is with others.
fn fdatasync(data: &Data) {
    let place = data.dir.join("probe");
    let file = std::fs::File::create(&place).unwrap();
    let mut times: Vec<f64> = (0..100)
        .map(|n| {
            std::os::unix::fs::FileExt::write_all_at(&file, &[7; 4096], n * 4096).unwrap();
            let begun = Instant::now();
            file.sync_data().unwrap();
            millis(begun.elapsed())
        })
        .collect();
    std::fs::remove_file(place).unwrap();
    times.sort_by(f64::total_cmp);
    println!("fdatasync p50 {:.2} ms, p99 {:.2} ms", times[50], times[99]);
}

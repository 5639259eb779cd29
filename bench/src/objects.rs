//! Large objects: how fast, and how much memory the recorder takes for them.

use crate::Common;
use crate::process::rss_mb;
use crate::servers::Bed;
use crate::table::{Row, Table, median};
use crate::transfer::{get, put};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const COMMAND: &str = "trailbox-bench objects";
const MIB: u64 = 1 << 20;
/// Least share of the plain proxy's speed.
const SPEED_MIN: f64 = 0.9;
/// Most memory above idle, in MB.
const ABOVE_IDLE_MAX: f64 = 150.0;
/// Where several uploads go on at once, each has this share of the large object.
const UPLOAD_SHARE: u64 = 16;

/// Measures both sides in turn, then memory, and adds the lines.
pub(crate) fn run(common: &Common, table: &mut Table) -> anyhow::Result<()> {
    let bed = Bed::new(common)?;
    let upstream = bed.upstream()?;
    let proxy = bed.proxy(upstream.port)?;
    let ours = bed.trailbox("trailbox", upstream.port, "")?;
    let pid = ours.process.pid();
    std::thread::sleep(Duration::from_secs(1));
    let idle = rss_mb(pid)?;
    let bytes = common.object_mib * MIB;
    let judged = !common.short;
    let speed = |time: Duration| common.object_mib as f64 / time.as_secs_f64();
    let mut seen: [Vec<f64>; 4] = Default::default();
    for _ in 0..common.rounds {
        seen[0].push(speed(put(proxy.port, "large", bytes)?));
        seen[1].push(speed(put(ours.port, "large", bytes)?));
        seen[2].push(speed(get(proxy.port, bytes)?));
        seen[3].push(speed(get(ours.port, bytes)?));
    }
    let [plain_put, our_put, plain_get, our_get] = seen.map(median);
    for (name, ours, theirs) in [("PUT", our_put, plain_put), ("GET", our_get, plain_get)] {
        table.push(Row {
            what: format!("{} MiB {name}", common.object_mib),
            ours: format!("{ours:.0} MiB/s"),
            rival: format!("{theirs:.0} MiB/s (proxy)"),
            ratio: format!("{:.2}", ours / theirs),
            goal: format!("≥ {SPEED_MIN}"),
            reached: judged.then_some(ours / theirs >= SPEED_MIN),
            command: COMMAND,
        });
    }
    let huge = bytes * 5;
    let port = ours.port;
    let one = peak(pid, || put(port, "huge", huge).and_then(|_| get(port, huge)).map(drop))?;
    let share = bytes / UPLOAD_SHARE;
    let many = peak(pid, || at_once(port, common.uploads, share))?;
    let lines = [
        (format!("memory, one object of {} MiB up and down", huge / MIB), one),
        (format!("memory, {} uploads of {} MiB at once", common.uploads, share / MIB), many),
    ];
    for (what, most) in lines {
        let above = most - idle;
        table.push(Row {
            what,
            ours: format!("{most:.0} MB"),
            rival: format!("{idle:.0} MB (idle)"),
            ratio: format!("+{above:.0} MB"),
            goal: format!("≤ +{ABOVE_IDLE_MAX} MB"),
            reached: judged.then_some(above <= ABOVE_IDLE_MAX),
            command: COMMAND,
        });
    }
    Ok(())
}

fn at_once(port: u16, uploads: usize, bytes: u64) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..uploads)
            .map(|number| scope.spawn(move || put(port, &format!("upload-{number}"), bytes)))
            .collect();
        running.into_iter().try_for_each(|upload| {
            upload.join().map_err(|_| anyhow::anyhow!("an upload panicked"))?.map(drop)
        })
    })
}

/// The most memory of a process while `work` is done.
fn peak(pid: u32, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0.0_f64;
            while !done.load(Ordering::Relaxed) {
                most = most.max(rss_mb(pid)?);
                std::thread::sleep(Duration::from_millis(20));
            }
            anyhow::Ok(most)
        });
        let worked = work();
        done.store(true, Ordering::Relaxed);
        let most = watch.join().map_err(|_| anyhow::anyhow!("watching panicked"))?;
        worked.and(most)
    })
}

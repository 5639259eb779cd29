//! Small signed calls through each proxy in turn: CPU, rate, latency.
//!
//! Start at [`run`]; the goals stand in [`judge`].

use crate::Common;
use crate::load::{Figures, Leg, measure};
use crate::machine::{Syncs, fdatasync};
use crate::servers::{Bed, Server};
use crate::table::{Row, Table, median};
use std::collections::BTreeMap;

const COMMAND: &str = "trailbox-bench gateway";
const CONNECTIONS: [u16; 3] = [1, 64, 512];
/// Where nothing is judged.
const CONNECTIONS_SHORT: [u16; 1] = [8];
const CALLS: [&str; 3] = ["mixed", "reads", "mutating"];
/// Most CPU per call, as a multiple of the plain proxy's.
const CPU_MAX: f64 = 1.67;
/// Least share of the plain proxy's rate.
const RATE_MIN: f64 = 0.6;
/// Microseconds that a call may take beyond its syncs.
const BEYOND_SYNC: f64 = 200.0;
/// Syncs up to here are fast: the rate is compared at fewer connections.
const FAST_SYNC: f64 = 200.0;
/// Microseconds that asynchronous recording may add: in the middle, and for one call of a hundred.
const ASYNC_ADDED: (f64, f64) = (100.0, 1000.0);

/// A proxy under comparison, and which processes count as it.
struct Side {
    name: &'static str,
    server: Server,
    pids: Vec<u32>,
}

/// Medians over the rounds, by side, calls and connections.
type Medians = BTreeMap<(&'static str, &'static str, u16), Figures>;

/// Measures every side and adds the lines.
pub(crate) fn run(common: &Common, table: &mut Table) -> anyhow::Result<()> {
    let bed = Bed::new(common)?;
    let upstream = bed.upstream()?;
    let sides = sides(common, &bed, upstream.port, table)?;
    let connections = if common.short { &CONNECTIONS_SHORT[..] } else { &CONNECTIONS[..] };
    let mut syncs = Vec::new();
    let mut seen: BTreeMap<_, Vec<Figures>> = BTreeMap::new();
    for round in 0..common.rounds {
        for (connections, calls) in
            connections.iter().flat_map(|c| CALLS.iter().map(move |calls| (*c, *calls)))
        {
            syncs.push(fdatasync(bed.path())?);
            for side in &sides {
                let leg = Leg { connections, calls, rate: None, more: &[] };
                let told = measure(&bed, side.server.port, &side.pids, leg)?;
                println!(
                    "round {round}, {connections} connections, {calls}: {:>9} {:>7.0}/s, \
                     {:>5.1} µs CPU, p50 {:.0} µs, p99 {:.0} µs",
                    side.name, told.per_second, told.cpu_micros, told.p50, told.p99
                );
                seen.entry((side.name, calls, connections)).or_default().push(told);
            }
        }
    }
    let medians: Medians = seen.into_iter().map(|(key, told)| (key, middle(&told))).collect();
    let syncs = middle_sync(&syncs);
    table.note(format!(
        "fdatasync of 4 KiB in the same run: p50 {:.0} µs, p99 {:.0} µs",
        micros(syncs.p50),
        micros(syncs.p99)
    ));
    if common.short {
        return Ok(());
    }
    judge(&medians, &syncs, table);
    asynchronous(common, &bed, &sides, upstream.port, table)
}

fn sides(
    common: &Common,
    bed: &Bed,
    upstream: u16,
    table: &mut Table,
) -> anyhow::Result<Vec<Side>> {
    let proxy = bed.proxy(upstream)?;
    let ours = bed.trailbox("trailbox", upstream, "")?;
    let mut sides = vec![
        Side { name: "proxy", pids: proxy.own(), server: proxy },
        Side { name: "trailbox", pids: ours.own(), server: ours },
    ];
    match bed.nginx(&common.nginx, upstream) {
        Ok(nginx) => {
            sides.insert(1, Side { name: "nginx", pids: nginx.all(), server: nginx });
        }
        Err(err) => table.note(format!("SKIPPED nginx, install nginx-light: {err:#}")),
    }
    Ok(sides)
}

fn judge(medians: &Medians, syncs: &Syncs, table: &mut Table) {
    let of = |side, calls, connections| {
        medians.get(&(side, calls, connections)).copied().unwrap_or_default()
    };
    for calls in CALLS {
        for (rival, goal) in [("proxy", Some(CPU_MAX)), ("nginx", None)] {
            let (ours, theirs) = (of("trailbox", calls, 64), of(rival, calls, 64));
            if theirs.cpu_micros > 0.0 {
                let what = format!("CPU per call, {calls}, 64 connections, against {rival}");
                table.push(cpu_row(what, ours.cpu_micros, theirs.cpu_micros, goal));
            }
        }
    }
    let fast = micros(syncs.p50) <= FAST_SYNC;
    for calls in CALLS {
        for connections in [64, 512] {
            let decides = (connections == 64) == fast;
            let ours = of("trailbox", calls, connections).per_second;
            let theirs = of("proxy", calls, connections).per_second;
            table.push(Row {
                what: format!("calls per second, {calls}, {connections} connections"),
                ours: format!("{ours:.0}"),
                rival: format!("{theirs:.0} (proxy)"),
                ratio: format!("{:.2}", ours / theirs),
                goal: if decides { format!("≥ {RATE_MIN}") } else { "–".to_owned() },
                reached: decides.then_some(ours / theirs >= RATE_MIN),
                command: COMMAND,
            });
        }
    }
    for (calls, count) in [("reads", 1.0), ("mutating", 2.0)] {
        let ours = of("trailbox", calls, 1).p50;
        let limit = micros(syncs.p50) * count + BEYOND_SYNC;
        table.push(Row {
            what: format!("p50 of {calls}, 1 connection"),
            ours: format!("{ours:.0} µs"),
            rival: format!("{limit:.0} µs ({count} × fdatasync + {BEYOND_SYNC} µs)"),
            ratio: format!("{:.2}", ours / limit),
            goal: "≤ 1".to_owned(),
            reached: Some(ours <= limit),
            command: COMMAND,
        });
    }
}

fn cpu_row(what: String, ours: f64, theirs: f64, goal: Option<f64>) -> Row {
    Row {
        what,
        ours: format!("{ours:.1} µs"),
        rival: format!("{theirs:.1} µs"),
        ratio: format!("{:.2}", ours / theirs),
        goal: goal.map_or("–".to_owned(), |goal| format!("≤ {goal}")),
        reached: goal.map(|goal| ours / theirs <= goal),
        command: COMMAND,
    }
}

/// What asynchronous recording adds at half of the rate it can bear.
fn asynchronous(
    common: &Common,
    bed: &Bed,
    sides: &[Side],
    upstream: u16,
    table: &mut Table,
) -> anyhow::Result<()> {
    let more = "[recording]\ndurability = \"asynchronous\"\nintents = \"off\"\n";
    let ours = bed.trailbox("asynchronous", upstream, more)?;
    let Some(proxy) = sides.iter().find(|side| side.name == "proxy") else { return Ok(()) };
    let pids = ours.own();
    let mut leg = Leg { connections: 64, calls: "mixed", rate: None, more: &[] };
    let most = measure(bed, ours.port, &pids, leg)?.per_second;
    leg.rate = Some(most / 2.0);
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..common.rounds {
        without.push(measure(bed, proxy.server.port, &proxy.pids, leg)?);
        with.push(measure(bed, ours.port, &pids, leg)?);
    }
    let (with, without) = (middle(&with), middle(&without));
    let half = most / 2.0;
    let added = [
        ("p50", with.p50, without.p50, ASYNC_ADDED.0),
        ("p99", with.p99, without.p99, ASYNC_ADDED.1),
    ];
    for (name, ours, theirs, most) in added {
        table.push(Row {
            what: format!("asynchronous, {name} added at half load ({half:.0}/s)"),
            ours: format!("{ours:.0} µs"),
            rival: format!("{theirs:.0} µs (proxy)"),
            ratio: format!("+{:.0} µs", ours - theirs),
            goal: format!("≤ +{most:.0} µs"),
            reached: Some(ours - theirs <= most),
            command: COMMAND,
        });
    }
    let what = "CPU per call, asynchronous, half load".to_owned();
    table.push(cpu_row(what, with.cpu_micros, without.cpu_micros, None));
    Ok(())
}

fn middle(told: &[Figures]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| median(told.iter().map(figure).collect());
    Figures {
        per_second: of(|f| f.per_second),
        cpu_micros: of(|f| f.cpu_micros),
        p50: of(|f| f.p50),
        p99: of(|f| f.p99),
    }
}

fn middle_sync(told: &[Syncs]) -> Syncs {
    let of = |figure: fn(&Syncs) -> std::time::Duration| {
        let seconds = told.iter().map(|sync| figure(sync).as_secs_f64()).collect();
        std::time::Duration::from_secs_f64(median(seconds))
    };
    Syncs { p50: of(|s| s.p50), p99: of(|s| s.p99) }
}

fn micros(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

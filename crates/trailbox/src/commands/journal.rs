//! `trailbox journal`: check, repair and stats of a data directory's journal.
//!
//! Check and stats only read, and may run beside a server. What a repair did
//! stands in `journal/quarantine/` and is recorded at the next start.

use crate::datadir::{DataDir, write_durably};
use crate::ports::{SystemClock, SystemRandom};
use crate::render::{Output, Rows, say};
use crate::{masterkey, node};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use trailbox_clock::{Clock as _, Random as _};
use trailbox_journal::disk::RealDisk;
use trailbox_journal::{
    Checked, Corruption, Damage, DataKey, DataKeys, FileStats, Inspector, KeyError, Repair, Stream,
};
use trailbox_keys::{LocalKeys, MASTER_KEY_VARIABLE};

/// How often a long run says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(2);

/// Checks, repairs and measures the journal of a data directory.
#[derive(Debug, Args)]
pub(crate) struct JournalCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Reads every frame: checksums, decryption, order, tree heads, links, mark. Changes nothing.
    #[command(after_help = "Examples:
  trailbox journal check --data trailbox-data
  trailbox journal check --data trailbox-data --output json | jq .findings

May run beside a server; then it reads what is durable.
Exit codes: 0 nothing is wrong, 1 something is damaged, 2 the check cannot be made.")]
    Check(Place),
    /// Sets damaged parts aside, so that the journal opens and reads on behind the gaps.
    #[command(after_help = "Example:
  trailbox journal repair --data trailbox-data

Damaged files are copied to journal/quarantine first; nothing is destroyed. Gaps stay visible, and the
next start of the server records RepairJournal. Stop the server before.
Exit codes: 0 nothing is wrong any more, 1 something is left to a person, 2 the repair cannot be made.")]
    Repair(Place),
    /// Frames, bytes, accounts and time of every segment and stream, and write amplification.
    #[command(after_help = "Examples:
  trailbox journal stats --data trailbox-data
  trailbox journal stats --data trailbox-data --output json | jq .writeAmplification

Needs no key, and may run beside a server.
Exit codes: 0 done, 2 the journal cannot be read.")]
    Stats(Place),
}

#[derive(Debug, Args)]
struct Place {
    /// The data directory.
    #[arg(long, value_name = "DIR", default_value = "trailbox-data", env = "TRAILBOX_DATA")]
    data: PathBuf,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl JournalCommand {
    pub(crate) fn run(self) -> ExitCode {
        let done = match self.action {
            Action::Check(place) => check(&place),
            Action::Repair(place) => repair(&place),
            Action::Stats(place) => stats(&place),
        };
        done.unwrap_or_else(|err| {
            eprintln!("trailbox: {err:#}");
            ExitCode::from(2)
        })
    }
}

fn check(place: &Place) -> anyhow::Result<ExitCode> {
    let data = DataDir::open(&place.data)?;
    let inspector = Inspector::new(Arc::new(RealDisk), keys(&data)?, data.join("journal"));
    let beside = inspector.in_use();
    let checked = inspector.check(beside, &mut progress())?;
    match place.output {
        Output::Json => say(&format!("{:#}\n", check_json(&checked, beside)))?,
        Output::Csv => say(&findings(&checked).csv())?,
        Output::Table => say(&check_text(&checked, beside))?,
    }
    Ok(if checked.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn repair(place: &Place) -> anyhow::Result<ExitCode> {
    let data = DataDir::open(&place.data)?;
    let _held = data.lock().context("a repair needs the journal for itself")?;
    if !data.join("node").exists() {
        bail!("{} has no file `node`; no server ever ran on it", data.path().display());
    }
    let node = node::of(&data, &SystemRandom)?;
    let inspector = Inspector::new(Arc::new(RealDisk), keys(&data)?, data.join("journal"));
    let now = SystemClock.now();
    let report = inspector.quarantine().join(format!("repair-{}.json", now.0));
    let mut announce = |repairs: &[Repair]| {
        let event_id = hex::encode(SystemRandom.uuid());
        let text = json!({
            "eventId": event_id,
            "at": now.to_event_time(),
            "repairs": repairs.iter().map(repair_json).collect::<Vec<_>>(),
        });
        write_durably(&report, format!("{text:#}\n").as_bytes()).map_err(std::io::Error::other)
    };
    let repaired = inspector.repair((node, now), &mut announce, &mut progress())?;
    let mut rows = Rows::new(&["file", "offset", "what", "sequences", "frames lost", "done"]);
    for repair in &repaired.repairs {
        let mut cells = place_cells(&repair.place, repair.frames);
        cells.push(repair.action.unwrap_or("nothing: look at it yourself").to_owned());
        rows.push(cells);
    }
    let left = repaired.repairs.iter().filter(|repair| repair.action.is_none()).count();
    match place.output {
        Output::Json => {
            let text = json!({
                "repairs": repaired.repairs.iter().map(repair_json).collect::<Vec<_>>(),
                "quarantined": repaired.quarantined,
                "left": left,
            });
            say(&format!("{text:#}\n"))?;
        }
        Output::Csv => say(&rows.csv())?,
        Output::Table if repaired.repairs.is_empty() => {
            say("nothing is wrong; nothing was done\n")?;
        }
        Output::Table => {
            say(&format!("{}\n", rows.table()))?;
            for copy in &repaired.quarantined {
                say(&format!("set aside: {}\n", copy.display()))?;
            }
        }
    }
    Ok(if left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn stats(place: &Place) -> anyhow::Result<ExitCode> {
    let data = DataDir::open(&place.data)?;
    let inspector = Inspector::new(Arc::new(RealDisk), Arc::new(NoKeys), data.join("journal"));
    let files = inspector.stats()?;
    let sums = Sums::of(&files, index_bytes(&data.join("history")));
    match place.output {
        Output::Json => say(&format!("{:#}\n", stats_json(&files, &sums)))?,
        Output::Csv => say(&stats_rows(&files).csv())?,
        Output::Table => say(&format!("{}\n{sums}\n", stats_rows(&files).table()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The data keys; no master key is made where there is none.
fn keys(data: &DataDir) -> anyhow::Result<Arc<dyn DataKeys>> {
    let place = data.join("master.key");
    if std::env::var_os(MASTER_KEY_VARIABLE).is_none() && !place.exists() {
        bail!(
            "{} is not there and {MASTER_KEY_VARIABLE} is not set; without the master key nothing can be read",
            place.display()
        );
    }
    Ok(Arc::new(LocalKeys::open(data.join("keys"), masterkey::open(data)?)?))
}

/// Says on standard error how far a long run is.
fn progress() -> impl FnMut(u64, u64) {
    let mut said = Instant::now();
    move |done, total| {
        if said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            eprintln!("trailbox: {} of {} MiB read", done >> 20, total >> 20);
        }
    }
}

fn place_cells(place: &Corruption, frames: u64) -> Vec<String> {
    vec![
        place.file.display().to_string(),
        place.offset.to_string(),
        place.what.clone(),
        format!("{}-{}", place.first_affected, place.last_affected),
        frames.to_string(),
    ]
}

fn findings(checked: &Checked) -> Rows {
    let mut rows = Rows::new(&["file", "offset", "what", "sequences", "frames lost"]);
    for finding in &checked.findings {
        rows.push(place_cells(&finding.place, finding.frames));
    }
    rows
}

fn check_text(checked: &Checked, beside: bool) -> String {
    let mut lines: Vec<String> = Vec::new();
    if !checked.findings.is_empty() {
        lines.push(findings(checked).table());
    }
    lines.extend(checked.notes.iter().map(|note| format!("note: {note}")));
    let beside = if beside { ", beside a running server" } else { "" };
    let Checked { files, frames, bytes, .. } = checked;
    let verdict = match checked.findings.len() {
        0 => "nothing is wrong".to_owned(),
        count => format!(
            "{count} damaged; stop the server and run `trailbox journal repair`, or restore the files"
        ),
    };
    lines.push(format!(
        "{frames} whole frames in {files} files, {bytes} bytes{beside}: {verdict}\n"
    ));
    lines.join("\n")
}

fn check_json(checked: &Checked, beside: bool) -> Value {
    let findings = checked.findings.iter();
    json!({
        "files": checked.files,
        "frames": checked.frames,
        "bytes": checked.bytes,
        "besideServer": beside,
        "findings": findings.map(|f| place_json(f.damage, &f.place, f.frames)).collect::<Vec<_>>(),
        "notes": checked.notes,
    })
}

fn place_json(damage: Damage, place: &Corruption, frames: u64) -> Value {
    json!({
        "damage": format!("{damage:?}").to_lowercase(),
        "file": place.file,
        "offset": place.offset,
        "what": place.what,
        "firstSequence": place.first_affected,
        "lastSequence": place.last_affected,
        "framesLost": frames,
    })
}

fn repair_json(repair: &Repair) -> Value {
    let mut text = place_json(repair.damage, &repair.place, repair.frames);
    text["action"] = json!(repair.action);
    text
}

fn stats_rows(files: &[FileStats]) -> Rows {
    let columns = ["file", "sequences", "frames", "bytes", "raw bytes", "accounts", "from", "to"];
    let mut rows = Rows::new(&columns);
    for file in files {
        let (from, to) = file
            .arrivals
            .map_or_else(Default::default, |(from, to)| (from.to_event_time(), to.to_event_time()));
        rows.push(vec![
            file.name.clone(),
            format!("{}-{}", file.range.0, file.range.1),
            file.frames.to_string(),
            file.bytes.to_string(),
            file.raw_bytes.to_string(),
            file.accounts.len().to_string(),
            from,
            to,
        ]);
    }
    rows
}

fn stats_json(files: &[FileStats], sums: &Sums) -> Value {
    let stream = |stream| match stream {
        Stream::Open => "open",
        Stream::Management => "management",
        Stream::Data => "data",
    };
    let list = files.iter().map(|file| {
        json!({
            "file": file.name,
            "stream": stream(file.stream),
            "firstSequence": file.range.0,
            "lastSequence": file.range.1,
            "frames": file.frames,
            "bytes": file.bytes,
            "rawBytes": file.raw_bytes,
            "accounts": file.accounts,
            "from": file.arrivals.map(|arrivals| arrivals.0.to_event_time()),
            "to": file.arrivals.map(|arrivals| arrivals.1.to_event_time()),
        })
    });
    json!({
        "files": list.collect::<Vec<_>>(),
        "frames": sums.frames,
        "bytes": sums.bytes,
        "rawBytes": sums.raw,
        "writtenBytes": sums.written,
        "indexBytes": sums.index,
        "writeAmplification": sums.amplification(),
    })
}

/// All files together.
struct Sums {
    frames: u64,
    bytes: u64,
    raw: u64,
    written: u64,
    index: u64,
}

impl Sums {
    fn of(files: &[FileStats], index: u64) -> Self {
        let sum = |of: fn(&FileStats) -> u64| files.iter().map(of).sum();
        Self {
            frames: sum(|file| file.frames),
            bytes: sum(|file| file.bytes),
            raw: sum(|file| file.raw_bytes),
            written: sum(|file| file.written_bytes),
            index,
        }
    }

    /// Bytes written per byte recorded, the index as it lies on disk included.
    #[allow(clippy::cast_precision_loss)]
    fn amplification(&self) -> f64 {
        let ratio = (self.written + self.index) as f64 / self.raw.max(1) as f64;
        (ratio * 100.0).round() / 100.0
    }
}

impl std::fmt::Display for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { frames, bytes, raw, index, .. } = self;
        write!(
            f,
            "{frames} frames of {raw} bytes take {bytes} bytes, the index {index}; about {} bytes were written \
             per byte (frames unsealed and sealed, and the index; the metric \
             trailbox_journal_write_amplification of a running server counts every write of the journal)",
            self.amplification()
        )
    }
}

/// Bytes of the files in a directory; those that are gone meanwhile take none.
fn index_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .filter(std::fs::Metadata::is_file)
        .map(|it| it.len())
        .sum()
}

/// For what needs none.
#[derive(Debug)]
struct NoKeys;

impl NoKeys {
    fn refuse<T>(account: &str) -> Result<T, KeyError> {
        let reason = "no key was asked for".to_owned();
        Err(KeyError::Unavailable { account: account.to_owned(), reason })
    }
}

impl DataKeys for NoKeys {
    fn current(&self, account: &str) -> Result<DataKey, KeyError> {
        Self::refuse(account)
    }

    fn by_id(&self, account: &str, _id: u32) -> Result<[u8; 32], KeyError> {
        Self::refuse(account)
    }
}

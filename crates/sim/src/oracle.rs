//! The oracle: what the journal and the history must say, given what happened.

use crate::calls::{ACCOUNT, Kind, QUARANTINE, number_of};
use crate::keys::FixedKeys;
use crate::ledger::{Ledger, Note, Seen};
use crate::life::Life;
use crate::world::{JOURNAL, World};
use aws_lc_rs::digest::{Context, SHA256, digest};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use trailbox_clock::Micros;
use trailbox_history::{Attribute, History, LookupError, Query, SourceError};
use trailbox_journal::{FrameKind, ReadError, Reader, StoredFrame};
use trailbox_record::Category;

const UNKNOWN: &str = "Trailbox.OutcomeUnknown";

/// Every frame a new reader finds. A fault of the disk hits once: it is asked again.
pub(crate) fn all_frames(world: &World) -> Result<Vec<StoredFrame>, ReadError> {
    for _ in 0..20 {
        match try_all_frames(world) {
            Err(ReadError::Disk { .. }) if !world.is_dead() => {}
            other => return other,
        }
    }
    try_all_frames(world)
}

fn try_all_frames(world: &World) -> Result<Vec<StoredFrame>, ReadError> {
    let mut reader = Reader::open(Arc::clone(&world.disk), Arc::new(FixedKeys), JOURNAL)?;
    let mut frames = Vec::new();
    loop {
        let batch = reader.next_batch(1000)?;
        if batch.is_empty() {
            return Ok(frames);
        }
        frames.extend(batch);
    }
}

/// A frame as it is remembered.
pub(crate) fn seen(frame: &StoredFrame) -> Seen {
    let bytes = frame.payload.bytes().cloned().unwrap_or_default();
    let mut payload = [0; 32];
    payload.copy_from_slice(digest(&SHA256, &bytes).as_ref());
    let StoredFrame { position, kind, event_id, .. } = *frame;
    Seen { position, kind, event_id, payload }
}

/// Looks through the journal while it lives: what was read before still stands.
pub(crate) fn look(life: &Life, when: &str) {
    let world = &life.world;
    match all_frames(world) {
        Ok(frames) => {
            let mut ledger = world.ledger();
            let read = ledger.read.clone();
            one_order(&mut ledger, &read, &frames, when);
        }
        Err(_) if world.is_dead() => {}
        Err(err) => world.ledger().violate(format!("{when}: the journal does not read: {err}")),
    }
}

/// What a reader saw is a beginning of the journal, and positions are dense.
fn one_order(ledger: &mut Ledger, read: &[Seen], frames: &[StoredFrame], when: &str) {
    for (frame, expected) in frames.iter().zip(1..) {
        if frame.position.sequence != expected {
            let at = frame.position;
            return ledger.violate(format!("{when}: {at} stands where {expected} must"));
        }
    }
    let mut stands = frames.iter().map(seen);
    for was in read {
        let now = stands.next();
        if now.as_ref() != Some(was) {
            return ledger
                .violate(format!("{when}: a reader saw {was:?}; now there stands {now:?}"));
        }
    }
}

/// What one record says, as far as the oracle asks.
#[derive(Debug)]
struct Told {
    epoch: u64,
    json: Value,
}

impl Told {
    fn text(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap_or_default()
    }
}

/// Judges a world that has come to rest; the digest of everything in it.
pub(crate) fn judge(world: &World) -> String {
    let mut ledger = world.ledger();
    let frames = match all_frames(world) {
        Ok(frames) => frames,
        Err(err) => {
            ledger.violate(format!("in the end the journal does not read: {err}"));
            return String::new();
        }
    };
    let read = ledger.read.clone();
    one_order(&mut ledger, &read, &frames, "in the end");
    let records = by_call(&mut ledger, &frames);
    let calls = ledger.calls.clone();
    for (id, note) in &calls {
        let found = records.get(id).map_or(&[][..], Vec::as_slice);
        judge_call(&mut ledger, (*id, note), found);
    }
    judge_counts(&mut ledger, &frames, &records);
    let told = || calls.values().filter_map(|note| note.told.as_ref());
    ledger.count("calls", calls.len());
    ledger.count("calls acknowledged", told().count());
    ledger.count("calls refused for the journal's sake", told().filter(|t| t.unrecordable).count());
    ledger.count("answers whose record was late", told().filter(|told| told.late).count());
    let unknown = |told: &&Told| told.text("errorCode") == UNKNOWN;
    ledger
        .count("records of an unknown outcome", records.values().flatten().filter(unknown).count());
    ledger.count("frames", frames.len());
    let clean = ledger.clean_epochs.len();
    ledger.count("epochs whose seen counts were compared", clean);
    digest_of(&ledger, &frames)
}

/// The main record of each call, with checks that somebody sent it.
fn by_call(ledger: &mut Ledger, frames: &[StoredFrame]) -> BTreeMap<u64, Vec<Told>> {
    let mut records: BTreeMap<u64, Vec<Told>> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for frame in frames.iter().filter(|frame| frame.kind == FrameKind::Record) {
        let at = frame.position;
        if !ids.insert(frame.event_id) {
            ledger.violate(format!("{at}: its event id was recorded before"));
        }
        let bytes = frame.payload.bytes().cloned().unwrap_or_default();
        let Ok(json) = serde_json::from_slice::<Value>(&bytes) else {
            ledger.violate(format!("{at} is no JSON"));
            continue;
        };
        if json["eventType"] == "AwsServiceEvent" && json["eventName"] == "RecordingInterrupted" {
            continue;
        }
        let told = Told { epoch: at.epoch, json };
        let number = number_of(told.text("userAgent"));
        let note = number.and_then(|id| Some((id, ledger.calls.get(&id)?)));
        let Some((id, note)) = note else {
            ledger.violate(format!("{at}: recorded, and no one sent it: {}", told.json));
            continue;
        };
        let name = told.text("eventName");
        // A form that broke off did not say which operation it is.
        let unsaid = name == "UnrecognizedOperation" && note.forwarded == 0;
        if name == note.kind.event_name() || unsaid {
            records.entry(id).or_default().push(told);
        } else if note.kind != Kind::DeleteObjects || name != "DeleteObject" {
            ledger.violate(format!("{at}: call {id} was {:?}, not {name}", note.kind));
        }
    }
    records
}

fn judge_call(ledger: &mut Ledger, (id, note): (u64, &Note), found: &[Told]) {
    let what = format!("call {id} ({:?}, life {})", note.kind, note.life);
    if found.len() > 1 {
        ledger.violate(format!("{what} was recorded {} times", found.len()));
    }
    if note.forwarded > 1 {
        ledger.violate(format!("{what} was forwarded {} times", note.forwarded));
    }
    if matches!(note.kind, Kind::PutForged | Kind::WrongSignature) && note.forwarded > 0 {
        ledger.violate(format!("{what} is forged and was forwarded"));
    }
    let record = found.first();
    if note.kind.is_mutating() && note.forwarded > 0 && record.is_none() && !note.passed {
        ledger.violate(format!("{what} was forwarded and left no record"));
    }
    let Some(told) = &note.told else { return judge_record(ledger, &what, (id, note), record) };
    if told.unrecordable && note.forwarded > 0 {
        ledger.violate(format!("{what} was refused for the journal's sake and forwarded"));
    }
    if !told.unrecordable && !told.late && record.is_none() {
        ledger.violate(format!("{what} was acknowledged with {} and left no record", told.status));
    }
    if let Some(record) = record {
        let unknown = record.text("errorCode") == UNKNOWN;
        if unknown && told.by_upstream && !told.late {
            ledger.violate(format!("{what} was answered by the upstream and is OutcomeUnknown"));
        }
        let failed = !record.json["errorCode"].is_null();
        if !unknown && !told.late && failed != (told.status >= 400) {
            ledger.violate(format!("{what}: status {}, record {}", told.status, record.json));
        }
    }
    judge_record(ledger, &what, (id, note), record);
}

/// Whether a record says of its call what it must.
fn judge_record(ledger: &mut Ledger, what: &str, (id, note): (u64, &Note), record: Option<&Told>) {
    let Some(record) = record else { return };
    let (name, value) = note.kind.parameter(id);
    let parameters = &record.json["requestParameters"];
    let source = format!("{}.amazonaws.com", note.kind.service());
    if record.text("eventSource") != source {
        ledger.violate(format!("{what}: its record says {}", record.json));
    }
    // Of a request that broke off, or was refused, less may be known.
    let whole = note.forwarded > 0 && note.told.as_ref().is_some_and(|told| told.by_upstream);
    if whole && parameters[name] != value.as_str() {
        ledger.violate(format!("{what}: {name} is not {value} in {}", record.json));
    }
    if whole && note.by_session && note.kind != Kind::WrongSignature {
        let trust = &record.json["additionalEventData"]["trailboxIdentity"];
        if trust != "verified" {
            ledger.violate(format!("{what}: its session is known and the record says {trust}"));
        }
    }
}

/// Where nothing went wrong, what was seen is what was recorded.
fn judge_counts(ledger: &mut Ledger, frames: &[StoredFrame], records: &BTreeMap<u64, Vec<Told>>) {
    for epoch in ledger.clean_epochs.clone() {
        let counts = frames
            .iter()
            .filter(|frame| frame.kind == FrameKind::Seen && frame.position.epoch == epoch);
        let count = |frame: &StoredFrame| {
            let json: Value = serde_json::from_slice(frame.payload.bytes()?).ok()?;
            json["seen"].as_u64()
        };
        let seen: u64 = counts.filter_map(count).sum();
        let of_before = |told: &&Told| told.epoch == epoch;
        let recorded = records
            .iter()
            .filter(|(id, _)| ledger.calls.get(id).is_some_and(|note| note.epoch == epoch))
            .flat_map(|(_, told)| told)
            .filter(of_before)
            .count() as u64;
        if seen != recorded {
            ledger.violate(format!("epoch {epoch}: {seen} calls seen, {recorded} recorded"));
        }
    }
}

/// What a lookup must answer: records up to `indexed`, newest first.
fn expected(frames: &[StoredFrame], account: &str, indexed: u64) -> Vec<(i64, u64, Value)> {
    let of_account = |frame: &&StoredFrame| {
        frame.kind == FrameKind::Record
            && frame.account == account
            && frame.position.sequence <= indexed
    };
    let mut rows: Vec<_> = frames
        .iter()
        .filter(of_account)
        .filter_map(|frame| {
            let json: Value = serde_json::from_slice(frame.payload.bytes()?).ok()?;
            let time = Micros::parse_rfc3339(json["eventTime"].as_str()?).ok()?;
            Some((time.seconds(), frame.position.sequence, json))
        })
        .collect();
    rows.sort_by_key(|(time, sequence, _)| std::cmp::Reverse((*time, *sequence)));
    rows
}

/// Asks the history and compares its answers with the journal itself.
pub(crate) fn lookups(life: &Life, history: &History) {
    let world = &life.world;
    let Ok(frames) = all_frames(world) else { return };
    let name = world.dice.pick(&["PutObject", "CreateUser", "DeleteObject", "AssumeRole"]);
    let filters = [None, Some((Attribute::EventName, name)), Some((Attribute::Username, "alice"))];
    for account in [ACCOUNT, QUARANTINE] {
        let rows = expected(&frames, account, history.indexed());
        for filter in filters {
            let query = Query {
                categories: vec![Category::Management, Category::Data],
                filters: filter.iter().map(|(key, value)| (*key, (*value).to_owned())).collect(),
                limit: 100_000,
                ..Query::newest(account)
            };
            let page = match history.lookup(&query) {
                Ok(page) => page,
                Err(_) if world.is_dead() => return,
                Err(
                    LookupError::Source(SourceError::Unavailable { .. })
                    | LookupError::Damaged { .. },
                ) if life.faulty => continue,
                Err(err) => {
                    world.ledger().violate(format!("life {}: lookup: {err}", life.number));
                    continue;
                }
            };
            let wanted: Vec<&str> = rows
                .iter()
                .filter(|(_, _, json)| matches(json, filter))
                .filter_map(|(_, _, json)| json["eventID"].as_str())
                .collect();
            let found: Vec<&str> =
                page.records.iter().map(|hit| hit.view.event_id.as_str()).collect();
            let mut ledger = world.ledger();
            if wanted != found || page.unreadable != 0 {
                ledger.violate(format!(
                    "life {}: a lookup of {filter:?} in {account} up to {} gives {} records, \
                     {} unreadable; the journal has {}",
                    life.number,
                    history.indexed(),
                    found.len(),
                    page.unreadable,
                    wanted.len()
                ));
            }
            ledger.count("lookups compared", 1);
            ledger.answers.extend(found.concat().into_bytes());
        }
    }
}

fn matches(json: &Value, filter: Option<(Attribute, &str)>) -> bool {
    match filter {
        Some((Attribute::EventName, name)) => json["eventName"] == name,
        Some((Attribute::Username, name)) => json["userIdentity"]["userName"] == name,
        _ => true,
    }
}

fn digest_of(ledger: &Ledger, frames: &[StoredFrame]) -> String {
    let mut context = Context::new(&SHA256);
    for frame in frames {
        context.update(format!("{frame:?}").as_bytes());
    }
    context.update(&ledger.answers);
    for (id, note) in &ledger.calls {
        context.update(format!("{id} {} {:?}", note.forwarded, note.told).as_bytes());
    }
    hex::encode(context.finish())
}

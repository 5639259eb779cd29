//! `GET /api/v1/stats`: what the history says about itself.

use crate::engine::Engine;
use crate::request::OwnRequest;
use serde_json::{Value, json};

/// Counts since the engine's start, and sizes now.
pub(super) fn stats(engine: &Engine, request: &OwnRequest) -> Value {
    let stats = engine.history.stats();
    json!({
        "history": {
            "indexed": stats.indexed,
            "repeated": stats.repeated,
            "unreadable": stats.unreadable,
            "damaged": stats.damaged,
            "rebuilt": stats.rebuilt,
            "merged": stats.merged,
            "dropped": stats.dropped,
            "segments": stats.segments,
            "segmentBytes": stats.segment_bytes,
            "segmentRecords": stats.segment_records,
            "memoryRecords": stats.memory_records,
            "position": stats.position,
        },
        "calls": request.calls.map(calls),
        "generation": engine.history.generation(),
        "principals": engine.people.directory().principals().count(),
        "keys": engine.people.directory().len(),
    })
}

/// Calls by how far their caller was proved, and the share that was proved here.
fn calls([verified, upstream, claimed, none]: [u64; 4]) -> Value {
    let all = verified + upstream + claimed + none;
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
    let share = if all == 0 { Value::Null } else { (verified as f64 / all as f64).into() };
    json!({
        "verified": verified,
        "upstream": upstream,
        "claimed": claimed,
        "none": none,
        "verifiedShare": share,
    })
}

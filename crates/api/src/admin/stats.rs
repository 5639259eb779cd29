//! `GET /api/v1/stats`: what the history says about itself.

use crate::engine::Engine;
use serde_json::{Value, json};

/// Counts since the engine's start, and sizes now.
pub(super) fn stats(engine: &Engine) -> Value {
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
        "generation": engine.history.generation(),
        "principals": engine.people.directory().principals().count(),
        "keys": engine.people.directory().len(),
    })
}

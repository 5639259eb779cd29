//! What the history says about itself.

use crate::history::State;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the start, and sizes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HistoryStats {
    /// Records that entered the index since the start.
    pub indexed: u64,
    /// Records left out because their event id was there already.
    pub repeated: u64,
    /// Records that could not be read as records.
    pub unreadable: u64,
    /// Index segments found damaged.
    pub damaged: u64,
    /// Index segments made again from the journal after damage.
    pub rebuilt: u64,
    /// Index segments merged into larger ones.
    pub merged: u64,
    /// Journal segments dropped after their retention.
    pub dropped: u64,
    /// Index segments now.
    pub segments: u64,
    /// Bytes of index segments now.
    pub segment_bytes: u64,
    /// Records in index segments now.
    pub segment_records: u64,
    /// Records in the memory index now, packed ones included.
    pub memory_records: u64,
    /// Records among those that are packed.
    pub packed_records: u64,
    /// Journal sequence up to which everything can be looked up.
    pub position: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) indexed: AtomicU64,
    pub(crate) repeated: AtomicU64,
    pub(crate) unreadable: AtomicU64,
    pub(crate) damaged: AtomicU64,
    pub(crate) rebuilt: AtomicU64,
    pub(crate) merged: AtomicU64,
    pub(crate) dropped: AtomicU64,
    /// Lookups since the last upkeep.
    pub(crate) asked: AtomicU64,
}

impl Counters {
    pub(crate) fn repeated(&self, event_id: &[u8; 16]) {
        self.repeated.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(event_id = hex::encode(event_id), "record is there already");
    }

    pub(crate) fn stats(&self, state: &State) -> HistoryStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let segments = &state.segments;
        let packed = state.frozen.iter().map(|part| part.segment.footer.rows()).sum();
        HistoryStats {
            indexed: count(&self.indexed),
            repeated: count(&self.repeated),
            unreadable: count(&self.unreadable),
            damaged: count(&self.damaged),
            rebuilt: count(&self.rebuilt),
            merged: count(&self.merged),
            dropped: count(&self.dropped),
            segments: segments.len() as u64,
            segment_bytes: segments.iter().map(|segment| segment.length).sum(),
            segment_records: segments.iter().map(|segment| segment.footer.rows()).sum(),
            memory_records: state.memory.rows() as u64 + packed,
            packed_records: packed,
            position: state.position,
        }
    }
}

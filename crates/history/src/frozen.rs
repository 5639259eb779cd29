//! Rows packed in memory: what was journalled since the last sealing, when it
//! is more than the memory index should hold.
//!
//! A row ready for change takes hundreds of bytes, a packed one about twenty. So
//! however large the open segment grows and however late it is sealed, the
//! memory index stays small. A packed part lies in memory alone: once its
//! journal segment is sealed and indexed, it is dropped.

use crate::history::{History, Stop};
use crate::segment::Segment;
use crate::source::{SourceError, Stream};
use crate::upkeep::write_rows;
use std::sync::Arc;

/// A packed part of what is not sealed yet.
#[derive(Debug, Clone)]
pub(crate) struct Frozen {
    pub(crate) segment: Arc<Segment>,
    first: u64,
    last: u64,
}

impl Frozen {
    /// Whether it may hold a row of `stream` from `first` to `last`.
    pub(crate) fn overlaps(&self, stream: Stream, first: u64, last: u64) -> bool {
        self.segment.footer.stream == stream && self.first <= last && first <= self.last
    }

    /// Whether an index of `stream` up to `last` makes it superfluous.
    pub(crate) fn is_covered(&self, stream: Stream, last: u64) -> bool {
        self.segment.footer.stream == stream && self.last <= last
    }
}

impl History {
    /// Packs the memory index when it is full. The caller holds the intake.
    pub(crate) fn freeze_when_full(&self) -> Result<(), Stop> {
        if self.state().memory.rows() < self.options.memory_rows_max {
            return Ok(());
        }
        for stream in [Stream::Management, Stream::Data] {
            let rows = self.state().memory.rows_between(stream, 0, u64::MAX);
            let sequences = || rows.values().flatten().map(|row| row.place.sequence);
            let Some((first, last)) = sequences().min().zip(sequences().max()) else { continue };
            let packed = write_rows(stream, rows, Vec::new(), 0)
                .and_then(|bytes| Segment::in_memory(bytes, &self.cache))
                .map_err(|damage| SourceError::Corrupt { reason: damage.to_string() })?;
            let mut state = self.state_mut();
            state.memory.forget(stream, first, last);
            state.frozen.push(Frozen { segment: Arc::new(packed), first, last });
        }
        Ok(())
    }

    /// The journal lost its end from `first` on: forgets what was read there.
    /// Packed rows before `first` go with their part and are read again; then
    /// this says so.
    pub(crate) fn forget_from(&self, first: u64) -> bool {
        let mut state = self.state_mut();
        state.memory.forget_from(first);
        let lost = state.frozen.iter().filter(|part| first <= part.last);
        let Some(again) = lost.map(|part| part.first).min() else { return false };
        state.frozen.retain(|part| part.last < first);
        state.memory.forget_from(again);
        state.position = again - 1;
        true
    }
}

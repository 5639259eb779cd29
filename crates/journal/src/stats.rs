//! What the journal says about itself.

use crate::disk::Space;

/// Upper bounds of the sync latency buckets, microseconds; one more bucket
/// takes everything slower.
pub const SYNC_BOUNDS: [u64; 15] = [
    50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 102_400, 409_600,
    1_638_400, 6_553_600,
];

/// Counters since the journal was opened, and levels of this moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JournalStats {
    /// Frames made durable.
    pub frames: u64,
    /// Bytes made durable.
    pub bytes: u64,
    /// Bytes of payloads that came in: what is recorded, before the journal
    /// adds anything.
    pub payload_bytes: u64,
    /// Bytes the journal has written for them: batches, zeros ahead, carried
    /// intents, sealed files, marks. The reserve and probes are not counted.
    pub written_bytes: u64,
    /// Batches: writes that were followed by one sync.
    pub batches: u64,
    /// Syncs by latency, see [`SYNC_BOUNDS`]. Not cumulative.
    pub sync_buckets: [u64; SYNC_BOUNDS.len() + 1],
    /// Sum of all sync latencies, microseconds.
    pub sync_micros: u64,
    /// Frames waiting for the writer now.
    pub queue_frames: u64,
    /// Bytes waiting for the writer now.
    pub queue_bytes: u64,
    /// Frames held in memory until the disk recovers.
    pub parked_frames: u64,
    /// Frames refused: their callers were told.
    pub refused: u64,
    /// Frames nobody waits for that could not be kept: they are lost.
    pub lost: u64,
    /// Failed writes.
    pub write_failures: u64,
    /// Failed syncs.
    pub sync_failures: u64,
    /// Intents without a record.
    pub open_intents: u64,
    /// Segments not sealed yet, the open one included.
    pub unsealed_segments: u64,
    /// Segments sealed since the journal was opened.
    pub sealed_segments: u64,
    /// Why sealing stands still, if it does.
    pub seal_failure: Option<String>,
    /// Room on the journal's disk, as of the last second or so.
    pub space: Option<Space>,
}

impl JournalStats {
    /// Bytes written per byte recorded, since the journal was opened; 0 before
    /// anything was.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "above 2^53 a ratio is rounded")]
    pub fn write_amplification(&self) -> f64 {
        match self.payload_bytes {
            0 => 0.0,
            recorded => self.written_bytes as f64 / recorded as f64,
        }
    }
}

//! What may be set about a journal.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of one journal.
#[derive(Debug, Clone)]
pub struct Options {
    /// Directory that holds nothing but the journal; created when absent.
    pub dir: PathBuf,
    /// Who writes: 16 bytes that stay the same over restarts of this node.
    pub node: [u8; 16],
    /// A segment ends when it is this large. Bytes; default 64 MiB.
    pub segment_bytes: u64,
    /// A segment that holds frames ends at this age. Default one hour.
    pub segment_age: Duration,
    /// Zeros written ahead of the open segment's end, so that most syncs have
    /// no length to make durable: twice as fast where it was measured. Bytes;
    /// default 4 MiB; 0 writes none.
    pub ahead_bytes: u64,
    /// Frames that one write and one sync carry at most. Default 8,192.
    pub batch_frames: usize,
    /// Bytes that one write and one sync carry at most. Default 8 MiB.
    pub batch_bytes: usize,
    /// Frames that wait for the writer at most. Default 16,384.
    pub queue_frames: usize,
    /// Bytes that wait for the writer at most. Default 64 MiB.
    pub queue_bytes: usize,
    /// Bytes that the intents of calls under way take at most; new ones are
    /// refused beyond. Default 64 MiB.
    pub intent_bytes: usize,
    /// Size of the file that keeps room for the outcomes of calls already
    /// admitted when the disk fills up. Bytes; default 64 MiB; 0 keeps none.
    pub reserve_bytes: u64,
    /// New calls are refused when the disk has fewer bytes available than
    /// this, beside the reserve. Default 16 MiB.
    pub free_bytes_min: u64,
    /// How often the disk is measured and, when something failed, tried again.
    /// Default one second.
    pub check_every: Duration,
    /// zstd level of sealed blocks. Default 3.
    pub seal_level: i32,
    /// Whether the sealing thread runs. Default yes.
    pub seal: bool,
}

impl Options {
    /// The defaults for the journal of `node` in `dir`.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, node: [u8; 16]) -> Self {
        Self {
            dir: dir.into(),
            node,
            segment_bytes: 64 << 20,
            segment_age: Duration::from_hours(1),
            ahead_bytes: 4 << 20,
            batch_frames: 8192,
            batch_bytes: 8 << 20,
            queue_frames: 16_384,
            queue_bytes: 64 << 20,
            intent_bytes: 64 << 20,
            reserve_bytes: 64 << 20,
            free_bytes_min: 16 << 20,
            check_every: Duration::from_secs(1),
            seal_level: 3,
            seal: true,
        }
    }
}

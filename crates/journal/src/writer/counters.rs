//! Counters the writer keeps and everybody reads.

use crate::disk::Space;
use crate::{JournalStats, SYNC_BOUNDS};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) frames: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) payload: AtomicU64,
    /// What [`Counted`](crate::disk::Counted) has seen, for whatever purpose.
    pub(crate) written: Arc<AtomicU64>,
    pub(crate) refused: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) parked: AtomicU64,
    pub(crate) write_failures: AtomicU64,
    pub(crate) sync_failures: AtomicU64,
    pub(crate) open_intents: AtomicU64,
    sync_buckets: [AtomicU64; SYNC_BOUNDS.len() + 1],
    sync_micros: AtomicU64,
    space: Mutex<Option<Space>>,
}

impl Counters {
    pub(crate) fn new(written: Arc<AtomicU64>) -> Self {
        Self { written, ..Self::default() }
    }

    pub(crate) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Relaxed);
    }

    pub(crate) fn synced(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = SYNC_BOUNDS.partition_point(|bound| *bound < micros);
        self.sync_buckets[bucket].fetch_add(1, Relaxed);
        self.sync_micros.fetch_add(micros, Relaxed);
    }

    pub(crate) fn set_space(&self, space: Space) {
        *self.space.lock().unwrap_or_else(PoisonError::into_inner) = Some(space);
    }

    /// The counters as they are now; the rest of the statistics is not ours.
    pub(crate) fn read(&self) -> JournalStats {
        JournalStats {
            frames: self.frames.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            batches: self.batches.load(Relaxed),
            payload_bytes: self.payload.load(Relaxed),
            written_bytes: self.written.load(Relaxed),
            sync_buckets: std::array::from_fn(|at| self.sync_buckets[at].load(Relaxed)),
            sync_micros: self.sync_micros.load(Relaxed),
            parked_frames: self.parked.load(Relaxed),
            refused: self.refused.load(Relaxed),
            lost: self.lost.load(Relaxed),
            write_failures: self.write_failures.load(Relaxed),
            sync_failures: self.sync_failures.load(Relaxed),
            open_intents: self.open_intents.load(Relaxed),
            space: *self.space.lock().unwrap_or_else(PoisonError::into_inner),
            ..JournalStats::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Counters;
    use std::time::Duration;

    #[test]
    fn a_sync_falls_into_the_first_bucket_that_holds_it() {
        let counters = Counters::default();
        for micros in [0, 50, 51, 10_000_000] {
            counters.synced(Duration::from_micros(micros));
        }
        let stats = counters.read();
        assert_eq!(
            (stats.sync_buckets[0], stats.sync_buckets[1], stats.sync_buckets[15]),
            (2, 1, 1)
        );
        assert_eq!(stats.sync_micros, 10_000_101);
    }
}

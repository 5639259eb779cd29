//! What became of every call: one byte each, so that a run of millions is verified in memory.
//!
//! A call is known by its number. Start at [`Ledger::set`].

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// It was handed to a connection.
pub(super) const SENT: u8 = 1;
/// Its whole answer arrived.
pub(super) const ACKNOWLEDGED: u8 = 2;
/// The answer was an error.
pub(super) const FAILED: u8 = 4;
/// A record of it was found.
pub(super) const FOUND: u8 = 8;
/// A second record of it was found.
pub(super) const TWICE: u8 = 16;
/// A record of it does not say what was sent.
pub(super) const WRONG: u8 = 32;

/// Calls of one chunk.
const CHUNK: u64 = 1 << 20;
/// Most calls of a run: four thousand million.
const CHUNKS: usize = 4096;

/// One byte of flags for each call.
#[derive(Debug)]
pub(super) struct Ledger {
    next: AtomicU64,
    chunks: Vec<OnceLock<Box<[AtomicU8]>>>,
}

impl Ledger {
    /// No calls yet.
    pub(super) fn new() -> Self {
        Self { next: AtomicU64::new(0), chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect() }
    }

    /// The number of the next call; `None` when a run can hold no more.
    pub(super) fn take(&self) -> Option<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < CHUNK * CHUNKS as u64).then_some(number)
    }

    /// How many numbers were taken.
    pub(super) fn len(&self) -> u64 {
        self.next.load(Ordering::Relaxed).min(CHUNK * CHUNKS as u64)
    }

    /// Adds flags to a call; what it had before.
    pub(super) fn set(&self, number: u64, flags: u8) -> u8 {
        self.entry(number).map_or(0, |entry| entry.fetch_or(flags, Ordering::Relaxed))
    }

    /// The flags of a call.
    pub(super) fn get(&self, number: u64) -> u8 {
        self.entry(number).map_or(0, |entry| entry.load(Ordering::Relaxed))
    }

    /// Forgets what an earlier search found.
    pub(super) fn forget_found(&self) {
        for number in 0..self.len() {
            if let Some(entry) = self.entry(number) {
                entry.fetch_and(SENT | ACKNOWLEDGED | FAILED, Ordering::Relaxed);
            }
        }
    }

    fn entry(&self, number: u64) -> Option<&AtomicU8> {
        let chunk = self.chunks.get(usize::try_from(number / CHUNK).ok()?)?;
        let chunk = chunk.get_or_init(|| (0..CHUNK).map(|_| AtomicU8::new(0)).collect());
        chunk.get(usize::try_from(number % CHUNK).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::{ACKNOWLEDGED, CHUNK, FOUND, Ledger, SENT};

    #[test]
    fn flags_gather_and_a_search_can_begin_anew() {
        let ledger = Ledger::new();
        assert_eq!((ledger.take(), ledger.take(), ledger.len()), (Some(0), Some(1), 2));
        ledger.set(1, SENT);
        ledger.set(1, ACKNOWLEDGED);
        assert_eq!(ledger.set(1, FOUND), SENT | ACKNOWLEDGED);
        ledger.forget_found();
        assert_eq!((ledger.get(0), ledger.get(1)), (0, SENT | ACKNOWLEDGED));
        assert_eq!(ledger.get(3 * CHUNK), 0);
    }
}

//! A bounded cache of checked blocks.
//!
//! Two generations: what is used moves to the young one; when the young one is
//! full it becomes the old one and what nobody used since is forgotten. Costs
//! two hash maps and no list, and scans do not wash out everything.

use crate::segment::Directory;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Number of the segment and offset of the block.
pub(crate) type CacheKey = (u64, u64);

/// What is kept.
#[derive(Debug, Clone)]
pub(crate) enum Cached {
    /// An unpacked block.
    Block(Bytes),
    /// A decoded directory.
    Directory(Arc<Directory>),
}

impl Cached {
    fn bytes(&self) -> usize {
        64 + match self {
            Self::Block(bytes) => bytes.len(),
            Self::Directory(directory) => directory.bytes(),
        }
    }
}

/// The cache of one history.
#[derive(Debug)]
pub(crate) struct Cache {
    generations: Mutex<Generations>,
    numbers: AtomicU64,
    /// Most bytes of each of the two generations.
    half: usize,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<CacheKey, Cached>,
    old: HashMap<CacheKey, Cached>,
    young_bytes: usize,
}

impl Cache {
    /// Keeps about `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { generations: Mutex::default(), numbers: AtomicU64::new(0), half: bytes / 2 }
    }

    /// A number no segment had before: a rebuilt file never meets old blocks.
    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Gives everything back.
    pub(crate) fn clear(&self) {
        let mut held = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Generations::default();
    }

    pub(crate) fn get(&self, key: CacheKey) -> Option<Cached> {
        let mut held = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = held.young.get(&key) {
            return Some(found.clone());
        }
        let found = held.old.remove(&key)?;
        held.put(key, found.clone(), self.half);
        Some(found)
    }

    pub(crate) fn put(&self, key: CacheKey, value: Cached) {
        let mut held = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        held.put(key, value, self.half);
    }
}

impl Generations {
    fn put(&mut self, key: CacheKey, value: Cached, half: usize) {
        if half < self.young_bytes + value.bytes() {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += value.bytes();
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::{Cache, Cached};
    use bytes::Bytes;

    #[test]
    fn what_is_used_stays_and_the_rest_is_forgotten() {
        let cache = Cache::new(4000);
        let block = || Cached::Block(Bytes::from(vec![0; 400]));
        for offset in 0..100 {
            cache.put((0, offset), block());
            assert!(cache.get((0, 0)).is_some(), "used block after {offset}");
        }
        let held = (0..100).filter(|&offset| cache.get((0, offset)).is_some()).count();
        assert!((2..=10).contains(&held), "{held} blocks held");
    }
}

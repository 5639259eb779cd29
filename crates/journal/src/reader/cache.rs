//! A small cache with a weight limit; the least recently used goes first.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// Values by key, together no heavier than a limit (the newest excepted).
#[derive(Debug)]
pub(super) struct Cache<K, V> {
    entries: HashMap<K, Entry<V>>,
    weight: usize,
    limit: usize,
    /// Counts uses, so that the oldest use is known.
    uses: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: Arc<V>,
    weight: usize,
    used: u64,
}

impl<K: Eq + Hash + Clone, V> Cache<K, V> {
    pub(super) fn new(limit: usize) -> Self {
        Self { entries: HashMap::new(), weight: 0, limit, uses: 0 }
    }

    pub(super) fn get(&mut self, key: &K) -> Option<Arc<V>> {
        self.uses += 1;
        let entry = self.entries.get_mut(key)?;
        entry.used = self.uses;
        Some(Arc::clone(&entry.value))
    }

    pub(super) fn insert(&mut self, key: K, value: Arc<V>, weight: usize) {
        self.uses += 1;
        let entry = Entry { value, weight, used: self.uses };
        self.weight += weight;
        if let Some(old) = self.entries.insert(key.clone(), entry) {
            self.weight -= old.weight;
        }
        while self.weight > self.limit && self.entries.len() > 1 {
            let oldest =
                self.entries.iter().filter(|(k, _)| **k != key).min_by_key(|(_, e)| e.used);
            let Some(oldest) = oldest.map(|(k, _)| k.clone()) else { break };
            self.remove(&oldest);
        }
    }

    pub(super) fn clear(&mut self) {
        self.entries = HashMap::new();
        self.weight = 0;
    }

    pub(super) fn remove(&mut self, key: &K) {
        if let Some(entry) = self.entries.remove(key) {
            self.weight -= entry.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cache;
    use std::sync::Arc;

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut cache = Cache::new(10);
        cache.insert("a", Arc::new(1), 4);
        cache.insert("b", Arc::new(2), 4);
        assert!(cache.get(&"a").is_some());
        cache.insert("c", Arc::new(3), 4);
        assert!(cache.get(&"b").is_none());
        assert_eq!(cache.get(&"a").as_deref(), Some(&1));
        cache.insert("huge", Arc::new(4), 100);
        assert!(cache.get(&"a").is_none() && cache.get(&"huge").is_some());
        assert_eq!(cache.weight, 100);
    }
}

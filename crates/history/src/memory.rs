//! The index of what no index segment covers yet.

use crate::row::{PartitionKey, Place, Row, stream_of_code};
use crate::segment::Bounds;
use crate::source::Stream;
use crate::term::Term;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Rows by partition, and the youngest records themselves.
#[derive(Debug)]
pub(crate) struct Memory {
    partitions: BTreeMap<PartitionKey, MemoryPartition>,
    payloads: Payloads,
    rows: usize,
}

#[derive(Debug, Default)]
struct MemoryPartition {
    rows: BTreeMap<Place, Row>,
    terms: HashMap<Term, Places>,
    ids: HashMap<[u8; 16], u64>,
}

/// The places of one term. Most terms have one, and a set for each would take
/// more than everything else together.
#[derive(Debug)]
enum Places {
    One(Place),
    /// Oldest first: a new row comes to the end, or near it.
    Many(Vec<Place>),
}

impl Places {
    fn as_slice(&self) -> &[Place] {
        match self {
            Self::One(place) => std::slice::from_ref(place),
            Self::Many(places) => places,
        }
    }

    fn insert(&mut self, place: Place) {
        if let Self::One(held) = *self {
            *self = Self::Many(vec![held]);
        }
        if let Self::Many(places) = self {
            let at = places.partition_point(|held| place < *held);
            if places.get(at) != Some(&place) {
                places.insert(at, place);
            }
        }
    }

    /// Whether any is left.
    fn retain(&mut self, keep: impl Fn(&Place) -> bool) -> bool {
        match self {
            Self::One(place) => keep(place),
            Self::Many(places) => {
                places.retain(|place| keep(place));
                !places.is_empty()
            }
        }
    }

    fn contains(&self, place: Place) -> bool {
        self.as_slice().binary_search_by(|held| place.cmp(held)).is_ok()
    }

    /// Those from `from` to `to`, newest first.
    fn range(&self, from: Place, to: Place) -> impl Iterator<Item = Place> {
        let places = self.as_slice();
        let start = places.partition_point(|held| to < *held);
        let end = places.partition_point(|held| from <= *held);
        places[start.min(end)..end].iter().rev().copied()
    }
}

impl Memory {
    /// Keeps at most `payload_bytes` of records beside the rows.
    pub(crate) fn new(payload_bytes: usize) -> Self {
        let payloads = Payloads { max: payload_bytes, ..Payloads::default() };
        Self { partitions: BTreeMap::new(), payloads, rows: 0 }
    }

    pub(crate) const fn rows(&self) -> usize {
        self.rows
    }

    /// The sequence under which the partition knows `event_id`.
    pub(crate) fn find_id(&self, key: &PartitionKey, event_id: &[u8; 16]) -> Option<u64> {
        self.partitions.get(key)?.ids.get(event_id).copied()
    }

    /// Adds a row whose event id the partition does not know yet.
    pub(crate) fn insert(&mut self, key: &PartitionKey, row: Row, payload: Bytes) {
        self.payloads.put(row.place.sequence, payload);
        self.rows += 1;
        if !self.partitions.contains_key(key) {
            self.partitions.insert(key.clone(), MemoryPartition::default());
        }
        if let Some(partition) = self.partitions.get_mut(key) {
            partition.insert(row);
        }
    }

    /// The record at `sequence`, if it is still held.
    pub(crate) fn payload(&self, sequence: u64) -> Option<Bytes> {
        self.payloads.held.get(&sequence).cloned()
    }

    /// The partitions that hold rows.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = &PartitionKey> {
        self.partitions.keys()
    }

    /// At most `max` places of a partition within `bounds` that have every term, newest first.
    pub(crate) fn find(
        &self,
        key: &PartitionKey,
        terms: &[Term],
        bounds: &Bounds,
        max: usize,
    ) -> Vec<Place> {
        let Some(partition) = self.partitions.get(key) else { return Vec::new() };
        if bounds.to < bounds.from {
            return Vec::new();
        }
        let Some(mut sets) = partition.sets(terms) else { return Vec::new() };
        sets.sort_by_key(|set| set.as_slice().len());
        let range = bounds.from..=bounds.to;
        let matching = |place: &Place| bounds.hold(*place);
        match sets.split_first() {
            None => partition
                .rows
                .range(range)
                .map(|(place, _)| *place)
                .filter(matching)
                .take(max)
                .collect(),
            Some((least, others)) => least
                .range(bounds.from, bounds.to)
                .filter(matching)
                .filter(|place| others.iter().all(|set| set.contains(*place)))
                .take(max)
                .collect(),
        }
    }

    /// Copies of the rows of `stream` from `first` to `last`, by partition, newest first.
    pub(crate) fn rows_between(
        &self,
        stream: Stream,
        first: u64,
        last: u64,
    ) -> BTreeMap<PartitionKey, Vec<Row>> {
        let mut copies: BTreeMap<PartitionKey, Vec<Row>> = BTreeMap::new();
        for (key, partition) in &self.partitions {
            if stream_of_code(key.category) != stream {
                continue;
            }
            let rows = partition.rows.values();
            let within = rows.filter(|row| (first..=last).contains(&row.place.sequence));
            let rows: Vec<Row> = within.cloned().collect();
            if !rows.is_empty() {
                copies.insert(key.clone(), rows);
            }
        }
        copies
    }

    /// Forgets every row from `first` on, and its payload.
    pub(crate) fn forget_from(&mut self, first: u64) {
        for stream in [Stream::Management, Stream::Data] {
            self.forget(stream, first, u64::MAX);
        }
        self.payloads.held.retain(|sequence, _| *sequence < first);
    }

    /// Forgets the rows of `stream` from `first` to `last`; their payloads stay while they are young.
    pub(crate) fn forget(&mut self, stream: Stream, first: u64, last: u64) {
        for (key, partition) in &mut self.partitions {
            if stream_of_code(key.category) == stream {
                partition.forget(first, last);
            }
        }
        self.partitions.retain(|_, partition| !partition.rows.is_empty());
        self.rows = self.partitions.values().map(|partition| partition.rows.len()).sum();
    }
}

impl MemoryPartition {
    fn insert(&mut self, row: Row) {
        for &term in &row.terms {
            self.terms
                .entry(term)
                .and_modify(|places| places.insert(row.place))
                .or_insert(Places::One(row.place));
        }
        self.ids.insert(row.event_id, row.place.sequence);
        self.rows.insert(row.place, row);
    }

    /// The places of each term; `None` when one of them has no row.
    fn sets(&self, terms: &[Term]) -> Option<Vec<&Places>> {
        terms.iter().map(|term| self.terms.get(term)).collect()
    }

    fn forget(&mut self, first: u64, last: u64) {
        let old = |place: &Place| (first..=last).contains(&place.sequence);
        self.rows.retain(|place, _| !old(place));
        self.ids.retain(|_, sequence| !(first..=last).contains(sequence));
        self.terms.retain(|_, places| places.retain(|place| !old(place)));
        self.terms.shrink_to_fit();
        self.ids.shrink_to_fit();
    }
}

/// The youngest records, up to a number of bytes.
#[derive(Debug, Default)]
struct Payloads {
    held: HashMap<u64, Bytes>,
    order: VecDeque<u64>,
    bytes: usize,
    max: usize,
}

impl Payloads {
    fn put(&mut self, sequence: u64, payload: Bytes) {
        self.bytes += payload.len();
        self.order.push_back(sequence);
        self.held.insert(sequence, payload);
        while self.max < self.bytes {
            let Some(oldest) = self.order.pop_front() else { break };
            let freed = self.held.remove(&oldest).map_or(0, |payload| payload.len());
            self.bytes = self.bytes.saturating_sub(freed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;
    use crate::row::{PartitionKey, Place, Row};
    use crate::segment::Bounds;
    use crate::source::Stream;
    use bytes::Bytes;

    fn key() -> PartitionKey {
        PartitionKey { account: "1".into(), region: "r".into(), category: 0, key_id: 1 }
    }

    fn memory(rows: u64) -> Memory {
        let mut memory = Memory::new(25);
        for sequence in 1..=rows {
            let place = Place { time: i64::try_from(sequence / 2).unwrap(), sequence };
            let terms = [sequence % 2, 10].into();
            let event_id = u128::from(sequence).to_be_bytes();
            memory.insert(
                &key(),
                Row { place, event_id, terms },
                Bytes::from_static(b"0123456789"),
            );
        }
        memory
    }

    const ALL: Bounds = Bounds {
        from: Place::NEWEST,
        to: Place { time: i64::MIN, sequence: 0 },
        pin: u64::MAX,
        after_sequence: 0,
    };

    #[test]
    fn rows_are_found_newest_first_by_all_terms() {
        let found = memory(9).find(&key(), &[1, 10], &ALL, 3);
        assert_eq!(found.iter().map(|place| place.sequence).collect::<Vec<_>>(), [9, 7, 5]);
        assert_eq!(memory(9).find(&key(), &[1, 99], &ALL, 3), []);
        assert_eq!(memory(9).find(&key(), &[], &Bounds { pin: 2, ..ALL }, 9).len(), 2);
    }

    #[test]
    fn a_sealed_range_is_forgotten_in_its_stream_only() {
        let mut memory = memory(9);
        memory.forget(Stream::Data, 1, 9);
        assert_eq!(memory.rows(), 9);
        memory.forget(Stream::Management, 1, 8);
        assert_eq!(memory.rows(), 1);
        assert_eq!(memory.find_id(&key(), &8_u128.to_be_bytes()), None);
        assert_eq!(memory.find_id(&key(), &9_u128.to_be_bytes()), Some(9));
    }

    #[test]
    fn payloads_are_bounded_and_the_youngest_stay() {
        let memory = memory(9);
        assert!(memory.payload(7).is_none());
        assert!(memory.payload(8).is_some() && memory.payload(9).is_some());
    }
}

//! One indexed record, and the order of the history.

use crate::source::Stream;
use crate::term::Term;
use std::cmp::Ordering;
use trailbox_record::Category;

/// Where a record stands in the history: newest `eventTime` first, among equals
/// the one journalled later first. `Ord` follows that order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// `eventTime`, seconds since the epoch.
    pub(crate) time: i64,
    /// Journal sequence.
    pub(crate) sequence: u64,
}

impl Place {
    /// Before every record.
    pub(crate) const NEWEST: Self = Self { time: i64::MAX, sequence: u64::MAX };

    /// The place right behind this one.
    pub(crate) const fn behind(self) -> Self {
        match self.sequence.checked_sub(1) {
            Some(sequence) => Self { time: self.time, sequence },
            None => Self { time: self.time.saturating_sub(1), sequence: u64::MAX },
        }
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.time, other.sequence).cmp(&(self.time, self.sequence))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What the index keeps of one record.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) place: Place,
    pub(crate) event_id: [u8; 16],
    /// Sorted, each once.
    pub(crate) terms: Box<[Term]>,
}

/// Part of the file format: never renumber.
pub(crate) const fn category_code(category: Category) -> u8 {
    match category {
        Category::Management => 0,
        Category::Data => 1,
        Category::Insight => 2,
        Category::NetworkActivity => 3,
    }
}

/// The stream that holds records of category `code`.
pub(crate) const fn stream_of_code(code: u8) -> Stream {
    if code == 1 || code == 3 { Stream::Data } else { Stream::Management }
}

/// Which partition a record belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PartitionKey {
    pub(crate) account: String,
    pub(crate) region: String,
    /// [`category_code`] of the record's category.
    pub(crate) category: u8,
    /// Data key its terms are hashed under.
    pub(crate) key_id: u32,
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn newer_times_come_first_then_later_sequences() {
        let at = |time, sequence| Place { time, sequence };
        let mut places = [at(1, 9), at(2, 1), at(2, 3), at(0, 5)];
        places.sort();
        assert_eq!(places, [at(2, 3), at(2, 1), at(1, 9), at(0, 5)]);
        assert!(Place::NEWEST < places[0]);
        assert_eq!(at(2, 0).behind(), at(1, u64::MAX));
        assert!(at(2, 3) < at(2, 3).behind());
    }
}

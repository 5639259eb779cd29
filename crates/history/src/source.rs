//! The journal as the history reads it.
//!
//! A port: the history asks in these words, [`crate::JournalSource`] answers
//! from the journal's files, tests and benches answer from memory.

use bytes::Bytes;
use trailbox_clock::Micros;
use trailbox_record::Category;

/// One journal entry that matters to the history.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Dense number of the entry, from 1.
    pub sequence: u64,
    /// What it is.
    pub kind: EntryKind,
    /// Account that received the record.
    pub account: String,
    /// The record's Region.
    pub region: String,
    /// The record's category.
    pub category: Category,
    /// The record's `eventID`.
    pub event_id: [u8; 16],
    /// The record's JSON; empty for other kinds and for erased accounts.
    pub payload: Bytes,
}

/// What [`Source::after`] found.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Records and generations; other entries may be left out.
    pub entries: Vec<Entry>,
    /// Everything up to this sequence was looked at.
    pub through: u64,
}

/// What [`Source::fetch`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The record's JSON.
    Present(Bytes),
    /// The account's key was destroyed: nobody can read the record any more.
    Erased,
    /// Its segment was dropped, or lost.
    Missing,
}

/// What an entry is to the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A finished record, `OutcomeUnknown` ones included.
    Record,
    /// A new generation: `trailbox assert` counts from here.
    Generation,
    /// Anything else; only its sequence counts.
    Other,
}

/// Which of the two kept streams a sealed segment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// Management and Insight records: 90 days.
    Management,
    /// Data and network activity records: `[history] data_days`.
    Data,
}

impl Stream {
    /// The stream that records of `category` are sealed into.
    #[must_use]
    pub const fn of(category: Category) -> Self {
        match category {
            Category::Management | Category::Insight => Self::Management,
            Category::Data | Category::NetworkActivity => Self::Data,
        }
    }

    /// The word in file names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Management => "management",
            Self::Data => "data",
        }
    }
}

/// A sealed journal segment: it will never change, only be dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSegment {
    /// The journal's number of the segment.
    pub id: u64,
    /// Its stream.
    pub stream: Stream,
    /// Lowest sequence in it.
    pub first: u64,
    /// Highest sequence in it.
    pub last: u64,
    /// Newest arrival in it.
    pub newest: Micros,
}

/// Why the journal did not answer.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Try again later.
    #[error("journal is unavailable: {reason}")]
    Unavailable {
        /// What was seen, for the log.
        reason: String,
    },
    /// Bytes are not what was written; an operator must look.
    #[error("journal is damaged: {reason}")]
    Corrupt {
        /// What was seen, for the log.
        reason: String,
    },
}

/// The journal as the history reads it.
pub trait Source: std::fmt::Debug + Send + Sync {
    /// Entries behind `sequence`, in order, about `max`; at the end the batch
    /// leads no further than `sequence`.
    ///
    /// Every entry up to the end of the batch is durable. Should the journal
    /// have lost its unsynced end with the machine, the first entry may stand at
    /// `sequence` or before it: it takes the place of what was read there.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read.
    fn after(&self, sequence: u64, max: usize) -> Result<Batch, SourceError>;

    /// Every sealed segment that still exists, and the lowest sequence that is
    /// not sealed yet.
    ///
    /// # Errors
    ///
    /// When the journal cannot be listed.
    fn sealed(&self) -> Result<Sealed, SourceError>;

    /// Hands every entry of a sealed segment to `each`, in order.
    ///
    /// # Errors
    ///
    /// When the segment cannot be read to its end.
    fn read(&self, segment: &SealedSegment, each: &mut dyn FnMut(Entry))
    -> Result<(), SourceError>;

    /// The record at `sequence`.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read there.
    fn fetch(&self, sequence: u64) -> Result<Fetched, SourceError>;

    /// Removes a sealed segment whose records are past their retention.
    ///
    /// # Errors
    ///
    /// When the file could not be removed.
    fn drop_segment(&self, segment: &SealedSegment) -> Result<(), SourceError>;

    /// The secret that the index terms of `account` are hashed under: the one
    /// of key `id`, or the current one. `None` when the key was destroyed.
    ///
    /// # Errors
    ///
    /// When the key store cannot be read.
    fn secret(
        &self,
        account: &str,
        id: Option<u32>,
    ) -> Result<Option<(u32, [u8; 32])>, SourceError>;

    /// Nobody asks at present: what is kept for speed may be given back.
    fn rest(&self) {}
}

/// What [`Source::sealed`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Sealed segments in any order.
    pub segments: Vec<SealedSegment>,
    /// Every entry up to this sequence lies in a sealed segment (or was dropped with one).
    pub through: u64,
}

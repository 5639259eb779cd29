//! Event history: newest-first lookup over journal segments.
//!
//! The journal is the truth. A [`History`] follows it from the end of what is
//! sealed with an index in memory; when a journal segment is sealed, the index
//! of its records is written once, sorted in bulk, as an immutable, checksummed
//! index segment, and small index segments are merged into larger ones. A
//! lookup merges memory and segments newest first, opens only what may hold an
//! answer, reads the records themselves from the journal and lets each record
//! have the last word on whether it matches.
//!
//! Absent on purpose: no copy of any record and no readable name in an index
//! file (terms are keyed hashes), no clock or disk of its own, and no
//! state that cannot be made again from the journal.
//!
//! Start reading at [`History::lookup`].

mod cache;
mod codec;
mod files;
mod frozen;
mod history;
mod journal_source;
mod lookup;
mod memory;
mod merge;
mod query;
mod row;
mod segment;
mod source;
mod stats;
mod term;
mod upkeep;

pub use history::{History, HistoryOptions, OpenError};
pub use journal_source::JournalSource;
pub use query::{Attribute, Cursor, Hit, LookupError, Page, ParseAttributeError, Query};
#[doc(hidden)]
pub use segment::read_foreign;
pub use source::{
    Batch, Entry, EntryKind, Fetched, Sealed, SealedSegment, Source, SourceError, Stream,
};
pub use stats::HistoryStats;
pub use upkeep::Upkeep;

//! The journal: accept, make durable, read from a position.
//!
//! A [`Journal`] has one writer thread. Callers hand it [`Frame`]s, already
//! encrypted on their own threads; the writer numbers everything that waits,
//! writes it at once, syncs once and wakes everybody (group commit). A
//! [`Reader`], here or in another process, follows the files and never sees a
//! frame before it is durable. `FORMAT.md` describes every byte.
//!
//! Absent on purpose: nothing here reads a record's JSON, knows HTTP, or
//! repairs damage silently.
//!
//! Start reading at [`Journal::append`].

mod data_keys;
pub mod disk;
mod encoder;
mod error;
mod format;
mod frame;
mod frames;
mod inspect;
mod journal;
mod names;
mod options;
mod position;
mod reader;
mod recovery;
mod scan;
mod sealed;
mod sealing;
mod stats;
mod stepper;
mod unpack;
mod writer;

pub use format::decode_foreign;

pub use data_keys::{DataKey, DataKeys, KeyError};
pub use error::{Admission, AppendError, Corruption, OpenError, ReadError, Refusal};
pub use frame::{
    DATA, Extension, Frame, FrameKind, INSIGHT, MANAGEMENT, NETWORK_ACTIVITY, Payload, StoredFrame,
};
pub use inspect::{Checked, Damage, FileStats, Finding, Inspector, Progress, Repair, Repaired};
pub use journal::{Journal, Recovery};
pub use options::Options;
pub use position::{ParsePositionError, Position};
pub use reader::{Reader, SegmentInfo, Stream};
pub use stats::{JournalStats, SYNC_BOUNDS};
pub use stepper::Stepper;
pub use unpack::unpack;

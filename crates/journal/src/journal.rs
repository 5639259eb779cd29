//! The journal as its owner sees it.

use crate::disk::Disk;
use crate::{
    Admission, AppendError, DataKeys, Frame, JournalStats, OpenError, Options, Position,
    StoredFrame,
};
use std::sync::Arc;
use tokio::sync::watch;
use trailbox_clock::{Clock, Micros, Random};

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Position of the last durable frame.
    pub position: Position,
    /// Bytes of a torn, never acknowledged tail that were cut off.
    pub truncated_bytes: u64,
    /// Intents without a record, oldest first. They stand in the new segment
    /// already; append a record of the same event id to resolve each.
    pub open_intents: Vec<StoredFrame>,
    /// After anything but a clean close: from the last commit to now. Seen
    /// counts of that time are lost.
    pub counter_lost: Option<(Micros, Micros)>,
}

/// One node's journal, open for appending. Share it in an `Arc`.
#[derive(Debug)]
pub struct Journal {}

impl Journal {
    /// Opens or creates the journal and recovers what a crash left.
    ///
    /// # Errors
    ///
    /// Another owner, another node, a newer format, or damage: each by name.
    pub fn open(
        _disk: Arc<dyn Disk>,
        _keys: Arc<dyn DataKeys>,
        _clock: Arc<dyn Clock>,
        _random: Arc<dyn Random>,
        _options: Options,
    ) -> Result<(Self, Recovery), OpenError> {
        unimplemented!()
    }

    /// Appends one frame; resolves when it is durable.
    ///
    /// Waits while the queue is full: back-pressure.
    ///
    /// # Errors
    ///
    /// See [`AppendError`]: the variants say what is known.
    pub async fn append(&self, _frame: Frame) -> Result<Position, AppendError> {
        unimplemented!()
    }

    /// Appends `frames` side by side, in this order; resolves with the last
    /// one's position when all are durable.
    ///
    /// # Errors
    ///
    /// See [`AppendError`]; then none of them is acknowledged.
    pub async fn append_all(&self, _frames: Vec<Frame>) -> Result<Position, AppendError> {
        unimplemented!()
    }

    /// Queues one frame and does not wait: it is durable soon, unless the
    /// process dies first.
    ///
    /// # Errors
    ///
    /// [`AppendError::Refused`] when the queue is full.
    pub fn submit(&self, _frame: Frame) -> Result<(), AppendError> {
        unimplemented!()
    }

    /// Whether new calls may pass. Cheap: ask for every call.
    #[must_use]
    pub fn admission(&self) -> Admission {
        unimplemented!()
    }

    /// Position of the last durable frame.
    #[must_use]
    pub fn durable(&self) -> Position {
        unimplemented!()
    }

    /// Follows [`durable`](Self::durable).
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Position> {
        unimplemented!()
    }

    /// Counters and levels.
    #[must_use]
    pub fn stats(&self) -> JournalStats {
        unimplemented!()
    }

    /// Writes what is queued, notes a clean end and gives the directory up.
    ///
    /// # Errors
    ///
    /// When something queued could not be made durable.
    pub async fn close(&self) -> Result<(), AppendError> {
        unimplemented!()
    }
}

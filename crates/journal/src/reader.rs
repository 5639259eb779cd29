//! Reading the journal, from this process or another, while it is written.

use crate::disk::Disk;
use crate::{DataKeys, Position, ReadError, StoredFrame};
use std::path::PathBuf;
use std::sync::Arc;
use trailbox_clock::Micros;

/// Which file a segment's frames lie in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// Not sealed yet: all frames in one file.
    Open,
    /// Sealed: management and Insight frames.
    Management,
    /// Sealed: data and network activity frames.
    Data,
}

/// One file of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// First sequence of the segment; its streams share it.
    pub id: u64,
    /// Which of the segment's files.
    pub stream: Stream,
    /// First sequence the file covers.
    pub first: u64,
    /// Last sequence the file covers; `first - 1` while it has none.
    pub last: u64,
    /// Size of the file.
    pub bytes: u64,
    /// Frames in this file.
    pub records: u64,
    /// Earliest arrival of a frame in it, if any.
    pub min_arrival: Option<Micros>,
    /// Latest arrival of a frame in it, if any.
    pub max_arrival: Option<Micros>,
}

/// Reads a journal in position order, and single frames by sequence.
///
/// Holds no lock and writes nothing, except that [`drop_segment`](Self::drop_segment)
/// removes files. Never returns a frame that is not durable.
#[derive(Debug)]
pub struct Reader {}

impl Reader {
    /// Opens the journal in `dir`, which may be empty or not there yet.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn open(
        _disk: Arc<dyn Disk>,
        _keys: Arc<dyn DataKeys>,
        _dir: impl Into<PathBuf>,
    ) -> Result<Self, ReadError> {
        unimplemented!()
    }

    /// Continues after `after`; [`Position::default`] starts at the oldest frame.
    pub fn from(&mut self, _after: Position) {
        unimplemented!()
    }

    /// Position of the last frame returned, or what [`from`](Self::from) set.
    #[must_use]
    pub fn position(&self) -> Position {
        unimplemented!()
    }

    /// The next frames, at most `max`, in order; empty when there are none yet.
    ///
    /// # Errors
    ///
    /// See [`ReadError`]; the position stays where it was.
    pub fn next_batch(&mut self, _max: usize) -> Result<Vec<StoredFrame>, ReadError> {
        unimplemented!()
    }

    /// The frame with this sequence.
    ///
    /// # Errors
    ///
    /// [`ReadError::NoSuchFrame`] when it is not (or no longer) there.
    pub fn fetch(&self, _sequence: u64) -> Result<StoredFrame, ReadError> {
        unimplemented!()
    }

    /// The files of the journal, oldest first.
    ///
    /// # Errors
    ///
    /// When they cannot be listed or read.
    pub fn segments(&self) -> Result<Vec<SegmentInfo>, ReadError> {
        unimplemented!()
    }

    /// Removes one sealed stream of a segment: retention. Removing what is
    /// gone already succeeds.
    ///
    /// # Errors
    ///
    /// When the file cannot be removed; an open segment never is.
    pub fn drop_segment(&self, _id: u64, _stream: Stream) -> Result<(), ReadError> {
        unimplemented!()
    }
}

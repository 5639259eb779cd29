//! Looking a journal over, frame by frame: check, stats, repair.
//!
//! Checking reads files and writes nothing, so it may run beside a server.
//! Absent: any judgement about records; a payload is bytes here too.
//!
//! Start reading at [`Inspector::check`].

mod check;
mod open_file;
mod repair;
mod sealed_file;
mod stats;

pub use repair::{Repair, Repaired};
pub use stats::FileStats;

use crate::disk::{Claim, ClaimError, Disk};
use crate::error::{FileFault, at};
use crate::{Corruption, DataKeys, OpenError, ReadError, names};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Looks over the journal in a directory.
#[derive(Debug)]
pub struct Inspector {
    disk: Arc<dyn Disk>,
    keys: Arc<dyn DataKeys>,
    dir: PathBuf,
}

/// What is wrong, by what can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Frames of an unsealed segment; what follows them can be read.
    Frames,
    /// The end of a complete unsealed segment, or all of it.
    Rest,
    /// One block of a sealed file.
    Block,
    /// A sealed file as a whole: nothing of it can be read.
    File,
    /// No file holds these frames.
    Missing,
    /// The mark names durable frames that are not there.
    Mark,
    /// Two files do not fit together. Repair leaves this to a person.
    Order,
    /// A data key is missing. Repair leaves this to a person: find the key.
    Key,
}

/// One damaged place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What can be done about it.
    pub damage: Damage,
    /// File, offset, reason, and the frames that cannot be read.
    pub place: Corruption,
    /// How many frames cannot be read: in a block not every sequence between
    /// first and last.
    pub frames: u64,
    /// Which part of the file: a block's number, or where reading goes on.
    part: u64,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// Files read.
    pub files: u64,
    /// Frames that are there and whole.
    pub frames: u64,
    /// Bytes read.
    pub bytes: u64,
    /// What is wrong, oldest first.
    pub findings: Vec<Finding>,
    /// What is worth knowing and no damage: torn tails, streams set aside.
    pub notes: Vec<String>,
}

/// How far a check is: bytes done, bytes in all.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

impl Inspector {
    /// Looks over the journal in `dir`.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, keys: Arc<dyn DataKeys>, dir: impl Into<PathBuf>) -> Self {
        Self { disk, keys, dir: dir.into() }
    }

    /// Claims the journal, as a server does.
    ///
    /// # Errors
    ///
    /// [`OpenError::InUse`] with the owner's pid.
    fn claim(&self) -> Result<Box<dyn Claim>, OpenError> {
        let lock = self.dir.join(names::LOCK);
        let owner = std::process::id().to_string();
        self.disk.claim(&lock, &owner).map_err(|err| match err {
            ClaimError::Held { owner } => OpenError::InUse { dir: self.dir.clone(), owner },
            ClaimError::Disk(source) => OpenError::Disk { file: lock, action: "claim", source },
        })
    }

    /// Whether a server has the journal now.
    #[must_use]
    pub fn in_use(&self) -> bool {
        matches!(self.claim(), Err(OpenError::InUse { .. }))
    }

    /// Size of all files that will be read. Bytes.
    fn total(&self, segments: &[names::Segment]) -> u64 {
        let sizes = segments.iter().flat_map(|segment| self.paths(segment)).map(|path| {
            // A file that is gone meanwhile takes nothing.
            self.disk.open(&path, true).and_then(|file| file.len()).unwrap_or(0)
        });
        sizes.sum()
    }

    /// The files of a segment that readers use.
    fn paths(&self, segment: &names::Segment) -> Vec<PathBuf> {
        if !segment.is_sealed() {
            return vec![self.dir.join(names::open_name(segment.first, segment.epoch))];
        }
        let streams = [crate::Stream::Management, crate::Stream::Data];
        streams.into_iter().filter_map(|stream| self.sealed_path(segment, stream)).collect()
    }

    fn sealed_path(&self, segment: &names::Segment, stream: crate::Stream) -> Option<PathBuf> {
        let names::Segment { first, last, epoch, .. } = *segment;
        let name = match segment.presence(stream) {
            names::Presence::Absent => return None,
            names::Presence::Sealed => names::sealed_name(first, last, epoch, stream),
            names::Presence::Dropped => names::dropped_name(first, last, epoch, stream),
        };
        Some(self.dir.join(name))
    }

    fn segments(&self) -> Result<Vec<names::Segment>, ReadError> {
        Ok(names::segments(&*self.disk, &self.dir).map_err(at(&self.dir, "list"))?)
    }
}

impl Finding {
    fn new(damage: Damage, place: Corruption) -> Self {
        let frames = place.last_affected.saturating_sub(place.first_affected).saturating_add(1);
        Self { damage, place, frames, part: 0 }
    }
}

fn place(file: &Path, offset: u64, what: impl Into<String>, affected: (u64, u64)) -> Corruption {
    let (first_affected, last_affected) = affected;
    Corruption { file: file.to_owned(), offset, what: what.into(), first_affected, last_affected }
}

/// Damage as a finding; everything else ends the inspection.
fn finding(fault: FileFault, damage: Damage, affected: (u64, u64)) -> Result<Finding, FileFault> {
    match fault {
        FileFault::Corrupt(found) => {
            let place = place(&found.file, found.offset, found.what, affected);
            Ok(Finding::new(damage, place))
        }
        other @ (FileFault::Unsupported { .. } | FileFault::Key(_) | FileFault::Disk { .. }) => {
            Err(other)
        }
    }
}

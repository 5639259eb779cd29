//! What can go wrong, by what the reader of the error does next.

use crate::KeyError;
use std::path::{Path, PathBuf};

/// Why a journal does not open. Each needs a person.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has this journal.
    #[error("journal {} is in use by process {owner}", dir.display())]
    InUse {
        /// The journal's directory.
        dir: PathBuf,
        /// What the owner wrote into the lock file: its pid.
        owner: String,
    },
    /// The directory belongs to another node.
    #[error("journal {} belongs to node {found}, this is node {expected}", dir.display())]
    OtherNode {
        /// The journal's directory.
        dir: PathBuf,
        /// The node written in it, hex.
        found: String,
        /// This node, hex.
        expected: String,
    },
    /// The data keys of this journal are wrapped by another master key.
    #[error("{} was written under master key {found}, this is master key {expected}", file.display())]
    OtherMasterKey {
        /// The file that says so.
        file: PathBuf,
        /// Fingerprint written in it, hex.
        found: String,
        /// Fingerprint of the key at hand, hex.
        expected: String,
    },
    /// A newer release wrote this.
    #[error("{}: {what}", file.display())]
    Unsupported {
        /// The file.
        file: PathBuf,
        /// The version, kind or feature this release does not know, by name.
        what: String,
    },
    /// Frames that were durable once cannot be read now. Never repaired silently.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    /// A data key cannot be had.
    #[error("journal key: {0}")]
    Key(#[from] KeyError),
    /// The disk said no.
    #[error("{}: cannot {action}: {source}", file.display())]
    Disk {
        /// The file.
        file: PathBuf,
        /// What was being done to it.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Damage inside what was durable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} is damaged at byte {offset}: {what}; affected: frames {first_affected} to {last_affected}",
    file.display()
)]
pub struct Corruption {
    /// The damaged file.
    pub file: PathBuf,
    /// Byte at which the damage was noticed.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
    /// First sequence that cannot be read.
    pub first_affected: u64,
    /// Last sequence that cannot be read, as far as is known.
    pub last_affected: u64,
}

/// Why a frame is not durable. The variants are what a caller does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Nothing was kept. Refuse the call if it was not forwarded yet. One case
    /// is open: the disk failed under the very frame, and the process or the
    /// machine died before the journal was well again; then it may be there.
    #[error("journal refuses: {0}")]
    Refused(Refusal),
    /// Not durable now; the journal holds the frame and writes it as soon as
    /// the disk takes it. Do not send it again.
    #[error("journal is late: {0}")]
    Delayed(Refusal),
    /// The frame itself is wrong; it will never be accepted.
    #[error("frame is not acceptable: {what}")]
    Invalid {
        /// The broken rule, with the value.
        what: String,
    },
    /// No data key, so nothing may be written for this account.
    #[error("journal key: {0}")]
    Key(#[from] KeyError),
}

/// Why new calls are not admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The queue to the writer is full.
    #[error("queue is full with {frames} frames")]
    QueueFull {
        /// Frames waiting.
        frames: usize,
    },
    /// The disk has only room for the outcomes of calls already admitted.
    #[error("disk is full: {available} bytes available beside the reserve")]
    DiskFull {
        /// Bytes available beside the reserve.
        available: u64,
    },
    /// A write failed; tried again each second.
    #[error("write failed: {reason}")]
    Write {
        /// What the system said.
        reason: String,
    },
    /// A sync failed; what is on the disk is being verified.
    #[error("sync failed: {reason}")]
    Sync {
        /// What the system said.
        reason: String,
    },
    /// What was durable cannot be read back. Needs a person.
    #[error("durable content is damaged: {0}")]
    Damaged(Corruption),
    /// The journal was closed.
    #[error("journal is closed")]
    Closed,
}

/// Whether new calls may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Open,
    /// No new ones; outcomes of admitted calls are still taken.
    Refusing {
        /// Why.
        reason: Refusal,
    },
}

/// Why reading stopped.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Damage: stop and tell.
    #[error(transparent)]
    Corrupt(#[from] Corruption),
    /// A newer release wrote this.
    #[error("{}: {what}", file.display())]
    Unsupported {
        /// The file.
        file: PathBuf,
        /// The version, kind or feature this release does not know, by name.
        what: String,
    },
    /// A data key cannot be had. An erased key is no error: the frame's
    /// payload is [`Payload::Erased`](crate::Payload::Erased).
    #[error("journal key: {0}")]
    Key(#[from] KeyError),
    /// These frames are not in the directory, though later ones are.
    #[error("frames {first} to {last} are missing from the journal")]
    Missing {
        /// First missing sequence.
        first: u64,
        /// Last missing sequence.
        last: u64,
    },
    /// No such frame: dropped by retention, or not written yet.
    #[error("the journal has no frame {sequence}")]
    NoSuchFrame {
        /// The sequence asked for.
        sequence: u64,
    },
    /// The position belongs to another node's journal.
    #[error("position belongs to node {found}, this journal to node {expected}")]
    OtherNode {
        /// The node of the position, hex.
        found: String,
        /// The node of the journal, hex.
        expected: String,
    },
    /// The disk said no; try again later.
    #[error("{}: cannot {action}: {source}", file.display())]
    Disk {
        /// The file.
        file: PathBuf,
        /// What was being done to it.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What can be wrong with a file, before it is known who asks.
#[derive(Debug)]
pub(crate) enum FileFault {
    Corrupt(Corruption),
    Unsupported { file: PathBuf, what: String },
    Key(KeyError),
    Disk { file: PathBuf, action: &'static str, source: std::io::Error },
}

impl From<KeyError> for FileFault {
    fn from(err: KeyError) -> Self {
        Self::Key(err)
    }
}

/// Names the file and what was done to it in a system's error.
pub(crate) fn at(file: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> FileFault {
    let file = file.to_owned();
    move |source| FileFault::Disk { file, action, source }
}

impl From<FileFault> for OpenError {
    fn from(fault: FileFault) -> Self {
        match fault {
            FileFault::Corrupt(corruption) => Self::Corrupt(corruption),
            FileFault::Unsupported { file, what } => Self::Unsupported { file, what },
            FileFault::Key(err) => Self::Key(err),
            FileFault::Disk { file, action, source } => Self::Disk { file, action, source },
        }
    }
}

impl From<FileFault> for ReadError {
    fn from(fault: FileFault) -> Self {
        match fault {
            FileFault::Corrupt(corruption) => Self::Corrupt(corruption),
            FileFault::Unsupported { file, what } => Self::Unsupported { file, what },
            FileFault::Key(err) => Self::Key(err),
            FileFault::Disk { file, action, source } => Self::Disk { file, action, source },
        }
    }
}

impl std::fmt::Display for FileFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Corrupt(corruption) => corruption.fmt(f),
            Self::Unsupported { file, what } => write!(f, "{}: {what}", file.display()),
            Self::Key(err) => write!(f, "journal key: {err}"),
            Self::Disk { file, action, source } => {
                write!(f, "{}: cannot {action}: {source}", file.display())
            }
        }
    }
}

//! The disk as a port, so that a simulation can own it.
//!
//! One is the machine's; a simulated one lives in memory, fails
//! where it is told and forgets what was not synced when its power is cut.

mod counted;
mod real;
mod simulated;

pub(crate) use counted::Counted;
pub use real::RealDisk;
pub use simulated::{Fault, SimulatedDisk};

use std::io;
use std::path::Path;

/// Room on the disk that holds a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Space {
    /// Bytes of the whole file system.
    pub total: u64,
    /// Bytes an unprivileged process may still write.
    pub available: u64,
}

impl Space {
    /// How full the disk is, percent. Watermarks: warn at 70, shed optional
    /// readers at 85.
    #[must_use]
    pub fn used_percent(&self) -> u8 {
        if self.total == 0 {
            return 0;
        }
        let used = u128::from(self.total.saturating_sub(self.available));
        u8::try_from(used * 100 / u128::from(self.total)).unwrap_or(100)
    }
}

/// An exclusive claim on a lock file; given up when dropped.
pub trait Claim: std::fmt::Debug + Send + Sync {}

/// Why a lock file could not be claimed.
#[derive(Debug)]
pub enum ClaimError {
    /// Another process holds it.
    Held {
        /// What the owner wrote into the file: its pid.
        owner: String,
    },
    /// The disk said no.
    Disk(io::Error),
}

/// Files in directories, and what survives a crash of the machine.
pub trait Disk: std::fmt::Debug + Send + Sync {
    /// Creates `dir` and its parents, and makes that survive.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Names of the files in `dir`, in no order.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// A new, empty file. It survives once it and its directory are synced.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`, or what the system says.
    fn create(&self, file: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// An existing file, for reading and, unless `read_only`, for writing.
    ///
    /// # Errors
    ///
    /// `NotFound`, or what the system says.
    fn open(&self, file: &Path, read_only: bool) -> io::Result<Box<dyn DiskFile>>;

    /// Renames, replacing `to`. Survives once the directory is synced.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Open handles stay readable. Survives once the
    /// directory is synced.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn remove(&self, file: &Path) -> io::Result<()>;

    /// Makes creations, renames and removals in `dir` survive a crash.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Tells one version of a file from the next: a file that is replaced or
    /// written has another one.
    ///
    /// # Errors
    ///
    /// `NotFound`, or what the system says; `Unsupported` where a disk cannot
    /// tell.
    fn version(&self, file: &Path) -> io::Result<[i64; 3]> {
        let _ = file;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Room on the disk that holds `dir`.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn space(&self, dir: &Path) -> io::Result<Space>;

    /// Claims the lock file `file`, writing `owner` into it.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Held`] while another process lives that holds it.
    fn claim(&self, file: &Path, owner: &str) -> Result<Box<dyn Claim>, ClaimError>;
}

/// An open file.
pub trait DiskFile: std::fmt::Debug + Send + Sync {
    /// Reads at `offset` until `buffer` is full or the file ends; says how much.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`. After an error any part of them may
    /// have been written. Survives once synced.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes the content and the length survive a crash. After an error
    /// nothing is known about what was written since the last sync, and
    /// asking again proves nothing.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn sync(&self) -> io::Result<()>;

    /// How long the file is.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn len(&self) -> io::Result<u64>;

    /// Cuts or extends the file. Survives once synced.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Takes room for `len` bytes, so that the file system cannot give it to
    /// anyone else; the file is at least that long afterwards.
    ///
    /// # Errors
    ///
    /// `StorageFull`, or what the system says.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Asks the system to forget what it holds of this file in memory, so
    /// that the next read sees the disk itself. Best effort.
    fn forget_cache(&self);

    /// Whether the file is empty.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

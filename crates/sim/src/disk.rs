//! The disk as the recorder sees it: the simulated one, watched.
//!
//! Whoever reads the journal from another process reads at any moment. Here
//! they are let in before every change of a file, so in the middle of the
//! writer's, the sealer's and the history's own steps. A mutant's disk lies.

use crate::mutant::Mutant;
use crate::world::World;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};
use trailbox_journal::disk::{Claim, ClaimError, Disk, DiskFile, SimulatedDisk, Space};

/// A simulated disk that others look at.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    inner: SimulatedDisk,
    mutant: Option<Mutant>,
    world: Arc<OnceLock<Weak<World>>>,
}

impl Watched {
    pub(crate) fn new(inner: SimulatedDisk, mutant: Option<Mutant>) -> Self {
        Self { inner, mutant, world: Arc::default() }
    }

    /// Lets everybody in `world` look from now on.
    pub(crate) fn watched_by(&self, world: &Arc<World>) {
        // Set once, when the world is made.
        let _ = self.world.set(Arc::downgrade(world));
    }

    fn look(&self) {
        if let Some(world) = self.world.get().and_then(Weak::upgrade) {
            world.glance();
        }
    }

    fn lies(&self, directory: bool) -> bool {
        self.mutant.is_some_and(|mutant| mutant.lies(directory))
    }

    fn file(&self, inner: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(WatchedFile { inner, disk: self.clone() })
    }
}

impl Disk for Watched {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn create(&self, file: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.look();
        self.inner.create(file).map(|file| self.file(file))
    }

    fn open(&self, file: &Path, read_only: bool) -> io::Result<Box<dyn DiskFile>> {
        self.inner.open(file, read_only).map(|file| self.file(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.look();
        self.inner.rename(from, to)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.look();
        self.inner.remove(file)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.look();
        if self.lies(true) { Ok(()) } else { self.inner.sync_dir(dir) }
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        self.inner.space(dir)
    }

    fn claim(&self, file: &Path, owner: &str) -> Result<Box<dyn Claim>, ClaimError> {
        self.inner.claim(file, owner)
    }
}

#[derive(Debug)]
struct WatchedFile {
    inner: Box<dyn DiskFile>,
    disk: Watched,
}

impl DiskFile for WatchedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.look();
        self.inner.write_at(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.look();
        if self.disk.lies(false) { Ok(()) } else { self.inner.sync() }
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.look();
        self.inner.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.inner.allocate(len)
    }

    fn forget_cache(&self) {
        self.inner.forget_cache();
    }
}

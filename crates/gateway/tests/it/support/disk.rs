//! A disk whose syncs wait behind a gate.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use trailbox_journal::disk::{Claim, ClaimError, Disk, DiskFile, SimulatedDisk, Space};

/// A simulated disk that syncs only while its gate is open.
#[derive(Debug, Clone)]
pub struct GatedDisk {
    inner: SimulatedDisk,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl GatedDisk {
    /// An open gate.
    pub fn new() -> Self {
        Self { inner: SimulatedDisk::new(1), gate: Arc::new((Mutex::new(true), Condvar::new())) }
    }

    pub fn set_open(&self, open: bool) {
        *self.gate.0.lock().unwrap() = open;
        self.gate.1.notify_all();
    }

    pub fn simulated(&self) -> &SimulatedDisk {
        &self.inner
    }

    fn file(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(GatedFile { inner: file, gate: Arc::clone(&self.gate) })
    }
}

#[derive(Debug)]
struct GatedFile {
    inner: Box<dyn DiskFile>,
    gate: Arc<(Mutex<bool>, Condvar)>,
}

impl Disk for GatedDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn create(&self, file: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.inner.create(file).map(|file| self.file(file))
    }

    fn open(&self, file: &Path, read_only: bool) -> io::Result<Box<dyn DiskFile>> {
        self.inner.open(file, read_only).map(|file| self.file(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.inner.remove(file)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.sync_dir(dir)
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        self.inner.space(dir)
    }

    fn claim(&self, file: &Path, owner: &str) -> Result<Box<dyn Claim>, ClaimError> {
        self.inner.claim(file, owner)
    }
}

impl DiskFile for GatedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_at(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        let open = self.gate.0.lock().unwrap();
        // Not for ever: a test that fails must end.
        let patience = std::time::Duration::from_secs(5);
        drop(self.gate.1.wait_timeout_while(open, patience, |open| !*open).unwrap());
        self.inner.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.inner.allocate(len)
    }

    fn forget_cache(&self) {
        self.inner.forget_cache();
    }
}

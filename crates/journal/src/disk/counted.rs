//! A disk that counts the bytes written to it: for write amplification.

use super::{Claim, ClaimError, Disk, DiskFile, Space};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Another disk, with every write counted. Room that is only taken is not.
#[derive(Debug)]
pub(crate) struct Counted {
    disk: Arc<dyn Disk>,
    written: Arc<AtomicU64>,
}

impl Counted {
    pub(crate) fn new(disk: Arc<dyn Disk>, written: Arc<AtomicU64>) -> Self {
        Self { disk, written }
    }

    fn file(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(CountedFile { file, written: Arc::clone(&self.written) })
    }
}

impl Disk for Counted {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn create(&self, file: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(self.disk.create(file)?))
    }

    fn open(&self, file: &Path, read_only: bool) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(self.disk.open(file, read_only)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.disk.remove(file)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn version(&self, file: &Path) -> io::Result<[i64; 3]> {
        self.disk.version(file)
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        self.disk.space(dir)
    }

    fn claim(&self, file: &Path, owner: &str) -> Result<Box<dyn Claim>, ClaimError> {
        self.disk.claim(file, owner)
    }
}

#[derive(Debug)]
struct CountedFile {
    file: Box<dyn DiskFile>,
    written: Arc<AtomicU64>,
}

impl DiskFile for CountedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.written.fetch_add(bytes.len() as u64, Relaxed);
        self.file.write_at(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }

    fn forget_cache(&self) {
        self.file.forget_cache();
    }
}

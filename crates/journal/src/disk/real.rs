//! The machine's own disk.

use super::{Claim, ClaimError, Disk, DiskFile, Space};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The file system of this machine. Files are made with mode 0600.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        std::fs::create_dir_all(dir)?;
        match dir.parent() {
            Some(parent) if parent != Path::new("") => self.sync_dir(parent),
            _ => Ok(()),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        std::fs::read_dir(dir)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn create(&self, file: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        Ok(Box::new(RealFile(options.open(file)?)))
    }

    fn open(&self, file: &Path, read_only: bool) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(!read_only).open(file)?;
        Ok(Box::new(RealFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        std::fs::remove_file(file)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn version(&self, file: &Path) -> io::Result<[i64; 3]> {
        let file = std::fs::metadata(file)?;
        Ok([file.ino().cast_signed(), file.mtime(), file.mtime_nsec()])
    }

    fn space(&self, dir: &Path) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(Space {
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
            available: stat.f_bavail.saturating_mul(stat.f_frsize),
        })
    }

    fn claim(&self, file: &Path, owner: &str) -> Result<Box<dyn Claim>, ClaimError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock = options.open(file).map_err(ClaimError::Disk)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // Who holds it is a hint for a person; the lock is the fact.
                let _ = lock.read_to_string(&mut owner);
                return Err(ClaimError::Held { owner: owner.trim().to_owned() });
            }
            Err(TryLockError::Error(err)) => return Err(ClaimError::Disk(err)),
        }
        lock.set_len(0).and_then(|()| writeln!(lock, "{owner}")).map_err(ClaimError::Disk)?;
        Ok(Box::new(RealClaim(lock)))
    }
}

/// Keeps the lock until it is closed.
#[derive(Debug)]
struct RealClaim(#[expect(dead_code, reason = "held for its lock")] File);

impl Claim for RealClaim {}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.0.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let flags = rustix::fs::FallocateFlags::empty();
        match rustix::fs::fallocate(&self.0, flags, 0, len) {
            Err(rustix::io::Errno::OPNOTSUPP) => self.fill(len),
            other => Ok(other?),
        }
    }

    fn forget_cache(&self) {
        // Best effort by contract: a system without it reads its cache.
        let _ = rustix::fs::fadvise(&self.0, 0, None, rustix::fs::Advice::DontNeed);
    }
}

impl RealFile {
    /// Takes room the slow way, where the file system cannot promise it.
    fn fill(&self, len: u64) -> io::Result<()> {
        let zeros = vec![0; 1 << 20];
        let mut at = 0;
        while at < len {
            let part = (len - at).min(zeros.len() as u64);
            self.0.write_all_at(&zeros[..usize::try_from(part).unwrap_or(0)], at)?;
            at += part;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{ClaimError, Disk, RealDisk};

    #[test]
    fn a_second_claim_is_told_who_holds_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("lock");
        let first = RealDisk.claim(&file, "4711").unwrap();
        assert!(
            matches!(RealDisk.claim(&file, "4712"), Err(ClaimError::Held { owner }) if owner == "4711")
        );
        drop(first);
        assert!(RealDisk.claim(&file, "4712").is_ok());
    }

    #[test]
    fn room_can_be_taken_and_measured() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealDisk.create(&dir.path().join("reserve")).unwrap();
        file.allocate(100_000).unwrap();
        assert_eq!(file.len().unwrap(), 100_000);
        let space = RealDisk.space(dir.path()).unwrap();
        assert!(
            space.available > 0 && space.available <= space.total && space.used_percent() <= 100
        );
    }
}

//! Files that a crash cannot halve.
//!
//! An object file is its bytes, then its description as JSON, then a footer of
//! 24 bytes: length of the JSON (u32), its CRC32C (u32), length of the bytes
//! (u64), the mark `TBXOBJ1\n`; numbers little-endian. A file without a sound
//! footer is not an object.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

const MARK: &[u8; 8] = b"TBXOBJ1\n";
const FOOTER: usize = 24;
/// No description of ours comes near this; a longer one is a damaged footer.
const DESCRIPTION_MAX: u64 = 16 * 1024 * 1024;

/// A file that vanishes when dropped, unless it was renamed into place.
#[derive(Debug)]
pub(crate) struct Aside {
    path: PathBuf,
    kept: bool,
}

impl Aside {
    /// Makes a new, empty file at `path`.
    pub(crate) fn create(path: PathBuf) -> io::Result<(Self, File)> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        Ok((Self { path, kept: false }, file))
    }

    /// Renames the file to `place`. The caller has synced the file and syncs
    /// the directory.
    pub(crate) fn settle(mut self, place: &Path) -> io::Result<()> {
        fs::rename(&self.path, place)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.kept {
            // A leftover costs space until the next start, nothing else.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes description and footer behind `data_len` bytes, then syncs the file.
pub(crate) fn finish<T: Serialize>(file: &mut File, data_len: u64, about: &T) -> io::Result<()> {
    let json = serde_json::to_vec(about)?;
    let json_len = u32::try_from(json.len()).map_err(|_| damaged("description too long"))?;
    let mut tail = json;
    let crc = crc32c::crc32c(&tail);
    tail.extend_from_slice(&json_len.to_le_bytes());
    tail.extend_from_slice(&crc.to_le_bytes());
    tail.extend_from_slice(&data_len.to_le_bytes());
    tail.extend_from_slice(MARK);
    file.write_all(&tail)?;
    file.sync_all()
}

/// Reads the description of an object file, and how many bytes stand before it.
pub(crate) fn about<T: DeserializeOwned>(file: &File) -> io::Result<(T, u64)> {
    let len = file.metadata()?.len();
    let footer_at =
        len.checked_sub(FOOTER as u64).ok_or_else(|| damaged("shorter than a footer"))?;
    let mut footer = [0; FOOTER];
    file.read_exact_at(&mut footer, footer_at)?;
    let (numbers, mark) = footer.split_at(16);
    if mark != MARK {
        return Err(damaged("no mark at its end"));
    }
    let json_len = u64::from(u32::from_le_bytes(word(&numbers[..4])));
    let crc = u32::from_le_bytes(word(&numbers[4..8]));
    let data_len = u64::from_le_bytes(word(&numbers[8..]));
    if json_len > DESCRIPTION_MAX || data_len.checked_add(json_len) != Some(footer_at) {
        return Err(damaged("lengths in the footer do not add up"));
    }
    let mut json = vec![0; usize::try_from(json_len).unwrap_or(0)];
    file.read_exact_at(&mut json, data_len)?;
    if crc32c::crc32c(&json) != crc {
        return Err(damaged("checksum of the description is wrong"));
    }
    Ok((serde_json::from_slice(&json)?, data_len))
}

fn word<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut word = [0; N];
    word.copy_from_slice(&bytes[..N]);
    word
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("object file is damaged: {what}"))
}

/// Opens an object file; `None` when there is none.
pub(crate) fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// Replaces the file at `place` by `value` as JSON, through `aside`.
pub(crate) fn write_json<T: Serialize>(aside: PathBuf, place: &Path, value: &T) -> io::Result<()> {
    let (guard, mut file) = Aside::create(aside)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    file.sync_all()?;
    guard.settle(place)?;
    sync_parent(place)
}

/// Reads a JSON file; `None` when there is none.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// Removes a file, whether or not it is there; true when it was.
pub(crate) fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(cause),
    }
}

/// Makes names in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes the name of `path` durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync_dir)
}

/// Makes `dir` below an existing parent, durably, when it is not there.
pub(crate) fn ensure_dir(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Ok(()) => sync_parent(dir),
        Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(cause) => Err(cause),
    }
}

/// Removes everything inside `dir` and leaves `dir` itself.
pub(crate) fn empty_dir(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Aside, about, finish};
    use proptest::prelude::*;
    use std::io::Write as _;

    #[test]
    fn a_file_aside_vanishes_unless_settled() {
        let dir = tempfile::tempdir().unwrap();
        drop(Aside::create(dir.path().join("a")).unwrap());
        assert!(!dir.path().join("a").exists());
        let (aside, _file) = Aside::create(dir.path().join("a")).unwrap();
        aside.settle(&dir.path().join("b")).unwrap();
        assert!(dir.path().join("b").exists());
    }

    #[test]
    fn a_truncated_object_file_is_never_read() {
        let dir = tempfile::tempdir().unwrap();
        let (_aside, mut file) = Aside::create(dir.path().join("a")).unwrap();
        file.write_all(b"some bytes").unwrap();
        finish(&mut file, 10, &"about").unwrap();
        let len = file.metadata().unwrap().len();
        for short in 0..len {
            file.set_len(short).unwrap();
            assert!(about::<String>(&file).is_err(), "{short} of {len} bytes");
        }
    }

    proptest! {
        #[test]
        fn bytes_and_description_come_back(
            data in prop::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,40}",
        ) {
            let dir = tempfile::tempdir().unwrap();
            let (_aside, mut file) = Aside::create(dir.path().join("a")).unwrap();
            file.write_all(&data).unwrap();
            finish(&mut file, data.len() as u64, &text).unwrap();
            prop_assert_eq!(about::<String>(&file).unwrap(), (text, data.len() as u64));
        }
    }
}

//! How much of what lies in which file.

use super::Inspector;
use crate::error::{FileFault, at};
use crate::format::frame::{Body, HEAD};
use crate::names::{self, Segment};
use crate::recovery::read_mark;
use crate::scan::{Step, Walk};
use crate::sealed::{SealedFile, read_header_len};
use crate::{ReadError, Stream};
use std::collections::BTreeSet;
use std::path::Path;
use trailbox_clock::Micros;

/// Bytes an unsealed frame takes beside its payload and attributes: head,
/// leaf hash, nonce, tag.
const AROUND: u64 = HEAD as u64 + 32 + 12 + 16;

/// One file of the journal, in figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStats {
    /// Its name.
    pub name: String,
    /// Which of the segment's files.
    pub stream: Stream,
    /// First and last sequence of the segment.
    pub range: (u64, u64),
    /// Frames in this file.
    pub frames: u64,
    /// Size of the file.
    pub bytes: u64,
    /// Payloads and attributes before compression and encryption. Bytes.
    pub raw_bytes: u64,
    /// What was written for it: once unsealed and, if it is sealed, once more.
    /// Zeros written ahead and marks are not in it. Bytes.
    pub written_bytes: u64,
    /// Whose frames.
    pub accounts: BTreeSet<String>,
    /// Earliest and latest arrival.
    pub arrivals: Option<(Micros, Micros)>,
}

impl Inspector {
    /// The journal's files, oldest first. Reads indexes of sealed files and the
    /// unsealed ones whole; needs no key.
    ///
    /// # Errors
    ///
    /// When a file cannot be read; a damaged one is what `check` is for.
    pub fn stats(&self) -> Result<Vec<FileStats>, ReadError> {
        let mark = read_mark(&*self.disk, &self.dir)?;
        let mut files = Vec::new();
        let segments = self.segments()?;
        for (at_segment, segment) in segments.iter().enumerate() {
            if segment.is_sealed() {
                for stream in [Stream::Management, Stream::Data] {
                    files.extend(self.sealed_stats(segment, stream)?);
                }
                continue;
            }
            let path = self.dir.join(names::open_name(segment.first, segment.epoch));
            let marked = mark.filter(|m| (m.segment, m.epoch) == (segment.first, segment.epoch));
            let last = segments.get(at_segment + 1).map_or(u64::MAX, |next| next.first - 1);
            match self.open_stats(&path, marked.map(|mark| mark.offset), last) {
                // Sealed meanwhile; its frames are counted the next time.
                Err(FileFault::Disk { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound => {}
                other => files.push(other?),
            }
        }
        Ok(files)
    }

    fn sealed_stats(
        &self,
        segment: &Segment,
        stream: Stream,
    ) -> Result<Option<FileStats>, FileFault> {
        if segment.presence(stream) != names::Presence::Sealed {
            return Ok(None);
        }
        let Some(path) = self.sealed_path(segment, stream) else { return Ok(None) };
        let file = match SealedFile::open(&*self.disk, &path) {
            Err(FileFault::Disk { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Ok(None);
            }
            other => other?,
        };
        let blocks = file.table()?.blocks;
        let raw_bytes = blocks.iter().map(|block| u64::from(block.raw_len)).sum();
        let footer = &file.footer;
        Ok(Some(FileStats {
            name: name_of(&path),
            stream,
            range: (segment.first, segment.last),
            frames: footer.count,
            bytes: file.bytes,
            raw_bytes,
            written_bytes: file.bytes + raw_bytes + footer.count * AROUND,
            accounts: blocks.into_iter().map(|block| block.account.to_string()).collect(),
            arrivals: (footer.count > 0)
                .then_some((Micros(footer.min_arrival), Micros(footer.max_arrival))),
        }))
    }

    fn open_stats(
        &self,
        path: &Path,
        durable: Option<u64>,
        last: u64,
    ) -> Result<FileStats, FileFault> {
        let file = self.disk.open(path, true).map_err(at(path, "open"))?;
        let (header, start) = read_header_len(&*file, path)?;
        let limit = match durable {
            Some(durable) => durable,
            None => file.len().map_err(at(path, "measure"))?,
        };
        let mut stats = FileStats {
            name: name_of(path),
            stream: Stream::Open,
            range: (header.first, header.first - 1),
            frames: 0,
            bytes: start,
            raw_bytes: 0,
            written_bytes: start,
            accounts: BTreeSet::new(),
            arrivals: None,
        };
        let mut walk = Walk::new(&*file, start, limit);
        while let Step::Frame(found) = walk.next().map_err(at(path, "read"))? {
            let Ok(body) = Body::decode(found.body) else { break };
            if found.sequence() != stats.range.1 + 1 || found.sequence() > last {
                break;
            }
            let size = found.end() - found.offset;
            stats.range.1 = found.sequence();
            stats.frames += 1;
            stats.bytes += size;
            stats.written_bytes += size;
            stats.raw_bytes += size - AROUND;
            let arrival = Micros(body.arrival);
            let (low, high) = stats.arrivals.unwrap_or((arrival, arrival));
            stats.arrivals = Some((low.min(arrival), high.max(arrival)));
            if !stats.accounts.contains(body.account) {
                stats.accounts.insert(body.account.to_owned());
            }
        }
        Ok(stats)
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

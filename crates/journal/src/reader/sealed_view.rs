//! A sealed segment as a reader sees it: both streams as one.

use super::cache::Cache;
use crate::disk::Disk;
use crate::error::FileFault;
use crate::format::block::Descriptor;
use crate::names::{self, Presence, Segment};
use crate::sealed::{Opened, SealedFile, Table};
use crate::{
    Corruption, DataKeys, Extension, FrameKind, KeyError, Payload, Position, StoredFrame, Stream,
};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trailbox_clock::Micros;

/// Sealed files kept open, with their tables. Bytes of memory.
const TABLES: usize = 32 << 20;
/// What an open file takes beside its tables, with its descriptor. Bytes.
const OPEN_FILE: usize = 4096;
const STREAMS: [Stream; 2] = [Stream::Management, Stream::Data];

/// A sealed file and its table.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) file: SealedFile,
    table: Table,
}

type FileKey = (u64, u64, Stream);

/// What a sealed file holds, as its footer says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contents {
    pub(super) bytes: u64,
    pub(super) records: u64,
    /// Earliest and latest arrival, if there is any. µs.
    pub(super) arrivals: Option<(i64, i64)>,
}

/// Opens sealed files and blocks, and keeps the recent ones.
#[derive(Debug)]
pub(super) struct SealedStore {
    /// Of every file that was asked about and is still there: they never change.
    contents: Mutex<HashMap<FileKey, Contents>>,
    files: Mutex<Cache<FileKey, Sealed>>,
    blocks: Mutex<Cache<(FileKey, u32), Opened>>,
}

/// A frame that is about to be read.
struct Wanted {
    sequence: u64,
    block: u32,
    sealed: Arc<Sealed>,
    stream: Stream,
}

impl SealedStore {
    /// Keeps at most `block_bytes` of opened blocks.
    pub(super) fn new(block_bytes: usize) -> Self {
        Self {
            contents: Mutex::default(),
            files: Mutex::new(Cache::new(TABLES)),
            blocks: Mutex::new(Cache::new(block_bytes)),
        }
    }

    /// One stream of `segment`; `None` when it was dropped or never there.
    pub(super) fn file(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        segment: &Segment,
        stream: Stream,
    ) -> Result<Option<Arc<Sealed>>, FileFault> {
        if segment.presence(stream) != Presence::Sealed {
            return Ok(None);
        }
        let key = (segment.first, segment.epoch, stream);
        if let Some(sealed) = lock(&self.files).get(&key) {
            return Ok(Some(sealed));
        }
        let name = names::sealed_name(segment.first, segment.last, segment.epoch, stream);
        let file = SealedFile::open(disk, &dir.join(name))?;
        let table = file.table()?;
        let weight =
            OPEN_FILE + table.frames.weight() + table.blocks.len() * size_of::<Descriptor>();
        let sealed = Arc::new(Sealed { file, table });
        lock(&self.files).insert(key, Arc::clone(&sealed), weight);
        Ok(Some(sealed))
    }

    /// What one stream of `segment` holds; `None` when it was dropped or never
    /// there. Reads the footer once and no table.
    pub(super) fn contents(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        segment: &Segment,
        stream: Stream,
    ) -> Result<Option<Contents>, FileFault> {
        if segment.presence(stream) != Presence::Sealed {
            return Ok(None);
        }
        let key = (segment.first, segment.epoch, stream);
        if let Some(contents) = lock(&self.contents).get(&key) {
            return Ok(Some(*contents));
        }
        let name = names::sealed_name(segment.first, segment.last, segment.epoch, stream);
        let SealedFile { bytes, footer, .. } = SealedFile::open(disk, &dir.join(name))?;
        let arrivals = (footer.count > 0).then_some((footer.min_arrival, footer.max_arrival));
        let contents = Contents { bytes, records: footer.count, arrivals };
        lock(&self.contents).insert(key, contents);
        Ok(Some(contents))
    }

    /// Forgets what is not among `segments` any more.
    pub(super) fn retain(&self, segments: &[Segment]) {
        lock(&self.contents).retain(|&(first, epoch, stream), _| {
            let at = segments.partition_point(|it| (it.first, it.epoch) < (first, epoch));
            segments.get(at).is_some_and(|it| {
                (it.first, it.epoch) == (first, epoch) && it.presence(stream) == Presence::Sealed
            })
        });
    }

    /// Closes files and forgets blocks.
    pub(super) fn clear(&self) {
        lock(&self.blocks).clear();
        lock(&self.files).clear();
    }

    pub(super) fn forget(&self, first: u64, epoch: u64, stream: Stream) {
        lock(&self.contents).remove(&(first, epoch, stream));
        lock(&self.files).remove(&(first, epoch, stream));
    }

    /// Frames `from` and up of both streams, in order, of the wanted kinds:
    /// at most `max`. Gives the last sequence visited as well.
    pub(super) fn read(
        &self,
        (disk, keys, dir): (&dyn Disk, &dyn DataKeys, &Path),
        segment: &Segment,
        from: u64,
        (max, kinds): (usize, u8),
    ) -> Result<(Vec<StoredFrame>, u64), FileFault> {
        let mut wanted = Vec::new();
        let mut more = false;
        for stream in STREAMS {
            let Some(sealed) = self.file(disk, dir, segment, stream)? else { continue };
            if segment.data == Presence::Absent && sealed.file.footer.other_count > 0 {
                return Err(sealed.file.corrupt(0, "the segment's data stream is missing"));
            }
            let mut frames = sealed.table.frames.from(from);
            wanted.extend(frames.by_ref().take(max).map(|(sequence, block)| Wanted {
                sequence,
                block,
                sealed: Arc::clone(&sealed),
                stream,
            }));
            more |= frames.next().is_some();
        }
        wanted.sort_unstable_by_key(|wanted| wanted.sequence);
        more |= wanted.len() > max;
        wanted.truncate(max);
        let visited = match wanted.last() {
            Some(last) if more => last.sequence,
            _ => segment.last,
        };
        let mut frames = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let descriptor = &wanted.sealed.table.blocks[wanted.block as usize];
            if descriptor.summary.kinds & kinds == 0 {
                continue;
            }
            let frame = self.frame(keys, segment, &wanted, descriptor)?;
            if kinds >> (frame.kind as u8) & 1 == 1 {
                frames.push(frame);
            }
        }
        Ok((frames, visited))
    }

    /// The frame with `sequence`, if a stream that is there holds it.
    pub(super) fn fetch(
        &self,
        (disk, keys, dir): (&dyn Disk, &dyn DataKeys, &Path),
        segment: &Segment,
        sequence: u64,
    ) -> Result<Option<StoredFrame>, FileFault> {
        for stream in STREAMS {
            let Some(sealed) = self.file(disk, dir, segment, stream)? else { continue };
            let Some(block) = sealed.table.frames.block(sequence) else { continue };
            let wanted = Wanted { sequence, block, sealed: Arc::clone(&sealed), stream };
            let descriptor = &sealed.table.blocks[block as usize];
            return self.frame(keys, segment, &wanted, descriptor).map(Some);
        }
        Ok(None)
    }

    fn frame(
        &self,
        keys: &dyn DataKeys,
        segment: &Segment,
        wanted: &Wanted,
        descriptor: &Descriptor,
    ) -> Result<StoredFrame, FileFault> {
        let header = &wanted.sealed.file.header;
        let position =
            Position { node: header.node, epoch: header.epoch, sequence: wanted.sequence };
        // Asked every time: the account may have been erased since.
        if !descriptor.clear {
            match keys.by_id(&descriptor.account, descriptor.key_id) {
                Ok(_) => {}
                Err(KeyError::Erased { .. }) => return Ok(blank(position, descriptor)),
                Err(err @ (KeyError::Unknown { .. } | KeyError::Unavailable { .. })) => {
                    return Err(err.into());
                }
            }
        }
        let opened = self.block(keys, segment, wanted, descriptor)?;
        match &*opened {
            Opened::Erased => Ok(blank(position, descriptor)),
            Opened::Block(block) => block
                .frame(position, &descriptor.account)
                .ok_or_else(|| astray(&wanted.sealed.file, descriptor, wanted.sequence)),
        }
    }
}

impl SealedStore {
    /// A block, out of the cache or off the disk.
    fn block(
        &self,
        keys: &dyn DataKeys,
        segment: &Segment,
        wanted: &Wanted,
        descriptor: &Descriptor,
    ) -> Result<Arc<Opened>, FileFault> {
        let key = ((segment.first, segment.epoch, wanted.stream), wanted.block);
        if let Some(opened) = lock(&self.blocks).get(&key) {
            return Ok(opened);
        }
        let opened = wanted.sealed.file.block(keys, wanted.block as usize, descriptor)?;
        let weight = match &opened {
            Opened::Block(block) => block.weight(),
            Opened::Erased => 64,
        };
        let opened = Arc::new(opened);
        lock(&self.blocks).insert(key, Arc::clone(&opened), weight);
        Ok(opened)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn astray(file: &SealedFile, descriptor: &Descriptor, sequence: u64) -> FileFault {
    FileFault::Corrupt(Corruption {
        file: file.path().to_owned(),
        offset: descriptor.offset,
        what: "the block does not hold the frame its table names".to_owned(),
        first_affected: sequence,
        last_affected: sequence,
    })
}

/// What is left of a sealed frame whose account was erased.
fn blank(position: Position, descriptor: &Descriptor) -> StoredFrame {
    let kinds = descriptor.summary.kinds;
    let only = u8::try_from(kinds.trailing_zeros()).ok().filter(|_| kinds.is_power_of_two());
    StoredFrame {
        position,
        kind: only.and_then(FrameKind::from_byte).unwrap_or(FrameKind::Record),
        account: descriptor.account.to_string(),
        region: String::new(),
        category: crate::MANAGEMENT,
        read_only: false,
        carried: false,
        event_id: [0; 16],
        arrival: Micros(descriptor.summary.min_arrival),
        commit: Micros(descriptor.summary.min_arrival),
        extension: Extension::default(),
        payload: Payload::Erased,
    }
}

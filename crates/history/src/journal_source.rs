//! The journal's files behind the history's port.

use crate::source::{
    Batch, Entry, EntryKind, Fetched, Sealed, SealedSegment, Source, SourceError, Stream,
};
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trailbox_journal::disk::Disk;
use trailbox_journal::{
    self as journal, DataKeys, FrameKind, KeyError, Position, ReadError, Reader, StoredFrame,
};
use trailbox_record::Category;

/// Frames read at once when a sealed segment is read again.
const BATCH: usize = 1000;

/// Kinds of frames that the history takes in.
const KINDS: [FrameKind; 2] = [FrameKind::Record, FrameKind::Generation];

/// Reads the journal in a directory that another process may be writing.
#[derive(Debug)]
pub struct JournalSource {
    disk: Arc<dyn Disk>,
    keys: Arc<dyn DataKeys>,
    dir: PathBuf,
    node: [u8; 16],
    /// Follows the end.
    tail: Mutex<Reader>,
    /// Reads single frames and lists segments.
    random: Reader,
}

impl JournalSource {
    /// The journal of `node` in `dir`.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn open(
        disk: Arc<dyn Disk>,
        keys: Arc<dyn DataKeys>,
        dir: &Path,
        node: [u8; 16],
    ) -> Result<Self, SourceError> {
        let reader = || Reader::open(Arc::clone(&disk), Arc::clone(&keys), dir).map_err(failed);
        let (mut tail, random) = (reader()?, reader()?);
        tail.only(&KINDS);
        Ok(Self { disk, keys, dir: dir.to_owned(), node, tail: Mutex::new(tail), random })
    }

    fn tail(&self) -> MutexGuard<'_, Reader> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    const fn position(&self, sequence: u64) -> Position {
        Position { node: self.node, epoch: 0, sequence }
    }
}

impl Source for JournalSource {
    fn after(&self, sequence: u64, max: usize) -> Result<Batch, SourceError> {
        let mut tail = self.tail();
        if tail.position().sequence != sequence || sequence == 0 {
            tail.from(self.position(sequence));
        }
        let frames = tail.next_batch(max).map_err(failed)?;
        let through = tail.position().sequence;
        Ok(Batch { entries: frames.into_iter().map(entry).collect(), through })
    }

    fn sealed(&self) -> Result<Sealed, SourceError> {
        let files = self.random.segments().map_err(failed)?;
        let open = files.iter().filter(|file| file.stream == journal::Stream::Open);
        let first_open = open.clone().map(|file| file.first).min();
        let is_open = |id: u64| open.clone().any(|file| file.id == id);
        let segments: Vec<_> = files
            .iter()
            .filter(|file| !is_open(file.id))
            .filter_map(|file| {
                Some(SealedSegment {
                    id: file.id,
                    stream: stream_of(file.stream)?,
                    first: file.first,
                    last: file.last,
                    newest: file.max_arrival.unwrap_or_default(),
                })
            })
            .collect();
        let last = segments.iter().map(|segment| segment.last).max();
        let through = first_open.map_or_else(|| last.unwrap_or(0), |first| first.saturating_sub(1));
        Ok(Sealed { segments, through })
    }

    fn read(
        &self,
        segment: &SealedSegment,
        each: &mut dyn FnMut(Entry),
    ) -> Result<(), SourceError> {
        let (disk, keys) = (Arc::clone(&self.disk), Arc::clone(&self.keys));
        let mut reader = Reader::open(disk, keys, &*self.dir).map_err(failed)?;
        reader.only(&KINDS);
        reader.from(self.position(segment.first.saturating_sub(1)));
        loop {
            let frames = reader.next_batch(BATCH).map_err(failed)?;
            if frames.is_empty() {
                return Ok(());
            }
            for frame in frames {
                if segment.last < frame.position.sequence {
                    return Ok(());
                }
                each(entry(frame));
            }
        }
    }

    fn fetch(&self, sequence: u64) -> Result<Fetched, SourceError> {
        match self.random.fetch(sequence) {
            Ok(frame) => {
                Ok(frame.payload.bytes().cloned().map_or(Fetched::Erased, Fetched::Present))
            }
            Err(ReadError::NoSuchFrame { .. } | ReadError::Missing { .. }) => Ok(Fetched::Missing),
            Err(err) => Err(failed(err)),
        }
    }

    fn drop_segment(&self, segment: &SealedSegment) -> Result<(), SourceError> {
        let stream = match segment.stream {
            Stream::Management => journal::Stream::Management,
            Stream::Data => journal::Stream::Data,
        };
        self.random.drop_segment(segment.id, stream).map_err(failed)
    }

    fn secret(
        &self,
        account: &str,
        id: Option<u32>,
    ) -> Result<Option<(u32, [u8; 32])>, SourceError> {
        let found = match id {
            None => self.keys.current(account).map(|key| (key.id, key.key)),
            Some(id) => self.keys.by_id(account, id).map(|key| (id, key)),
        };
        match found {
            Ok(secret) => Ok(Some(secret)),
            Err(KeyError::Erased { .. }) => Ok(None),
            Err(err @ KeyError::Unknown { .. }) => {
                Err(SourceError::Corrupt { reason: err.to_string() })
            }
            Err(err @ KeyError::Unavailable { .. }) => {
                Err(SourceError::Unavailable { reason: err.to_string() })
            }
        }
    }

    fn rest(&self) {
        self.random.rest();
        self.tail().rest();
    }
}

fn entry(frame: StoredFrame) -> Entry {
    let kind = match frame.kind {
        FrameKind::Record => EntryKind::Record,
        FrameKind::Generation => EntryKind::Generation,
        FrameKind::Intent | FrameKind::Learned | FrameKind::Seen => EntryKind::Other,
    };
    let payload = match (kind, frame.payload.bytes()) {
        (EntryKind::Record, Some(json)) => json.clone(),
        (EntryKind::Record | EntryKind::Generation | EntryKind::Other, _) => Bytes::new(),
    };
    Entry {
        sequence: frame.position.sequence,
        kind,
        account: frame.account,
        region: frame.region,
        category: category_of(frame.category),
        event_id: frame.event_id,
        payload,
    }
}

const fn category_of(code: u8) -> Category {
    match code {
        journal::DATA => Category::Data,
        journal::INSIGHT => Category::Insight,
        journal::NETWORK_ACTIVITY => Category::NetworkActivity,
        _ => Category::Management,
    }
}

const fn stream_of(stream: journal::Stream) -> Option<Stream> {
    match stream {
        journal::Stream::Open => None,
        journal::Stream::Management => Some(Stream::Management),
        journal::Stream::Data => Some(Stream::Data),
    }
}

fn failed(err: ReadError) -> SourceError {
    let reason = err.to_string();
    match err {
        ReadError::Disk { .. } | ReadError::Key(KeyError::Unavailable { .. }) => {
            SourceError::Unavailable { reason }
        }
        ReadError::Corrupt(_)
        | ReadError::Unsupported { .. }
        | ReadError::Key(_)
        | ReadError::Missing { .. }
        | ReadError::NoSuchFrame { .. }
        | ReadError::OtherNode { .. } => SourceError::Corrupt { reason },
    }
}

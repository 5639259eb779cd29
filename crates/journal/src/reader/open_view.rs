//! An unsealed segment as a reader sees it, while it grows.

use crate::disk::{Disk, DiskFile};
use crate::error::{FileFault, at};
use crate::format::crypt::{Cipher, Purpose};
use crate::format::frame::{Body, FrameFault};
use crate::format::header::Header;
use crate::names::{self, Segment};
use crate::scan::{Found, Step, Walk};
use crate::sealed::read_header_len;
use crate::{Corruption, DataKeys, KeyError, Payload, Position, StoredFrame};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Every so many frames, where one begins is remembered.
const SPARSE: u64 = 16;

/// Accounts whose ciphers a view keeps at most.
const CIPHERS: usize = 4096;

/// How far a segment may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// Up to this offset, which is durable, and this sequence.
    Durable { offset: u64, last: u64 },
    /// The segment is complete: every frame up to this sequence must be there.
    Complete { last: u64 },
    /// Nobody says: up to what is whole.
    Whole,
}

#[derive(Debug)]
pub(super) struct OpenView {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    pub(super) header: Header,
    /// End of what was verified, file offset.
    end: u64,
    /// Last verified sequence; `first - 1` while there is none.
    pub(super) last: u64,
    sparse: Vec<(u64, u64)>,
    pub(super) arrivals: Option<(i64, i64)>,
    ciphers: HashMap<(String, u32), Cipher>,
}

impl OpenView {
    pub(super) fn open(disk: &dyn Disk, dir: &Path, segment: &Segment) -> Result<Self, FileFault> {
        let path = dir.join(names::open_name(segment.first, segment.epoch));
        let file = disk.open(&path, true).map_err(at(&path, "open"))?;
        let (header, start) = read_header_len(&*file, &path)?;
        Ok(Self {
            path,
            file,
            header,
            end: start,
            last: segment.first - 1,
            sparse: Vec::new(),
            arrivals: None,
            ciphers: HashMap::new(),
        })
    }

    /// Size of the verified part. Bytes.
    pub(super) const fn bytes(&self) -> u64 {
        self.end
    }

    /// Verifies the frames that have come, up to `limit`.
    pub(super) fn extend(&mut self, limit: Limit) -> Result<(), FileFault> {
        let len = self.file.len().map_err(at(&self.path, "measure"))?;
        let (offset, wanted, strict) = match limit {
            Limit::Durable { offset, last } => (offset, last, true),
            Limit::Complete { last } => (len, last, true),
            Limit::Whole => (len, u64::MAX, false),
        };
        if wanted <= self.last || (offset <= self.end && !strict) {
            return Ok(());
        }
        let mut walk = Walk::new(&*self.file, self.end, offset);
        let fault = loop {
            if self.last >= wanted {
                return Ok(());
            }
            match walk.next().map_err(at(&self.path, "read"))? {
                Step::Frame(found) if found.sequence() == self.last + 1 => {
                    let arrival = decode(&found, &self.path)?.arrival;
                    let (low, high) = self.arrivals.unwrap_or((arrival, arrival));
                    self.arrivals = Some((low.min(arrival), high.max(arrival)));
                    self.last = found.sequence();
                    self.end = found.end();
                    if (self.last - self.header.first).is_multiple_of(SPARSE) {
                        self.sparse.push((self.last, found.offset));
                    }
                }
                Step::Frame(found) => break (found.offset, "frames are out of sequence"),
                Step::End => break (self.end, "durable frames are missing"),
                Step::Bad { offset, what } => break (offset, what),
                Step::Unsupported(what) => {
                    return Err(FileFault::Unsupported { file: self.path.clone(), what });
                }
            }
        };
        if !strict {
            return Ok(());
        }
        Err(self.corrupt(fault.0, fault.1, (self.last + 1, wanted)))
    }

    /// Frames `from` and up, of the wanted kinds: visits at most `max` of
    /// them. Gives the last sequence visited as well.
    pub(super) fn read(
        &mut self,
        keys: &dyn DataKeys,
        from: u64,
        (max, kinds): (usize, u8),
    ) -> Result<(Vec<StoredFrame>, u64), FileFault> {
        let mut frames = Vec::new();
        let place = self.sparse.partition_point(|(sequence, _)| *sequence <= from);
        let Some(&(_, offset)) = place.checked_sub(1).and_then(|at| self.sparse.get(at)) else {
            return Ok((frames, from - 1));
        };
        let mut walk = Walk::new(&*self.file, offset, self.end);
        let mut visited = from - 1;
        while frames.len() < max {
            let found = match walk.next().map_err(at(&self.path, "read"))? {
                Step::Frame(found) => found,
                Step::End => break,
                Step::Bad { offset, what } => {
                    return Err(corruption(&self.path, offset, what, (visited + 1, self.last)));
                }
                Step::Unsupported(what) => {
                    return Err(FileFault::Unsupported { file: self.path.clone(), what });
                }
            };
            if found.sequence() < from {
                continue;
            }
            visited = found.sequence();
            let body = decode(&found, &self.path)?;
            if kinds >> (body.kind as u8) & 1 == 1 {
                let opened = open(keys, &mut self.ciphers, &self.header, &body)?;
                let payload = opened.ok_or_else(|| {
                    let affected = (visited, visited);
                    corruption(&self.path, found.offset, "payload does not decrypt", affected)
                })?;
                let position = Position {
                    node: self.header.node,
                    epoch: self.header.epoch,
                    sequence: visited,
                };
                frames.push(body.stored(position, found.head.stamp, payload));
            }
        }
        Ok((frames, visited))
    }

    fn corrupt(&self, offset: u64, what: &str, affected: (u64, u64)) -> FileFault {
        corruption(&self.path, offset, what, affected)
    }
}

/// The payload of `body`; `None` when it does not belong to its key.
fn open(
    keys: &dyn DataKeys,
    ciphers: &mut HashMap<(String, u32), Cipher>,
    header: &Header,
    body: &Body<'_>,
) -> Result<Option<Payload>, KeyError> {
    // Asked every time: the account may have been erased since.
    let key = match keys.by_id(body.account, body.key_id) {
        Err(KeyError::Erased { .. }) => return Ok(Some(Payload::Erased)),
        other => other?,
    };
    if ciphers.len() >= CIPHERS {
        ciphers.clear();
    }
    let cipher = ciphers
        .entry((body.account.to_owned(), body.key_id))
        .or_insert_with(|| Cipher::new(&key, Purpose::Frames(&header.salt)));
    Ok(body.decrypt(cipher).map(Payload::Present))
}

fn decode<'a>(found: &Found<'a>, path: &Path) -> Result<Body<'a>, FileFault> {
    Body::decode(found.body).map_err(|fault| match fault {
        FrameFault::Unsupported(what) => FileFault::Unsupported { file: path.to_owned(), what },
        FrameFault::Bad(what) => {
            let affected = (found.sequence(), found.sequence());
            corruption(path, found.offset, what, affected)
        }
    })
}

fn corruption(path: &Path, offset: u64, what: &str, (first, last): (u64, u64)) -> FileFault {
    FileFault::Corrupt(Corruption {
        file: path.to_owned(),
        offset,
        what: what.to_owned(),
        first_affected: first,
        last_affected: last,
    })
}

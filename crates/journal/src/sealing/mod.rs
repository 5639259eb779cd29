//! Sealing: an unsealed segment becomes two sealed files.
//!
//! Dying at any moment loses nothing: temporary files are removed at the next
//! opening; the management file is renamed last, so until it has its name the
//! unsealed segment counts, and from then on it does not.

mod stream;
mod thread;

pub(crate) use thread::{Sealer, SealerContext};

use crate::disk::Disk;
use crate::error::{FileFault, at};
use crate::format::crypt::{Cipher, HASH, Purpose};
use crate::format::frame::{Body, FrameFault};
use crate::format::header::Header;
use crate::names::{self, TEMPORARY};
use crate::scan::{Found, Step, Walk};
use crate::sealed::{SealedFile, read_header_len};
use crate::{Corruption, DATA, DataKeys, KeyError, NETWORK_ACTIVITY, Stream};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use stream::StreamWriter;

/// A segment that is complete but not sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unsealed {
    pub(crate) path: PathBuf,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) epoch: u64,
}

/// What sealing works with.
pub(crate) struct Sealing<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) keys: &'a dyn DataKeys,
    pub(crate) dir: &'a Path,
    pub(crate) level: i32,
    /// Present moment, µs.
    pub(crate) now: i64,
    /// A fresh random salt for each of the two files.
    pub(crate) salts: [[u8; 32]; 2],
    /// Called with the bytes of every block written; false gives up.
    pub(crate) pace: &'a dyn Fn(usize) -> bool,
}

/// How a segment's sealing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Sealed,
    /// `pace` said no; nothing has changed.
    GivenUp,
}

/// The stream that frames of `category` are sealed into.
pub(crate) const fn stream_of(category: u8) -> Stream {
    match category {
        DATA | NETWORK_ACTIVITY => Stream::Data,
        _ => Stream::Management,
    }
}

impl Sealing<'_> {
    /// Seals `segment` and removes its unsealed file.
    pub(crate) fn seal(&self, segment: &Unsealed) -> Result<Outcome, FileFault> {
        let file = match self.disk.open(&segment.path, true) {
            Err(err) if err.kind() == ErrorKind::NotFound && self.is_done(segment)? => {
                // An attempt before this one failed in its very last step.
                self.disk.sync_dir(self.dir).map_err(at(self.dir, "sync"))?;
                return Ok(Outcome::Sealed);
            }
            other => other.map_err(at(&segment.path, "open"))?,
        };
        let (header, start) = read_header_len(&*file, &segment.path)?;
        let mut streams = [
            self.begin(segment, &header, Stream::Management, self.salts[0])?,
            self.begin(segment, &header, Stream::Data, self.salts[1])?,
        ];
        let limit = file.len().map_err(at(&segment.path, "measure"))?;
        let mut walk = Walk::new(&*file, start, limit);
        let mut keyring = Keyring::new(self.keys, &header, self.salts);
        for expected in segment.first..=segment.last {
            let step = walk.next().map_err(at(&segment.path, "read"))?;
            let written = add_frame(&mut streams, &mut keyring, segment, (step, expected))?;
            if written > 0 && !(self.pace)(written) {
                return Ok(Outcome::GivenUp);
            }
        }
        let [management, data] = streams;
        self.publish(segment, &mut keyring, management, data)?;
        Ok(Outcome::Sealed)
    }

    /// Whether `segment` was sealed before, and perhaps even dropped since.
    fn is_done(&self, segment: &Unsealed) -> Result<bool, FileFault> {
        let known = names::segments(self.disk, self.dir).map_err(at(self.dir, "list"))?;
        let same = known.iter().find(|k| (k.first, k.epoch) == (segment.first, segment.epoch));
        Ok(match same {
            Some(same) => same.management != names::Presence::Absent,
            None => known.first().is_some_and(|oldest| oldest.first > segment.last),
        })
    }

    fn begin(
        &self,
        segment: &Unsealed,
        open: &Header,
        stream: Stream,
        salt: [u8; 32],
    ) -> Result<StreamWriter, FileFault> {
        let name = names::sealed_name(segment.first, segment.last, segment.epoch, stream);
        let path = self.dir.join(name + TEMPORARY);
        // A leftover of a sealing that was given up.
        let _ = self.disk.remove(&path);
        let header = Header {
            stream,
            last: segment.last,
            created: self.now,
            key_id: self.keys.master_id(),
            salt,
            ..open.clone()
        };
        StreamWriter::create(self.disk, path, &header, self.level)
    }

    fn publish(
        &self,
        segment: &Unsealed,
        keyring: &mut Keyring<'_>,
        management: StreamWriter,
        data: StreamWriter,
    ) -> Result<(), FileFault> {
        let counts = (management.count(), data.count());
        let management_link = self.previous_link(segment, Stream::Management)?;
        let data_link = self.previous_link(segment, Stream::Data)?;
        let data = data.finish(counts.0, data_link, &|account, id| keyring.data(account, id))?;
        let management = management
            .finish(counts.1, management_link, &|account, id| keyring.management(account, id))?;
        let dir_fault = || at(self.dir, "sync");
        if counts.1 == 0 {
            self.disk.remove(&data).map_err(at(&data, "remove"))?;
        } else {
            self.rename(&data)?;
            self.disk.sync_dir(self.dir).map_err(dir_fault())?;
        }
        self.rename(&management)?;
        self.disk.sync_dir(self.dir).map_err(dir_fault())?;
        self.disk.remove(&segment.path).map_err(at(&segment.path, "remove"))?;
        self.disk.sync_dir(self.dir).map_err(dir_fault())
    }

    fn rename(&self, temporary: &Path) -> Result<(), FileFault> {
        self.disk.rename(temporary, &temporary.with_extension("")).map_err(at(temporary, "rename"))
    }

    /// The link of the stream's newest file before `segment`; zeros if none.
    fn previous_link(&self, segment: &Unsealed, stream: Stream) -> Result<[u8; HASH], FileFault> {
        let known = names::segments(self.disk, self.dir).map_err(at(self.dir, "list"))?;
        let before = known.iter().rev().filter(|known| known.first < segment.first);
        for known in before {
            let name = match known.presence(stream) {
                names::Presence::Absent => continue,
                names::Presence::Sealed => {
                    names::sealed_name(known.first, known.last, known.epoch, stream)
                }
                names::Presence::Dropped => {
                    names::dropped_name(known.first, known.last, known.epoch, stream)
                }
            };
            return Ok(SealedFile::open(self.disk, &self.dir.join(name))?.footer.link);
        }
        Ok([0; HASH])
    }
}

/// Adds one frame to its stream; the bytes this made it write.
fn add_frame(
    [management, data]: &mut [StreamWriter; 2],
    keyring: &mut Keyring<'_>,
    segment: &Unsealed,
    (step, expected): (Step<'_>, u64),
) -> Result<usize, FileFault> {
    let (found, body) = usable(step, segment, expected)?;
    let slot = keyring.slot(body.account, body.key_id)?;
    let damaged = |what: &str| corruption(segment, found.offset, what, expected);
    let payload = match slot {
        None => None,
        Some(slot) => {
            let payload =
                body.decrypt(&slot.frames).ok_or_else(|| damaged("payload does not decrypt"))?;
            let leaf = slot.frames.leaf(body.kind as u8, &body.event_id, body.arrival, &payload);
            if leaf != body.leaf {
                return Err(damaged("payload does not match its leaf hash"));
            }
            Some(payload)
        }
    };
    match stream_of(body.category) {
        Stream::Data => data.add(found.head.stamp, &body, payload, slot.map(|s| &s.data)),
        Stream::Management | Stream::Open => {
            management.add(found.head.stamp, &body, payload, slot.map(|s| &s.management))
        }
    }
}

/// The frame in `step`, if it is the expected one.
fn usable<'a>(
    step: Step<'a>,
    segment: &Unsealed,
    expected: u64,
) -> Result<(Found<'a>, Body<'a>), FileFault> {
    let (offset, what) = match step {
        Step::Frame(found) if found.sequence() == expected => match Body::decode(found.body) {
            Ok(body) => return Ok((found, body)),
            Err(FrameFault::Bad(what)) => (found.offset, what),
            Err(FrameFault::Unsupported(what)) => {
                return Err(FileFault::Unsupported { file: segment.path.clone(), what });
            }
        },
        Step::Frame(found) => (found.offset, "frames are out of sequence"),
        Step::End => (0, "segment ends early"),
        Step::Bad { offset, what } => (offset, what),
        Step::Unsupported(what) => {
            return Err(FileFault::Unsupported { file: segment.path.clone(), what });
        }
    };
    Err(corruption(segment, offset, what, expected))
}

fn corruption(segment: &Unsealed, offset: u64, what: &str, expected: u64) -> FileFault {
    FileFault::Corrupt(Corruption {
        file: segment.path.clone(),
        offset,
        what: what.to_owned(),
        first_affected: expected,
        last_affected: segment.last,
    })
}

/// Ciphers by account and key id, for as long as one sealing takes.
struct Keyring<'a> {
    keys: &'a dyn DataKeys,
    frame_salt: [u8; 32],
    salts: [[u8; 32]; 2],
    slots: HashMap<(String, u32), Option<Slot>>,
}

/// The ciphers one data key needs during a sealing.
struct Slot {
    frames: Cipher,
    management: Cipher,
    data: Cipher,
}

impl<'a> Keyring<'a> {
    fn new(keys: &'a dyn DataKeys, open: &Header, salts: [[u8; 32]; 2]) -> Self {
        Self { keys, frame_salt: open.salt, salts, slots: HashMap::new() }
    }

    /// `None` when the account was erased.
    fn slot(&mut self, account: &str, id: u32) -> Result<Option<&Slot>, KeyError> {
        let place = (account.to_owned(), id);
        if !self.slots.contains_key(&place) {
            let slot = match self.keys.by_id(account, id) {
                Err(KeyError::Erased { .. }) => None,
                Ok(key) => Some(Slot {
                    frames: Cipher::new(&key, Purpose::Frames(&self.frame_salt)),
                    management: Cipher::new(&key, Purpose::Blocks(&self.salts[0])),
                    data: Cipher::new(&key, Purpose::Blocks(&self.salts[1])),
                }),
                Err(err) => return Err(err),
            };
            self.slots.insert(place.clone(), slot);
        }
        Ok(self.slots.get(&place).and_then(Option::as_ref))
    }

    fn management(&self, account: &str, id: u32) -> Option<&Cipher> {
        Some(&self.slots.get(&(account.to_owned(), id))?.as_ref()?.management)
    }

    fn data(&self, account: &str, id: u32) -> Option<&Cipher> {
        Some(&self.slots.get(&(account.to_owned(), id))?.as_ref()?.data)
    }
}

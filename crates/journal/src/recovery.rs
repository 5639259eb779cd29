//! Opening: what is there, what a crash left, what is damaged.

use crate::disk::{Disk, DiskFile};
use crate::error::{FileFault, at};
use crate::format::crypt::{Cipher, Purpose};
use crate::format::frame::{Body, FrameFault, Stamp};
use crate::format::header::Header;
use crate::format::mark::{MARK, Mark};
use crate::names::{self, Presence, Segment};
use crate::scan::{Step, Walk, examine_tail};
use crate::sealed::{SealedFile, read_header_len};
use crate::sealing::Unsealed;
use crate::{
    Corruption, DataKeys, FrameKind, KeyError, OpenError, Options, Payload, Position, StoredFrame,
    Stream,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// How often a mark that is not whole is read again.
const MARK_TRIES: usize = 100;

/// What recovery found.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Highest epoch that ever wrote here; 0 when none did.
    pub(crate) epoch: u64,
    /// Last durable sequence; 0 when there is none.
    pub(crate) sequence: u64,
    /// Epoch of the last durable frame.
    pub(crate) last_epoch: u64,
    /// Complete segments that wait for sealing, oldest first.
    pub(crate) unsealed: Vec<Unsealed>,
    /// Unsealed files without a frame that counts; to be removed once the
    /// new segment is there.
    pub(crate) empty: Vec<PathBuf>,
    pub(crate) open_intents: Vec<StoredFrame>,
    pub(crate) truncated_bytes: u64,
    /// Whether the last owner closed in order.
    pub(crate) clean: bool,
    /// When the last frame was written, if that is known. µs.
    pub(crate) last_commit: Option<i64>,
}

/// Looks through the journal in `options.dir`.
pub(crate) fn recover(
    disk: &dyn Disk,
    keys: &dyn DataKeys,
    options: &Options,
) -> Result<Recovered, OpenError> {
    remove_leftovers(disk, &options.dir)?;
    let segments = list(disk, &options.dir)?;
    let mark = read_mark(disk, &options.dir)?;
    let mut recovery = Survey {
        disk,
        keys,
        options,
        mark,
        intents: HashMap::new(),
        found: Recovered {
            epoch: segments.iter().map(|s| s.epoch).chain(mark.map(|m| m.epoch)).max().unwrap_or(0),
            sequence: segments.first().map_or(0, |segment| segment.first - 1),
            last_epoch: 0,
            unsealed: Vec::new(),
            empty: Vec::new(),
            open_intents: Vec::new(),
            truncated_bytes: 0,
            clean: false,
            last_commit: None,
        },
    };
    for (at, segment) in segments.iter().enumerate() {
        recovery.segment(segment, segments.get(at + 1))?;
    }
    recovery.conclude()
}

/// Reads the mark; `None` when there is none that is whole.
pub(crate) fn read_mark(disk: &dyn Disk, dir: &Path) -> Result<Option<Mark>, FileFault> {
    let path = dir.join(names::MARK);
    let file = match disk.open(&path, true) {
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(at(&path, "open"))?,
    };
    let mut bytes = [0; MARK];
    for _ in 0..MARK_TRIES {
        let read = file.read_at(0, &mut bytes).map_err(at(&path, "read"))?;
        let mark = Mark::decode(&bytes);
        if mark.is_some() || read < MARK {
            return Ok(mark);
        }
        // Perhaps it is being rewritten this very moment: no mark at all would
        // let a reader see what is not durable yet.
        std::thread::yield_now();
    }
    Ok(None)
}

fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<Segment>, FileFault> {
    names::segments(disk, dir).map_err(at(dir, "list"))
}

/// Removes unfinished files and finishes or undoes a sealing that was cut off.
fn remove_leftovers(disk: &dyn Disk, dir: &Path) -> Result<(), FileFault> {
    let remove = |name: &str| {
        let path = dir.join(name);
        disk.remove(&path).map_err(at(&path, "remove"))
    };
    let names = disk.list(dir).map_err(at(dir, "list"))?;
    for name in names.iter().filter(|name| name.ends_with(names::TEMPORARY)) {
        remove(name)?;
    }
    for segment in list(disk, dir)? {
        let Segment { first, last, epoch, .. } = segment;
        if segment.open && segment.is_sealed() {
            remove(&names::open_name(first, epoch))?;
        } else if segment.open && segment.data == Presence::Sealed {
            remove(&names::sealed_name(first, last, epoch, Stream::Data))?;
        }
        for stream in [Stream::Management, Stream::Data] {
            let name = names::sealed_name(first, last, epoch, stream);
            if segment.presence(stream) == Presence::Dropped && names.contains(&name) {
                remove(&name)?;
            }
        }
    }
    disk.sync_dir(dir).map_err(at(dir, "sync"))
}

struct Survey<'a> {
    disk: &'a dyn Disk,
    keys: &'a dyn DataKeys,
    options: &'a Options,
    mark: Option<Mark>,
    /// Open intents by event id.
    intents: HashMap<[u8; 16], StoredFrame>,
    found: Recovered,
}

impl Survey<'_> {
    fn segment(&mut self, segment: &Segment, next: Option<&Segment>) -> Result<(), OpenError> {
        let expected = self.found.sequence + 1;
        if segment.first > expected {
            return Err(self.missing(expected, segment.first - 1).into());
        }
        if segment.first < expected {
            let path = self.options.dir.join(names::open_name(segment.first, segment.epoch));
            let affected = (segment.first, expected - 1);
            return Err(corrupt(&path, 0, "two segments hold the same sequences", affected).into());
        }
        if segment.is_sealed() { self.sealed(segment) } else { self.unsealed(segment, next) }
    }

    fn missing(&self, first: u64, last: u64) -> Corruption {
        Corruption {
            file: self.options.dir.clone(),
            offset: 0,
            what: "segment files are missing".to_owned(),
            first_affected: first,
            last_affected: last,
        }
    }

    fn sealed(&mut self, segment: &Segment) -> Result<(), OpenError> {
        let Segment { first, last, epoch, .. } = *segment;
        if segment.lacks_management() {
            return Err(self.missing(first, last).into());
        }
        for stream in [Stream::Management, Stream::Data] {
            let name = match segment.presence(stream) {
                Presence::Absent => continue,
                Presence::Sealed => names::sealed_name(first, last, epoch, stream),
                Presence::Dropped => names::dropped_name(first, last, epoch, stream),
            };
            let file = SealedFile::open(self.disk, &self.options.dir.join(name))?;
            self.check_owner(file.path(), &file.header)?;
            if file.footer.other_count > 0
                && stream == Stream::Management
                && segment.data == Presence::Absent
            {
                return Err(self.missing(first, last).into());
            }
            self.found.last_commit = Some(file.header.created);
        }
        (self.found.sequence, self.found.last_epoch) = (last, epoch);
        Ok(())
    }

    fn check_owner(&self, path: &Path, header: &Header) -> Result<(), OpenError> {
        if header.node != self.options.node {
            return Err(OpenError::OtherNode {
                dir: self.options.dir.clone(),
                found: hex::encode(header.node),
                expected: hex::encode(self.options.node),
            });
        }
        let ours = self.keys.master_id();
        if header.key_id != ours && header.key_id != [0; 8] && ours != [0; 8] {
            return Err(OpenError::OtherMasterKey {
                file: path.to_owned(),
                found: hex::encode(header.key_id),
                expected: hex::encode(ours),
            });
        }
        Ok(())
    }

    /// An unsealed segment: every frame up to the next segment must be whole;
    /// the last segment may have a torn tail.
    fn unsealed(&mut self, segment: &Segment, next: Option<&Segment>) -> Result<(), OpenError> {
        let path = self.options.dir.join(names::open_name(segment.first, segment.epoch));
        let file = self.disk.open(&path, next.is_some()).map_err(at(&path, "open"))?;
        let (header, start) = read_header_len(&*file, &path)?;
        self.check_owner(&path, &header)?;
        if next.is_none() {
            // A killed writer may have left frames that are in memory only. What
            // counts from here on is what the disk holds.
            file.sync().map_err(at(&path, "sync"))?;
            file.forget_cache();
        }
        let limit = file.len().map_err(at(&path, "measure"))?;
        self.found.last_commit.get_or_insert(header.created);
        let wanted = next.map_or(u64::MAX, |next| next.first - 1);
        let walk = Walk::new(&*file, start, limit);
        let end = self.walk((walk, start), (&header, &path), wanted)?;
        let first_missing = end.last + 1;
        match (next, end.bad) {
            (Some(_), bad) if end.last < wanted => {
                let (offset, what) = bad.unwrap_or((end.offset, "the segment ends early"));
                return Err(corrupt(&path, offset, what, (first_missing, wanted)).into());
            }
            (None, Some((offset, what))) => {
                let torn = judge_tail(&*file, &path, (offset, limit), (first_missing, what))?;
                file.set_len(end.offset).map_err(at(&path, "cut"))?;
                file.sync().map_err(at(&path, "sync"))?;
                self.found.truncated_bytes = torn;
            }
            _ => {}
        }
        self.keep(segment, path, end.last);
        Ok(())
    }

    /// Visits frames up to `wanted`, or to the first that is not whole.
    fn walk(
        &mut self,
        (mut walk, start): (Walk<'_>, u64),
        (header, path): (&Header, &Path),
        wanted: u64,
    ) -> Result<End, OpenError> {
        let mut end = End { last: header.first - 1, offset: start, bad: None };
        while end.last < wanted {
            let found = match walk.next().map_err(at(path, "read"))? {
                Step::Frame(found) if found.sequence() == end.last + 1 => found,
                Step::Frame(found) => {
                    end.bad = Some((found.offset, "frames are out of sequence"));
                    break;
                }
                Step::End => break,
                Step::Bad { offset, what } => {
                    end.bad = Some((offset, what));
                    break;
                }
                Step::Unsupported(what) => {
                    return Err(OpenError::Unsupported { file: path.to_owned(), what });
                }
            };
            (end.last, end.offset) = (found.sequence(), found.end());
            let stamp = found.head.stamp;
            self.found.last_commit = Some(stamp.commit);
            let body = usable(Body::decode(found.body), path)?;
            let Header { node, epoch, .. } = *header;
            let position = Position { node, epoch, sequence: end.last };
            self.note(header, &body, (position, stamp))?;
        }
        Ok(end)
    }

    fn keep(&mut self, segment: &Segment, path: PathBuf, last: u64) {
        if last < segment.first {
            self.found.empty.push(path);
            return;
        }
        let Segment { first, epoch, .. } = *segment;
        self.found.unsealed.push(Unsealed { path, first, last, epoch });
        (self.found.sequence, self.found.last_epoch) = (last, epoch);
    }

    /// Opens and closes intents; only intents are decrypted.
    fn note(
        &mut self,
        header: &Header,
        body: &Body<'_>,
        (position, stamp): (Position, Stamp),
    ) -> Result<(), OpenError> {
        match body.kind {
            FrameKind::Intent => {
                let key = match self.keys.by_id(body.account, body.key_id) {
                    Err(KeyError::Erased { .. }) => return Ok(()),
                    key => key?,
                };
                let payload = body.decrypt(&Cipher::new(&key, Purpose::Frames(&header.salt)));
                let payload = payload.ok_or_else(|| {
                    let path = names::open_name(header.first, header.epoch);
                    let affected = (position.sequence, position.sequence);
                    corrupt(&self.options.dir.join(path), 0, "an intent does not decrypt", affected)
                })?;
                let frame = body.stored(position, stamp, Payload::Present(payload));
                self.intents.insert(body.event_id, frame);
            }
            FrameKind::Record => {
                self.intents.remove(&body.event_id);
            }
            FrameKind::Learned | FrameKind::Seen | FrameKind::Generation => {}
        }
        Ok(())
    }

    fn conclude(mut self) -> Result<Recovered, OpenError> {
        let last = self.found.sequence;
        if let Some(mark) = self.mark.filter(|mark| mark.node == self.options.node) {
            if mark.sequence > last {
                return Err(Corruption {
                    file: self.options.dir.join(names::MARK),
                    offset: 0,
                    what: "the mark says that more frames were durable than the segments hold; \
                           remove the mark only to accept their loss"
                        .to_owned(),
                    first_affected: last + 1,
                    last_affected: mark.sequence,
                }
                .into());
            }
            let newest = mark.epoch == self.found.epoch && mark.sequence == last;
            self.found.clean = mark.closed && newest && self.found.truncated_bytes == 0;
        }
        self.found.open_intents = self.intents.into_values().collect();
        self.found.open_intents.sort_unstable_by_key(|frame| frame.position);
        Ok(self.found)
    }
}

/// How far a segment is whole.
struct End {
    last: u64,
    /// Behind the last whole frame.
    offset: u64,
    /// What stands there instead of a frame, if anything: offset and why.
    bad: Option<(u64, &'static str)>,
}

/// A torn tail may be cut; damage among frames that were durable may not. The
/// bytes that are torn: none where only room was left ahead.
fn judge_tail(
    file: &dyn DiskFile,
    path: &Path,
    (offset, limit): (u64, u64),
    (expected, what): (u64, &str),
) -> Result<u64, OpenError> {
    let tail = examine_tail(file, (offset, limit), expected).map_err(at(path, "read"))?;
    match tail.proof {
        Some(later) => Err(corrupt(path, offset, what, (expected, later - 1)).into()),
        None => Ok(tail.torn),
    }
}

fn usable<'a>(body: Result<Body<'a>, FrameFault>, path: &Path) -> Result<Body<'a>, OpenError> {
    body.map_err(|fault| match fault {
        FrameFault::Unsupported(what) => OpenError::Unsupported { file: path.to_owned(), what },
        FrameFault::Bad(what) => {
            OpenError::Unsupported { file: path.to_owned(), what: what.to_owned() }
        }
    })
}

fn corrupt(path: &Path, offset: u64, what: &str, (first, last): (u64, u64)) -> Corruption {
    Corruption {
        file: path.to_owned(),
        offset,
        what: what.to_owned(),
        first_affected: first,
        last_affected: last,
    }
}

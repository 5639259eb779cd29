//! Walking through the frames of an unsealed segment, and judging its end.

use crate::disk::DiskFile;
use crate::format::frame::{Body, FrameFault, HEAD, Head, MAGIC};
use std::io;

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// A frame on disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) offset: u64,
    pub(crate) head: Head,
    /// Checksum verified, attributes not yet read.
    pub(crate) body: &'a [u8],
}

impl Found<'_> {
    /// Where the next frame begins.
    pub(crate) fn end(&self) -> u64 {
        self.offset + HEAD as u64 + self.head.body_len as u64
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.head.stamp.sequence
    }
}

/// What comes next in a segment.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    Frame(Found<'a>),
    /// Exactly at the limit.
    End,
    /// Something that is no whole frame.
    Bad {
        offset: u64,
        what: &'static str,
    },
    /// A frame of a newer release.
    Unsupported(String),
}

/// Reads frame after frame up to a limit.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    file: &'a dyn DiskFile,
    buffer: Vec<u8>,
    /// File offset of `buffer[0]`.
    start: u64,
    /// Next frame, file offset.
    at: u64,
    limit: u64,
}

impl<'a> Walk<'a> {
    /// Walks from `at` to `limit`, both file offsets.
    pub(crate) fn new(file: &'a dyn DiskFile, at: u64, limit: u64) -> Self {
        Self { file, buffer: Vec::new(), start: at, at, limit }
    }

    pub(crate) fn next(&mut self) -> io::Result<Step<'_>> {
        if self.at >= self.limit {
            return Ok(Step::End);
        }
        let offset = self.at;
        let bad = |what| Ok(Step::Bad { offset, what });
        if !self.fill(HEAD)? {
            return bad("the head of a frame is cut short");
        }
        let from = self.index();
        let Some(head) = self.buffer[from..].first_chunk::<HEAD>() else {
            return bad("the head of a frame is cut short");
        };
        let head = match Head::decode(head) {
            Ok(head) => head,
            Err(FrameFault::Bad(what)) => return bad(what),
            Err(FrameFault::Unsupported(what)) => return Ok(Step::Unsupported(what)),
        };
        if !self.fill(HEAD + head.body_len)? {
            return bad("the body of a frame is cut short");
        }
        let from = self.index() + HEAD;
        let body = &self.buffer[from..from + head.body_len];
        if !head.fits(body) {
            return bad("checksum of a frame's body is wrong");
        }
        self.at = offset + (HEAD + head.body_len) as u64;
        Ok(Step::Frame(Found { offset, head, body }))
    }

    fn index(&self) -> usize {
        usize::try_from(self.at - self.start).unwrap_or(usize::MAX)
    }

    /// Makes `len` bytes from `at` available; false when the limit is nearer.
    fn fill(&mut self, len: usize) -> io::Result<bool> {
        if self.at + len as u64 > self.limit {
            return Ok(false);
        }
        let have = self.buffer.len() - self.index().min(self.buffer.len());
        if have >= len {
            return Ok(true);
        }
        let index = self.index().min(self.buffer.len());
        self.buffer.drain(..index);
        self.start = self.at;
        let left = usize::try_from(self.limit - self.at).unwrap_or(usize::MAX);
        let want = len.max(CHUNK).min(left);
        self.buffer.resize(want, 0);
        let read = self.file.read_at(self.at + have as u64, &mut self.buffer[have..])?;
        self.buffer.truncate(have + read);
        Ok(self.buffer.len() >= len)
    }
}

/// What stands behind the last whole frame of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The first sequence that proves that the frame before it was durable.
    pub(crate) proof: Option<u64>,
    /// Bytes up to the last that is not zero: zeros are room, not a torn write.
    pub(crate) torn: u64,
}

/// Looks at what stands behind `offset`, where frame `expected` should be. Its
/// proof of durability is a whole frame of a *later* batch.
///
/// A batch is written only when the one before it is durable. So damage with
/// nothing but frames of the same batch behind it is a torn write that nobody
/// was told about; damage with a later batch behind it is a loss.
pub(crate) fn examine_tail(
    file: &dyn DiskFile,
    (offset, limit): (u64, u64),
    expected: u64,
) -> io::Result<Tail> {
    let rest = read_range(file, (offset, limit))?;
    let used = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    Ok(Tail { proof: proof_of_durability(&rest, expected), torn: used as u64 })
}

fn proof_of_durability(rest: &[u8], expected: u64) -> Option<u64> {
    let found = first_whole(rest, |head| is_later(head, expected));
    found.map(|(_, head)| head.stamp.sequence)
}

/// The first whole frame at or behind `offset` with a sequence of `expected` or
/// more: its offset and sequence.
pub(crate) fn next_whole(
    file: &dyn DiskFile,
    (offset, limit): (u64, u64),
    expected: u64,
) -> io::Result<Option<(u64, u64)>> {
    let rest = read_range(file, (offset, limit))?;
    let found = first_whole(&rest, |head| head.stamp.sequence >= expected);
    Ok(found.map(|(at, head)| (offset + at as u64, head.stamp.sequence)))
}

/// The highest sequence of a whole frame in the file, wherever it stands; 0
/// when there is none.
pub(crate) fn highest_whole(file: &dyn DiskFile, limit: u64) -> io::Result<u64> {
    let mut highest = 0;
    first_whole(&read_range(file, (0, limit))?, |head| {
        highest = highest.max(head.stamp.sequence);
        false
    });
    Ok(highest)
}

fn read_range(file: &dyn DiskFile, (offset, limit): (u64, u64)) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(limit.saturating_sub(offset)).unwrap_or(0)];
    let read = file.read_at(offset, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// The first whole frame that is `wanted`, wherever it stands.
fn first_whole(bytes: &[u8], mut wanted: impl FnMut(&Head) -> bool) -> Option<(usize, Head)> {
    let mut at = 0;
    while let Some(next) = find(&bytes[at..]) {
        at += next;
        match whole_frame(&bytes[at..]) {
            Some(head) if wanted(&head) => return Some((at, head)),
            Some(head) => at += HEAD + head.body_len,
            None => at += 1,
        }
    }
    None
}

fn is_later(head: &Head, expected: u64) -> bool {
    let batch = head.stamp.sequence.saturating_sub(u64::from(head.stamp.index));
    head.stamp.sequence > expected && batch > expected
}

fn find(bytes: &[u8]) -> Option<usize> {
    bytes.windows(MAGIC.len()).position(|window| window == MAGIC)
}

fn whole_frame(bytes: &[u8]) -> Option<Head> {
    let head = Head::decode(bytes.first_chunk()?).ok()?;
    let body = bytes.get(HEAD..HEAD + head.body_len)?;
    (head.fits(body) && Body::decode(body).is_ok()).then_some(head)
}

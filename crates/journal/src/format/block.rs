//! Blocks of a sealed file: frames of one account, compressed, then encrypted.

use super::cursor::{Cursor, put_short_text, put_signed_varint, put_varint};
use super::frame::{Stamp, read_extension};
use crate::{FrameKind, Payload, Position, StoredFrame};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use trailbox_clock::Micros;

const READ_ONLY: u8 = 1;
const CARRIED: u8 = 2;
const ERASED: u8 = 4;

/// One frame on its way into a block.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) stamp: Stamp,
    pub(crate) kind: FrameKind,
    pub(crate) category: u8,
    pub(crate) read_only: bool,
    pub(crate) arrival: i64,
    pub(crate) event_id: [u8; 16],
    pub(crate) region: &'a str,
    pub(crate) extension: &'a [u8],
    /// `None` when the account was erased.
    pub(crate) payload: Option<&'a [u8]>,
}

/// Frames of one account and data key, gathered.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    heads: Vec<u8>,
    payloads: Vec<u8>,
    pub(crate) summary: Summary,
    previous: (u64, i64, i64),
}

/// What is known of a block without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) count: u32,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) min_arrival: i64,
    pub(crate) max_arrival: i64,
    /// Bit `k` is set when a frame of kind `k` is inside.
    pub(crate) kinds: u8,
}

impl Default for Summary {
    fn default() -> Self {
        Self { count: 0, first: 0, last: 0, min_arrival: i64::MAX, max_arrival: i64::MIN, kinds: 0 }
    }
}

impl Summary {
    fn add(&mut self, entry: &Entry<'_>) {
        if self.count == 0 {
            self.first = entry.stamp.sequence;
        }
        self.count += 1;
        self.last = entry.stamp.sequence;
        self.min_arrival = self.min_arrival.min(entry.arrival);
        self.max_arrival = self.max_arrival.max(entry.arrival);
        self.kinds |= 1 << entry.kind as u8;
    }
}

impl Builder {
    pub(crate) fn add(&mut self, entry: &Entry<'_>) {
        let (sequence, arrival, commit) = self.previous;
        let out = &mut self.heads;
        put_varint(out, entry.stamp.sequence.wrapping_sub(sequence));
        let mut flags = if entry.read_only { READ_ONLY } else { 0 };
        flags |= if entry.stamp.carried { CARRIED } else { 0 };
        flags |= if entry.payload.is_none() { ERASED } else { 0 };
        out.extend_from_slice(&[entry.kind as u8, entry.category, flags]);
        put_signed_varint(out, entry.arrival.wrapping_sub(arrival));
        put_signed_varint(out, entry.stamp.commit.wrapping_sub(commit));
        out.extend_from_slice(&entry.event_id);
        put_short_text(out, entry.region);
        put_varint(out, entry.extension.len() as u64);
        out.extend_from_slice(entry.extension);
        let payload = entry.payload.unwrap_or_default();
        put_varint(out, payload.len() as u64);
        self.payloads.extend_from_slice(payload);
        self.previous = (entry.stamp.sequence, entry.arrival, entry.stamp.commit);
        self.summary.add(entry);
    }

    /// Bytes gathered so far.
    pub(crate) fn len(&self) -> usize {
        self.heads.len() + self.payloads.len()
    }

    /// The block before compression.
    pub(crate) fn finish(self) -> (Summary, Vec<u8>) {
        let mut raw = Vec::with_capacity(4 + self.heads.len() + self.payloads.len());
        raw.extend_from_slice(&u32::try_from(self.heads.len()).unwrap_or(u32::MAX).to_le_bytes());
        raw.extend_from_slice(&self.heads);
        raw.extend_from_slice(&self.payloads);
        (self.summary, raw)
    }
}

/// An opened block.
#[derive(Debug)]
pub(crate) struct Block {
    raw: Bytes,
    entries: Vec<Located>,
}

#[derive(Debug)]
struct Located {
    stamp: Stamp,
    kind: FrameKind,
    category: u8,
    flags: u8,
    arrival: i64,
    event_id: [u8; 16],
    region: Range<usize>,
    extension: Range<usize>,
    payload: Range<usize>,
}

impl Block {
    /// Reads a block of `count` frames. `None` when the bytes are no such block.
    pub(crate) fn decode(raw: Vec<u8>, count: u32) -> Option<Self> {
        let raw = Bytes::from(raw);
        let mut cursor = Cursor::new(&raw);
        let heads_end = cursor.u32()? as usize + 4;
        let mut payload_at = heads_end;
        let mut entries: Vec<Located> = Vec::with_capacity(count.min(1 << 20) as usize);
        for _ in 0..count {
            let entry = read_entry(&mut cursor, entries.last(), payload_at)?;
            payload_at = entry.payload.end;
            entries.push(entry);
        }
        (cursor.at() == heads_end && payload_at == raw.len()).then_some(Self { raw, entries })
    }

    /// Memory the block takes, roughly. Bytes.
    pub(crate) fn weight(&self) -> usize {
        self.raw.len() + self.entries.len() * size_of::<Located>()
    }

    /// The frame with `sequence`, of `account`.
    pub(crate) fn frame(&self, position: Position, account: &str) -> Option<StoredFrame> {
        let at =
            self.entries.binary_search_by_key(&position.sequence, |e| e.stamp.sequence).ok()?;
        let entry = &self.entries[at];
        let payload = if entry.flags & ERASED == 0 {
            Payload::Present(self.raw.slice(entry.payload.clone()))
        } else {
            Payload::Erased
        };
        Some(StoredFrame {
            position,
            kind: entry.kind,
            account: account.to_owned(),
            region: String::from_utf8_lossy(&self.raw[entry.region.clone()]).into_owned(),
            category: entry.category,
            read_only: entry.flags & READ_ONLY != 0,
            carried: entry.stamp.carried,
            event_id: entry.event_id,
            arrival: Micros(entry.arrival),
            commit: Micros(entry.stamp.commit),
            extension: read_extension(&self.raw[entry.extension.clone()]).unwrap_or_default(),
            payload,
        })
    }

    /// What leaf hashes are made of, frame by frame: kind, event id, arrival,
    /// payload (`None` when erased).
    pub(crate) fn leaf_inputs(
        &self,
    ) -> impl Iterator<Item = (u64, u8, &[u8; 16], i64, Option<&[u8]>)> {
        self.entries.iter().map(|entry| {
            let payload = (entry.flags & ERASED == 0).then(|| &self.raw[entry.payload.clone()]);
            (entry.stamp.sequence, entry.kind as u8, &entry.event_id, entry.arrival, payload)
        })
    }
}

fn read_entry(
    cursor: &mut Cursor<'_>,
    previous: Option<&Located>,
    payload_at: usize,
) -> Option<Located> {
    let (sequence, arrival, commit) =
        previous.map_or((0, 0, 0), |e| (e.stamp.sequence, e.arrival, e.stamp.commit));
    let sequence = sequence.wrapping_add(cursor.varint()?);
    let kind = FrameKind::from_byte(cursor.u8()?)?;
    let category = cursor.u8()?;
    let flags = cursor.u8()?;
    let arrival = arrival.wrapping_add(cursor.signed_varint()?);
    let commit = commit.wrapping_add(cursor.signed_varint()?);
    let event_id = cursor.array()?;
    let region_len = usize::from(cursor.u8()?);
    let region = spot(cursor, region_len)?;
    let extension_len = usize::try_from(cursor.varint()?).ok()?;
    let extension = spot(cursor, extension_len)?;
    let payload_len = usize::try_from(cursor.varint()?).ok()?;
    let carried = flags & CARRIED != 0;
    Some(Located {
        stamp: Stamp { sequence, commit, index: 0, carried },
        kind,
        category,
        flags,
        arrival,
        event_id,
        region,
        extension,
        payload: payload_at..payload_at.checked_add(payload_len)?,
    })
}

/// Takes `len` bytes and says where they were.
fn spot(cursor: &mut Cursor<'_>, len: usize) -> Option<Range<usize>> {
    let start = cursor.at();
    cursor.take(len)?;
    Some(start..cursor.at())
}

/// A block's line in the index of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Descriptor {
    pub(crate) account: Arc<str>,
    pub(crate) key_id: u32,
    /// Whether the block is compressed only: its account was erased.
    pub(crate) clear: bool,
    pub(crate) summary: Summary,
    /// Length before compression.
    pub(crate) raw_len: u32,
    pub(crate) offset: u64,
    /// Length in the file, tag included.
    pub(crate) stored_len: u32,
    pub(crate) stored_crc: u32,
}

impl Descriptor {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        self.encode_bound(out);
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.stored_len.to_le_bytes());
        out.extend_from_slice(&self.stored_crc.to_le_bytes());
    }

    /// The fields the encryption of the block vouches for.
    fn encode_bound(&self, out: &mut Vec<u8>) {
        put_short_text(out, &self.account);
        out.extend_from_slice(&self.key_id.to_le_bytes());
        out.extend_from_slice(&[u8::from(self.clear), self.summary.kinds]);
        out.extend_from_slice(&self.summary.count.to_le_bytes());
        out.extend_from_slice(&self.summary.first.to_le_bytes());
        out.extend_from_slice(&self.summary.last.to_le_bytes());
        out.extend_from_slice(&self.summary.min_arrival.to_le_bytes());
        out.extend_from_slice(&self.summary.max_arrival.to_le_bytes());
        out.extend_from_slice(&self.raw_len.to_le_bytes());
    }

    /// Additional authenticated data of the block.
    pub(crate) fn aad(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        self.encode_bound(&mut out);
        out
    }

    pub(crate) fn decode(cursor: &mut Cursor<'_>) -> Option<Self> {
        let account = cursor.short_text()?.into();
        let key_id = cursor.u32()?;
        let clear = cursor.u8()? != 0;
        let kinds = cursor.u8()?;
        let summary = Summary {
            kinds,
            count: cursor.u32()?,
            first: cursor.u64()?,
            last: cursor.u64()?,
            min_arrival: cursor.i64()?,
            max_arrival: cursor.i64()?,
        };
        Some(Self {
            account,
            key_id,
            clear,
            summary,
            raw_len: cursor.u32()?,
            offset: cursor.u64()?,
            stored_len: cursor.u32()?,
            stored_crc: cursor.u32()?,
        })
    }
}

/// The nonce of block `number`: its file's salt makes the key unique.
pub(crate) fn nonce(number: usize) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&(number as u64).to_le_bytes());
    nonce
}

#[cfg(test)]
mod tests {
    use super::{Block, Builder, Descriptor, Entry, Summary};
    use crate::format::cursor::Cursor;
    use crate::format::frame::Stamp;
    use crate::{FrameKind, Payload, Position};
    use proptest::prelude::*;

    fn entry(sequence: u64, payload: Option<&[u8]>) -> Entry<'_> {
        Entry {
            stamp: Stamp {
                sequence,
                commit: 100 - sequence.cast_signed(),
                index: 0,
                carried: sequence == 9,
            },
            kind: FrameKind::Record,
            category: 1,
            read_only: sequence.is_multiple_of(2),
            arrival: 50 + sequence.cast_signed(),
            event_id: [sequence.to_le_bytes()[0]; 16],
            region: "eu-north-1",
            extension: &[1, b'l', 1, b'u', 3],
            payload,
        }
    }

    #[test]
    fn frames_come_back_out_of_a_block_and_erased_ones_say_so() {
        let mut builder = Builder::default();
        for (sequence, payload) in [(2, Some(&b"two"[..])), (9, None), (1000, Some(b""))] {
            builder.add(&entry(sequence, payload));
        }
        let (summary, raw) = builder.finish();
        assert_eq!((summary.count, summary.first, summary.last), (3, 2, 1000));
        assert_eq!((summary.min_arrival, summary.max_arrival, summary.kinds), (52, 1050, 0b100));
        let block = Block::decode(raw, 3).unwrap();
        let at = |sequence| block.frame(Position { sequence, ..Position::default() }, "a");
        let two = at(2).unwrap();
        assert_eq!(two.payload.bytes().unwrap(), &b"two"[..]);
        assert_eq!((two.region.as_str(), two.extension.trust, two.commit.0), ("eu-north-1", 3, 98));
        assert_eq!(at(9).unwrap().payload, Payload::Erased);
        assert!(at(9).unwrap().carried && at(1000).unwrap().read_only);
        assert_eq!(at(3), None);
    }

    proptest! {
        #[test]
        fn foreign_blocks_and_descriptors_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), count in 0_u32..5,
        ) {
            let _ = Block::decode(bytes.clone(), count);
            let _ = Descriptor::decode(&mut Cursor::new(&bytes));
        }
    }

    #[test]
    fn a_descriptor_comes_back() {
        let descriptor = Descriptor {
            account: "111122223333".into(),
            key_id: 1,
            clear: false,
            summary: Summary {
                count: 2,
                first: 3,
                last: 4,
                min_arrival: -5,
                max_arrival: 6,
                kinds: 7,
            },
            raw_len: 8,
            offset: 9,
            stored_len: 10,
            stored_crc: 11,
        };
        let mut out = Vec::new();
        descriptor.encode(&mut out);
        assert_eq!(Descriptor::decode(&mut Cursor::new(&out)), Some(descriptor));
    }
}

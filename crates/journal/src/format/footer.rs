//! The footer that ends every sealed file.

use super::crypt::HASH;
use super::cursor::Cursor;

/// Bytes after the footer's fields: their length, checksum and the magic.
pub(crate) const TAIL: usize = 16;
const MAGIC: &[u8; 8] = b"TRAILEND";

/// A part of the file with its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Section {
    pub(crate) offset: u64,
    pub(crate) len: u64,
    pub(crate) crc: u32,
}

/// What a sealed file holds and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Frames of this stream.
    pub(crate) count: u64,
    /// Frames of the segment's other stream.
    pub(crate) other_count: u64,
    pub(crate) min_arrival: i64,
    pub(crate) max_arrival: i64,
    pub(crate) blocks: u32,
    /// Descriptors of the blocks.
    pub(crate) index: Section,
    /// Which sequence lies in which block; compressed.
    pub(crate) table: Section,
    /// Leaf hashes in sequence order.
    pub(crate) leaves: Section,
    /// Merkle tree head over the leaves.
    pub(crate) head: [u8; HASH],
    /// Link of this stream's previous sealed file; zeros for the first.
    pub(crate) previous: [u8; HASH],
    /// Link of this file.
    pub(crate) link: [u8; HASH],
}

impl Footer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.other_count.to_le_bytes());
        out.extend_from_slice(&self.min_arrival.to_le_bytes());
        out.extend_from_slice(&self.max_arrival.to_le_bytes());
        out.extend_from_slice(&self.blocks.to_le_bytes());
        for section in [self.index, self.table, self.leaves] {
            out.extend_from_slice(&section.offset.to_le_bytes());
            out.extend_from_slice(&section.len.to_le_bytes());
            out.extend_from_slice(&section.crc.to_le_bytes());
        }
        for hash in [self.head, self.previous, self.link] {
            out.extend_from_slice(&hash);
        }
        let len = u32::try_from(out.len()).unwrap_or(u32::MAX);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(MAGIC);
        out
    }

    /// How many bytes of fields stand before `tail`, the file's last [`TAIL`] bytes.
    pub(crate) fn fields_len(tail: &[u8]) -> Option<usize> {
        let mut cursor = Cursor::new(tail);
        let len = cursor.u32()? as usize;
        cursor.u32()?;
        (cursor.rest() == MAGIC && len <= 4096).then_some(len)
    }

    /// Reads `fields`; `None` when they do not match the checksum in `tail`.
    pub(crate) fn decode(fields: &[u8], tail: &[u8]) -> Option<Self> {
        let crc = u32::from_le_bytes(tail.get(4..8)?.try_into().ok()?);
        if crc32c::crc32c(fields) != crc {
            return None;
        }
        let mut cursor = Cursor::new(fields);
        Some(Self {
            count: cursor.u64()?,
            other_count: cursor.u64()?,
            min_arrival: cursor.i64()?,
            max_arrival: cursor.i64()?,
            blocks: cursor.u32()?,
            index: section(&mut cursor)?,
            table: section(&mut cursor)?,
            leaves: section(&mut cursor)?,
            head: cursor.array()?,
            previous: cursor.array()?,
            link: cursor.array()?,
        })
    }
}

fn section(cursor: &mut Cursor<'_>) -> Option<Section> {
    Some(Section { offset: cursor.u64()?, len: cursor.u64()?, crc: cursor.u32()? })
}

#[cfg(test)]
mod tests {
    use super::{Footer, Section, TAIL};

    #[test]
    fn a_footer_comes_back_and_a_damaged_one_does_not() {
        let section = Section { offset: 1, len: 2, crc: 3 };
        let footer = Footer {
            count: 1,
            other_count: 2,
            min_arrival: -3,
            max_arrival: 4,
            blocks: 5,
            index: section,
            table: section,
            leaves: section,
            head: [6; 32],
            previous: [7; 32],
            link: [8; 32],
        };
        let bytes = footer.encode();
        let (fields, tail) = bytes.split_at(bytes.len() - TAIL);
        assert_eq!(Footer::fields_len(tail), Some(fields.len()));
        assert_eq!(Footer::decode(fields, tail), Some(footer));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            let (fields, tail) = damaged.split_at(bytes.len() - TAIL);
            let same_len = Footer::fields_len(tail) == Some(fields.len());
            assert!(!same_len || Footer::decode(fields, tail).is_none(), "byte {at}");
        }
    }
}

//! The mark: how far the open segment is durable, for readers elsewhere.
//!
//! Rewritten in place after every sync, itself synced only at a clean close:
//! it never runs ahead of the segment, but after a power loss it may be behind.

use super::cursor::Cursor;

/// Bytes of the mark file.
pub(crate) const MARK: usize = 72;
const MAGIC: &[u8; 8] = b"TRAILMRK";
const CLOSED: u8 = 1;

/// The durable end of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) node: [u8; 16],
    pub(crate) epoch: u64,
    /// First sequence of the open segment.
    pub(crate) segment: u64,
    /// Bytes of the open segment that are durable.
    pub(crate) offset: u64,
    /// Last durable sequence.
    pub(crate) sequence: u64,
    /// Whether the journal was closed in order.
    pub(crate) closed: bool,
}

impl Mark {
    pub(crate) fn encode(&self) -> [u8; MARK] {
        let mut out = [0; MARK];
        out[..8].copy_from_slice(MAGIC);
        out[8..10].copy_from_slice(&1_u16.to_le_bytes());
        out[10] = if self.closed { CLOSED } else { 0 };
        out[16..32].copy_from_slice(&self.node);
        let numbers = [self.epoch, self.segment, self.offset, self.sequence];
        for (slot, number) in out[32..64].chunks_exact_mut(8).zip(numbers) {
            slot.copy_from_slice(&number.to_le_bytes());
        }
        let crc = crc32c::crc32c(&out[..64]);
        out[64..68].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// `None` when `bytes` are no mark: torn, absent or of another version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let fields = bytes.get(..64)?;
        let mut cursor = Cursor::new(bytes);
        if cursor.take(8)? != MAGIC || cursor.u16()? != 1 {
            return None;
        }
        let closed = cursor.u8()? & CLOSED != 0;
        cursor.take(5)?;
        let mark = Self {
            node: cursor.array()?,
            epoch: cursor.u64()?,
            segment: cursor.u64()?,
            offset: cursor.u64()?,
            sequence: cursor.u64()?,
            closed,
        };
        (cursor.u32()? == crc32c::crc32c(fields)).then_some(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::Mark;

    #[test]
    fn a_mark_comes_back_and_a_torn_one_is_none() {
        let mark =
            Mark { node: [9; 16], epoch: 1, segment: 2, offset: 3, sequence: 4, closed: true };
        let bytes = mark.encode();
        assert_eq!(Mark::decode(&bytes), Some(mark));
        for at in 0..68 {
            let mut torn = bytes;
            torn[at] ^= 1;
            assert_eq!(Mark::decode(&torn), None, "byte {at}");
        }
        assert_eq!(Mark::decode(&bytes[..40]), None);
    }
}

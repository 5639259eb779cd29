//! Numbers and blocks of index files.
//!
//! A block is `length u32 · CRC-32C u32 · codec u8 · bytes`, little-endian; the
//! checksum covers codec and bytes. Codec 0 is plain, 1 is zstd: used where it
//! saves at least an eighth.

use bytes::Bytes;

/// Where a block lies in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct BlockRef {
    /// First byte of the block's head.
    pub(crate) offset: u64,
    /// Bytes with the head.
    pub(crate) length: u32,
}

/// Why bytes of an index file are not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Damage {
    #[error("checksum at byte {offset} does not match")]
    Checksum { offset: u64 },
    #[error("block at byte {offset} is cut short")]
    Short { offset: u64 },
    #[error("{what} does not decode")]
    Shape { what: &'static str },
    #[error("not an index file of version {version}: {reason}", version = crate::segment::VERSION)]
    Header { reason: String },
    #[error("cannot read: {reason}")]
    Read { reason: String },
}

const HEAD: usize = 9;
const HEAD_U32: u32 = 9;
/// Blocks shorter than this are not worth compressing.
const COMPRESS_FROM: usize = 256;
/// No block unpacks to more; a damaged length must not eat the memory.
const UNPACKED_MAX: usize = 64 << 20;

/// Appends `bytes` as a block to `out`, compressed if that pays, and says where it lies.
pub(crate) fn put_block(out: &mut Vec<u8>, bytes: &[u8]) -> BlockRef {
    let packed = (bytes.len() >= COMPRESS_FROM)
        .then(|| zstd::bulk::compress(bytes, 1).ok())
        .flatten()
        .filter(|packed| packed.len() + bytes.len() / 8 < bytes.len());
    let (codec, body) = packed.as_deref().map_or((0_u8, bytes), |packed| (1, packed));
    put_body(out, codec, body)
}

/// Appends `bytes` as a plain block: hashes do not compress, and a block that
/// every lookup probes is read fastest as it is.
pub(crate) fn put_plain_block(out: &mut Vec<u8>, bytes: &[u8]) -> BlockRef {
    put_body(out, 0, bytes)
}

fn put_body(out: &mut Vec<u8>, codec: u8, body: &[u8]) -> BlockRef {
    let offset = out.len() as u64;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&[codec]), body);
    out.extend_from_slice(&length_of(body).to_le_bytes());
    out.extend_from_slice(&crc.to_le_bytes());
    out.push(codec);
    out.extend_from_slice(body);
    BlockRef { offset, length: length_of(body).saturating_add(HEAD_U32) }
}

/// Checks a whole block read from `offset` and returns its bytes, unpacked.
pub(crate) fn open_block(offset: u64, block: Bytes) -> Result<Bytes, Damage> {
    let head = block.get(..HEAD).ok_or(Damage::Short { offset })?;
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let crc = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    let codec = head[8];
    if block.len() != HEAD + length {
        return Err(Damage::Short { offset });
    }
    if crc32c::crc32c(&block[HEAD - 1..]) != crc {
        return Err(Damage::Checksum { offset });
    }
    let body = block.slice(HEAD..);
    match codec {
        0 => Ok(body),
        1 => trailbox_journal::unpack(&body, unpacked_length(&body)?)
            .map(Bytes::from)
            .map_err(|_| Damage::Shape { what: "a compressed block" }),
        _ => Err(Damage::Shape { what: "the codec of a block" }),
    }
}

fn unpacked_length(body: &[u8]) -> Result<usize, Damage> {
    let damage = Damage::Shape { what: "the length of a compressed block" };
    let length = zstd::zstd_safe::get_frame_content_size(body).ok().flatten();
    match length.and_then(|length| usize::try_from(length).ok()) {
        Some(length) if length <= UNPACKED_MAX => Ok(length),
        Some(_) | None => Err(damage),
    }
}

/// Blocks are cut far below 4 GiB by whoever writes them.
fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// Appends `value` as LEB128.
pub(crate) fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_byte(value) | 0x80);
        value >>= 7;
    }
    out.push(low_byte(value));
}

const fn low_byte(value: u64) -> u8 {
    (value & 0x7f) as u8
}

/// Appends a signed number, small for small distances from zero.
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_number(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

/// Appends a text: length, bytes.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Appends an ascending list: count, first, distances.
pub(crate) fn put_ascending(out: &mut Vec<u8>, numbers: &[u32]) {
    let mut before = 0;
    for &number in numbers {
        put_number(out, u64::from(number - before));
        before = number;
    }
}

/// Takes numbers off the front of some bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Take<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Take<'a> {
    /// Reads `bytes`, which are said to be `what` when they are not.
    pub(crate) const fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Bytes not taken yet.
    pub(crate) const fn left(&self) -> usize {
        self.rest.len()
    }

    /// The complaint about these bytes.
    pub(crate) const fn damage(&self) -> Damage {
        Damage::Shape { what: self.what }
    }

    pub(crate) fn number(&mut self) -> Result<u64, Damage> {
        let mut value = 0_u64;
        for (at, &byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        Err(self.damage())
    }

    pub(crate) fn small(&mut self) -> Result<u32, Damage> {
        let damage = self.damage();
        u32::try_from(self.number()?).map_err(|_| damage)
    }

    pub(crate) fn count(&mut self) -> Result<usize, Damage> {
        Ok(self.small()? as usize)
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Damage> {
        let value = self.number()?;
        Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Damage> {
        let (&byte, rest) = self.rest.split_first().ok_or(self.damage())?;
        self.rest = rest;
        Ok(byte)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Damage> {
        let length = self.count()?;
        let (text, rest) = self.rest.split_at_checked(length).ok_or(self.damage())?;
        self.rest = rest;
        std::str::from_utf8(text).map_err(|_| self.damage())
    }

    /// `count` ascending numbers, appended to `out`.
    pub(crate) fn ascending(&mut self, count: usize, out: &mut Vec<u32>) -> Result<(), Damage> {
        let mut before = 0_u32;
        for _ in 0..count {
            before = before.checked_add(self.small()?).ok_or(self.damage())?;
            out.push(before);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Damage, Take, open_block, put_ascending, put_block, put_number, put_signed, put_text,
    };
    use bytes::Bytes;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_put_is_taken(numbers: Vec<u64>, signed: Vec<i64>, text: String) {
            let mut out = Vec::new();
            for &number in &numbers {
                put_number(&mut out, number);
            }
            for &number in &signed {
                put_signed(&mut out, number);
            }
            put_text(&mut out, &text);
            let mut take = Take::new(&out, "test");
            for number in numbers {
                prop_assert_eq!(take.number(), Ok(number));
            }
            for number in signed {
                prop_assert_eq!(take.signed(), Ok(number));
            }
            prop_assert_eq!(take.text(), Ok(&text[..]));
            prop_assert!(take.is_empty());
        }

        #[test]
        fn a_flipped_bit_never_passes(
            body in prop::collection::vec(0_u8..4, 1..2000), at: prop::sample::Index, bit in 0..8_u32,
        ) {
            let mut out = Vec::new();
            let place = put_block(&mut out, &body);
            prop_assert_eq!(place.length as usize, out.len());
            prop_assert_eq!(open_block(0, Bytes::from(out.clone())), Ok(Bytes::from(body)));
            let at = at.index(out.len());
            out[at] ^= 1 << bit;
            prop_assert!(open_block(0, Bytes::from(out)).is_err());
        }
    }

    #[test]
    fn ascending_numbers_are_stored_as_distances() {
        let mut out = Vec::new();
        put_ascending(&mut out, &[5, 6, 300]);
        assert_eq!(out.len(), 4);
        let mut back = Vec::new();
        Take::new(&out, "list").ascending(3, &mut back).unwrap();
        assert_eq!(back, [5, 6, 300]);
    }

    #[test]
    fn a_cut_block_says_where() {
        let mut out = Vec::new();
        put_block(&mut out, b"abcdef");
        out.pop();
        assert_eq!(open_block(7, Bytes::from(out)), Err(Damage::Short { offset: 7 }));
    }
}

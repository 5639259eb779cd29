//! The header that begins every segment file, open or sealed.

use super::cursor::Cursor;
use crate::Stream;

/// Format version this release writes; it reads every older one.
pub(crate) const VERSION: u16 = 1;
/// No header is longer.
pub(crate) const HEADER_MAX: usize = 4096;

const MAGIC: &[u8; 8] = b"TRAILSEG";
/// Features by bit, lowest first. A reader must know every bit that is set.
const FEATURES: [&str; 3] = ["aes-256-gcm", "sha256-leaves", "zstd-blocks"];
const OPEN_FEATURES: u64 = 0b011;
const SEALED_FEATURES: u64 = 0b111;

/// What a segment file says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) stream: Stream,
    pub(crate) node: [u8; 16],
    pub(crate) epoch: u64,
    /// First sequence of the segment.
    pub(crate) first: u64,
    /// Last sequence of the segment; 0 while it is open.
    pub(crate) last: u64,
    /// When the file was begun, µs.
    pub(crate) created: i64,
    /// Fingerprint of the master key that wraps the data keys.
    pub(crate) key_id: [u8; 8],
    /// Binds derived keys to this epoch (open) or file (sealed).
    pub(crate) salt: [u8; 32],
}

/// Why bytes are not a header this release can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Damaged or cut short.
    Bad(String),
    /// Written by a newer release.
    Unsupported(String),
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let features = if self.stream == Stream::Open { OPEN_FEATURES } else { SEALED_FEATURES };
        let names = names_of(features).join(",");
        let mut out = Vec::with_capacity(192);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        let len = FIXED + names.len() + 4;
        out.extend_from_slice(&u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(&features.to_le_bytes());
        out.push(stream_byte(self.stream));
        out.extend_from_slice(&[0; 3]);
        out.extend_from_slice(&self.node);
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.last.to_le_bytes());
        out.extend_from_slice(&self.created.to_le_bytes());
        out.extend_from_slice(&self.key_id);
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&u16::try_from(names.len()).unwrap_or(0).to_le_bytes());
        out.extend_from_slice(names.as_bytes());
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the header at the front of `bytes`; gives its length as well.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, usize), HeaderError> {
        let bad = |what: &str| HeaderError::Bad(what.to_owned());
        let mut cursor = Cursor::new(bytes);
        if cursor.take(8) != Some(MAGIC) {
            return Err(bad("no segment header"));
        }
        let version = cursor.u16().ok_or_else(|| bad("header is cut short"))?;
        let len = usize::from(cursor.u16().ok_or_else(|| bad("header is cut short"))?);
        let (fields, crc) = bytes
            .get(..len)
            .filter(|_| len >= FIXED + 4)
            .and_then(|header| header.split_last_chunk::<4>())
            .ok_or_else(|| bad("header is cut short"))?;
        if crc32c::crc32c(fields) != u32::from_le_bytes(*crc) {
            return Err(bad("header checksum is wrong"));
        }
        if version == 0 || version > VERSION {
            let what = format!("format version {version}; this release reads 1 to {VERSION}");
            return Err(HeaderError::Unsupported(what));
        }
        let mut cursor = Cursor::new(&fields[12..]);
        let header =
            Self::fields(&mut cursor)?.ok_or_else(|| bad("header fields are cut short"))?;
        Ok((header, len))
    }

    /// `None` when the fields end early.
    fn fields(cursor: &mut Cursor<'_>) -> Result<Option<Self>, HeaderError> {
        let Some(features) = cursor.u64() else { return Ok(None) };
        let mut names = *cursor;
        names.take(FIXED - 12 - 8 - 2);
        let names = names.u16().and_then(|len| names.take(usize::from(len))).unwrap_or_default();
        check_features(features, names)?;
        let Some(stream) = cursor.u8() else { return Ok(None) };
        let stream = stream_of(stream)
            .ok_or_else(|| HeaderError::Unsupported(format!("stream kind {stream}")))?;
        Ok(Self::plain_fields(cursor, stream))
    }

    fn plain_fields(cursor: &mut Cursor<'_>, stream: Stream) -> Option<Self> {
        cursor.take(3)?;
        Some(Self {
            stream,
            node: cursor.array()?,
            epoch: cursor.u64()?,
            first: cursor.u64()?,
            last: cursor.u64()?,
            created: cursor.i64()?,
            key_id: cursor.array()?,
            salt: cursor.array()?,
        })
    }
}

/// Bytes before the feature names: the fixed fields and the names' length.
const FIXED: usize = 12 + 8 + 4 + 16 + 8 * 4 + 8 + 32 + 2;

fn names_of(features: u64) -> Vec<&'static str> {
    FEATURES
        .iter()
        .enumerate()
        .filter(|(bit, _)| features >> bit & 1 == 1)
        .map(|(_, n)| *n)
        .collect()
}

/// Refuses a feature this release does not know, by the name the file gives it.
fn check_features(features: u64, names: &[u8]) -> Result<(), HeaderError> {
    let names = String::from_utf8_lossy(names);
    let mut names = names.split(',');
    for bit in (0..64).filter(|bit| features >> bit & 1 == 1) {
        let name = names.next().unwrap_or_default();
        if bit >= FEATURES.len() {
            let what = format!("needs feature {name:?} (bit {bit}), unknown to this release");
            return Err(HeaderError::Unsupported(what));
        }
    }
    Ok(())
}

const fn stream_byte(stream: Stream) -> u8 {
    match stream {
        Stream::Open => 0,
        Stream::Management => 1,
        Stream::Data => 2,
    }
}

const fn stream_of(byte: u8) -> Option<Stream> {
    match byte {
        0 => Some(Stream::Open),
        1 => Some(Stream::Management),
        2 => Some(Stream::Data),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Header, HeaderError};
    use crate::Stream;

    fn header() -> Header {
        Header {
            stream: Stream::Data,
            node: [1; 16],
            epoch: 2,
            first: 3,
            last: 4,
            created: -5,
            key_id: [6; 8],
            salt: [7; 32],
        }
    }

    fn resign(bytes: &mut Vec<u8>) {
        bytes.truncate(bytes.len() - 4);
        let crc = crc32c::crc32c(bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
    }

    #[test]
    fn every_field_comes_back() {
        let bytes = header().encode();
        assert_eq!(Header::decode(&bytes), Ok((header(), bytes.len())));
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_noticed() {
        let bytes = header().encode();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert!(Header::decode(&damaged).is_err(), "bit in byte {at}");
            assert!(Header::decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn an_unknown_feature_is_refused_by_its_name() {
        let mut bytes = header().encode();
        bytes[13] |= 0x80;
        let names = bytes.len() - 4;
        bytes.splice(names..names, *b",rot13");
        let len = u16::try_from(bytes.len()).unwrap();
        bytes[10..12].copy_from_slice(&len.to_le_bytes());
        let at = super::FIXED - 2;
        let names = u16::try_from(bytes.len() - 4 - super::FIXED).unwrap();
        bytes[at..at + 2].copy_from_slice(&names.to_le_bytes());
        resign(&mut bytes);
        let what = "needs feature \"rot13\" (bit 15), unknown to this release".to_owned();
        assert_eq!(Header::decode(&bytes), Err(HeaderError::Unsupported(what)));
    }

    #[test]
    fn a_newer_version_is_refused_as_newer_not_as_damaged() {
        let mut bytes = header().encode();
        bytes[8] = 2;
        resign(&mut bytes);
        assert!(
            matches!(Header::decode(&bytes), Err(HeaderError::Unsupported(what)) if what.contains("version 2"))
        );
    }
}

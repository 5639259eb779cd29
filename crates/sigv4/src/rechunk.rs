//! Bodies in signed chunks on their way to another signature: unframed, held
//! until they are proved, framed anew.
//!
//! Nothing here proves the old signatures: a [`crate::ChunkVerifier`] looks at
//! the same bytes first, and [`Rechunker::release`] is told how far it got.

use crate::chunks::ChunkVerifier;
use crate::payload::Payload;
use crate::stream::ChunkEncoder;
use crate::verify::VerifyError;
use trailbox_exchange::RequestHead;

/// Bytes of each new chunk but the last. S3 takes no smaller one than 8 KiB.
pub const RECHUNK_BYTES: usize = 64 * 1024;
/// Most bytes of one chunk that are held until its signature is proved. What is
/// in front of them in a larger chunk goes on before; its end never does.
pub const RECHUNK_HELD_MAX: usize = 256 * 1024;

/// How a body in signed chunks will be written anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkPlan {
    decoded: u64,
    /// Bytes of the trailer lines without their signature; `None` while unknown.
    trailer: Option<usize>,
    has_trailer: bool,
}

impl ChunkPlan {
    /// The plan for a body that `head` announces; `None` when its chunks, if it
    /// has any, carry no signatures.
    ///
    /// # Errors
    ///
    /// [`VerifyError::DecodedLengthMissing`]: nobody could say how long the new
    /// body will be.
    pub fn of(head: &RequestHead, payload: &Payload) -> Result<Option<Self>, VerifyError> {
        let has_trailer = match payload {
            Payload::StreamingSigned => false,
            Payload::StreamingSignedTrailer => true,
            Payload::Unsigned
            | Payload::Signed(_)
            | Payload::StreamingUnsignedTrailer
            | Payload::StreamingV4a
            | Payload::StreamingV4aTrailer
            | Payload::StreamingEvents
            | Payload::EmptyImplied => return Ok(None),
        };
        let decoded = head.headers.get("x-amz-decoded-content-length");
        let decoded = decoded
            .and_then(|text| text.trim().parse().ok())
            .ok_or(VerifyError::DecodedLengthMissing)?;
        let trailer = if has_trailer { promised_trailer(head) } else { Some(0) };
        Ok(Some(Self { decoded, trailer, has_trailer }))
    }

    /// Bytes of the new body, framing included; `None` when a trailer's length
    /// cannot be known in advance.
    #[must_use]
    pub fn wire_length(&self) -> Option<u64> {
        let trailer = if self.has_trailer {
            self.trailer? + "x-amz-trailer-signature:\r\n".len() + 64
        } else {
            0
        };
        let most = RECHUNK_BYTES as u64;
        let (full, rest) = (self.decoded / most, self.decoded % most);
        let chunk = |size: u64| size + header_length(size) + 2;
        let rest = if rest == 0 { 0 } else { chunk(rest) };
        full.checked_mul(chunk(most))?
            .checked_add(rest)?
            .checked_add(header_length(0) + trailer as u64 + 2)
    }

    /// The body itself, signed by `encoder`.
    #[must_use]
    pub fn start(self, encoder: ChunkEncoder) -> Rechunker {
        let reader = ChunkVerifier::reader(true, self.has_trailer, Some(self.decoded));
        Rechunker { plan: self, reader, encoder, held: Vec::new(), released: 0 }
    }
}

/// Bytes of `size;chunk-signature=…` and its line end.
fn header_length(size: u64) -> u64 {
    let digits = (u64::BITS - size.leading_zeros()).div_ceil(4).max(1);
    u64::from(digits) + ";chunk-signature=\r\n".len() as u64 + 64
}

/// Length of the lines that `x-amz-trailer` promises: checksums have one length.
fn promised_trailer(head: &RequestHead) -> Option<usize> {
    let names = head.headers.get_all("x-amz-trailer").flat_map(|line| line.split(','));
    names
        .map(|name| match name.trim().to_ascii_lowercase().as_str() {
            "" => Some(0),
            name => Some(name.len() + ":\r\n".len() + checksum_length(name)?),
        })
        .sum()
}

/// Characters of a checksum in base64.
///
/// Source: S3 User Guide, "Checking object integrity".
fn checksum_length(name: &str) -> Option<usize> {
    Some(match name.strip_prefix("x-amz-checksum-")? {
        "crc32" | "crc32c" => 8,
        "crc64nvme" => 12,
        "sha1" => 28,
        "sha256" => 44,
        _ => return None,
    })
}

/// A body in signed chunks that is being written anew.
#[derive(Debug)]
pub struct Rechunker {
    plan: ChunkPlan,
    reader: ChunkVerifier,
    encoder: ChunkEncoder,
    held: Vec<u8>,
    released: u64,
}

impl Rechunker {
    /// Takes the next bytes of the old body, in pieces of any size.
    ///
    /// # Errors
    ///
    /// When the framing is broken.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), VerifyError> {
        let held = &mut self.held;
        self.reader.update_with(bytes, |data| held.extend_from_slice(data))
    }

    /// What may go on of what was taken, framed anew; `proved` is how many
    /// decoded bytes are proved, all of them where nobody looks.
    pub fn release(&mut self, proved: u64) -> Vec<u8> {
        let sure = usize::try_from(proved.saturating_sub(self.released)).unwrap_or(usize::MAX);
        let over = self.held.len().saturating_sub(RECHUNK_HELD_MAX);
        let ready = sure.max(over).min(self.held.len()) / RECHUNK_BYTES;
        self.write(ready * RECHUNK_BYTES)
    }

    /// All the rest, the last chunk and the trailer. Call it when the body is
    /// over and proved.
    ///
    /// # Errors
    ///
    /// When the body is not over, or its trailer is not the promised one.
    pub fn finish(mut self) -> Result<Vec<u8>, VerifyError> {
        self.reader.finish()?;
        let mut framed = self.write(self.held.len());
        let text = self.reader.trailer_text();
        let lines: Vec<(&str, &str)> =
            text.lines().filter_map(|line| line.split_once(':')).collect();
        let length = lines.iter().map(|(name, value)| name.len() + value.len() + ":\r\n".len());
        if self.plan.trailer.is_some_and(|promised| promised != length.sum::<usize>()) {
            let reason = "the trailer is not the one that x-amz-trailer promises";
            return Err(VerifyError::ChunkFraming { decoded: self.reader.decoded(), reason });
        }
        framed.extend(self.encoder.finish(&lines));
        Ok(framed)
    }

    fn write(&mut self, count: usize) -> Vec<u8> {
        let mut framed = Vec::new();
        for piece in self.held[..count].chunks(RECHUNK_BYTES) {
            framed.extend(self.encoder.chunk(piece));
        }
        self.held.drain(..count);
        self.released += count as u64;
        framed
    }
}

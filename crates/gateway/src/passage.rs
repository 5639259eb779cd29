//! One body on its way through: followed, counted, kept as far as wanted,
//! hashed or checked chunk by chunk. Never copied to be forwarded.

use crate::wire::{Framer, Framing, FramingError, Step};
use aws_lc_rs::digest::{Context, SHA256};
use bytes::BytesMut;
use trailbox_exchange::Captured;
use trailbox_sigv4::{ChunkVerifier, VerifyError};

/// Follows one body through a buffer.
///
/// The bytes stay where they were read to. [`Passage::scan`] looks at what is
/// new; whoever forwards takes [`Passage::ready`] bytes from the front and says
/// so with [`Passage::forwarded`].
pub(crate) struct Passage {
    framer: Framer,
    /// Bytes at the front of the buffer that belong to the body and were scanned.
    scanned: usize,
    /// Of these, how many stand in front of the last payload byte.
    before_last: usize,
    tap: Tap,
}

impl std::fmt::Debug for Passage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passage")
            .field("scanned", &self.scanned)
            .field("total", &self.tap.total)
            .finish_non_exhaustive()
    }
}

/// What is remembered of the payload.
struct Tap {
    cap: usize,
    kept: BytesMut,
    total: u64,
    hash: Option<Context>,
    chunks: Option<ChunkVerifier>,
    wrong_chunk: Option<VerifyError>,
}

impl Passage {
    /// At the start of a body; keeps its first `cap` bytes.
    pub(crate) fn new(framing: Framing, cap: usize) -> Self {
        let tap = Tap {
            cap,
            kept: BytesMut::new(),
            total: 0,
            hash: None,
            chunks: None,
            wrong_chunk: None,
        };
        Self { framer: Framer::new(framing), scanned: 0, before_last: 0, tap }
    }

    /// Hashes the payload, from its first byte on.
    pub(crate) fn hash(&mut self) {
        self.tap.hash = Some(Context::new(&SHA256));
    }

    /// Checks the signatures of the `aws-chunked` framing in the payload.
    pub(crate) fn check_chunks(&mut self, verifier: ChunkVerifier) {
        self.tap.chunks = Some(verifier);
    }

    /// Changes how much is kept; what is beyond is let go.
    pub(crate) fn keep(&mut self, cap: usize) {
        self.tap.cap = cap;
        self.tap.kept.truncate(cap);
    }

    /// Looks at the bytes of `buffer` that are new; what belongs to the body is
    /// counted, kept and hashed.
    pub(crate) fn scan(&mut self, buffer: &[u8]) -> Result<(), FramingError> {
        loop {
            match self.framer.step(&buffer[self.scanned..])? {
                Step::Payload(count) => {
                    self.tap.see(&buffer[self.scanned..self.scanned + count]);
                    self.before_last = self.scanned + count - 1;
                    self.scanned += count;
                }
                Step::Framing(count) => self.scanned += count,
                Step::NeedMore | Step::Done => return Ok(()),
            }
        }
    }

    /// Whether the body has ended within what was scanned.
    pub(crate) fn is_done(&self) -> bool {
        self.framer.is_done()
    }

    /// Whether the end of the connection would end the body, too.
    pub(crate) fn may_end_here(&self) -> bool {
        self.framer.may_end_here()
    }

    /// Payload that has not come yet, when that is known.
    pub(crate) fn remaining(&self) -> Option<u64> {
        self.framer.remaining()
    }

    /// Bytes at the front of the buffer that belong to the body.
    pub(crate) fn ready(&self) -> usize {
        self.scanned
    }

    /// Of the ready bytes, those in front of the last payload byte: a peer that
    /// has only these cannot have the whole body.
    pub(crate) fn ready_but_last(&self) -> usize {
        self.before_last
    }

    /// The first `count` bytes were taken out of the buffer.
    pub(crate) fn forwarded(&mut self, count: usize) {
        self.scanned -= count;
        self.before_last = self.before_last.saturating_sub(count);
    }

    /// Payload bytes that passed.
    pub(crate) fn total(&self) -> u64 {
        self.tap.total
    }

    /// Whether everything that passed was kept.
    pub(crate) fn kept_all(&self) -> bool {
        self.tap.kept.len() as u64 == self.tap.total
    }

    /// Bytes kept so far.
    pub(crate) fn kept(&self) -> &[u8] {
        &self.tap.kept
    }

    /// What was kept, for the record.
    pub(crate) fn captured(&mut self) -> Captured {
        let complete = self.may_end_here() && self.kept_all();
        Captured { bytes: self.tap.kept.split().freeze(), total: self.tap.total, complete }
    }

    /// SHA-256 of the payload, once it is whole and if it was hashed.
    pub(crate) fn body_hash(&self) -> Option<[u8; 32]> {
        let hash = self.tap.hash.clone().filter(|_| self.is_done())?;
        hash.finish().as_ref().try_into().ok()
    }

    /// Whether every chunk was signed as it should, the last one included.
    pub(crate) fn chunks_verified(&mut self) -> Result<(), VerifyError> {
        if let Some(wrong) = self.tap.wrong_chunk.take() {
            return Err(wrong);
        }
        self.tap.chunks.as_mut().map_or(Ok(()), ChunkVerifier::finish)
    }

    /// Payload bytes, `aws-chunked` framing removed, whose chunks' signatures are
    /// proved: all of them where nobody looks.
    pub(crate) fn proved(&self) -> u64 {
        self.tap.chunks.as_ref().map_or(u64::MAX, ChunkVerifier::proved)
    }

    /// The first wrong chunk so far; nothing behind it may be forwarded.
    pub(crate) fn wrong_chunk(&self) -> bool {
        self.tap.wrong_chunk.is_some()
    }
}

impl Tap {
    fn see(&mut self, payload: &[u8]) {
        self.total += payload.len() as u64;
        let room = self.cap.saturating_sub(self.kept.len()).min(payload.len());
        self.kept.extend_from_slice(&payload[..room]);
        if let Some(hash) = &mut self.hash {
            hash.update(payload);
        }
        if let Some(chunks) = self.chunks.as_mut().filter(|_| self.wrong_chunk.is_none()) {
            self.wrong_chunk = chunks.update(payload).err();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Passage;
    use crate::wire::Framing;

    #[test]
    fn the_last_payload_byte_and_all_behind_it_can_be_held() {
        let mut passage = Passage::new(Framing::Chunked, 100);
        let wire = b"3\r\nabc\r\n2\r\nde\r\n";
        passage.scan(wire).unwrap();
        assert_eq!(passage.ready(), wire.len());
        assert_eq!(&wire[passage.ready_but_last()..], b"e\r\n");
        passage.forwarded(passage.ready_but_last());
        assert_eq!((passage.ready(), passage.ready_but_last()), (3, 0));
        passage.scan(b"e\r\n0\r\n\r\nGET").unwrap();
        assert!(passage.is_done());
        assert_eq!(passage.ready(), 8);
        assert_eq!(passage.captured().bytes, "abcde");
    }

    #[test]
    fn what_is_beyond_the_cap_is_counted_not_kept() {
        let mut passage = Passage::new(Framing::Length(6), 4);
        passage.scan(b"abcdef").unwrap();
        let captured = passage.captured();
        assert_eq!(
            (&captured.bytes[..], captured.total, captured.complete),
            (&b"abcd"[..], 6, false)
        );
    }

    #[test]
    fn a_hash_is_of_the_payload_and_of_the_whole() {
        let mut passage = Passage::new(Framing::Length(3), 0);
        passage.hash();
        passage.scan(b"ab").unwrap();
        assert_eq!(passage.body_hash(), None);
        passage.scan(b"abc").unwrap();
        let hash = passage.body_hash().map(hex::encode).unwrap();
        assert_eq!(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}

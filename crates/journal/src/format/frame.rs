//! One frame of an open segment: a head, stamped when it is written, and a
//! body, finished and encrypted by whoever appends.

use super::crypt::{Cipher, HASH, NONCE, TAG};
use super::cursor::{Cursor, put_short_text};
use crate::{AppendError, Extension, Frame, FrameKind, Payload, Position, StoredFrame};
use bytes::Bytes;
use trailbox_clock::Micros;

/// Bytes of a frame's head.
pub(crate) const HEAD: usize = 40;
/// No body is longer. Bytes.
pub(crate) const BODY_MAX: usize = 16 << 20;
/// What a frame begins with.
pub(crate) const MAGIC: &[u8; 4] = b"TBfr";

const VERSION: u8 = 1;
const CARRIED: u8 = 1;
const READ_ONLY: u8 = 1;
/// Body bytes before the account's length.
const BODY_FIXED: usize = 32;

/// What is stamped on a frame when it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) sequence: u64,
    /// When it is written, µs.
    pub(crate) commit: i64,
    /// Place within its batch, from 0: `sequence - index` is the batch's
    /// first frame, and all before that one were durable when it was written.
    pub(crate) index: u32,
    pub(crate) carried: bool,
}

/// A frame's head, read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) stamp: Stamp,
    pub(crate) body_len: usize,
    body_crc: u32,
}

/// A frame's body, read back but not decrypted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body<'a> {
    pub(crate) kind: FrameKind,
    pub(crate) category: u8,
    pub(crate) read_only: bool,
    pub(crate) key_id: u32,
    pub(crate) arrival: i64,
    pub(crate) event_id: [u8; 16],
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    extension: &'a [u8],
    pub(crate) leaf: [u8; HASH],
    aad: &'a [u8],
    nonce: [u8; NONCE],
    sealed: &'a [u8],
}

/// Why bytes are not a frame this release can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FrameFault {
    /// Torn or damaged.
    Bad(&'static str),
    /// Written by a newer release.
    Unsupported(String),
}

/// Checks what the format cannot hold.
pub(crate) fn check(frame: &Frame) -> Result<(), AppendError> {
    let invalid = |what: String| Err(AppendError::Invalid { what });
    if !(1..=64).contains(&frame.account.len()) {
        return invalid(format!("account has {} bytes; it needs 1 to 64", frame.account.len()));
    }
    for (name, text) in [
        ("region", &frame.region),
        ("listener", &frame.extension.listener),
        ("upstream", &frame.extension.upstream),
    ] {
        if text.len() > 255 {
            return invalid(format!("{name} has {} bytes; it may have 255", text.len()));
        }
    }
    let max = BODY_MAX - 4096;
    if frame.payload.len() > max {
        return invalid(format!("payload has {} bytes; it may have {max}", frame.payload.len()));
    }
    Ok(())
}

/// Appends `frame`, encrypted, to `out`, with room for its head.
pub(crate) fn encode(
    out: &mut Vec<u8>,
    frame: &Frame,
    (key_id, cipher): (u32, &Cipher),
    nonce: [u8; NONCE],
) {
    let extension = &frame.extension;
    let texts = frame.account.len() + frame.region.len() + extension_len(extension);
    out.reserve(HEAD + BODY_FIXED + 4 + texts + HASH + NONCE + frame.payload.len() + TAG);
    let head = out.len();
    out.extend_from_slice(&[0; HEAD]);
    put_attributes(out, frame, key_id);
    let kind = frame.kind as u8;
    let leaf = cipher.leaf(kind, &frame.event_id, frame.arrival.0, &frame.payload);
    out.extend_from_slice(&leaf);
    let aad_end = out.len();
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&frame.payload);
    let (clear, payload) = out.split_at_mut(aad_end + NONCE);
    let tag = cipher.seal(nonce, &clear[head + HEAD..aad_end], payload);
    out.extend_from_slice(&tag);
    finish_head(&mut out[head..]);
}

fn put_attributes(out: &mut Vec<u8>, frame: &Frame, key_id: u32) {
    let read_only = if frame.read_only { READ_ONLY } else { 0 };
    out.extend_from_slice(&[frame.kind as u8, frame.category, read_only, 0]);
    out.extend_from_slice(&key_id.to_le_bytes());
    out.extend_from_slice(&frame.arrival.0.to_le_bytes());
    out.extend_from_slice(&frame.event_id);
    put_short_text(out, &frame.account);
    put_short_text(out, &frame.region);
    let len = u16::try_from(extension_len(&frame.extension)).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_le_bytes());
    put_extension(out, &frame.extension);
}

fn extension_len(extension: &Extension) -> usize {
    3 + extension.listener.len() + extension.upstream.len()
}

/// Appends the private extension in its byte form.
pub(crate) fn put_extension(out: &mut Vec<u8>, extension: &Extension) {
    put_short_text(out, &extension.listener);
    put_short_text(out, &extension.upstream);
    out.push(extension.trust);
}

/// Reads the private extension; ignores what later releases add to it.
pub(crate) fn read_extension(bytes: &[u8]) -> Option<Extension> {
    let mut cursor = Cursor::new(bytes);
    Some(Extension {
        listener: cursor.short_text()?.to_owned(),
        upstream: cursor.short_text()?.to_owned(),
        trust: cursor.u8()?,
    })
}

/// Fills in what of the head depends on the body only.
fn finish_head(frame: &mut [u8]) {
    let (head, body) = frame.split_at_mut(HEAD);
    head[..4].copy_from_slice(MAGIC);
    head[4] = VERSION;
    let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
    head[8..12].copy_from_slice(&len.to_le_bytes());
    head[12..16].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
}

/// Stamps the frame at the front of `bytes` and gives the frame's length.
pub(crate) fn stamp(bytes: &mut [u8], stamp: Stamp) -> usize {
    bytes[5] = if stamp.carried { CARRIED } else { 0 };
    bytes[16..24].copy_from_slice(&stamp.sequence.to_le_bytes());
    bytes[24..32].copy_from_slice(&stamp.commit.to_le_bytes());
    bytes[32..36].copy_from_slice(&stamp.index.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..36]);
    bytes[36..40].copy_from_slice(&crc.to_le_bytes());
    frame_len(bytes)
}

/// Length of the encoded frame at the front of `bytes`, head included.
pub(crate) fn frame_len(bytes: &[u8]) -> usize {
    let len = Cursor::new(&bytes[8..]).u32().unwrap_or_default();
    HEAD + len as usize
}

/// Kind byte and event id of the encoded frame at the front of `bytes`.
pub(crate) fn identity(bytes: &[u8]) -> Option<(FrameKind, [u8; 16])> {
    let mut cursor = Cursor::new(bytes.get(HEAD..)?);
    let kind = FrameKind::from_byte(cursor.u8()?)?;
    cursor.take(15)?;
    Some((kind, cursor.array()?))
}

impl Head {
    /// Reads the head at the front of `bytes`.
    pub(crate) fn decode(bytes: &[u8; HEAD]) -> Result<Self, FrameFault> {
        let mut cursor = Cursor::new(bytes);
        let fields = Self::fields(&mut cursor).ok_or(FrameFault::Bad("head is cut short"))?;
        let (magic, version, head, crc) = fields;
        if magic != MAGIC {
            return Err(FrameFault::Bad("no frame begins here"));
        }
        if crc32c::crc32c(&bytes[..36]) != crc {
            return Err(FrameFault::Bad("checksum of a frame's head is wrong"));
        }
        if version != VERSION {
            let what = format!("frame version {version}; this release reads {VERSION}");
            return Err(FrameFault::Unsupported(what));
        }
        if head.body_len > BODY_MAX {
            return Err(FrameFault::Bad("frame is longer than any frame"));
        }
        Ok(head)
    }

    fn fields<'a>(cursor: &mut Cursor<'a>) -> Option<(&'a [u8], u8, Self, u32)> {
        let magic = cursor.take(4)?;
        let version = cursor.u8()?;
        let carried = cursor.u8()? & CARRIED != 0;
        cursor.take(2)?;
        let body_len = cursor.u32()? as usize;
        let body_crc = cursor.u32()?;
        let sequence = cursor.u64()?;
        let commit = cursor.i64()?;
        let index = cursor.u32()?;
        let stamp = Stamp { sequence, commit, index, carried };
        Some((magic, version, Self { stamp, body_len, body_crc }, cursor.u32()?))
    }

    /// Whether `body` is what was written.
    pub(crate) fn fits(&self, body: &[u8]) -> bool {
        body.len() == self.body_len && crc32c::crc32c(body) == self.body_crc
    }
}

impl<'a> Body<'a> {
    /// Reads the attributes of a body whose checksum is right.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, FrameFault> {
        let kind = bytes.first().copied().unwrap_or_default();
        let kind = FrameKind::from_byte(kind)
            .ok_or_else(|| FrameFault::Unsupported(format!("frame kind {kind}")))?;
        Self::fields(kind, bytes).ok_or(FrameFault::Bad("attributes of a frame are cut short"))
    }

    fn fields(kind: FrameKind, bytes: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        cursor.take(1)?;
        let category = cursor.u8()?;
        let read_only = cursor.u8()? & READ_ONLY != 0;
        cursor.take(1)?;
        let key_id = cursor.u32()?;
        let arrival = cursor.i64()?;
        let event_id = cursor.array()?;
        let account = cursor.short_text()?;
        let region = cursor.short_text()?;
        let len = cursor.u16()?;
        let extension = cursor.take(usize::from(len))?;
        let leaf = cursor.array()?;
        let aad = bytes.get(..cursor.at())?;
        let nonce = cursor.array()?;
        let sealed = cursor.rest();
        Some(Self {
            kind,
            category,
            read_only,
            key_id,
            arrival,
            event_id,
            account,
            region,
            extension,
            leaf,
            aad,
            nonce,
            sealed,
        })
    }

    /// The payload, or `None` when it does not belong to this body and key.
    pub(crate) fn decrypt(&self, cipher: &Cipher) -> Option<Bytes> {
        let mut buffer = self.sealed.to_vec();
        let len = cipher.open(self.nonce, self.aad, &mut buffer, 0..).ok()?;
        buffer.truncate(len);
        Some(Bytes::from(buffer))
    }

    /// The frame at `position` as readers see it.
    pub(crate) fn stored(&self, position: Position, stamp: Stamp, payload: Payload) -> StoredFrame {
        StoredFrame {
            position,
            kind: self.kind,
            account: self.account.to_owned(),
            region: self.region.to_owned(),
            category: self.category,
            read_only: self.read_only,
            carried: stamp.carried,
            event_id: self.event_id,
            arrival: Micros(self.arrival),
            commit: Micros(stamp.commit),
            extension: self.extension(),
            payload,
        }
    }

    pub(crate) fn extension(&self) -> Extension {
        read_extension(self.extension).unwrap_or_default()
    }

    pub(crate) const fn extension_bytes(&self) -> &'a [u8] {
        self.extension
    }
}

#[cfg(test)]
mod tests {
    use super::{Body, FrameFault, HEAD, Head, Stamp, check, encode, identity, stamp};
    use crate::format::crypt::{Cipher, Purpose};
    use crate::{DATA, Extension, Frame, FrameKind, Payload, Position};
    use bytes::Bytes;
    use proptest::prelude::*;
    use trailbox_clock::Micros;

    fn cipher() -> Cipher {
        Cipher::new(&[3; 32], Purpose::Frames(&[4; 32]))
    }

    prop_compose! {
        fn any_frame()(
            kind in 1_u8..=5, category in 0_u8..4, trust: u8, read_only: bool,
            account in "[0-9a-z]{1,64}", region in "[a-z0-9-]{0,20}",
            listener in "\\PC{0,40}", upstream in "\\PC{0,40}",
            event_id: [u8; 16], arrival: i64,
            payload in proptest::collection::vec(any::<u8>(), 0..600),
        ) -> Frame {
            Frame {
                kind: FrameKind::from_byte(kind).unwrap(), account, region, category, read_only,
                event_id, arrival: Micros(arrival),
                extension: Extension { listener, upstream, trust }, payload: Bytes::from(payload),
            }
        }
    }

    fn encoded(frame: &Frame, with: Stamp) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out, frame, (7, &cipher()), [5; 12]);
        let len = stamp(&mut out, with);
        assert_eq!(len, out.len());
        out
    }

    fn decoded(bytes: &[u8]) -> Option<(Head, Body<'_>)> {
        let head = Head::decode(bytes.first_chunk()?).ok()?;
        let body = bytes.get(HEAD..HEAD + head.body_len)?;
        if !head.fits(body) {
            return None;
        }
        Some((head, Body::decode(body).ok()?))
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(frame in any_frame(), sequence: u64, index: u32, carried: bool) {
            let with = Stamp { sequence, commit: 9, index, carried };
            let bytes = encoded(&frame, with);
            let (head, body) = decoded(&bytes).unwrap();
            prop_assert_eq!(head.stamp, with);
            prop_assert_eq!(body.key_id, 7);
            prop_assert_eq!(identity(&bytes), Some((frame.kind, frame.event_id)));
            let payload = body.decrypt(&cipher()).unwrap();
            let stored = body.stored(Position::default(), head.stamp, Payload::Present(payload));
            prop_assert_eq!(stored.account, frame.account);
            prop_assert_eq!(stored.region, frame.region);
            prop_assert_eq!(stored.extension, frame.extension);
            prop_assert_eq!(stored.read_only, frame.read_only);
            prop_assert_eq!(stored.arrival, frame.arrival);
            prop_assert_eq!(stored.payload.bytes(), Some(&frame.payload));
        }

        #[test]
        fn a_cut_frame_is_no_frame(frame in any_frame(), cut in 0.0..1.0_f64) {
            let bytes = encoded(&frame, Stamp { sequence: 1, commit: 2, index: 0, carried: false });
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let cut = (bytes.len() as f64 * cut) as usize;
            prop_assert!(decoded(&bytes[..cut]).is_none());
        }

        #[test]
        fn a_flipped_bit_is_noticed(frame in any_frame(), at: prop::sample::Index, bit in 0..8) {
            let mut bytes = encoded(&frame, Stamp { sequence: 1, commit: 2, index: 0, carried: false });
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert!(decoded(&bytes).is_none(), "byte {}", at);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decoded(&bytes);
            let _ = Body::decode(&bytes);
        }
    }

    #[test]
    fn attributes_and_payload_cannot_be_mixed_between_frames() {
        let frame = Frame {
            kind: FrameKind::Record,
            account: "111122223333".into(),
            region: "eu-north-1".into(),
            category: DATA,
            read_only: true,
            event_id: [1; 16],
            arrival: Micros(1),
            extension: Extension::default(),
            payload: Bytes::from_static(b"{}"),
        };
        let mut bytes = encoded(&frame, Stamp { sequence: 1, commit: 2, index: 0, carried: false });
        bytes[HEAD + 2] = 0;
        super::finish_head(&mut bytes);
        stamp(&mut bytes, Stamp { sequence: 1, commit: 2, index: 0, carried: false });
        let (_, body) = decoded(&bytes).unwrap();
        assert_eq!(body.decrypt(&cipher()), None);
    }

    #[test]
    fn a_newer_kind_or_version_is_refused_by_name() {
        assert_eq!(
            Body::decode(&[9; 100]).map(drop),
            Err(FrameFault::Unsupported("frame kind 9".into()))
        );
        let mut head = [0; HEAD];
        head[..4].copy_from_slice(super::MAGIC);
        head[4] = 2;
        let crc = crc32c::crc32c(&head[..36]);
        head[36..].copy_from_slice(&crc.to_le_bytes());
        assert!(matches!(Head::decode(&head), Err(FrameFault::Unsupported(_))));
    }

    #[test]
    fn what_the_format_cannot_hold_is_refused_with_its_size() {
        let mut frame = Frame {
            kind: FrameKind::Seen,
            account: String::new(),
            region: String::new(),
            category: 0,
            read_only: false,
            event_id: [0; 16],
            arrival: Micros(0),
            extension: Extension::default(),
            payload: Bytes::new(),
        };
        assert!(check(&frame).unwrap_err().to_string().contains("account has 0 bytes"));
        frame.account = "1".into();
        assert_eq!(check(&frame), Ok(()));
        frame.region = "r".repeat(256);
        assert!(check(&frame).unwrap_err().to_string().contains("region has 256 bytes"));
    }
}

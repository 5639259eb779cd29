//! The bytes of the format, and nothing else: no file, no clock, no thread.
//!
//! Everything here is described in `FORMAT.md`; a change there or here that
//! alters a byte needs a new format version.

pub(crate) mod block;
pub(crate) mod crypt;
pub(crate) mod cursor;
pub(crate) mod footer;
pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod mark;
pub(crate) mod merkle;

/// Feeds foreign bytes to every decoder of the format: the way in for fuzzing.
/// Checksums are passed over where they would keep everything else out.
#[doc(hidden)]
pub fn decode_foreign(bytes: &[u8]) {
    if let Some(head) = bytes.first_chunk() {
        let _ = frame::Head::decode(head);
    }
    if let Ok(body) = frame::Body::decode(bytes) {
        let _ = body.extension();
    }
    let _ = frame::identity(bytes);
    let _ = header::Header::decode(bytes);
    let _ = mark::Mark::decode(bytes);
    let _ = block::Descriptor::decode(&mut cursor::Cursor::new(bytes));
    let count = bytes.first().copied().unwrap_or_default();
    let _ = block::Block::decode(bytes.to_vec(), u32::from(count));
    if let Some((fields, tail)) = bytes.split_last_chunk::<{ footer::TAIL }>() {
        let _ = footer::Footer::fields_len(tail);
        let _ = footer::Footer::decode(fields, tail);
    }
}

//! Transfer forms of a body: gzip and `aws-chunked`.

use super::DecodeError;
use std::borrow::Cow;
use std::io::Read as _;
use trailbox_exchange::Headers;

/// Most bytes a gzip body may become.
const INFLATED_MAX: usize = 8 << 20;
/// Most bytes one compressed byte may become; deflate itself ends at 1032.
const RATIO_MAX: usize = 1100;

/// The body without `aws-chunked` framing and gzip, as its header fields say.
///
/// # Errors
///
/// When the bytes are not in the form the header fields name.
pub fn plain_body<'a>(headers: &Headers, body: &'a [u8]) -> Result<Cow<'a, [u8]>, DecodeError> {
    let encoding = headers.get("content-encoding").unwrap_or("");
    let streaming =
        headers.get("x-amz-content-sha256").is_some_and(|hash| hash.starts_with("STREAMING-"));
    let mut plain = Cow::Borrowed(body);
    if !body.is_empty() && (streaming || names(encoding, "aws-chunked")) {
        plain = Cow::Owned(unchunk_aws(&plain)?);
    }
    if names(encoding, "gzip") && plain.starts_with(&[0x1f, 0x8b]) {
        plain = Cow::Owned(inflate_capped(&plain, INFLATED_MAX)?);
    }
    Ok(plain)
}

fn names(encoding: &str, wanted: &str) -> bool {
    encoding.split(',').any(|part| part.trim().eq_ignore_ascii_case(wanted))
}

/// Inflates gzip of foreign origin.
///
/// # Errors
///
/// When `bytes` is not gzip, or becomes more than `cap` bytes.
pub fn inflate_capped(bytes: &[u8], cap: usize) -> Result<Vec<u8>, DecodeError> {
    let wrong = |rule| DecodeError::Transfer { encoding: "gzip", rule };
    let cap = cap.min(bytes.len().saturating_mul(RATIO_MAX));
    let mut plain = Vec::new();
    flate2::bufread::GzDecoder::new(bytes)
        .take(cap as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(|_| wrong("a whole gzip member"))?;
    if plain.len() > cap { Err(wrong("not larger than the cap when inflated")) } else { Ok(plain) }
}

/// The payload within `aws-chunked` framing; signatures and trailers are left out.
///
/// # Errors
///
/// When the framing is broken or ends before its last chunk.
pub fn unchunk_aws(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let wrong = |rule| DecodeError::Transfer { encoding: "aws-chunked", rule };
    let mut payload = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    loop {
        let end = memchr::memmem::find(rest, b"\r\n").ok_or_else(|| wrong("a chunk has a head"))?;
        let size = rest[..end].split(|byte| *byte == b';').next().unwrap_or_default();
        let size = std::str::from_utf8(size)
            .ok()
            .and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok())
            .ok_or_else(|| wrong("a chunk's head is its size in hexadecimal"))?;
        if size == 0 {
            return Ok(payload);
        }
        let chunk = rest[end + 2..].get(..size).ok_or_else(|| wrong("chunks are whole"))?;
        payload.extend_from_slice(chunk);
        rest = rest[end + 2 + size..]
            .strip_prefix(b"\r\n")
            .ok_or_else(|| wrong("a chunk ends in a line end"))?;
    }
}

#[cfg(test)]
mod tests {
    use super::{inflate_capped, plain_body, unchunk_aws};
    use proptest::prelude::*;
    use std::io::Write as _;
    use trailbox_exchange::Headers;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_gzip_bomb_is_cut_off_at_the_cap() {
        let bomb = gzip(&vec![0; 256 << 10]);
        assert!(inflate_capped(&bomb, 64 << 10).is_err());
        assert_eq!(inflate_capped(&gzip(b"plain"), 5).unwrap(), b"plain");
        assert!(inflate_capped(&gzip(b"plain"), 4).is_err());
        assert!(inflate_capped(b"not gzip", 100).is_err());
    }

    #[test]
    fn both_encodings_are_undone_in_their_order() {
        let packed = gzip(b"a=1");
        let mut framed = format!("{:x};chunk-signature=00\r\n", packed.len()).into_bytes();
        framed.extend_from_slice(&packed);
        framed.extend_from_slice(b"\r\n0;chunk-signature=00\r\nx-amz-checksum-crc32:AA==\r\n\r\n");
        let headers: Headers = [("Content-Encoding", "gzip, aws-chunked")].into_iter().collect();
        assert_eq!(&*plain_body(&headers, &framed).unwrap(), b"a=1");
    }

    #[test]
    fn broken_framing_is_an_error() {
        for text in ["", "5\r\nabc\r\n0\r\n", "x\r\n", "3\r\nabcd\r\n0\r\n", "3\r\nabc\r\n"] {
            assert!(unchunk_aws(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    proptest! {
        /// What a client frames, we unframe.
        #[test]
        fn framing_is_undone(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6)) {
            let mut framed = Vec::new();
            for chunk in &chunks {
                framed.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                framed.extend_from_slice(chunk);
                framed.extend_from_slice(b"\r\n");
            }
            framed.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(unchunk_aws(&framed).unwrap(), chunks.concat());
        }

        /// Whatever arrives, reading ends without a panic.
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = unchunk_aws(&bytes);
            let _ = inflate_capped(&bytes, 1 << 16);
        }
    }
}

//! Writes `aws-chunked` bodies, signed or not: the other side of [`crate::ChunkVerifier`].

use crate::chunks::{chunk_text, trailer_text};
use crate::claim::Signature;
use crate::payload::Payload;
use crate::sign::{SignRequest, sign_with_payload};
use crate::verify::Verified;
use aws_lc_rs::digest::{SHA256, digest};

/// Frames a body chunk by chunk.
#[derive(Clone)]
pub struct ChunkEncoder {
    seed: Option<Verified>,
    previous: [u8; 32],
    trailer: bool,
}

impl std::fmt::Debug for ChunkEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkEncoder").field("trailer", &self.trailer).finish_non_exhaustive()
    }
}

/// Signs a request whose body will be sent in `aws-chunked` framing.
///
/// `decoded_length` is the body's length without framing; `trailer` names the
/// trailer that will follow, such as `x-amz-checksum-crc32`; `signed` says
/// whether chunks carry signatures. An unsigned body needs a trailer.
#[must_use]
pub fn sign_streaming(
    request: SignRequest<'_>,
    decoded_length: u64,
    trailer: Option<&str>,
    signed: bool,
) -> (Vec<(String, String)>, ChunkEncoder) {
    let (payload, form) = match (signed, trailer) {
        (true, None) => ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", Payload::StreamingSigned),
        (true, Some(_)) => {
            ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", Payload::StreamingSignedTrailer)
        }
        (false, _) => ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", Payload::StreamingUnsignedTrailer),
    };
    let mut more = vec![
        ("content-encoding", "aws-chunked".to_owned()),
        ("x-amz-decoded-content-length", decoded_length.to_string()),
    ];
    more.extend(trailer.map(|name| ("x-amz-trailer", name.to_owned())));
    let (headers, seed) = sign_with_payload(&request, payload, &more);
    let verified = signed.then(|| Verified {
        key: request.key(),
        amz_date: request.now.to_amz_date(),
        scope: request.scope(),
        seed: Signature(seed),
        payload: form,
        decoded_length: Some(decoded_length),
    });
    (
        headers,
        ChunkEncoder { seed: verified, previous: seed, trailer: trailer.is_some() || !signed },
    )
}

impl ChunkEncoder {
    /// Signed chunks that go on from the signature of their head.
    pub(crate) fn after(seed: Verified) -> Self {
        let trailer = seed.payload == Payload::StreamingSignedTrailer;
        Self { previous: seed.seed.0, seed: Some(seed), trailer }
    }

    /// One chunk; nothing for no bytes, because an empty chunk ends the body.
    pub fn chunk(&mut self, bytes: &[u8]) -> Vec<u8> {
        if bytes.is_empty() {
            return Vec::new();
        }
        let mut framed = self.header(bytes);
        framed.extend_from_slice(bytes);
        framed.extend_from_slice(b"\r\n");
        framed
    }

    /// The last chunk and the trailer; consumes the encoder.
    #[must_use]
    pub fn finish(mut self, trailers: &[(&str, &str)]) -> Vec<u8> {
        let mut framed = self.header(b"");
        let mut lines = String::new();
        for (name, value) in trailers.iter().filter(|_| self.trailer) {
            framed.extend_from_slice(format!("{name}:{value}\r\n").as_bytes());
            lines.extend([&*name.to_ascii_lowercase(), ":", value, "\n"]);
        }
        if let (true, Some(seed)) = (self.trailer, &self.seed) {
            let text = trailer_text(seed, &self.previous, lines.as_bytes());
            let signature = hex::encode(seed.key.sign(text.as_bytes()));
            framed.extend_from_slice(format!("x-amz-trailer-signature:{signature}\r\n").as_bytes());
        }
        framed.extend_from_slice(b"\r\n");
        framed
    }

    fn header(&mut self, bytes: &[u8]) -> Vec<u8> {
        let size = bytes.len();
        let Some(seed) = &self.seed else { return format!("{size:x}\r\n").into_bytes() };
        let hash = digest(&SHA256, bytes);
        let text = chunk_text(seed, &self.previous, hash.as_ref());
        self.previous = seed.key.sign(text.as_bytes());
        format!("{size:x};chunk-signature={}\r\n", hex::encode(self.previous)).into_bytes()
    }
}

//! What a signature says about the body.

use trailbox_exchange::RequestHead;

/// What `x-amz-content-sha256` (header or presigned query) promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// `UNSIGNED-PAYLOAD`, and every presigned S3 URL that says nothing else.
    Unsigned,
    /// The SHA-256 of the whole body.
    Signed([u8; 32]),
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`: each chunk is signed.
    StreamingSigned,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER`: each chunk and the trailer are signed.
    StreamingSignedTrailer,
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: chunk framing without signatures.
    StreamingUnsignedTrailer,
    /// `STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD`: chunks signed with SigV4A.
    StreamingV4a,
    /// `STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER`: the same with a trailer.
    StreamingV4aTrailer,
    /// `STREAMING-AWS4-HMAC-SHA256-EVENTS`: an event stream, each event signed.
    StreamingEvents,
    /// Nothing is said: the SHA-256 of the body that came is what was signed.
    EmptyImplied,
}

impl Payload {
    /// Reads the value of `x-amz-content-sha256`; `None` when it is no known form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "UNSIGNED-PAYLOAD" => Self::Unsigned,
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Self::StreamingSigned,
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Self::StreamingSignedTrailer,
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Self::StreamingUnsignedTrailer,
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD" => Self::StreamingV4a,
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER" => Self::StreamingV4aTrailer,
            "STREAMING-AWS4-HMAC-SHA256-EVENTS" => Self::StreamingEvents,
            _ => {
                let mut hash = [0; 32];
                hex::decode_to_slice(text, &mut hash).ok()?;
                Self::Signed(hash)
            }
        })
    }

    /// Whether the body travels in `aws-chunked` framing.
    #[must_use]
    pub const fn is_chunked(&self) -> bool {
        matches!(
            self,
            Self::StreamingSigned
                | Self::StreamingSignedTrailer
                | Self::StreamingUnsignedTrailer
                | Self::StreamingV4a
                | Self::StreamingV4aTrailer
        )
    }

    /// Whether the signature cannot be checked before the body is known.
    #[must_use]
    pub const fn needs_body_hash(&self) -> bool {
        matches!(self, Self::EmptyImplied)
    }

    /// The payload line of the canonical request; `body_hash` stands in when nothing was said.
    pub(crate) fn line(&self, body_hash: Option<[u8; 32]>) -> Option<String> {
        let fixed = match self {
            Self::Signed(hash) => return Some(hex::encode(hash)),
            Self::EmptyImplied => return body_hash.map(hex::encode),
            Self::Unsigned => "UNSIGNED-PAYLOAD",
            Self::StreamingSigned => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            Self::StreamingSignedTrailer => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            Self::StreamingUnsignedTrailer => "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            Self::StreamingV4a => "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
            Self::StreamingV4aTrailer => "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
            Self::StreamingEvents => "STREAMING-AWS4-HMAC-SHA256-EVENTS",
        };
        Some(fixed.to_owned())
    }
}

/// Reads what `head` says about its body.
///
/// A presigned S3 URL that says nothing has an unsigned payload; a header
/// counts there only when it is among `signed_headers`.
///
/// # Errors
///
/// The value as sent, cut to 64 characters, when it is no known form.
pub(crate) fn payload_of(
    head: &RequestHead,
    service: &str,
    in_query: bool,
    signed_headers: &[String],
) -> Result<Payload, String> {
    const NAME: &str = "x-amz-content-sha256";
    let header = || head.headers.get(NAME).map(|text| text.trim().to_owned());
    let said = if in_query {
        let signed = signed_headers.iter().any(|name| name == NAME);
        head.query_value("X-Amz-Content-Sha256")
            .or_else(|| head.query_value("X-Amz-Content-SHA256"))
            .map(std::borrow::Cow::into_owned)
            .or_else(|| header().filter(|_| signed))
    } else {
        header()
    };
    match said {
        Some(text) => Payload::parse(&text).ok_or_else(|| text.chars().take(64).collect()),
        None if in_query && crate::canonical::is_s3(service) => Ok(Payload::Unsigned),
        None => Ok(Payload::EmptyImplied),
    }
}

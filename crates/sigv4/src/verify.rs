//! Proves that the sender of a request holds the secret of its claim.
//!
//! Start reading at [`verify`].

use crate::canonical;
use crate::chunks::ChunkVerifier;
use crate::claim::{Signature, V4Claim};
use crate::keys::SigningKey;
use crate::payload::Payload;
use aws_lc_rs::digest::{SHA256, digest};
use trailbox_clock::Micros;
use trailbox_exchange::RequestHead;

/// How far the clocks of both sides may be apart: 15 minutes.
///
/// Source: S3 API Reference, error `RequestTimeTooSkewed`.
pub const SKEW_MAX_SECONDS: i64 = 15 * 60;

/// Why a claim is not proved. No text holds the secret or the right signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Signed more than 15 minutes before or after now.
    #[error(
        "the request was signed at {signed_at:?} and it is {now:?}; they may be 15 minutes apart"
    )]
    Skew {
        /// When it was signed.
        signed_at: Micros,
        /// The recorder's clock.
        now: Micros,
    },
    /// A presigned URL whose time is over.
    #[error("the presigned request expired at {expired_at:?}; it is {now:?}")]
    Expired {
        /// The last moment it was good.
        expired_at: Micros,
        /// The recorder's clock.
        now: Micros,
    },
    /// A presigned URL whose time has not come.
    #[error("the presigned request is good from {signed_at:?}; it is {now:?}")]
    NotYetValid {
        /// When it was signed.
        signed_at: Micros,
        /// The recorder's clock.
        now: Micros,
    },
    /// The signature is not the one of this request under this secret.
    #[error("the signature is not the one of this request")]
    WrongSignature,
    /// The day of the credential scope is not the day of the date.
    #[error("the credential scope says day {scope}, the request was signed on {signed}")]
    ScopeMismatch {
        /// Day in the scope, `yyyymmdd`.
        scope: String,
        /// Day of `X-Amz-Date`, `yyyymmdd`.
        signed: String,
    },
    /// `host` is not among the signed headers.
    #[error("`host` must be a signed header")]
    HostNotSigned,
    /// A name in `SignedHeaders` that no field carries.
    #[error("the signed header `{name}` is missing")]
    SignedHeaderMissing {
        /// The name.
        name: String,
    },
    /// S3 only: an `x-amz-` header that is not among the signed headers.
    #[error("the header `{name}` must be signed")]
    HeaderNotSigned {
        /// The name, lower case.
        name: String,
    },
    /// The body is not the one that was signed.
    #[error("the body's SHA-256 is not the one that was signed")]
    BodyHashMismatch,
    /// Nothing was said about the body and its hash was not handed in.
    #[error("the body's SHA-256 is needed to check this signature")]
    BodyHashNeeded,
    /// A payload form that SigV4 with a shared secret cannot carry.
    #[error("the payload form belongs to another signature algorithm")]
    PayloadForm,
    /// A chunk, or the trailer, carries a wrong signature.
    #[error("the signature of the {part} that ends at byte {decoded} is wrong")]
    WrongChunkSignature {
        /// `chunk` or `trailer`.
        part: &'static str,
        /// Bytes of the decoded body up to its end.
        decoded: u64,
    },
    /// The `aws-chunked` framing is broken.
    #[error("the aws-chunked body is broken after {decoded} bytes: {reason}")]
    ChunkFraming {
        /// Bytes of the decoded body before it.
        decoded: u64,
        /// Which rule was broken.
        reason: &'static str,
    },
    /// The `aws-chunked` body ended before its last chunk or trailer.
    #[error("the aws-chunked body ended after {decoded} bytes, before its last chunk")]
    ChunksTruncated {
        /// Bytes of the decoded body that came.
        decoded: u64,
    },
    /// `x-amz-decoded-content-length` is missing, and the body's length is needed.
    #[error("`x-amz-decoded-content-length` is needed to sign this body anew")]
    DecodedLengthMissing,
    /// The decoded body is not as long as `x-amz-decoded-content-length` says.
    #[error("the body has {decoded} bytes; x-amz-decoded-content-length says {declared}")]
    DecodedLength {
        /// What came.
        decoded: u64,
        /// What was said.
        declared: u64,
    },
}

/// A proved claim, and what is needed to prove the rest of the body.
#[derive(Debug, Clone)]
pub struct Verified {
    pub(crate) key: SigningKey,
    pub(crate) amz_date: String,
    pub(crate) scope: String,
    pub(crate) seed: Signature,
    pub(crate) payload: Payload,
    pub(crate) decoded_length: Option<u64>,
}

impl Verified {
    /// Checks an `aws-chunked` body as it passes; `None` for every other payload.
    ///
    /// Also for `STREAMING-UNSIGNED-PAYLOAD-TRAILER`, whose framing and length are checked.
    #[must_use]
    pub fn chunks(&self) -> Option<ChunkVerifier> {
        let (signed, trailer) = match self.payload {
            Payload::StreamingSigned => (true, false),
            Payload::StreamingSignedTrailer => (true, true),
            Payload::StreamingUnsignedTrailer => (false, true),
            Payload::Unsigned
            | Payload::Signed(_)
            | Payload::StreamingV4a
            | Payload::StreamingV4aTrailer
            | Payload::StreamingEvents
            | Payload::EmptyImplied => return None,
        };
        let seed = signed.then(|| self.clone());
        Some(ChunkVerifier::new(seed, trailer, self.decoded_length))
    }

    /// The SHA-256 the body must have, when the signature names one.
    ///
    /// Who verified without `body_hash` compares at the end of the body.
    #[must_use]
    pub const fn body_sha256(&self) -> Option<[u8; 32]> {
        if let Payload::Signed(hash) = self.payload { Some(hash) } else { None }
    }
}

/// Proves `claim` with `secret`; derives the signing key each time.
///
/// # Errors
///
/// As [`verify_with_key`].
pub fn verify(
    claim: &V4Claim,
    head: &RequestHead,
    secret: &[u8],
    now: Micros,
    body_hash: Option<[u8; 32]>,
) -> Result<Verified, VerifyError> {
    verify_with_key(claim, head, &SigningKey::of_claim(claim, secret), now, body_hash)
}

/// Proves `claim` with a derived key.
///
/// `body_hash` is the SHA-256 of the body as it came. Without it a signed
/// body is not compared (see [`Verified::body_sha256`]), and a claim that says
/// nothing about its body cannot be checked. Headers that are not signed are
/// allowed, except that S3 wants every `x-amz-` header signed.
///
/// Source: IAM User Guide, "Create a signed AWS API request"; S3 API Reference,
/// "Authenticating Requests (AWS Signature Version 4)".
///
/// # Errors
///
/// The first rule the request breaks; comparisons take constant time.
pub fn verify_with_key(
    claim: &V4Claim,
    head: &RequestHead,
    key: &SigningKey,
    now: Micros,
    body_hash: Option<[u8; 32]>,
) -> Result<Verified, VerifyError> {
    check_time(claim, now)?;
    check_headers(claim, head)?;
    if matches!(claim.payload, Payload::StreamingV4a | Payload::StreamingV4aTrailer) {
        return Err(VerifyError::PayloadForm);
    }
    let payload = claim.payload.line(body_hash).ok_or(VerifyError::BodyHashNeeded)?;
    let headers = canonical::header_lines(&head.headers, &claim.signed_headers)
        .map_err(|name| VerifyError::SignedHeaderMissing { name })?;
    let (amz_date, scope) = (claim.signed_at.to_amz_date(), claim.scope());
    let names = claim.signed_headers.join(";");
    let queries = canonical::queries(head.query(), claim.in_query);
    let fits = canonical::paths(head.path(), &claim.service).iter().any(|path| {
        queries.iter().any(|query| {
            let text = canonical::request(head, path, query, &headers, &names, &payload);
            key.fits(&string_to_sign(&amz_date, &scope, &text), &claim.signature.0)
        })
    });
    if !fits {
        return Err(VerifyError::WrongSignature);
    }
    match (&claim.payload, body_hash) {
        (Payload::Signed(said), Some(came)) if *said != came => Err(VerifyError::BodyHashMismatch),
        _ => Ok(Verified {
            key: key.clone(),
            amz_date,
            scope,
            seed: claim.signature,
            payload: claim.payload.clone(),
            decoded_length: claim.decoded_length,
        }),
    }
}

pub(crate) fn string_to_sign(amz_date: &str, scope: &str, canonical: &[u8]) -> Vec<u8> {
    let hash = hex::encode(digest(&SHA256, canonical));
    ["AWS4-HMAC-SHA256", amz_date, scope, &hash].join("\n").into_bytes()
}

fn check_time(claim: &V4Claim, now: Micros) -> Result<(), VerifyError> {
    const SKEW_MAX: i64 = SKEW_MAX_SECONDS * 1_000_000;
    let signed_at = claim.signed_at;
    let day = &signed_at.to_amz_date()[..];
    if day.get(..8) != Some(&claim.date) {
        return Err(VerifyError::ScopeMismatch {
            scope: claim.date.clone(),
            signed: day.chars().take(8).collect(),
        });
    }
    let age = now.0.saturating_sub(signed_at.0);
    match claim.expires {
        None if age.abs() > SKEW_MAX => Err(VerifyError::Skew { signed_at, now }),
        Some(_) if age < -SKEW_MAX => Err(VerifyError::NotYetValid { signed_at, now }),
        Some(seconds) if age > i64::from(seconds) * 1_000_000 => Err(VerifyError::Expired {
            expired_at: signed_at.plus(i64::from(seconds) * 1_000_000),
            now,
        }),
        None | Some(_) => Ok(()),
    }
}

/// `host` must be signed; for S3 every `x-amz-` header too.
fn check_headers(claim: &V4Claim, head: &RequestHead) -> Result<(), VerifyError> {
    let signed = |name: &[u8]| {
        claim.signed_headers.iter().any(|held| name.eq_ignore_ascii_case(held.as_bytes()))
    };
    if !signed(b"host") {
        return Err(VerifyError::HostNotSigned);
    }
    if !canonical::is_s3(&claim.service) {
        return Ok(());
    }
    for (name, _) in head.headers.iter() {
        let ours = name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"x-amz-"));
        if ours && !signed(name) && !may_be_unsigned(name) {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            return Err(VerifyError::HeaderNotSigned { name });
        }
    }
    Ok(())
}

/// Headers whose value is in the string to sign anyway, proves itself, or says nothing.
fn may_be_unsigned(name: &[u8]) -> bool {
    ["x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "x-amz-user-agent"]
        .iter()
        .any(|free| name.eq_ignore_ascii_case(free.as_bytes()))
}

//! AWS Signature Version 4: reading claims, proving them, signing.
//!
//! [`claim`] reads who a request says it comes from; [`verify`] proves it with
//! the secret; a [`ChunkVerifier`] proves a streamed body as it passes. [`sign`]
//! and [`presign`] make signatures for calls of our own; [`resign`] and a
//! [`Rechunker`] put another key's signature on somebody's request. [`refusal`]
//! says what AWS would answer when a proof fails.
//!
//! SigV4A (ECDSA) is recognised and never verified; of SigV2 only S3's form is
//! proved ([`verify_v2`]). Nothing here
//! reads a clock, opens a connection or keeps a body.

pub mod refusal;

mod canonical;
mod chunks;
mod claim;
mod keys;
mod parse;
mod payload;
mod rechunk;
mod resign;
mod secret;
mod sign;
mod stream;
#[cfg(test)]
mod testing;
mod v2;
mod verify;

pub use chunks::{CHUNK_HEADER_MAX, ChunkVerifier, TRAILER_MAX};
pub use claim::{
    ACCESS_KEY_ID_MAX, Claim, ClaimProblem, EXPIRES_MAX_SECONDS, MalformedClaim,
    SIGNED_HEADERS_MAX, V4Claim, V4aClaim,
};
pub use keys::{SigningKey, SigningKeyCache};
pub use parse::claim;
pub use payload::Payload;
pub use rechunk::{ChunkPlan, RECHUNK_BYTES, RECHUNK_HELD_MAX, Rechunker};
pub use resign::{Resign, Resigned, Signer, is_of_signature, query_without_signature, resign};
pub use secret::SecretText;
pub use sign::{SignRequest, presign, sign};
pub use stream::{ChunkEncoder, sign_streaming};
pub use v2::{v2_session_token, verify_v2};
pub use verify::{SKEW_MAX_SECONDS, Verified, VerifyError, verify, verify_with_key};

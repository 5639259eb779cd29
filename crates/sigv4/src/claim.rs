//! Who a request says it comes from, before anybody believes it.
//!
//! Read by [`claim`](crate::claim()).

use crate::payload::Payload;
use crate::secret::SecretText;
use trailbox_clock::Micros;

/// Longest access key id, in characters. IAM: 16 to 128.
pub const ACCESS_KEY_ID_MAX: usize = 128;
/// Most names in `SignedHeaders`; more is not a request but an attack.
pub const SIGNED_HEADERS_MAX: usize = 256;
/// Longest life of a presigned URL, in seconds: seven days.
pub const EXPIRES_MAX_SECONDS: u32 = 604_800;

/// What a request says about its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nothing.
    Anonymous,
    /// An `Authorization` scheme that is not AWS's, such as `Bearer`.
    Foreign {
        /// The first word of the header, cut to 32 characters.
        scheme: String,
    },
    /// Signature Version 4.
    V4(V4Claim),
    /// Signature Version 4A (ECDSA): recognised, not verified.
    V4a(V4aClaim),
    /// Signature Version 2: recognised, not verified.
    V2 {
        /// The access key id.
        access_key_id: String,
        /// Whether it stands in the query (presigned) and not in a header.
        in_query: bool,
    },
    /// Something that means to be a signature and is none.
    Malformed(MalformedClaim),
}

impl Claim {
    /// The access key id, if any was readable.
    #[must_use]
    pub fn access_key_id(&self) -> Option<&str> {
        match self {
            Self::Anonymous | Self::Foreign { .. } => None,
            Self::V4(claim) => Some(&claim.access_key_id),
            Self::V4a(claim) => Some(&claim.access_key_id),
            Self::V2 { access_key_id, .. } => Some(access_key_id),
            Self::Malformed(claim) => claim.access_key_id.as_deref(),
        }
    }

    /// Whether the claim stands in the query (a presigned URL).
    #[must_use]
    pub fn in_query(&self) -> bool {
        match self {
            Self::Anonymous | Self::Foreign { .. } => false,
            Self::V4(claim) => claim.in_query,
            Self::V4a(claim) => claim.in_query,
            Self::V2 { in_query, .. } => *in_query,
            Self::Malformed(claim) => claim.in_query,
        }
    }
}

/// A readable SigV4 claim: every part has its shape, nothing is proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V4Claim {
    /// The access key id, 1 to 128 characters.
    pub access_key_id: String,
    /// Day of the credential scope: `yyyymmdd`.
    pub date: String,
    /// Region of the credential scope.
    pub region: String,
    /// Signing name of the credential scope, such as `s3`.
    pub service: String,
    /// Whether the claim stands in the query (a presigned URL).
    pub in_query: bool,
    /// `X-Amz-Security-Token`, header or query.
    pub session_token: Option<SecretText>,
    /// What is said about the body.
    pub payload: Payload,
    /// Names in `SignedHeaders`, lower case, in the order given.
    pub signed_headers: Vec<String>,
    /// When it was signed: `X-Amz-Date`, else `Date`; whole seconds.
    pub signed_at: Micros,
    /// Life of a presigned URL in seconds, 1 to 604800; `None` for a header.
    pub expires: Option<u32>,
    /// `x-amz-decoded-content-length`: bytes of the body without `aws-chunked` framing.
    pub decoded_length: Option<u64>,
    pub(crate) signature: Signature,
}

impl V4Claim {
    /// `yyyymmdd/region/service/aws4_request`.
    #[must_use]
    pub fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }
}

/// A signature as sent. `Debug` hides it: a presigned one is as good as a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signature(pub(crate) [u8; 32]);

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signature(..)")
    }
}

/// A SigV4A claim; its scope has no Region, a header lists the Regions instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V4aClaim {
    /// The access key id.
    pub access_key_id: String,
    /// Day of the credential scope: `yyyymmdd`.
    pub date: String,
    /// Signing name of the credential scope.
    pub service: String,
    /// `X-Amz-Region-Set`: Regions separated by commas, `*` allowed; empty when absent.
    pub region_set: String,
    /// Whether the claim stands in the query.
    pub in_query: bool,
    /// `X-Amz-Security-Token`, header or query.
    pub session_token: Option<SecretText>,
    /// What is said about the body.
    pub payload: Payload,
}

/// A claim that cannot be read, with as much of it as could.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MalformedClaim {
    /// The first broken rule.
    pub problem: ClaimProblem,
    /// The access key id, if that part was readable.
    pub access_key_id: Option<String>,
    /// Whether the claim stands in the query.
    pub in_query: bool,
}

impl MalformedClaim {
    /// Whether two readers could see two different callers: nobody may then
    /// leave it to somebody else which of them it is.
    #[must_use]
    pub const fn is_ambiguous(&self) -> bool {
        matches!(self.problem, ClaimProblem::TwoClaims | ClaimProblem::Repeated { .. })
    }
}

/// Why a claim cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimProblem {
    /// Signed in a header and in the query.
    #[error("only one way to sign is allowed: the `Authorization` header or the query")]
    TwoClaims,
    /// A header or query parameter that must stand once stands twice.
    #[error("`{name}` stands more than once")]
    Repeated {
        /// Header or parameter.
        name: &'static str,
    },
    /// A header that is not UTF-8 text.
    #[error("`{name}` is not text")]
    NotText {
        /// Header.
        name: &'static str,
    },
    /// `X-Amz-Algorithm` or the scheme is no algorithm of AWS's.
    #[error("algorithm {found:?} is unknown; use AWS4-HMAC-SHA256")]
    Algorithm {
        /// What was sent, cut to 64 characters.
        found: String,
    },
    /// `Credential`, `SignedHeaders`, `Signature`, a date … is missing.
    #[error("`{part}` is missing")]
    Missing {
        /// The part.
        part: &'static str,
    },
    /// `Credential` is not `key/yyyymmdd/region/service/aws4_request`.
    #[error("the credential must have the form key/yyyymmdd/region/service/aws4_request; {reason}")]
    Credential {
        /// Which part is wrong.
        reason: &'static str,
    },
    /// `SignedHeaders` is empty, too long, or holds an impossible name.
    #[error("`SignedHeaders` must be 1 to 256 lower-case header names separated by semicolons")]
    SignedHeaders,
    /// `Signature` is not 64 hexadecimal digits.
    #[error("`Signature` must be 64 hexadecimal digits")]
    Signature,
    /// The date is not a date.
    #[error("date {found:?} is invalid; write it like 20261122T173000Z")]
    Date {
        /// What was sent, cut to 64 characters.
        found: String,
    },
    /// `X-Amz-Expires` is not 1 to 604800 seconds.
    #[error("`X-Amz-Expires` is {found:?}; it needs 1 to 604800 seconds")]
    Expires {
        /// What was sent, cut to 32 characters.
        found: String,
    },
    /// `x-amz-content-sha256` is no hash and no known word.
    #[error(
        "`x-amz-content-sha256` is {found:?}; it needs 64 hexadecimal digits, UNSIGNED-PAYLOAD or a STREAMING- form"
    )]
    Payload {
        /// What was sent, cut to 64 characters.
        found: String,
    },
    /// `x-amz-decoded-content-length` is not a number.
    #[error("`x-amz-decoded-content-length` is {found:?}; it needs a number of bytes")]
    DecodedLength {
        /// What was sent, cut to 32 characters.
        found: String,
    },
    /// `Authorization: AWS …` without `key:signature`.
    #[error("a version 2 signature has the form `AWS key:signature`")]
    VersionTwo,
}

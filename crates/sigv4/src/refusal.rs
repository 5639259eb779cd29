//! What AWS answers when a caller cannot be believed: code, status, message.
//!
//! Source: S3 API Reference, "List of error codes"; IAM User Guide,
//! "Troubleshoot Signature Version 4 signing"; "Common Errors" of the query and
//! JSON services; EC2 API Reference, "Error codes". Newer pages of some
//! services say 403 where older ones say 400; what is answered is in the tests.

use crate::claim::{ClaimProblem, MalformedClaim};
use crate::verify::{SKEW_MAX_SECONDS, VerifyError};
use trailbox_clock::Micros;

/// Which family of error codes a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Amazon S3 and what follows it (rest-xml).
    S3,
    /// Query services such as IAM and STS.
    Query,
    /// EC2.
    Ec2,
    /// JSON 1.0, JSON 1.1 and CBOR services.
    Json,
    /// REST with JSON, such as Lambda.
    RestJson,
}

/// An answer that refuses a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Error code, without namespace.
    pub code: &'static str,
    /// Message for people.
    pub message: String,
}

impl Refusal {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }
}

/// Nobody knows the access key.
#[must_use]
pub fn unknown_key(dialect: Dialect) -> Refusal {
    const TEXT: &str = "The security token included in the request is invalid.";
    match dialect {
        Dialect::S3 => Refusal::new(
            403,
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
        ),
        Dialect::Query => Refusal::new(403, "InvalidClientTokenId", TEXT),
        Dialect::Ec2 => auth_failure(),
        Dialect::Json => Refusal::new(400, "UnrecognizedClientException", TEXT),
        Dialect::RestJson => Refusal::new(403, "UnrecognizedClientException", TEXT),
    }
}

/// The session token is missing or not the one of the key.
#[must_use]
pub fn invalid_token(dialect: Dialect) -> Refusal {
    match dialect {
        Dialect::S3 => Refusal::new(
            400,
            "InvalidToken",
            "The provided token is malformed or otherwise invalid.",
        ),
        Dialect::Query | Dialect::Ec2 | Dialect::Json | Dialect::RestJson => unknown_key(dialect),
    }
}

/// The key was good once.
#[must_use]
pub fn expired_token(dialect: Dialect) -> Refusal {
    const TEXT: &str = "The security token included in the request is expired";
    match dialect {
        Dialect::S3 => Refusal::new(400, "ExpiredToken", "The provided token has expired."),
        Dialect::Query => Refusal::new(403, "ExpiredToken", TEXT),
        Dialect::Ec2 => Refusal::new(400, "RequestExpired", "Request has expired."),
        Dialect::Json => Refusal::new(400, "ExpiredTokenException", TEXT),
        Dialect::RestJson => Refusal::new(403, "ExpiredTokenException", TEXT),
    }
}

/// Nobody is named where somebody must be.
#[must_use]
pub fn missing_authentication(dialect: Dialect) -> Refusal {
    match dialect {
        Dialect::S3 => Refusal::new(403, "AccessDenied", "Access Denied"),
        Dialect::Query => Refusal::new(
            403,
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        ),
        Dialect::Ec2 => auth_failure(),
        Dialect::Json => {
            Refusal::new(400, "MissingAuthenticationTokenException", "Missing Authentication Token")
        }
        Dialect::RestJson => {
            Refusal::new(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        }
    }
}

/// SigV2, SigV4A or a foreign scheme where only SigV4 can be proved.
#[must_use]
pub fn unsupported_signature(dialect: Dialect) -> Refusal {
    match dialect {
        Dialect::S3 => Refusal::new(
            400,
            "InvalidRequest",
            "The authorization mechanism you have provided is not supported. \
             Please use AWS4-HMAC-SHA256.",
        ),
        Dialect::Query | Dialect::Ec2 | Dialect::Json | Dialect::RestJson => {
            incomplete(dialect, "only AWS4-HMAC-SHA256 signatures are accepted")
        }
    }
}

/// The claim cannot be read.
#[must_use]
pub fn malformed(claim: &MalformedClaim, dialect: Dialect) -> Refusal {
    let problem = &claim.problem;
    if dialect != Dialect::S3 {
        return incomplete(dialect, &problem.to_string());
    }
    let dateless =
        matches!(problem, ClaimProblem::Date { .. } | ClaimProblem::Missing { part: "X-Amz-Date" });
    if matches!(problem, ClaimProblem::Payload { .. }) {
        let text = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, \
                    STREAMING-AWS4-HMAC-SHA256-PAYLOAD, or a valid sha256 value.";
        return Refusal::new(400, "InvalidArgument", text);
    }
    if *problem == ClaimProblem::TwoClaims {
        let text = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, \
                    Signature query string parameter or the Authorization header should be \
                    specified";
        return Refusal::new(400, "InvalidArgument", text);
    }
    if claim.in_query {
        return Refusal::new(400, "AuthorizationQueryParametersError", sentence(problem));
    }
    if dateless {
        let text = "AWS authentication requires a valid Date or x-amz-date header";
        return Refusal::new(403, "AccessDenied", text);
    }
    Refusal::new(
        400,
        "AuthorizationHeaderMalformed",
        format!("The authorization header is malformed; {problem}."),
    )
}

/// The claim was read and is not proved.
#[must_use]
pub fn unproved(error: &VerifyError, dialect: Dialect) -> Refusal {
    match dialect {
        Dialect::S3 => unproved_s3(error),
        Dialect::Ec2 => unproved_ec2(error),
        Dialect::Query | Dialect::Json | Dialect::RestJson => unproved_common(error, dialect),
    }
}

fn unproved_s3(error: &VerifyError) -> Refusal {
    match error {
        VerifyError::Skew { .. } => Refusal::new(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        ),
        VerifyError::Expired { .. } => Refusal::new(403, "AccessDenied", "Request has expired"),
        VerifyError::NotYetValid { .. } => {
            Refusal::new(403, "AccessDenied", "Request is not valid yet")
        }
        VerifyError::HostNotSigned
        | VerifyError::SignedHeaderMissing { .. }
        | VerifyError::HeaderNotSigned { .. } => Refusal::new(
            403,
            "AccessDenied",
            "There were headers present in the request which were not signed",
        ),
        VerifyError::ScopeMismatch { .. } => Refusal::new(
            400,
            "AuthorizationHeaderMalformed",
            format!("The authorization header is malformed; {error}."),
        ),
        VerifyError::BodyHashMismatch => Refusal::new(
            400,
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        ),
        VerifyError::BodyHashNeeded => Refusal::new(
            400,
            "InvalidRequest",
            "Missing required header for this request: x-amz-content-sha256",
        ),
        VerifyError::PayloadForm => {
            Refusal::new(400, "InvalidRequest", sentence(&VerifyError::PayloadForm))
        }
        VerifyError::ChunkFraming { .. }
        | VerifyError::ChunksTruncated { .. }
        | VerifyError::DecodedLength { .. } => {
            Refusal::new(400, "IncompleteBody", "The request body terminated unexpectedly")
        }
        VerifyError::DecodedLengthMissing => Refusal::new(
            411,
            "MissingContentLength",
            "You must provide the x-amz-decoded-content-length HTTP header.",
        ),
        VerifyError::WrongSignature | VerifyError::WrongChunkSignature { .. } => Refusal::new(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. \
             Check your key and signing method.",
        ),
    }
}

fn unproved_ec2(error: &VerifyError) -> Refusal {
    if matches!(error, VerifyError::Skew { .. } | VerifyError::Expired { .. }) {
        return Refusal::new(400, "RequestExpired", "Request has expired.");
    }
    auth_failure()
}

fn auth_failure() -> Refusal {
    Refusal::new(401, "AuthFailure", "AWS was not able to validate the provided access credentials")
}

fn unproved_common(error: &VerifyError, dialect: Dialect) -> Refusal {
    const WRONG: &str = "The request signature we calculated does not match the signature you \
        provided. Check your AWS Secret Access Key and signing method. Consult the service \
        documentation for details.";
    let message = match error {
        VerifyError::Skew { signed_at, now } | VerifyError::NotYetValid { signed_at, now } => {
            skew_text(*signed_at, *now)
        }
        VerifyError::Expired { expired_at, now } => format!(
            "Signature expired: {} is now earlier than {}",
            expired_at.to_amz_date(),
            now.to_amz_date()
        ),
        VerifyError::HostNotSigned
        | VerifyError::SignedHeaderMissing { .. }
        | VerifyError::DecodedLengthMissing => {
            return incomplete(dialect, &error.to_string());
        }
        VerifyError::ScopeMismatch { scope, signed } => format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date \
             from HTTP: '{scope}' != '{signed}'."
        ),
        VerifyError::WrongSignature
        | VerifyError::HeaderNotSigned { .. }
        | VerifyError::BodyHashMismatch
        | VerifyError::BodyHashNeeded
        | VerifyError::PayloadForm
        | VerifyError::WrongChunkSignature { .. }
        | VerifyError::ChunkFraming { .. }
        | VerifyError::ChunksTruncated { .. }
        | VerifyError::DecodedLength { .. } => WRONG.to_owned(),
    };
    match dialect {
        Dialect::Query => Refusal::new(403, "SignatureDoesNotMatch", message),
        Dialect::RestJson => Refusal::new(403, "InvalidSignatureException", message),
        Dialect::S3 | Dialect::Ec2 | Dialect::Json => {
            Refusal::new(400, "InvalidSignatureException", message)
        }
    }
}

fn skew_text(signed_at: Micros, now: Micros) -> String {
    let minutes = SKEW_MAX_SECONDS / 60;
    let (signed, current) = (signed_at.to_amz_date(), now.to_amz_date());
    if signed_at < now {
        let limit = now.plus(-SKEW_MAX_SECONDS * 1_000_000).to_amz_date();
        format!(
            "Signature expired: {signed} is now earlier than {limit} ({current} - {minutes} min.)"
        )
    } else {
        let limit = now.plus(SKEW_MAX_SECONDS * 1_000_000).to_amz_date();
        format!(
            "Signature not yet current: {signed} is still later than {limit} ({current} + {minutes} min.)"
        )
    }
}

fn incomplete(dialect: Dialect, message: &str) -> Refusal {
    match dialect {
        Dialect::S3 => Refusal::new(400, "AuthorizationHeaderMalformed", sentence(message)),
        Dialect::Query => Refusal::new(400, "IncompleteSignature", sentence(message)),
        Dialect::Ec2 => auth_failure(),
        Dialect::Json => Refusal::new(400, "IncompleteSignatureException", sentence(message)),
        Dialect::RestJson => Refusal::new(403, "IncompleteSignatureException", sentence(message)),
    }
}

/// Our own texts begin small; AWS's do not.
fn sentence(text: impl std::fmt::Display) -> String {
    let text = text.to_string();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).chain(std::iter::once('.')).collect()
    })
}

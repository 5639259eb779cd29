//! The S3 errors of this store, each with a text a person can act on.

use s3s::{S3Error, S3ErrorCode, S3Result};

fn error(code: S3ErrorCode, message: &'static str) -> S3Error {
    S3Error::with_message(code, message)
}

/// An S3 error whose code `s3s` has no name for.
fn custom(code: &'static str, status: http::StatusCode, message: &'static str) -> S3Error {
    let mut made = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    made.set_status_code(status);
    made
}

/// Wraps a failed file operation; the caller learns only whether space ran out.
pub(crate) fn io(cause: std::io::Error) -> S3Error {
    let full = [std::io::ErrorKind::StorageFull, std::io::ErrorKind::QuotaExceeded];
    let message = if full.contains(&cause.kind()) {
        "the disk of the bucket store is full"
    } else {
        "We encountered an internal error. Please try again."
    };
    tracing::error!(error = %cause, "bucket store: file operation failed");
    let mut made = error(S3ErrorCode::InternalError, message);
    made.set_source(Box::new(cause));
    made
}

/// Adds [`io`] to results of file operations.
pub(crate) trait OrIo<T> {
    fn or_io(self) -> S3Result<T>;
}

impl<T> OrIo<T> for std::io::Result<T> {
    fn or_io(self) -> S3Result<T> {
        self.map_err(io)
    }
}

pub(crate) fn access_denied() -> S3Error {
    error(S3ErrorCode::AccessDenied, "Access Denied")
}

pub(crate) fn unknown_key() -> S3Error {
    error(
        S3ErrorCode::InvalidAccessKeyId,
        "The AWS Access Key Id you provided does not exist in our records.",
    )
}

pub(crate) fn no_such_bucket() -> S3Error {
    error(S3ErrorCode::NoSuchBucket, "The specified bucket does not exist")
}

pub(crate) fn no_such_key() -> S3Error {
    error(S3ErrorCode::NoSuchKey, "The specified key does not exist.")
}

pub(crate) fn no_such_version() -> S3Error {
    error(S3ErrorCode::NoSuchVersion, "The specified version does not exist.")
}

pub(crate) fn no_such_upload() -> S3Error {
    error(
        S3ErrorCode::NoSuchUpload,
        "The specified multipart upload does not exist. The upload ID may be invalid, \
         or the upload may have been aborted or completed.",
    )
}

pub(crate) fn bucket_not_empty() -> S3Error {
    error(S3ErrorCode::BucketNotEmpty, "The bucket you tried to delete is not empty")
}

pub(crate) fn already_owned() -> S3Error {
    error(
        S3ErrorCode::BucketAlreadyOwnedByYou,
        "Your previous request to create the named bucket succeeded and you already own it.",
    )
}

pub(crate) fn invalid_bucket_name() -> S3Error {
    error(S3ErrorCode::InvalidBucketName, "The specified bucket is not valid.")
}

pub(crate) fn precondition_failed() -> S3Error {
    error(
        S3ErrorCode::PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold",
    )
}

pub(crate) fn invalid_range() -> S3Error {
    error(S3ErrorCode::InvalidRange, "The requested range is not satisfiable")
}

pub(crate) fn invalid_argument(message: impl Into<String>) -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidArgument, message.into())
}

pub(crate) fn malformed_xml() -> S3Error {
    error(
        S3ErrorCode::MalformedXML,
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
}

pub(crate) fn incomplete_body() -> S3Error {
    error(
        S3ErrorCode::IncompleteBody,
        "You did not provide the number of bytes specified by the Content-Length HTTP header",
    )
}

pub(crate) fn invalid_digest() -> S3Error {
    error(S3ErrorCode::InvalidDigest, "The Content-MD5 you specified was invalid.")
}

pub(crate) fn bad_digest(name: &str) -> S3Error {
    S3Error::with_message(
        S3ErrorCode::BadDigest,
        format!("The {name} you specified did not match the calculated checksum."),
    )
}

pub(crate) fn content_sha256_mismatch() -> S3Error {
    custom(
        "XAmzContentSHA256Mismatch",
        http::StatusCode::BAD_REQUEST,
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
    )
}

pub(crate) fn chunk_signature() -> S3Error {
    error(
        S3ErrorCode::SignatureDoesNotMatch,
        "The signature of a chunk does not match the signature calculated for it.",
    )
}

pub(crate) fn invalid_part() -> S3Error {
    error(
        S3ErrorCode::InvalidPart,
        "One or more of the specified parts could not be found. The part may not have been \
         uploaded, or the specified entity tag may not match the part's entity tag.",
    )
}

pub(crate) fn invalid_part_order() -> S3Error {
    error(
        S3ErrorCode::InvalidPartOrder,
        "The list of parts was not in ascending order. Parts must be ordered by part number.",
    )
}

pub(crate) fn entity_too_small() -> S3Error {
    error(
        S3ErrorCode::EntityTooSmall,
        "Your proposed upload is smaller than the minimum allowed size",
    )
}

pub(crate) fn not_implemented(what: &str) -> S3Error {
    S3Error::with_message(
        S3ErrorCode::NotImplemented,
        format!("the embedded bucket store does not offer {what}"),
    )
}

/// The error of a bucket setting that nobody has put.
pub(crate) fn no_such_setting(code: S3ErrorCode) -> S3Error {
    error(code, "The configuration you asked for has not been set on this bucket")
}

pub(crate) fn no_public_access_block() -> S3Error {
    custom(
        "NoSuchPublicAccessBlockConfiguration",
        http::StatusCode::NOT_FOUND,
        "The public access block configuration was not found",
    )
}

pub(crate) fn no_such_policy() -> S3Error {
    error(S3ErrorCode::NoSuchBucketPolicy, "The bucket policy does not exist")
}

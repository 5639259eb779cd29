//! What an upstream's answer says of the caller's identity: that it is not
//! believed, or nothing against it. Who is believed here is in `who.rs`.

/// Whether an answer says "I do not believe who you are", rather than "you may
/// not": an upstream that says the latter has verified the signature.
pub(crate) fn denies_identity(status: u16, code: Option<&str>, denial: Option<&str>) -> bool {
    // An answer that says nothing of the caller vouches for nobody.
    let failed = matches!(status, 400 | 401 | 403) || 500 <= status;
    match code {
        None => failed,
        Some(code) => 500 <= status || is_identity_code(code) || (failed && denial == Some(code)),
    }
}

/// Whether an error may have been said before anybody looked at the signature:
/// then it vouches for nobody. Servers of S3 judge names and methods first.
pub(crate) fn says_nothing(status: u16, code: Option<&str>, s3: bool) -> bool {
    const CODES: [&str; 6] = [
        "InvalidAction",
        "MalformedQueryString",
        "MethodNotAllowed",
        "SerializationException",
        "UnknownOperation",
        "UnknownOperationException",
    ];
    matches!(status, 405 | 501)
        || (s3 && status == 400)
        || code.is_some_and(|code| 400 <= status && CODES.contains(&code))
}

/// Codes that say who calls is not believed, whatever the operation.
pub(crate) fn is_identity_code(code: &str) -> bool {
    const CODES: [&str; 22] = [
        "AuthFailure",
        "AuthorizationHeaderMalformed",
        "AuthorizationQueryParametersError",
        "CredentialsNotSupported",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "InvalidSignature",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotSignedUp",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "UnrecognizedClientException",
    ];
    CODES.contains(&code)
}

//! Why a source could not be read.

/// Nothing was learned from the source. No text holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Not a scheme, a host and a port.
    #[error("endpoint `{text}` must be http://HOST[:PORT] or https://HOST[:PORT] without a path")]
    Endpoint {
        /// As written, cut to 256 characters.
        text: String,
    },
    /// TLS cannot be set up, before anything was sent.
    #[error("TLS cannot be set up: {reason}")]
    Tls {
        /// What is wrong.
        reason: String,
    },
    /// No connection, or one that broke.
    #[error("{endpoint} cannot be reached: {reason}")]
    Unreachable {
        /// Where.
        endpoint: String,
        /// What was seen.
        reason: String,
    },
    /// It takes too long.
    #[error("{endpoint} did not answer in time")]
    Slow {
        /// Where.
        endpoint: String,
    },
    /// An answer that is an error.
    #[error("{asked} was answered with {status}{code}{hint}")]
    Refused {
        /// The call.
        asked: String,
        /// HTTP status.
        status: u16,
        /// ` <code>` where one was told.
        code: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// An answer that is not what the API says.
    #[error("the answer to {asked} breaks the rule: {rule}")]
    Broken {
        /// The call.
        asked: String,
        /// The rule.
        rule: String,
    },
    /// More than is held here.
    #[error("the source lists more than {max} {what}; sync them in parts")]
    TooMany {
        /// Users or keys.
        what: &'static str,
        /// The bound.
        max: usize,
    },
}

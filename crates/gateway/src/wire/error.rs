//! Why bytes are not HTTP/1.1, or not unambiguously so.

/// Why a head is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// More bytes than allowed without an end.
    #[error("head is longer than {most} bytes")]
    TooLarge {
        /// The limit.
        most: usize,
    },
    /// More fields than allowed.
    #[error("head has more than {most} fields")]
    TooManyHeaders {
        /// The limit.
        most: usize,
    },
    /// A line feed without a carriage return, or the reverse, or a NUL.
    #[error("head holds byte {byte:#04x} where it must not")]
    StrayByte {
        /// The byte.
        byte: u8,
    },
    /// The grammar of RFC 9112 is broken.
    #[error("head is malformed: {what}")]
    Malformed {
        /// What the parser says.
        what: String,
    },
    /// Two fields disagree, or one says something no two peers read alike.
    #[error("head does not say unambiguously how long its body is: {what}")]
    Ambiguous {
        /// Which fields.
        what: &'static str,
    },
    /// The request line names another place than `Host`, or one without a path.
    #[error("head does not say unambiguously what is asked for: {what}")]
    Target {
        /// What is wrong.
        what: &'static str,
    },
    /// `Host` is missing or stands twice.
    #[error("head has {count} `Host` fields; it needs one")]
    Host {
        /// How many there are.
        count: usize,
    },
}

impl HeadError {
    /// One word for the counter.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "head-too-large",
            Self::TooManyHeaders { .. } => "too-many-headers",
            Self::StrayByte { .. } => "stray-byte",
            Self::Malformed { .. } => "malformed-head",
            Self::Ambiguous { .. } => "ambiguous-framing",
            Self::Target { .. } => "target",
            Self::Host { .. } => "host",
        }
    }
}

/// Why a body cannot be followed any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// A chunk does not begin with its size in hexadecimal.
    #[error("chunk size holds byte {byte:#04x}; it is hexadecimal digits, up to 15 of them")]
    Size {
        /// The byte.
        byte: u8,
    },
    /// A chunk size, its extension or the trailer goes on for too long.
    #[error("chunk framing is longer than {most} bytes")]
    TooLong {
        /// The limit.
        most: usize,
    },
    /// Something else than CR LF ends a chunk or a line of framing.
    #[error("chunk framing holds byte {byte:#04x} where a line must end")]
    LineEnd {
        /// The byte.
        byte: u8,
    },
    /// A trailer line that is no `name: value`.
    #[error("trailer holds byte {byte:#04x} where it must not")]
    Trailer {
        /// The byte.
        byte: u8,
    },
}

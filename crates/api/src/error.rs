//! Errors of the JSON operations: two audiences, one table of codes.

use trailbox_history::LookupError;

/// What a caller's SDK branches on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    AccessDeniedException,
    InternalFailure,
    InvalidEventCategoryException,
    InvalidLookupAttributesException,
    InvalidMaxResultsException,
    InvalidNextTokenException,
    InvalidTimeRangeException,
    MissingAuthenticationTokenException,
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
    SerializationException,
    ServiceUnavailable,
    ThrottlingException,
    UnknownOperationException,
    UnrecognizedClientException,
    UnsupportedOperationException,
    ValidationException,
}

impl Code {
    /// The name on the wire.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::AccessDeniedException => "AccessDeniedException",
            Self::InternalFailure => "InternalFailure",
            Self::InvalidEventCategoryException => "InvalidEventCategoryException",
            Self::InvalidLookupAttributesException => "InvalidLookupAttributesException",
            Self::InvalidMaxResultsException => "InvalidMaxResultsException",
            Self::InvalidNextTokenException => "InvalidNextTokenException",
            Self::InvalidTimeRangeException => "InvalidTimeRangeException",
            Self::MissingAuthenticationTokenException => "MissingAuthenticationTokenException",
            Self::ResourceAlreadyExistsException => "ResourceAlreadyExistsException",
            Self::ResourceNotFoundException => "ResourceNotFoundException",
            Self::SerializationException => "SerializationException",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::ThrottlingException => "ThrottlingException",
            Self::UnknownOperationException => "UnknownOperationException",
            Self::UnrecognizedClientException => "UnrecognizedClientException",
            Self::UnsupportedOperationException => "UnsupportedOperationException",
            Self::ValidationException => "ValidationException",
        }
    }

    /// The HTTP status. Every modelled error of CloudTrail is documented with
    /// 400; only our own faults are 5xx.
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::InternalFailure => 500,
            Self::ServiceUnavailable => 503,
            Self::AccessDeniedException
            | Self::InvalidEventCategoryException
            | Self::InvalidLookupAttributesException
            | Self::InvalidMaxResultsException
            | Self::InvalidNextTokenException
            | Self::InvalidTimeRangeException
            | Self::MissingAuthenticationTokenException
            | Self::ResourceAlreadyExistsException
            | Self::ResourceNotFoundException
            | Self::SerializationException
            | Self::ThrottlingException
            | Self::UnknownOperationException
            | Self::UnrecognizedClientException
            | Self::UnsupportedOperationException
            | Self::ValidationException => 400,
        }
    }
}

/// One failed call: `code` and `message` go out, `cause` goes to the log only.
#[derive(Debug, thiserror::Error)]
#[error("{}: {message}", code.name())]
pub(crate) struct ApiError {
    pub(crate) code: Code,
    /// What the caller's operator reads. Never holds a path, key or peer name.
    pub(crate) message: String,
    /// What our operator reads.
    #[source]
    pub(crate) cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ApiError {
    /// A refusal: the caller can read why.
    pub(crate) fn refused(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), cause: None }
    }

    /// A fault of ours: the caller learns that much and no more.
    pub(crate) fn internal(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        let message = "The request processing has failed because of an unknown error.".to_owned();
        Self { code: Code::InternalFailure, message, cause: Some(Box::new(cause)) }
    }
}

impl From<LookupError> for ApiError {
    fn from(err: LookupError) -> Self {
        match err {
            LookupError::Source(_) | LookupError::Damaged { .. } => Self {
                code: Code::ServiceUnavailable,
                message: "The event history cannot be read at the moment. Try again.".to_owned(),
                cause: Some(Box::new(err)),
            },
        }
    }
}

//! What a record is built from: one call, its answer, and what the recorder knows beside them.

use bytes::Bytes;
use serde_json::Value;
use trailbox_clock::Micros;
use trailbox_exchange::{Captured, RequestHead, ResponseHead};
use trailbox_service_facts::{Facts, Route};

/// One API call as the gateway saw it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The service models and hand-made tables.
    pub facts: &'a Facts,
    /// Which operation of which service it is.
    pub route: &'a Route,
    /// The request without its body.
    pub request: &'a RequestHead,
    /// The request's body, as far as it was kept.
    pub request_body: &'a Captured,
    /// The answer; absent when none arrived.
    pub response: Option<Answered<'a>>,
    /// What HTTP does not say.
    pub context: &'a CallContext,
    /// How records are written here.
    pub settings: &'a RecordSettings,
}

/// The answer to a call.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// Status and header fields.
    pub head: &'a ResponseHead,
    /// The body, as far as it was kept.
    pub body: &'a Captured,
}

/// What the recorder knows of a call beside the exchange itself.
#[derive(Debug, Clone, Default)]
pub struct CallContext {
    /// `eventID`: sixteen bytes, written as a UUID.
    pub event_id: [u8; 16],
    /// When the request arrived; `eventTime` in whole seconds.
    pub arrival: Micros,
    /// `recipientAccountId`, twelve digits.
    pub account: String,
    /// `awsRegion`, final.
    pub region: String,
    /// Region of the credential scope, noted when it differs from `region`.
    pub signed_region: Option<String>,
    /// `sourceIPAddress`.
    pub source_ip: String,
    /// `userIdentity`, ready to write.
    pub user_identity: Value,
    /// How sure the recorder is of `user_identity`.
    pub trust: Trust,
    /// TLS of the client's connection, when it ended here.
    pub tls: Option<TlsDetails>,
    /// `requestID` when the answer has none.
    pub request_id: String,
    /// `vpcEndpointId`, from the listener's configuration.
    pub vpc_endpoint: Option<String>,
    /// Account that owns the bucket; `account` when not known.
    pub bucket_owner: Option<String>,
    /// ARN of the KMS key in use, when neither request nor answer shows it.
    pub kms_key_arn: Option<String>,
    /// Why there is no genuine answer: refused here, upstream down, outcome unknown.
    pub failure: Option<Failure>,
    /// Bytes of the request body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// How the request was signed, when it was.
    pub signature: Option<SignatureNote>,
}

/// How sure the recorder is of who called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Trust {
    /// The signature was checked here.
    Verified,
    /// An upstream that checks signatures accepted it.
    Upstream,
    /// The caller says so and nobody checked.
    Claimed,
    /// There is nothing to trust: anonymous calls, calls of services.
    #[default]
    None,
}

impl Trust {
    /// The word in `additionalEventData.trailboxIdentity`.
    #[must_use]
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::Verified => Some("verified"),
            Self::Upstream => Some("upstream"),
            Self::Claimed => Some("claimed"),
            Self::None => None,
        }
    }
}

/// TLS as negotiated with the client, in CloudTrail's spelling.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsDetails {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: String,
    /// Such as `TLS_AES_128_GCM_SHA256` or `ECDHE-RSA-AES128-GCM-SHA256`.
    pub cipher: String,
}

/// An error that no upstream wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `errorCode`.
    pub code: String,
    /// `errorMessage`.
    pub message: String,
}

/// How a request was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureNote {
    /// `SigV4`, `SigV4A` or `SigV2`.
    pub version: &'static str,
    /// `AuthHeader` or `QueryString`.
    pub method: &'static str,
}

/// How records are written. Section `[recording]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordSettings {
    /// What happens to session tokens in answers of STS.
    pub session_tokens: SessionTokens,
}

/// What happens to session tokens in answers of STS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionTokens {
    /// Left out. Not as AWS does it: a record must not open a door.
    #[default]
    Drop,
    /// Kept, as AWS does.
    Keep,
}

/// A finished record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The JSON object, without a line end.
    pub json: Bytes,
    /// `eventID`.
    pub event_id: [u8; 16],
    /// `eventCategory`.
    pub category: Category,
    /// `readOnly`.
    pub read_only: bool,
    /// `recipientAccountId`.
    pub account: String,
    /// `awsRegion`.
    pub region: String,
    /// Why request or answer could not be read, for the counter; the record
    /// then holds what is known.
    pub undecodable: Option<String>,
}

/// `eventCategory`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Category {
    /// Calls that manage resources.
    Management,
    /// Calls on what is inside resources: objects, items, messages.
    Data,
    /// Unusual rates.
    Insight,
    /// Calls through VPC endpoints.
    NetworkActivity,
}

impl Category {
    /// As the record writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Management => "Management",
            Self::Data => "Data",
            Self::Insight => "Insight",
            Self::NetworkActivity => "NetworkActivity",
        }
    }

    /// Reads what [`Category::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "Management" => Self::Management,
            "Data" => Self::Data,
            "Insight" => Self::Insight,
            "NetworkActivity" => Self::NetworkActivity,
            _ => return None,
        })
    }
}

/// Bytes that are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseRecordError {
    /// Not a JSON object.
    #[error("a record is a JSON object: {0}")]
    NotJson(String),
    /// A field every record has is absent or of the wrong type.
    #[error("a record has a `{0}`; this one has not, or not of the right type")]
    Field(&'static str),
}

//! The CloudTrail record: built from an exchange, redacted, sized, and read back for lookups.
//!
//! [`build`] never fails: what cannot be read is left out and named in
//! [`Record::undecodable`]. The rules and their evidence are in
//! `spec/gateway.md` 3 to 5; tables of names are data, in
//! `crates/service-facts/data/tables.toml` and `data/lookup_resources.toml`.

mod call;

pub use call::{
    Answered, Call, CallContext, Category, Failure, ParseRecordError, Record, RecordSettings,
    SessionTokens, SignatureNote, TlsDetails, Trust,
};

use trailbox_clock::Micros;
use trailbox_service_facts::{Facts, Route};

pub mod lookup;

fn unfinished(event_id: [u8; 16]) -> Record {
    Record { json: bytes::Bytes::new(), event_id, category: Category::Management, read_only: false, account: String::new(), region: String::new(), undecodable: None }
}

/// The record of a call.
#[must_use]
pub fn build(call: &Call<'_>) -> Record {
    unfinished(call.context.event_id)
}

/// The record of a call that is about to be forwarded.
#[must_use]
pub fn build_intent(call: &Call<'_>) -> Record {
    unfinished(call.context.event_id)
}

/// The record of an intent whose outcome nobody knows.
///
/// # Errors
///
/// When `intent_json` is not a record.
pub fn outcome_unknown(_intent_json: &[u8]) -> Result<Record, ParseRecordError> {
    Ok(unfinished([0; 16]))
}

/// One `DeleteObject` service event per key that `DeleteObjects` reports deleted.
#[must_use]
pub fn bulk_delete(_call: &Call<'_>, _parent: &Record) -> Vec<Record> {
    Vec::new()
}

/// What a service event is built from.
#[derive(Debug, Clone)]
pub struct ServiceEventContext {
    /// `eventID`.
    pub event_id: [u8; 16],
    /// When it happened.
    pub at: Micros,
    /// `recipientAccountId`.
    pub account: String,
    /// `awsRegion`.
    pub region: String,
    /// `eventName`.
    pub name: String,
    /// `serviceEventDetails`.
    pub details: serde_json::Value,
}

/// An event of Trailbox's own.
#[must_use]
pub fn service_event(context: &ServiceEventContext) -> Record {
    unfinished(context.event_id)
}

/// How much of a call's bodies must be kept to record it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapturePlan {
    /// Bytes of the request body to keep; 0 streams it uncaptured.
    pub request_cap: usize,
    /// Whether the request body must be there before the call is forwarded.
    pub request_required: bool,
    /// Bytes of a successful answer's body to keep.
    pub response_cap: usize,
    /// Bytes of an error answer's body to keep.
    pub response_on_error_cap: usize,
}

/// How much of a call's bodies must be kept to record it.
#[must_use]
pub fn capture_plan(_facts: &Facts, _route: &Route, _read_only: bool) -> CapturePlan {
    CapturePlan { request_cap: 0, request_required: false, response_cap: 0, response_on_error_cap: 0 }
}

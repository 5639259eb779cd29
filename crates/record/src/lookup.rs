//! What `LookupEvents` says about a record beside the record itself.

use crate::{Category, ParseRecordError};
use trailbox_clock::Micros;

/// A record as `LookupEvents` and its filters see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupView {
    /// `EventId`.
    pub event_id: String,
    /// `EventName`.
    pub event_name: String,
    /// `ReadOnly`; absent where the record has none.
    pub read_only: Option<bool>,
    /// `Username`; absent for events of services.
    pub username: Option<String>,
    /// `EventSource`.
    pub event_source: String,
    /// `AccessKeyId`; absent when there is none.
    pub access_key_id: Option<String>,
    /// `EventTime`.
    pub event_time: Micros,
    /// `Resources`: types and names.
    pub resources: Vec<(String, String)>,
    /// `eventCategory`.
    pub category: Category,
    /// `recipientAccountId`.
    pub account: String,
    /// `awsRegion`.
    pub region: String,
    /// `errorCode`.
    pub error_code: Option<String>,
}

/// Reads a record for lookups.
///
/// # Errors
///
/// When `json` is not a record.
pub fn view(_json: &[u8]) -> Result<LookupView, ParseRecordError> {
    Err(ParseRecordError::Field("eventID"))
}

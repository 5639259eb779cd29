//! The record as bytes: key order, size limits, one pass.
//!
//! Source: spec/cloudtrail.md 2.1 and 2.3.

use crate::call::{CallContext, Category};
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// `eventVersion` of every record written here.
pub(crate) const EVENT_VERSION: &str = "1.11";

/// Longest `userAgent`, `errorCode`, `errorMessage`, `requestID`, in bytes.
const TEXT_MAX: usize = 1024;
/// Largest `requestParameters`, `responseElements`, `serviceEventDetails`, in bytes.
const OBJECT_MAX: usize = 100 * 1024;
/// Largest `additionalEventData`, in bytes.
const ADDITIONAL_MAX: usize = 28 * 1024;
/// Largest record, in bytes.
const RECORD_MAX: usize = 256 * 1024;

/// Everything a record says, in the order of its keys.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    pub(crate) context: &'a CallContext,
    pub(crate) event_source: &'a str,
    pub(crate) event_name: &'a str,
    pub(crate) user_agent: Option<String>,
    pub(crate) error_code: Option<String>,
    pub(crate) error_message: Option<String>,
    pub(crate) request: Value,
    pub(crate) response: Value,
    pub(crate) additional: Map<String, Value>,
    pub(crate) request_id: &'a str,
    pub(crate) read_only: bool,
    pub(crate) resources: Vec<Value>,
    pub(crate) event_type: &'static str,
    pub(crate) api_version: Option<String>,
    pub(crate) category: Category,
    pub(crate) shared_event_id: Option<[u8; 16]>,
    pub(crate) service_event_details: Option<Value>,
    pub(crate) host: Option<&'a str>,
}

impl Fields<'_> {
    /// The record's JSON.
    pub(crate) fn write(&self) -> Bytes {
        let bytes = self.write_once(OBJECT_MAX);
        if bytes.len() <= RECORD_MAX {
            return Bytes::from(bytes);
        }
        // Only an identity or resources of absurd size lead here.
        Bytes::from(self.write_once(1024))
    }

    fn write_once(&self, object_max: usize) -> Vec<u8> {
        let context = self.context;
        let mut out = Writer::new();
        out.text("eventVersion", EVENT_VERSION);
        out.value("userIdentity", &context.user_identity);
        out.text("eventTime", &context.arrival.to_event_time());
        out.text("eventSource", self.event_source);
        out.text("eventName", self.event_name);
        out.text("awsRegion", &context.region);
        out.text("sourceIPAddress", &context.source_ip);
        out.cut("userAgent", self.user_agent.as_deref());
        out.cut("errorCode", self.error_code.as_deref());
        out.cut("errorMessage", self.error_message.as_deref());
        out.capped("requestParameters", &self.request, object_max);
        out.capped("responseElements", &self.response, object_max);
        if !self.additional.is_empty() {
            out.capped("additionalEventData", &self.additional, ADDITIONAL_MAX);
        }
        out.cut("requestID", Some(self.request_id).filter(|id| !id.is_empty()));
        out.text("eventID", &uuid(context.event_id));
        out.value("readOnly", &self.read_only);
        if !self.resources.is_empty() {
            out.capped("resources", &self.resources, object_max);
        }
        out.text("eventType", self.event_type);
        out.cut("apiVersion", self.api_version.as_deref());
        out.value("managementEvent", &(self.category == Category::Management));
        out.text("recipientAccountId", &context.account);
        if let Some(id) = self.shared_event_id {
            out.text("sharedEventID", &uuid(id));
        }
        out.cut("vpcEndpointId", context.vpc_endpoint.as_deref());
        if let Some(details) = &self.service_event_details {
            out.capped("serviceEventDetails", details, object_max);
        }
        out.text("eventCategory", self.category.as_str());
        if let (Some(tls), Some(host)) = (&context.tls, self.host) {
            let details = json!({
                "tlsVersion": tls.version,
                "cipherSuite": tls.cipher,
                "clientProvidedHostHeader": host,
            });
            out.value("tlsDetails", &details);
        }
        out.finish()
    }
}

/// Writes one JSON object, key by key.
struct Writer(Vec<u8>);

impl Writer {
    fn new() -> Self {
        let mut out = Vec::with_capacity(2048);
        out.push(b'{');
        Self(out)
    }

    fn key(&mut self, name: &'static str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn value(&mut self, name: &'static str, value: &impl serde::Serialize) {
        self.key(name);
        let start = self.0.len();
        if serde_json::to_writer(&mut self.0, value).is_err() {
            self.0.truncate(start);
            self.0.extend_from_slice(b"null");
        }
    }

    fn text(&mut self, name: &'static str, text: &str) {
        self.value(name, &text);
    }

    /// A text, when there is one, up to the limit.
    fn cut(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, cut(text, TEXT_MAX));
        }
    }

    /// A value; beyond `max` bytes only the note that it was left out.
    fn capped(&mut self, name: &'static str, value: &impl serde::Serialize, max: usize) {
        self.key(name);
        let start = self.0.len();
        let written = serde_json::to_writer(&mut self.0, value).is_ok();
        let size = self.0.len() - start;
        if written && size <= max {
            return;
        }
        self.0.truncate(start);
        self.0.extend_from_slice(omitted(size, "the content exceeds the size limit").as_bytes());
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

/// What stands in place of an omitted object. The shape is not published by
/// AWS (spec/cloudtrail.md 2.3).
pub(crate) fn omitted(size: usize, reason: &str) -> String {
    json!({"omitted": true, "originalSize": size, "reason": reason}).to_string()
}

/// The longest head of `text` of at most `max` bytes.
fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// Sixteen bytes in the usual form of a UUID.
pub(crate) fn uuid(bytes: [u8; 16]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Reads what [`uuid`] writes.
pub(crate) fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
    if digits.len() != 32 || text.len() != 36 {
        return None;
    }
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Writer, cut, parse_uuid, uuid};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn a_value_beyond_its_limit_leaves_a_note_and_nothing_else() {
        let mut out = Writer::new();
        out.capped("small", &json!({"a": 1}), 20);
        out.capped("large", &json!({"a": "x".repeat(100)}), 20);
        let read: Value = serde_json::from_slice(&out.finish()).unwrap();
        assert_eq!(read["small"], json!({"a": 1}));
        assert_eq!(read["large"]["omitted"], true);
        assert_eq!(read["large"]["originalSize"], 108);
        assert!(!read.to_string().contains("xx"));
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("aéb", 2), "a");
        assert_eq!(cut("aéb", 3), "aé");
        assert_eq!(cut("ab", 10), "ab");
    }

    proptest! {
        /// What is written is read back.
        #[test]
        fn ids_survive_their_text(bytes: [u8; 16]) {
            prop_assert_eq!(parse_uuid(&uuid(bytes)), Some(bytes));
        }

        /// Whatever stands there, reading ends without a panic.
        #[test]
        fn arbitrary_ids_never_panic(text in ".{0,40}") {
            let _ = parse_uuid(&text);
        }
    }
}

//! The head of a call to our own engine: the client's, and who calls.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use trailbox_identity::Caller;
use trailbox_journal::Position;

/// Prefix of the fields only the recorder may set.
const PREFIX: &[u8] = b"x-trailbox-";

/// What the engine is told beside the request.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    /// botocore name, or the signing name where there is no model.
    pub(crate) service: &'a str,
    /// Model name; empty when unknown.
    pub(crate) operation: &'a str,
    /// Who calls.
    pub(crate) caller: &'a Caller,
    /// Region of the record.
    pub(crate) region: &'a str,
    /// Request id to answer with.
    pub(crate) request_id: &'a str,
    /// What was durable when the call came: whoever reads must have read so far.
    pub(crate) position: Position,
    /// Recorded calls since the start: verified, upstream, claimed, none.
    pub(crate) calls: &'a str,
}

/// The raw head with our fields at its end and the client's of that name gone.
pub(crate) fn head(raw: &[u8], told: &Told<'_>) -> Vec<u8> {
    let mut head = Vec::with_capacity(raw.len() + 2048);
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        let ours = line.get(..PREFIX.len()).is_some_and(|name| name.eq_ignore_ascii_case(PREFIX));
        if !ours && line != b"\r\n" {
            head.extend_from_slice(line);
        }
    }
    // A caller is plain values: it can always be written.
    let caller = STANDARD.encode(serde_json::to_vec(told.caller).unwrap_or_default());
    let position = told.position.to_string();
    for (name, value) in [
        ("service", told.service),
        ("operation", told.operation),
        ("caller", &caller),
        ("region", told.region),
        ("request-id", told.request_id),
        ("position", &position),
        ("calls", told.calls),
    ] {
        // A Region or service comes from the client's own signature.
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        head.extend_from_slice(format!("x-trailbox-{name}: {value}\r\n").as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head
}

#[cfg(test)]
mod tests {
    use super::{Told, head};
    use trailbox_identity::Caller;
    use trailbox_journal::Position;

    #[test]
    fn the_clients_own_words_about_the_caller_are_dropped() {
        let raw = b"POST / HTTP/1.1\r\nHost: h\r\nX-Trailbox-Caller: forged\r\nx-Y: 1\r\n\r\n";
        let told = Told {
            service: "cloudtrail",
            operation: "LookupEvents",
            caller: &Caller::claimed("AKIA", "111122223333"),
            region: "us-east-1\r\nx-evil: 1",
            request_id: "id",
            position: Position::default(),
            calls: "4 3 2 1",
        };
        let head = String::from_utf8(head(raw, &told)).unwrap();
        assert!(head.starts_with("POST / HTTP/1.1\r\nHost: h\r\nx-Y: 1\r\nx-trailbox-service: "));
        assert!(!head.contains("forged"));
        assert!(head.contains("x-trailbox-region: us-east-1x-evil: 1\r\n"));
        assert!(head.ends_with("\r\n\r\n"));
    }
}

//! How a call ended: the error of a record, its request id.
//!
//! Source: spec/gateway.md 4.6 and 4.7.

use crate::call::{Answered, Call};
use trailbox_service_facts::Protocol;
use trailbox_service_facts::decode::decode_error;

/// `errorCode` and `errorMessage`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallError {
    pub(crate) code: String,
    pub(crate) message: Option<String>,
    /// Whether the service itself said so.
    pub(crate) from_wire: bool,
}

/// How the call failed; `None` when it did not, or has no answer yet.
pub(crate) fn error(call: &Call<'_>) -> Option<CallError> {
    if let Some(failure) = &call.context.failure {
        let (code, message) = (failure.code.clone(), Some(failure.message.clone()));
        return Some(CallError { code, message, from_wire: false });
    }
    let answered = call.response?;
    let wire = decode_error(call.route, &call.request.method, answered.head, &answered.body.bytes)?;
    let code = code(call, &wire.code, answered.head.status);
    Some(CallError { code, message: wire.message, from_wire: true })
}

/// The code as CloudTrail names it: EC2 says whose fault it is, query services
/// name the exception, and every denial is `AccessDenied`.
fn code(call: &Call<'_>, wire: &str, status: u16) -> String {
    let service = call.route.service.as_deref();
    if call.route.protocol == Protocol::Ec2 || call.route.event_source == "ec2.amazonaws.com" {
        let side = if status < 500 { "Client" } else { "Server" };
        return format!("{side}.{wire}");
    }
    let named = service.and_then(|service| service.errors.get(wire)).map_or(wire, String::as_str);
    if matches!(wire, "AccessDenied" | "AccessDeniedException") || named == "AccessDeniedException"
    {
        return "AccessDenied".to_owned();
    }
    named.to_owned()
}

/// Whether AWS leaves the parameters of such a call out of its record.
pub(crate) fn hides_request(error: &CallError) -> bool {
    error.from_wire && matches!(error.code.as_str(), "AccessDenied" | "ThrottlingException")
}

/// The request id that the answer shows.
pub(crate) fn request_id(answered: Answered<'_>) -> Option<String> {
    let headers = &answered.head.headers;
    ["x-amzn-requestid", "x-amz-request-id", "x-amzn-request-id", "x-amz-requestid"]
        .iter()
        .find_map(|name| headers.get(name))
        .map(str::to_owned)
        .or_else(|| request_id_in(&answered.body.bytes))
}

/// The text of a `RequestId` element, wherever it stands.
fn request_id_in(body: &[u8]) -> Option<String> {
    let at = memchr::memmem::find_iter(body, b"equest")
        .map(|at| &body[at + 6..])
        .find(|rest| rest.starts_with(b"Id>") || rest.starts_with(b"ID>"))?;
    let text = &at[3..];
    let end = memchr::memchr(b'<', text)?;
    let text = std::str::from_utf8(&text[..end]).ok()?.trim();
    (!text.is_empty() && text.len() <= 256).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::request_id_in;

    #[test]
    fn the_request_id_is_found_in_any_of_its_spellings() {
        let cases = [
            ("<R><requestId>a-1</requestId></R>", Some("a-1")),
            ("<R><RequestID>b</RequestID></R>", Some("b")),
            ("<R><ResponseMetadata><RequestId> c </RequestId></ResponseMetadata></R>", Some("c")),
            ("<R><RequestId></RequestId></R>", None),
            ("{\"requestId\": 1}", None),
        ];
        for (body, want) in cases {
            assert_eq!(request_id_in(body.as_bytes()).as_deref(), want, "{body}");
        }
    }
}

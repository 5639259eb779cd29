//! What an answer says went wrong.
//!
//! Source: spec/gateway.md 4.6.

use super::tree::Tree;
use super::xml::{self, Element};
use super::{cbor, looks_like_xml, transfer};
use crate::route::Route;
use trailbox_exchange::ResponseHead;

/// An error as the wire names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireError {
    /// Code, without namespace and without what follows a colon.
    pub code: String,
    /// Text for people, when there is one.
    pub message: Option<String>,
}

/// The error an answer carries; `None` when it is a success.
///
/// S3 answers some calls with status 200 before it knows how they end; such an
/// answer is an error when its root element is `Error`.
#[must_use]
pub fn decode_error(
    route: &Route,
    method: &str,
    head: &ResponseHead,
    body: &[u8],
) -> Option<WireError> {
    let s3 = matches!(route.service_name(), "s3" | "s3control")
        || (route.service.is_none() && route.event_source == "s3.amazonaws.com");
    if head.status < 300 || head.status == 304 {
        let late = s3 && matches!(method, "PUT" | "POST") && !streams_out(route);
        return if late { late_error(body) } else { None };
    }
    let body = transfer::plain_body(&head.headers, body).unwrap_or_default();
    let (mut code, mut message) = from_body(head, &body);
    if let Some(kind) = head.headers.get("x-amzn-errortype") {
        code = Some(kind.to_owned());
    }
    let code = code.map(|code| bare(&code).to_owned()).filter(|code| !code.is_empty());
    if code.is_none() && head.status < 400 && !s3 {
        return None;
    }
    let code = code.unwrap_or_else(|| {
        let (code, text) = by_status(route, s3, head.status);
        message = message.take().or(text.map(str::to_owned));
        code
    });
    Some(WireError { code, message: message.filter(|text| !text.is_empty()) })
}

fn streams_out(route: &Route) -> bool {
    route.op().is_some_and(|operation| operation.streaming_output)
}

fn late_error(body: &[u8]) -> Option<WireError> {
    let markup = memchr::memmem::find(body, b"<Error").is_some() && looks_like_xml(body);
    let root = if markup { xml::parse(body).ok()? } else { return None };
    let text = |name| root.child(name).map(|child| child.text.clone());
    (root.local() == "Error")
        .then(|| WireError { code: text("Code").unwrap_or_default(), message: text("Message") })
}

/// `com.amazonaws.dynamodb.v20120810#ResourceNotFoundException:http://…` → the name.
fn bare(code: &str) -> &str {
    let code = code.rsplit_once('#').map_or(code, |(_, name)| name);
    code.split_once(':').map_or(code, |(name, _)| name).trim()
}

fn from_body(head: &ResponseHead, body: &[u8]) -> (Option<String>, Option<String>) {
    if looks_like_xml(body) {
        return xml::parse(body).map_or((None, None), |root| from_markup(&root));
    }
    let says_cbor = head.headers.get("content-type").is_some_and(|kind| kind.contains("cbor"));
    let tree = if says_cbor { cbor::decode(body) } else { Tree::from_json(body) };
    let Ok(Tree::Map(entries)) = tree else { return (None, None) };
    let text = |names: &[&str]| {
        names.iter().find_map(|name| {
            let (_, value) = entries.iter().find(|(held, _)| held == name)?;
            value.text().map(str::to_owned)
        })
    };
    let code = text(&["__type", "code", "Code", "errorCode"]);
    (code, text(&["message", "Message", "errorMessage"]))
}

fn from_markup(root: &Element) -> (Option<String>, Option<String>) {
    let holder = root.find("Error").or_else(|| root.find("Errors")).unwrap_or(root);
    let text = |name| holder.find(name).map(|found| found.text.trim().to_owned());
    (text("Code"), text("Message"))
}

/// What a status means when no body says it.
fn by_status(route: &Route, s3: bool, status: u16) -> (String, Option<&'static str>) {
    let keyed = route.labels.iter().any(|(name, value)| name == "Key" && !value.is_empty());
    let code = match (status, s3) {
        (301, true) => "PermanentRedirect",
        (307, true) => "TemporaryRedirect",
        (400, true) => "BadRequest",
        (403, true) => return ("AccessDenied".to_owned(), Some("Access Denied")),
        (404, true) if keyed => {
            return ("NoSuchKey".to_owned(), Some("The specified key does not exist."));
        }
        (404, true) => {
            return ("NoSuchBucket".to_owned(), Some("The specified bucket does not exist"));
        }
        (405, true) => "MethodNotAllowed",
        (412, true) => "PreconditionFailed",
        (416, true) => "InvalidRange",
        (500, true) => "InternalError",
        (503, true) => "SlowDown",
        (403, false) => "AccessDenied",
        (429, false) => "ThrottlingException",
        (500, false) => "InternalFailure",
        (503, false) => "ServiceUnavailable",
        _ => return (status.to_string(), None),
    };
    (code.to_owned(), None)
}

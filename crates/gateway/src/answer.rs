//! Answers of our own, in the shape the caller's SDK expects.
//!
//! A client that asked in awsJson cannot read S3's XML: whoever refuses a call
//! here says code, message and status, and [`render`] writes them the way the
//! call's protocol does. Codes of ours begin with `Trailbox.`; everything else
//! is a code AWS uses.

use trailbox_clock::Micros;
use trailbox_exchange::RequestHead;
use trailbox_service_facts::{Protocol, Route};

/// Why a call is answered here and not by its upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// What the SDK branches on; also the record's `errorCode`.
    pub code: String,
    /// What people read; also the record's `errorMessage`.
    pub message: String,
    /// One word for the counter `trailbox_refused_total`.
    pub reason: &'static str,
}

impl Refusal {
    /// A refusal with that counter word, status, code and message.
    #[must_use]
    pub fn new(
        reason: &'static str,
        status: u16,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { status, code: code.into(), message: message.into(), reason }
    }
}

/// How errors look to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `<Error><Code/><Message/><RequestId/></Error>`.
    S3,
    /// `<ErrorResponse><Error><Type/><Code/><Message/></Error><RequestId/></ErrorResponse>`:
    /// query, and REST with XML beside S3.
    Query,
    /// `<Response><Errors><Error>…</Error></Errors><RequestID/></Response>`.
    Ec2,
    /// `{"__type": …, "message": …}` with the content type asked in.
    Json,
    /// `{"message": …}` and `x-amzn-ErrorType`.
    RestJson,
    /// The same as JSON, in CBOR.
    Cbor,
}

impl Shape {
    /// The shape of a routed call.
    #[must_use]
    pub fn of(route: &Route) -> Self {
        match route.protocol {
            Protocol::Json => Self::Json,
            Protocol::RestJson => Self::RestJson,
            Protocol::Cbor => Self::Cbor,
            Protocol::Ec2 => Self::Ec2,
            Protocol::RestXml if matches!(route.service_name(), "" | "s3") => Self::S3,
            Protocol::Query | Protocol::RestXml => Self::Query,
        }
    }
}

/// What an answer needs beside the refusal.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// How the caller reads errors.
    pub shape: Shape,
    /// The request, when one was read.
    pub request: Option<&'a RequestHead>,
    /// Id of the call.
    pub request_id: &'a str,
    /// Now: SDKs correct their clock by `Date`.
    pub now: Micros,
    /// Whether the connection is closed behind the answer.
    pub close: bool,
}

/// The whole answer as bytes: status line, fields, body.
#[must_use]
pub fn render(refusal: &Refusal, envelope: &Envelope<'_>) -> Vec<u8> {
    let (content_type, body) = body(refusal, envelope);
    let id_field =
        if envelope.shape == Shape::S3 { "x-amz-request-id" } else { "x-amzn-RequestId" };
    let mut head = format!(
        "HTTP/1.1 {} {}\r\n{id_field}: {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nDate: {}\r\n",
        refusal.status,
        reason_phrase(refusal.status),
        envelope.request_id,
        body.len(),
        http_date(envelope.now),
    );
    if matches!(envelope.shape, Shape::Json | Shape::RestJson) {
        head.extend(["x-amzn-ErrorType: ", &refusal.code, "\r\n"]);
    }
    if envelope.shape == Shape::Cbor {
        head.push_str("smithy-protocol: rpc-v2-cbor\r\n");
    }
    if envelope.close {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("\r\n");
    let mut answer = head.into_bytes();
    if envelope.request.is_none_or(|request| request.method != "HEAD") {
        answer.extend_from_slice(&body);
    }
    answer
}

/// Content type and body.
fn body(refusal: &Refusal, envelope: &Envelope<'_>) -> (String, Vec<u8>) {
    let code = escape_xml(&refusal.code);
    let message = escape_xml(&refusal.message);
    let id = escape_xml(envelope.request_id);
    let fault = if refusal.status < 500 { "Sender" } else { "Receiver" };
    let declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    match envelope.shape {
        Shape::S3 => {
            let resource = envelope.request.map_or("", RequestHead::path);
            let resource = escape_xml(resource);
            let text = format!(
                "{declaration}<Error><Code>{code}</Code><Message>{message}</Message>\
                 <Resource>{resource}</Resource><RequestId>{id}</RequestId></Error>"
            );
            ("application/xml".to_owned(), text.into_bytes())
        }
        Shape::Query => {
            let text = format!(
                "{declaration}<ErrorResponse><Error><Type>{fault}</Type><Code>{code}</Code>\
                 <Message>{message}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"
            );
            ("text/xml".to_owned(), text.into_bytes())
        }
        Shape::Ec2 => {
            let text = format!(
                "{declaration}<Response><Errors><Error><Code>{code}</Code>\
                 <Message>{message}</Message></Error></Errors><RequestID>{id}</RequestID></Response>"
            );
            ("text/xml".to_owned(), text.into_bytes())
        }
        Shape::Json => {
            let asked = envelope.request.and_then(|head| head.headers.get("content-type"));
            let json = asked.filter(|text| text.starts_with("application/x-amz-json-"));
            let content_type = json.unwrap_or("application/x-amz-json-1.1").to_owned();
            (content_type, json_body(refusal, true))
        }
        Shape::RestJson => ("application/json".to_owned(), json_body(refusal, false)),
        Shape::Cbor => ("application/cbor".to_owned(), cbor_body(refusal)),
    }
}

fn json_body(refusal: &Refusal, typed: bool) -> Vec<u8> {
    let mut object = serde_json::Map::new();
    if typed {
        object.insert("__type".to_owned(), refusal.code.clone().into());
    }
    object.insert("message".to_owned(), refusal.message.clone().into());
    serde_json::Value::Object(object).to_string().into_bytes()
}

/// `{"__type": code, "message": message}` as RFC 8949 writes it.
fn cbor_body(refusal: &Refusal) -> Vec<u8> {
    let mut body = vec![0xa2];
    for text in ["__type", &refusal.code, "message", &refusal.message] {
        cbor_text(&mut body, text);
    }
    body
}

fn cbor_text(body: &mut Vec<u8>, text: &str) {
    match u16::try_from(text.len()) {
        Ok(length @ 0..=23) => body.push(0x60 | length.to_le_bytes()[0]),
        Ok(length) => {
            body.push(0x79);
            body.extend_from_slice(&length.to_be_bytes());
        }
        // No message of ours is that long; an empty one is still an answer.
        Err(_) => return body.push(0x60),
    }
    body.extend_from_slice(text.as_bytes());
}

/// Text as XML content: markup escaped, control characters replaced.
fn escape_xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            c if c.is_control() && !matches!(c, '\t' | '\n' | '\r') => {
                escaped.push(char::REPLACEMENT_CHARACTER);
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
pub(crate) fn http_date(now: Micros) -> String {
    let shape = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    now.date_time().format(shape).unwrap_or_default()
}

/// The words behind a status; they mean nothing.
pub(crate) fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::{Envelope, Refusal, Shape, render};
    use expect_test::{Expect, expect};
    use trailbox_clock::Micros;
    use trailbox_exchange::RequestHead;

    fn check(shape: Shape, want: Expect) {
        let refusal = Refusal::new("test", 502, "Trailbox.UpstreamUnavailable", "a < b");
        let request = RequestHead {
            method: "GET".into(),
            target: "/b/<k>?x".into(),
            headers: [("Content-Type", "application/x-amz-json-1.0")].into_iter().collect(),
        };
        let envelope = Envelope {
            shape,
            request: Some(&request),
            request_id: "ID",
            now: Micros::from_seconds(784_111_777),
            close: false,
        };
        let answer = render(&refusal, &envelope);
        want.assert_eq(&answer.escape_ascii().to_string().replace("\\r\\n", "\n"));
    }

    #[test]
    fn s3_reads_its_own_xml() {
        check(
            Shape::S3,
            expect![[r#"
            HTTP/1.1 502 Bad Gateway
            x-amz-request-id: ID
            Content-Type: application/xml
            Content-Length: 180
            Date: Sun, 06 Nov 1994 08:49:37 GMT

            <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>Trailbox.UpstreamUnavailable</Code><Message>a &lt; b</Message><Resource>/b/&lt;k&gt;</Resource><RequestId>ID</RequestId></Error>"#]],
        );
    }

    #[test]
    fn query_and_ec2_read_theirs() {
        check(
            Shape::Query,
            expect![[r#"
                HTTP/1.1 502 Bad Gateway
                x-amzn-RequestId: ID
                Content-Type: text/xml
                Content-Length: 199
                Date: Sun, 06 Nov 1994 08:49:37 GMT

                <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ErrorResponse><Error><Type>Receiver</Type><Code>Trailbox.UpstreamUnavailable</Code><Message>a &lt; b</Message></Error><RequestId>ID</RequestId></ErrorResponse>"#]],
        );
        check(
            Shape::Ec2,
            expect![[r#"
                HTTP/1.1 502 Bad Gateway
                x-amzn-RequestId: ID
                Content-Type: text/xml
                Content-Length: 185
                Date: Sun, 06 Nov 1994 08:49:37 GMT

                <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>Trailbox.UpstreamUnavailable</Code><Message>a &lt; b</Message></Error></Errors><RequestID>ID</RequestID></Response>"#]],
        );
    }

    #[test]
    fn json_is_answered_in_the_version_asked() {
        check(
            Shape::Json,
            expect![[r#"
            HTTP/1.1 502 Bad Gateway
            x-amzn-RequestId: ID
            Content-Type: application/x-amz-json-1.0
            Content-Length: 59
            Date: Sun, 06 Nov 1994 08:49:37 GMT
            x-amzn-ErrorType: Trailbox.UpstreamUnavailable

            {\"__type\":\"Trailbox.UpstreamUnavailable\",\"message\":\"a < b\"}"#]],
        );
        check(
            Shape::RestJson,
            expect![[r#"
            HTTP/1.1 502 Bad Gateway
            x-amzn-RequestId: ID
            Content-Type: application/json
            Content-Length: 19
            Date: Sun, 06 Nov 1994 08:49:37 GMT
            x-amzn-ErrorType: Trailbox.UpstreamUnavailable

            {\"message\":\"a < b\"}"#]],
        );
    }

    #[test]
    fn cbor_is_a_map_of_two() {
        check(
            Shape::Cbor,
            expect![[r#"
            HTTP/1.1 502 Bad Gateway
            x-amzn-RequestId: ID
            Content-Type: application/cbor
            Content-Length: 53
            Date: Sun, 06 Nov 1994 08:49:37 GMT
            smithy-protocol: rpc-v2-cbor

            \xa2f__typey\x00\x1cTrailbox.UpstreamUnavailablegmessageea < b"#]],
        );
    }
}

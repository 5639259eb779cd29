//! Answers of STS in XML and JSON.

use super::StsError;
use crate::json::JSON;
use crate::request::OwnAnswer;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use trailbox_clock::Micros;
use trailbox_exchange::Headers;

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// A part of an answer. No `Debug`: it holds credentials.
pub(super) enum Node {
    Text(String),
    Time(Micros),
    Members(Vec<(&'static str, Node)>),
}

impl Node {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    fn write_xml(&self, out: &mut String) {
        match self {
            Self::Text(text) => escape(text, out),
            Self::Time(at) => out.push_str(&at.to_event_time()),
            Self::Members(members) => {
                for (name, member) in members {
                    let _ = write!(out, "<{name}>");
                    member.write_xml(out);
                    let _ = write!(out, "</{name}>");
                }
            }
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Time(at) => Value::from(at.seconds()),
            Self::Members(members) => {
                let members = members.iter();
                let named = members.map(|(name, member)| ((*name).to_owned(), member.to_json()));
                Value::Object(named.collect::<Map<_, _>>())
            }
        }
    }
}

/// The answer of `operation`.
pub(super) fn answer(
    operation: &str,
    request_id: &str,
    json: bool,
    said: Result<Node, StsError>,
) -> OwnAnswer {
    let status = said.as_ref().map_or_else(|err| err.status, |_| 200);
    let (media, body) = match (said, json) {
        (Ok(node), true) => (JSON, node.to_json().to_string()),
        (Err(err), true) => {
            (JSON, json!({ "__type": err.code, "message": err.message }).to_string())
        }
        (Ok(node), false) => ("text/xml", result(operation, request_id, &node)),
        (Err(err), false) => ("text/xml", error(request_id, &err)),
    };
    let headers: Headers =
        [("Content-Type", media.to_owned()), ("x-amzn-RequestId", request_id.to_owned())]
            .into_iter()
            .collect();
    OwnAnswer { status, headers, body: Bytes::from(body) }
}

fn result(operation: &str, request_id: &str, node: &Node) -> String {
    let mut out = format!("<{operation}Response xmlns=\"{NAMESPACE}\"><{operation}Result>");
    node.write_xml(&mut out);
    let _ = write!(out, "</{operation}Result><ResponseMetadata><RequestId>");
    escape(request_id, &mut out);
    let _ = write!(out, "</RequestId></ResponseMetadata></{operation}Response>");
    out
}

fn error(request_id: &str, err: &StsError) -> String {
    let mut out = format!("<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type>");
    let _ = write!(out, "<Code>{}</Code><Message>", err.code);
    escape(&err.message, &mut out);
    out.push_str("</Message></Error><RequestId>");
    escape(request_id, &mut out);
    out.push_str("</RequestId></ErrorResponse>");
    out
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML 1.0 has no way to write most control characters.
            c if c.is_control() && !matches!(c, '\t' | '\n' | '\r') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Node, StsError, answer};

    #[test]
    fn an_error_text_cannot_break_out_of_its_element() {
        let err = StsError::refused(400, "ValidationError", "</Message>&\u{1}");
        let said = answer("AssumeRole", "id", false, Err(err));
        let body = String::from_utf8(said.body.to_vec()).unwrap();
        assert!(body.contains("<Message>&lt;/Message&gt;&amp;\u{fffd}</Message>"), "{body}");
    }

    #[test]
    fn a_client_that_asks_in_json_is_answered_in_json() {
        let node = Node::Members(vec![("Account", Node::text("1"))]);
        let said = answer("GetCallerIdentity", "id", true, Ok(node));
        assert_eq!(&said.body[..], br#"{"Account":"1"}"#);
        assert_eq!(said.headers.get("content-type"), Some("application/json"));
    }
}

//! Foreign bytes to values: requests, answers and errors of every protocol.
//!
//! Every decoder ends in a [`Tree`] whose structures and members are those of
//! the service model; what the model does not know is kept beside them under
//! its wire name. Every decoder is capped in size and depth, and none of them
//! repeats a value of the body in its error.

mod cbor;
mod error;
mod form;
mod markup;
mod query;
mod rest;
#[cfg(test)]
mod tests;
mod transfer;
mod tree;
mod typed;
mod xml;

pub use error::{WireError, decode_error};
pub use form::FormNode;
pub use query::{is_envelope, query_member};
pub use transfer::{inflate_capped, plain_body, unchunk_aws};
pub use tree::{Timestamp, Tree};
pub use xml::{Element, parse as parse_xml};

use crate::model::{Protocol, Service, ShapeId, ShapeKind};
use crate::route::Route;
use trailbox_exchange::{Headers, RequestHead, ResponseHead};

/// Why bytes could not be decoded. Names places and rules, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not one JSON document, or nested deeper than 128.
    #[error("the body is not JSON at line {line}, column {column}")]
    Json {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// Not XML, or XML we refuse to read.
    #[error("the body is not the XML we read: {rule}, at byte {offset}")]
    Xml {
        /// Byte of the body.
        offset: usize,
        /// What must hold there.
        rule: &'static str,
    },
    /// Not CBOR.
    #[error("the body is not CBOR: {rule}, at byte {offset}")]
    Cbor {
        /// Byte of the body.
        offset: usize,
        /// What is wrong there.
        rule: &'static str,
    },
    /// Form fields beyond the caps.
    #[error("the form is beyond what we read: {rule}")]
    Form {
        /// The cap.
        rule: &'static str,
    },
    /// Compressed or chunked bytes that are not what they claim.
    #[error("the body is not {encoding}: {rule}")]
    Transfer {
        /// `gzip` or `aws-chunked`.
        encoding: &'static str,
        /// What must hold.
        rule: &'static str,
    },
    /// A document of the wrong kind.
    #[error("the body is not {0}")]
    Kind(&'static str),
}

/// The call's parameters: a structure of the operation's input shape, or
/// nothing when the operation is unknown or takes no input.
///
/// `body` is the request's body as it travelled: `aws-chunked` and gzip are
/// undone here. Streamed payloads are not decoded.
///
/// # Errors
///
/// When the body is not what the protocol says.
pub fn decode_request(
    route: &Route,
    head: &RequestHead,
    body: &[u8],
) -> Result<Option<Tree>, DecodeError> {
    let (Some(service), Some(operation)) = (route.service.as_deref(), route.op()) else {
        return Ok(None);
    };
    let Some(input) = operation.input else { return Ok(None) };
    let body = if operation.streaming_input || has_events(service, input) {
        (&b""[..]).into()
    } else {
        plain_body(&head.headers, body)?
    };
    match route.protocol {
        Protocol::Query | Protocol::Ec2 => {
            let text = if body.is_empty() { head.query().as_bytes() } else { &body };
            let form = FormNode::parse(text)?;
            Ok(Some(query::decode(service, input, &form, route.protocol == Protocol::Ec2)))
        }
        Protocol::Json | Protocol::Cbor => document(service, input, &head.headers, &body).map(Some),
        Protocol::RestJson | Protocol::RestXml => {
            rest::request(service, input, route, head, &body).map(Some)
        }
    }
}

/// The answer's members: a structure of the operation's output shape, or
/// nothing when the table has none (read-only operations).
///
/// # Errors
///
/// When the body is not what the protocol says.
pub fn decode_response(
    route: &Route,
    head: &ResponseHead,
    body: &[u8],
) -> Result<Option<Tree>, DecodeError> {
    let (Some(service), Some(operation)) = (route.service.as_deref(), route.op()) else {
        return Ok(None);
    };
    let Some(output) = operation.output.filter(|output| !has_events(service, *output)) else {
        return Ok(None);
    };
    let body = if operation.streaming_output {
        (&b""[..]).into()
    } else {
        plain_body(&head.headers, body)?
    };
    match route.protocol {
        Protocol::RestJson | Protocol::RestXml => {
            rest::response(service, output, head, &body).map(Some)
        }
        Protocol::Json | Protocol::Cbor | Protocol::Query | Protocol::Ec2
            if looks_like_xml(&body) =>
        {
            let root = xml::parse(&body)?;
            let wrapper = operation.result_wrapper.as_deref();
            let Some(holder) = wrapper.map_or(Some(&root), |name| root.child(name)) else {
                return Ok(Some(Tree::Structure(output, Vec::new(), Vec::new())));
            };
            Ok(Some(markup::structure(service, output, holder)))
        }
        Protocol::Json | Protocol::Cbor | Protocol::Query | Protocol::Ec2 => {
            document(service, output, &head.headers, &body).map(Some)
        }
    }
}

/// Whether the body is a stream of events, which no record shows.
fn has_events(service: &Service, shape: ShapeId) -> bool {
    service.members(shape).iter().any(|member| {
        let kind = service.shape(member.shape).map(|shape| &shape.kind);
        matches!(kind, Some(ShapeKind::Structure { event_stream: true, .. }))
    })
}

fn looks_like_xml(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'<')
}

/// A body that is one JSON or CBOR document of that structure.
fn document(
    service: &Service,
    shape: ShapeId,
    headers: &Headers,
    body: &[u8],
) -> Result<Tree, DecodeError> {
    if body.trim_ascii().is_empty() {
        return Ok(Tree::Structure(shape, Vec::new(), Vec::new()));
    }
    let says_cbor = headers.get("content-type").is_some_and(|kind| kind.contains("cbor"))
        || headers.get("smithy-protocol").is_some_and(|kind| kind.contains("cbor"));
    let untyped = if says_cbor { cbor::decode(body)? } else { Tree::from_json(body)? };
    let wants_structure =
        matches!(service.shape(shape).map(|s| &s.kind), Some(ShapeKind::Structure { .. }));
    if wants_structure && untyped == Tree::Null {
        return Ok(Tree::Structure(shape, Vec::new(), Vec::new()));
    }
    if wants_structure && !matches!(untyped, Tree::Map(_)) {
        return Err(DecodeError::Kind("an object"));
    }
    Ok(typed::typed(service, shape, untyped))
}

/// Names beyond which a repeated one is no longer gathered: a document of
/// nothing but strange names must not cost the square of its length.
const GATHERED_MAX: usize = 500;

/// Adds what the model does not know; a repeated name becomes a list.
fn push_unknown(unknown: &mut Vec<(String, Tree)>, name: &str, value: Tree) {
    let held = if unknown.len() < GATHERED_MAX {
        unknown.iter_mut().find(|(held, _)| held == name)
    } else {
        None
    };
    match held {
        Some((_, Tree::List(elements))) => elements.push(value),
        Some((_, held)) => {
            let first = std::mem::replace(held, Tree::Null);
            *held = Tree::List(vec![first, value]);
        }
        None => unknown.push((name.to_owned(), value)),
    }
}

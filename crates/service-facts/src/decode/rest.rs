//! REST bindings: labels, query, header fields, payload.

use super::tree::Tree;
use super::typed::scalar;
use super::{DecodeError, document, looks_like_xml, markup, push_unknown, xml};
use crate::model::{Location, Member, Service, ShapeId, ShapeKind};
use crate::route::Route;
use std::borrow::Cow;
use trailbox_exchange::{Headers, RequestHead, ResponseHead};

/// Header members that speak of the body's form, not of the call.
const FORM_HEADERS: [&str; 4] = ["content-type", "accept", "content-encoding", "content-length"];

/// The parameters of a REST call.
pub(super) fn request(
    service: &Service,
    input: ShapeId,
    route: &Route,
    head: &RequestHead,
    body: &[u8],
) -> Result<Tree, DecodeError> {
    let pairs = head.query_pairs();
    let mut known = Vec::new();
    for (at, member) in indexed(service, input) {
        let value = match member.location {
            Some(Location::Uri) => route
                .labels
                .iter()
                .find(|(name, _)| name == member.wire())
                .map(|(_, text)| leaf(service, member.shape, text)),
            Some(Location::Query) => from_query(service, input, member, &pairs),
            Some(Location::Header | Location::Headers) => {
                from_headers(service, member, &head.headers)
            }
            Some(Location::Status) | None => None,
        };
        known.extend(value.map(|value| (at, value)));
    }
    finish(service, input, known, &head.headers, body)
}

/// The members of a REST answer.
pub(super) fn response(
    service: &Service,
    output: ShapeId,
    head: &ResponseHead,
    body: &[u8],
) -> Result<Tree, DecodeError> {
    let mut known = Vec::new();
    for (at, member) in indexed(service, output) {
        if matches!(member.location, Some(Location::Header | Location::Headers)) {
            let value = from_headers(service, member, &head.headers);
            known.extend(value.map(|value| (at, value)));
        }
    }
    finish(service, output, known, &head.headers, body)
}

fn indexed(service: &Service, shape: ShapeId) -> impl Iterator<Item = (u32, &Member)> {
    (0_u32..).zip(service.members(shape))
}

/// Adds what the body holds: the payload member, or every member without a
/// place of its own.
fn finish(
    service: &Service,
    shape: ShapeId,
    mut known: Vec<(u32, Tree)>,
    headers: &Headers,
    body: &[u8],
) -> Result<Tree, DecodeError> {
    let payload = match service.shape(shape).map(|shape| &shape.kind) {
        Some(ShapeKind::Structure { payload: Some(name), .. }) => {
            indexed(service, shape).find(|(_, member)| member.name == *name)
        }
        _ => None,
    };
    let mut unknown = Vec::new();
    if let Some((at, member)) = payload {
        known.extend(from_payload(service, member, headers, body)?.map(|value| (at, value)));
    } else {
        let decoded = if looks_like_xml(body) {
            markup::structure(service, shape, &xml::parse(body)?)
        } else {
            document(service, shape, headers, body)?
        };
        if let Tree::Structure(_, members, rest) = decoded {
            known.extend(members);
            for (name, value) in rest {
                push_unknown(&mut unknown, &name, value);
            }
        }
    }
    Ok(Tree::Structure(shape, known, unknown))
}

fn from_payload(
    service: &Service,
    member: &Member,
    headers: &Headers,
    body: &[u8],
) -> Result<Option<Tree>, DecodeError> {
    if body.is_empty() || member.streaming {
        return Ok(None);
    }
    match service.shape(member.shape).map(|shape| &shape.kind) {
        Some(ShapeKind::Blob { .. }) | None => Ok(None),
        Some(ShapeKind::String) => Ok(Some(Tree::Text(String::from_utf8_lossy(body).into_owned()))),
        Some(_) if looks_like_xml(body) => {
            Ok(Some(markup::value(service, member.shape, &xml::parse(body)?)))
        }
        Some(_) => document(service, member.shape, headers, body).map(Some),
    }
}

fn from_query(
    service: &Service,
    input: ShapeId,
    member: &Member,
    pairs: &[(Cow<'_, str>, Cow<'_, str>)],
) -> Option<Tree> {
    let mut values = pairs.iter().filter(|(name, _)| name == member.wire()).map(|(_, v)| v);
    let kind = service.shape(member.shape).map(|shape| &shape.kind);
    match kind {
        Some(ShapeKind::List { member: element, .. }) => {
            let elements: Vec<Tree> = values.map(|v| leaf(service, *element, v)).collect();
            (!elements.is_empty()).then_some(Tree::List(elements))
        }
        Some(ShapeKind::Map { .. }) => {
            let bound = |name: &str| service.members(input).iter().any(|m| m.wire() == name);
            let free: Vec<(String, Tree)> = pairs
                .iter()
                .filter(|(name, _)| !bound(name) && !super::query::is_envelope(name))
                .map(|(name, value)| (name.to_string(), Tree::Text(value.to_string())))
                .collect();
            (!free.is_empty()).then_some(Tree::Map(free))
        }
        _ => values.next().map(|value| leaf(service, member.shape, value)),
    }
}

fn from_headers(service: &Service, member: &Member, headers: &Headers) -> Option<Tree> {
    if member.location == Some(Location::Headers) {
        let prefix = member.wire();
        let free: Vec<(String, Tree)> = headers
            .iter()
            .filter_map(|(name, value)| {
                let name = std::str::from_utf8(name).ok()?;
                let head = name.get(..prefix.len())?;
                let value = std::str::from_utf8(value).ok()?;
                (!prefix.is_empty() && head.eq_ignore_ascii_case(prefix))
                    .then(|| (name[prefix.len()..].to_owned(), Tree::Text(value.to_owned())))
            })
            .collect();
        return (!free.is_empty()).then_some(Tree::Map(free));
    }
    if FORM_HEADERS.iter().any(|name| name.eq_ignore_ascii_case(member.wire())) {
        return None;
    }
    let text = headers.get(member.wire())?;
    let kind = service.shape(member.shape).map(|shape| &shape.kind);
    if let Some(ShapeKind::List { member: element, .. }) = kind {
        let elements = text.split(',').map(|part| leaf(service, *element, part.trim()));
        return Some(Tree::List(elements.collect()));
    }
    Some(leaf(service, member.shape, text))
}

fn leaf(service: &Service, shape: ShapeId, text: &str) -> Tree {
    match service.shape(shape) {
        Some(shape) => scalar(&shape.kind, text),
        None => Tree::Text(text.to_owned()),
    }
}

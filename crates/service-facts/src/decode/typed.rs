//! JSON and CBOR values, given the types of the model.

use super::tree::{Timestamp, Tree};
use crate::model::{Member, Service, ShapeId, ShapeKind};
use base64::Engine as _;

/// Gives `value` the type `shape`; what does not fit stays as it is.
pub(super) fn typed(service: &Service, shape: ShapeId, value: Tree) -> Tree {
    let Some(kind) = service.shape(shape).map(|shape| &shape.kind) else { return value };
    match (kind, value) {
        (ShapeKind::Structure { members, .. }, Tree::Map(entries)) => {
            structure(service, shape, members, entries)
        }
        (ShapeKind::List { member, .. }, Tree::List(elements)) => {
            Tree::List(elements.into_iter().map(|e| typed(service, *member, e)).collect())
        }
        (ShapeKind::Map { value: of, .. }, Tree::Map(entries)) => {
            Tree::Map(entries.into_iter().map(|(k, v)| (k, typed(service, *of, v))).collect())
        }
        (ShapeKind::Timestamp(_), value) => moment(value),
        (ShapeKind::Blob { .. }, Tree::Text(text)) => blob(text),
        (_, value) => value,
    }
}

fn structure(
    service: &Service,
    shape: ShapeId,
    members: &[Member],
    entries: Vec<(String, Tree)>,
) -> Tree {
    let mut known = Vec::with_capacity(entries.len());
    let mut unknown = Vec::new();
    for (name, value) in entries {
        if value == Tree::Null || name == "__type" {
            continue;
        }
        let in_body = |member: &&Member| member.location.is_none();
        let at = members
            .iter()
            .position(|member| member.wire() == name && in_body(&member))
            .or_else(|| members.iter().position(|member| member.name == name && in_body(&member)));
        match at.and_then(|at| Some((u32::try_from(at).ok()?, &members[at]))) {
            Some((at, member)) => known.push((at, typed(service, member.shape, value))),
            None => unknown.push((name, value)),
        }
    }
    Tree::Structure(shape, known, unknown)
}

#[allow(clippy::cast_precision_loss, reason = "seconds since 1970 fit a double")]
fn moment(value: Tree) -> Tree {
    if let Tree::Int(seconds) = value {
        return Tree::Time(Timestamp::from_seconds(seconds as f64));
    }
    if let Tree::Float(seconds) = value {
        return Tree::Time(Timestamp::from_seconds(seconds));
    }
    if let Tree::Text(text) = &value {
        return Tree::Time(Timestamp::parse(text));
    }
    value
}

/// Base64 text as bytes; text that is not base64 stays text.
pub(super) fn blob(text: String) -> Tree {
    match base64::engine::general_purpose::STANDARD.decode(text.as_bytes()) {
        Ok(bytes) => Tree::Blob(bytes.into()),
        Err(_) => Tree::Text(text),
    }
}

/// A text of the wire, read as the scalar that `kind` says.
pub(super) fn scalar(kind: &ShapeKind, text: &str) -> Tree {
    let owned = || Tree::Text(text.to_owned());
    match kind {
        ShapeKind::Integer | ShapeKind::Long => {
            text.trim().parse().map_or_else(|_| owned(), Tree::Int)
        }
        ShapeKind::Float | ShapeKind::Double => match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => Tree::Float(number),
            _ => owned(),
        },
        ShapeKind::Boolean => match text.trim() {
            "true" | "True" | "TRUE" => Tree::Bool(true),
            "false" | "False" | "FALSE" => Tree::Bool(false),
            _ => owned(),
        },
        ShapeKind::Timestamp(_) => Tree::Time(Timestamp::parse(text)),
        ShapeKind::Blob { .. } => blob(text.to_owned()),
        ShapeKind::String
        | ShapeKind::Character
        | ShapeKind::Document
        | ShapeKind::List { .. }
        | ShapeKind::Map { .. }
        | ShapeKind::Structure { .. } => owned(),
    }
}

//! XML elements, given the types of the model.

use super::push_unknown;
use super::tree::Tree;
use super::typed::scalar;
use super::xml::Element;
use crate::model::{Member, Service, ShapeId, ShapeKind};

/// The members of `shape` that stand within `element`.
pub(super) fn structure(service: &Service, shape: ShapeId, element: &Element) -> Tree {
    let members = service.members(shape);
    let mut known: Vec<(u32, Tree)> = Vec::new();
    let mut unknown = Vec::new();
    for child in &element.children {
        let at = members.iter().position(|member| named(service, member, child.local()));
        match at.and_then(|at| Some((u32::try_from(at).ok()?, &members[at]))) {
            Some((at, member)) => add(service, &mut known, at, member, child),
            None if child.local() == "ResponseMetadata" => {}
            None => push_unknown(&mut unknown, child.local(), child.to_tree()),
        }
    }
    for (at, member) in members.iter().enumerate().filter(|(_, member)| member.xml_attribute) {
        let value = element.attributes.iter().find(|(name, _)| name == member.wire());
        if let (Some((_, text)), Ok(at)) = (value, u32::try_from(at)) {
            known.push((at, Tree::Text(text.clone())));
        }
    }
    Tree::Structure(shape, known, unknown)
}

/// Gives `element` the type `shape`.
pub(super) fn value(service: &Service, shape: ShapeId, element: &Element) -> Tree {
    match service.shape(shape).map(|shape| &shape.kind) {
        Some(ShapeKind::Structure { .. }) => structure(service, shape, element),
        Some(ShapeKind::List { member, .. }) => {
            Tree::List(element.children.iter().map(|e| value(service, *member, e)).collect())
        }
        Some(kind @ ShapeKind::Map { .. }) => {
            Tree::Map(element.children.iter().filter_map(|e| entry(service, kind, e)).collect())
        }
        Some(kind) => scalar(kind, &element.text),
        None => element.to_tree(),
    }
}

fn named(service: &Service, member: &Member, name: &str) -> bool {
    if member.location.is_some() || member.xml_attribute {
        return false;
    }
    let kind = service.shape(member.shape).map(|shape| &shape.kind);
    match kind {
        Some(ShapeKind::List { member_name: Some(flat_name), flattened, .. })
            if member.wire_name.is_none() && (*flattened || member.flattened) =>
        {
            flat_name == name
        }
        _ => member.wire() == name,
    }
}

/// Adds a child; elements of a flattened list or map gather under one member.
fn add(service: &Service, known: &mut Vec<(u32, Tree)>, at: u32, member: &Member, child: &Element) {
    let kind = service.shape(member.shape).map(|shape| &shape.kind);
    let held = known.iter().position(|(held, _)| *held == at);
    match kind {
        Some(ShapeKind::List { member: of, flattened, .. }) if *flattened || member.flattened => {
            let element = value(service, *of, child);
            match held.map(|held| &mut known[held].1) {
                Some(Tree::List(elements)) => elements.push(element),
                _ => known.push((at, Tree::List(vec![element]))),
            }
        }
        Some(kind @ ShapeKind::Map { flattened, .. }) if *flattened || member.flattened => {
            let entry = entry(service, kind, child);
            match held.map(|held| &mut known[held].1) {
                Some(Tree::Map(entries)) => entries.extend(entry),
                _ => known.push((at, Tree::Map(entry.into_iter().collect()))),
            }
        }
        _ => known.push((at, value(service, member.shape, child))),
    }
}

fn entry(service: &Service, kind: &ShapeKind, element: &Element) -> Option<(String, Tree)> {
    let ShapeKind::Map { value: of, key_name, value_name, .. } = kind else { return None };
    let key = element.child(key_name.as_deref().unwrap_or("key"))?;
    let held = element.child(value_name.as_deref().unwrap_or("value"));
    let held = held.map_or(Tree::Null, |held| value(service, *of, held));
    Some((key.text.clone(), held))
}

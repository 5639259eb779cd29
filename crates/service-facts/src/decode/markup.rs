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
    let mut places: Vec<Option<usize>> = vec![None; members.len()];
    let mut unknown = Vec::new();
    for child in &element.children {
        let at = members.iter().position(|member| named(service, member, child.local()));
        match at.and_then(|at| Some((at, u32::try_from(at).ok()?))) {
            Some((at, id)) => {
                let place = *places[at].get_or_insert_with(|| {
                    known.push((id, Tree::Null));
                    known.len() - 1
                });
                add(service, &mut known[place].1, &members[at], child);
            }
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

/// Puts a child in its place; elements of a flattened list or map gather
/// there, of any other member the last one counts.
fn add(service: &Service, place: &mut Tree, member: &Member, child: &Element) {
    match service.shape(member.shape).map(|shape| &shape.kind) {
        Some(ShapeKind::List { member: of, flattened, .. }) if *flattened || member.flattened => {
            let element = value(service, *of, child);
            if let Tree::List(elements) = place {
                elements.push(element);
            } else {
                *place = Tree::List(vec![element]);
            }
        }
        Some(kind @ ShapeKind::Map { flattened, .. }) if *flattened || member.flattened => {
            let entry = entry(service, kind, child);
            if let Tree::Map(entries) = place {
                entries.extend(entry);
            } else {
                *place = Tree::Map(entry.into_iter().collect());
            }
        }
        _ => *place = value(service, member.shape, child),
    }
}

fn entry(service: &Service, kind: &ShapeKind, element: &Element) -> Option<(String, Tree)> {
    let ShapeKind::Map { value: of, key_name, value_name, .. } = kind else { return None };
    let key = element.child(key_name.as_deref().unwrap_or("key"))?;
    let held = element.child(value_name.as_deref().unwrap_or("value"));
    let held = held.map_or(Tree::Null, |held| value(service, *of, held));
    Some((key.text.clone(), held))
}

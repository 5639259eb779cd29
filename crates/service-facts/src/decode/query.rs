//! Form fields of query and EC2, given the types of the model.

use super::form::FormNode;
use super::tree::Tree;
use super::typed::scalar;
use crate::model::{Member, Service, Shape, ShapeId, ShapeKind};

/// Fields that speak of the call, not of its parameters.
const ENVELOPE: [&str; 9] = [
    "Action",
    "Version",
    "AWSAccessKeyId",
    "ContentType",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureVersion",
    "Timestamp",
];

/// Whether a field of that name belongs to no operation's parameters.
#[must_use]
pub fn is_envelope(name: &str) -> bool {
    ENVELOPE.contains(&name)
        || name.get(..6).is_some_and(|head| head.eq_ignore_ascii_case("X-Amz-"))
}

/// The parameters of a call: a structure of shape `input`.
pub(super) fn decode(service: &Service, input: ShapeId, form: &FormNode, ec2: bool) -> Tree {
    let query = Query { service, ec2 };
    let (known, mut unknown) = query.members(input, form);
    unknown.retain(|(name, _)| !is_envelope(name));
    Tree::Structure(input, known, unknown)
}

/// The member of `shape` to which fields of that name belong.
#[must_use]
pub fn query_member<'a>(
    service: &'a Service,
    shape: ShapeId,
    name: &str,
    ec2: bool,
) -> Option<&'a Member> {
    let query = Query { service, ec2 };
    service.members(shape).iter().find(|member| query.named(member, name))
}

/// Members by index, and what the model does not know by name.
type Members = (Vec<(u32, Tree)>, Vec<(String, Tree)>);

#[derive(Clone, Copy)]
struct Query<'a> {
    service: &'a Service,
    ec2: bool,
}

impl<'a> Query<'a> {
    fn kind(self, shape: ShapeId) -> Option<&'a ShapeKind> {
        self.service.shape(shape).map(|shape| &shape.kind)
    }

    fn value(self, shape: ShapeId, flattened: bool, node: &FormNode) -> Tree {
        match self.kind(shape) {
            Some(ShapeKind::Structure { .. }) => self.structure(shape, node),
            Some(ShapeKind::List { member, member_name, flattened: flat }) => {
                let flat = self.ec2 || flattened || *flat;
                self.list(*member, member_name.as_deref().unwrap_or("member"), flat, node)
            }
            Some(ShapeKind::Map { key_name, value, value_name, flattened: flat, .. }) => {
                let names = (
                    key_name.as_deref().unwrap_or("key"),
                    value_name.as_deref().unwrap_or("value"),
                );
                self.map(*value, names, flattened || *flat, node)
            }
            Some(kind) => node.value.as_deref().map_or_else(|| untyped(node), |v| scalar(kind, v)),
            None => untyped(node),
        }
    }

    fn structure(self, shape: ShapeId, node: &FormNode) -> Tree {
        let (known, unknown) = self.members(shape, node);
        Tree::Structure(shape, known, unknown)
    }

    fn members(self, shape: ShapeId, node: &FormNode) -> Members {
        let members = self.service.members(shape);
        let mut known = Vec::new();
        let mut unknown = Vec::new();
        for (name, child) in &node.children {
            let at = members.iter().position(|member| self.named(member, name));
            match at.and_then(|at| Some((u32::try_from(at).ok()?, &members[at]))) {
                Some((at, member)) => {
                    known.push((at, self.value(member.shape, member.flattened, child)));
                }
                None => unknown.push((name.clone(), untyped(child))),
            }
        }
        (known, unknown)
    }

    /// Whether fields of `name` belong to `member`.
    fn named(self, member: &Member, name: &str) -> bool {
        if self.ec2 {
            return match (&member.query_name, &member.wire_name) {
                (Some(query), _) => query == name,
                (None, Some(wire)) => upper_first_eq(wire, name),
                (None, None) => member.name == name,
            };
        }
        let flat = match self.service.shape(member.shape) {
            Some(Shape { kind: ShapeKind::List { member_name, flattened, .. }, .. })
                if *flattened || member.flattened =>
            {
                member_name.as_deref()
            }
            _ => None,
        };
        flat.unwrap_or_else(|| member.wire()) == name
    }

    fn list(self, element: ShapeId, name: &str, flat: bool, node: &FormNode) -> Tree {
        let holder = if flat { node } else { node.child(name).unwrap_or(node) };
        let elements = holder.numbered();
        Tree::List(
            elements.into_iter().map(|(_, child)| self.value(element, false, child)).collect(),
        )
    }

    fn map(self, value: ShapeId, names: (&str, &str), flat: bool, node: &FormNode) -> Tree {
        let holder = if flat { node } else { node.child("entry").unwrap_or(node) };
        let entry = |child: &FormNode| {
            let key = child.field(names.0)?.to_owned();
            let value = child.child(names.1).map(|child| self.value(value, false, child));
            Some((key, value.unwrap_or(Tree::Null)))
        };
        Tree::Map(holder.numbered().into_iter().filter_map(|(_, child)| entry(child)).collect())
    }
}

/// Whether `wire` with its first letter raised is `name`.
fn upper_first_eq(wire: &str, name: &str) -> bool {
    let mut letters = wire.chars();
    match (letters.next(), name.strip_prefix(|_: char| true)) {
        (Some(first), Some(rest)) => {
            letters.as_str() == rest && name.chars().next() == first.to_uppercase().next()
        }
        _ => false,
    }
}

/// Fields without a model: text, or names below names.
fn untyped(node: &FormNode) -> Tree {
    if node.children.is_empty() {
        return Tree::Text(node.value.clone().unwrap_or_default());
    }
    Tree::Map(node.children.iter().map(|(name, child)| (name.clone(), untyped(child))).collect())
}

//! EC2 records, which have two forms.
//!
//! Operations of 2014 and before are written as their SOAP request of that
//! time ("legacy"); every newer one as the query string and the XML answer
//! turned into JSON ("wrapped"). Source: spec/gateway.md 3.7.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "of a tree or a shape only one kind is wanted; all others are one case"
)]

use crate::orgjson::{self, Censor, coerce};
use crate::render::{Renderer, lower_first, redacted, scalar, write_moment};
use crate::secrets;
use serde_json::{Map, Value, json};
use trailbox_service_facts::decode::{Element, FormNode, Tree, query_member};
use trailbox_service_facts::tables::{Ec2Tables, TimestampStyle, Verb};
use trailbox_service_facts::{Member, ShapeId, ShapeKind};

/// Lists of old answers whose elements stand in `item`, as in all five raw
/// records that have one; every other list says `items`.
const SINGULAR_ANSWERS: [&str; 1] = ["privateIpAddressesSet"];

/// `requestParameters` of a newer operation.
pub(crate) fn wrapped_request(
    renderer: Renderer<'_>,
    input: Option<ShapeId>,
    form: &FormNode,
) -> Value {
    let mut object = Map::new();
    let wrapped = Wrapped { renderer, shape: input };
    for (name, node) in &form.children {
        if !trailbox_service_facts::decode::is_envelope(name) {
            wrapped.field(&mut object, name, node);
        }
    }
    let inner = if object.is_empty() { Value::from("") } else { Value::Object(object) };
    let mut outer = Map::new();
    outer.insert(format!("{}Request", renderer.operation), inner);
    Value::Object(outer)
}

/// `responseElements` of a newer operation.
pub(crate) fn wrapped_response(
    renderer: Renderer<'_>,
    output: Option<ShapeId>,
    root: &Element,
) -> Value {
    let mut outer = Map::new();
    let inner = orgjson::value(root, Wrapped { renderer, shape: output });
    outer.insert(format!("{}Response", renderer.operation), inner);
    Value::Object(outer)
}

/// What becomes of a value.
#[derive(Debug, Clone, PartialEq)]
enum Fate {
    Shown,
    Dropped,
    Replaced(Value),
}

/// The fate of a member: what its verb says, else whether its name tells a secret.
fn fate(verb: Option<Verb>, name: &str) -> Fate {
    match verb {
        Some(Verb::Keep) => Fate::Shown,
        Some(verb) => redacted(verb, &Tree::Null).map_or(Fate::Dropped, Fate::Replaced),
        None if secrets::names_a_secret(name) => Fate::Replaced(Value::from(secrets::HIDDEN)),
        None => Fate::Shown,
    }
}

/// A place in the wrapped form, with the shape that the model has there.
#[derive(Debug, Clone, Copy)]
struct Wrapped<'a> {
    renderer: Renderer<'a>,
    shape: Option<ShapeId>,
}

impl<'a> Wrapped<'a> {
    fn kind(self) -> Option<&'a ShapeKind> {
        self.renderer.service.shape(self.shape?).map(|shape| &shape.kind)
    }

    fn at(self, shape: Option<ShapeId>) -> Self {
        Self { shape, ..self }
    }

    /// The place of the elements, when this is the place of a list.
    fn element(self) -> Self {
        match self.kind() {
            Some(ShapeKind::List { member, .. }) => self.at(Some(*member)),
            _ => self,
        }
    }

    fn fate(self, member: Option<&Member>, name: &str) -> Fate {
        let holder = self.shape.and_then(|shape| self.renderer.service.shape(shape));
        let holder = holder.map_or("", |shape| &shape.name);
        fate(member.and_then(|member| self.renderer.verb(holder, member)), name)
    }

    fn field(self, object: &mut Map<String, Value>, name: &str, node: &FormNode) {
        let member = self.shape.and_then(|s| query_member(self.renderer.service, s, name, true));
        let value = match self.fate(member, name) {
            Fate::Replaced(value) => value,
            Fate::Dropped => return,
            Fate::Shown => self.at(member.map(|member| member.shape)).node(node),
        };
        object.insert(name.to_owned(), value);
    }

    fn node(self, node: &FormNode) -> Value {
        if node.children.is_empty() {
            return coerce(node.value.as_deref().unwrap_or_default());
        }
        let numbered = node.numbered();
        if numbered.len() < node.children.len() {
            let mut object = Map::new();
            for (name, child) in &node.children {
                self.field(&mut object, name, child);
            }
            return Value::Object(object);
        }
        let mut elements: Vec<Value> =
            numbered.into_iter().map(|(number, child)| self.tagged(number, child)).collect();
        if elements.len() == 1 { elements.swap_remove(0) } else { Value::Array(elements) }
    }

    /// One element of a list: its number beside its content or its members.
    fn tagged(self, number: u64, node: &FormNode) -> Value {
        let mut object = Map::new();
        object.insert("tag".to_owned(), Value::from(number));
        if let Some(text) = &node.value {
            object.insert("content".to_owned(), coerce(text));
        }
        let place = self.element();
        for (name, child) in &node.children {
            place.field(&mut object, name, child);
        }
        Value::Object(object)
    }

    fn child(self, element: &Element) -> Option<&'a Member> {
        let members = self.renderer.service.members(self.shape?);
        members.iter().find(|member| member.wire() == element.local())
    }
}

impl Censor for Wrapped<'_> {
    fn replace(self, element: &Element) -> Option<Value> {
        match self.fate(self.child(element), element.local()) {
            Fate::Shown => None,
            Fate::Dropped => Some(Value::from("")),
            Fate::Replaced(value) => Some(value),
        }
    }

    fn within(self, element: &Element) -> Self {
        if element.local() == "item" {
            self.element()
        } else {
            self.at(self.child(element).map(|member| member.shape))
        }
    }
}

/// `requestParameters` of an old operation.
pub(crate) fn legacy_request(renderer: Renderer<'_>, tables: &Ec2Tables, tree: &Tree) -> Value {
    let operation = renderer.operation;
    let legacy = Legacy { renderer, tables };
    let mut object = match tree {
        Tree::Structure(shape, known, unknown) => legacy.request(*shape, known, unknown),
        _ => Map::new(),
    };
    let empty = tables.lists(operation).iter().chain(tables.always(operation));
    for name in empty.filter(|name| !object.contains_key(*name)).collect::<Vec<_>>() {
        object.insert(name.clone(), json!({}));
    }
    for (name, value) in tables.defaults(operation) {
        if !object.contains_key(name) {
            object.insert(name.clone(), value.clone());
        }
    }
    if operation == "RunInstances" {
        hoist(&mut object, "placement");
    }
    if let Some(row) = tables.moved(operation) {
        let mut element = Map::new();
        for name in &row.names {
            if let Some(value) = object.shift_remove(name) {
                element.insert(name.clone(), value);
            }
        }
        object.insert(row.set.clone(), json!({ "items": [element] }));
    }
    Value::Object(object)
}

/// Lifts what is within `name` to the top: `RunInstances` shows
/// `availabilityZone` and `tenancy` there, without their `placement`.
fn hoist(object: &mut Map<String, Value>, name: &str) {
    if let Some(Value::Object(inner)) = object.shift_remove(name) {
        object.extend(inner);
    }
}

/// `responseElements` of an old operation.
pub(crate) fn legacy_response(renderer: Renderer<'_>, tables: &Ec2Tables, tree: &Tree) -> Value {
    let legacy = Legacy { renderer, tables };
    match tree {
        Tree::Structure(shape, known, unknown) => {
            Value::Object(legacy.answer(*shape, known, unknown))
        }
        // An answer without a model: `return` and the request id.
        Tree::Map(_) => unmodelled("", tree),
        _ => Value::Null,
    }
}

#[derive(Debug, Clone, Copy)]
struct Legacy<'a> {
    renderer: Renderer<'a>,
    tables: &'a Ec2Tables,
}

impl Legacy<'_> {
    fn holder(&self, shape: ShapeId) -> &str {
        self.renderer.service.shape(shape).map_or("", |shape| &shape.name)
    }

    fn request(
        &self,
        shape: ShapeId,
        known: &[(u32, Tree)],
        unknown: &[(String, Tree)],
    ) -> Map<String, Value> {
        let operation = self.renderer.operation;
        let holder = self.holder(shape);
        let members = self.renderer.service.members(shape);
        let mut object = Map::new();
        for (at, value) in known {
            let Some(member) = members.get(*at as usize) else { continue };
            if self.tables.dropped(operation, &member.name) {
                continue;
            }
            let renamed = self.tables.rename(operation, holder, &member.name).map(str::to_owned);
            let name = renamed.unwrap_or_else(|| lower_first(member.wire()));
            let value = match fate(self.renderer.verb(holder, member), &member.name) {
                Fate::Replaced(value) => value,
                Fate::Dropped => continue,
                Fate::Shown => self.request_value(member.shape, value, &name),
            };
            let text = self.tables.text(operation, &name);
            object.insert(name, if text { as_text(value) } else { value });
        }
        for name in self.tables.always(holder) {
            if !object.contains_key(name) {
                object.insert(name.clone(), json!({}));
            }
        }
        for (name, value) in unknown {
            object.insert(lower_first(name), unmodelled(name, value));
        }
        object
    }

    fn request_value(&self, shape: ShapeId, value: &Tree, name: &str) -> Value {
        match value {
            Tree::List(elements) if elements.is_empty() => json!({}),
            Tree::List(elements) => self.request_list(shape, elements, name),
            Tree::Structure(shape, known, unknown) => {
                Value::Object(self.request(*shape, known, unknown))
            }
            other => leaf(other),
        }
    }

    fn request_list(&self, shape: ShapeId, elements: &[Tree], name: &str) -> Value {
        let (element_shape, element_name) =
            match self.renderer.service.shape(shape).map(|shape| &shape.kind) {
                Some(ShapeKind::List { member, member_name, .. }) => {
                    (*member, member_name.as_deref())
                }
                _ => (shape, None),
            };
        let key = self.tables.item(name).map_or_else(
            || {
                let own = element_name.filter(|own| *own != "item" && *own != "member");
                own.map_or_else(|| "value".to_owned(), lower_first)
            },
            str::to_owned,
        );
        let plain = self.tables.plain(name);
        let list: Vec<Value> = elements
            .iter()
            .map(|element| match element {
                Tree::Structure(..) => self.request_value(element_shape, element, name),
                _ if plain => leaf(element),
                _ => json!({ key.clone(): leaf(element) }),
            })
            .collect();
        if plain {
            return Value::Array(list);
        }
        let items = if self.tables.singular(self.renderer.operation) { "item" } else { "items" };
        json!({ items: list })
    }

    fn answer(
        &self,
        shape: ShapeId,
        known: &[(u32, Tree)],
        unknown: &[(String, Tree)],
    ) -> Map<String, Value> {
        let operation = self.renderer.operation;
        let holder = self.holder(shape);
        let members = self.renderer.service.members(shape);
        let mut object = Map::new();
        for (at, value) in known {
            let Some(member) = members.get(*at as usize) else { continue };
            let name = answer_name(member.wire());
            let value = match fate(self.renderer.verb(holder, member), &member.name) {
                Fate::Replaced(value) => value,
                Fate::Dropped => continue,
                Fate::Shown => self.answer_value(&name, value),
            };
            let text = self.tables.text(operation, &name);
            object.insert(name, if text { as_text(value) } else { value });
        }
        for (name, value) in unknown {
            object.insert(answer_name(name), unmodelled(name, value));
        }
        object
    }

    fn answer_value(&self, name: &str, value: &Tree) -> Value {
        match value {
            Tree::List(elements) if elements.is_empty() => json!({}),
            Tree::List(elements) => {
                let items: Vec<Value> =
                    elements.iter().map(|element| self.answer_value("", element)).collect();
                let key = if SINGULAR_ANSWERS.contains(&name) { "item" } else { "items" };
                json!({ key: items })
            }
            Tree::Structure(shape, known, unknown) => {
                Value::Object(self.answer(*shape, known, unknown))
            }
            other => leaf(other),
        }
    }
}

/// What no model describes, by its markup: `item` elements are a list.
fn unmodelled(name: &str, value: &Tree) -> Value {
    if secrets::names_a_secret(name) {
        return Value::from(secrets::HIDDEN);
    }
    match value {
        Tree::Map(entries) => match entries.as_slice() {
            [(only, held)] if only == "item" => {
                let elements = match held {
                    Tree::List(elements) => elements.as_slice(),
                    single => std::slice::from_ref(single),
                };
                let items: Vec<Value> = elements.iter().map(|e| unmodelled(name, e)).collect();
                json!({ "items": items })
            }
            entries => entries
                .iter()
                .map(|(name, value)| (answer_name(name), unmodelled(name, value)))
                .collect(),
        },
        Tree::List(elements) => elements.iter().map(|e| unmodelled(name, e)).collect(),
        Tree::Text(text) if text.is_empty() => json!({}),
        Tree::Text(text) if text == "true" || text == "false" => Value::Bool(text == "true"),
        other => leaf(other),
    }
}

fn leaf(value: &Tree) -> Value {
    match value {
        Tree::Time(moment) => write_moment(moment, TimestampStyle::EpochMilliseconds),
        other => scalar(other),
    }
}

/// `return` is a word of Java, so records write `_return`.
fn answer_name(name: &str) -> String {
    if name == "return" { "_return".to_owned() } else { name.to_owned() }
}

fn as_text(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::from(number.to_string()),
        other => other,
    }
}

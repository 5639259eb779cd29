//! Services to bytes.

use super::MAGIC;
use super::column::{COLUMNS, Column, put};
use super::scalar;
use crate::model::{Member, Operation, Protocol, Service, Shape, ShapeId, ShapeKind};
use std::collections::HashMap;

/// Endings of the name of an input or output, behind the operation's name.
pub(super) const SUFFIXES: [&str; 7] =
    ["Request", "Response", "Input", "Output", "Result", "Message", ""];

pub(super) const PROTOCOLS: [Protocol; 6] = [
    Protocol::Json,
    Protocol::RestJson,
    Protocol::RestXml,
    Protocol::Query,
    Protocol::Ec2,
    Protocol::Cbor,
];

pub(super) fn write(services: &[Service]) -> Vec<u8> {
    let mut writer = Writer::default();
    // Names on cards come first, so that a card can say how many strings were
    // known before its service.
    let heads: Vec<Vec<u8>> = services.iter().map(|service| writer.card(service)).collect();
    let mut cards = Vec::new();
    for (service, head) in services.iter().zip(heads) {
        let before: Vec<usize> = writer.columns.iter().map(Vec::len).collect();
        let known = writer.strings.len();
        let shapes = writer.service(service);
        cards.extend(head);
        put(&mut cards, known as u64);
        put(&mut cards, service.operations.len() as u64);
        put(&mut cards, shapes as u64);
        put(&mut cards, service.errors.len() as u64);
        for (column, before) in writer.columns.iter().zip(before) {
            put(&mut cards, (column.len() - before) as u64);
        }
    }
    writer.finish(services.len(), &cards)
}

#[derive(Default)]
struct Writer {
    strings: HashMap<String, u64>,
    text: String,
    columns: [Vec<u8>; COLUMNS],
}

/// The shapes of one service in the order in which they are first mentioned.
#[derive(Default)]
struct Order {
    numbers: HashMap<ShapeId, u64>,
    queue: Vec<ShapeId>,
}

impl Writer {
    fn number(&mut self, column: Column, number: u64) {
        put(&mut self.columns[column as usize], number);
    }

    fn string(&mut self, column: Column, text: Option<&str>) {
        let number = match text {
            None => 0,
            Some(text) => self.strings.get(text).map_or(1, |known| known + 2),
        };
        if number == 1 {
            self.intern(text.unwrap_or_default());
        }
        self.number(column, number);
    }

    fn intern(&mut self, text: &str) -> u64 {
        if let Some(&known) = self.strings.get(text) {
            return known;
        }
        let number = self.strings.len() as u64;
        self.strings.insert(text.to_owned(), number);
        self.text.push_str(text);
        self.text.push('\n');
        number
    }

    fn card(&mut self, service: &Service) -> Vec<u8> {
        let mut card = Vec::new();
        let names = [
            Some(&service.name),
            Some(&service.signing_name),
            Some(&service.endpoint_prefix),
            Some(&service.service_id),
            Some(&service.api_version),
            service.json_version.as_ref(),
            service.target_prefix.as_ref(),
            service.xml_namespace.as_ref(),
        ];
        for name in names {
            let number = name.map_or(0, |name| self.intern(name) + 1);
            put(&mut card, number);
        }
        put(&mut card, service.protocols.len() as u64);
        for protocol in &service.protocols {
            let at = PROTOCOLS.iter().position(|held| held == protocol).unwrap_or_default();
            put(&mut card, at as u64);
        }
        let unsigned = service.operations.iter().any(|operation| operation.no_auth);
        let bearer = service.operations.iter().any(|operation| operation.bearer);
        put(&mut card, u64::from(unsigned) | u64::from(bearer) << 1);
        card
    }

    /// Writes one service and says how many lists, maps and structures it has.
    fn service(&mut self, service: &Service) -> usize {
        let mut order = Order::default();
        let mut owners = HashMap::new();
        for operation in &service.operations {
            self.operation(service, operation, &mut order);
            for id in [operation.input, operation.output].into_iter().flatten() {
                owners.entry(id).or_insert(operation.name.as_str());
            }
        }
        let mut next = 0;
        while next < order.queue.len() {
            let id = order.queue[next];
            if let Some(shape) = service.shape(id) {
                self.shape(service, shape, owners.get(&id).copied(), &mut order);
            }
            next += 1;
        }
        let mut errors: Vec<_> = service.errors.iter().collect();
        errors.sort();
        for (code, name) in errors {
            self.string(Column::Error, Some(code));
            self.string(Column::Error, Some(name));
        }
        order.queue.len()
    }

    fn operation(&mut self, service: &Service, operation: &Operation, order: &mut Order) {
        self.string(Column::OperationName, Some(&operation.name));
        let uri = format!("{} {}", operation.method, operation.uri);
        self.string(Column::OperationUri, Some(uri.as_str()).filter(|uri| *uri != "POST /"));
        let usual = format!("{}Result", operation.name);
        let wrapper = operation.result_wrapper.as_deref();
        let flags = [
            operation.input.is_some(),
            operation.has_output,
            operation.output.is_some(),
            operation.read_only_hint,
            wrapper.is_some(),
            wrapper.is_some_and(|wrapper| wrapper != usual),
            operation.wire_name.is_some(),
            operation.host_prefix.is_some(),
            operation.no_auth,
            operation.bearer,
            operation.event_stream,
            operation.streaming_input,
            operation.streaming_output,
            operation.legacy,
        ];
        self.number(Column::OperationFlags, bits(&flags));
        for id in [operation.input, operation.output].into_iter().flatten() {
            self.reference(Column::OperationShape, service, id, order);
        }
        let texts = [
            wrapper.filter(|wrapper| *wrapper != usual),
            operation.wire_name.as_deref(),
            operation.host_prefix.as_deref(),
        ];
        for text in texts.into_iter().flatten() {
            self.string(Column::OperationText, Some(text));
        }
    }

    fn reference(&mut self, column: Column, service: &Service, id: ShapeId, order: &mut Order) {
        if let Some(code) = service.shape(id).and_then(scalar::code) {
            self.number(column, code + 2);
        } else if let Some(&number) = order.numbers.get(&id) {
            self.number(column, 1);
            self.number(Column::Known, number);
        } else {
            order.numbers.insert(id, order.queue.len() as u64);
            order.queue.push(id);
            self.number(column, 0);
        }
    }

    fn shape(&mut self, service: &Service, shape: &Shape, owner: Option<&str>, order: &mut Order) {
        let kind = |kind: u64, flag: bool| kind | bits(&[shape.sensitive, flag]) << 2;
        match &shape.kind {
            ShapeKind::List { member, member_name, flattened } => {
                self.number(Column::ShapeKind, kind(1, *flattened));
                self.reference(Column::MemberShape, service, *member, order);
                self.string(Column::ElementName, member_name.as_deref());
            }
            ShapeKind::Map { key, value, key_name, value_name, flattened } => {
                self.number(Column::ShapeKind, kind(2, *flattened));
                self.reference(Column::MemberShape, service, *key, order);
                self.reference(Column::MemberShape, service, *value, order);
                self.string(Column::ElementName, key_name.as_deref());
                self.string(Column::ElementName, value_name.as_deref());
            }
            ShapeKind::Structure { members, payload, event_stream, required } => {
                self.number(Column::ShapeKind, kind(0, *event_stream));
                self.structure_name(&shape.name, owner);
                self.number(Column::MemberCount, members.len() as u64);
                self.string(Column::Payload, payload.as_deref());
                for (index, member) in members.iter().enumerate() {
                    let needed = required.iter().any(|held| *held as usize == index);
                    self.member(service, member, needed, order);
                }
            }
            // Never here: `reference` writes scalars in their place.
            ShapeKind::String
            | ShapeKind::Integer
            | ShapeKind::Long
            | ShapeKind::Float
            | ShapeKind::Double
            | ShapeKind::Boolean
            | ShapeKind::Blob { .. }
            | ShapeKind::Timestamp(_)
            | ShapeKind::Character
            | ShapeKind::Document => {}
        }
    }

    fn structure_name(&mut self, name: &str, owner: Option<&str>) {
        let suffix = owner
            .and_then(|owner| name.strip_prefix(owner))
            .and_then(|rest| SUFFIXES.iter().position(|held| *held == rest));
        self.number(Column::ShapeSuffix, suffix.map_or(0, |at| at as u64 + 1));
        if suffix.is_none() {
            self.string(Column::ShapeName, Some(name));
        }
    }

    fn member(&mut self, service: &Service, member: &Member, needed: bool, order: &mut Order) {
        self.string(Column::MemberName, Some(&member.name));
        self.reference(Column::MemberShape, service, member.shape, order);
        let wire = match member.wire_name.as_deref() {
            None => 0,
            Some(wire) if wire == lower_first(&member.name) => 1,
            Some(wire) if wire == upper_first(&member.name) => 2,
            Some(_) => 3,
        };
        let rare = bits(&[
            member.json_value,
            member.xml_attribute,
            member.flattened,
            member.streaming,
            member.host_label,
            member.query_name.is_some(),
        ]) | scalar::format_code(member.timestamp_format) << 6;
        let location = member.location.map_or(0, |location| location as u64 + 1);
        let flags = location << 4 | u64::from(rare != 0) << 3 | wire << 1 | u64::from(needed);
        self.number(Column::MemberFlags, flags);
        if wire == 3 {
            self.string(Column::MemberText, member.wire_name.as_deref());
        }
        if rare != 0 {
            self.number(Column::MemberRare, rare);
        }
        if member.query_name.is_some() {
            self.string(Column::MemberText, member.query_name.as_deref());
        }
    }

    fn finish(self, services: usize, cards: &[u8]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        put(&mut out, self.text.len() as u64);
        out.extend(self.text.as_bytes());
        put(&mut out, services as u64);
        put(&mut out, cards.len() as u64);
        out.extend(cards);
        for column in &self.columns {
            put(&mut out, column.len() as u64);
            out.extend(column);
        }
        out
    }
}

/// Flags as bits, the first lowest.
fn bits(flags: &[bool]) -> u64 {
    flags.iter().rev().fold(0, |bits, flag| bits << 1 | u64::from(*flag))
}

/// `Name` → `name`.
pub(super) fn lower_first(name: &str) -> String {
    change_first(name, char::to_ascii_lowercase)
}

/// `name` → `Name`.
pub(super) fn upper_first(name: &str) -> String {
    change_first(name, char::to_ascii_uppercase)
}

fn change_first(name: &str, change: impl Fn(&char) -> char) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| {
        let mut out = String::with_capacity(name.len());
        out.push(change(&first));
        out.push_str(chars.as_str());
        out
    })
}

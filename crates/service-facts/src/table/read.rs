//! Bytes to services.

use super::column::{COLUMNS, Column, Cursor};
use super::write::{PROTOCOLS, SUFFIXES, lower_first, upper_first};
use super::{CAP, MAGIC, TableError, scalar};
use crate::model::{Location, Member, Operation, Protocol, Service, Shape, ShapeId, ShapeKind};
use std::collections::HashMap;
use std::io::Read as _;

/// An opened table; services are still columns.
#[derive(Debug)]
pub(crate) struct Table {
    bytes: Vec<u8>,
    text: (usize, usize),
    /// Where each string ends within the text, its newline excluded.
    ends: Vec<u32>,
    cards: Vec<Card>,
}

/// What is known of a service before it is decoded.
#[derive(Debug, Clone)]
pub(crate) struct Card {
    /// Everything but operations, shapes and errors.
    pub(crate) head: Service,
    /// Whether some operation needs no signature.
    pub(crate) unsigned: bool,
    /// Whether some operation is signed by a bearer token.
    pub(crate) bearer: bool,
    known: usize,
    operations: usize,
    shapes: usize,
    errors: usize,
    columns: [(usize, usize); COLUMNS],
}

impl Table {
    pub(crate) fn open(compressed: &[u8]) -> Result<Self, TableError> {
        Self::open_plain(inflate(compressed)?)
    }

    pub(super) fn open_plain(bytes: Vec<u8>) -> Result<Self, TableError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(TableError::Format)?;
        let mut cursor = Cursor::new(rest);
        let size = cursor.size()?;
        let text_start = bytes.len() - cursor.left();
        let text = std::str::from_utf8(cursor.take(size)?)
            .map_err(|_| TableError::Damaged { part: "the strings" })?;
        let ends = ends_of(text)?;
        let count = cursor.size()?;
        let size = cursor.size()?;
        let mut card_cursor = Cursor::new(cursor.take(size)?);
        let mut starts = [0; COLUMNS];
        let mut limits = [0; COLUMNS];
        for (start, limit) in starts.iter_mut().zip(&mut limits) {
            let size = cursor.size()?;
            *start = bytes.len() - cursor.left();
            cursor.take(size)?;
            *limit = *start + size;
        }
        let strings = Strings { text, ends: &ends };
        let mut cards = Vec::with_capacity(count.min(size));
        for _ in 0..count {
            cards.push(read_card(&mut card_cursor, &strings, &mut starts, &limits)?);
        }
        let text = (text_start, text_start + text.len());
        Ok(Self { bytes, text, ends, cards })
    }

    pub(crate) fn cards(&self) -> &[Card] {
        &self.cards
    }

    /// Decodes one service.
    pub(crate) fn service(&self, index: usize) -> Result<Service, TableError> {
        let card = self.cards.get(index).ok_or(TableError::Damaged { part: "the cards" })?;
        let text = std::str::from_utf8(&self.bytes[self.text.0..self.text.1])
            .map_err(|_| TableError::Damaged { part: "the strings" })?;
        let columns = card.columns.map(|(start, end)| Cursor::new(&self.bytes[start..end]));
        let reader = Reader {
            strings: Strings { text, ends: &self.ends },
            next: card.known,
            columns,
            mentioned: 0,
            composites: card.shapes,
            scalars: Vec::new(),
            scalar_ids: HashMap::new(),
            owners: HashMap::new(),
        };
        reader.service(card)
    }
}

pub(super) fn inflate(compressed: &[u8]) -> Result<Vec<u8>, TableError> {
    let failed = |reason: String| TableError::Compression { reason };
    let said = zstd::zstd_safe::get_frame_content_size(compressed).ok().flatten();
    if let Some(size) = said.and_then(|size| usize::try_from(size).ok()).filter(|it| *it <= CAP) {
        // Room for exactly this much: a buffer that grows leaves its halves behind.
        return zstd::bulk::decompress(compressed, size).map_err(|err| failed(err.to_string()));
    }
    let decoder =
        zstd::stream::Decoder::new(compressed).map_err(|error| failed(error.to_string()))?;
    let mut bytes = Vec::new();
    let cap = CAP as u64 + 1;
    decoder.take(cap).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    if bytes.len() > CAP {
        return Err(failed(format!("more than {CAP} bytes")));
    }
    Ok(bytes)
}

fn ends_of(text: &str) -> Result<Vec<u32>, TableError> {
    memchr::memchr_iter(b'\n', text.as_bytes())
        .map(|end| u32::try_from(end).map_err(|_| TableError::Damaged { part: "the strings" }))
        .collect()
}

fn read_card(
    cursor: &mut Cursor<'_>,
    strings: &Strings<'_>,
    starts: &mut [usize; COLUMNS],
    limits: &[usize; COLUMNS],
) -> Result<Card, TableError> {
    let mut name = || -> Result<Option<String>, TableError> {
        match cursor.size()? {
            0 => Ok(None),
            number => strings.get(number - 1).map(|text| Some(text.to_owned())),
        }
    };
    let mut needed = || name()?.ok_or(TableError::Damaged { part: "a card" });
    let mut head = Service {
        name: needed()?,
        signing_name: needed()?,
        endpoint_prefix: needed()?,
        service_id: needed()?,
        api_version: needed()?,
        ..Service::default()
    };
    head.json_version = name()?;
    head.target_prefix = name()?;
    head.xml_namespace = name()?;
    for _ in 0..cursor.size()? {
        head.protocols.push(protocol(cursor.size()?)?);
    }
    let flags = cursor.number()?;
    let [known, operations, shapes, errors] =
        [cursor.size()?, cursor.size()?, cursor.size()?, cursor.size()?];
    let mut columns = [(0, 0); COLUMNS];
    for ((slot, start), limit) in columns.iter_mut().zip(starts).zip(limits) {
        let end = *start + cursor.size()?;
        if end > *limit {
            return Err(TableError::Damaged { part: "a column" });
        }
        *slot = (*start, end);
        *start = end;
    }
    let (unsigned, bearer) = (flags & 1 == 1, flags & 2 == 2);
    Ok(Card { head, unsigned, bearer, known, operations, shapes, errors, columns })
}

fn protocol(at: usize) -> Result<Protocol, TableError> {
    PROTOCOLS.get(at).copied().ok_or(TableError::Damaged { part: "a protocol" })
}

#[derive(Debug, Clone, Copy)]
struct Strings<'a> {
    text: &'a str,
    ends: &'a [u32],
}

impl<'a> Strings<'a> {
    fn get(&self, number: usize) -> Result<&'a str, TableError> {
        let damaged = TableError::Damaged { part: "a string" };
        let Some(&end) = self.ends.get(number) else { return Err(damaged) };
        let start = match number.checked_sub(1) {
            Some(before) => self.ends[before] as usize + 1,
            None => 0,
        };
        self.text.get(start..end as usize).ok_or(damaged)
    }
}

struct Reader<'a> {
    strings: Strings<'a>,
    /// Number of the next string not used before.
    next: usize,
    columns: [Cursor<'a>; COLUMNS],
    /// Lists, maps and structures mentioned so far.
    mentioned: usize,
    composites: usize,
    scalars: Vec<Shape>,
    scalar_ids: HashMap<u64, ShapeId>,
    /// Which operation an input or output belongs to.
    owners: HashMap<ShapeId, String>,
}

impl Reader<'_> {
    fn service(mut self, card: &Card) -> Result<Service, TableError> {
        let mut service = card.head.clone();
        for _ in 0..card.operations {
            let operation = self.operation()?;
            service.operations.push(operation);
        }
        for number in 0..card.shapes {
            let shape = self.shape(number)?;
            service.shapes.push(shape);
        }
        if self.mentioned != card.shapes {
            return Err(TableError::Damaged { part: "the shapes" });
        }
        service.shapes.append(&mut self.scalars);
        for _ in 0..card.errors {
            let code = self.text(Column::Error)?;
            let name = self.text(Column::Error)?;
            service.errors.insert(code, name);
        }
        Ok(service)
    }

    fn number(&mut self, column: Column) -> Result<u64, TableError> {
        self.columns[column as usize].number()
    }

    fn string(&mut self, column: Column) -> Result<Option<String>, TableError> {
        let number = self.columns[column as usize].size()?;
        let at = match number {
            0 => return Ok(None),
            1 => {
                self.next += 1;
                self.next - 1
            }
            known => known - 2,
        };
        self.strings.get(at).map(|text| Some(text.to_owned()))
    }

    fn text(&mut self, column: Column) -> Result<String, TableError> {
        self.string(column)?.ok_or(TableError::Damaged { part: "a name" })
    }

    fn operation(&mut self) -> Result<Operation, TableError> {
        let name = self.text(Column::OperationName)?;
        let line = self.string(Column::OperationUri)?;
        let (method, uri) =
            line.as_deref().and_then(|line| line.split_once(' ')).unwrap_or(("POST", "/"));
        let flags = self.number(Column::OperationFlags)?;
        let flag = |bit: u32| flags >> bit & 1 == 1;
        let input = self.operation_shape(flag(0), &name)?;
        let output = self.operation_shape(flag(2), &name)?;
        let result_wrapper = match (flag(4), flag(5)) {
            (false, _) => None,
            (true, false) => Some(format!("{name}Result")),
            (true, true) => self.string(Column::OperationText)?,
        };
        let wire_name = if flag(6) { self.string(Column::OperationText)? } else { None };
        let host_prefix = if flag(7) { self.string(Column::OperationText)? } else { None };
        Ok(Operation {
            method: method.to_owned(),
            uri: uri.to_owned(),
            name,
            wire_name,
            input,
            output,
            has_output: flag(1),
            result_wrapper,
            read_only_hint: flag(3),
            no_auth: flag(8),
            bearer: flag(9),
            host_prefix,
            event_stream: flag(10),
            streaming_input: flag(11),
            streaming_output: flag(12),
            legacy: flag(13),
        })
    }

    fn operation_shape(&mut self, there: bool, owner: &str) -> Result<Option<ShapeId>, TableError> {
        if !there {
            return Ok(None);
        }
        let id = self.reference(Column::OperationShape)?;
        self.owners.entry(id).or_insert_with(|| owner.to_owned());
        Ok(Some(id))
    }

    fn reference(&mut self, column: Column) -> Result<ShapeId, TableError> {
        let damaged = TableError::Damaged { part: "a type" };
        let number = match self.number(column)? {
            0 => {
                self.mentioned += 1;
                self.mentioned - 1
            }
            1 => self.columns[Column::Known as usize].size()?,
            code => return self.scalar(code - 2),
        };
        if number >= self.composites {
            return Err(damaged);
        }
        ShapeId::try_from(number).map_err(|_| damaged)
    }

    /// Scalars stand behind the other shapes, each once.
    fn scalar(&mut self, code: u64) -> Result<ShapeId, TableError> {
        let damaged = TableError::Damaged { part: "a scalar" };
        if let Some(&id) = self.scalar_ids.get(&code) {
            return Ok(id);
        }
        let shape = scalar::shape(code).ok_or_else(|| damaged.clone())?;
        let id = ShapeId::try_from(self.composites + self.scalars.len()).map_err(|_| damaged)?;
        self.scalars.push(shape);
        self.scalar_ids.insert(code, id);
        Ok(id)
    }

    fn shape(&mut self, number: usize) -> Result<Shape, TableError> {
        let code = self.number(Column::ShapeKind)?;
        let (sensitive, flag) = (code >> 2 & 1 == 1, code >> 3 & 1 == 1);
        let mut name = String::new();
        let kind = match code & 3 {
            0 => {
                name = self.structure_name(number)?;
                self.structure(flag)?
            }
            1 => ShapeKind::List {
                member: self.reference(Column::MemberShape)?,
                member_name: self.string(Column::ElementName)?,
                flattened: flag,
            },
            2 => ShapeKind::Map {
                key: self.reference(Column::MemberShape)?,
                value: self.reference(Column::MemberShape)?,
                key_name: self.string(Column::ElementName)?,
                value_name: self.string(Column::ElementName)?,
                flattened: flag,
            },
            _ => return Err(TableError::Damaged { part: "a shape" }),
        };
        Ok(Shape { name, sensitive, kind })
    }

    fn structure_name(&mut self, number: usize) -> Result<String, TableError> {
        let suffix = self.columns[Column::ShapeSuffix as usize].size()?;
        let Some(at) = suffix.checked_sub(1) else {
            return self.text(Column::ShapeName);
        };
        let damaged = TableError::Damaged { part: "the name of a structure" };
        let id = ShapeId::try_from(number).map_err(|_| damaged.clone())?;
        match (self.owners.get(&id), SUFFIXES.get(at)) {
            (Some(owner), Some(suffix)) => Ok(format!("{owner}{suffix}")),
            _ => Err(damaged),
        }
    }

    fn structure(&mut self, event_stream: bool) -> Result<ShapeKind, TableError> {
        let count = self.columns[Column::MemberCount as usize].size()?;
        let payload = self.string(Column::Payload)?;
        let mut members = Vec::with_capacity(count.min(1024));
        let mut required = Vec::new();
        for index in 0..count {
            let (member, needed) = self.member()?;
            if needed {
                let index = u32::try_from(index)
                    .map_err(|_| TableError::Damaged { part: "a structure" })?;
                required.push(index);
            }
            members.push(member);
        }
        Ok(ShapeKind::Structure { members, payload, event_stream, required })
    }

    fn member(&mut self) -> Result<(Member, bool), TableError> {
        let name = self.text(Column::MemberName)?;
        let shape = self.reference(Column::MemberShape)?;
        let flags = self.number(Column::MemberFlags)?;
        let wire_name = match flags >> 1 & 3 {
            0 => None,
            1 => Some(lower_first(&name)),
            2 => Some(upper_first(&name)),
            _ => Some(self.text(Column::MemberText)?),
        };
        let rare = if flags >> 3 & 1 == 1 { self.number(Column::MemberRare)? } else { 0 };
        let flag = |bit: u32| rare >> bit & 1 == 1;
        let query_name = if flag(5) { Some(self.text(Column::MemberText)?) } else { None };
        let timestamp_format =
            scalar::format_of(rare >> 6).ok_or(TableError::Damaged { part: "a timestamp" })?;
        let member = Member {
            name,
            shape,
            location: location(flags >> 4)?,
            wire_name,
            query_name,
            timestamp_format,
            json_value: flag(0),
            xml_attribute: flag(1),
            flattened: flag(2),
            streaming: flag(3),
            host_label: flag(4),
        };
        Ok((member, flags & 1 == 1))
    }
}

fn location(code: u64) -> Result<Option<Location>, TableError> {
    Ok(match code {
        0 => None,
        1 => Some(Location::Uri),
        2 => Some(Location::Query),
        3 => Some(Location::Header),
        4 => Some(Location::Headers),
        5 => Some(Location::Status),
        _ => return Err(TableError::Damaged { part: "a location" }),
    })
}

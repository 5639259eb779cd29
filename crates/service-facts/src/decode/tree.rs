//! What every decoder ends in: values named by the model.

use super::DecodeError;
use crate::model::{Service, ShapeId};
use bytes::Bytes;
use trailbox_clock::Micros;

/// A decoded value.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    /// An explicit null.
    Null,
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text; also a number or boolean that could not be read as one.
    Text(String),
    /// Bytes, no longer base64.
    Blob(Bytes),
    /// A moment.
    Time(Timestamp),
    /// A list.
    List(Vec<Tree>),
    /// A map, or a structure no model describes; names as on the wire.
    Map(Vec<(String, Tree)>),
    /// A structure of the model: its shape, members by index in wire order,
    /// and what the model does not know, by wire name.
    Structure(ShapeId, Vec<(u32, Tree)>, Vec<(String, Tree)>),
    /// A JSON number beyond the others.
    Json(serde_json::Value),
}

/// A moment, and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timestamp {
    /// A number on the wire.
    Moment(Micros),
    /// A text on the wire; no moment when it could not be read.
    Text {
        /// As sent.
        text: String,
        /// What it says.
        moment: Option<Micros>,
    },
}

impl Timestamp {
    /// The moment, if it is one.
    #[must_use]
    pub fn moment(&self) -> Option<Micros> {
        match self {
            Self::Moment(moment) => Some(*moment),
            Self::Text { moment, .. } => *moment,
        }
    }

    /// Reads RFC 3339, RFC 822 and seconds since 1970; keeps any other text.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let trimmed = text.trim();
        let moment = Micros::parse_rfc3339(trimmed)
            .ok()
            .or_else(|| parse_seconds(trimmed))
            .or_else(|| parse_http_date(trimmed));
        Self::Text { text: text.to_owned(), moment }
    }

    /// The moment `seconds` after the Unix epoch, to the microsecond.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "float to int saturates; years beyond 200 000 do not matter"
    )]
    pub fn from_seconds(seconds: f64) -> Self {
        Self::Moment(Micros((seconds * 1e6).round() as i64))
    }
}

fn parse_seconds(text: &str) -> Option<Micros> {
    let numeric =
        text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'E' | b'e'));
    let seconds: f64 = if numeric { text.parse().ok()? } else { return None };
    Timestamp::from_seconds(seconds).moment()
}

/// `Sat, 01 Aug 2015 02:10:59 GMT`: the shape of RFC 822 that SDKs send.
fn parse_http_date(text: &str) -> Option<Micros> {
    time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc2822)
        .ok()
        .map(Micros::from_date_time)
        .or_else(|| {
            let zoned = format!("{} +0000", text.strip_suffix(" GMT")?);
            time::OffsetDateTime::parse(&zoned, &time::format_description::well_known::Rfc2822)
                .ok()
                .map(Micros::from_date_time)
        })
}

impl Tree {
    /// The member of that model name, if it was sent.
    #[must_use]
    pub fn member<'a>(&'a self, service: &Service, name: &str) -> Option<&'a Tree> {
        match self {
            Self::Structure(shape, held, unknown) => {
                let members = service.members(*shape);
                held.iter()
                    .find(|(at, _)| members.get(*at as usize).is_some_and(|m| m.name == name))
                    .map(|(_, value)| value)
                    .or_else(|| unknown.iter().find(|(held, _)| held == name).map(|(_, v)| v))
            }
            Self::Map(entries) => entries.iter().find(|(held, _)| held == name).map(|(_, v)| v),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Text(_)
            | Self::Blob(_)
            | Self::Time(_)
            | Self::List(_)
            | Self::Json(_) => None,
        }
    }

    /// The text, if this is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The elements, if this is a list.
    #[must_use]
    pub fn elements(&self) -> &[Tree] {
        if let Self::List(elements) = self { elements } else { &[] }
    }

    /// Whether nothing was sent: null, or a structure without members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Structure(_, members, unknown) => members.is_empty() && unknown.is_empty(),
            Self::Map(entries) => entries.is_empty(),
            Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Text(_)
            | Self::Blob(_)
            | Self::Time(_)
            | Self::List(_)
            | Self::Json(_) => false,
        }
    }

    /// Reads one JSON document, without a model.
    ///
    /// # Errors
    ///
    /// When `bytes` is not JSON, or nested deeper than 128.
    pub fn from_json(bytes: &[u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(bytes)
            .map_err(|err| DecodeError::Json { line: err.line(), column: err.column() })
    }
}

impl<'de> serde::Deserialize<'de> for Tree {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

/// Builds a [`Tree`] of what `serde_json` reads; nothing can be of a wrong type.
struct JsonVisitor;

impl<'de> serde::de::Visitor<'de> for JsonVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(i64::try_from(value).map_or_else(|_| Tree::Json(value.into()), Tree::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Tree, E> {
        Ok(Tree::Text(value))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Tree::List(elements))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Tree::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, Tree};
    use trailbox_clock::Micros;

    #[test]
    fn every_written_form_of_a_moment_is_read() {
        let moment = Some(Micros::from_seconds(1_438_395_059));
        for text in [
            "2015-08-01T02:10:59Z",
            "2015-08-01T02:10:59.000Z",
            "2015-08-01T04:10:59+02:00",
            "1438395059",
            "1438395059.0",
            "1.438395059E9",
            "Sat, 01 Aug 2015 02:10:59 GMT",
        ] {
            assert_eq!(Timestamp::parse(text).moment(), moment, "{text}");
        }
        for text in ["", "soon", "2015-13-01T00:00:00Z", "Sat, 32 Aug 2015 02:10:59 GMT"] {
            assert_eq!(Timestamp::parse(text).moment(), None, "{text}");
        }
    }

    #[test]
    fn json_nested_beyond_the_cap_is_refused_not_followed() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(Tree::from_json(deep.as_bytes()).is_err());
        assert!(Tree::from_json(b"[[[[{\"a\":[1]}]]]]").is_ok());
    }
}

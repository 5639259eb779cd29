//! Values of a call as a record writes them: names, moments, redaction.
//!
//! Source: spec/gateway.md 3.2 to 3.6. Names and verbs come from the tables;
//! this module only applies them.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "of a tree or a shape only one kind is wanted; all others are one case"
)]

use crate::call::SessionTokens;
use crate::secrets;
use base64::Engine as _;
use serde_json::{Map, Value};
use trailbox_clock::Micros;
use trailbox_service_facts::decode::{Timestamp, Tree};
use trailbox_service_facts::tables::{Naming, ServiceRules, Side, TimestampStyle, Verb};
use trailbox_service_facts::{Location, Member, Service, ShapeId, ShapeKind};

/// Renders trees of one operation and one side of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Renderer<'a> {
    pub(crate) service: &'a Service,
    pub(crate) rules: &'a ServiceRules,
    pub(crate) operation: &'a str,
    pub(crate) side: Side,
    pub(crate) session_tokens: SessionTokens,
}

impl Renderer<'_> {
    /// The object of a structure; empty for anything else.
    pub(crate) fn object(&self, tree: &Tree) -> Map<String, Value> {
        match tree {
            Tree::Structure(shape, known, unknown) => self.structure(*shape, known, unknown),
            _ => Map::new(),
        }
    }

    fn structure(
        &self,
        shape: ShapeId,
        known: &[(u32, Tree)],
        unknown: &[(String, Tree)],
    ) -> Map<String, Value> {
        let members = self.service.members(shape);
        let mut object = Map::with_capacity(known.len() + unknown.len());
        for (at, value) in known {
            if let Some(member) = members.get(*at as usize) {
                self.member(&mut object, shape, member, value);
            }
        }
        for (name, value) in unknown {
            if !self.drops_token(name) {
                object.insert(self.named(name), self.unmodelled(name, value));
            }
        }
        object
    }

    fn member(
        &self,
        object: &mut Map<String, Value>,
        holder: ShapeId,
        member: &Member,
        value: &Tree,
    ) {
        let holder = self.service.shape(holder).map_or("", |shape| &shape.name);
        if self.drops_token(&member.name) {
            return;
        }
        let rendered = match self.verb(holder, member) {
            Some(Verb::Keep) => self.value(member.shape, value),
            Some(verb) => match redacted(verb, value) {
                Some(rendered) => rendered,
                None => return,
            },
            None if self.hides(&member.name) && is_readable(value) => Value::from(secrets::HIDDEN),
            None if member.location == Some(Location::Query)
                && self.rules.query_numbers_as_text =>
            {
                as_text(self.value(member.shape, value))
            }
            None => self.value(member.shape, value),
        };
        let name = self.rules.rename(holder, &member.name).map(str::to_owned);
        object.insert(name.unwrap_or_else(|| self.named(&member.name)), rendered);
    }

    /// What becomes of a member, when anything but writing it down.
    pub(crate) fn verb(&self, holder: &str, member: &Member) -> Option<Verb> {
        let named = self.rules.redaction(self.operation, holder, &member.name, self.side);
        named.or_else(|| {
            let shape = self.service.shape(member.shape)?;
            if shape.sensitive {
                Some(self.rules.sensitive)
            } else if matches!(shape.kind, ShapeKind::Blob { .. }) {
                Some(self.rules.blobs)
            } else {
                None
            }
        })
    }

    fn drops_token(&self, name: &str) -> bool {
        self.session_tokens == SessionTokens::Drop && secrets::names_a_session_token(name)
    }

    fn hides(&self, name: &str) -> bool {
        let kept = self.session_tokens == SessionTokens::Keep;
        secrets::names_a_secret(name) && !(kept && secrets::names_a_session_token(name))
    }

    fn named(&self, name: &str) -> String {
        match self.rules.naming {
            Naming::LowerFirst => lower_first(name),
            Naming::Same => name.to_owned(),
        }
    }

    fn value(&self, shape: ShapeId, value: &Tree) -> Value {
        match value {
            Tree::Structure(shape, known, unknown) => {
                Value::Object(self.structure(*shape, known, unknown))
            }
            Tree::List(elements) => match self.service.shape(shape).map(|shape| &shape.kind) {
                Some(ShapeKind::List { member, .. }) => {
                    elements.iter().map(|element| self.element(*member, element)).collect()
                }
                _ => elements.iter().map(|element| self.value(shape, element)).collect(),
            },
            Tree::Map(entries) => match self.service.shape(shape).map(|shape| &shape.kind) {
                Some(ShapeKind::Map { value: of, .. }) => entries
                    .iter()
                    .map(|(key, value)| (key.clone(), self.entry(*of, key, value)))
                    .collect(),
                _ => entries
                    .iter()
                    .map(|(key, value)| (key.clone(), self.unmodelled(key, value)))
                    .collect(),
            },
            Tree::Time(moment) => self.moment(moment),
            other => scalar(other),
        }
    }

    fn element(&self, shape: ShapeId, value: &Tree) -> Value {
        if self.service.shape(shape).is_some_and(|shape| shape.sensitive) {
            return match self.rules.sensitive {
                Verb::Keep => self.value(shape, value),
                verb => Value::from(verb.replacement().unwrap_or(secrets::HIDDEN)),
            };
        }
        self.value(shape, value)
    }

    fn entry(&self, shape: ShapeId, key: &str, value: &Tree) -> Value {
        if self.hides(key) && is_readable(value) {
            return Value::from(secrets::HIDDEN);
        }
        self.element(shape, value)
    }

    /// A value no model describes: names stay, but what is called a secret goes.
    fn unmodelled(&self, name: &str, value: &Tree) -> Value {
        if self.hides(name) && is_readable(value) {
            return Value::from(secrets::HIDDEN);
        }
        match value {
            Tree::List(list) => list.iter().map(|each| self.unmodelled(name, each)).collect(),
            Tree::Map(entries) => entries
                .iter()
                .filter(|(key, _)| !self.drops_token(key))
                .map(|(key, value)| (key.clone(), self.unmodelled(key, value)))
                .collect(),
            Tree::Structure(shape, known, unknown) => {
                Value::Object(self.structure(*shape, known, unknown))
            }
            Tree::Time(moment) => self.moment(moment),
            other => scalar(other),
        }
    }

    fn moment(&self, moment: &Timestamp) -> Value {
        write_moment(moment, self.rules.timestamps(self.operation))
    }
}

/// What stands in place of a value; nothing when it is left out.
pub(crate) fn redacted(verb: Verb, value: &Tree) -> Option<Value> {
    match verb {
        Verb::Omit => None,
        Verb::Empty => Some(Value::Object(Map::new())),
        Verb::Names => Some(match value {
            Tree::Map(entries) => {
                entries.iter().map(|(key, _)| Value::from(key.as_str())).collect()
            }
            _ => Value::from(secrets::HIDDEN),
        }),
        Verb::Literals => Some(match value {
            Tree::Text(text) => Value::from(secrets::without_literals(text)),
            _ => Value::from(secrets::HIDDEN),
        }),
        Verb::HideEach => Some(match value {
            Tree::List(list) => list.iter().map(|_| Value::from(secrets::HIDDEN)).collect(),
            Tree::Map(entries) => {
                entries.iter().map(|(key, _)| (key.clone(), Value::from(secrets::HIDDEN))).collect()
            }
            _ => Value::from(secrets::HIDDEN),
        }),
        Verb::Attributes => Some(attributes(value)),
        Verb::Keep
        | Verb::Hide
        | Verb::Stars
        | Verb::FourStars
        | Verb::TenStars
        | Verb::Omitted
        | Verb::Sentence
        | Verb::Removed => Some(Value::from(verb.replacement().unwrap_or(secrets::HIDDEN))),
    }
}

/// A typed `DynamoDB` value, `{"S": "x"}`, as the plain one; a map of them as such a map.
fn attributes(value: &Tree) -> Value {
    match value {
        Tree::Structure(_, known, _) => match known.as_slice() {
            [(_, only)] => attributes(only),
            _ => Value::Null,
        },
        Tree::Map(entries) => {
            entries.iter().map(|(key, value)| (key.clone(), attributes(value))).collect()
        }
        Tree::List(elements) => elements.iter().map(attributes).collect(),
        other => scalar(other),
    }
}

/// Whether a value could be a secret at all: text or bytes.
fn is_readable(value: &Tree) -> bool {
    matches!(value, Tree::Text(_) | Tree::Blob(_) | Tree::List(_))
}

fn as_text(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::from(number.to_string()),
        Value::Bool(flag) => Value::from(flag.to_string()),
        other => other,
    }
}

/// A leaf; structures and lists have been dealt with.
pub(crate) fn scalar(value: &Tree) -> Value {
    match value {
        Tree::Bool(flag) => Value::from(*flag),
        Tree::Int(number) => Value::from(*number),
        Tree::Float(number) => Value::from(*number),
        Tree::Text(text) => Value::from(text.as_str()),
        Tree::Blob(bytes) => Value::from(base64::engine::general_purpose::STANDARD.encode(bytes)),
        Tree::Time(moment) => write_moment(moment, TimestampStyle::Java8),
        Tree::Json(value) => value.clone(),
        Tree::Null | Tree::List(_) | Tree::Map(_) | Tree::Structure(..) => Value::Null,
    }
}

/// `DBInstanceIdentifier` → `dBInstanceIdentifier`.
pub(crate) fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// A moment in the style of a service; text that is no moment stays as sent.
pub(crate) fn write_moment(moment: &Timestamp, style: TimestampStyle) -> Value {
    match moment {
        Timestamp::Text { text, moment: None } => Value::from(text.as_str()),
        Timestamp::Text { text, .. } if style == TimestampStyle::Iso8601 && text.contains('T') => {
            Value::from(text.as_str())
        }
        Timestamp::Text { moment: Some(moment), .. } | Timestamp::Moment(moment) => {
            styled(*moment, style)
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "microseconds since 1970 fit a double")]
fn styled(moment: Micros, style: TimestampStyle) -> Value {
    match style {
        TimestampStyle::Java8 => Value::from(java(moment, "")),
        TimestampStyle::Java9 => Value::from(java(moment, ",")),
        TimestampStyle::Iso8601 => Value::from(iso(moment)),
        TimestampStyle::EpochSeconds => Value::from(moment.0 as f64 / 1e6),
        TimestampStyle::EpochMilliseconds => Value::from(moment.0.div_euclid(1000)),
    }
}

/// `Jul 10, 2023 12:25:04 PM`: what `java.text.DateFormat` writes for the US.
fn java(moment: Micros, comma: &str) -> String {
    let date = moment.date_time();
    let month = &date.month().to_string()[..3];
    let half = if date.hour() < 12 { "AM" } else { "PM" };
    let hour = match date.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    format!(
        "{month} {}, {}{comma} {hour}:{:02}:{:02} {half}",
        date.day(),
        date.year(),
        date.minute(),
        date.second()
    )
}

fn iso(moment: Micros) -> String {
    let mut text = moment.to_event_time();
    let fraction = moment.0.rem_euclid(1_000_000);
    if fraction != 0 {
        text.pop();
        let digits = format!("{fraction:06}");
        text.push('.');
        text.push_str(digits.trim_end_matches('0'));
        text.push('Z');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{lower_first, styled};
    use trailbox_clock::Micros;
    use trailbox_service_facts::tables::TimestampStyle;

    #[test]
    fn only_the_first_letter_is_lowered() {
        let cases = [
            ("DBInstanceIdentifier", "dBInstanceIdentifier"),
            ("SSHPublicKey", "sSHPublicKey"),
            ("name", "name"),
            ("", ""),
        ];
        for (name, want) in cases {
            assert_eq!(lower_first(name), want);
        }
    }

    #[test]
    fn moments_are_written_as_java_writes_them() {
        let cases = [
            (1_688_991_904, "Jul 10, 2023 12:25:04 PM", "Jul 10, 2023, 12:25:04 PM"),
            (1_688_947_384, "Jul 10, 2023 12:03:04 AM", "Jul 10, 2023, 12:03:04 AM"),
            (1_735_787_045, "Jan 2, 2025 3:04:05 AM", "Jan 2, 2025, 3:04:05 AM"),
        ];
        for (seconds, java8, java9) in cases {
            let moment = Micros::from_seconds(seconds);
            assert_eq!(styled(moment, TimestampStyle::Java8), java8);
            assert_eq!(styled(moment, TimestampStyle::Java9), java9);
        }
        assert_eq!(styled(Micros(1_500_000), TimestampStyle::Iso8601), "1970-01-01T00:00:01.5Z");
        assert_eq!(styled(Micros(1_500_000), TimestampStyle::EpochMilliseconds), 1500);
        assert_eq!(styled(Micros(1_500_000), TimestampStyle::EpochSeconds), 1.5);
    }
}

//! The questions: every attribute, frequent, rare and absent values, times, pages.

use crate::data::Data;
use crate::records::{
    BUCKETS, EVENTS, Made, SERVICES, TYPES, USERS, event_name, event_source, mix, resource_name,
    resource_type, user_name,
};
use serde_json::{Value, json};

/// One kind of question.
pub struct Kind {
    pub name: &'static str,
    /// Pages to turn before the one that is measured.
    pub pages: usize,
    /// How many records the answer has, where that is sure.
    pub records: Option<usize>,
    pub body: Box<Body>,
}

/// The request's body for a number.
type Body = dyn Fn(&Data, u64) -> Value + Send + Sync;

fn kind(name: &'static str, body: impl Fn(&Data, u64) -> Value + Send + Sync + 'static) -> Kind {
    Kind { name, pages: 0, records: None, body: Box::new(body) }
}

fn by(key: &str, value: impl Into<String>) -> Value {
    let value: String = value.into();
    json!({"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]})
}

fn within(mut body: Value, start: i64, end: i64) -> Value {
    body["StartTime"] = json!(start);
    body["EndTime"] = json!(end);
    body
}

/// The record of a number chosen by chance.
fn some(data: &Data, n: u64) -> Made {
    data.made(mix(n ^ 0x77) % data.records)
}

fn a_minute(data: &Data, n: u64) -> (i64, i64) {
    let at = some(data, n).time.seconds();
    (at, at + 60)
}

/// The oldest third.
fn oldest(data: &Data) -> (i64, i64) {
    (data.start.seconds(), data.made(data.records / 3).time.seconds())
}

/// Ranks of the rarest tenth.
fn rare(n: u64, most: u64) -> u64 {
    most - 1 - mix(n) % (most / 10).max(1)
}

pub fn all() -> Vec<Kind> {
    let mut kinds = plain();
    kinds.extend(attributes());
    kinds.extend(attributes_by_chance());
    kinds.extend(times());
    kinds
}

fn plain() -> Vec<Kind> {
    vec![
        Kind { records: Some(50), ..kind("newest page", |_, _| json!({})) },
        Kind { pages: 40, ..kind("page 41", |_, _| json!({})) },
        kind("a minute somewhere", |data, n| {
            let (start, end) = a_minute(data, n);
            within(json!({}), start, end)
        }),
        Kind {
            records: Some(50),
            ..kind("oldest third", |data, _| {
                let (start, end) = oldest(data);
                within(json!({}), start, end)
            })
        },
    ]
}

fn attributes() -> Vec<Kind> {
    vec![
        kind("EventName frequent", |_, n| by("EventName", event_name(n % 5))),
        kind("EventName rare", |_, n| by("EventName", event_name(rare(n, EVENTS)))),
        kind("EventSource frequent", |_, n| by("EventSource", event_source(n % 5))),
        kind("EventSource rare", |_, n| by("EventSource", event_source(rare(n, SERVICES)))),
        kind("Username frequent", |_, n| by("Username", user_name(n % 5))),
        kind("Username rare", |_, n| by("Username", user_name(rare(n, USERS)))),
        kind("AccessKeyId frequent", |_, n| by("AccessKeyId", format!("AKIAEXAMPLE{:09}", n % 5))),
        kind("AccessKeyId rare", |_, n| {
            by("AccessKeyId", format!("AKIAEXAMPLE{:09}", rare(n, USERS)))
        }),
        kind("ResourceType frequent", |_, n| by("ResourceType", resource_type(n % 5))),
        kind("ResourceType rare", |_, n| by("ResourceType", resource_type(rare(n, TYPES)))),
        kind("ResourceName frequent", |_, n| by("ResourceName", resource_name(n % 5))),
        kind("ResourceName rare", |_, n| by("ResourceName", resource_name(rare(n, BUCKETS)))),
        kind("ReadOnly", |_, n| by("ReadOnly", (n % 2 == 0).to_string())),
    ]
}

fn attributes_by_chance() -> Vec<Kind> {
    let absent = |name, key: &'static str| Kind {
        records: Some(0),
        ..kind(name, move |_, n| by(key, format!("nothing-{n}")))
    };
    vec![
        Kind {
            records: Some(1),
            ..kind("EventId", |data, n| by("EventId", some(data, n).id_text()))
        },
        Kind {
            records: Some(0),
            ..kind("EventId absent", |_, n| {
                let id = Made::of(n, trailbox_clock::Micros(0)).id_text();
                by("EventId", format!("ffffffff{}", &id[8..]))
            })
        },
        kind("AccessKeyId of a session", |data, n| by("AccessKeyId", some(data, n).access_key())),
        kind("Username by chance", |data, n| by("Username", user_name(some(data, n).user))),
        kind("ResourceName by chance", |data, n| {
            by("ResourceName", resource_name(some(data, n).bucket))
        }),
        absent("EventName absent", "EventName"),
        absent("EventSource absent", "EventSource"),
        absent("Username absent", "Username"),
        absent("AccessKeyId absent", "AccessKeyId"),
        absent("ResourceType absent", "ResourceType"),
        absent("ResourceName absent", "ResourceName"),
    ]
}

fn times() -> Vec<Kind> {
    vec![
        kind("Username frequent, oldest third", |data, n| {
            let (start, end) = oldest(data);
            within(by("Username", user_name(n % 5)), start, end)
        }),
        kind("Username rare, oldest third", |data, n| {
            let (start, end) = oldest(data);
            within(by("Username", user_name(rare(n, USERS))), start, end)
        }),
        kind("Username, a minute somewhere", |data, n| {
            let (start, end) = a_minute(data, n);
            within(by("Username", user_name(n % 50)), start, end)
        }),
        Kind {
            pages: 40,
            ..kind("EventName frequent, page 41", |_, n| by("EventName", event_name(n % 5)))
        },
        Kind {
            pages: 5,
            ..kind("Username rare, page 6", |_, n| by("Username", user_name(rare(n, USERS))))
        },
    ]
}

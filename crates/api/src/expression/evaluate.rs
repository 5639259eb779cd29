//! Counting records.

use super::{Amount, Assertion, Condition, Count, Literal, Test};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use trailbox_history::Hit;

/// Records shown with a count that was not as asserted.
const NEAREST_MAX: usize = 5;
/// Call names shown when nothing resembles the counted call.
const CALLS_MAX: usize = 10;

/// `eventSource` of what Trailbox records about itself and its admin API. It is
/// counted only when it is named: `count(*, errorCode) == 0` is about the calls
/// under test, not about an assertion that was misspelt before.
const OURS: &str = "trailbox";

/// Short names for fields that have a long one, tried behind `requestParameters`.
const ALIASES: [(&str, &str); 9] = [
    ("bucket", "requestParameters.bucketName"),
    ("error", "errorCode"),
    ("source", "eventSource"),
    ("ip", "sourceIPAddress"),
    ("region", "awsRegion"),
    ("account", "recipientAccountId"),
    ("arn", "userIdentity.arn"),
    ("accessKeyId", "userIdentity.accessKeyId"),
    ("event", "eventName"),
];

/// Counts of one assertion while records go by.
#[derive(Debug)]
pub(crate) struct Tally<'a> {
    assertion: &'a Assertion,
    counts: Vec<CountTally<'a>>,
    calls: BTreeMap<String, u64>,
    now_seconds: i64,
}

#[derive(Debug)]
struct CountTally<'a> {
    count: &'a Count,
    found: u64,
    /// Records of the counted call that fail a condition: conditions met, the first broken one, the record.
    nearest: Vec<Near<'a>>,
}

#[derive(Debug)]
struct Near<'a> {
    met: usize,
    broken: &'a Condition,
    record: Map<String, Value>,
}

/// What became of one assertion.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) holds: bool,
    /// The JSON of `/api/v1/count`, without the assertion's text.
    pub(crate) told: Value,
}

impl<'a> Tally<'a> {
    /// Begins at nothing; `now_seconds` is what `last 5m` counts back from.
    pub(crate) fn new(assertion: &'a Assertion, now_seconds: i64) -> Self {
        let start = |count| CountTally { count, found: 0, nearest: Vec::new() };
        let counts = assertion.counts().map(start).collect();
        Self { assertion, counts, calls: BTreeMap::new(), now_seconds }
    }

    /// Looks at one record. Newest first, so the nearest records are the newest ones.
    pub(crate) fn see(&mut self, hit: &Hit) {
        let service = service_of(&hit.view.event_source);
        if service != OURS {
            let call = format!("{service}:{}", hit.view.event_name);
            *self.calls.entry(call).or_default() += 1;
        }
        let age = self.now_seconds - hit.view.event_time.seconds();
        let mut record: Option<Map<String, Value>> = None;
        for tally in &mut self.counts {
            let young =
                tally.count.last_seconds.is_none_or(|last| age <= last.cast_signed().max(0));
            if young && is_call(tally.count, service, &hit.view.event_name) {
                let record = record
                    .get_or_insert_with(|| serde_json::from_slice(&hit.json).unwrap_or_default());
                tally.see(record);
            }
        }
    }

    /// Whether the assertion holds for what was seen.
    pub(crate) fn verdict(self) -> Verdict {
        let mut found = self.counts.iter().map(|tally| tally.found);
        let mut amount = |amount: &Amount| match amount {
            Amount::Number(number) => *number,
            Amount::Count(_) => found.next().unwrap_or(0),
        };
        let mut holds = true;
        for comparison in &self.assertion.comparisons {
            let (left, right) = (amount(&comparison.left), amount(&comparison.right));
            holds &= comparison.relation.holds(left, right);
        }
        let counts: Vec<Value> = self.counts.iter().map(|tally| tally.told(!holds)).collect();
        let mut told = json!({ "holds": holds, "counts": counts });
        let nothing_near = self.counts.iter().all(|it| it.found == 0 && it.nearest.is_empty());
        if !holds && nothing_near {
            told["calls"] = json!(most_frequent(self.calls));
        }
        Verdict { holds, told }
    }
}

fn most_frequent(calls: BTreeMap<String, u64>) -> Vec<Value> {
    let mut calls: Vec<(String, u64)> = calls.into_iter().collect();
    calls.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let calls = calls.into_iter().take(CALLS_MAX);
    calls.map(|(call, count)| json!({ "call": call, "count": count })).collect()
}

impl CountTally<'_> {
    fn see(&mut self, record: &Map<String, Value>) {
        let broken = |condition: &&Condition| !holds(record, condition);
        let Some(first) = self.count.conditions.iter().find(broken) else {
            self.found += 1;
            return;
        };
        let met = self.count.conditions.iter().filter(|it| holds(record, it)).count();
        let least = self.nearest.last().map_or(0, |near| near.met);
        if self.nearest.len() < NEAREST_MAX || least < met {
            self.nearest.push(Near { met, broken: first, record: record.clone() });
            self.nearest.sort_by_key(|near| std::cmp::Reverse(near.met));
            self.nearest.truncate(NEAREST_MAX);
        }
    }

    fn told(&self, with_nearest: bool) -> Value {
        let mut told = json!({ "text": self.count.text, "found": self.found });
        if with_nearest {
            let near = |near: &Near<'_>| {
                json!({
                    "broken": near.broken.text,
                    "is": resolve(&near.record, &near.broken.field),
                    "record": near.record,
                })
            };
            told["nearest"] = Value::Array(self.nearest.iter().map(near).collect());
        }
        told
    }
}

/// `s3` of `s3.amazonaws.com`.
fn service_of(event_source: &str) -> &str {
    event_source.strip_suffix(".amazonaws.com").unwrap_or(event_source)
}

/// Whether a record is of the counted call. `CreateFunction20150331v2` is also
/// `CreateFunction`: some services write the API version behind the name.
fn is_call(count: &Count, service: &str, name: &str) -> bool {
    let of_service =
        if service == OURS { count.service == OURS } else { glob(&count.service, service) };
    of_service && (glob(&count.operation, name) || glob(&count.operation, unversioned(name)))
}

fn unversioned(name: &str) -> &str {
    let version = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == 'v' || c == '_');
    let tail = &name[version.len()..];
    if tail.bytes().filter(u8::is_ascii_digit).count() < 8 { name } else { version }
}

/// Whether `text` fits `pattern`, where `*` is any characters and `?` one.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            Some(_) | None => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

fn holds(record: &Map<String, Value>, condition: &Condition) -> bool {
    let value = resolve(record, &condition.field);
    match &condition.test {
        Test::Present => !value.is_null(),
        Test::Absent => value.is_null(),
        Test::Equals(literal) => any(value, &|value| equals(value, literal)),
        Test::Differs(literal) => !any(value, &|value| equals(value, literal)),
        Test::Matches(pattern) => {
            any(value, &|value| text_of(value).is_some_and(|text| pattern.is_match(&text)))
        }
    }
}

/// Whether `test` holds for the value or, of a list, for one of its items.
fn any(value: &Value, test: &dyn Fn(&Value) -> bool) -> bool {
    test(value) || value.as_array().is_some_and(|items| items.iter().any(test))
}

fn equals(value: &Value, literal: &Literal) -> bool {
    match literal {
        Literal::Null => value.is_null(),
        Literal::Text(text) => text_of(value).is_some_and(|held| held == *text),
        Literal::Bool(flag) => {
            value.as_bool() == Some(*flag)
                || value.as_str() == Some(if *flag { "true" } else { "false" })
        }
        Literal::Number(number) => {
            let held = value.as_f64().or_else(|| value.as_str()?.parse().ok());
            held.is_some_and(|held| held.total_cmp(number).is_eq())
        }
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The value of a field: in `requestParameters` first, then in the record,
/// then under a longer name, then in `responseElements`.
fn resolve<'a>(record: &'a Map<String, Value>, field: &[String]) -> &'a Value {
    let whole = |path: &str| {
        let mut parts: Vec<String> = path.split('.').map(str::to_owned).collect();
        parts.extend_from_slice(&field[1..]);
        parts
    };
    let alias = ALIASES.iter().find(|(short, _)| *short == field[0]).map(|(_, long)| whole(long));
    let inside = |name: &str| record.get(name).and_then(|value| walk(value, field));
    let top = record.get(&field[0]).and_then(|value| walk(value, &field[1..]));
    let aliased = || {
        let alias = alias?;
        walk(record.get(&alias[0])?, &alias[1..])
    };
    inside("requestParameters")
        .or(top)
        .or_else(aliased)
        .or_else(|| inside("responseElements"))
        .unwrap_or(&Value::Null)
}

fn walk<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    let mut value = value;
    for name in path {
        value = match value {
            Value::Object(members) => members.get(name)?,
            Value::Array(items) => items.get(name.parse::<usize>().ok()?)?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
        };
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::{Tally, glob, unversioned};
    use crate::expression::Assertion;
    use bytes::Bytes;
    use serde_json::{Value, json};
    use trailbox_history::Hit;
    use trailbox_record::lookup;

    fn hit(name: &str, parameters: Value, more: Value) -> Hit {
        let mut record = json!({
            "eventVersion": "1.11",
            "userIdentity": {"type": "IAMUser", "userName": "alice", "accountId": "1"},
            "eventTime": "2026-11-22T18:00:00Z",
            "eventSource": "s3.amazonaws.com",
            "eventName": name,
            "awsRegion": "us-east-1",
            "sourceIPAddress": "127.0.0.1",
            "requestParameters": parameters,
            "responseElements": null,
            "eventID": "c0ffee00-0000-4000-8000-00000000abcd",
            "readOnly": false,
            "eventType": "AwsApiCall",
            "managementEvent": false,
            "recipientAccountId": "111122223333",
            "eventCategory": "Data",
        });
        for (name, value) in more.as_object().unwrap() {
            record[name] = value.clone();
        }
        let json = Bytes::from(record.to_string());
        Hit { view: lookup::view(&json).unwrap(), json, sequence: 1 }
    }

    fn records() -> Vec<Hit> {
        vec![
            hit("PutObject", json!({"bucketName": "out", "key": "a", "size": 5}), json!({})),
            hit(
                "PutObject",
                json!({"bucketName": "in", "key": "b"}),
                json!({"errorCode": "AccessDenied"}),
            ),
            hit("DeleteObjects", json!({"bucketName": "out", "keys": ["x", "y"]}), json!({})),
            hit(
                "CountRecords",
                json!({}),
                json!({"eventSource": "trailbox", "errorCode": "ValidationException"}),
            ),
            hit(
                "CreateFunction20150331v2",
                json!({"functionName": "f"}),
                json!({"eventSource": "lambda.amazonaws.com"}),
            ),
        ]
    }

    fn verdict(text: &str) -> super::Verdict {
        let assertion = Assertion::parse(text).unwrap();
        let mut tally = Tally::new(&assertion, 1_795_370_400);
        for hit in &records() {
            tally.see(hit);
        }
        tally.verdict()
    }

    #[test]
    fn assertions_hold_or_do_not() {
        let cases = [
            (r#"count(s3:PutObject, bucket=="out") == 1"#, true),
            (r#"count(s3:PutObject, bucketName=="out", key != "a") == 0"#, true),
            ("count(s3:*) == 3", true),
            ("count(trailbox:Count*) == 1", true),
            ("count(*) == 4 && count(*, errorCode) == 1", true),
            (r#"count(*, error == "AccessDenied") < 1"#, false),
            ("count(PutObject, !errorCode) == 1", true),
            (r#"count(*, keys == "y") == 1"#, true),
            (r#"count(*, userIdentity.userName =~ "^al") == 4"#, true),
            ("count(*, size == 5) == 1", true),
            ("count(lambda:CreateFunction) == 1", true),
            ("count(s3:PutObject) > count(s3:DeleteObjects)", true),
            ("count(s3:PutObject, requestParameters.key == \"b\") == 1", true),
            ("count(*, last 1s) == 0", false),
        ];
        for (text, want) in cases {
            let verdict = verdict(text);
            assert_eq!(verdict.holds, want, "{text}: {}", verdict.told);
        }
    }

    #[test]
    fn a_failure_shows_the_nearest_records_and_what_differs() {
        let told = verdict(r#"count(s3:PutObject, bucket=="out", key=="z") == 1"#).told;
        let nearest = told["counts"][0]["nearest"].as_array().unwrap();
        assert_eq!(nearest.len(), 2);
        assert_eq!(nearest[0]["broken"], r#"key=="z""#);
        assert_eq!(nearest[0]["is"], "a");
        assert_eq!(nearest[0]["record"]["requestParameters"]["bucketName"], "out");
    }

    #[test]
    fn when_nothing_is_near_the_calls_that_were_seen_are_told() {
        let told = verdict("count(s3:GetObject) == 1").told;
        assert_eq!(told["calls"][0], json!({"call": "s3:PutObject", "count": 2}));
    }

    #[test]
    fn stars_and_question_marks_fit_as_in_a_shell() {
        let cases = [
            ("*", "", true),
            ("Put*", "PutObject", true),
            ("*Object", "PutObjects", false),
            ("P?t*t", "PutObject", true),
            ("a*b*c", "aXbXbc", true),
            ("", "a", false),
        ];
        for (pattern, text, want) in cases {
            assert_eq!(glob(pattern, text), want, "{pattern} {text}");
        }
        assert_eq!(unversioned("CreateFunction20150331v2"), "CreateFunction");
        assert_eq!(unversioned("ListObjectsV2"), "ListObjectsV2");
    }
}

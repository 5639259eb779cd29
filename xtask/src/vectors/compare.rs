//! Field by field: what was expected, what was recorded, and where they part.
//!
//! Three normalisations, those of spec/gateway.md 1: `1.0` is `1`, the two Java
//! forms of a moment are one, and empty `requestParameters` are null.

use super::exchange::Exchange;
use serde_json::Value;

/// Fields every vector is compared on; absent means null.
const ALWAYS: [&str; 8] = [
    "eventSource",
    "eventName",
    "readOnly",
    "requestParameters",
    "responseElements",
    "errorCode",
    "errorMessage",
    "resources",
];

/// Fields compared where the original has them.
const WHERE_PRESENT: [&str; 6] =
    ["awsRegion", "managementEvent", "eventCategory", "requestID", "userAgent", "tlsDetails"];

/// One compared field.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) field: String,
    /// Where expected and recorded part, when they do.
    pub(super) miss: Option<String>,
}

/// The outcome of every field that the exchange expects.
pub(super) fn fields(exchange: &Exchange, record: &Value) -> Vec<Outcome> {
    if exchange.by_hand() {
        return exchange.expected.iter().map(|(path, want)| by_path(record, path, want)).collect();
    }
    let expected = &exchange.expected;
    let mut outcomes: Vec<Outcome> = ALWAYS
        .iter()
        .map(|field| outcome(field, expected.get(*field).unwrap_or(&Value::Null), &record[*field]))
        .collect();
    for field in WHERE_PRESENT {
        if let Some(want) = expected.get(field) {
            outcomes.push(outcome(field, want, &record[field]));
        }
    }
    if let Some(want) = expected.get("additionalEventData").and_then(Value::as_object) {
        // Sizes are those of re-created bodies; what we add beyond AWS is ours.
        let misses: Vec<String> = want
            .iter()
            .filter(|(name, _)| !name.starts_with("bytesTransferred"))
            .filter_map(|(name, value)| {
                difference(name, value, &record["additionalEventData"][name.as_str()])
            })
            .collect();
        let miss = misses.into_iter().next();
        outcomes.push(Outcome { field: "additionalEventData".to_owned(), miss });
    }
    if let Some(want) = expected.get("userIdentity").and_then(|who| who.get("accessKeyId")) {
        let got = &record["userIdentity"]["accessKeyId"];
        outcomes.push(outcome("userIdentity.accessKeyId", want, got));
    }
    outcomes
}

fn outcome(field: &str, want: &Value, got: &Value) -> Outcome {
    let empty = |value: &Value| value.as_object().is_some_and(serde_json::Map::is_empty);
    let null = &Value::Null;
    let (want, got) = if field == "requestParameters" {
        (if empty(want) { null } else { want }, if empty(got) { null } else { got })
    } else {
        (want, got)
    };
    Outcome { field: field.to_owned(), miss: difference("", want, got) }
}

/// A field of a hand-written case: `a.b.0.c`, or a field whose own name has dots.
fn by_path(record: &Value, path: &str, want: &Value) -> Outcome {
    let path_or_alias = if path == "accessKeyId" { "userIdentity.accessKeyId" } else { path };
    let got = path_or_alias.split('.').try_fold(record, |value, part| {
        part.parse::<usize>().ok().and_then(|at| value.get(at)).or_else(|| value.get(part))
    });
    let got = got.unwrap_or(&Value::Null);
    Outcome { field: path.to_owned(), miss: difference("", want, got) }
}

/// Where two values part first, with both sides cut; `None` when they are equal.
fn difference(path: &str, want: &Value, got: &Value) -> Option<String> {
    match (want, got) {
        (Value::Object(wanted), Value::Object(held)) => {
            let missing = wanted.iter().find_map(|(name, value)| {
                difference(&join(path, name), value, held.get(name).unwrap_or(&Value::Null))
            });
            missing.or_else(|| {
                let (name, value) = held
                    .iter()
                    .find(|(name, value)| !wanted.contains_key(*name) && !value.is_null())?;
                Some(format!("{}: not expected, got {}", join(path, name), cut(value)))
            })
        }
        (Value::Array(wanted), Value::Array(held)) if wanted.len() == held.len() => wanted
            .iter()
            .zip(held)
            .enumerate()
            .find_map(|(at, (want, got))| difference(&join(path, &at.to_string()), want, got)),
        _ if same_leaf(want, got) => None,
        _ => Some(format!("{path}: expected {}, got {}", cut(want), cut(got))),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn same_leaf(want: &Value, got: &Value) -> bool {
    match (want, got) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::String(a), Value::String(b)) => {
            a == b || java_moment(a).is_some_and(|moment| java_moment(b) == Some(moment))
        }
        _ => want == got,
    }
}

/// `Jul 3, 2023, 1:02:03 PM` and `Jul 3, 2023 1:02:03 PM`, in one form.
fn java_moment(text: &str) -> Option<Vec<String>> {
    let words: Vec<String> =
        text.split([' ', '\u{202f}']).map(|word| word.trim_end_matches(',').to_owned()).collect();
    let shaped = words.len() == 5
        && words[0].len() == 3
        && words[2].parse::<u16>().is_ok()
        && words[3].matches(':').count() == 2
        && matches!(words[4].as_str(), "AM" | "PM");
    shaped.then_some(words)
}

/// A value in at most 120 characters.
fn cut(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::difference;
    use serde_json::json;

    #[test]
    fn the_named_normalisations_hold_and_no_others() {
        let equal = [
            (json!(1.0), json!(1)),
            (json!("Jul 3, 2023, 1:02:03 PM"), json!("Jul 3, 2023 1:02:03 PM")),
            (json!({"a": null}), json!({})),
        ];
        for (want, got) in equal {
            assert_eq!(difference("", &want, &got), None, "{want} {got}");
        }
        let unequal = [
            (json!("1"), json!(1)),
            (json!("a, b"), json!("a b")),
            (json!([1, 2]), json!([1])),
            (json!({}), json!({"a": 1})),
            (json!({"a": {"b": 1}}), json!({"a": {"b": 2}})),
        ];
        for (want, got) in unequal {
            assert!(difference("", &want, &got).is_some(), "{want} {got}");
        }
    }
}

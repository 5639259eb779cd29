//! XML as JSON the way `org.json.XML` does it, which S3 and EC2 records show.
//!
//! Attributes and children become keys, repeated children an array, an empty
//! element the empty string, and text that looks like a number or a boolean
//! becomes one.

use crate::secrets;
use serde_json::{Map, Value};
use trailbox_service_facts::decode::Element;

/// Decides what stands in place of an element, by the names on the way to it.
pub(crate) trait Censor: Copy {
    /// The replacement for this element, if it must not be shown.
    fn replace(self, element: &Element) -> Option<Value>;
    /// The censor for what is within `element`.
    #[must_use]
    fn within(self, element: &Element) -> Self;
}

/// Knows secrets by their names only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByName;

impl Censor for ByName {
    fn replace(self, element: &Element) -> Option<Value> {
        let secret = element.children.is_empty() && secrets::names_a_secret(element.local());
        secret.then(|| Value::from(secrets::HIDDEN))
    }

    fn within(self, _element: &Element) -> Self {
        self
    }
}

/// The value of an element.
pub(crate) fn value(element: &Element, censor: impl Censor) -> Value {
    if element.children.is_empty() && element.attributes.is_empty() {
        return match element.text.trim() {
            "" => Value::from(""),
            text => coerce(text),
        };
    }
    let mut object = Map::new();
    for (name, text) in &element.attributes {
        object.insert(name.clone(), coerce(text));
    }
    for child in &element.children {
        let rendered = censor.replace(child).unwrap_or_else(|| value(child, censor.within(child)));
        add(&mut object, child.local(), rendered);
    }
    let text = element.text.trim();
    if element.children.is_empty() && !text.is_empty() {
        object.insert("content".to_owned(), coerce(text));
    }
    Value::Object(object)
}

/// Adds a value; the second of a name makes an array of both.
pub(crate) fn add(object: &mut Map<String, Value>, name: &str, value: Value) {
    match object.get_mut(name) {
        Some(Value::Array(held)) => held.push(value),
        Some(held) => {
            let first = held.take();
            *held = Value::Array(vec![first, value]);
        }
        None => {
            object.insert(name.to_owned(), value);
        }
    }
}

/// `org.json.XML.stringToValue`.
pub(crate) fn coerce(text: &str) -> Value {
    if text.eq_ignore_ascii_case("true") {
        return Value::Bool(true);
    }
    if text.eq_ignore_ascii_case("false") {
        return Value::Bool(false);
    }
    if text.eq_ignore_ascii_case("null") {
        return Value::Null;
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    if !numeric || text.len() > 40 {
        return Value::from(text);
    }
    if text.contains(['.', 'e', 'E']) || text == "-0" {
        return match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Value::from(number),
            _ => Value::from(text),
        };
    }
    match text.parse::<i64>() {
        Ok(number) if number.to_string() == text => Value::from(number),
        _ => Value::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::{ByName, coerce, value};
    use serde_json::json;
    use trailbox_service_facts::decode::parse_xml;

    #[test]
    fn text_that_looks_like_a_value_becomes_one() {
        let cases = [
            ("true", json!(true)),
            ("17", json!(17)),
            ("-1", json!(-1)),
            ("1.50", json!(1.5)),
            ("007", json!("007")),
            ("123123123123", json!(123_123_123_123_i64)),
            ("10.0.0.0/16", json!("10.0.0.0/16")),
            ("2016-11-15", json!("2016-11-15")),
            ("99999999999999999999", json!("99999999999999999999")),
            ("1e999", json!("1e999")),
            ("-", json!("-")),
        ];
        for (text, want) in cases {
            assert_eq!(coerce(text), want, "{text}");
        }
    }

    #[test]
    fn elements_become_objects_arrays_and_empty_strings() {
        let xml = br#"<T xmlns="u"><S><Tag><K>a</K><V>true</V></Tag><Tag><K>b</K></Tag></S>
            <E/><G xsi:type="x">7</G><Password>hunter2</Password></T>"#;
        let want = json!({
            "xmlns": "u",
            "S": {"Tag": [{"K": "a", "V": true}, {"K": "b"}]},
            "E": "",
            "G": {"xsi:type": "x", "content": 7},
            "Password": "HIDDEN_DUE_TO_SECURITY_REASONS",
        });
        assert_eq!(value(&parse_xml(xml).unwrap(), ByName), want);
    }
}

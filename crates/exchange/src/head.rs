//! Heads of requests and responses.

use crate::query::decode_pairs;
use bytes::Bytes;
use std::borrow::Cow;

/// Header fields in the order and spelling of the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Bytes, Bytes)>);

impl Headers {
    /// No fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field behind the others.
    pub fn push(&mut self, name: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.0.push((name.into(), value.into()));
    }

    /// The first field of that name, whatever its case, if it is UTF-8.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(held, _)| held.eq_ignore_ascii_case(name.as_bytes()))
            .and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// The first field of that name as text, what is not UTF-8 replaced: for
    /// people to read, never to decide by.
    #[must_use]
    pub fn shown(&self, name: &str) -> Option<Cow<'_, str>> {
        self.0
            .iter()
            .find(|(held, _)| held.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| String::from_utf8_lossy(value))
    }

    /// Every field of that name that is UTF-8, in order.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(|(held, _)| held.eq_ignore_ascii_case(name.as_bytes()))
            .filter_map(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// Whether a field of that name exists, readable or not.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(held, _)| held.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// All fields as they came.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (&name[..], &value[..]))
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<Bytes>, V: Into<Bytes>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// What a client asked, before its body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestHead {
    /// `GET`, `PUT`, …, as sent.
    pub method: String,
    /// Path and query exactly as sent; never decoded, never normalised.
    pub target: String,
    /// Header fields.
    pub headers: Headers,
}

impl RequestHead {
    /// The path as sent, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    /// The query as sent, without the question mark; empty when there is none.
    #[must_use]
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The query's names and values, percent-decoded, `+` read as a space.
    #[must_use]
    pub fn query_pairs(&self) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
        decode_pairs(self.query())
    }

    /// The first query value of that exact name, decoded.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.query_pairs().into_iter().find(|(held, _)| held == name).map(|(_, value)| value)
    }

    /// `Host` as sent, port included; empty when there is none.
    #[must_use]
    pub fn host(&self) -> &str {
        self.headers.get("host").unwrap_or("")
    }
}

/// What was answered, before its body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status code.
    pub status: u16,
    /// Header fields.
    pub headers: Headers,
}

#[cfg(test)]
mod tests {
    use super::{Headers, RequestHead};

    #[test]
    fn fields_keep_their_order_and_are_found_in_any_case() {
        let headers: Headers = [("B", "1"), ("a", "2"), ("b", "3")].into_iter().collect();
        assert_eq!(headers.get("b"), Some("1"));
        assert_eq!(headers.get_all("B").collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(headers.iter().map(|(n, _)| n[0]).collect::<Vec<_>>(), b"Bab");
    }

    #[test]
    fn a_target_falls_into_path_and_query() {
        let head =
            RequestHead { target: "/b/a%20b?list-type=2&k=x+y".into(), ..Default::default() };
        assert_eq!(head.path(), "/b/a%20b");
        assert_eq!(head.query_value("k").as_deref(), Some("x y"));
        assert_eq!(head.query_value("absent"), None);
    }
}

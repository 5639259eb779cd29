//! The canonical request: what both sides hash.
//!
//! A client may write a path or query in other characters than the ones it
//! signed (`a b`, `a+b`, `a%20b`). The bytes on the wire are tried first; the
//! normal form of the same meaning is tried when they do not fit.

use percent_encoding::percent_decode;
use std::fmt::Write as _;
use trailbox_exchange::{Headers, RequestHead};

/// Whether a service signs its path as it is: one encoding, no normalisation.
///
/// Source: S3 API Reference, "Do not normalize URI paths for requests to Amazon S3".
pub(crate) fn is_s3(service: &str) -> bool {
    matches!(service, "s3" | "s3express" | "s3-outposts" | "s3-object-lambda")
}

/// The paths a client may have signed when it sent `path`, likeliest first.
pub(crate) fn paths(path: &str, service: &str) -> Vec<String> {
    let path = if path.is_empty() { "/" } else { path };
    let (first, second) = if is_s3(service) {
        (path.to_owned(), re_encode_segments(path))
    } else {
        (encode_path(&normalise(path)), encode_path(path))
    };
    if first == second { vec![first] } else { vec![first, second] }
}

/// The query strings a client may have signed when it sent `query`, likeliest first.
pub(crate) fn queries(query: &str, presigned: bool) -> Vec<String> {
    let pairs: Vec<(&str, &str)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(name, _)| !(presigned && *name == "X-Amz-Signature"))
        .collect();
    let raw = joined(pairs.clone());
    let encoded: Vec<(String, String)> =
        pairs.iter().map(|(name, value)| (re_encode_query(name), re_encode_query(value))).collect();
    let normal = joined(encoded.iter().map(|(name, value)| (&**name, &**value)).collect());
    if raw == normal { vec![raw] } else { vec![normal, raw] }
}

fn joined(mut pairs: Vec<(&str, &str)>) -> String {
    pairs.sort_unstable();
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    text
}

/// One canonical request over the given path and query.
///
/// `None` when a signed header is not there.
pub(crate) fn request(
    head: &RequestHead,
    path: &str,
    query: &str,
    headers: &[u8],
    names: &str,
    payload: &str,
) -> Vec<u8> {
    let mut text = Vec::with_capacity(
        head.method.len() + path.len() + query.len() + headers.len() + names.len() + payload.len(),
    );
    for line in [head.method.as_bytes(), path.as_bytes(), query.as_bytes(), headers] {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(names.as_bytes());
    text.push(b'\n');
    text.extend_from_slice(payload.as_bytes());
    text
}

/// `name:value` lines of the signed headers, in the order given.
///
/// # Errors
///
/// The first name that no field carries.
pub(crate) fn header_lines(headers: &Headers, names: &[String]) -> Result<Vec<u8>, String> {
    let mut text = Vec::with_capacity(names.len() * 48);
    for name in names {
        text.extend_from_slice(name.as_bytes());
        text.push(b':');
        let mut found = false;
        for (held, value) in headers.iter() {
            if held.eq_ignore_ascii_case(name.as_bytes()) {
                if found {
                    text.push(b',');
                }
                found = true;
                push_trimmed(&mut text, value);
            }
        }
        if !found {
            return Err(name.clone());
        }
        text.push(b'\n');
    }
    Ok(text)
}

/// Without space at the ends, runs of white space as one space.
fn push_trimmed(text: &mut Vec<u8>, value: &[u8]) {
    let words = value.split(|b| b" \t".contains(b)).filter(|word| !word.is_empty());
    for (place, word) in words.enumerate() {
        if place > 0 {
            text.push(b' ');
        }
        text.extend_from_slice(word);
    }
}

/// Removes `.` and `..` segments and empty ones, as every service but S3 signs.
fn normalise(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    let end = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}

/// Percent-encodes the path as sent once more, slashes kept.
pub(crate) fn encode_path(path: &str) -> String {
    encode(path.as_bytes(), true)
}

/// Decodes and encodes each segment; `%2F` stays apart from `/`.
fn re_encode_segments(path: &str) -> String {
    let segments: Vec<String> = path
        .split('/')
        .map(|segment| {
            let bytes: Vec<u8> = percent_decode(segment.as_bytes()).collect();
            encode(&bytes, false)
        })
        .collect();
    segments.join("/")
}

/// Decodes, `+` read as a space, and encodes.
fn re_encode_query(text: &str) -> String {
    let spaced = text.replace('+', " ");
    let bytes: Vec<u8> = percent_decode(spaced.as_bytes()).collect();
    encode(&bytes, false)
}

/// Percent-encodes everything but `A-Z a-z 0-9 - . _ ~`, upper-case digits.
///
/// Source: IAM User Guide, "Create a signed AWS API request", `UriEncode`.
pub(crate) fn encode(bytes: &[u8], keep_slash: bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (keep_slash && byte == b'/') {
            text.push(byte.into());
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{header_lines, paths, queries};
    use trailbox_exchange::Headers;

    #[test]
    fn s3_signs_the_path_as_it_is_and_others_normalise_and_encode_twice() {
        let cases: [(&str, &str, &[&str]); 10] = [
            ("/b//a/../k", "s3", &["/b//a/../k"]),
            ("/b/a b", "s3", &["/b/a b", "/b/a%20b"]),
            ("/b/a%2fb", "s3", &["/b/a%2fb", "/b/a%2Fb"]),
            ("", "s3", &["/"]),
            ("", "sts", &["/"]),
            ("/", "sts", &["/"]),
            ("/a//b/./c/../d/", "es", &["/a/b/d/", "/a//b/./c/../d/"]),
            ("/f/arn%3Aaws", "lambda", &["/f/arn%253Aaws"]),
            ("/..", "es", &["/", "/.."]),
            ("/a:b", "lambda", &["/a%3Ab"]),
        ];
        for (path, service, want) in cases {
            assert_eq!(paths(path, service), want, "{service} {path:?}");
        }
    }

    #[test]
    fn queries_are_sorted_by_name_then_value() {
        let cases: [(&str, &[&str]); 8] = [
            ("", &[""]),
            ("acl", &["acl="]),
            ("b=2&a=1", &["a=1&b=2"]),
            ("a=b&a-b=c&a=a", &["a=a&a=b&a-b=c"]),
            ("a=1+2", &["a=1%202", "a=1+2"]),
            ("p=%2f", &["p=%2F", "p=%2f"]),
            ("a==b", &["a=%3Db", "a==b"]),
            ("k=%E1%88%B4&&X-Amz-Signature=x", &["X-Amz-Signature=x&k=%E1%88%B4"]),
        ];
        for (query, want) in cases {
            assert_eq!(queries(query, false), want, "{query:?}");
        }
        assert_eq!(queries("a=1&X-Amz-Signature=x", true), ["a=1"]);
    }

    #[test]
    fn header_values_are_trimmed_and_joined() {
        let headers: Headers = [("X-A", "  a   b\t c "), ("Host", "h"), ("x-a", "d"), ("x-a", "")]
            .into_iter()
            .collect();
        let names = ["host".to_owned(), "x-a".to_owned()];
        assert_eq!(header_lines(&headers, &names).unwrap(), b"host:h\nx-a:a b c,d,\n");
        assert_eq!(header_lines(&headers, &["x-b".to_owned()]), Err("x-b".into()));
    }
}

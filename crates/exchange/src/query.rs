//! Queries and form bodies: `a=1&b=%20`.

use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// Names and values of `text`, percent-decoded, `+` read as a space.
///
/// A name without `=` has the empty value. Bytes that are not UTF-8 become
/// U+FFFD: the text is for reading, never for signing.
#[must_use]
pub fn decode_pairs(text: &str) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode_form(name), decode_form(value))
        })
        .collect()
}

/// Percent-decodes one path segment or label; `+` stays a plus.
#[must_use]
pub fn decode_component(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

fn decode_form(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
    } else {
        decode_component(text)
    }
}

#[cfg(test)]
mod tests {
    use super::{decode_component, decode_pairs};

    #[test]
    fn pairs_are_decoded_and_bare_names_kept() {
        let pairs = decode_pairs("acl&a=1+2&b=%2B&&c=d=e&%ff=x");
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(pairs, [("acl", ""), ("a", "1 2"), ("b", "+"), ("c", "d=e"), ("\u{fffd}", "x")]);
    }

    #[test]
    fn a_plus_in_a_path_is_a_plus() {
        assert_eq!(decode_component("a+b%20c"), "a+b c");
    }
}

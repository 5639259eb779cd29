//! What heads of both directions share: where they end, how long the body is.

use super::error::HeadError;
use bytes::Bytes;
use trailbox_exchange::Headers;

/// Bounds on a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Largest head, in bytes.
    pub bytes_max: usize,
    /// Most header fields; at most [`HEADERS_CEILING`] count.
    pub headers_max: usize,
}

/// Room for parsed fields: no configured limit reaches beyond it.
pub(super) const HEADERS_CEILING: usize = 256;

impl Default for HeadLimits {
    fn default() -> Self {
        Self { bytes_max: 64 * 1024, headers_max: 128 }
    }
}

/// Where the head at the front of `buffer` ends, or `None` while it has no end.
///
/// Lines end with CR LF and nothing else: peers that read a bare line feed
/// differently would see different requests.
pub(super) fn strict_end(buffer: &[u8], limits: HeadLimits) -> Result<Option<usize>, HeadError> {
    let window = &buffer[..buffer.len().min(limits.bytes_max)];
    for at in memchr::memchr3_iter(b'\r', b'\n', 0, window) {
        let byte = window[at];
        let fits = match byte {
            b'\r' => window.get(at + 1).is_none_or(|next| *next == b'\n'),
            b'\n' => 0 < at && window[at - 1] == b'\r',
            _ => false,
        };
        if !fits {
            return Err(HeadError::StrayByte { byte });
        }
        if byte == b'\n' && window[..at].ends_with(b"\r\n\r") {
            return Ok(Some(at + 1));
        }
    }
    not_ended(buffer, limits)
}

/// The same for answers, which may end lines with a bare line feed.
pub(super) fn lenient_end(buffer: &[u8], limits: HeadLimits) -> Result<Option<usize>, HeadError> {
    let window = &buffer[..buffer.len().min(limits.bytes_max)];
    for at in memchr::memchr_iter(b'\n', window) {
        let rest = &window[at + 1..];
        if rest.starts_with(b"\n") {
            return Ok(Some(at + 2));
        }
        if rest.starts_with(b"\r\n") {
            return Ok(Some(at + 3));
        }
    }
    not_ended(buffer, limits)
}

fn not_ended(buffer: &[u8], limits: HeadLimits) -> Result<Option<usize>, HeadError> {
    if limits.bytes_max <= buffer.len() {
        return Err(HeadError::TooLarge { most: limits.bytes_max });
    }
    Ok(None)
}

/// The parser's fields as slices of `raw`, in order.
pub(super) fn keep_fields(raw: &Bytes, fields: &[httparse::Header<'_>]) -> Headers {
    fields
        .iter()
        .map(|field| (raw.slice_ref(field.name.as_bytes()), raw.slice_ref(field.value)))
        .collect()
}

/// What the parser could not read.
pub(super) fn malformed(error: httparse::Error, limits: HeadLimits) -> HeadError {
    if error == httparse::Error::TooManyHeaders {
        return HeadError::TooManyHeaders { most: limits.headers_max };
    }
    HeadError::Malformed { what: error.to_string() }
}

/// `Content-Length`, if there is one; digits only.
///
/// Two of them are refused even when they agree: no AWS client sends two, and
/// the upstream gets the bytes as they came.
pub(super) fn content_length(headers: &Headers) -> Result<Option<u64>, HeadError> {
    let mut found = None;
    for (name, value) in headers.iter() {
        if name.eq_ignore_ascii_case(b"content_length") {
            // Some servers read it as the field itself.
            return Err(HeadError::Ambiguous { what: "`Content-Length` is written with `_`" });
        }
        if !name.eq_ignore_ascii_case(b"content-length") {
            continue;
        }
        if found.is_some() {
            return Err(HeadError::Ambiguous { what: "`Content-Length` stands twice" });
        }
        let digits = !value.is_empty() && value.len() < 19 && value.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(value).ok().filter(|_| digits);
        let Some(length) = length.and_then(|text| text.parse().ok()) else {
            return Err(HeadError::Ambiguous { what: "`Content-Length` is not a number" });
        };
        found = Some(length);
    }
    Ok(found)
}

/// Whether any `Connection` field lists `token`.
pub(super) fn connection_says(headers: &Headers, token: &str) -> bool {
    headers
        .get_all("connection")
        .flat_map(|value| value.split(','))
        .any(|held| held.trim().eq_ignore_ascii_case(token))
}

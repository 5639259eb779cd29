//! Heads from one HTTP to the other.
//!
//! Names and values pass verbatim, so what was signed still is; only what speaks
//! of one connection is left out, and `:authority` is `Host`.

use super::Broken;
use crate::wire::{RequestIn, ResponseIn};
use http::header::{CONTENT_LENGTH, COOKIE, HOST, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, request, response};
use trailbox_exchange::Headers;

/// Fields of one connection, not of the message (RFC 9113, 8.2.2).
const OF_CONNECTION: [&str; 5] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
/// Fields a trailer must not have: some readers would believe them.
const NOT_IN_TRAILER: [&str; 3] = ["content-length", "host", "trailer"];

/// A head in HTTP/1.1, and how its body is to be written behind it.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) text: Vec<u8>,
    /// In chunks, for want of a length.
    pub(super) chunked: bool,
}

/// A request's head as HTTP/1.1 says it. `ended`: no body follows.
pub(super) fn request_text(parts: &request::Parts, ended: bool) -> Written {
    let target = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut text = Vec::with_capacity(1024);
    for piece in [parts.method.as_str(), " ", target, " HTTP/1.1\r\n"] {
        text.extend_from_slice(piece.as_bytes());
    }
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    if let Some(authority) = authority {
        field(&mut text, b"host", authority);
    }
    for host in parts.headers.get_all(HOST) {
        // Another one than `:authority` is left for the pipeline to refuse.
        if authority != Some(host.as_bytes()) {
            field(&mut text, b"host", host.as_bytes());
        }
    }
    for (name, value) in &parts.headers {
        if *name != HOST && *name != COOKIE && !OF_CONNECTION.contains(&name.as_str()) {
            field(&mut text, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    let crumbs: Vec<&[u8]> =
        parts.headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if !crumbs.is_empty() {
        field(&mut text, b"cookie", &crumbs.join(&b"; "[..]));
    }
    let unsized_body = !parts.headers.contains_key(CONTENT_LENGTH);
    let expected = [Method::POST, Method::PUT, Method::PATCH].contains(&parts.method);
    let chunked = unsized_body && !ended;
    if chunked {
        field(&mut text, b"transfer-encoding", b"chunked");
    } else if unsized_body && expected {
        // Servers of HTTP/1.1 may insist on it.
        field(&mut text, b"content-length", b"0");
    }
    text.extend_from_slice(b"\r\n");
    Written { text, chunked }
}

/// A request's head as HTTP/2 says it. `tls`: the scheme is `https`.
pub(super) fn request(head: &RequestIn, tls: bool) -> Result<http::Request<()>, Broken> {
    let uri = http::Uri::builder()
        .scheme(if tls { "https" } else { "http" })
        .authority(head.head.headers.get("host").unwrap_or_default())
        .path_and_query(head.head.target.as_str())
        .build()?;
    let mut request = http::Request::new(());
    *request.method_mut() =
        Method::from_bytes(head.head.method.as_bytes()).map_err(http::Error::from)?;
    *request.uri_mut() = uri;
    *request.version_mut() = http::Version::HTTP_2;
    let mut fields = fields(&head.head.headers)?;
    fields.remove(HOST);
    if fields.get(TE).is_some_and(|te| te != "trailers") {
        fields.remove(TE);
    }
    *request.headers_mut() = fields;
    Ok(request)
}

/// An answer's head as HTTP/1.1 says it. `ended`: no body follows; `to_head`:
/// none may.
pub(super) fn response_text(parts: &response::Parts, ended: bool, to_head: bool) -> Written {
    let mut text = Vec::with_capacity(1024);
    let reason = parts.status.canonical_reason().unwrap_or_default();
    for piece in ["HTTP/1.1 ", parts.status.as_str(), " ", reason, "\r\n"] {
        text.extend_from_slice(piece.as_bytes());
    }
    for (name, value) in &parts.headers {
        if !OF_CONNECTION.contains(&name.as_str()) {
            field(&mut text, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    let code = parts.status.as_u16();
    let bodiless = to_head || matches!(code, 100..200 | 204 | 304);
    let unsized_body = !bodiless && !parts.headers.contains_key(CONTENT_LENGTH);
    let chunked = unsized_body && !ended;
    if chunked {
        field(&mut text, b"transfer-encoding", b"chunked");
    } else if unsized_body {
        field(&mut text, b"content-length", b"0");
    }
    text.extend_from_slice(b"\r\n");
    Written { text, chunked }
}

/// An answer's head as HTTP/2 says it.
pub(super) fn response(head: &ResponseIn) -> Result<http::Response<()>, Broken> {
    let mut answer = http::Response::new(());
    *answer.status_mut() =
        http::StatusCode::from_u16(head.head.status).map_err(http::Error::from)?;
    *answer.headers_mut() = fields(&head.head.headers)?;
    Ok(answer)
}

/// The fields that are of the message.
fn fields(headers: &Headers) -> Result<HeaderMap, Broken> {
    let mut fields = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers.iter() {
        let name = HeaderName::from_bytes(name).map_err(http::Error::from)?;
        let named = || {
            headers
                .get_all("connection")
                .flat_map(|value| value.split(','))
                .any(|named| named.trim().eq_ignore_ascii_case(name.as_str()))
        };
        if OF_CONNECTION.contains(&name.as_str()) || named() {
            continue;
        }
        let value = HeaderValue::from_bytes(value).map_err(http::Error::from)?;
        fields.append(name, value);
    }
    Ok(fields)
}

/// A trailer as the last chunk carries it, with the empty line behind it.
pub(super) fn trailer_text(fields: Option<&HeaderMap>) -> Vec<u8> {
    let mut text = b"0\r\n".to_vec();
    for (name, value) in fields.into_iter().flatten() {
        if may_trail(name.as_str()) {
            field(&mut text, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    text.extend_from_slice(b"\r\n");
    text
}

/// The trailer within the framing behind the last payload byte: line ends, the
/// size of the last chunk, the fields. `None` when it has no field.
pub(super) fn trailer(framing: &[u8]) -> Result<Option<HeaderMap>, Broken> {
    let framing = framing.strip_prefix(b"\r\n").unwrap_or(framing);
    let start = memchr::memchr(b'\n', framing).map_or(framing.len(), |end| end + 1);
    let mut parsed = [httparse::EMPTY_HEADER; 256];
    let parsing = httparse::parse_headers(&framing[start..], &mut parsed);
    let Ok(httparse::Status::Complete((_, parsed))) = parsing else {
        return Err(Broken::Head(crate::wire::HeadError::Malformed {
            what: "its trailer is no list of fields".to_owned(),
        }));
    };
    let mut fields = HeaderMap::new();
    for held in parsed {
        let name = HeaderName::from_bytes(held.name.as_bytes()).map_err(http::Error::from)?;
        if may_trail(name.as_str()) {
            fields.append(name, HeaderValue::from_bytes(held.value).map_err(http::Error::from)?);
        }
    }
    Ok(Some(fields).filter(|fields| !fields.is_empty()))
}

fn may_trail(name: &str) -> bool {
    !OF_CONNECTION.contains(&name) && !NOT_IN_TRAILER.contains(&name)
}

fn field(text: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for piece in [name, b": ", value, b"\r\n"] {
        text.extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::{request, request_text, response_text, trailer, trailer_text};
    use crate::wire::{HeadLimits, parse_request};
    use bytes::BytesMut;
    use http::{Request, Response};

    fn written(request: http::request::Builder, ended: bool) -> String {
        let parts = request.body(()).unwrap().into_parts().0;
        String::from_utf8(request_text(&parts, ended).text).unwrap()
    }

    #[test]
    fn a_request_of_http_2_is_written_as_it_was_said() {
        let get = Request::get("http://h:1//a%2F/?x=%20&x").header("x-a", " 1").header("x-a", "2");
        assert_eq!(
            written(get, true),
            "GET //a%2F/?x=%20&x HTTP/1.1\r\nhost: h:1\r\nx-a:  1\r\nx-a: 2\r\n\r\n"
        );
        let post = || Request::post("http://h/");
        assert!(written(post(), true).ends_with("content-length: 0\r\n\r\n"));
        assert!(written(post(), false).ends_with("transfer-encoding: chunked\r\n\r\n"));
        let sized = written(post().header("content-length", "3"), false);
        assert!(sized.ends_with("content-length: 3\r\n\r\n"));
        assert_eq!(written(post().header("host", "h"), true).matches("host: h\r\n").count(), 1);
        assert_eq!(written(post().header("host", "i"), true).matches("host: ").count(), 2);
    }

    #[test]
    fn what_speaks_of_one_connection_does_not_pass() {
        let mut raw = BytesMut::from(
            "GET /a?b HTTP/1.1\r\nHost: h:1\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\n\
             Keep-Alive: 5\r\nTE: gzip\r\nX-Other: 2\r\n\r\n",
        );
        let head = parse_request(&mut raw, HeadLimits::default()).unwrap().unwrap();
        let said = request(&head, true).unwrap();
        assert_eq!(said.uri(), "https://h:1/a?b");
        let names: Vec<_> = said.headers().keys().map(http::HeaderName::as_str).collect();
        assert_eq!(names, ["x-other"]);
    }

    #[test]
    fn an_answer_of_http_2_has_a_frame_of_http_1() {
        let text = |status: u16, ended, to_head| {
            let parts = Response::builder().status(status).body(()).unwrap().into_parts().0;
            String::from_utf8(response_text(&parts, ended, to_head).text).unwrap()
        };
        assert_eq!(
            text(200, false, false),
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        assert_eq!(text(404, true, false), "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(text(200, false, true), "HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!(text(304, true, false), "HTTP/1.1 304 Not Modified\r\n\r\n");
        assert_eq!(text(799, true, true), "HTTP/1.1 799 \r\n\r\n");
    }

    #[test]
    fn a_trailer_is_found_behind_the_last_chunk_and_carries_no_framing() {
        let found =
            trailer(b"\r\n0;x=y\r\nX-Sum: 7\r\nContent-Length: 9\r\n\r\n").unwrap().unwrap();
        assert_eq!((found.len(), &found["x-sum"]), (1, &"7".parse().unwrap()));
        assert_eq!(trailer_text(Some(&found)), b"0\r\nx-sum: 7\r\n\r\n");
        assert!(trailer(b"0\r\n\r\n").unwrap().is_none());
        assert!(trailer(b"\r\n0\r\nx\r\n\r\n").is_err());
    }
}

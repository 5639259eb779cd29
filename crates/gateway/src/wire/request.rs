//! Heads of requests: strict, because two readers must never disagree.

use super::body::Framing;
use super::error::HeadError;
use super::head::{
    HEADERS_CEILING, HeadLimits, connection_says, content_length, keep_fields, malformed,
    strict_end,
};
use bytes::{Bytes, BytesMut};
use trailbox_exchange::{Headers, RequestHead};

/// A request's head, parsed and raw.
#[derive(Debug, Clone)]
pub struct RequestIn {
    /// As the decoders read it. An absolute-form target is cut to its path and
    /// query here, and here only.
    pub head: RequestHead,
    /// Exactly the bytes that came, the empty line included.
    pub raw: Bytes,
    /// How its body is framed; [`Framing::UntilClose`] never.
    pub framing: Framing,
    /// Whether another request may follow on the connection.
    pub keep_alive: bool,
    /// `Expect: 100-continue`: the client waits before it sends the body.
    pub expects_continue: bool,
    /// The client asks for another protocol, or for a tunnel (`CONNECT`).
    pub upgrade: bool,
    /// Scheme and authority of an absolute-form target: `http://host:port`.
    pub named: Option<String>,
}

/// Takes the head at the front of `buffer`, or `None` while it is incomplete.
///
/// Empty lines in front are dropped (RFC 9112, 2.2). The body's first bytes
/// stay in `buffer`.
///
/// # Errors
///
/// The first broken rule. The connection cannot be used any further: nobody
/// knows where the next request begins.
pub fn parse_request(
    buffer: &mut BytesMut,
    limits: HeadLimits,
) -> Result<Option<RequestIn>, HeadError> {
    while buffer.starts_with(b"\r\n") {
        bytes::Buf::advance(buffer, 2);
    }
    let Some(end) = strict_end(buffer, limits)? else {
        return Ok(None);
    };
    let raw = buffer.split_to(end).freeze();

    let mut fields = [httparse::EMPTY_HEADER; HEADERS_CEILING];
    let most = limits.headers_max.min(HEADERS_CEILING);
    let mut parsed = httparse::Request::new(&mut fields[..most]);
    let status = parsed.parse(&raw).map_err(|error| malformed(error, limits))?;
    let (Some(method), Some(target), Some(version), httparse::Status::Complete(length)) =
        (parsed.method, parsed.path, parsed.version, status)
    else {
        return Err(HeadError::Malformed { what: "it ends early".to_owned() });
    };
    if length != raw.len() {
        return Err(HeadError::Malformed { what: "it ends early".to_owned() });
    }

    let headers = keep_fields(&raw, parsed.headers);
    let http11 = version == 1;
    check_host(&headers, http11)?;
    let whole = target;
    let (target, authority) = origin_form(target)?;
    let named = authority.and_then(|named| {
        let end = whole.find("://")? + 3 + named.len();
        whole.get(..end).map(str::to_owned)
    });
    if authority.is_some_and(|named| {
        !headers.get("host").is_some_and(|host| host.eq_ignore_ascii_case(named))
    }) {
        return Err(HeadError::Target { what: "its target names another host than `Host`" });
    }
    if connection_drops(&headers) {
        return Err(HeadError::Ambiguous {
            what: "`Connection` names a field that belongs to the call",
        });
    }
    let framing = framing(&headers, http11)?;
    let keep_alive = if http11 {
        !connection_says(&headers, "close")
    } else {
        connection_says(&headers, "keep-alive")
    };
    let expects_continue = http11
        && headers.get("expect").is_some_and(|text| text.eq_ignore_ascii_case("100-continue"));
    let upgrade = method == "CONNECT" || connection_says(&headers, "upgrade");
    let head = RequestHead { method: method.to_owned(), target: target.to_owned(), headers };
    Ok(Some(RequestIn { head, raw, framing, keep_alive, expects_continue, upgrade, named }))
}

/// Whether a reader that follows `Connection` to the letter would take a field
/// away that says who calls or what.
fn connection_drops(headers: &Headers) -> bool {
    const MATTER: [&str; 6] =
        ["authorization", "cookie", "date", "host", "content-type", "content-length"];
    let named = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"connection"));
    named.flat_map(|(_, value)| value.split(|byte| *byte == b',')).any(|option| {
        let option = option.trim_ascii().to_ascii_lowercase();
        option.starts_with(b"x-amz-") || MATTER.iter().any(|held| held.as_bytes() == option)
    })
}

fn check_host(headers: &Headers, http11: bool) -> Result<(), HeadError> {
    let count = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"host")).count();
    if count == 1 || (count == 0 && !http11) { Ok(()) } else { Err(HeadError::Host { count }) }
}

fn framing(headers: &Headers, http11: bool) -> Result<Framing, HeadError> {
    let length = content_length(headers)?;
    let mut codings = headers.iter().filter(|(name, _)| is_transfer_encoding(name));
    let Some((_, coding)) = codings.next() else {
        return Ok(Framing::Length(length.unwrap_or(0)));
    };
    if codings.next().is_some() {
        return Err(HeadError::Ambiguous { what: "`Transfer-Encoding` stands twice" });
    }
    if length.is_some() {
        return Err(HeadError::Ambiguous {
            what: "both `Content-Length` and `Transfer-Encoding` are there",
        });
    }
    if !http11 {
        return Err(HeadError::Ambiguous { what: "`Transfer-Encoding` in HTTP/1.0" });
    }
    if !coding.eq_ignore_ascii_case(b"chunked") {
        return Err(HeadError::Ambiguous { what: "`Transfer-Encoding` is not `chunked`" });
    }
    Ok(Framing::Chunked)
}

/// The field itself, and spellings with `_` that some servers read as the same.
fn is_transfer_encoding(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"transfer-encoding")
        || name.eq_ignore_ascii_case(b"transfer_encoding")
}

/// Path and query of an absolute-form target, and the authority in front of
/// them; any other target as it is.
fn origin_form(target: &str) -> Result<(&str, Option<&str>), HeadError> {
    let Some((scheme, rest)) = target.split_once("://") else {
        return Ok((target, None));
    };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Ok((target, None));
    }
    let Some(at) = rest.find(['/', '?', '#']) else {
        return Ok(("/", Some(rest)));
    };
    let (authority, path) = rest.split_at(at);
    if path.starts_with('/') {
        Ok((path, Some(authority)))
    } else {
        // Some servers read `/?query`, some `/`, some a path `?query`.
        Err(HeadError::Target { what: "its target has no path in front of its query" })
    }
}

#[cfg(test)]
mod tests {
    use super::{Framing, HeadError, HeadLimits, RequestIn, parse_request};
    use bytes::BytesMut;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Option<RequestIn>, HeadError> {
        parse_request(&mut BytesMut::from(text), HeadLimits::default())
    }

    #[test]
    fn a_head_is_kept_byte_for_byte_and_the_body_stays_behind() {
        let head = "PUT //a%2Fb/+?x=%20&x HTTP/1.1\r\nhOsT: h\r\nX-A: 1\r\nx-a:  2 \r\n\
                    Content-Length: 3\r\n\r\n";
        let mut buffer = BytesMut::from(format!("\r\n{head}abcGET").as_str());
        let request = parse_request(&mut buffer, HeadLimits::default()).unwrap().unwrap();
        assert_eq!(request.raw, head);
        assert_eq!(&buffer[..], b"abcGET");
        assert_eq!(request.head.target, "//a%2Fb/+?x=%20&x");
        assert_eq!(request.head.headers.get_all("X-A").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(request.framing, Framing::Length(3));
        assert!(request.keep_alive);
    }

    #[test]
    fn framing_that_two_readers_could_read_differently_is_refused() {
        let cases = [
            ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "ambiguous-framing"),
            ("Content-Length: 3\r\nContent-Length: 4\r\n", "ambiguous-framing"),
            ("Content-Length: 3\r\nContent-Length: 3\r\n", "ambiguous-framing"),
            ("Content-Length: +3\r\n", "ambiguous-framing"),
            ("Content-Length: 3, 3\r\n", "ambiguous-framing"),
            ("Content-Length: 99999999999999999999\r\n", "ambiguous-framing"),
            ("Content-Length:\r\n", "ambiguous-framing"),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", "ambiguous-framing"),
            ("Transfer-Encoding: gzip, chunked\r\n", "ambiguous-framing"),
            ("Transfer-Encoding: xchunked\r\n", "ambiguous-framing"),
            ("Transfer_Encoding: chunked\r\nContent-Length: 3\r\n", "ambiguous-framing"),
            ("Content_Length: 3\r\n", "ambiguous-framing"),
            ("content_length: 3\r\nContent-Length: 3\r\n", "ambiguous-framing"),
            ("Transfer-Encoding : chunked\r\n", "malformed-head"),
            ("Transfer-Encoding: \x0bchunked\r\n", "malformed-head"),
            ("X: a\r\n b\r\n", "malformed-head"),
            ("X: a\nY: b\r\n", "stray-byte"),
            ("X: a\rY: b\r\n", "stray-byte"),
            ("X: a\0\r\n", "stray-byte"),
            ("Host: again\r\n", "host"),
            ("no colon\r\n", "malformed-head"),
            ("Connection: close, Authorization\r\n", "ambiguous-framing"),
            ("Connection: \u{ff}\r\nConnection: x-amz-date\r\n", "ambiguous-framing"),
        ];
        for (fields, want) in cases {
            let got = parse(&format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n"));
            assert_eq!(got.map(drop).map_err(|err| err.reason()), Err(want), "{fields:?}");
        }
    }

    #[test]
    fn request_lines_outside_the_grammar_are_refused() {
        for line in ["GET  / HTTP/1.1", "GET / HTTP/2.0", "GET /a b HTTP/1.1", "G\u{1}T / HTTP/1.1"]
        {
            assert!(parse(&format!("{line}\r\nHost: h\r\n\r\n")).is_err(), "{line:?}");
        }
        assert_eq!(parse("GET / HTTP/1.1\r\n\r\n").map(drop), Err(HeadError::Host { count: 0 }));
    }

    #[test]
    fn heads_are_bounded_in_bytes_and_fields() {
        let many = "a: b\r\n".repeat(200);
        let err = parse(&format!("GET / HTTP/1.1\r\nHost: h\r\n{many}\r\n")).unwrap_err();
        assert_eq!(err, HeadError::TooManyHeaders { most: 128 });
        let long = "a".repeat(70_000);
        let err = parse(&format!("GET /{long}")).unwrap_err();
        assert_eq!(err, HeadError::TooLarge { most: 65_536 });
        assert!(parse("GET / HTTP/1.1\r\nHost: h\r\n").unwrap().is_none());
    }

    #[test]
    fn an_absolute_target_is_routed_by_its_path_and_forwarded_as_sent() {
        let cases = [
            ("http://s3.local/b/k?acl", "/b/k?acl"),
            ("HTTP://s3.local", "/"),
            ("/b/http://x/y", "/b/http://x/y"),
            ("*", "*"),
        ];
        for (target, want) in cases {
            let text = format!("GET {target} HTTP/1.1\r\nHost: s3.local\r\n\r\n");
            let request = parse(&text).unwrap().unwrap();
            assert_eq!(request.head.target, want);
            assert_eq!(request.raw, text);
        }
    }

    #[test]
    fn an_absolute_target_that_says_something_else_is_refused() {
        for target in [
            "http://other/b/k",
            "http://other",
            "http://u@s3.local/b",
            "http://s3.local:81/b",
            "http://s3.local?acl",
            "http://s3.local#x",
        ] {
            let got = parse(&format!("GET {target} HTTP/1.1\r\nHost: s3.local\r\n\r\n"));
            assert_eq!(got.map(drop).map_err(|err| err.reason()), Err("target"), "{target}");
        }
        let got = parse("GET http://s3.local/b HTTP/1.0\r\n\r\n");
        assert_eq!(got.map(drop).map_err(|err| err.reason()), Err("target"), "no Host");
    }

    #[test]
    fn who_may_send_another_request_is_told_by_version_and_connection() {
        let cases = [
            ("HTTP/1.1\r\nHost: h\r\n", true),
            ("HTTP/1.1\r\nHost: h\r\nConnection: x, Close\r\n", false),
            ("HTTP/1.0\r\n", false),
            ("HTTP/1.0\r\nConnection: keep-alive\r\n", true),
        ];
        for (rest, want) in cases {
            let request = parse(&format!("GET / {rest}\r\n")).unwrap().unwrap();
            assert_eq!(request.keep_alive, want, "{rest:?}");
        }
    }

    proptest! {
        /// What a client writes is kept byte for byte, whatever arrives when.
        #[test]
        fn written_heads_are_read_back(
            method in "[A-Z]{1,8}",
            target in "/[!-~]{0,40}",
            fields in prop::collection::vec(("[A-Za-z0-9-]{1,12}", "[ -~]{0,30}"), 0..8),
            rest in prop::collection::vec(any::<u8>(), 0..20),
            pieces in 1_usize..9,
        ) {
            let mut text = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n");
            for (name, value) in &fields {
                text.extend(["x-", name, ":", value, "\r\n"]);
            }
            text.push_str("\r\n");
            let wire = [text.as_bytes(), &rest].concat();
            let mut buffer = BytesMut::new();
            let mut parsed = None;
            for piece in wire.chunks(pieces) {
                buffer.extend_from_slice(piece);
                if parsed.is_none() {
                    parsed = parse_request(&mut buffer, HeadLimits::default()).unwrap();
                }
            }
            let request = parsed.unwrap();
            prop_assert_eq!(&request.raw[..], text.as_bytes());
            prop_assert_eq!(&buffer[..], &rest[..]);
            prop_assert_eq!(request.head.headers.len(), fields.len() + 1);
            prop_assert_eq!(request.head.method, method);
        }

        /// Any bytes: no panic, and accepted only byte for byte.
        #[test]
        fn hostile_heads_do_no_harm(
            wire in prop::collection::vec(
                prop::sample::select(b"GET /HTP1.0:\r\n aContent-Lgh5;\0\t\xff".to_vec()), 0..120),
        ) {
            let mut buffer = BytesMut::from(&wire[..]);
            if let Ok(Some(request)) = parse_request(&mut buffer, HeadLimits::default()) {
                let end = wire.len() - buffer.len();
                prop_assert!(wire[..end].ends_with(&request.raw));
            }
        }
    }
}

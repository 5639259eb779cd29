//! Heads of answers: as lenient as clients are, since they pass verbatim.

use super::body::Framing;
use super::error::HeadError;
use super::head::{
    HEADERS_CEILING, HeadLimits, connection_says, content_length, keep_fields, lenient_end,
    malformed,
};
use bytes::{Bytes, BytesMut};
use trailbox_exchange::{Headers, ResponseHead};

/// An answer's head, parsed and raw.
#[derive(Debug, Clone)]
pub struct ResponseIn {
    /// As the decoders read it.
    pub head: ResponseHead,
    /// Exactly the bytes that came, the empty line included.
    pub raw: Bytes,
    /// How its body is framed.
    pub framing: Framing,
    /// Whether both ends may use the connection for another exchange.
    pub keep_alive: bool,
}

impl ResponseIn {
    /// Whether another head follows for the same request: 1xx, but not 101.
    #[must_use]
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.head.status) && self.head.status != 101
    }
}

/// Takes the head at the front of `buffer`, or `None` while it is incomplete.
///
/// `to_head`: the request was a `HEAD`, so there is no body whatever the head
/// says.
///
/// # Errors
///
/// The first broken rule.
pub fn parse_response(
    buffer: &mut BytesMut,
    to_head: bool,
    limits: HeadLimits,
) -> Result<Option<ResponseIn>, HeadError> {
    let Some(end) = lenient_end(buffer, limits)? else {
        return Ok(None);
    };
    let raw = buffer.split_to(end).freeze();
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_CEILING];
    let mut parsed = httparse::Response::new(&mut fields);
    let parsing = parsed.parse(&raw).map_err(|error| malformed(error, limits))?;
    let (Some(status), Some(version), httparse::Status::Complete(length)) =
        (parsed.code, parsed.version, parsing)
    else {
        return Err(HeadError::Malformed { what: "it ends early".to_owned() });
    };
    if length != raw.len() {
        return Err(HeadError::Malformed { what: "it ends early".to_owned() });
    }

    let headers = keep_fields(&raw, parsed.headers);
    let bodiless = to_head || matches!(status, 100..200 | 204 | 304);
    let (framing, unambiguous) = framing(&headers, version == 1, bodiless)?;
    let persistent = if version == 1 {
        !connection_says(&headers, "close")
    } else {
        connection_says(&headers, "keep-alive")
    };
    let keep_alive = persistent && unambiguous && framing != Framing::UntilClose;
    Ok(Some(ResponseIn { head: ResponseHead { status, headers }, raw, framing, keep_alive }))
}

/// How the body is framed, and whether every reader would say so.
fn framing(headers: &Headers, http11: bool, bodiless: bool) -> Result<(Framing, bool), HeadError> {
    if bodiless {
        return Ok((Framing::Length(0), true));
    }
    let length = content_length(headers)?;
    if let Some(codings) = headers.get_all("transfer-encoding").last() {
        let last = codings.rsplit(',').next().unwrap_or_default().trim();
        let chunked = http11 && last.eq_ignore_ascii_case("chunked");
        let framing = if chunked { Framing::Chunked } else { Framing::UntilClose };
        // Chunked wins over a length (RFC 9112, 6.3), but whoever sent both is
        // not to be trusted with a second exchange.
        return Ok((framing, chunked && length.is_none()));
    }
    Ok(length.map_or((Framing::UntilClose, true), |length| (Framing::Length(length), true)))
}

#[cfg(test)]
mod tests {
    use super::{Framing, HeadLimits, ResponseIn, parse_response};
    use bytes::BytesMut;

    fn parse(text: &str, to_head: bool) -> ResponseIn {
        let mut buffer = BytesMut::from(text);
        parse_response(&mut buffer, to_head, HeadLimits::default()).unwrap().unwrap()
    }

    #[test]
    fn a_body_is_framed_as_rfc_9112_says() {
        use Framing::{Chunked, Length, UntilClose};
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, Length(5), true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, Length(0), true),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, Length(0), true),
            ("HTTP/1.1 204\r\n\r\n", false, Length(0), true),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", false, Chunked, true),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                false,
                Chunked,
                false,
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", false, UntilClose, false),
            ("HTTP/1.0 200 OK\r\n\r\n", false, UntilClose, false),
            ("HTTP/1.0 200 OK\nContent-Length: 5\n\n", false, Length(5), false),
            (
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                false,
                Length(0),
                false,
            ),
        ];
        for (text, to_head, framing, keep_alive) in cases {
            let response = parse(text, to_head);
            assert_eq!((response.framing, response.keep_alive), (framing, keep_alive), "{text:?}");
            assert_eq!(response.raw, text);
        }
    }

    #[test]
    fn interim_answers_are_told_from_final_ones() {
        assert!(parse("HTTP/1.1 100 Continue\r\n\r\n", false).is_interim());
        assert!(!parse("HTTP/1.1 101 Switching Protocols\r\n\r\n", false).is_interim());
        assert!(!parse("HTTP/1.1 200 OK\r\n\r\n", false).is_interim());
    }
}

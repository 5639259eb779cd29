//! Takes the `aws-chunked` framing off a body without checking signatures.
//!
//! Needed only where the recorder has checked the call already; otherwise the
//! signature check does this on its way.

use bytes::{Buf as _, Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::Body;
use s3s::dto::StreamingBlob;
use std::sync::{Arc, Mutex, PoisonError};

/// Longest line of framing: chunk head or trailer. Real ones stay below 200.
const LINE_MAX: usize = 4096;
/// Most trailers of one body.
const TRAILERS_MAX: usize = 16;

/// The trailers of a body, there once it was read to its end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trailers(Arc<Mutex<HeaderMap>>);

impl Trailers {
    /// The trailers that have arrived.
    pub(crate) fn get(&self) -> HeaderMap {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, line: &[u8]) -> Result<(), UnchunkError> {
        let mut headers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let colon = line.iter().position(|&b| b == b':').ok_or(UnchunkError::Trailer)?;
        let name = HeaderName::from_bytes(line[..colon].trim_ascii())
            .map_err(|_| UnchunkError::Trailer)?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii())
            .map_err(|_| UnchunkError::Trailer)?;
        if headers.len() >= TRAILERS_MAX {
            return Err(UnchunkError::Trailer);
        }
        headers.insert(name, value);
        Ok(())
    }
}

/// How a body breaks the framing it claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnchunkError {
    #[error("chunk does not begin with its size in hex")]
    Size,
    #[error("chunk does not end with a line break")]
    LineBreak,
    #[error("line of framing is longer than {LINE_MAX} bytes")]
    Line,
    #[error("trailer is not `name:value`, or there are too many")]
    Trailer,
    #[error("body ends within a chunk")]
    Cut,
    #[error("body could not be read")]
    Body,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Head,
    Data(u64),
    Break,
    Trailer,
    End,
}

/// The parser: fed bytes, it gives the payload among them.
#[derive(Debug)]
pub(crate) struct Unchunker {
    place: Place,
    held: BytesMut,
    trailers: Trailers,
}

impl Unchunker {
    pub(crate) fn new(trailers: Trailers) -> Self {
        Self { place: Place::Head, held: BytesMut::new(), trailers }
    }

    /// Takes `bytes` and gives what payload can be told so far.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Bytes, UnchunkError> {
        self.held.extend_from_slice(bytes);
        let mut payload = BytesMut::new();
        while self.step(&mut payload)? {}
        Ok(payload.freeze())
    }

    /// Says whether the body may end here.
    pub(crate) fn end(&self) -> Result<(), UnchunkError> {
        // The empty line behind the trailers is left out by some clients.
        match self.place {
            Place::End => Ok(()),
            Place::Trailer if self.held.is_empty() => Ok(()),
            Place::Trailer | Place::Head | Place::Data(_) | Place::Break => Err(UnchunkError::Cut),
        }
    }

    fn step(&mut self, payload: &mut BytesMut) -> Result<bool, UnchunkError> {
        match self.place {
            Place::Head => {
                let Some(line) = self.line()? else { return Ok(false) };
                let size = chunk_size(&line)?;
                self.place = if size == 0 { Place::Trailer } else { Place::Data(size) };
            }
            Place::Data(left) => {
                if self.held.is_empty() {
                    return Ok(false);
                }
                let take = self.held.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                payload.extend_from_slice(&self.held[..take]);
                self.held.advance(take);
                let left = left - take as u64;
                self.place = if left == 0 { Place::Break } else { Place::Data(left) };
            }
            Place::Break => {
                if self.held.len() < 2 {
                    return Ok(false);
                }
                if &self.held[..2] != b"\r\n" {
                    return Err(UnchunkError::LineBreak);
                }
                self.held.advance(2);
                self.place = Place::Head;
            }
            Place::Trailer => {
                let Some(line) = self.line()? else { return Ok(false) };
                if line.is_empty() {
                    self.place = Place::End;
                } else {
                    self.trailers.add(&line)?;
                }
            }
            Place::End => {
                self.held.clear();
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The next line without its break, once it is there.
    fn line(&mut self) -> Result<Option<Bytes>, UnchunkError> {
        let Some(at) = self.held.iter().take(LINE_MAX + 1).position(|&b| b == b'\n') else {
            return if self.held.len() > LINE_MAX { Err(UnchunkError::Line) } else { Ok(None) };
        };
        let line = self.held.split_to(at + 1).freeze();
        let line = line.slice(..at);
        Ok(Some(match line.last() {
            Some(b'\r') => line.slice(..line.len() - 1),
            _ => line,
        }))
    }
}

/// The size at the head of a chunk: hex digits up to `;` or the line's end.
fn chunk_size(line: &[u8]) -> Result<u64, UnchunkError> {
    let digits = line.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
    let text = std::str::from_utf8(digits).map_err(|_| UnchunkError::Size)?;
    if text.is_empty() || text.len() > 15 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(UnchunkError::Size);
    }
    u64::from_str_radix(text, 16).map_err(|_| UnchunkError::Size)
}

/// `body` without its framing.
pub(crate) fn unchunk(body: Body, trailers: Trailers) -> Body {
    let parser = Some(Unchunker::new(trailers));
    let pieces = futures::stream::unfold((body, parser), |(mut body, parser)| async move {
        let mut parser = parser?;
        let piece = match body.next().await {
            Some(Ok(bytes)) => parser.feed(&bytes),
            Some(Err(_)) => Err(UnchunkError::Body),
            None => return parser.end().err().map(|cause| (Err(cause), (body, None))),
        };
        let parser = piece.is_ok().then_some(parser);
        Some((piece, (body, parser)))
    });
    StreamingBlob::wrap(not_empty(pieces)).into()
}

fn not_empty(
    pieces: impl Stream<Item = Result<Bytes, UnchunkError>> + Send + Sync + 'static,
) -> impl Stream<Item = Result<Bytes, UnchunkError>> + Send + Sync + 'static {
    pieces.filter(|piece| std::future::ready(!matches!(piece, Ok(bytes) if bytes.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::{Trailers, UnchunkError, Unchunker};
    use proptest::prelude::*;

    const SIGNED: &[u8] = b"5;chunk-signature=ab\r\nhello\r\n1;chunk-signature=cd\r\n!\r\n\
        0;chunk-signature=ef\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";

    fn run(body: &[u8], step: usize) -> Result<(Vec<u8>, Trailers), UnchunkError> {
        let trailers = Trailers::default();
        let mut parser = Unchunker::new(trailers.clone());
        let mut payload = Vec::new();
        for piece in body.chunks(step) {
            payload.extend_from_slice(&parser.feed(piece)?);
        }
        parser.end()?;
        Ok((payload, trailers))
    }

    #[test]
    fn payload_and_trailers_come_out_however_the_bytes_arrive() {
        for step in 1..=SIGNED.len() {
            let (payload, trailers) = run(SIGNED, step).unwrap();
            assert_eq!(payload, b"hello!", "steps of {step}");
            assert_eq!(trailers.get()["x-amz-checksum-crc32"], "AAAAAA==");
        }
    }

    #[test]
    fn a_body_that_is_not_framed_is_refused() {
        let cases: [(&[u8], UnchunkError); 5] = [
            (b"hello\r\n", UnchunkError::Size),
            (b"5\r\nhelloworld", UnchunkError::LineBreak),
            (b"5\r\nhel", UnchunkError::Cut),
            (b"0\r\nno trailer\r\n\r\n", UnchunkError::Trailer),
            (&[b'0'; 5000], UnchunkError::Line),
        ];
        for (body, want) in cases {
            assert_eq!(run(body, 7).map(drop), Err(want), "{:?}", &body[..5]);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200), step in 1_usize..20) {
            let _ = run(&body, step);
        }
    }
}

//! `aws-chunked` bodies: checked as they pass, in constant memory.
//!
//! ```text
//! <hex size>;chunk-signature=<64 hex>\r\n<bytes>\r\n … 0;chunk-signature=<64 hex>\r\n
//! [<trailer name>:<value>\r\n … x-amz-trailer-signature:<64 hex>\r\n]\r\n
//! ```
//!
//! Source: S3 API Reference, "Signature calculations for the Authorization
//! header: transferring payload in multiple chunks", with and without trailers.

use crate::verify::{Verified, VerifyError};
use aws_lc_rs::digest::{Context, SHA256, digest};

/// Longest line before a chunk's bytes, in bytes, without the line end.
pub const CHUNK_HEADER_MAX: usize = 512;
/// Most bytes of the trailer.
pub const TRAILER_MAX: usize = 16 * 1024;

/// Checks framing, length and (where signed) signatures of an `aws-chunked` body.
///
/// Feed it the bytes in pieces of any size. After an error it stays failed.
pub struct ChunkVerifier {
    signed: Option<Signed>,
    /// The framing has signatures, proved here or not.
    signatures: bool,
    trailer: bool,
    declared: Option<u64>,
    decoded: u64,
    proved: u64,
    state: State,
    line: Vec<u8>,
    trailer_text: Vec<u8>,
    trailer_bytes: usize,
    trailer_signed: bool,
}

struct Signed {
    seed: Verified,
    previous: [u8; 32],
    expected: [u8; 32],
    hash: Context,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// In the line before a chunk's bytes.
    Header,
    /// So many bytes of the chunk are to come.
    Data {
        left: u64,
    },
    /// The line end behind a chunk's bytes: `\r` and `\n` seen so far.
    DataEnd {
        seen: usize,
    },
    /// In a line of the trailer.
    Trailer,
    /// The empty line behind the last chunk of a body without trailer.
    LastEnd {
        seen: usize,
    },
    /// Everything came.
    Done,
    Failed(VerifyError),
}

impl std::fmt::Debug for ChunkVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkVerifier")
            .field("signed", &self.signed.is_some())
            .field("decoded", &self.decoded)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl ChunkVerifier {
    pub(crate) fn new(seed: Option<Verified>, trailer: bool, declared: Option<u64>) -> Self {
        let reader = Self::reader(seed.is_some(), trailer, declared);
        let signed = seed.map(|seed| Signed {
            previous: seed.seed.0,
            expected: [0; 32],
            hash: Context::new(&SHA256),
            seed,
        });
        Self { signed, ..reader }
    }

    /// Checks framing and length alone; `signatures` says whether chunks carry some.
    pub(crate) fn reader(signatures: bool, trailer: bool, declared: Option<u64>) -> Self {
        Self {
            signed: None,
            signatures,
            trailer,
            declared,
            decoded: 0,
            proved: 0,
            state: State::Header,
            line: Vec::new(),
            trailer_text: Vec::new(),
            trailer_bytes: 0,
            trailer_signed: false,
        }
    }

    /// Checks the next bytes of the body.
    ///
    /// # Errors
    ///
    /// The first broken rule; again for every later call.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), VerifyError> {
        self.update_with(bytes, |_| {})
    }

    /// The same; `sink` is handed the decoded bytes, before their chunk is proved.
    pub(crate) fn update_with(
        &mut self,
        mut bytes: &[u8],
        mut sink: impl FnMut(&[u8]),
    ) -> Result<(), VerifyError> {
        while !bytes.is_empty() {
            match self.step(bytes, &mut sink) {
                Ok(used) => bytes = &bytes[used..],
                Err(err) => {
                    self.state = State::Failed(err.clone());
                    return Err(err);
                }
            }
        }
        Ok(())
    }

    /// Says that the body is over.
    ///
    /// # Errors
    ///
    /// When it should not be, or when an earlier call failed.
    pub fn finish(&mut self) -> Result<(), VerifyError> {
        match &self.state {
            State::Done => Ok(()),
            State::Failed(err) => Err(err.clone()),
            State::Header
            | State::Data { .. }
            | State::DataEnd { .. }
            | State::Trailer
            | State::LastEnd { .. } => {
                let err = VerifyError::ChunksTruncated { decoded: self.decoded };
                self.state = State::Failed(err.clone());
                Err(err)
            }
        }
    }

    /// Bytes of the decoded body so far.
    #[must_use]
    pub const fn decoded(&self) -> u64 {
        self.decoded
    }

    /// Bytes of the decoded body up to the end of the last chunk that was found right.
    #[must_use]
    pub const fn proved(&self) -> u64 {
        self.proved
    }

    /// The trailer so far, without its signature: `name:value\n` lines.
    pub(crate) fn trailer_text(&self) -> &str {
        // Only text was put in.
        std::str::from_utf8(&self.trailer_text).unwrap_or_default()
    }

    /// Takes at least one byte, and says how many.
    fn step(&mut self, bytes: &[u8], sink: &mut impl FnMut(&[u8])) -> Result<usize, VerifyError> {
        match self.state.clone() {
            State::Header => self.header_byte(bytes[0]).map(|()| 1),
            State::Data { left } => {
                let used = self.data(bytes, left);
                sink(&bytes[..used]);
                Ok(used)
            }
            State::DataEnd { seen } => {
                if !self.line_end(bytes[0], seen)? {
                    self.state = State::DataEnd { seen: seen + 1 };
                    return Ok(1);
                }
                self.end_of_chunk()?;
                self.state = State::Header;
                Ok(1)
            }
            State::Trailer => self.trailer_byte(bytes[0]).map(|()| 1),
            State::LastEnd { seen } => {
                let over = self.line_end(bytes[0], seen)?;
                self.state = if over { State::Done } else { State::LastEnd { seen: seen + 1 } };
                Ok(1)
            }
            State::Done => Err(self.framing("there are bytes behind its end")),
            State::Failed(err) => Err(err),
        }
    }

    fn framing(&self, reason: &'static str) -> VerifyError {
        VerifyError::ChunkFraming { decoded: self.decoded, reason }
    }

    /// Whether `byte` ends the line of which `seen` bytes of `\r\n` came.
    fn line_end(&self, byte: u8, seen: usize) -> Result<bool, VerifyError> {
        if byte != b"\r\n"[seen] {
            return Err(self.framing("a line end is missing"));
        }
        Ok(seen == 1)
    }

    fn header_byte(&mut self, byte: u8) -> Result<(), VerifyError> {
        if byte != b'\n' {
            if self.line.len() > CHUNK_HEADER_MAX {
                return Err(self.framing("the line before a chunk is too long"));
            }
            self.line.push(byte);
            return Ok(());
        }
        let line = std::mem::take(&mut self.line);
        let line = line
            .strip_suffix(b"\r")
            .and_then(|line| std::str::from_utf8(line).ok())
            .ok_or_else(|| self.framing("the line before a chunk is not text"))?;
        let size = self.read_header(line)?;
        if size > 0 {
            self.state = State::Data { left: size };
            return Ok(());
        }
        self.end_of_chunk()?;
        self.check_length()?;
        self.state = if self.trailer { State::Trailer } else { State::LastEnd { seen: 0 } };
        Ok(())
    }

    /// Reads `size[;chunk-signature=…]`.
    fn read_header(&mut self, line: &str) -> Result<u64, VerifyError> {
        let mut parts = line.split(';');
        let digits = parts.next().unwrap_or("");
        let well =
            (1..=16).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let size = u64::from_str_radix(digits, 16)
            .ok()
            .filter(|_| well)
            .ok_or_else(|| self.framing("a chunk's size is not hexadecimal"))?;
        let longer = self.decoded.checked_add(size);
        if longer.is_none_or(|bytes| self.declared.is_some_and(|declared| bytes > declared)) {
            return Err(self.framing("its chunks are longer than was said"));
        }
        let missing = self.framing("a chunk's signature is missing");
        if let Some(signed) = &mut self.signed {
            let sent = parts
                .find_map(|part| part.trim().strip_prefix("chunk-signature="))
                .ok_or_else(|| missing.clone())?;
            hex::decode_to_slice(sent, &mut signed.expected).map_err(|_| missing)?;
        }
        Ok(size)
    }

    fn data(&mut self, bytes: &[u8], left: u64) -> usize {
        let used = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        if let Some(signed) = &mut self.signed {
            signed.hash.update(&bytes[..used]);
        }
        self.decoded += used as u64;
        let left = left - used as u64;
        self.state = if left == 0 { State::DataEnd { seen: 0 } } else { State::Data { left } };
        used
    }

    fn end_of_chunk(&mut self) -> Result<(), VerifyError> {
        let decoded = self.decoded;
        let Some(signed) = &mut self.signed else {
            self.proved = decoded;
            return Ok(());
        };
        let hash = std::mem::replace(&mut signed.hash, Context::new(&SHA256)).finish();
        let text = chunk_text(&signed.seed, &signed.previous, hash.as_ref());
        if !signed.seed.key.fits(text.as_bytes(), &signed.expected) {
            return Err(VerifyError::WrongChunkSignature { part: "chunk", decoded });
        }
        signed.previous = signed.expected;
        self.proved = decoded;
        Ok(())
    }

    fn check_length(&self) -> Result<(), VerifyError> {
        match self.declared {
            Some(declared) if declared != self.decoded => {
                Err(VerifyError::DecodedLength { decoded: self.decoded, declared })
            }
            _ => Ok(()),
        }
    }

    fn trailer_byte(&mut self, byte: u8) -> Result<(), VerifyError> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_MAX {
            return Err(self.framing("the trailer is too long"));
        }
        if byte != b'\n' {
            self.line.push(byte);
            return Ok(());
        }
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if line.is_empty() {
            return self.empty_trailer_line();
        }
        self.trailer_line(line)
    }

    /// The trailer ends at an empty line; AWS's own example has one before the signature too.
    fn empty_trailer_line(&mut self) -> Result<(), VerifyError> {
        if !self.signatures || self.trailer_signed {
            self.state = State::Done;
        } else if self.trailer_text.is_empty() {
            return Err(self.framing("the trailer's signature is missing"));
        }
        Ok(())
    }

    fn trailer_line(&mut self, line: &[u8]) -> Result<(), VerifyError> {
        if self.trailer_signed {
            return Err(self.framing("a trailer stands behind the trailer's signature"));
        }
        let text = std::str::from_utf8(line).ok().and_then(|line| line.split_once(':'));
        let (name, value) = text.ok_or_else(|| self.framing("a trailer is not name:value"))?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if self.signatures && name == "x-amz-trailer-signature" {
            return self.check_trailer(value);
        }
        self.trailer_text.extend_from_slice(format!("{name}:{value}\n").as_bytes());
        Ok(())
    }

    fn check_trailer(&mut self, sent: &str) -> Result<(), VerifyError> {
        let broken = self.framing("the trailer's signature is not 64 hexadecimal digits");
        let Some(signed) = &mut self.signed else {
            self.trailer_signed = true;
            return Ok(());
        };
        hex::decode_to_slice(sent, &mut signed.expected).map_err(|_| broken)?;
        let text = trailer_text(&signed.seed, &signed.previous, &self.trailer_text);
        if !signed.seed.key.fits(text.as_bytes(), &signed.expected) {
            let decoded = self.decoded;
            return Err(VerifyError::WrongChunkSignature { part: "trailer", decoded });
        }
        self.trailer_signed = true;
        Ok(())
    }
}

/// The text signed for one chunk.
pub(crate) fn chunk_text(seed: &Verified, previous: &[u8; 32], hash: &[u8]) -> String {
    let (previous, empty) = (hex::encode(previous), hex::encode(digest(&SHA256, b"")));
    let hash = hex::encode(hash);
    ["AWS4-HMAC-SHA256-PAYLOAD", &seed.amz_date, &seed.scope, &previous, &empty, &hash].join("\n")
}

/// The text signed for the trailer, given as `name:value\n` lines.
pub(crate) fn trailer_text(seed: &Verified, previous: &[u8; 32], lines: &[u8]) -> String {
    let (previous, hash) = (hex::encode(previous), hex::encode(digest(&SHA256, lines)));
    ["AWS4-HMAC-SHA256-TRAILER", &seed.amz_date, &seed.scope, &previous, &hash].join("\n")
}

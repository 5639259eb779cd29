//! Bodies on the wire: which of the passing bytes are payload, and where they end.

use super::error::FramingError;

/// How a body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// By a count of bytes; 0 is no body.
    Length(u64),
    /// By chunks, RFC 9112, 7.1.
    Chunked,
    /// By the end of the connection; answers only.
    UntilClose,
}

/// What the bytes at the front of the input are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// So many bytes of payload, at least one.
    Payload(usize),
    /// So many bytes of framing: chunk sizes, extensions, line ends, trailers.
    Framing(usize),
    /// The input is used up.
    NeedMore,
    /// The body ended in front of these bytes.
    Done,
}

/// Longest line of a chunk size with its extension, in bytes.
const SIZE_LINE_MAX: usize = 4096;
/// Longest trailer, in bytes.
const TRAILER_MAX: usize = 64 * 1024;
/// Most digits of a chunk size: 60 bits.
const SIZE_DIGITS_MAX: u8 = 15;

/// Follows one body over the wire, in pieces of any size.
#[derive(Debug, Clone)]
pub struct Framer(State);

#[derive(Debug, Clone)]
enum State {
    Length(u64),
    UntilClose,
    /// Within the line of a chunk size.
    Size {
        value: u64,
        digits: u8,
        length: usize,
        part: SizePart,
    },
    /// Within a chunk, so many bytes from its end.
    Data(u64),
    /// At the CR, then at the LF, behind a chunk.
    DataCr,
    DataLf,
    /// Within the trailer.
    Trailer {
        length: usize,
        part: TrailerPart,
    },
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SizePart {
    Digits,
    Space,
    Extension,
    Lf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TrailerPart {
    LineStart,
    Name,
    Value,
    Lf,
    LastLf,
}

impl Framer {
    /// At the start of a body.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::UntilClose => State::UntilClose,
            Framing::Chunked => size_start(),
        })
    }

    /// Whether the body has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.0, State::Done)
    }

    /// Whether the end of the connection ends the body here, too.
    #[must_use]
    pub fn may_end_here(&self) -> bool {
        matches!(self.0, State::Done | State::UntilClose)
    }

    /// Payload still to come, when that is known.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match self.0 {
            State::Length(left) => Some(left),
            State::Done => Some(0),
            State::UntilClose
            | State::Size { .. }
            | State::Data(_)
            | State::DataCr
            | State::DataLf
            | State::Trailer { .. } => None,
        }
    }

    /// Tells what the front of `input` is and moves past it.
    ///
    /// # Errors
    ///
    /// When the bytes are not chunked framing. The connection is of no further use.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, FramingError> {
        if self.is_done() {
            return Ok(Step::Done);
        }
        if input.is_empty() {
            return Ok(Step::NeedMore);
        }
        match &mut self.0 {
            State::UntilClose => Ok(Step::Payload(input.len())),
            State::Length(left) => {
                let taken = take(left, input);
                if *left == 0 {
                    self.0 = State::Done;
                }
                Ok(Step::Payload(taken))
            }
            State::Data(left) => {
                let taken = take(left, input);
                if *left == 0 {
                    self.0 = State::DataCr;
                }
                Ok(Step::Payload(taken))
            }
            State::Size { .. }
            | State::DataCr
            | State::DataLf
            | State::Trailer { .. }
            | State::Done => self.framing_bytes(input).map(Step::Framing),
        }
    }

    /// Reads framing up to the next payload byte, the end, or the input's end.
    fn framing_bytes(&mut self, input: &[u8]) -> Result<usize, FramingError> {
        for (at, &byte) in input.iter().enumerate() {
            self.0 = match self.0 {
                State::Size { value, digits, length, part } => {
                    size_byte(byte, value, digits, length, part)?
                }
                State::DataCr if byte == b'\r' => State::DataLf,
                State::DataLf if byte == b'\n' => size_start(),
                State::DataCr | State::DataLf => return Err(FramingError::LineEnd { byte }),
                State::Trailer { length, part } => trailer_byte(byte, length, part)?,
                State::Data(_) | State::Length(_) | State::UntilClose | State::Done => {
                    return Ok(at);
                }
            };
        }
        Ok(input.len())
    }
}

/// Takes as much of `input` as `left` allows and counts it off.
fn take(left: &mut u64, input: &[u8]) -> usize {
    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    *left -= taken as u64;
    taken
}

fn size_start() -> State {
    State::Size { value: 0, digits: 0, length: 0, part: SizePart::Digits }
}

/// One more byte of a line `SIZE [; extension] CR LF`.
fn size_byte(
    byte: u8,
    value: u64,
    digits: u8,
    length: usize,
    part: SizePart,
) -> Result<State, FramingError> {
    let length = length + 1;
    if SIZE_LINE_MAX < length {
        return Err(FramingError::TooLong { most: SIZE_LINE_MAX });
    }
    let in_part = |part| State::Size { value, digits, length, part };
    match (part, byte) {
        (SizePart::Digits, _) if byte.is_ascii_hexdigit() && digits < SIZE_DIGITS_MAX => {
            let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
            let value = value * 16 + digit;
            Ok(State::Size { value, digits: digits + 1, length, part })
        }
        (SizePart::Digits | SizePart::Space | SizePart::Extension, b'\r') if 0 < digits => {
            Ok(in_part(SizePart::Lf))
        }
        (SizePart::Digits | SizePart::Space, b' ' | b'\t') if 0 < digits => {
            Ok(in_part(SizePart::Space))
        }
        (SizePart::Digits | SizePart::Space, b';') if 0 < digits => {
            Ok(in_part(SizePart::Extension))
        }
        (SizePart::Digits | SizePart::Space, _) => Err(FramingError::Size { byte }),
        (SizePart::Extension, b'\t' | b' '..=b'~' | 0x80..) => Ok(in_part(part)),
        (SizePart::Lf, b'\n') if value == 0 => {
            Ok(State::Trailer { length: 0, part: TrailerPart::LineStart })
        }
        (SizePart::Lf, b'\n') => Ok(State::Data(value)),
        (SizePart::Extension | SizePart::Lf, _) => Err(FramingError::LineEnd { byte }),
    }
}

/// One more byte of `*(name: value CR LF) CR LF`.
fn trailer_byte(byte: u8, length: usize, part: TrailerPart) -> Result<State, FramingError> {
    let length = length + 1;
    if TRAILER_MAX < length {
        return Err(FramingError::TooLong { most: TRAILER_MAX });
    }
    let in_part = |part| Ok(State::Trailer { length, part });
    match (part, byte) {
        (TrailerPart::LineStart, b'\r') => in_part(TrailerPart::LastLf),
        (TrailerPart::LineStart | TrailerPart::Name, _) if is_token(byte) => {
            in_part(TrailerPart::Name)
        }
        (TrailerPart::Name, b':') | (TrailerPart::Value, b'\t' | b' '..=b'~' | 0x80..) => {
            in_part(TrailerPart::Value)
        }
        (TrailerPart::Value, b'\r') => in_part(TrailerPart::Lf),
        (TrailerPart::Lf, b'\n') => in_part(TrailerPart::LineStart),
        (TrailerPart::LastLf, b'\n') => Ok(State::Done),
        (TrailerPart::Lf | TrailerPart::LastLf, _) => Err(FramingError::LineEnd { byte }),
        (TrailerPart::LineStart | TrailerPart::Name | TrailerPart::Value, _) => {
            Err(FramingError::Trailer { byte })
        }
    }
}

/// Whether a field name may hold `byte` (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::{Framer, Framing, FramingError, Step};
    use proptest::prelude::*;

    /// Payload and count of bytes up to the end, fed in pieces of `piece` bytes.
    fn read(framing: Framing, wire: &[u8], piece: usize) -> Result<(Vec<u8>, usize), FramingError> {
        let mut framer = Framer::new(framing);
        let (mut payload, mut at) = (Vec::new(), 0);
        loop {
            let end = wire.len().min(at + piece);
            match framer.step(&wire[at..end])? {
                Step::Payload(n) => {
                    payload.extend_from_slice(&wire[at..at + n]);
                    at += n;
                }
                Step::Framing(n) => at += n,
                Step::NeedMore | Step::Done => break,
            }
        }
        Ok((payload, at))
    }

    #[test]
    fn payload_is_told_from_framing_whatever_the_pieces() {
        let wire = b"3;name=\"v\"\r\nabc\r\n0A \r\n0123456789\r\n0\r\nX-T: 1\r\ny:\r\n\r\nGET";
        for piece in 1..wire.len() {
            let (payload, end) = read(Framing::Chunked, wire, piece).unwrap();
            assert_eq!(payload, b"abc0123456789", "pieces of {piece}");
            assert_eq!(&wire[end..], b"GET", "pieces of {piece}");
        }
        assert_eq!(read(Framing::Length(2), b"abGET", 9).unwrap(), (b"ab".to_vec(), 2));
        assert_eq!(read(Framing::UntilClose, b"abGET", 9).unwrap().1, 5);
        assert_eq!(read(Framing::Length(0), b"GET", 9).unwrap().1, 0);
    }

    #[test]
    fn framing_that_is_not_chunked_is_refused() {
        let cases: [&[u8]; 16] = [
            b"\r\n",
            b"x\r\n",
            b"0x3\r\nabc",
            b"-1\r\n",
            b"+3\r\n",
            b" 3\r\n",
            b"3\nabc",
            b"3\rabc",
            b"3 3\r\nabc",
            b"1000000000000000\r\n",
            b"3\r\nabcd",
            b"3\r\nabc\n",
            b"3;\n\r\n",
            b"0\r\n folded\r\n\r\n",
            b"0\r\nno colon\r\n\r\n",
            b"0\r\na: \0\r\n\r\n",
        ];
        for wire in cases {
            assert!(read(Framing::Chunked, wire, 99).is_err(), "{:?}", wire.escape_ascii());
        }
    }

    #[test]
    fn endless_framing_is_refused() {
        let extension = [b"3;".as_slice(), &vec![b'a'; 5000]].concat();
        assert_eq!(
            read(Framing::Chunked, &extension, 64),
            Err(FramingError::TooLong { most: 4096 })
        );
        let trailer = [b"0\r\na:".as_slice(), &vec![b'a'; 70_000]].concat();
        assert!(matches!(read(Framing::Chunked, &trailer, 64), Err(FramingError::TooLong { .. })));
    }

    proptest! {
        /// What a writer of chunks makes, the framer reads, in pieces of any size.
        #[test]
        fn written_chunks_are_read_back(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
            piece in 1_usize..64,
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            let end = wire.len();
            wire.extend_from_slice(b"next");
            prop_assert_eq!(read(Framing::Chunked, &wire, piece), Ok((chunks.concat(), end)));
        }

        /// Any bytes: no panic, and the verdict does not depend on the pieces.
        #[test]
        fn pieces_do_not_change_the_verdict(
            wire in prop::collection::vec(prop::sample::select(b"0123af;: \r\nX\0".to_vec()), 0..80),
            piece in 1_usize..20,
        ) {
            let whole = read(Framing::Chunked, &wire, wire.len().max(1));
            prop_assert_eq!(read(Framing::Chunked, &wire, piece), whole);
        }
    }
}

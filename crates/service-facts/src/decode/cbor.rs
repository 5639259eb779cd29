//! CBOR (RFC 8949) as rpc-v2-cbor and the older Kinesis dialect use it.
//!
//! Reads indefinite lengths, half floats and tag 1; everything else of a tag
//! is its content. Nesting and the number of items are capped, and no length
//! field is believed before its bytes are there.

use super::DecodeError;
use super::tree::{Timestamp, Tree};
use bytes::Bytes;

/// Deepest nesting read.
const DEPTH_MAX: usize = 64;
/// Most items in one document.
const ITEMS_MAX: usize = 200_000;

/// Reads one CBOR document, without a model.
///
/// # Errors
///
/// When the bytes are not one whole document, or beyond the caps.
pub(super) fn decode(bytes: &[u8]) -> Result<Tree, DecodeError> {
    let mut reader = Reader { bytes, at: 0, items: 0 };
    let tree = reader.item(0)?;
    if reader.at == bytes.len() { Ok(tree) } else { Err(reader.wrong("bytes behind the document")) }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    items: usize,
}

/// Argument of an initial byte: a number, or "until a break".
enum Argument {
    Value(u64),
    Indefinite,
}

impl<'a> Reader<'a> {
    fn wrong(&self, rule: &'static str) -> DecodeError {
        DecodeError::Cbor { offset: self.at, rule }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| self.wrong("the document ends too early"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.take(1)?[0])
    }

    fn argument(&mut self, low: u8) -> Result<Argument, DecodeError> {
        let width = match low {
            0..=23 => return Ok(Argument::Value(u64::from(low))),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            31 => return Ok(Argument::Indefinite),
            _ => return Err(self.wrong("a reserved length")),
        };
        let bytes = self.take(width)?;
        Ok(Argument::Value(bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))))
    }

    fn length(&mut self, low: u8) -> Result<Option<usize>, DecodeError> {
        match self.argument(low)? {
            Argument::Indefinite => Ok(None),
            Argument::Value(value) => match usize::try_from(value) {
                Ok(length) if length <= self.bytes.len() - self.at => Ok(Some(length)),
                _ => Err(self.wrong("a length beyond the document")),
            },
        }
    }

    fn number(&mut self, low: u8) -> Result<u64, DecodeError> {
        match self.argument(low)? {
            Argument::Value(value) => Ok(value),
            Argument::Indefinite => Err(self.wrong("a number without end")),
        }
    }

    fn item(&mut self, depth: usize) -> Result<Tree, DecodeError> {
        self.items += 1;
        if depth > DEPTH_MAX {
            return Err(self.wrong("nested too deeply"));
        }
        if self.items > ITEMS_MAX {
            return Err(self.wrong("too many items"));
        }
        let initial = self.byte()?;
        let low = initial & 0x1f;
        match initial >> 5 {
            0 => Ok(whole(self.number(low)?)),
            1 => Ok(negative(self.number(low)?)),
            2 => self.chunks(2, low).map(|bytes| Tree::Blob(Bytes::from(bytes))),
            3 => {
                let bytes = self.chunks(3, low)?;
                String::from_utf8(bytes).map(Tree::Text).map_err(|_| self.wrong("text is UTF-8"))
            }
            4 => self.list(low, depth),
            5 => self.map(low, depth),
            6 => self.tagged(low, depth),
            _ => self.simple(low),
        }
    }

    /// A byte or text string, in one piece or in chunks of its own type.
    fn chunks(&mut self, major: u8, low: u8) -> Result<Vec<u8>, DecodeError> {
        if let Some(length) = self.length(low)? {
            return Ok(self.take(length)?.to_vec());
        }
        let mut whole = Vec::new();
        loop {
            let initial = self.byte()?;
            if initial == 0xff {
                return Ok(whole);
            }
            if initial >> 5 != major {
                return Err(self.wrong("a chunk of another type"));
            }
            let length = self.length(initial & 0x1f)?;
            let length = length.ok_or_else(|| self.wrong("chunks within chunks"))?;
            whole.extend_from_slice(self.take(length)?);
        }
    }

    /// Whether the container goes on: `left` counts down, `None` waits for a break.
    fn goes_on(&mut self, left: &mut Option<usize>) -> bool {
        match left {
            Some(0) => false,
            Some(count) => {
                *count -= 1;
                true
            }
            None if self.bytes.get(self.at) == Some(&0xff) => {
                self.at += 1;
                false
            }
            None => true,
        }
    }

    fn list(&mut self, low: u8, depth: usize) -> Result<Tree, DecodeError> {
        let mut left = self.length(low)?;
        let mut elements = Vec::new();
        while self.goes_on(&mut left) {
            elements.push(self.item(depth + 1)?);
        }
        Ok(Tree::List(elements))
    }

    fn map(&mut self, low: u8, depth: usize) -> Result<Tree, DecodeError> {
        let mut left = self.length(low)?;
        let mut entries = Vec::new();
        while self.goes_on(&mut left) {
            let Tree::Text(key) = self.item(depth + 1)? else {
                return Err(self.wrong("keys are text"));
            };
            entries.push((key, self.item(depth + 1)?));
        }
        Ok(Tree::Map(entries))
    }

    #[allow(clippy::cast_precision_loss, reason = "seconds since 1970 fit a double")]
    fn tagged(&mut self, low: u8, depth: usize) -> Result<Tree, DecodeError> {
        let tag = self.number(low)?;
        let content = self.item(depth + 1)?;
        Ok(match (tag, content) {
            (1, Tree::Int(seconds)) => Tree::Time(Timestamp::from_seconds(seconds as f64)),
            (1, Tree::Float(seconds)) => Tree::Time(Timestamp::from_seconds(seconds)),
            (0, Tree::Text(text)) => Tree::Time(Timestamp::parse(&text)),
            (_, content) => content,
        })
    }

    fn simple(&mut self, low: u8) -> Result<Tree, DecodeError> {
        Ok(match low {
            20 => Tree::Bool(false),
            21 => Tree::Bool(true),
            22 | 23 => Tree::Null,
            25 => Tree::Float(half(self.take(2)?)),
            26 => {
                let bits = self.take(4)?.iter().fold(0, |sum, b| (sum << 8) | u32::from(*b));
                Tree::Float(f64::from(f32::from_bits(bits)))
            }
            27 => {
                let bits = self.take(8)?.iter().fold(0, |sum, b| (sum << 8) | u64::from(*b));
                Tree::Float(f64::from_bits(bits))
            }
            _ => return Err(self.wrong("an unknown simple value")),
        })
    }
}

fn whole(value: u64) -> Tree {
    i64::try_from(value).map_or_else(|_| Tree::Json(value.into()), Tree::Int)
}

#[allow(clippy::cast_precision_loss, reason = "numbers below -2^63 are written as floats")]
fn negative(value: u64) -> Tree {
    i64::try_from(value).map_or_else(|_| Tree::Float(-1.0 - value as f64), |v| Tree::Int(-1 - v))
}

/// An IEEE 754 half-precision float.
fn half(bytes: &[u8]) -> f64 {
    let bits = bytes.iter().fold(0_u16, |sum, byte| (sum << 8) | u16::from(*byte));
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from((bits >> 10) & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    sign * match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (fraction + 1024.0) * 2_f64.powi(exponent - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::{decode, half};
    use crate::decode::tree::{Timestamp, Tree};
    use proptest::prelude::*;
    use trailbox_clock::Micros;

    fn tree(hexadecimal: &str) -> Tree {
        let bytes: Vec<u8> = (0..hexadecimal.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap())
            .collect();
        decode(&bytes).unwrap()
    }

    #[test]
    fn the_examples_of_rfc_8949_are_read() {
        assert_eq!(tree("1903e8"), Tree::Int(1000));
        assert_eq!(tree("3903e7"), Tree::Int(-1000));
        assert_eq!(tree("fb3ff199999999999a"), Tree::Float(1.1));
        assert_eq!(tree("f93c00"), Tree::Float(1.0));
        assert_eq!(tree("5f42010243030405ff"), Tree::Blob(vec![1, 2, 3, 4, 5].into()));
        assert_eq!(tree("7f657374726561646d696e67ff"), Tree::Text("streaming".into()));
        assert_eq!(tree("9fff"), Tree::List(vec![]));
        let moment = Timestamp::Moment(Micros::from_seconds(1_363_896_240));
        assert_eq!(tree("c11a514b67b0"), Tree::Time(moment));
        assert_eq!(
            tree("bf6346756ef563416d7421ff"),
            Tree::Map(vec![("Fun".into(), Tree::Bool(true)), ("Amt".into(), Tree::Int(-2))])
        );
    }

    #[test]
    fn half_floats_keep_their_edges() {
        assert_eq!(half(&[0x7b, 0xff]).to_bits(), 65504_f64.to_bits());
        assert_eq!(half(&[0x00, 0x01]).to_bits(), 2_f64.powi(-24).to_bits());
        assert_eq!(half(&[0xfc, 0x00]).to_bits(), f64::NEG_INFINITY.to_bits());
        assert!(half(&[0x7e, 0x00]).is_nan());
    }

    #[test]
    fn lengths_are_not_believed_and_depth_is_capped() {
        assert!(decode(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(decode(&[0x81; 1000]).is_err());
        assert!(decode(&[0x5f; 1000]).is_err());
        assert!(decode(&[]).is_err());
    }

    proptest! {
        /// Whatever arrives, reading ends without a panic.
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }

        /// What another writer makes is read to the same value.
        #[test]
        fn what_ciborium_writes_is_read_back(
            entries in prop::collection::vec(("[a-zA-Z]{0,12}", any::<i64>(), any::<bool>(), ".{0,8}"), 0..8),
        ) {
            use ciborium::Value;
            let value = Value::Array(entries.iter().map(|(key, number, flag, text)| Value::Map(vec![
                (Value::Text(key.clone()), Value::Integer((*number).into())),
                (Value::Text("flag".into()), Value::Bool(*flag)),
                (Value::Text("text".into()), Value::Text(text.clone())),
            ])).collect());
            let mut bytes = Vec::new();
            ciborium::into_writer(&value, &mut bytes).unwrap();
            let want = Tree::List(entries.into_iter().map(|(key, number, flag, text)| Tree::Map(vec![
                (key, Tree::Int(number)),
                ("flag".into(), Tree::Bool(flag)),
                ("text".into(), Tree::Text(text)),
            ])).collect());
            prop_assert_eq!(decode(&bytes).unwrap(), want);
        }
    }
}

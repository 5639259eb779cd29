//! Columns of numbers.

use super::TableError;

/// What a column holds. The order is that of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// Names of operations.
    OperationName,
    /// Method and URI; none for `POST /`.
    OperationUri,
    /// Flags of operations.
    OperationFlags,
    /// Input and kept output.
    OperationShape,
    /// Wire name, result wrapper, host prefix, where the flags say so.
    OperationText,
    /// Kind and flags of a list, map or structure.
    ShapeKind,
    /// How the name of a structure comes from its operation's.
    ShapeSuffix,
    /// Names of the other structures.
    ShapeName,
    /// Number of members.
    MemberCount,
    /// Payload member.
    Payload,
    /// Names of members.
    MemberName,
    /// Types of members, elements, keys and values.
    MemberShape,
    /// Location, required, how the wire name comes from the name.
    MemberFlags,
    /// The rest of what a member may have.
    MemberRare,
    /// Wire names and query names.
    MemberText,
    /// Numbers of shapes mentioned before.
    Known,
    /// Element, key and value names.
    ElementName,
    /// Error codes and their shapes.
    Error,
}

/// How many columns there are.
pub(super) const COLUMNS: usize = Column::Error as usize + 1;

/// Appends a number.
pub(super) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(low_bits(number) | 0x80);
        number >>= 7;
    }
    out.push(low_bits(number));
}

fn low_bits(number: u64) -> u8 {
    u8::try_from(number & 0x7f).unwrap_or_default()
}

/// Reads numbers off the front of bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(super) fn number(&mut self) -> Result<u64, TableError> {
        let mut number = 0_u64;
        for (index, &byte) in self.rest.iter().enumerate().take(9) {
            number |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[index + 1..];
                return Ok(number);
            }
        }
        Err(TableError::Damaged { part: "a number" })
    }

    /// A number that counts things of at least one byte each.
    pub(super) fn size(&mut self) -> Result<usize, TableError> {
        usize::try_from(self.number()?)
            .ok()
            .filter(|&size| size <= super::CAP)
            .ok_or(TableError::Damaged { part: "a size" })
    }

    pub(super) fn take(&mut self, size: usize) -> Result<&'a [u8], TableError> {
        if size > self.rest.len() {
            return Err(TableError::Damaged { part: "a length" });
        }
        let (taken, rest) = self.rest.split_at(size);
        self.rest = rest;
        Ok(taken)
    }

    /// Bytes not read yet.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, put};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(numbers in proptest::collection::vec(0_u64..1 << 62, 0..40)) {
            let mut out = Vec::new();
            for &number in &numbers {
                put(&mut out, number);
            }
            let mut cursor = Cursor::new(&out);
            for &number in &numbers {
                prop_assert_eq!(cursor.number(), Ok(number));
            }
            prop_assert_eq!(cursor.left(), 0);
        }
    }

    #[test]
    fn an_unfinished_number_is_refused() {
        assert!(Cursor::new(&[0x80]).number().is_err());
        assert!(Cursor::new(&[0xff; 12]).number().is_err());
    }
}

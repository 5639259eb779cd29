//! Scalar types as one number.

use crate::model::{Shape, ShapeKind, TimestampFormat};

const KINDS: u64 = 10;

/// The number of a scalar; `None` for a list, map or structure.
pub(super) fn code(shape: &Shape) -> Option<u64> {
    let (kind, extra) = match shape.kind {
        ShapeKind::String => (0, 0),
        ShapeKind::Integer => (1, 0),
        ShapeKind::Long => (2, 0),
        ShapeKind::Boolean => (3, 0),
        ShapeKind::Timestamp(format) => (4, format_code(format)),
        ShapeKind::Blob { streaming } => (5, u64::from(streaming)),
        ShapeKind::Double => (6, 0),
        ShapeKind::Float => (7, 0),
        ShapeKind::Character => (8, 0),
        ShapeKind::Document => (9, 0),
        ShapeKind::List { .. } | ShapeKind::Map { .. } | ShapeKind::Structure { .. } => {
            return None;
        }
    };
    Some(kind + KINDS * (u64::from(shape.sensitive) + 2 * extra))
}

/// The scalar of a number; it has no name.
pub(super) fn shape(code: u64) -> Option<Shape> {
    let (kind, rest) = (code % KINDS, code / KINDS);
    let (sensitive, extra) = (rest & 1 == 1, rest >> 1);
    let kind = match (kind, extra) {
        (0, 0) => ShapeKind::String,
        (1, 0) => ShapeKind::Integer,
        (2, 0) => ShapeKind::Long,
        (3, 0) => ShapeKind::Boolean,
        (4, extra) => ShapeKind::Timestamp(format_of(extra)?),
        (5, 0..=1) => ShapeKind::Blob { streaming: extra == 1 },
        (6, 0) => ShapeKind::Double,
        (7, 0) => ShapeKind::Float,
        (8, 0) => ShapeKind::Character,
        (9, 0) => ShapeKind::Document,
        _ => return None,
    };
    Some(Shape { name: String::new(), sensitive, kind })
}

/// `0` for none.
pub(super) fn format_code(format: Option<TimestampFormat>) -> u64 {
    match format {
        None => 0,
        Some(TimestampFormat::Iso8601) => 1,
        Some(TimestampFormat::UnixTimestamp) => 2,
        Some(TimestampFormat::Rfc822) => 3,
    }
}

/// The format of a number, doubly optional: the outer for an unknown number.
#[allow(clippy::option_option, reason = "the outer is the failure")]
pub(super) fn format_of(code: u64) -> Option<Option<TimestampFormat>> {
    Some(match code {
        0 => None,
        1 => Some(TimestampFormat::Iso8601),
        2 => Some(TimestampFormat::UnixTimestamp),
        3 => Some(TimestampFormat::Rfc822),
        _ => return None,
    })
}

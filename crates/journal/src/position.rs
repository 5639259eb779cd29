//! Places in the journal.

use std::fmt;
use std::str::FromStr;

/// A place in one node's journal, opaque to readers.
///
/// The sequence is dense within a node: every frame takes the next number,
/// whatever epoch it belongs to. It is never a file offset, because sealing
/// rewrites files. Positions of two nodes have no order that means anything.
///
/// Text form: `<node, 32 hex digits>-<epoch>-<sequence>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Position {
    /// The node whose journal this is.
    pub node: [u8; 16],
    /// Which opening of the journal wrote the frame; 0 before the first.
    pub epoch: u64,
    /// Number of the frame; the first frame has 1, so 0 means "before all".
    pub sequence: u64,
}

impl Position {
    /// Before the first frame of `node`.
    #[must_use]
    pub const fn start(node: [u8; 16]) -> Self {
        Self { node, epoch: 0, sequence: 0 }
    }
}

/// A text that is not a [`Position`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a journal position; it needs the shape <32 hex digits>-<epoch>-<sequence>"
)]
pub struct ParsePositionError {
    /// The text as given, cut to 80 characters.
    pub text: String,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", hex::encode(self.node), self.epoch, self.sequence)
    }
}

impl FromStr for Position {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParsePositionError { text: text.chars().take(80).collect() })
    }
}

fn parse(text: &str) -> Option<Position> {
    let mut parts = text.split('-');
    let mut node = [0; 16];
    hex::decode_to_slice(parts.next()?, &mut node).ok()?;
    let epoch = parts.next()?.parse().ok()?;
    let sequence = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some(Position { node, epoch, sequence })
}

#[cfg(test)]
mod tests {
    use super::Position;

    #[test]
    fn the_written_form_is_read_back() {
        let position = Position { node: [0xab; 16], epoch: 3, sequence: u64::MAX };
        assert_eq!(position.to_string().parse(), Ok(position));
    }

    #[test]
    fn anything_else_is_refused() {
        let node = "ab".repeat(16);
        let cases = [
            "",
            "1-2-3",
            &node,
            &format!("{node}-1"),
            &format!("{node}-1-2-3"),
            &format!("{node}-a-2"),
        ];
        for text in cases {
            assert!(text.parse::<Position>().is_err(), "{text:?}");
        }
    }
}

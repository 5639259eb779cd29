//! Frames: what goes into the journal and what comes out.

use crate::Position;
use bytes::Bytes;
use trailbox_clock::Micros;

/// Category of management records; sealed into the management stream.
pub const MANAGEMENT: u8 = 0;
/// Category of data records; sealed into the data stream.
pub const DATA: u8 = 1;
/// Category of Insight records; sealed into the management stream.
pub const INSIGHT: u8 = 2;
/// Category of network activity records; sealed into the data stream.
pub const NETWORK_ACTIVITY: u8 = 3;

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum FrameKind {
    /// A call is about to be forwarded; open until a record of its event id.
    Intent = 1,
    /// A finished record.
    Record = 2,
    /// A session, key or principal learned from an answer that passed.
    Learned = 3,
    /// How many calls were seen, written about each second.
    Seen = 4,
    /// A new generation begins: test mode was reset; nothing is deleted.
    Generation = 5,
}

impl FrameKind {
    /// The kind written as `byte`, if this release knows it.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Intent),
            2 => Some(Self::Record),
            3 => Some(Self::Learned),
            4 => Some(Self::Seen),
            5 => Some(Self::Generation),
            _ => None,
        }
    }
}

/// What the recorder notes beside a record; readable without its key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extension {
    /// Name of the listener the call came in by; at most 255 bytes.
    pub listener: String,
    /// Name of the upstream that answered; at most 255 bytes.
    pub upstream: String,
    /// How far the caller is trusted, as the recorder numbers it.
    pub trust: u8,
}

/// One thing to write down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What the frame says.
    pub kind: FrameKind,
    /// Account whose data key encrypts the payload; 1 to 64 bytes.
    pub account: String,
    /// Region of the record; at most 255 bytes.
    pub region: String,
    /// [`MANAGEMENT`], [`DATA`], [`INSIGHT`] or [`NETWORK_ACTIVITY`].
    pub category: u8,
    /// Whether the call changes nothing.
    pub read_only: bool,
    /// The id drawn at arrival; an intent and its record share it.
    pub event_id: [u8; 16],
    /// When the call arrived.
    pub arrival: Micros,
    /// Notes of the recorder.
    pub extension: Extension,
    /// The bytes to keep, verbatim; encrypted at rest.
    pub payload: Bytes,
}

/// One thing that was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFrame {
    /// Where it stands.
    pub position: Position,
    /// What the frame says.
    pub kind: FrameKind,
    /// Account whose data key encrypts the payload.
    pub account: String,
    /// Region of the record.
    pub region: String,
    /// [`MANAGEMENT`], [`DATA`], [`INSIGHT`] or [`NETWORK_ACTIVITY`].
    pub category: u8,
    /// Whether the call changes nothing.
    pub read_only: bool,
    /// Whether this is the copy of an older intent that was still open when
    /// its segment ended.
    pub carried: bool,
    /// The id drawn at arrival.
    pub event_id: [u8; 16],
    /// When the call arrived.
    pub arrival: Micros,
    /// When the frame was written, by the recorder's clock.
    pub commit: Micros,
    /// Notes of the recorder.
    pub extension: Extension,
    /// The payload, or why it cannot be read any more.
    pub payload: Payload,
}

impl StoredFrame {
    /// The frame as it was handed in; an erased payload is empty.
    #[must_use]
    pub fn to_frame(&self) -> Frame {
        Frame {
            kind: self.kind,
            account: self.account.clone(),
            region: self.region.clone(),
            category: self.category,
            read_only: self.read_only,
            event_id: self.event_id,
            arrival: self.arrival,
            extension: self.extension.clone(),
            payload: self.payload.bytes().cloned().unwrap_or_default(),
        }
    }
}

/// The payload of a stored frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// The bytes, verbatim.
    Present(Bytes),
    /// The account's data key was destroyed. Once the frame is sealed, only its
    /// position and account are known for sure: the rest is blank.
    Erased,
}

impl Payload {
    /// The bytes, when they can still be read.
    #[must_use]
    pub const fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Present(bytes) => Some(bytes),
            Self::Erased => None,
        }
    }
}

//! One end of a connection in memory: whole messages, in pieces, with pauses.

use crate::world::World;
use bytes::BytesMut;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use trailbox_exchange::Headers;
use trailbox_gateway::wire::{Framer, Framing, HeadLimits, RequestIn, Step};
use trailbox_gateway::wire::{parse_request, parse_response};

/// One end of a pipe.
#[derive(Debug)]
pub(crate) struct Wire {
    world: Arc<World>,
    stream: DuplexStream,
    buffer: BytesMut,
}

/// An answer, read to its last byte.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) keep_alive: bool,
}

impl Wire {
    pub(crate) fn new(world: &Arc<World>, stream: DuplexStream) -> Self {
        Self { world: Arc::clone(world), stream, buffer: BytesMut::new() }
    }

    /// Writes `bytes` in pieces of the dice's choosing; false when the other
    /// side is gone, or the machine is.
    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> bool {
        let dice = &self.world.dice;
        while !bytes.is_empty() {
            let whole = dice.percent(60);
            let count = if whole { bytes.len() } else { 1 + dice.index(bytes.len()) };
            let (now, later) = bytes.split_at(count);
            if !self.world.network_step() || self.stream.write_all(now).await.is_err() {
                return false;
            }
            bytes = later;
            if !bytes.is_empty() && dice.percent(50) {
                tokio::time::sleep(dice.millis(0, 30)).await;
            }
        }
        true
    }

    /// Reads once; false at the end of the connection or of the machine.
    async fn fill(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.buffer).await;
        self.world.network_step() && matches!(read, Ok(1..))
    }

    /// The head of the next request.
    pub(crate) async fn request_head(&mut self) -> Option<RequestIn> {
        loop {
            if let Some(head) = parse_request(&mut self.buffer, HeadLimits::default()).ok()? {
                return Some(head);
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// The next answer; `None` when it broke off.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        let head = loop {
            match parse_response(&mut self.buffer, false, HeadLimits::default()).ok()? {
                Some(head) if !head.is_interim() => break head,
                None if !self.fill().await => return None,
                Some(_) | None => {}
            }
        };
        let body = self.body(head.framing).await?;
        Some(Answer {
            status: head.head.status,
            headers: head.head.headers,
            body,
            keep_alive: head.keep_alive,
        })
    }

    /// A whole body; `None` when it broke off.
    pub(crate) async fn body(&mut self, framing: Framing) -> Option<Vec<u8>> {
        let mut framer = Framer::new(framing);
        let mut body = Vec::new();
        loop {
            match framer.step(&self.buffer).ok()? {
                Step::Payload(count) => body.extend_from_slice(&self.buffer.split_to(count)),
                Step::Framing(count) => drop(self.buffer.split_to(count)),
                Step::Done => return Some(body),
                Step::NeedMore if !self.fill().await => {
                    let ended = framer.may_end_here() && !self.world.is_dead();
                    return ended.then_some(body);
                }
                Step::NeedMore => {}
            }
        }
    }
}

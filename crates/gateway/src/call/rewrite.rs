//! A body in signed chunks on its way to an upstream that gets another
//! signature: unframed, framed anew, in bounded memory.

use crate::wire::{Framer, Framing, Step};
use trailbox_sigv4::{Rechunker, VerifyError};

/// Writes one body anew as it passes.
#[derive(Debug)]
pub(super) struct Rewrite {
    framer: Framer,
    /// Gone once the body is over.
    rechunker: Option<Rechunker>,
    /// The new body is sent in HTTP chunks.
    chunked: bool,
}

impl Rewrite {
    /// At the start of a body framed by `framing`.
    pub(super) fn new(framing: Framing, rechunker: Rechunker, chunked: bool) -> Self {
        Self { framer: Framer::new(framing), rechunker: Some(rechunker), chunked }
    }

    /// What is sent now that `raw` came, of whose payload `proved` decoded bytes
    /// are proved. `done`: the body is over and proved.
    pub(super) fn pass(
        &mut self,
        mut raw: &[u8],
        proved: u64,
        done: bool,
    ) -> Result<Vec<u8>, VerifyError> {
        let Some(mut rechunker) = self.rechunker.take() else {
            return Ok(Vec::new());
        };
        // The passage followed the same bytes: no step fails.
        while let Ok(step) = self.framer.step(raw) {
            let count = match step {
                Step::Payload(count) => {
                    rechunker.take(&raw[..count])?;
                    count
                }
                Step::Framing(count) => count,
                Step::NeedMore | Step::Done => break,
            };
            raw = &raw[count..];
        }
        let mut framed = self.framed(rechunker.release(proved));
        if done {
            framed.extend(self.framed(rechunker.finish()?));
            if self.chunked {
                framed.extend_from_slice(b"0\r\n\r\n");
            }
        } else {
            self.rechunker = Some(rechunker);
        }
        Ok(framed)
    }

    fn framed(&self, bytes: Vec<u8>) -> Vec<u8> {
        if !self.chunked || bytes.is_empty() {
            return bytes;
        }
        let size = format!("{:x}\r\n", bytes.len());
        [size.as_bytes(), &bytes, b"\r\n"].concat()
    }
}

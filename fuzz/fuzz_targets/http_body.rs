#![no_main]
//! Chunked bodies: any bytes in pieces of any size; the verdict and the payload
//! do not depend on the pieces.

use trailbox_gateway::wire::{Framer, Framing, FramingError, Step};

fn read(wire: &[u8], piece: usize) -> Result<(Vec<u8>, usize, bool), FramingError> {
    let mut framer = Framer::new(Framing::Chunked);
    let (mut payload, mut at) = (Vec::new(), 0);
    loop {
        let end = wire.len().min(at + piece);
        match framer.step(&wire[at..end])? {
            Step::Payload(count) => {
                payload.extend_from_slice(&wire[at..at + count]);
                at += count;
            }
            Step::Framing(count) => at += count,
            Step::NeedMore | Step::Done => return Ok((payload, at, framer.is_done())),
        }
    }
}

libfuzzer_sys::fuzz_target!(|input: (u8, &[u8])| {
    let (piece, wire) = input;
    let whole = read(wire, wire.len().max(1));
    assert_eq!(read(wire, usize::from(piece).max(1)), whole);
});

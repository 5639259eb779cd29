//! Bodies from one HTTP to the other, no further than the slower side goes.

use super::{Broken, heads};
use crate::wire::{Framer, Step};
use bytes::{Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Room made for one read from a pipe, in bytes.
const READ_BYTES: usize = 16 * 1024;

/// How the bytes of a pipe came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Poured {
    /// The body was whole, and so is the stream now.
    Whole,
    /// The pipe ended, which may be the body's end; the stream is still open.
    PipeEnded,
}

/// Sends the body in a pipe as DATA, its end as the stream's end.
///
/// The end is sent only when the framing in the pipe says that it is there.
/// `patience` bounds each wait for the peer to take something.
pub(super) async fn pour(
    mut framer: Framer,
    buffer: &mut BytesMut,
    pipe: &mut (impl AsyncRead + Unpin),
    stream: &mut SendStream<Bytes>,
    patience: Duration,
) -> Result<Poured, Broken> {
    // What stands behind the last payload so far: the framer bounds it.
    let mut framing = Vec::new();
    loop {
        match framer.step(buffer)? {
            Step::Payload(count) => {
                framing.clear();
                let payload = buffer.split_to(count).freeze();
                send(stream, payload, framer.is_done(), patience).await?;
            }
            Step::Framing(count) => framing.extend_from_slice(&buffer.split_to(count)),
            Step::NeedMore => {
                if read(buffer, pipe).await? == 0 {
                    return if framer.may_end_here() {
                        Ok(Poured::PipeEnded)
                    } else {
                        Err(Broken::early_end())
                    };
                }
                continue;
            }
            Step::Done => {}
        }
        if framer.is_done() {
            if !framing.is_empty() {
                match heads::trailer(&framing)? {
                    Some(fields) => stream.send_trailers(fields)?,
                    None => stream.send_data(Bytes::new(), true)?,
                }
            }
            return Ok(Poured::Whole);
        }
    }
}

/// Reads once from a pipe; 0 at its end.
pub(super) async fn read(
    buffer: &mut BytesMut,
    pipe: &mut (impl AsyncRead + Unpin),
) -> Result<usize, Broken> {
    buffer.reserve(READ_BYTES);
    Ok(pipe.read_buf(buffer).await?)
}

/// Sends `payload` as the peer's windows allow.
async fn send(
    stream: &mut SendStream<Bytes>,
    mut payload: Bytes,
    end: bool,
    patience: Duration,
) -> Result<(), Broken> {
    while !payload.is_empty() {
        stream.reserve_capacity(payload.len());
        let room = std::future::poll_fn(|context| stream.poll_capacity(context));
        let room = tokio::time::timeout(patience, room).await.map_err(|_| Broken::Stalled)?;
        let room = room.ok_or_else(Broken::early_end)??;
        if room != 0 {
            let piece = payload.split_to(room.min(payload.len()));
            stream.send_data(piece, end && payload.is_empty())?;
        }
    }
    Ok(())
}

/// Writes DATA into a pipe, in chunks where the head said so. The peer may send
/// more only when the pipe took what came.
pub(super) async fn draw(
    stream: &mut RecvStream,
    pipe: &mut (impl AsyncWrite + Unpin),
    chunked: bool,
) -> Result<(), Broken> {
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        if !piece.is_empty() && chunked {
            pipe.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
            pipe.write_all(&piece).await?;
            pipe.write_all(b"\r\n").await?;
        } else {
            pipe.write_all(&piece).await?;
        }
        stream.flow_control().release_capacity(piece.len())?;
    }
    let trailer = stream.trailers().await?;
    if chunked {
        pipe.write_all(&heads::trailer_text(trailer.as_ref())).await?;
    }
    Ok(())
}

//! One HTTP exchange as plain data: heads as sent, bodies as captured.
//!
//! The gateway fills these values, the decoders and SigV4 read them. Names and
//! values keep the bytes, the order and the repetition of the wire; looking up
//! by name ignores case. Nothing here opens a connection.

mod body;
mod head;
mod query;

pub use body::Captured;
pub use head::{Headers, RequestHead, ResponseHead};
pub use query::{decode_component, decode_pairs};

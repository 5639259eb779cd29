//! HTTP/1.1 as it lies on the wire: heads and body framing, nothing decoded
//! that would have to be encoded again.
//!
//! A proxy that re-serialises what it parsed breaks signatures and invents
//! differences. Here a parsed head keeps its raw bytes, and a [`Framer`] only
//! tells which of the passing bytes are payload: what is forwarded is what came.
//! Everything in this module is synchronous and reads no socket.

mod body;
mod error;
mod head;
mod proxy;
mod request;
mod response;

pub use body::{Framer, Framing, Step};
pub use error::{FramingError, HeadError};
pub use head::HeadLimits;
pub use proxy::{ProxyHeaderError, ProxyStep, proxy_header};
pub use request::{RequestIn, parse_request};
pub use response::{ResponseIn, parse_response};

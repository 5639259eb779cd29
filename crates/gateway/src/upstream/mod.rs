//! Upstreams: who answers a call, and connections to them.

mod answerer;
mod connect;
mod origins;
mod pool;
mod probe;
mod tls;

pub(crate) use answerer::{ADMIN_SERVICE, Answerers, Nobody, Resigning, Upstream, Verifies};
pub(crate) use connect::ConnectError;
pub use connect::Dial;
pub(crate) use probe::{fetch, probe_all};
pub use tls::{ClientTlsError, client_config};

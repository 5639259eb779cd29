//! The recording proxy: one port, every AWS service.
//!
//! What comes in is forwarded byte for byte and recorded before its answer is
//! complete. [`Gateway::run`] serves a listener; a connection is a chain of
//! calls, and `call::serve` is the life of one.
//!
//! Absent on purpose: no library of HTTP/1.1 sits between the two sides, because
//! one that re-serialises would break signatures (HTTP/2 is bridged, in `http2`); nothing here reads the journal,
//! answers an AWS operation, or writes anything but the journal.

pub mod answer;
pub mod config;
pub mod observe;
pub mod tls;
pub mod wire;

mod admin;
mod budget;
mod call;
mod connection;
mod cut;
mod denial;
mod directory;
mod engine;
mod forward_proxy;
mod gateway;
mod http2;
mod io;
mod listener;
mod meters;
mod outage;
mod passage;
mod recovery;
mod room;
mod seen;
mod settings;
mod shared;
mod source;
mod tend;
mod upstream;
mod who;
mod wrong;

pub use directory::SharedDirectory;
pub use forward_proxy::{ProxyAuthority, ProxyAuthorityError, make_authority};
pub use gateway::{Gateway, GatewayParts, MetricsText, Mode};
pub use recovery::{RecoveryError, resolve};
pub use settings::{Callers, ListenerRole, ListenerSettings};
pub use upstream::{ClientTlsError, Dial, client_config};

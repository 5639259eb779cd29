//! The gateway between scripted upstreams and hand-written clients, in process.

// Helpers of tests are tests: what they expect must hold.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod admin;
mod anything;
mod failures;
mod forward_proxy;
mod holding;
mod hostile;
mod http2;
mod http2_upstream;
mod identity;
mod listeners;
mod recording;
mod resign;
mod streaming;
mod support;
mod transparency;
mod tricks;
mod upgrade;

//! The AWS operations Trailbox answers itself, and its admin API.
//!
//! An [`Engine`] gets a routed request with a proven caller and gives an
//! answer; it never sees a connection. One file per operation: parse (refuse
//! in AWS's order), may the caller, act, answer.
//!
//! Absent on purpose: HTTP connections, signatures (the recorder proved them),
//! SQL (principals change through the port [`People`]).
//!
//! Start reading at [`Engine::answer`].

mod admin;
mod cloudtrail;
mod engine;
mod error;
mod expression;
mod json;
mod people;
mod request;
mod sts;
mod throttle;

pub use engine::{Engine, EngineOptions, EngineParts};
pub use people::{Addition, People, PeopleError, SyncOrder, SyncReport};
pub use request::{OwnAnswer, OwnRequest};

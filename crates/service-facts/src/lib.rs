//! The derived table of AWS services: routing and decoding of every protocol.
//!
//! [`Facts::embedded`] gives the committed table; [`Facts::route`] says which
//! operation a request is; [`Facts::tables`] holds where AWS does not follow
//! its own models; [`decode`] turns foreign bytes into values. Nothing here
//! reads a file, a clock or the network.

pub mod decode;
mod facts;
mod model;
mod route;
pub mod signed;
pub mod table;
pub mod tables;

pub use facts::{Facts, FactsError};
pub use model::{
    Location, Member, Operation, Protocol, Service, Shape, ShapeId, ShapeKind, TimestampFormat,
};
pub use route::{Route, RouteHints, is_data_event, is_read_only_verb, read_only};
pub use tables::Tables;

//! The CloudTrail record: built from an exchange, redacted, sized, and read back for lookups.
//!
//! [`build`] never fails: what cannot be read is left out and named in
//! [`Record::undecodable`]. The rules and their evidence are in
//! `spec/gateway.md` 3 to 5; tables of names are data, in
//! `crates/service-facts/data/tables.toml` and `data/lookup_resources.toml`.

mod adjust;
mod answer;
mod build;
mod call;
mod capture;
mod ec2;
mod kms;
pub mod lookup;
mod orgjson;
mod partiql;
mod render;
mod resources;
mod s3;
mod secrets;
mod special;
mod writer;

pub use build::{build, build_intent};
pub use call::{
    Answered, Call, CallContext, Category, Failure, ParseRecordError, Record, RecordSettings,
    SessionTokens, SignatureNote, TlsDetails, Trust,
};
pub use capture::{CapturePlan, capture_plan};
pub use special::{
    OUTCOME_UNKNOWN, ServiceEventContext, bulk_delete, outcome_unknown, service_event,
};

/// An id that follows from another: the same inputs always give the same one.
///
/// Shaped as a version 8 UUID (RFC 9562: content of one's own choice).
fn derived_id(from: &[u8; 16], what: &[u8], place: u64) -> [u8; 16] {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(from);
    context.update(&place.to_be_bytes());
    context.update(what);
    let mut id = [0; 16];
    id.copy_from_slice(&context.finish().as_ref()[..16]);
    id[6] = (id[6] & 0x0f) | 0x80;
    id[8] = (id[8] & 0x3f) | 0x80;
    id
}

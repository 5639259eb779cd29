//! An embedded S3 bucket store on local files.
//!
//! [`service`] opens a directory and answers S3 over HTTP: buckets, objects
//! with their metadata, multipart uploads, listings, tags, ACLs, bucket
//! policies and the settings that clients read back. It exists so that a first
//! trial needs nothing else; to the recorder it is an upstream like any other.
//!
//! What is absent, on purpose: versioning, object lock, server-side encryption
//! (a requested algorithm is kept as a label, the bytes lie in clear), and the
//! evaluation of policies and ACLs: whoever signs with a known key may do
//! everything, nobody else anything. Log files kept here are **not evidence of
//! their own completeness**: whoever is root on this machine can remove files.
//! Keep a lock or a checkpoint elsewhere before relying on them.
//!
//! Promise: once a change is answered it survives a crash of the process and of
//! the machine, and no crash shows half an object. Bytes and metadata of an
//! object are one file, written aside, synced, renamed, its directory synced.
//!
//! Start reading at [`StoreService::call`], then `bucket.rs`.

mod auth;
mod bucket;
mod disk;
mod errors;
mod index;
mod intake;
mod meta;
mod multipart;
mod names;
mod s3;
mod service;
mod store;
mod unchunk;

pub use auth::{Auth, KeyLookup};
pub use s3s::Body;
pub use service::{CALLER_HEADER, StoreService, service};
pub use store::OpenError;

/// Where the store lives and whom it belongs to.
#[derive(Debug, Clone)]
pub struct Options {
    /// Directory of the store; made when absent. One process may hold it.
    pub root: std::path::PathBuf,
    /// Account that owns every bucket: 12 digits. Shown as owner, never checked.
    pub account: String,
    /// Host names, without port, below which a bucket may stand as the first
    /// label (`bucket.localhost`). Any other host means path style.
    pub domains: Vec<String>,
}

impl Options {
    /// The usual settings for `root`: account 123456789012, bucket hosts below
    /// `localhost` and `s3.amazonaws.com`.
    #[must_use]
    pub fn at(root: impl Into<std::path::PathBuf>) -> Self {
        Self {
            root: root.into(),
            account: "123456789012".to_owned(),
            domains: vec!["localhost".to_owned(), "s3.amazonaws.com".to_owned()],
        }
    }
}

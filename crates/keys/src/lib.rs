//! Keys at rest: the master key and the data keys it wraps.
//!
//! A [`MasterKey`] comes from a file only its owner can read, or from the
//! environment. It seals secrets for the state database and wraps the data
//! keys of each account, which [`LocalKeys`] keeps beside the journal. No key
//! lies on disk in clear except the master key's own file; none is ever
//! printed but the escrow copy a person asks for.

mod local;
mod master;
mod wrap;

pub use local::{EraseError, LocalKeys};
pub use master::{MASTER_KEY_VARIABLE, MasterKey, MasterKeyError};

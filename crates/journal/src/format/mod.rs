//! The bytes of the format, and nothing else: no file, no clock, no thread.
//!
//! Everything here is described in `FORMAT.md`; a change there or here that
//! alters a byte needs a new format version.

pub(crate) mod block;
pub(crate) mod crypt;
pub(crate) mod cursor;
pub(crate) mod footer;
pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod mark;
pub(crate) mod merkle;

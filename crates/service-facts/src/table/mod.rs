//! The table of all services as bytes: small to commit, quick to open.
//!
//! Names repeat thousands of times and neighbours resemble each other, so the
//! table is kept in columns of small numbers, and the whole is compressed:
//!
//! - the strings, each once, in the order of first use, with a newline behind;
//! - one *card* per service: names, protocols and the length of its part of
//!   every column;
//! - the columns. A string is `0` for none, `1` for the next string not used
//!   before, else its number plus two. A type is `0` for the next list, map or
//!   structure not mentioned before, `1` for one mentioned before (its number
//!   is in [`Column::Known`]), else a scalar code plus two.
//!
//! All numbers are LEB128 without sign. Opening reads strings and cards only;
//! a service is decoded when someone asks for it.

mod column;
mod read;
mod scalar;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use read::{Card, Table};

use crate::model::Service;

/// First bytes of the table, before compression; the digit is the version.
const MAGIC: &[u8] = b"trailbox-facts 1\n";
/// Neither the table nor one of its parts may be larger than this.
const CAP: usize = 64 << 20;

/// Why bytes are not a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Not compressed as it must be, or larger than allowed.
    #[error("service table does not decompress: {reason}")]
    Compression {
        /// What the decompressor said.
        reason: String,
    },
    /// Another version, or no table at all.
    #[error("service table has an unknown format")]
    Format,
    /// Ends early, or a number points nowhere.
    #[error("service table is damaged in {part}")]
    Damaged {
        /// Where.
        part: &'static str,
    },
}

/// The committed form of `services`, which must be sorted by name and each of
/// whose operations sorted too. The same services give the same bytes.
///
/// # Errors
///
/// [`TableError::Compression`] when the compressor fails.
pub fn encode(services: &[Service]) -> Result<Vec<u8>, TableError> {
    let plain = write::write(services);
    zstd::bulk::compress(&plain, 19)
        .map_err(|error| TableError::Compression { reason: error.to_string() })
}

/// Whether `bytes` are a table of exactly these services: the comparison is
/// made before compression, so it is quick and no release of the compressor
/// changes it.
///
/// # Errors
///
/// [`TableError`] when `bytes` do not decompress.
pub fn holds(bytes: &[u8], services: &[Service]) -> Result<bool, TableError> {
    Ok(read::inflate(bytes)? == write::write(services))
}

/// Every service of a table made by [`encode`].
///
/// # Errors
///
/// [`TableError`] for anything else.
pub fn decode(bytes: &[u8]) -> Result<Vec<Service>, TableError> {
    let table = Table::open(bytes)?;
    (0..table.cards().len()).map(|index| table.service(index)).collect()
}

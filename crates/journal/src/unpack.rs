//! zstd decompression with contexts that are used again.
//!
//! Making a context costs more than unpacking a small block with it, and takes
//! memory that goes straight back to the system.

use std::io;
use std::sync::{Mutex, PoisonError};
use zstd::bulk::Decompressor;

/// More idle contexts than this are dropped: each takes about 150 KiB.
const KEPT: usize = 4;

static IDLE: Mutex<Vec<Decompressor<'static>>> = Mutex::new(Vec::new());

/// Decompresses `bytes` to at most `most` bytes.
///
/// # Errors
///
/// When `bytes` are no zstd frame, or one that holds more.
pub fn unpack(bytes: &[u8], most: usize) -> io::Result<Vec<u8>> {
    let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut context = idle.map_or_else(Decompressor::new, Ok)?;
    let unpacked = context.decompress(bytes, most);
    let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    if idle.len() < KEPT {
        idle.push(context);
    }
    unpacked
}

#[cfg(test)]
mod tests {
    use super::unpack;

    #[test]
    fn a_context_that_met_damage_works_on() {
        let packed = zstd::bulk::compress(&[7; 1000], 3).unwrap();
        assert!(unpack(&packed[1..], 1000).is_err());
        assert!(unpack(&packed, 999).is_err());
        assert_eq!(unpack(&packed, 1000).unwrap(), [7; 1000]);
    }
}

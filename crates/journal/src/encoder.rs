//! Frames become bytes on the thread of whoever appends.

use crate::format::crypt::{Cipher, Purpose};
use crate::format::frame;
use crate::{AppendError, DataKeys, Frame, KeyError};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Accounts whose ciphers are kept at most; each takes about a kilobyte.
const CIPHERS: usize = 4096;

/// Encrypts frames for one epoch.
#[derive(Debug)]
pub(crate) struct Encoder {
    keys: Arc<dyn DataKeys>,
    salt: [u8; 32],
    /// Every frame of the epoch takes the next number as its nonce.
    nonces: AtomicU64,
    /// The cipher of each account's current key.
    ciphers: RwLock<HashMap<String, (u32, Arc<Cipher>)>>,
}

impl Encoder {
    pub(crate) fn new(keys: Arc<dyn DataKeys>, salt: [u8; 32]) -> Self {
        Self { keys, salt, nonces: AtomicU64::new(1), ciphers: RwLock::default() }
    }

    /// Appends `frame` to `out`, encrypted; its head is stamped later.
    pub(crate) fn encode(&self, out: &mut Vec<u8>, frame: &Frame) -> Result<(), AppendError> {
        frame::check(frame)?;
        let (id, cipher) = self.cipher(&frame.account)?;
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&self.nonces.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        frame::encode(out, frame, (id, &cipher), nonce);
        Ok(())
    }

    fn cipher(&self, account: &str) -> Result<(u32, Arc<Cipher>), KeyError> {
        let current = self.keys.current(account)?;
        let known = self.ciphers.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((id, cipher)) = known.get(account)
            && *id == current.id
        {
            return Ok((*id, Arc::clone(cipher)));
        }
        drop(known);
        let cipher = Arc::new(Cipher::new(&current.key, Purpose::Frames(&self.salt)));
        let mut known = self.ciphers.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CIPHERS {
            // Made again when asked for: what matters is that there is an end.
            known.clear();
        }
        known.insert(account.to_owned(), (current.id, Arc::clone(&cipher)));
        Ok((current.id, cipher))
    }
}

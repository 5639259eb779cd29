//! Data keys that follow from the account's name and survive everything.

use trailbox_journal::{DataKey, DataKeys, KeyError};

/// One data key per account, never erased.
#[derive(Debug)]
pub(crate) struct FixedKeys;

impl DataKeys for FixedKeys {
    fn current(&self, account: &str) -> Result<DataKey, KeyError> {
        Ok(DataKey { id: 1, key: self.by_id(account, 1)? })
    }

    fn by_id(&self, account: &str, _id: u32) -> Result<[u8; 32], KeyError> {
        let mut key = [1; 32];
        for (slot, byte) in key.iter_mut().zip(account.bytes()) {
            *slot ^= byte;
        }
        Ok(key)
    }

    fn master_id(&self) -> [u8; 8] {
        *b"simulate"
    }
}

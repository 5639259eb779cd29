//! The port through which the journal asks for an account's data key.

/// One data key of an account.
#[derive(Clone, PartialEq, Eq)]
pub struct DataKey {
    /// Which of the account's keys this is; the first is 1.
    pub id: u32,
    /// 256 bits.
    pub key: [u8; 32],
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a data key cannot be had. The variants are what a caller does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The keys of this account were destroyed on purpose: its payloads are gone.
    #[error("the keys of account {account} were erased")]
    Erased {
        /// The account.
        account: String,
    },
    /// No key of this id was ever made here: someone removed it, or this is
    /// another data directory. Stop and tell.
    #[error("account {account} has no data key {id}")]
    Unknown {
        /// The account.
        account: String,
        /// The id asked for.
        id: u32,
    },
    /// The store did not answer; ask again later.
    #[error("data keys of account {account} are not available: {reason}")]
    Unavailable {
        /// The account.
        account: String,
        /// What the adapter saw, for the log.
        reason: String,
    },
}

/// Gives out data keys.
///
/// A key that [`current`](Self::current) has given out survives a crash of the
/// process and of the machine until its account is erased: frames are
/// encrypted under it from that moment on.
pub trait DataKeys: std::fmt::Debug + Send + Sync {
    /// The key new frames of `account` are encrypted under; made when absent.
    ///
    /// Called for every frame: answer from memory.
    ///
    /// # Errors
    ///
    /// When there is none and none can be made.
    fn current(&self, account: &str) -> Result<DataKey, KeyError>;

    /// The key of `account` with this `id`, for reading.
    ///
    /// # Errors
    ///
    /// [`KeyError::Erased`] once the account was erased, by any process.
    fn by_id(&self, account: &str, id: u32) -> Result<[u8; 32], KeyError>;

    /// Which master key wraps the data keys: a fingerprint, no secret. All
    /// zeros when there is no such thing.
    fn master_id(&self) -> [u8; 8] {
        [0; 8]
    }
}

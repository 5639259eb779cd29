//! Who made a call: accounts, principals, keys, sessions.
//!
//! The gateway asks the [`Directory`] for the key a signature names, proves it
//! with `trailbox-sigv4`, and turns it into a [`Caller`], whose `userIdentity`
//! stands in the record. [`learn()`] reads new keys and ids out of STS and IAM
//! answers that pass; [`mint`] makes temporary credentials where Trailbox
//! answers STS itself.
//!
//! Nothing here reads a clock, draws a random number, or touches disk or wire.
//! Start reading at [`Directory::admit`] and [`Caller::verified`].

pub mod ids;
pub mod import;
pub mod learn;
pub mod mint;

mod account;
mod caller;
mod codec;
mod directory;
mod key;
mod learned;
mod principal;
mod seal;
mod session;
mod trust;
mod user_identity;

pub use account::{AccountId, AccountIdError, Arn, DEFAULT_ACCOUNT, QUARANTINE_ACCOUNT};
pub use caller::Caller;
pub use directory::{Admission, Directory, KnownKey, LEARNED_KEYS_MAX, ParseDirectoryError};
pub use key::{AccessKey, KeyRefusal, Origin, Owner, token_sha256};
pub use learn::{federated_caller, learn};
pub use learned::{Fact, Learned, ParseLearnedError};
pub use principal::{Principal, PrincipalKind};
pub use seal::{Sealer, UnsealError};
pub use session::{CHAIN_MAX, Link, Session, SessionKind, WebIdentity};
pub use trailbox_sigv4::SecretText as Secret;
pub use trust::Trust;

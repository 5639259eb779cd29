//! What can be wrong with a claim, and what its caller is told. Whether
//! anything is, `who.rs` finds out.

use crate::answer::Refusal;
use trailbox_sigv4::VerifyError;
use trailbox_sigv4::refusal::{self, Dialect};

/// What is wrong with a claim.
#[derive(Debug, Clone)]
pub(crate) enum Wrong {
    UnknownKey,
    Token,
    Expired,
    Unsupported,
    Malformed(trailbox_sigv4::MalformedClaim),
    Proof(VerifyError),
}

impl Wrong {
    /// What its caller is told.
    pub(crate) fn refusal(&self, dialect: Dialect) -> Refusal {
        let (reason, found) = match self {
            Self::UnknownKey => ("unknown-key", refusal::unknown_key(dialect)),
            Self::Token => ("session-token", refusal::invalid_token(dialect)),
            Self::Expired => ("expired", refusal::expired_token(dialect)),
            Self::Unsupported => ("unsupported", refusal::unsupported_signature(dialect)),
            Self::Malformed(claim) => ("malformed-claim", refusal::malformed(claim, dialect)),
            Self::Proof(error) => ("signature", refusal::unproved(error, dialect)),
        };
        Refusal::new(reason, found.status, found.code, found.message)
    }
}

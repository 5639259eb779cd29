//! `GetSessionToken`: temporary credentials of the caller itself.
//!
//! Source: STS API Reference, `API_GetSessionToken`.

use super::wire::Node;
use super::{Fields, StsError, credentials};
use crate::engine::Engine;
use trailbox_identity::Caller;
use trailbox_identity::mint;

/// Answers one call.
pub(super) fn get_session_token(
    engine: &Engine,
    caller: &Caller,
    fields: &Fields,
) -> Result<Node, StsError> {
    let asked = mint::GetSessionToken { duration_seconds: fields.seconds()?, mfa: fields.mfa() };
    let minted = mint::session_token(caller, asked, &*engine.random, engine.clock.now())?;
    Ok(Node::Members(vec![("Credentials", credentials(&minted))]))
}

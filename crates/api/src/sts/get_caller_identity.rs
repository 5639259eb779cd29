//! `GetCallerIdentity`: who the caller is. Open to every known caller.
//!
//! Source: STS API Reference, `API_GetCallerIdentity`.

use super::wire::Node;
use trailbox_identity::Caller;

/// Answers one call.
pub(super) fn get_caller_identity(caller: &Caller) -> Node {
    Node::Members(vec![
        ("UserId", Node::text(caller.user_id.as_deref().unwrap_or(""))),
        ("Account", Node::text(&caller.account)),
        ("Arn", Node::text(caller.arn.as_deref().unwrap_or(""))),
    ])
}

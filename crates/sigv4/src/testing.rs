//! What the unit tests of this crate share.

use trailbox_exchange::RequestHead;

/// A head of `method`, `target` and `fields`.
pub(crate) fn head(method: &str, target: &str, fields: &[(&str, &str)]) -> RequestHead {
    RequestHead {
        method: method.into(),
        target: target.into(),
        headers: fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
    }
}

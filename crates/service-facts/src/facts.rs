//! The table itself.

use crate::model::Service;
use crate::route::{Route, RouteHints};
use crate::tables::Tables;
use std::sync::Arc;
use trailbox_exchange::RequestHead;

/// Every service we know, and the hand-made tables.
#[derive(Debug, Default)]
pub struct Facts {
    services: Vec<Arc<Service>>,
    tables: Tables,
}

/// Why a table was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    /// The bytes are not such a table.
    #[error("service table is damaged: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// No trusted key made the signature.
    #[error("service table is not signed by a trusted key")]
    Untrusted,
}

impl Facts {
    /// The committed table, decoded once.
    #[must_use]
    pub fn embedded() -> Arc<Facts> {
        Arc::default()
    }

    /// A newer table from a signed file.
    ///
    /// # Errors
    ///
    /// [`FactsError`] when the signature is of no trusted key or the bytes are
    /// not a table.
    pub fn from_signed(_file: &[u8], _trusted: &[[u8; 32]]) -> Result<Facts, FactsError> {
        Err(FactsError::Untrusted)
    }

    /// The service of that botocore name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Arc<Service>> {
        self.services.iter().find(|service| service.name == name)
    }

    /// Every service, sorted by botocore name.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.iter()
    }

    /// The hand-made tables.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Which operation a request is. `form` is the body of a form request.
    #[must_use]
    pub fn route(&self, _head: &RequestHead, _form: Option<&[u8]>, _hints: &RouteHints) -> Route {
        Route {
            service: None,
            operation: None,
            protocol: crate::model::Protocol::RestXml,
            labels: Vec::new(),
            event_source: "unknown.amazonaws.com".into(),
            event_name: "UnrecognizedOperation".into(),
            region: None,
            scope_service: None,
            access_key_id: None,
            global_region: None,
        }
    }
}

/// Whether a name begins with a verb that only reads: `Get`, `List`, `Describe`,
/// `Head`, `BatchGet`, `Search`, `Lookup`, `Query`, `Scan`, `Select`.
///
/// Source: spec/gateway.md 4.2.
#[must_use]
pub fn is_read_only_verb(operation: &str) -> bool {
    const VERBS: [&str; 10] = [
        "Get", "List", "Describe", "Head", "BatchGet", "Search", "Lookup", "Query", "Scan",
        "Select",
    ];
    VERBS.iter().any(|verb| {
        operation
            .strip_prefix(verb)
            .is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_lowercase()))
    })
}

/// `readOnly` of a record.
#[must_use]
pub fn read_only(_facts: &Facts, _route: &Route, method: &str) -> bool {
    matches!(method, "GET" | "HEAD")
}

/// Whether the record is a data event.
#[must_use]
pub fn is_data_event(_facts: &Facts, _route: &Route) -> bool {
    false
}

//! The table itself: opened at once, services decoded when asked for.

use crate::model::Service;
use crate::route::{Matcher, Route, RouteHints};
use crate::table::{Table, TableError};
use crate::tables::{Tables, TablesError};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use trailbox_exchange::RequestHead;

static TABLE: &[u8] = include_bytes!("../data/facts.zst");
static TABLES: &str = include_str!("../data/tables.toml");

/// Every service we know, and the hand-made tables.
#[derive(Debug)]
pub struct Facts {
    table: Table,
    slots: Vec<Slot>,
    tables: Tables,
    by_name: Index<usize>,
    by_signing: Index<Vec<usize>>,
    by_target: Index<Vec<usize>>,
}

type Index<T> = HashMap<String, T>;

/// A service and its URI templates, once someone asked for them.
#[derive(Debug, Default)]
struct Slot {
    service: OnceLock<Option<Arc<Service>>>,
    matcher: OnceLock<Matcher>,
}

/// Why a table was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    /// The file of a newer table is shorter than its own head says, or larger
    /// than allowed.
    #[error("signed service table has {bytes} bytes; its parts do not fit into that")]
    Size {
        /// How many bytes there are.
        bytes: usize,
    },
    /// Not such a file.
    #[error("signed service table has an unknown format")]
    Format,
    /// No trusted key made the signature.
    #[error("service table is not signed by a trusted key")]
    Untrusted,
    /// The table within is damaged.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The hand-made tables within are not readable.
    #[error(transparent)]
    Tables(#[from] TablesError),
}

impl Facts {
    /// The committed table, opened once per process.
    ///
    /// # Panics
    ///
    /// Never: a test opens the same bytes.
    #[must_use]
    pub fn embedded() -> Arc<Self> {
        static EMBEDDED: OnceLock<Arc<Facts>> = OnceLock::new();
        Arc::clone(EMBEDDED.get_or_init(|| {
            Arc::new(Self::open(TABLE, TABLES).expect("the committed tables are readable"))
        }))
    }

    /// A newer table from a signed file, as [`crate::signed::seal`] lays it out.
    ///
    /// `trusted` are ed25519 public keys; any of them may have signed. Every
    /// service is decoded once here, so that nothing fails later.
    ///
    /// # Errors
    ///
    /// [`FactsError`]: the signature is checked before anything is parsed.
    pub fn from_signed(file: &[u8], trusted: &[[u8; 32]]) -> Result<Self, FactsError> {
        let content = crate::signed::open(file, trusted)?;
        let tables = if content.tables.is_empty() { TABLES } else { content.tables };
        let facts = Self::open(content.table, tables)?;
        for index in 0..facts.slots.len() {
            facts.table.service(index)?;
        }
        Ok(facts)
    }

    fn open(table: &[u8], tables: &str) -> Result<Self, FactsError> {
        let table = Table::open(table)?;
        let tables = Tables::parse(tables)?;
        let mut by_name = Index::new();
        let mut by_signing: Index<Vec<usize>> = Index::new();
        let mut by_target: Index<Vec<usize>> = Index::new();
        for (index, card) in table.cards().iter().enumerate() {
            by_name.insert(card.head.name.clone(), index);
            by_signing.entry(card.head.signing_name.clone()).or_default().push(index);
            if let Some(prefix) = &card.head.target_prefix {
                by_target.entry(prefix.clone()).or_default().push(index);
            }
        }
        for (scope, rule) in tables.scopes() {
            let known = rule.services.iter().filter_map(|name| by_name.get(name).copied());
            let candidates = by_signing.entry(scope.to_owned()).or_default();
            let mut order: Vec<usize> = known.collect();
            order.extend(
                candidates.iter().filter(|held| !order.contains(held)).copied().collect::<Vec<_>>(),
            );
            *candidates = order;
        }
        let slots = table.cards().iter().map(|_| Slot::default()).collect();
        Ok(Self { table, slots, tables, by_name, by_signing, by_target })
    }

    /// The service of that botocore name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Arc<Service>> {
        self.by_name.get(name).and_then(|&index| self.at(index))
    }

    /// Every service, sorted by botocore name. Decodes them all.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        (0..self.slots.len()).filter_map(|index| self.at(index))
    }

    /// The hand-made tables.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Which operation a request is. `form` is the body of a form request.
    ///
    /// Never fails: what no model explains is `UnrecognizedOperation`.
    #[must_use]
    pub fn route(&self, head: &RequestHead, form: Option<&[u8]>, hints: &RouteHints<'_>) -> Route {
        crate::route::route(self, head, form, hints)
    }

    /// The service at a place, decoded on first use; `None` only when damaged.
    pub(crate) fn at(&self, index: usize) -> Option<&Arc<Service>> {
        let decode = || self.table.service(index).ok().map(Arc::new);
        self.slots.get(index)?.service.get_or_init(decode).as_ref()
    }

    /// The URI templates of the service at a place.
    pub(crate) fn matcher(&self, index: usize) -> Option<&Matcher> {
        let service = self.at(index)?;
        Some(self.slots.get(index)?.matcher.get_or_init(|| Matcher::new(service)))
    }

    /// What is known of every service without decoding it.
    pub(crate) fn heads(&self) -> impl Iterator<Item = &crate::table::Card> {
        self.table.cards().iter()
    }

    /// The same for the service at a place.
    pub(crate) fn head(&self, index: usize) -> Option<&Service> {
        self.table.cards().get(index).map(|card| &card.head)
    }

    /// Services of a signing name, the likeliest first.
    pub(crate) fn signed_as(&self, scope: &str) -> &[usize] {
        self.by_signing.get(scope).map_or(&[], Vec::as_slice)
    }

    /// Services of what stands before the dot in `X-Amz-Target`.
    pub(crate) fn targeted_as(&self, prefix: &str) -> &[usize] {
        self.by_target.get(prefix).map_or(&[], Vec::as_slice)
    }

    /// Place of the service of that botocore name.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::Facts;

    #[test]
    fn the_committed_table_opens_and_every_service_decodes() {
        let facts = Facts::embedded();
        let services: Vec<_> = facts.services().collect();
        assert_eq!(services.len(), facts.heads().count());
        assert!(services.len() > 400, "{} services", services.len());
        let operations: usize = services.iter().map(|service| service.operations.len()).sum();
        assert!(operations > 19_000, "{operations} operations");
        assert!(services.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn the_committed_table_is_what_its_services_encode_to() {
        assert!(super::TABLE.len() <= 1_000_000, "{} bytes", super::TABLE.len());
        let facts = Facts::embedded();
        let services: Vec<_> = facts.services().map(|service| (**service).clone()).collect();
        assert_eq!(crate::table::holds(super::TABLE, &services), Ok(true));
    }
}

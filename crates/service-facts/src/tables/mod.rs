//! The hand-made tables: where AWS does not follow its own model.
//!
//! `data/tables.toml` holds one row per fact with its evidence; this module
//! turns the rows into rules that are quick to ask, per service and operation.
//! Start reading at [`Tables::service`].

mod build;
mod ec2;
mod rows;
#[cfg(test)]
mod tests;

pub use ec2::{Ec2MoveRow, Ec2Tables};
pub use rows::{
    Evidence, FlavourRow, LambdaSuffix, Naming, ResourceRow, Side, TimestampStyle, Verb,
};

use serde::Deserialize;
use std::collections::HashMap;

/// The file, row by row.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    naming: Vec<rows::NamingRow>,
    rename: Vec<rows::RenameRow>,
    timestamp: Vec<rows::TimestampRow>,
    event_source: Vec<rows::SourceRow>,
    event_name: Vec<rows::NameRow>,
    lambda_name: Vec<rows::LambdaRow>,
    read_only: Vec<rows::ReadOnlyRow>,
    data_event: Vec<rows::DataRow>,
    sensitive: Vec<rows::SensitiveRow>,
    redaction: Vec<rows::RedactionRow>,
    null_request: Vec<rows::OperationsRow>,
    null_response: Vec<rows::OperationsRow>,
    read_only_response: Vec<rows::OperationsRow>,
    denial_keeps_request: Vec<rows::ServicesRow>,
    unwrap: Vec<rows::ServicesRow>,
    query_numbers_as_text: Vec<rows::ServicesRow>,
    inject: Vec<rows::InjectRow>,
    global_region: Vec<rows::RegionRow>,
    scope: Vec<rows::ScopeRow>,
    resource: Vec<ResourceRow>,
    flavour: Vec<FlavourRow>,
    ec2: ec2::Ec2Rows,
}

/// Every rule of the file.
#[derive(Debug, Default)]
pub struct Tables {
    services: HashMap<String, ServiceRules>,
    other: ServiceRules,
    scopes: HashMap<String, ScopeRule>,
    flavours: Vec<FlavourRow>,
    ec2: Ec2Tables,
}

/// What a signing name stands for that no model carries, or that several do.
#[derive(Debug, Clone)]
pub struct ScopeRule {
    /// botocore names to try, in order.
    pub services: Vec<String>,
    /// `eventSource` where it is not that of the service.
    pub source: Option<String>,
}

/// The rules of one service.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts of the tables")]
pub struct ServiceRules {
    /// How members are named.
    pub naming: Naming,
    /// How moments are written, unless an operation says otherwise.
    pub timestamps: TimestampStyle,
    /// What becomes of members that the model calls sensitive.
    pub sensitive: Verb,
    /// What becomes of blobs; [`Verb::Keep`] writes base64.
    pub blobs: Verb,
    /// The whole `eventSource` where it is not the signing name.
    pub event_source: Option<String>,
    /// Region of a global service's records.
    pub global_region: Option<String>,
    /// Whether a refused call still shows what was asked (`AccessDenied`,
    /// `ThrottlingException`).
    pub denial_keeps_request: bool,
    /// Whether an answer of one structure member is that structure.
    pub unwrap: bool,
    /// Whether numbers of the query string stay text.
    pub query_numbers_as_text: bool,
    operations: HashMap<String, OperationRules>,
    members: HashMap<String, Vec<MemberRule>>,
    resources: Vec<ResourceRow>,
}

/// The rules of one operation.
#[derive(Debug, Clone, Default)]
pub struct OperationRules {
    /// `eventName` where it is not the operation's.
    pub event_name: Option<String>,
    /// Suffix of a Lambda name.
    pub lambda_suffix: Option<LambdaSuffix>,
    /// `readOnly` where the verb does not tell.
    pub read_only: Option<bool>,
    /// `resources.type` of the data event, when it is one.
    pub data: Option<String>,
    /// `requestParameters` is always null.
    pub null_request: bool,
    /// `responseElements` is always null.
    pub null_response: bool,
    /// `responseElements` is recorded although the call is read-only.
    pub read_only_response: bool,
    /// Parameters that the record has though the caller did not send them.
    pub inject: Vec<(String, serde_json::Value)>,
    /// How moments are written.
    pub timestamps: Option<TimestampStyle>,
}

#[derive(Debug, Clone, Default)]
struct MemberRule {
    operations: Vec<String>,
    shapes: Vec<String>,
    side: Side,
    verb: Option<Verb>,
    rename: Option<String>,
}

impl Default for ServiceRules {
    fn default() -> Self {
        Self {
            naming: Naming::default(),
            timestamps: TimestampStyle::default(),
            sensitive: Verb::Hide,
            blobs: Verb::Keep,
            event_source: None,
            global_region: None,
            denial_keeps_request: false,
            unwrap: false,
            query_numbers_as_text: false,
            operations: HashMap::new(),
            members: HashMap::new(),
            resources: Vec::new(),
        }
    }
}

impl ServiceRules {
    /// The rules of an operation, by its model name.
    #[must_use]
    pub fn operation(&self, operation: &str) -> Option<&OperationRules> {
        self.operations.get(operation)
    }

    /// How moments are written in records of the operation.
    #[must_use]
    pub fn timestamps(&self, operation: &str) -> TimestampStyle {
        self.operation(operation).and_then(|rules| rules.timestamps).unwrap_or(self.timestamps)
    }

    /// What becomes of a member by name; `None` leaves it to `sensitive` and
    /// `blobs`. `shape` is the structure that holds the member; `side` is
    /// [`Side::Request`] or [`Side::Response`].
    #[must_use]
    pub fn redaction(
        &self,
        operation: &str,
        shape: &str,
        member: &str,
        side: Side,
    ) -> Option<Verb> {
        self.members
            .get(member)?
            .iter()
            .filter(|rule| rule.side == Side::Both || rule.side == side)
            .filter(|rule| rule.covers(operation, shape))
            .find_map(|rule| rule.verb)
    }

    /// The name of a member in the record where it follows no rule.
    #[must_use]
    pub fn rename(&self, shape: &str, member: &str) -> Option<&str> {
        self.members
            .get(member)?
            .iter()
            .filter(|rule| rule.covers("", shape))
            .find_map(|rule| rule.rename.as_deref())
    }

    /// Rows that say what `resources` names for an operation.
    pub fn resources<'a>(&'a self, operation: &'a str) -> impl Iterator<Item = &'a ResourceRow> {
        self.resources.iter().filter(move |row| {
            row.operations.is_empty() || row.operations.iter().any(|held| held == operation)
        })
    }

    fn operation_mut(&mut self, name: &str) -> &mut OperationRules {
        self.operations.entry(name.to_owned()).or_default()
    }
}

impl MemberRule {
    fn covers(&self, operation: &str, shape: &str) -> bool {
        let among = |names: &[String], name: &str| {
            names.is_empty() || names.iter().any(|held| held == name)
        };
        among(&self.operations, operation) && among(&self.shapes, shape)
    }
}

/// Why the tables could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TablesError {
    /// Not the TOML we expect.
    #[error("hand-made tables are not readable: {reason}")]
    Malformed {
        /// What the parser said, with the line.
        reason: String,
    },
}

impl Tables {
    /// Reads the rows of a `tables.toml`.
    ///
    /// # Errors
    ///
    /// [`TablesError`] for text that is not such a file.
    pub fn parse(text: &str) -> Result<Self, TablesError> {
        let file: File = toml::from_str(text)
            .map_err(|error| TablesError::Malformed { reason: error.to_string() })?;
        Ok(Self::build(file))
    }

    /// The rules of a service by botocore name; the general rules when it has
    /// none of its own.
    #[must_use]
    pub fn service(&self, name: &str) -> &ServiceRules {
        self.services.get(name).unwrap_or(&self.other)
    }

    /// What a signing name stands for that no model carries.
    #[must_use]
    pub fn scope(&self, scope: &str) -> Option<&ScopeRule> {
        self.scopes.get(scope)
    }

    /// Every signing name that has a row.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = (&str, &ScopeRule)> {
        self.scopes.iter().map(|(scope, rule)| (scope.as_str(), rule))
    }

    /// Path rows of upstreams that no AWS model knows.
    #[must_use]
    pub fn flavours(&self) -> &[FlavourRow] {
        &self.flavours
    }

    /// The old EC2 form.
    #[must_use]
    pub fn ec2(&self) -> &Ec2Tables {
        &self.ec2
    }
}

/// A TOML value as the JSON value of a record.
fn json(value: toml::Value) -> serde_json::Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(moment) => moment.to_string().into(),
        toml::Value::Array(list) => list.into_iter().map(json).collect(),
        toml::Value::Table(table) => {
            table.into_iter().map(|(name, value)| (name, json(value))).collect()
        }
    }
}

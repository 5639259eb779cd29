//! Rows of `data/tables.toml`, one type per kind of row.
//!
//! Every row says in `evidence` why it is believed. A list of operations or
//! members makes one row speak for several.

use serde::Deserialize;

/// How member names are written in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Naming {
    /// First letter lowered: `DBInstanceIdentifier` → `dBInstanceIdentifier`.
    #[default]
    LowerFirst,
    /// As in the model.
    Same,
}

/// How a moment is written in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimestampStyle {
    /// `Jul 10, 2023 12:25:04 PM`.
    #[default]
    Java8,
    /// `Jul 10, 2023, 12:25:04 PM`.
    Java9,
    /// `2023-07-10T12:25:04.123Z`.
    Iso8601,
    /// Seconds since 1970, a float.
    EpochSeconds,
    /// Milliseconds since 1970, a whole number.
    EpochMilliseconds,
}

/// What becomes of a value that must not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Recorded in full, whatever the model says.
    Keep,
    /// Not in the record at all.
    Omit,
    /// `"HIDDEN_DUE_TO_SECURITY_REASONS"` in its place.
    Hide,
    /// `"***"` in its place.
    Stars,
    /// `"****"` in its place.
    FourStars,
    /// `"<sensitiveDataRemoved>"` in its place.
    Removed,
    /// `{}` in its place.
    Empty,
    /// Literals of a PartiQL statement become `***(Redacted)`.
    Literals,
    /// Of a map only the list of its keys.
    Names,
}

impl Verb {
    /// The text that stands in place of the value, where it is a fixed one.
    #[must_use]
    pub fn replacement(self) -> Option<&'static str> {
        match self {
            Self::Hide => Some("HIDDEN_DUE_TO_SECURITY_REASONS"),
            Self::Stars => Some("***"),
            Self::FourStars => Some("****"),
            Self::Removed => Some("<sensitiveDataRemoved>"),
            Self::Keep | Self::Omit | Self::Empty | Self::Literals | Self::Names => None,
        }
    }
}

/// Which half of a record a redaction speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// `requestParameters` and `responseElements`.
    #[default]
    Both,
    /// `requestParameters`.
    Request,
    /// `responseElements`.
    Response,
}

/// What stands behind a Lambda operation's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LambdaSuffix {
    /// Nothing: `Invoke`.
    None,
    /// The date of the URI and `v2`: `GetFunction20150331v2`.
    DateV2,
}

/// Naming of one service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamingRow {
    /// botocore names.
    pub services: Vec<String>,
    /// The style.
    pub style: Naming,
    /// Why we believe it.
    pub evidence: String,
}

/// A member whose name follows no rule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenameRow {
    /// botocore name.
    pub service: String,
    /// Structures that hold the member; empty for every structure.
    #[serde(default)]
    pub shapes: Vec<String>,
    /// Member in the model.
    pub member: String,
    /// Name in the record.
    pub name: String,
    /// Why we believe it.
    pub evidence: String,
}

/// Timestamps of services, or of some of their operations.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimestampRow {
    /// botocore names.
    pub services: Vec<String>,
    /// Only these operations; empty for all.
    #[serde(default)]
    pub operations: Vec<String>,
    /// The style.
    pub style: TimestampStyle,
    /// Why we believe it.
    pub evidence: String,
}

/// An event source that is not the signing name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceRow {
    /// botocore name.
    pub service: String,
    /// The whole `eventSource`.
    pub source: String,
    /// Why we believe it.
    pub evidence: String,
}

/// An event name that is not the operation's.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameRow {
    /// botocore name.
    pub service: String,
    /// Operation in the model.
    pub operation: String,
    /// The `eventName`.
    pub name: String,
    /// Why we believe it.
    pub evidence: String,
}

/// Lambda names; without a row the suffix is the date of the URI.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LambdaRow {
    /// Operations in the model.
    pub operations: Vec<String>,
    /// The suffix.
    pub suffix: LambdaSuffix,
    /// Why we believe it.
    pub evidence: String,
}

/// Operations whose `readOnly` the verb does not tell.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadOnlyRow {
    /// botocore name.
    pub service: String,
    /// Operations in the model.
    pub operations: Vec<String>,
    /// The flag.
    pub value: bool,
    /// Why we believe it.
    pub evidence: String,
}

/// Operations whose records are data events.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRow {
    /// botocore name.
    pub service: String,
    /// Operations in the model, or an event name that has none.
    pub operations: Vec<String>,
    /// `resources.type` of the data event, such as `AWS::SQS::Queue`.
    pub resource_type: String,
    /// Why we believe it.
    pub evidence: String,
}

/// What a service does with members that the model calls sensitive, and with
/// blobs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensitiveRow {
    /// botocore names; `*` for every service without a row.
    pub services: Vec<String>,
    /// For sensitive members.
    pub sensitive: Verb,
    /// For blobs; `keep` writes base64.
    pub blobs: Verb,
    /// Why we believe it.
    pub evidence: String,
}

/// What becomes of named members.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedactionRow {
    /// botocore names.
    pub services: Vec<String>,
    /// Only in these operations; empty for all.
    #[serde(default)]
    pub operations: Vec<String>,
    /// Only in these structures; empty for all.
    #[serde(default)]
    pub shapes: Vec<String>,
    /// Members in the model.
    pub members: Vec<String>,
    /// Which half of the record.
    #[serde(default)]
    pub side: Side,
    /// What to do.
    pub verb: Verb,
    /// Why we believe it.
    pub evidence: String,
}

/// Operations to which one fact applies.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationsRow {
    /// botocore name.
    pub service: String,
    /// Operations in the model.
    pub operations: Vec<String>,
    /// Why we believe it.
    pub evidence: String,
}

/// Services to which one fact applies.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServicesRow {
    /// botocore names.
    pub services: Vec<String>,
    /// Why we believe it.
    pub evidence: String,
}

/// A request parameter that the record has though the caller did not send it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InjectRow {
    /// botocore name.
    pub service: String,
    /// Operation in the model.
    pub operation: String,
    /// Name in the record.
    pub name: String,
    /// Value in the record.
    pub value: toml::Value,
    /// Why we believe it.
    pub evidence: String,
}

/// A global service: its records carry this Region.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegionRow {
    /// botocore names.
    pub services: Vec<String>,
    /// Such as `us-east-1`.
    pub region: String,
    /// Why we believe it.
    pub evidence: String,
}

/// A signing name that no model carries.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeRow {
    /// Service of the credential scope.
    pub scope: String,
    /// botocore names to try, in order.
    pub services: Vec<String>,
    /// `eventSource` where it is not that of the service.
    pub source: Option<String>,
    /// Why we believe it.
    pub evidence: String,
}

/// What `resources` names for an operation.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceRow {
    /// botocore name.
    pub service: String,
    /// Operations in the model; empty for all.
    #[serde(default)]
    pub operations: Vec<String>,
    /// Member of the request (`request.KeyId`) or the answer
    /// (`response.KeyId`) that names the thing; tried in order.
    pub from: Vec<String>,
    /// ARN with `{region}`, `{account}` and `{}` for a value that is not an
    /// ARN itself; empty when only ARNs count.
    #[serde(default)]
    pub arn: String,
    /// `type`; empty for an entry without one.
    #[serde(default)]
    pub resource_type: String,
    /// Whether the entry has `accountId`.
    #[serde(default = "yes")]
    pub account: bool,
    /// Why we believe it.
    pub evidence: String,
}

fn yes() -> bool {
    true
}

/// Paths of an upstream that no AWS model knows.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlavourRow {
    /// `rgw`, `minio` or `swift`.
    pub flavour: String,
    /// `*` for any.
    pub method: String,
    /// Template: literals, `{label}` for one segment, `{label+}` for the rest.
    pub path: String,
    /// Query parameters that must be there; `k=v` for a value.
    #[serde(default)]
    pub query: Vec<String>,
    /// `eventName`; `{op}` takes a label in PascalCase.
    pub name: String,
    /// `eventSource`.
    pub source: String,
    /// Whether it is a data event.
    #[serde(default)]
    pub data: bool,
    /// `readOnly`; absent: GET and HEAD are.
    pub read_only: Option<bool>,
    /// Why we believe it.
    pub evidence: String,
}

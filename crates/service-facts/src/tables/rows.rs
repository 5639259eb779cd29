//! Rows of `data/tables.toml`, one type per kind of row.
//!
//! Every row says in `evidence` why it is believed. A list of operations or
//! members makes one row speak for several.

// `evidence` is for the reader of the file; reading it proves that it is there.
#![allow(dead_code, reason = "evidence is required and never asked for")]

use serde::Deserialize;

/// Why a row is believed. Checked to be there, then forgotten.
#[derive(Debug, Clone, Copy)]
pub struct Evidence;

impl<'de> Deserialize<'de> for Evidence {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim().is_empty() {
            return Err(serde::de::Error::custom("a row needs evidence"));
        }
        Ok(Self)
    }
}

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
    /// `"**********"` in its place.
    TenStars,
    /// `"***OMITTED***"` in its place.
    Omitted,
    /// `"Value hidden due to security reasons."` in its place.
    Sentence,
    /// `"<sensitiveDataRemoved>"` in its place.
    Removed,
    /// `{}` in its place.
    Empty,
    /// Literals of a `PartiQL` statement become `***(Redacted)`.
    Literals,
    /// Of a map only the list of its keys.
    Names,
    /// Every element of a list, every value of a map becomes
    /// `"HIDDEN_DUE_TO_SECURITY_REASONS"`.
    HideEach,
    /// A map of typed `DynamoDB` values becomes one of plain values.
    Attributes,
}

impl Verb {
    /// The text that stands in place of the value, where it is a fixed one.
    #[must_use]
    pub fn replacement(self) -> Option<&'static str> {
        match self {
            Self::Hide => Some("HIDDEN_DUE_TO_SECURITY_REASONS"),
            Self::Stars => Some("***"),
            Self::FourStars => Some("****"),
            Self::TenStars => Some("**********"),
            Self::Omitted => Some("***OMITTED***"),
            Self::Sentence => Some("Value hidden due to security reasons."),
            Self::Removed => Some("<sensitiveDataRemoved>"),
            Self::Keep
            | Self::Omit
            | Self::Empty
            | Self::Literals
            | Self::Names
            | Self::HideEach
            | Self::Attributes => None,
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
pub(super) struct NamingRow {
    /// botocore names.
    pub(super) services: Vec<String>,
    /// The style.
    pub(super) style: Naming,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// A member whose name follows no rule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RenameRow {
    /// botocore name.
    pub(super) service: String,
    /// Structures that hold the member; empty for every structure.
    #[serde(default)]
    pub(super) shapes: Vec<String>,
    /// Member in the model.
    pub(super) member: String,
    /// Name in the record.
    pub(super) name: String,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// Timestamps of services, or of some of their operations.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimestampRow {
    /// botocore names.
    pub(super) services: Vec<String>,
    /// Only these operations; empty for all.
    #[serde(default)]
    pub(super) operations: Vec<String>,
    /// The style.
    pub(super) style: TimestampStyle,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// An event source that is not the signing name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceRow {
    /// botocore name.
    pub(super) service: String,
    /// The whole `eventSource`.
    pub(super) source: String,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// An event name that is not the operation's.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NameRow {
    /// botocore name.
    pub(super) service: String,
    /// Operation in the model.
    pub(super) operation: String,
    /// The `eventName`.
    pub(super) name: String,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// Lambda names; without a row the suffix is the date of the URI.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LambdaRow {
    /// Operations in the model.
    pub(super) operations: Vec<String>,
    /// The suffix.
    pub(super) suffix: LambdaSuffix,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// Operations whose `readOnly` the verb does not tell.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadOnlyRow {
    /// botocore name.
    pub(super) service: String,
    /// Operations in the model.
    pub(super) operations: Vec<String>,
    /// The flag.
    pub(super) value: bool,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// Operations whose records are data events.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DataRow {
    /// botocore name.
    pub(super) service: String,
    /// Operations in the model, or an event name that has none.
    pub(super) operations: Vec<String>,
    /// `resources.type` of the data event, such as `AWS::SQS::Queue`.
    pub(super) resource_type: String,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// What a service does with members that the model calls sensitive, and with
/// blobs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SensitiveRow {
    /// botocore names; `*` for every service without a row.
    pub(super) services: Vec<String>,
    /// For sensitive members.
    pub(super) sensitive: Verb,
    /// For blobs; `keep` writes base64.
    pub(super) blobs: Verb,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// What becomes of named members.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RedactionRow {
    /// botocore names.
    pub(super) services: Vec<String>,
    /// Only in these operations; empty for all.
    #[serde(default)]
    pub(super) operations: Vec<String>,
    /// Only in these structures; empty for all.
    #[serde(default)]
    pub(super) shapes: Vec<String>,
    /// Members in the model.
    pub(super) members: Vec<String>,
    /// Which half of the record.
    #[serde(default)]
    pub(super) side: Side,
    /// What to do.
    pub(super) verb: Verb,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// Operations to which one fact applies.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OperationsRow {
    /// botocore name.
    pub(super) service: String,
    /// Operations in the model.
    pub(super) operations: Vec<String>,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// Services to which one fact applies.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServicesRow {
    /// botocore names.
    pub(super) services: Vec<String>,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// A request parameter that the record has though the caller did not send it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InjectRow {
    /// botocore name.
    pub(super) service: String,
    /// Operation in the model.
    pub(super) operation: String,
    /// Name in the record.
    pub(super) name: String,
    /// Value in the record.
    pub(super) value: toml::Value,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// A global service: its records carry this Region.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegionRow {
    /// botocore names.
    pub(super) services: Vec<String>,
    /// Such as `us-east-1`.
    pub(super) region: String,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// A signing name that no model carries.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScopeRow {
    /// Service of the credential scope.
    pub(super) scope: String,
    /// botocore names to try, in order.
    pub(super) services: Vec<String>,
    /// `eventSource` where it is not that of the service.
    pub(super) source: Option<String>,
    /// Why we believe it.
    pub(super) evidence: Evidence,
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
    pub evidence: Evidence,
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
    /// `eventName`; `{op}` takes a label as `AddUser` for `add-user`.
    pub name: String,
    /// `eventSource`.
    pub source: String,
    /// Whether it is a data event.
    #[serde(default)]
    pub data: bool,
    /// `readOnly`; absent: GET and HEAD are.
    pub read_only: Option<bool>,
    /// Why we believe it.
    pub evidence: Evidence,
}

//! Questions to the history and their answers.

use crate::SourceError;
use bytes::Bytes;
use std::str::FromStr;
use trailbox_clock::Micros;
use trailbox_record::Category;
use trailbox_record::lookup::LookupView;

/// What a record can be looked up by.
///
/// Source: CloudTrail API Reference, `LookupAttribute`, `AttributeKey`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Attribute {
    /// The record's `eventID`.
    EventId,
    /// The record's `eventName`.
    EventName,
    /// The record's `readOnly`: the value is `true` or `false`.
    ReadOnly,
    /// User name, role session name, or `root`.
    Username,
    /// Type of a resource the call names, such as `AWS::S3::Bucket`.
    ResourceType,
    /// Name or ARN of a resource the call names.
    ResourceName,
    /// The record's `eventSource`.
    EventSource,
    /// Access key the call was signed with.
    AccessKeyId,
}

impl Attribute {
    /// Every attribute, in the order of the service model.
    pub const ALL: [Self; 8] = [
        Self::EventId,
        Self::EventName,
        Self::ReadOnly,
        Self::Username,
        Self::ResourceType,
        Self::ResourceName,
        Self::EventSource,
        Self::AccessKeyId,
    ];

    /// The name as the API writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EventId => "EventId",
            Self::EventName => "EventName",
            Self::ReadOnly => "ReadOnly",
            Self::Username => "Username",
            Self::ResourceType => "ResourceType",
            Self::ResourceName => "ResourceName",
            Self::EventSource => "EventSource",
            Self::AccessKeyId => "AccessKeyId",
        }
    }

    /// Whether `view` has `value` under this attribute: exact, case-sensitive,
    /// except that an event id may be written in either case.
    #[must_use]
    pub fn matches(self, view: &LookupView, value: &str) -> bool {
        match self {
            Self::EventId => view.event_id.eq_ignore_ascii_case(value),
            Self::EventName => view.event_name == value,
            Self::ReadOnly => view.read_only.is_some_and(|flag| flag_text(flag) == value),
            Self::Username => view.username.as_deref() == Some(value),
            Self::ResourceType => view.resources.iter().any(|(kind, _)| kind == value),
            Self::ResourceName => view.resources.iter().any(|(_, name)| name == value),
            Self::EventSource => view.event_source == value,
            Self::AccessKeyId => view.access_key_id.as_deref() == Some(value),
        }
    }
}

/// `true` or `false`, as `ReadOnly` is asked for.
pub(crate) const fn flag_text(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

/// A text that names no [`Attribute`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not an attribute; use one of EventId, EventName, ReadOnly, Username, ResourceType, ResourceName, EventSource, AccessKeyId"
)]
pub struct ParseAttributeError {
    /// The text as given, cut to 64 characters.
    pub text: String,
}

impl FromStr for Attribute {
    type Err = ParseAttributeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|attribute| attribute.name() == text)
            .ok_or_else(|| ParseAttributeError { text: text.chars().take(64).collect() })
    }
}

/// A place between two records of one answer, newest first.
///
/// The next page begins with the record behind (`time`, `sequence`) and shows
/// nothing that was journalled after `pin`: paging neither repeats nor loses a
/// record while new ones arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// `eventTime` of the last record looked at, seconds since the epoch.
    pub time: i64,
    /// Journal sequence of the last record looked at.
    pub sequence: u64,
    /// Newest journal sequence that the first page could see.
    pub pin: u64,
}

/// One question: all filters must hold.
#[derive(Debug, Clone)]
pub struct Query {
    /// Account that received the records: 12 digits.
    pub account: String,
    /// Region, or every Region.
    pub region: Option<String>,
    /// Categories to look in.
    pub categories: Vec<Category>,
    /// Attribute values that must all match.
    pub filters: Vec<(Attribute, String)>,
    /// A text that the record's JSON must contain, whatever the case of ASCII letters.
    pub text: Option<String>,
    /// Oldest `eventTime`, inclusive.
    pub start: Option<Micros>,
    /// Newest `eventTime`, inclusive.
    pub end: Option<Micros>,
    /// Only records journalled after this sequence; 0 for all.
    pub after_sequence: u64,
    /// Most records of one page, at least 1.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<Cursor>,
}

impl Query {
    /// The newest 50 management records of `account`, every Region.
    #[must_use]
    pub fn newest(account: impl Into<String>) -> Self {
        Self {
            account: account.into(),
            region: None,
            categories: vec![Category::Management],
            filters: Vec::new(),
            text: None,
            start: None,
            end: None,
            after_sequence: 0,
            limit: 50,
            after: None,
        }
    }
}

/// One record of an answer.
#[derive(Debug, Clone)]
pub struct Hit {
    /// The record exactly as it was journalled.
    pub json: Bytes,
    /// What lookups need of it.
    pub view: LookupView,
    /// Its place in the journal.
    pub sequence: u64,
}

/// One page of an answer, newest first.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The records, newest `eventTime` first, later journalled first among equals.
    pub records: Vec<Hit>,
    /// Where the next page begins; `None` when nothing is left.
    pub next: Option<Cursor>,
    /// Records the index knows and the journal could not give: lost or damaged.
    pub unreadable: u64,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The journal could not be read.
    #[error("cannot read the journal")]
    Source(#[from] SourceError),
    /// An index segment is damaged and could not be rebuilt now.
    #[error("index segment `{file}` is damaged and could not be rebuilt: {reason}")]
    Damaged {
        /// Its file name.
        file: String,
        /// What went wrong.
        reason: String,
    },
}

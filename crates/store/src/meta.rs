//! What is kept about an object, a part, an upload and a bucket.
//!
//! All are written as JSON with defaults for absent members, so that an older
//! file stays readable.

use crate::index::Entry;
use s3s::dto;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Checksums in base64, as S3 writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Sums {
    pub(crate) crc32: Option<String>,
    pub(crate) crc32c: Option<String>,
    pub(crate) crc64nvme: Option<String>,
    pub(crate) sha1: Option<String>,
    pub(crate) sha256: Option<String>,
    /// `FULL_OBJECT` or `COMPOSITE`.
    pub(crate) kind: Option<String>,
}

impl Sums {
    /// The five values with the name a caller knows them by.
    pub(crate) fn named(&self) -> [(&'static str, &Option<String>); 5] {
        [
            ("CRC32", &self.crc32),
            ("CRC32C", &self.crc32c),
            ("CRC64NVME", &self.crc64nvme),
            ("SHA1", &self.sha1),
            ("SHA256", &self.sha256),
        ]
    }

    /// The first algorithm that has a value.
    pub(crate) fn algorithm(&self) -> Option<&'static str> {
        self.named().into_iter().find(|(_, value)| value.is_some()).map(|(name, _)| name)
    }

    /// The place of the value of `algorithm`.
    pub(crate) fn slot(&mut self, algorithm: &str) -> Option<&mut Option<String>> {
        match algorithm {
            "CRC32" => Some(&mut self.crc32),
            "CRC32C" => Some(&mut self.crc32c),
            "CRC64NVME" => Some(&mut self.crc64nvme),
            "SHA1" => Some(&mut self.sha1),
            "SHA256" => Some(&mut self.sha256),
            _ => None,
        }
    }

    /// The kind, where there is a checksum at all.
    pub(crate) fn checksum_type(&self) -> Option<dto::ChecksumType> {
        self.algorithm()?;
        Some(self.kind.clone().unwrap_or_else(|| "FULL_OBJECT".to_owned()).into())
    }
}

impl From<dto::Checksum> for Sums {
    fn from(sums: dto::Checksum) -> Self {
        Self {
            crc32: sums.checksum_crc32,
            crc32c: sums.checksum_crc32c,
            crc64nvme: sums.checksum_crc64nvme,
            sha1: sums.checksum_sha1,
            sha256: sums.checksum_sha256,
            kind: None,
        }
    }
}

/// The headers that a caller hands in with an object and gets back with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Described {
    pub(crate) content_type: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_language: Option<String>,
    /// Microseconds of UTC.
    pub(crate) expires: Option<i64>,
    pub(crate) website_redirect: Option<String>,
    /// User metadata, names without `x-amz-meta-`.
    pub(crate) user: BTreeMap<String, String>,
}

/// Settings of one object that are not part of its description.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Attached {
    pub(crate) storage_class: Option<String>,
    /// `AES256` or `aws:kms` as asked for: a label, the bytes lie in clear.
    pub(crate) encryption: Option<String>,
    pub(crate) kms_key_id: Option<String>,
    pub(crate) bucket_key: Option<bool>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) acl: Acl,
}

/// An access control list: who may do what, kept and shown, never judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Acl {
    /// One of S3's canned lists, by name.
    Canned(String),
    /// Grants one by one.
    Grants(Vec<GrantText>),
}

impl Default for Acl {
    fn default() -> Self {
        Self::Canned("private".to_owned())
    }
}

/// One grant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct GrantText {
    /// `CanonicalUser`, `Group` or `AmazonCustomerByEmail`.
    pub(crate) kind: String,
    /// The id, URI or address that goes with `kind`.
    pub(crate) grantee: String,
    /// `FULL_CONTROL`, `READ`, `WRITE`, `READ_ACP` or `WRITE_ACP`.
    pub(crate) permission: String,
}

/// One part of an object that was uploaded in parts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PartMeta {
    pub(crate) number: i32,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) modified: i64,
    pub(crate) sums: Sums,
}

/// All that is kept about one object; stands behind its bytes in one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectMeta {
    pub(crate) key: String,
    /// Drawn anew for each PUT: ties a later change of tags to these bytes.
    pub(crate) generation: String,
    /// Hex MD5, or `md5-of-md5s-N`.
    pub(crate) etag: String,
    pub(crate) size: u64,
    /// Microseconds of UTC, whole seconds.
    pub(crate) modified: i64,
    #[serde(default)]
    pub(crate) described: Described,
    #[serde(default)]
    pub(crate) attached: Attached,
    #[serde(default)]
    pub(crate) sums: Sums,
    #[serde(default)]
    pub(crate) parts: Vec<PartMeta>,
}

impl ObjectMeta {
    /// What a listing shows of it.
    pub(crate) fn entry(&self) -> Entry {
        Entry {
            etag: self.etag.as_str().into(),
            size: self.size,
            modified: self.modified,
            storage_class: self.attached.storage_class.as_deref().map(Into::into),
        }
    }
}

/// Tags and ACL changed after the PUT: stands beside the object's file and
/// counts only while the object has the same generation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Amendment {
    pub(crate) generation: String,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) acl: Acl,
}

/// An upload in parts that has not been completed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct UploadMeta {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) started: i64,
    pub(crate) described: Described,
    pub(crate) attached: Attached,
    /// Checksum algorithm promised for every part.
    pub(crate) algorithm: Option<String>,
    /// `COMPOSITE` or `FULL_OBJECT`.
    pub(crate) kind: Option<String>,
}

/// All that is kept about one bucket.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct BucketMeta {
    pub(crate) name: String,
    pub(crate) region: String,
    /// Microseconds of UTC.
    pub(crate) created: i64,
    #[serde(default)]
    pub(crate) acl: Acl,
    /// Settings that are put, shown and taken away as a whole, as JSON.
    #[serde(default)]
    pub(crate) settings: BTreeMap<String, serde_json::Value>,
}

//! Index terms: an attribute and its value as 48 keyed bits.
//!
//! Index files hold no text of any record. A value is hashed with SipHash-2-4
//! under a secret derived from the account's data key, so that the file tells
//! nobody which users or objects exist, and nothing at all once the key is
//! destroyed. Two values that share 48 bits share a posting list; a lookup
//! reads the record before it shows it and so never shows the wrong one.

use crate::query::{Attribute, flag_text};
use siphasher::sip::SipHasher24;
use std::hash::Hasher as _;
use trailbox_record::lookup::LookupView;

/// An attribute's value, hashed to 48 bits.
pub(crate) type Term = u64;

/// The secret one account's terms are hashed under.
#[derive(Clone)]
pub(crate) struct TermKey {
    /// Which data key it was derived from.
    pub(crate) id: u32,
    bytes: [u8; 16],
}

impl std::fmt::Debug for TermKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TermKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl TermKey {
    /// Derives the term key from data key `id`: HMAC-SHA256 under a fixed label,
    /// so that the data key itself is never used twice.
    pub(crate) fn derive(id: u32, secret: &[u8; 32]) -> Self {
        use aws_lc_rs::hmac;
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let tag = hmac::sign(&key, b"trailbox history terms 1");
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&tag.as_ref()[..16]);
        Self { id, bytes }
    }

    /// The term of `value` under `attribute`.
    pub(crate) fn term(&self, attribute: Attribute, value: &[u8]) -> Term {
        let mut hasher = SipHasher24::new_with_key(&self.bytes);
        hasher.write(&[tag(attribute)]);
        hasher.write(value);
        hasher.finish() >> 16
    }

    /// The term of an `eventID` given as its 16 bytes.
    pub(crate) fn event_id(&self, id: &[u8; 16]) -> Term {
        self.term(Attribute::EventId, id)
    }

    /// The term that a filter looks for; `None` when no record can match it.
    pub(crate) fn of_filter(&self, attribute: Attribute, value: &str) -> Option<Term> {
        match attribute {
            Attribute::EventId => parse_event_id(value).map(|id| self.event_id(&id)),
            Attribute::EventName
            | Attribute::ReadOnly
            | Attribute::Username
            | Attribute::ResourceType
            | Attribute::ResourceName
            | Attribute::EventSource
            | Attribute::AccessKeyId => Some(self.term(attribute, value.as_bytes())),
        }
    }

    /// Every term of one record, each once.
    pub(crate) fn of_view(&self, event_id: &[u8; 16], view: &LookupView) -> Box<[Term]> {
        let mut terms = vec![self.event_id(event_id)];
        let mut add = |attribute, value: &str| terms.push(self.term(attribute, value.as_bytes()));
        add(Attribute::EventName, &view.event_name);
        add(Attribute::EventSource, &view.event_source);
        if let Some(flag) = view.read_only {
            add(Attribute::ReadOnly, flag_text(flag));
        }
        if let Some(name) = &view.username {
            add(Attribute::Username, name);
        }
        if let Some(key) = &view.access_key_id {
            add(Attribute::AccessKeyId, key);
        }
        for (kind, name) in &view.resources {
            add(Attribute::ResourceType, kind);
            add(Attribute::ResourceName, name);
        }
        terms.sort_unstable();
        terms.dedup();
        terms.into_boxed_slice()
    }
}

/// Part of the file format: never renumber.
const fn tag(attribute: Attribute) -> u8 {
    match attribute {
        Attribute::EventId => 1,
        Attribute::EventName => 2,
        Attribute::ReadOnly => 3,
        Attribute::Username => 4,
        Attribute::ResourceType => 5,
        Attribute::ResourceName => 6,
        Attribute::EventSource => 7,
        Attribute::AccessKeyId => 8,
    }
}

/// The 16 bytes of a hyphenated UUID, in either case.
pub(crate) fn parse_event_id(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 || [8, 13, 18, 23].iter().any(|&at| bytes[at] != b'-') {
        return None;
    }
    let digits: Vec<u8> = bytes.iter().copied().filter(|&byte| byte != b'-').collect();
    let mut id = [0; 16];
    hex::decode_to_slice(digits, &mut id).ok()?;
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::{TermKey, parse_event_id};
    use crate::Attribute;

    #[test]
    fn an_event_id_is_a_hyphenated_uuid_in_either_case() {
        let id = "c0ffee00-0000-4000-8000-00000000abCD";
        let parsed = parse_event_id(id).unwrap();
        assert_eq!((parsed[0], parsed[14], parsed[15]), (0xc0, 0xab, 0xcd));
        for bad in
            ["", "c0ffee00-0000-4000-8000-00000000abc", "c0ffee000000-4000-8000-00000000abcd-"]
        {
            assert_eq!(parse_event_id(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn terms_differ_by_key_attribute_and_value() {
        let (a, b) = (TermKey::derive(1, &[1; 32]), TermKey::derive(1, &[2; 32]));
        let term = a.term(Attribute::Username, b"alice");
        assert_eq!(term, a.term(Attribute::Username, b"alice"));
        assert_ne!(term, b.term(Attribute::Username, b"alice"));
        assert_ne!(term, a.term(Attribute::EventName, b"alice"));
        assert_ne!(term, a.term(Attribute::Username, b"Alice"));
        assert!(term < 1 << 48);
    }

    #[test]
    fn a_key_never_shows_itself() {
        assert_eq!(format!("{:?}", TermKey::derive(3, &[7; 32])), "TermKey { id: 3, .. }");
    }
}

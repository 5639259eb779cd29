//! Names on disk: any key becomes a safe file name, any item of a listing a
//! safe text.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::crypto::{Checksum as _, Sha256};

/// What `encoding-type=url` leaves as it is. A space becomes `%20` and a plus
/// sign `%2B`, so that decoders of both schools read the same key.
const LISTED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/').remove(b'*');

/// The shard and the file name of a key: hex SHA-256, split after two digits.
///
/// A key may hold anything (`..`, `//`, 1024 bytes); a hash is never a path.
pub(crate) fn file_of(key: &str) -> (String, String) {
    let hash = hex::encode(Sha256::checksum(key.as_bytes()));
    let (shard, file) = hash.split_at(2);
    (shard.to_owned(), file.to_owned())
}

/// `text` as `encoding-type=url` shows it.
pub(crate) fn url_encoded(text: &str) -> String {
    utf8_percent_encode(text, LISTED).to_string()
}

/// Whether `name` is safe as one directory name and a plausible bucket name.
pub(crate) fn is_bucket_name(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err()
}

/// Whether `id` has the shape of an upload id of this store: 32 hex digits.
pub(crate) fn is_upload_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::{file_of, is_bucket_name, is_upload_id, url_encoded};
    use proptest::prelude::*;

    #[test]
    fn no_key_leaves_its_directory() {
        for key in ["..", "../../etc/passwd", "a//b", "/", "x/", &"k".repeat(1024), "\u{0}"] {
            let (shard, file) = file_of(key);
            let text = format!("{shard}{file}");
            assert!(text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()), "{key:?}");
        }
    }

    #[test]
    fn bucket_names_follow_the_published_rules() {
        for good in ["abc", "a.b-c", "0bucket9"] {
            assert!(is_bucket_name(good), "{good}");
        }
        for bad in ["ab", "Abc", "a..b", ".abc", "abc-", "10.0.0.1", "a/b", "a_b", ""] {
            assert!(!is_bucket_name(bad), "{bad}");
        }
        assert!(!is_bucket_name(&"a".repeat(64)));
    }

    #[test]
    fn upload_ids_are_never_paths() {
        assert!(is_upload_id(&"0f".repeat(16)));
        assert!(!is_upload_id("../../../../../../../../../../xx"));
    }

    proptest! {
        #[test]
        fn listed_names_decode_to_themselves(key in "\\PC{0,40}") {
            let shown = url_encoded(&key);
            prop_assert!(!shown.contains(' ') && !shown.contains('+'));
            let back = percent_encoding::percent_decode_str(&shown).decode_utf8().unwrap();
            prop_assert_eq!(&*back, key.as_str());
        }
    }
}

//! A newer table as one signed file.
//!
//! `trailbox-facts-signed 1\n`, 64 bytes of ed25519 signature over all that
//! follows: 4 bytes little-endian length of the hand-made tables (0: the ones
//! of the binary stay), these tables, then the table of services in its
//! committed form.

use crate::facts::FactsError;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

const MAGIC: &[u8] = b"trailbox-facts-signed 1\n";
const SIGNATURE: usize = 64;
/// No real file is near this.
const CAP: usize = 16 << 20;

/// The parts of a file whose signature is good.
#[derive(Debug)]
pub(crate) struct Content<'a> {
    /// TOML; empty to keep the embedded one.
    pub(crate) tables: &'a str,
    /// As committed in `data/facts.zst`.
    pub(crate) table: &'a [u8],
}

/// What has to be signed: the parts behind the signature.
#[must_use]
pub fn content(tables: &str, table: &[u8]) -> Vec<u8> {
    let size = u32::try_from(tables.len()).unwrap_or(u32::MAX);
    [&size.to_le_bytes(), tables.as_bytes(), table].concat()
}

/// The file of a [`content`] and its ed25519 signature.
#[must_use]
pub fn seal(content: &[u8], signature: &[u8; SIGNATURE]) -> Vec<u8> {
    [MAGIC, signature, content].concat()
}

/// Checks size and signature, then takes the file apart.
pub(crate) fn open<'a>(file: &'a [u8], trusted: &[[u8; 32]]) -> Result<Content<'a>, FactsError> {
    let size = FactsError::Size { bytes: file.len() };
    if file.len() > CAP {
        return Err(size);
    }
    let rest = file.strip_prefix(MAGIC).ok_or(FactsError::Format)?;
    let Some((signature, content)) = rest.split_at_checked(SIGNATURE) else { return Err(size) };
    let good = |key: &[u8; 32]| {
        UnparsedPublicKey::new(&ED25519, key.as_slice()).verify(content, signature).is_ok()
    };
    if !trusted.iter().any(good) {
        return Err(FactsError::Untrusted);
    }
    let Some((length, parts)) = content.split_first_chunk::<4>() else { return Err(size) };
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let Some((tables, table)) = parts.split_at_checked(length) else { return Err(size) };
    let tables = std::str::from_utf8(tables).map_err(|_| FactsError::Format)?;
    Ok(Content { tables, table })
}

#[cfg(test)]
mod tests {
    use super::{CAP, MAGIC, content, seal};
    use crate::facts::{Facts, FactsError};
    use crate::model::{Protocol, Service};
    use crate::table::encode;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

    fn pair() -> (Ed25519KeyPair, [u8; 32]) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let public = pair.public_key().as_ref().try_into().unwrap();
        (pair, public)
    }

    fn signed(content: &[u8]) -> Vec<u8> {
        seal(content, pair().0.sign(content).as_ref().try_into().unwrap())
    }

    fn small() -> Vec<u8> {
        let service = Service {
            name: "brandnew".into(),
            signing_name: "brandnew".into(),
            protocols: vec![Protocol::Json],
            ..Service::default()
        };
        encode(&[service]).unwrap()
    }

    #[test]
    fn a_newer_table_replaces_the_embedded_one() {
        let facts = Facts::from_signed(&signed(&content("", &small())), &[[1; 32], pair().1]);
        let facts = facts.unwrap();
        assert!(facts.service("brandnew").is_some());
        assert!(facts.service("s3").is_none());
        assert!(facts.tables().service("iam").global_region.is_some(), "embedded tables stay");
    }

    #[test]
    fn a_file_is_refused_before_it_is_parsed() {
        let good = signed(&content("", &small()));
        let trusted = [pair().1];
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let cases = [
            (flipped, FactsError::Untrusted),
            (b"PK".to_vec(), FactsError::Format),
            (MAGIC.to_vec(), FactsError::Size { bytes: MAGIC.len() }),
            (vec![0; CAP + 1], FactsError::Size { bytes: CAP + 1 }),
            (signed(&[9, 0, 0, 0, 1]), FactsError::Size { bytes: MAGIC.len() + 64 + 5 }),
        ];
        for (file, want) in cases {
            assert_eq!(Facts::from_signed(&file, &trusted).err(), Some(want));
        }
        assert_eq!(Facts::from_signed(&good, &[]).err(), Some(FactsError::Untrusted));
    }

    #[test]
    fn a_signed_table_that_is_damaged_is_refused_whole() {
        let trusted = [pair().1];
        assert!(Facts::from_signed(&signed(&content("", b"zstd?")), &trusted).is_err());
        assert!(Facts::from_signed(&signed(&content("naming = 3", &small())), &trusted).is_err());
    }
}

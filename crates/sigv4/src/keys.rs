//! Signing keys, and a bounded store of derived ones.

use crate::claim::V4Claim;
use crate::secret::SecretText;
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// The key that signs for one secret, day, Region and service.
#[derive(Clone)]
pub struct SigningKey(Arc<hmac::Key>);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl SigningKey {
    /// Derives the key.
    ///
    /// Source: IAM User Guide, "Create a signed AWS API request", step 4.
    #[must_use]
    pub fn derive(secret: &[u8], date: &str, region: &str, service: &str) -> Self {
        let mut first = Zeroizing::new(Vec::with_capacity(4 + secret.len()));
        first.extend_from_slice(b"AWS4");
        first.extend_from_slice(secret);
        let mut key = hmac::Key::new(HMAC_SHA256, &first);
        for part in [date, region, service, "aws4_request"] {
            key = hmac::Key::new(HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
        }
        Self(Arc::new(key))
    }

    /// The key a claim was signed with, if `secret` is its secret.
    #[must_use]
    pub fn of_claim(claim: &V4Claim, secret: &[u8]) -> Self {
        Self::derive(secret, &claim.date, &claim.region, &claim.service)
    }

    pub(crate) fn sign(&self, text: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&self.0, text);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(tag.as_ref());
        bytes
    }

    /// Compares in constant time.
    pub(crate) fn fits(&self, text: &[u8], signature: &[u8; 32]) -> bool {
        hmac::verify(&self.0, text, signature).is_ok()
    }
}

/// Derived keys of recent claims: deriving costs five HMACs, looking up one hash.
///
/// Bounded: of `capacity` keys the half that was used least recently is
/// forgotten when it is full. A secret that changed is derived anew.
#[derive(Debug)]
pub struct SigningKeyCache {
    half: usize,
    halves: Mutex<Halves>,
}

#[derive(Default)]
struct Halves {
    young: HashMap<Scope, Held>,
    old: HashMap<Scope, Held>,
}

impl std::fmt::Debug for Halves {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} keys", self.young.len() + self.old.len())
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Scope {
    access_key_id: String,
    date: String,
    region: String,
    service: String,
}

struct Held {
    secret: SecretText,
    key: SigningKey,
}

impl SigningKeyCache {
    /// An empty store of at most `capacity` keys, at least two.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { half: (capacity / 2).max(1), halves: Mutex::default() }
    }

    /// The key of `claim` under `secret`, derived when it is not at hand.
    #[must_use]
    pub fn get(&self, claim: &V4Claim, secret: &SecretText) -> SigningKey {
        let V4Claim { access_key_id, date, region, service, .. } = claim;
        self.get_for(access_key_id, secret, [date, region, service])
    }

    /// The key of `secret` for a day, a Region and a service, derived when it is not at hand.
    pub(crate) fn get_for(
        &self,
        access_key_id: &str,
        secret: &SecretText,
        [date, region, service]: [&str; 3],
    ) -> SigningKey {
        let scope = Scope {
            access_key_id: access_key_id.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        };
        if let Some(key) = self.held(&scope, secret) {
            return key;
        }
        let key = SigningKey::derive(secret.expose().as_bytes(), date, region, service);
        self.keep(scope, Held { secret: secret.clone(), key: key.clone() });
        key
    }

    /// How many keys are held now.
    #[must_use]
    pub fn len(&self) -> usize {
        let halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        halves.young.len() + halves.old.len()
    }

    /// Whether no key is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn held(&self, scope: &Scope, secret: &SecretText) -> Option<SigningKey> {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = halves.young.get(scope) {
            return held.fits(secret);
        }
        let (scope, held) = halves.old.remove_entry(scope)?;
        let key = held.fits(secret);
        self.put(&mut halves, scope, held);
        key
    }

    fn keep(&self, scope: Scope, held: Held) {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        self.put(&mut halves, scope, held);
    }

    fn put(&self, halves: &mut Halves, scope: Scope, held: Held) {
        if halves.young.len() >= self.half && !halves.young.contains_key(&scope) {
            halves.old = std::mem::take(&mut halves.young);
        }
        halves.young.insert(scope, held);
    }
}

impl Held {
    fn fits(&self, secret: &SecretText) -> Option<SigningKey> {
        let (held, given) = (self.secret.expose().as_bytes(), secret.expose().as_bytes());
        aws_lc_rs::constant_time::verify_slices_are_equal(held, given)
            .ok()
            .map(|()| self.key.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::{SigningKey, SigningKeyCache};
    use crate::claim::{Claim, V4Claim};
    use crate::secret::SecretText;
    use crate::testing::head;

    fn claim_of(key: &str, region: &str) -> V4Claim {
        let credential = format!("{key}/20150830/{region}/iam/aws4_request");
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature={}",
            "0".repeat(64)
        );
        let fields =
            [("host", "h"), ("x-amz-date", "20150830T123600Z"), ("authorization", &authorization)];
        let Claim::V4(claim) = crate::claim(&head("GET", "/", &fields)) else {
            panic!("{key} {region} is no claim")
        };
        claim
    }

    /// The derivation example AWS published for secret `wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY`.
    #[test]
    fn the_published_signing_key_signs_the_published_text() {
        let key = SigningKey::derive(
            b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            "20150830",
            "us-east-1",
            "iam",
        );
        let text = "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\n\
                    f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59";
        assert_eq!(
            hex::encode(key.sign(text.as_bytes())),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }

    #[test]
    fn the_store_stays_within_its_capacity_and_keeps_what_is_in_use() {
        let cache = SigningKeyCache::new(8);
        let secret = SecretText::new("s");
        let hot = claim_of("HOT", "us-east-1");
        let first = cache.get(&hot, &secret);
        for n in 0..100 {
            let _ = cache.get(&claim_of("COLD", &format!("r-{n}")), &secret);
            let again = cache.get(&hot, &secret);
            assert!(std::sync::Arc::ptr_eq(&first.0, &again.0), "round {n}");
            assert!(cache.len() <= 8, "round {n}: {}", cache.len());
        }
    }

    #[test]
    fn a_changed_secret_is_never_answered_with_the_old_key() {
        let cache = SigningKeyCache::new(8);
        let claim = claim_of("AK", "us-east-1");
        let old = cache.get(&claim, &"old".into());
        let new = cache.get(&claim, &"new".into());
        assert_ne!(old.sign(b"x"), new.sign(b"x"));
        assert_eq!(new.sign(b"x"), cache.get(&claim, &"new".into()).sign(b"x"));
    }
}

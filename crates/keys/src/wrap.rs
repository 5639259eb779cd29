//! Authenticated encryption of small secrets.
//!
//! Bytes: version `1`, 12 bytes of nonce, ciphertext, 16 bytes of tag. The
//! context is authenticated with them.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use trailbox_clock::Random;

const VERSION: u8 = 1;
const NONCE: usize = 12;

/// The key for one purpose, derived from the master key.
///
/// # Panics
///
/// Never: an HMAC-SHA256 tag has the 32 bytes AES-256 wants.
pub(crate) fn key_for(master: &[u8; 32], purpose: &str) -> LessSafeKey {
    let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, master), purpose.as_bytes());
    let unbound = UnboundKey::new(&AES_256_GCM, derived.as_ref());
    LessSafeKey::new(unbound.expect("an HMAC-SHA256 tag is an AES-256 key"))
}

/// Encrypts `plain` under a random nonce.
///
/// # Panics
///
/// Never: only messages over 64 GiB are refused.
pub(crate) fn wrap(key: &LessSafeKey, random: &dyn Random, context: &str, plain: &[u8]) -> Vec<u8> {
    let mut nonce = [0; NONCE];
    random.fill(&mut nonce);
    let mut out = Vec::with_capacity(1 + NONCE + plain.len() + 16);
    out.push(VERSION);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(plain);
    let aad = Aad::from(context.as_bytes());
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key.seal_in_place_separate_tag(nonce, aad, &mut out[1 + NONCE..]);
    out.extend_from_slice(tag.expect("a secret is shorter than 64 GiB").as_ref());
    out
}

/// Decrypts what [`wrap`] made; `None` when it was changed or is not ours.
pub(crate) fn unwrap(key: &LessSafeKey, context: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let (&[VERSION], rest) = sealed.split_first_chunk::<1>()? else { return None };
    let (nonce, rest) = rest.split_first_chunk::<NONCE>()?;
    let mut plain = rest.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let len = key.open_in_place(nonce, Aad::from(context.as_bytes()), &mut plain).ok()?.len();
    plain.truncate(len);
    Some(plain)
}

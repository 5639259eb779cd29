//! Keys derived from a data key, leaf hashes, and what encrypts payloads.
//!
//! One data key serves three purposes, kept apart by HMAC-SHA256 labels:
//! frames of one epoch, blocks of one sealed file, and leaf salts. The first
//! two are further bound to a random salt of the file, so that a nonce can
//! never meet the same key twice, even after a backup was restored.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use std::ops::RangeFrom;

/// Bytes an AES-256-GCM tag takes.
pub(crate) const TAG: usize = 16;
/// Bytes of a nonce.
pub(crate) const NONCE: usize = 12;
/// Bytes of a leaf hash and of a tree head.
pub(crate) const HASH: usize = 32;

const FRAME_LABEL: &[u8] = b"trailbox journal frame v1";
const BLOCK_LABEL: &[u8] = b"trailbox journal block v1";
const LEAF_LABEL: &[u8] = b"trailbox journal leaf v1";

/// What a derived key is for, with the salt of the file it is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose<'a> {
    Frames(&'a [u8; 32]),
    Blocks(&'a [u8; 32]),
}

/// Encrypts and decrypts for one data key and one file salt.
pub(crate) struct Cipher {
    aead: LessSafeKey,
    leaf: hmac::Key,
}

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cipher")
    }
}

impl Cipher {
    /// # Panics
    ///
    /// Never: AES-256 takes every key of 32 bytes.
    pub(crate) fn new(data_key: &[u8; 32], purpose: Purpose<'_>) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, data_key);
        let (label, salt) = match purpose {
            Purpose::Frames(salt) => (FRAME_LABEL, salt),
            Purpose::Blocks(salt) => (BLOCK_LABEL, salt),
        };
        let mut context = hmac::Context::with_key(&root);
        context.update(label);
        context.update(salt);
        let key = context.sign();
        let unbound = UnboundKey::new(&AES_256_GCM, key.as_ref());
        let aead = LessSafeKey::new(unbound.expect("an HMAC-SHA256 tag is an AES-256 key"));
        let leaf = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, LEAF_LABEL).as_ref());
        Self { aead, leaf }
    }

    /// Encrypts `payload` in place and appends the tag.
    ///
    /// # Panics
    ///
    /// Never: only messages over 64 GiB are refused.
    pub(crate) fn seal(&self, nonce: [u8; NONCE], aad: &[u8], payload: &mut [u8]) -> [u8; TAG] {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.aead.seal_in_place_separate_tag(nonce, Aad::from(aad), payload);
        let tag = tag.expect("a payload is shorter than 64 GiB");
        tag.as_ref().try_into().expect("an AES-256-GCM tag has 16 bytes")
    }

    /// Decrypts `sealed` (ciphertext and tag) in place; the payload's length.
    pub(crate) fn open(
        &self,
        nonce: [u8; NONCE],
        aad: &[u8],
        sealed: &mut [u8],
        from: RangeFrom<usize>,
    ) -> Result<usize, Unspecified> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.aead.open_within(nonce, Aad::from(aad), sealed, from).map(|plain| plain.len())
    }

    /// The leaf hash of a frame. Its salt stands on the data key, so that the
    /// hash says nothing about the payload once the key is destroyed.
    pub(crate) fn leaf(
        &self,
        kind: u8,
        event_id: &[u8; 16],
        arrival: i64,
        payload: &[u8],
    ) -> [u8; HASH] {
        let mut salt = hmac::Context::with_key(&self.leaf);
        salt.update(&[kind]);
        salt.update(event_id);
        salt.update(&arrival.to_le_bytes());
        let salt = salt.sign();
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(&[0]);
        hash.update(&salt.as_ref()[..16]);
        hash.update(payload);
        finish(hash)
    }
}

/// The hash as an array.
///
/// # Panics
///
/// Never: SHA-256 gives 32 bytes.
pub(crate) fn finish(context: digest::Context) -> [u8; HASH] {
    context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

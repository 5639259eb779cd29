//! `cargo xtask seal-facts`: a signed table that a running Trailbox can load.

use crate::run::root;
use anyhow::{Context as _, anyhow};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use std::path::Path;
use trailbox_service_facts::signed;

/// Signs the committed table and the hand-made tables with the seed in
/// `seed` (64 hex digits), writes `out` and prints the public key.
///
/// # Errors
///
/// A seed that is none; files that cannot be read or written.
pub(crate) fn run(seed: &Path, out: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(seed)
        .with_context(|| format!("cannot read the seed {}", seed.display()))?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.trim(), &mut bytes).context("the seed needs 64 hex digits")?;
    let key = Ed25519KeyPair::from_seed_unchecked(&bytes)
        .map_err(|err| anyhow!("the seed gives no key: {err}"))?;
    let table = std::fs::read(root().join(super::TABLE))?;
    let tables = std::fs::read_to_string(root().join("crates/service-facts/data/tables.toml"))?;
    let content = signed::content(&tables, &table);
    let signature: [u8; 64] =
        key.sign(&content).as_ref().try_into().context("an Ed25519 signature has 64 bytes")?;
    std::fs::write(out, signed::seal(&content, &signature))?;
    println!("trusted_keys = [\"{}\"]", hex::encode(key.public_key()));
    Ok(())
}

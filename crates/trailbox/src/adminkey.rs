//! The administrator key that the command line signs with, sealed in the data directory.

use crate::client::Credentials;
use crate::datadir::{DataDir, write_durably};
use anyhow::Context as _;
use trailbox_identity::Sealer;

const CONTEXT: &str = "administrator-key/1";

fn place(data: &DataDir) -> std::path::PathBuf {
    data.join("run/administrator.sealed")
}

/// Writes the key where [`read`] finds it.
pub(crate) fn write(data: &DataDir, sealer: &dyn Sealer, key: &Credentials) -> anyhow::Result<()> {
    let plain = format!("{}\n{}", key.access_key_id, key.secret);
    write_durably(&place(data), &sealer.seal(CONTEXT, plain.as_bytes()))
}

/// The key, for whoever can read the data directory and its master key.
pub(crate) fn read(data: &DataDir) -> anyhow::Result<Credentials> {
    let place = place(data);
    let sealed = std::fs::read(&place)
        .with_context(|| format!("cannot read the administrator key {}", place.display()))?;
    let plain = crate::masterkey::open(data)?.open(CONTEXT, &sealed)?;
    let plain = String::from_utf8(plain).context("the administrator key is not text")?;
    let (id, secret) = plain.split_once('\n').context("the administrator key has no secret")?;
    Ok(Credentials { access_key_id: id.to_owned(), secret: secret.to_owned(), session_token: None })
}

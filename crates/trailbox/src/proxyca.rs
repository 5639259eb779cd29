//! The authority that a forward proxy signs with: made on first use, its key sealed
//! by the master key like every secret of the data directory.

use crate::config::Config;
use crate::datadir::{DataDir, write_durably};
use crate::masterkey;
use crate::ports::{SystemClock, SystemRandom};
use anyhow::Context as _;
use std::path::PathBuf;
use trailbox_clock::Clock as _;
use trailbox_gateway::{ProxyAuthority, make_authority};
use trailbox_identity::Sealer;

const CONTEXT: &str = "proxy-authority-key/1";

fn certificate(data: &DataDir) -> PathBuf {
    data.join("proxy-ca.pem")
}

fn key(data: &DataDir) -> PathBuf {
    data.join("proxy-ca-key.sealed")
}

/// The authority of `data`, made now if there is none.
///
/// # Errors
///
/// When its key does not open or cannot be written.
pub(crate) fn open_or_make(data: &DataDir, sealer: &dyn Sealer) -> anyhow::Result<ProxyAuthority> {
    let place = key(data);
    if !(place.exists() && certificate(data).exists()) {
        let pair = make_authority(SystemClock.now(), &SystemRandom)?;
        write_durably(&place, &sealer.seal(CONTEXT, pair.key.as_bytes()))?;
        write_durably(&certificate(data), pair.certificate.as_bytes())?;
    }
    let sealed =
        std::fs::read(&place).with_context(|| format!("cannot read {}", place.display()))?;
    let plain = sealer.open(CONTEXT, &sealed).context("the key of the proxy's authority")?;
    let pem = String::from_utf8(plain).context("the key of the proxy's authority is no text")?;
    Ok(ProxyAuthority::from_key(&pem)?)
}

/// The authority, when a listener needs one.
///
/// # Errors
///
/// See [`open_or_make`].
pub(crate) fn of_listeners(
    config: &Config,
    data: &DataDir,
    sealer: &dyn Sealer,
) -> anyhow::Result<Option<ProxyAuthority>> {
    let needed = config.recording_ports().iter().any(|port| port.forward_proxy);
    if needed { open_or_make(data, sealer).map(Some) } else { Ok(None) }
}

/// The certificate that clients are to trust, as PEM.
///
/// # Errors
///
/// When there is none and a running server keeps us from making it.
pub(crate) fn pem(data: &DataDir) -> anyhow::Result<String> {
    let place = certificate(data);
    if !place.exists() {
        let _held = data.lock().context("no authority was made yet: no listener is a proxy")?;
        let keyed = data.join("master.key").exists()
            || std::env::var_os(trailbox_keys::MASTER_KEY_VARIABLE).is_some();
        // Its first start shows the master key, for the copy kept elsewhere.
        anyhow::ensure!(keyed, "there is no master key yet; start `trailbox serve` once");
        open_or_make(data, &*masterkey::open(data)?)?;
    }
    std::fs::read_to_string(&place).with_context(|| format!("cannot read {}", place.display()))
}

#[cfg(test)]
mod tests {
    use super::{CONTEXT, open_or_make, pem};
    use crate::datadir::DataDir;
    use crate::masterkey;

    #[test]
    fn the_authority_is_made_once_and_its_key_lies_sealed() {
        let place = tempfile::tempdir().unwrap();
        let data = DataDir::open_or_create(place.path()).unwrap();
        assert!(pem(&data).unwrap_err().to_string().contains("serve"));
        let master = masterkey::open(&data).unwrap();
        let first = pem(&data).unwrap();
        assert!(first.starts_with("-----BEGIN CERTIFICATE-----"));
        open_or_make(&data, &*master).unwrap();
        assert_eq!(pem(&data).unwrap(), first);
        let sealed = std::fs::read(data.join("proxy-ca-key.sealed")).unwrap();
        assert!(!String::from_utf8_lossy(&sealed).contains("PRIVATE KEY"));
        let plain = trailbox_identity::Sealer::open(&*master, CONTEXT, &sealed).unwrap();
        assert!(String::from_utf8_lossy(&plain).contains("PRIVATE KEY"));
    }
}

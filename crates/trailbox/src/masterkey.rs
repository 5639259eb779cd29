//! Where the master key comes from: the environment, or a file of the data directory.

use crate::datadir::DataDir;
use crate::ports::SystemRandom;
use std::sync::Arc;
use trailbox_keys::MasterKey;

/// The master key of `data`; the first start without one in the environment makes it.
pub(crate) fn open(data: &DataDir) -> anyhow::Result<Arc<MasterKey>> {
    let random = Arc::new(SystemRandom);
    if let Some(key) = MasterKey::from_env(random.clone())? {
        return Ok(Arc::new(key));
    }
    Ok(Arc::new(MasterKey::from_file_or_create(&data.join("master.key"), random)?))
}

/// Like [`open`]; a key that is made now is shown once, for the copy kept elsewhere.
pub(crate) fn open_or_show(data: &DataDir) -> anyhow::Result<Arc<MasterKey>> {
    let made_now = std::env::var_os(trailbox_keys::MASTER_KEY_VARIABLE).is_none()
        && !data.join("master.key").exists();
    let key = open(data)?;
    if made_now {
        println!(
            "# master key of {}; keep a copy elsewhere, without it nothing can be read:\n# {}={}",
            data.path().display(),
            trailbox_keys::MASTER_KEY_VARIABLE,
            key.escrow_text().as_str(),
        );
    }
    Ok(key)
}

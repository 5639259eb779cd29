//! The master key: where it comes from and what it seals.

use crate::wrap::{key_for, unwrap, wrap};
use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use trailbox_clock::Random;
use trailbox_identity::{Sealer, UnsealError};
use zeroize::Zeroizing;

/// Environment variable that may hold the master key: 32 bytes in base64.
pub const MASTER_KEY_VARIABLE: &str = "TRAILBOX_MASTER_KEY";

const SECRETS: &str = "trailbox secrets v1";
const IDENTITY: &str = "trailbox master key id v1";

/// The key all other keys are sealed under.
pub struct MasterKey {
    key: Zeroizing<[u8; 32]>,
    secrets: LessSafeKey,
    random: Arc<dyn Random>,
}

/// Why there is no master key. Each needs a person.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// Others than the owner may read or write the file.
    #[error("{} has mode {mode:o}; a master key file must have 600", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not 32 bytes in base64.
    #[error("{place} does not hold a master key: 32 bytes in base64 are 44 characters")]
    Shape {
        /// The file or variable.
        place: String,
    },
    /// The file cannot be read or made.
    #[error("{}: cannot {action}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was being done to it.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({})", hex::encode(self.id()))
    }
}

impl MasterKey {
    /// A key of these bytes. `random` gives the nonces it seals with.
    #[must_use]
    pub fn from_bytes(key: [u8; 32], random: Arc<dyn Random>) -> Self {
        let secrets = key_for(&key, SECRETS);
        Self { key: Zeroizing::new(key), secrets, random }
    }

    /// The key in the file at `path`; a new one is drawn and written, mode
    /// 0600, when there is no file. It is durable before this returns.
    ///
    /// # Errors
    ///
    /// When group or others may touch the file, when it holds no key, or when
    /// it cannot be read or made.
    pub fn from_file_or_create(
        path: &Path,
        random: Arc<dyn Random>,
    ) -> Result<Self, MasterKeyError> {
        match read_file(path)? {
            Some(text) => parse(&text, &path.display().to_string(), random),
            None => create(path, random),
        }
    }

    /// The key in [`MASTER_KEY_VARIABLE`]; `None` when that is not set.
    ///
    /// # Errors
    ///
    /// When it is set to anything but a key.
    pub fn from_env(random: Arc<dyn Random>) -> Result<Option<Self>, MasterKeyError> {
        let Some(text) = std::env::var_os(MASTER_KEY_VARIABLE) else { return Ok(None) };
        let text = Zeroizing::new(text.to_string_lossy().into_owned());
        parse(&text, MASTER_KEY_VARIABLE, random).map(Some)
    }

    /// A fingerprint that tells master keys apart and gives nothing away.
    #[must_use]
    pub fn id(&self) -> [u8; 8] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*self.key);
        let tag = hmac::sign(&key, IDENTITY.as_bytes());
        let mut id = [0; 8];
        id.copy_from_slice(&tag.as_ref()[..8]);
        id
    }

    /// The key as text, for the escrow copy that is shown once. Whoever has it
    /// can read everything.
    #[must_use]
    pub fn escrow_text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.key.as_slice()))
    }

    /// The key for one purpose of this crate.
    pub(crate) fn purpose(&self, purpose: &str) -> LessSafeKey {
        key_for(&self.key, purpose)
    }

    pub(crate) fn random(&self) -> &dyn Random {
        &*self.random
    }
}

impl Sealer for MasterKey {
    fn seal(&self, context: &str, plain: &[u8]) -> Vec<u8> {
        wrap(&self.secrets, &*self.random, context, plain)
    }

    fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, UnsealError> {
        unwrap(&self.secrets, context, sealed)
            .ok_or_else(|| UnsealError { context: context.to_owned() })
    }
}

fn parse(text: &str, place: &str, random: Arc<dyn Random>) -> Result<MasterKey, MasterKeyError> {
    let bytes = STANDARD.decode(text.trim()).map(Zeroizing::new).ok();
    let key = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
    let shape = || MasterKeyError::Shape { place: place.to_owned() };
    Ok(MasterKey::from_bytes(key.ok_or_else(shape)?, random))
}

/// The text in `path`, after its permissions were checked; `None` when there
/// is no such file.
fn read_file(path: &Path) -> Result<Option<Zeroizing<String>>, MasterKeyError> {
    let failed =
        |action| move |source| MasterKeyError::File { path: path.to_owned(), action, source };
    let mut file = match File::open(path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed("open"))?,
    };
    let mode = file.metadata().map_err(failed("examine"))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(MasterKeyError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(failed("read"))?;
    Ok(Some(text))
}

fn create(path: &Path, random: Arc<dyn Random>) -> Result<MasterKey, MasterKeyError> {
    let mut key = [0; 32];
    random.fill(&mut key);
    let key = MasterKey::from_bytes(key, random);
    let temporary = path.with_extension(format!("tmp-{}", std::process::id()));
    let write = || {
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        writeln!(file, "{}", *key.escrow_text())?;
        file.sync_all()?;
        // A link, not a renaming: a key that somebody else has made meanwhile
        // stays. The name appears with the whole key behind it.
        let linked = std::fs::hard_link(&temporary, path);
        std::fs::remove_file(&temporary)?;
        linked?;
        match path.parent() {
            Some(parent) if parent != Path::new("") => File::open(parent)?.sync_all(),
            _ => Ok(()),
        }
    };
    write().map_err(|source| MasterKeyError::File {
        path: path.to_owned(),
        action: "create",
        source,
    })?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::{MasterKey, MasterKeyError, parse};
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;
    use trailbox_clock::{Random, SeededRandom};
    use trailbox_identity::Sealer as _;

    fn random() -> Arc<dyn Random> {
        Arc::new(SeededRandom::new(1))
    }

    #[test]
    fn a_made_key_is_private_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let made = MasterKey::from_file_or_create(&path, random()).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let found = MasterKey::from_file_or_create(&path, Arc::new(SeededRandom::new(2))).unwrap();
        assert_eq!(found.id(), made.id());
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused_with_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        MasterKey::from_file_or_create(&path, random()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let err = MasterKey::from_file_or_create(&path, random()).unwrap_err();
        assert!(matches!(err, MasterKeyError::Exposed { mode: 0o640, .. }), "{err}");
    }

    #[test]
    fn what_is_no_key_is_refused_by_shape_and_never_shown() {
        for text in ["", "c2VjcmV0", "not base64 at all"] {
            let err = parse(text, "HERE", random()).unwrap_err().to_string();
            assert_eq!(
                err,
                "HERE does not hold a master key: 32 bytes in base64 are 44 characters"
            );
        }
    }

    #[test]
    fn a_sealed_secret_opens_under_its_context_only() {
        let key = MasterKey::from_bytes([7; 32], random());
        let sealed = key.seal("key/AKIA1", b"secret");
        assert_eq!(key.open("key/AKIA1", &sealed).unwrap(), b"secret");
        assert!(key.open("key/AKIA2", &sealed).is_err());
        assert_ne!(sealed, key.seal("key/AKIA1", b"secret"));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open("key/AKIA1", &changed).is_err(), "byte {at}");
            assert!(key.open("key/AKIA1", &sealed[..at]).is_err(), "cut at {at}");
        }
        let other = MasterKey::from_bytes([8; 32], random());
        assert!(other.open("key/AKIA1", &sealed).is_err());
    }

    #[test]
    fn the_key_is_not_in_its_debug_text() {
        let key = MasterKey::from_bytes([7; 32], random());
        let text = format!("{key:?}");
        assert!(!text.contains("0707") && !text.contains("7, 7"), "{text}");
    }
}

//! The data directory: what lies where, which version wrote it, who holds it.
//!
//! ```text
//! VERSION            the format of this directory
//! lock               held while a server runs; names its owner
//! master.key         seals everything below (0600), unless the environment gives one
//! keys/              data keys of the accounts, wrapped by the master key
//! journal/           segments
//! history/           index segments
//! state.db           principals, keys, sessions, positions
//! store/             buckets of the embedded store
//! run/               what only a running server needs: sockets, addresses, snapshot
//! ```

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The format this program writes. Readers accept every older one.
const VERSION: u32 = 1;

/// A data directory that exists and has a version we can read.
#[derive(Debug, Clone)]
pub(crate) struct DataDir(PathBuf);

/// Where a running server listens; written to `run/server.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Running {
    /// Process that holds the lock.
    pub(crate) pid: u32,
    /// The port that records.
    pub(crate) listen: SocketAddr,
    /// The port for people and probes.
    pub(crate) admin_listen: SocketAddr,
    /// Whether the recording port speaks TLS.
    pub(crate) tls: bool,
    /// Account of calls whose key says nothing else.
    pub(crate) account: String,
}

/// Keeps other servers out of the directory for as long as it lives.
#[derive(Debug)]
pub(crate) struct Held(#[allow(dead_code)] File);

impl DataDir {
    /// Opens `place`, making it on first use.
    pub(crate) fn open_or_create(place: &Path) -> anyhow::Result<Self> {
        for part in ["", "journal", "history", "keys", "store", "run"] {
            private_dir(&place.join(part))?;
        }
        // What an earlier start left here by name is relied on from now on: the
        // node, the master key, the directories. It must survive.
        sync_dir(place)?;
        sync_dir(place.parent().unwrap_or(Path::new("")))?;
        let version = place.join("VERSION");
        if !version.exists() {
            write_durably(&version, format!("{VERSION}\n").as_bytes())?;
        }
        Self::open(place)
    }

    /// Opens a directory that must exist already.
    pub(crate) fn open(place: &Path) -> anyhow::Result<Self> {
        let version = place.join("VERSION");
        let text = fs::read_to_string(&version).with_context(|| {
            format!(
                "{} is not a data directory of Trailbox; name one with --data, or start \
                 `trailbox serve --data {}` to make it",
                place.display(),
                place.display()
            )
        })?;
        match text.trim().parse::<u32>() {
            Ok(found) if found <= VERSION => Ok(Self(place.to_owned())),
            Ok(found) => bail!(
                "{} was written by format {found}; this program reads up to {VERSION}: use a newer one",
                place.display()
            ),
            Err(_) => bail!("{} holds {text:?}; it needs a format number", version.display()),
        }
    }

    /// The directory itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A path inside the directory.
    pub(crate) fn join(&self, part: &str) -> PathBuf {
        self.0.join(part)
    }

    /// The socket on which the engine answers.
    pub(crate) fn engine_socket(&self) -> PathBuf {
        self.join("run/engine.sock")
    }

    /// The sealed copy of the principals that the recorder reads.
    pub(crate) fn directory_snapshot(&self) -> PathBuf {
        self.join("run/directory.sealed")
    }

    /// Takes the directory for this process.
    ///
    /// # Errors
    ///
    /// When another process holds it; the text names the owner.
    pub(crate) fn lock(&self) -> anyhow::Result<Held> {
        self.lock_file("lock")
    }

    /// Takes the engine's share; a restarted engine waits here for the old one to end.
    pub(crate) fn lock_engine(&self) -> anyhow::Result<Held> {
        self.lock_file("run/engine.lock")
    }

    fn lock_file(&self, name: &str) -> anyhow::Result<Held> {
        let place = self.join(name);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&place)
            .with_context(|| format!("cannot open {}", place.display()))?;
        if file.try_lock().is_err() {
            let owner = fs::read_to_string(&place).unwrap_or_default();
            bail!(
                "{} is in use by process {}; stop it, or choose another directory with --data",
                self.0.display(),
                owner.trim()
            );
        }
        file.set_len(0)?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
        file.sync_data()?;
        Ok(Held(file))
    }

    /// Tells the command line where the server listens.
    pub(crate) fn announce(&self, running: &Running) -> anyhow::Result<()> {
        write_durably(&self.join("run/server.json"), &serde_json::to_vec_pretty(running)?)
    }

    /// The announcement is over.
    pub(crate) fn retract(&self) {
        // A file that stays behind is harmless: readers check that the port answers.
        let _ = fs::remove_file(self.join("run/server.json"));
    }

    /// The server that holds this directory now.
    ///
    /// # Errors
    ///
    /// When none runs; the text says how to start one.
    pub(crate) fn running(&self) -> anyhow::Result<Running> {
        let place = self.join("run/server.json");
        let text = fs::read(&place).with_context(|| {
            format!(
                "no server runs on {}; start `trailbox serve --data {}`",
                self.0.display(),
                self.0.display()
            )
        })?;
        serde_json::from_slice(&text).with_context(|| format!("cannot read {}", place.display()))
    }
}

fn private_dir(place: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(place)
        .with_context(|| format!("cannot make the directory {}", place.display()))
}

fn sync_dir(place: &Path) -> anyhow::Result<()> {
    let place = if place == Path::new("") { Path::new(".") } else { place };
    File::open(place)
        .and_then(|dir| dir.sync_all())
        .with_context(|| format!("cannot sync the directory {}", place.display()))
}

/// Replaces a small private file so that a crash leaves the old or the new one.
pub(crate) fn write_durably(place: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let parent = place.parent().filter(|p| *p != Path::new("")).unwrap_or(Path::new("."));
    let temporary = place.with_extension(format!("tmp-{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, place)?;
        File::open(parent)?.sync_all()
    };
    let written = write();
    if written.is_err() {
        // A full disk must not fill up with attempts.
        let _ = fs::remove_file(&temporary);
    }
    written.with_context(|| format!("cannot write {}", place.display()))
}

#[cfg(test)]
mod tests {
    use super::DataDir;

    #[test]
    fn a_newer_format_is_refused_by_number() {
        let place = tempfile::tempdir().unwrap();
        DataDir::open_or_create(place.path()).unwrap();
        std::fs::write(place.path().join("VERSION"), "9\n").unwrap();
        let err = DataDir::open_or_create(place.path()).unwrap_err().to_string();
        assert!(err.contains("format 9"), "{err}");
    }

    #[test]
    fn the_second_server_learns_who_the_first_is() {
        let place = tempfile::tempdir().unwrap();
        let data = DataDir::open_or_create(place.path()).unwrap();
        let _held = data.lock().unwrap();
        let err = data.lock().unwrap_err().to_string();
        assert!(err.contains(&format!("process {}", std::process::id())), "{err}");
    }
}

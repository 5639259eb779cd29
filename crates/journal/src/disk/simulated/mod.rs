//! A disk in memory that fails where it is told and loses what was not synced.
//!
//! For tests and simulations. One seed, one history of torn sectors.

mod file;
mod platter;

use super::{Claim, ClaimError, Disk, DiskFile, Space};
use file::SimulatedFile;
use platter::{Node, pick};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use trailbox_clock::SeededRandom;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The operation does nothing and fails with this kind.
    Error(ErrorKind),
    /// A write stores the first half and fails with this kind; any other
    /// operation fails whole.
    Short(ErrorKind),
    /// The power goes out before the operation.
    PowerLoss,
    /// The process is killed before the operation; the machine lives on and
    /// keeps what it was handed.
    Kill,
}

/// A disk in memory. Clones share it.
#[derive(Debug, Clone)]
pub struct SimulatedDisk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Signalled when syncs may go on.
    resumed: Condvar,
}

#[derive(Debug)]
struct State {
    nodes: HashMap<u64, Node>,
    next_node: u64,
    /// Names as a running process sees them.
    names: BTreeMap<PathBuf, u64>,
    /// Names that survive a power loss.
    durable_names: BTreeMap<PathBuf, u64>,
    /// Changes of names since the last sync of a directory, in order.
    pending_names: Vec<NameChange>,
    claims: HashSet<PathBuf>,
    faults: BTreeMap<u64, Fault>,
    /// From which operation on all of them fail, and how.
    sick: Option<(u64, ErrorKind)>,
    /// Whether syncs wait.
    stalled: bool,
    /// Whether opening a file for reading is an operation that may fail.
    readers_fail: bool,
    operations: u64,
    capacity: u64,
    /// Raised by each power loss: handles of before are dead.
    power: u64,
    off: bool,
    /// Whether the machine lives although whoever used the disk does not.
    kept: bool,
    random: SeededRandom,
}

#[derive(Debug, Clone)]
enum NameChange {
    Link(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl SimulatedDisk {
    /// An empty disk of one GiB; `seed` decides what a power loss keeps.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = State {
            nodes: HashMap::new(),
            next_node: 1,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending_names: Vec::new(),
            claims: HashSet::new(),
            faults: BTreeMap::new(),
            sick: None,
            stalled: false,
            readers_fail: false,
            operations: 0,
            capacity: 1 << 30,
            power: 0,
            off: false,
            kept: false,
            random: SeededRandom::new(seed),
        };
        Self(Arc::new(Shared { state: Mutex::new(state), resumed: Condvar::new() }))
    }

    /// Counts opening for reading as an operation, too, which may be told to
    /// fail. Otherwise only what changes something, or may, does.
    pub fn set_readers_fail(&self) {
        self.state().readers_fail = true;
    }

    /// How many operations were asked for so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Lets operation number `operation` (from 0) go wrong.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.state().faults.insert(operation, fault);
    }

    /// Takes back what was said about operations that did not come yet.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Lets every changing operation fail from now on, or none any more.
    pub fn set_sick(&self, kind: Option<ErrorKind>) {
        self.state().sick = kind.map(|kind| (0, kind));
    }

    /// Lets every changing operation fail from number `operation` on, as a
    /// file system does that was mounted read-only after an error.
    pub fn sicken_at(&self, operation: u64, kind: ErrorKind) {
        self.state().sick = Some((operation, kind));
    }

    /// Lets every sync wait until it is called with `false`: a disk so slow
    /// that nothing comes back.
    pub fn set_stalled(&self, stalled: bool) {
        self.state().stalled = stalled;
        self.0.resumed.notify_all();
    }

    /// Sets the size of the disk. Bytes.
    pub fn set_capacity(&self, capacity: u64) {
        self.state().capacity = capacity;
    }

    /// Bytes all files take together.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// Cuts the power: whoever uses the disk gets errors from now on.
    pub fn cut_power(&self) {
        self.state().cut_power();
        self.0.resumed.notify_all();
    }

    /// Whether the power is out.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.state().off
    }

    /// Kills the process that uses the disk: it gets errors from now on, and
    /// what it wrote is kept, synced or not.
    pub fn kill(&self) {
        self.state().kill();
    }

    /// Power is back; what was not synced is there, torn or gone. After a
    /// [`kill`](Self::kill) all of it is there.
    pub fn restore_power(&self) {
        self.state().restore_power();
    }

    /// Changes bytes behind everybody's back, as decaying hardware does.
    pub fn damage(&self, file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let Some(id) = state.names.get(file).copied() else { return };
        let Some(node) = state.nodes.get_mut(&id) else { return };
        change(&mut node.live);
        node.durable.clone_from(&node.live);
        node.pending.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts a changing operation and lets it fail if it is its turn.
    fn step(&mut self, power: u64) -> Result<(), Fault> {
        self.count(power, false)
    }

    fn count(&mut self, power: u64, reads: bool) -> Result<(), Fault> {
        if self.off || power != self.power {
            return Err(Fault::Error(ErrorKind::Other));
        }
        let operation = self.operations;
        self.operations += 1;
        if let Some((from, kind)) = self.sick
            && operation >= from
            && !reads
        {
            return Err(Fault::Error(kind));
        }
        match self.faults.remove(&operation) {
            None => Ok(()),
            Some(Fault::PowerLoss) => {
                self.cut_power();
                Err(Fault::PowerLoss)
            }
            Some(Fault::Kill) => {
                self.kill();
                Err(Fault::Kill)
            }
            Some(fault) => Err(fault),
        }
    }

    fn used(&self) -> u64 {
        let ids: HashSet<u64> = self.names.values().copied().collect();
        ids.iter().filter_map(|id| self.nodes.get(id)).map(|node| node.live.len() as u64).sum()
    }

    fn cut_power(&mut self) {
        self.off = true;
        self.kept = false;
        self.power += 1;
        self.claims.clear();
    }

    fn kill(&mut self) {
        if !self.off {
            self.cut_power();
            self.kept = true;
        }
    }

    fn restore_power(&mut self) {
        if !self.off {
            self.cut_power();
        }
        if !std::mem::take(&mut self.kept) {
            self.lose_some();
        }
        self.off = false;
        self.sick = None;
        self.faults.clear();
    }

    /// What a power loss leaves of what was not synced.
    fn lose_some(&mut self) {
        let Self { nodes, random, .. } = self;
        let mut ids: Vec<u64> = nodes.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            if let Some(node) = nodes.get_mut(&id) {
                node.lose_some(random);
            }
        }
        let kept = pick(&self.random, self.pending_names.len() + 1);
        for change in std::mem::take(&mut self.pending_names).into_iter().take(kept) {
            apply_name(&mut self.durable_names, change);
        }
        self.names = self.durable_names.clone();
    }

    fn rename(&mut self, change: NameChange) {
        apply_name(&mut self.names, change.clone());
        self.pending_names.push(change);
    }
}

fn apply_name(names: &mut BTreeMap<PathBuf, u64>, change: NameChange) {
    match change {
        NameChange::Link(name, id) => {
            names.insert(name, id);
        }
        NameChange::Rename(from, to) => {
            if let Some(id) = names.remove(&from) {
                names.insert(to, id);
            }
        }
        NameChange::Remove(name) => {
            names.remove(&name);
        }
    }
}

fn error(fault: Fault) -> io::Error {
    match fault {
        Fault::Error(kind) | Fault::Short(kind) => io::Error::new(kind, "simulated fault"),
        Fault::PowerLoss => io::Error::other("simulated power loss"),
        Fault::Kill => io::Error::other("simulated kill"),
    }
}

impl Disk for SimulatedDisk {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        let inside = state.names.keys().filter(|file| file.parent() == Some(dir));
        Ok(inside
            .filter_map(|file| Some(file.file_name()?.to_string_lossy().into_owned()))
            .collect())
    }

    fn create(&self, file: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        let power = state.power;
        state.step(power).map_err(error)?;
        if state.names.contains_key(file) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let id = state.next_node;
        state.next_node += 1;
        state.nodes.insert(id, Node::default());
        state.rename(NameChange::Link(file.to_owned(), id));
        Ok(Box::new(SimulatedFile { disk: self.clone(), id, power, read_only: false }))
    }

    fn open(&self, file: &Path, read_only: bool) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        let power = state.power;
        if state.off {
            return Err(error(Fault::PowerLoss));
        }
        if !read_only || state.readers_fail {
            state.count(power, read_only).map_err(error)?;
        }
        let id = *state.names.get(file).ok_or(ErrorKind::NotFound)?;
        Ok(Box::new(SimulatedFile { disk: self.clone(), id, power, read_only }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let power = state.power;
        state.step(power).map_err(error)?;
        if !state.names.contains_key(from) {
            return Err(ErrorKind::NotFound.into());
        }
        state.rename(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        let mut state = self.state();
        let power = state.power;
        state.step(power).map_err(error)?;
        if !state.names.contains_key(file) {
            return Err(ErrorKind::NotFound.into());
        }
        state.rename(NameChange::Remove(file.to_owned()));
        Ok(())
    }

    fn version(&self, file: &Path) -> io::Result<[i64; 3]> {
        let state = self.state();
        let id = *state.names.get(file).ok_or(ErrorKind::NotFound)?;
        Ok([id.cast_signed(), 0, 0])
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        let power = state.power;
        state.step(power).map_err(error)?;
        state.pending_names.clear();
        state.durable_names = state.names.clone();
        Ok(())
    }

    fn space(&self, _dir: &Path) -> io::Result<Space> {
        let state = self.state();
        let available = state.capacity.saturating_sub(state.used());
        Ok(Space { total: state.capacity, available })
    }

    fn claim(&self, file: &Path, owner: &str) -> Result<Box<dyn Claim>, ClaimError> {
        let mut state = self.state();
        if state.off {
            return Err(ClaimError::Disk(error(Fault::PowerLoss)));
        }
        if !state.claims.insert(file.to_owned()) {
            return Err(ClaimError::Held { owner: owner.to_owned() });
        }
        let power = state.power;
        Ok(Box::new(SimulatedClaim { disk: self.clone(), file: file.to_owned(), power }))
    }
}

#[derive(Debug)]
struct SimulatedClaim {
    disk: SimulatedDisk,
    file: PathBuf,
    power: u64,
}

impl Claim for SimulatedClaim {}

impl Drop for SimulatedClaim {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.power == self.power {
            state.claims.remove(&self.file);
        }
    }
}

#[cfg(test)]
mod tests;

//! An open file of the simulated disk.

use super::platter::{Change, put, resize};
use super::{Fault, SimulatedDisk, State, error};
use crate::disk::DiskFile;
use std::io::{self, ErrorKind};
use std::sync::PoisonError;

#[derive(Debug)]
pub(super) struct SimulatedFile {
    pub(super) disk: SimulatedDisk,
    pub(super) id: u64,
    pub(super) power: u64,
    pub(super) read_only: bool,
}

impl SimulatedFile {
    /// Runs a change on the file, or the fault that is due.
    fn change(&self, act: impl FnOnce(&mut State, u64) -> io::Result<()>) -> io::Result<()> {
        if self.read_only {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let mut state = self.disk.state();
        state.step(self.power).map_err(error)?;
        act(&mut state, self.id)
    }

    fn store(state: &mut State, id: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let len = state.nodes.get(&id).map_or(0, |node| node.live.len() as u64);
        let room = state.capacity.saturating_sub(state.used());
        let fits = usize::try_from((len + room).saturating_sub(offset)).unwrap_or(usize::MAX);
        let kept = &bytes[..bytes.len().min(fits)];
        if let Some(node) = state.nodes.get_mut(&id) {
            put(&mut node.live, offset, kept);
            node.pending.push(Change::Write(offset, kept.to_vec()));
        }
        if kept.len() < bytes.len() {
            return Err(ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl DiskFile for SimulatedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.state();
        if state.off || state.power != self.power {
            return Err(error(Fault::PowerLoss));
        }
        let live = state.nodes.get(&self.id).map_or(&[][..], |node| &node.live);
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(live.len());
        let count = buffer.len().min(live.len() - start);
        buffer[..count].copy_from_slice(&live[start..start + count]);
        Ok(count)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.read_only {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let mut state = self.disk.state();
        match state.step(self.power) {
            Ok(()) => Self::store(&mut state, self.id, offset, bytes),
            Err(Fault::Short(kind)) => {
                Self::store(&mut state, self.id, offset, &bytes[..bytes.len() / 2])?;
                Err(error(Fault::Short(kind)))
            }
            Err(fault) => Err(error(fault)),
        }
    }

    /// A failed sync keeps a random part and forgets that the rest was dirty,
    /// as Linux does.
    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        while state.stalled && !state.off {
            let resumed = self.disk.0.resumed.wait(state);
            state = resumed.unwrap_or_else(PoisonError::into_inner);
        }
        let fate = state.step(self.power);
        let State { nodes, random, off, .. } = &mut *state;
        let Some(node) = nodes.get_mut(&self.id) else { return Ok(()) };
        match fate {
            Ok(()) => {
                node.sync();
                Ok(())
            }
            Err(fault) => {
                if !*off {
                    let live = node.live.clone();
                    node.lose_some(random);
                    node.live = live;
                }
                Err(error(fault))
            }
        }
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.disk.state();
        Ok(state.nodes.get(&self.id).map_or(0, |node| node.live.len() as u64))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(|state, id| {
            if let Some(node) = state.nodes.get_mut(&id) {
                resize(&mut node.live, len);
                node.pending.push(Change::Length(len));
            }
            Ok(())
        })
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.change(|state, id| {
            let used = state.used();
            let Some(node) = state.nodes.get_mut(&id) else { return Ok(()) };
            let more = len.saturating_sub(node.live.len() as u64);
            if used + more > state.capacity {
                return Err(ErrorKind::StorageFull.into());
            }
            if more > 0 {
                resize(&mut node.live, len);
                node.pending.push(Change::Length(len));
            }
            Ok(())
        })
    }

    fn forget_cache(&self) {
        let mut state = self.disk.state();
        if let Some(node) = state.nodes.get_mut(&self.id) {
            let mut live = node.durable.clone();
            for change in &node.pending {
                match change {
                    Change::Write(offset, bytes) => put(&mut live, *offset, bytes),
                    Change::Length(len) => resize(&mut live, *len),
                }
            }
            node.live = live;
        }
    }
}

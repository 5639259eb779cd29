//! The writer's decisions, without its thread: a simulation can drive it.

use super::health::Health;
use super::segment::{Ahead, is_full};
use super::{
    Counters, Epoch, Intents, Item, MarkFile, OpenSegment, Reserve, Shared, Waking, carry,
};
use crate::disk::Disk;
use crate::error::{FileFault, at};
use crate::format::frame::{Stamp, stamp};
use crate::format::mark::Mark;
use crate::sealing::Sealer;
use crate::{AppendError, Options, Position, Refusal, names};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};
use trailbox_clock::Clock;

/// What a core is made of.
#[derive(Debug)]
pub(crate) struct CoreParts {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: Options,
    pub(crate) shared: Arc<Shared>,
    pub(crate) sealer: Sealer,
    pub(crate) epoch: Epoch,
    pub(crate) mark: MarkFile,
    pub(crate) reserve: Reserve,
    pub(crate) waking: Waking,
    pub(crate) segment: OpenSegment,
    /// Last durable sequence.
    pub(crate) sequence: u64,
    pub(crate) intents: Intents,
}

/// Writes batches, keeps the segment, and judges failures.
#[derive(Debug)]
pub(crate) struct Core {
    parts: CoreParts,
    health: Health,
    /// Outcomes that wait for the disk.
    parked: VecDeque<Item>,
    parked_bytes: usize,
    /// Reused for every batch.
    buffer: Vec<u8>,
}

/// Why a batch is not durable.
enum Failure {
    /// The next segment could not be begun. It may be there by name, so the
    /// open one must not grow any more.
    Rotate(io::Error),
    Write(io::Error),
    Sync(io::Error),
}

impl Core {
    pub(crate) fn new(parts: CoreParts) -> Self {
        let core = Self {
            parts,
            health: Health::Good,
            parked: VecDeque::new(),
            parked_bytes: 0,
            buffer: Vec::new(),
        };
        core.parts.shared.counters.open_intents.store(core.parts.intents.len() as u64, Relaxed);
        core
    }

    /// Takes the reserve, measures the disk and moves the mark.
    pub(crate) fn start(&mut self) {
        if let Err(err) = self.parts.reserve.take(&*self.parts.disk) {
            tracing::warn!(%err, "no room for the journal's reserve");
            self.health = Health::Full { available: 0 };
        }
        self.publish();
        self.check();
    }

    /// See [`Waking::hand_over`].
    pub(crate) fn hand_over(&mut self) -> Receiver<(Vec<Item>, Position)> {
        self.parts.waking.hand_over()
    }

    /// Frames per batch, bytes per batch, time between checks.
    pub(crate) fn limits(&self) -> (usize, usize, Duration) {
        let options = &self.parts.options;
        (options.batch_frames, options.batch_bytes, options.check_every)
    }

    /// Makes `items` durable and tells whoever waits for them; or tells them
    /// why not, and keeps what must not be lost.
    pub(crate) fn commit(&mut self, items: Vec<Item>) {
        let items = self.turn_away(items);
        if items.is_empty() {
            return;
        }
        if !self.health.writes() {
            self.park(items);
            return;
        }
        let written = self.rotate_if_due().and_then(|()| self.write(&items));
        match written {
            Ok(()) => self.acknowledge(items),
            Err(failure) => self.failed(failure, items),
        }
    }

    /// Refuses new calls while the journal is not well, or while as many are
    /// under way as it may keep in mind and carry over.
    fn turn_away(&mut self, items: Vec<Item>) -> Vec<Item> {
        let CoreParts { intents, options, .. } = &self.parts;
        let crowd = (intents.bytes() >= options.intent_bytes)
            .then(|| Refusal::QueueFull { frames: intents.len() });
        let Some(refusal) = self.health.refusal().or(crowd) else { return items };
        let (admissions, outcomes): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|item| item.admits);
        for item in admissions {
            self.refuse(item, refusal.clone());
        }
        outcomes
    }

    fn refuse(&self, mut item: Item, refusal: Refusal) {
        let counters = &self.parts.shared.counters;
        let waited = item.done.is_some();
        Counters::add(if waited { &counters.refused } else { &counters.lost }, item.frames);
        item.answer(Err(AppendError::Refused(refusal)));
        self.parts.shared.queue.release(item.charge as usize);
    }

    /// Keeps outcomes in memory until the disk takes them, within bounds.
    fn park(&mut self, items: Vec<Item>) {
        let Some(refusal) = self.health.refusal() else { return };
        for mut item in items {
            if self.parked_bytes + item.bytes.len() > self.parts.options.queue_bytes {
                self.refuse(item, refusal.clone());
                continue;
            }
            item.answer(Err(AppendError::Delayed(refusal.clone())));
            self.parts.shared.queue.release(std::mem::take(&mut item.charge) as usize);
            self.parked_bytes += item.bytes.len();
            Counters::add(&self.parts.shared.counters.parked, item.frames);
            self.parked.push_back(item);
        }
    }

    /// Stamps, writes and syncs one batch.
    fn write(&mut self, items: &[Item]) -> Result<(), Failure> {
        self.fill_buffer(items);
        let Options { ahead_bytes: stretch, segment_bytes: segment, .. } = self.parts.options;
        let ahead = Ahead { stretch, segment };
        self.parts.segment.write(&mut self.buffer, ahead).map_err(Failure::Write)?;
        let began = Instant::now();
        self.parts.segment.sync().map_err(Failure::Sync)?;
        self.parts.shared.counters.synced(began.elapsed());
        Ok(())
    }

    fn fill_buffer(&mut self, items: &[Item]) {
        let commit = self.parts.clock.now().0;
        self.buffer.clear();
        let mut index = 0;
        for item in items {
            let mut at = self.buffer.len();
            self.buffer.extend_from_slice(&item.bytes);
            for _ in 0..item.frames {
                let sequence = self.parts.sequence + 1 + u64::from(index);
                let with = Stamp { sequence, commit, index, carried: false };
                at += stamp(&mut self.buffer[at..], with);
                index += 1;
            }
        }
    }

    /// The batch in the buffer is durable: follow it and wake everybody.
    fn acknowledge(&mut self, items: Vec<Item>) {
        let parts = &mut self.parts;
        parts.intents.follow(&self.buffer, parts.segment.durable);
        parts.segment.durable += self.buffer.len() as u64;
        parts.segment.used = true;
        let counters = &parts.shared.counters;
        counters.open_intents.store(parts.intents.len() as u64, Relaxed);
        Counters::add(&counters.bytes, self.buffer.len());
        Counters::add(&counters.payload, items.iter().map(|item| item.payload).sum());
        Counters::add(&counters.batches, 1);
        Counters::add(&counters.frames, items.iter().map(|item| item.frames).sum());
        let before = self.position();
        self.parts.sequence += items.iter().map(|item| item.frames as u64).sum::<u64>();
        self.publish();
        self.parts.waking.wake(items, before);
        if self.buffer.capacity() > 2 * self.parts.options.batch_bytes {
            self.buffer = Vec::new();
        }
    }

    fn position(&self) -> Position {
        let Epoch { node, number: epoch, .. } = self.parts.epoch;
        Position { node, epoch, sequence: self.parts.sequence }
    }

    /// Moves the mark for readers elsewhere, then wakes those in here.
    fn publish(&mut self) {
        let mark = self.mark(false);
        self.parts.mark.write(&mark);
        self.parts.shared.durable.send_replace(self.position());
    }

    fn mark(&self, closed: bool) -> Mark {
        let CoreParts { epoch, segment, sequence, .. } = &self.parts;
        Mark {
            node: epoch.node,
            epoch: epoch.number,
            segment: segment.first,
            offset: segment.durable,
            sequence: *sequence,
            closed,
        }
    }

    fn rotate_if_due(&mut self) -> Result<(), Failure> {
        let CoreParts { options, segment, clock, .. } = &self.parts;
        let age = Duration::from_micros(clock.now().0.abs_diff(segment.created));
        let due = segment.durable >= options.segment_bytes || age >= options.segment_age;
        if !(due && segment.used) {
            return Ok(());
        }
        self.rotate().map_err(|fault| Failure::Rotate(into_io(fault)))
    }

    /// Ends the segment: open intents are carried over, the rest waits for
    /// sealing.
    fn rotate(&mut self) -> Result<(), FileFault> {
        let first = self.parts.sequence + 1;
        let now = self.parts.clock.now().0;
        let CoreParts { intents, segment, .. } = &self.parts;
        let frames = intents.frames(segment).map_err(at(&segment.path, "read"))?;
        let (bytes, places) = carry(frames, first, now);
        let CoreParts { disk, options, epoch, .. } = &self.parts;
        let next = OpenSegment::begin(&**disk, &options.dir, epoch, (first, now), &bytes)?;
        let start = next.durable - bytes.len() as u64;
        let carried = places.len() as u64;
        self.parts.intents = Intents::carried(places, start);
        let mut last = std::mem::replace(&mut self.parts.segment, next);
        if last.has_room() {
            // Only tidies up: what stands behind the last frame does not count.
            let _ = last.cut();
        }
        if last.first < first {
            self.parts.sealer.add(last.finished(first - 1));
        }
        self.parts.sequence += carried;
        self.publish();
        Ok(())
    }

    fn failed(&mut self, failure: Failure, items: Vec<Item>) {
        let counters = &self.parts.shared.counters;
        let (err, new_segment) = match failure {
            Failure::Rotate(err) => (err, true),
            Failure::Write(err) => match self.parts.segment.cut() {
                Err(_) => (err, true),
                // What is refused below must not come back after a power loss.
                Ok(()) => match self.parts.segment.sync() {
                    Ok(()) => (err, false),
                    Err(err) => return self.sync_failed(&err, items),
                },
            },
            Failure::Sync(err) => return self.sync_failed(&err, items),
        };
        counters.write_failures.fetch_add(1, Relaxed);
        tracing::error!(%err, "writing to the journal failed");
        if is_full(&err)
            && self.parts.reserve.release(&*self.parts.disk)
            && self.may_go_on(new_segment)
        {
            self.set_health(Health::Full { available: 0 });
            return self.commit(items);
        }
        self.fail(Refusal::Write { reason: err.to_string() }, new_segment, items);
    }

    /// Nothing is known of what was written since the last sync, and syncing
    /// again would prove nothing: the segment is read back before it counts.
    fn sync_failed(&mut self, err: &io::Error, items: Vec<Item>) {
        self.parts.shared.counters.sync_failures.fetch_add(1, Relaxed);
        tracing::error!(%err, "syncing the journal failed; verifying what is durable");
        if is_full(err) {
            self.parts.reserve.release(&*self.parts.disk);
        }
        self.fail(Refusal::Sync { reason: err.to_string() }, true, items);
    }

    /// Whether there is a segment that may grow, or a new one can be begun.
    fn may_go_on(&mut self, new_segment: bool) -> bool {
        !new_segment || self.rotate().is_ok()
    }

    fn fail(&mut self, refusal: Refusal, new_segment: bool, items: Vec<Item>) {
        self.set_health(Health::Failed { refusal, new_segment });
        let outcomes = self.turn_away(items);
        self.park(outcomes);
    }

    fn set_health(&mut self, health: Health) {
        self.health = health;
        self.parts.shared.set_refusal(self.health.refusal());
    }

    /// What is done every second: measure the disk, end an old segment, and
    /// try to get well.
    pub(crate) fn check(&mut self) {
        let available = self.measure();
        match self.health.clone() {
            Health::Good => {
                let floor = self.parts.options.free_bytes_min;
                if available < floor {
                    self.set_health(Health::Full { available });
                } else if let Err(failure) = self.rotate_if_due() {
                    self.failed(failure, Vec::new());
                }
            }
            Health::Full { .. } => self.try_open(available),
            Health::Failed { new_segment, .. } => {
                if self.works_again(new_segment) {
                    self.set_health(Health::Full { available });
                    self.unpark();
                    if self.health.writes() {
                        self.try_open(available);
                    }
                }
            }
            Health::Damaged { .. } => {}
        }
    }

    /// Bytes available beside the reserve; plenty when that cannot be told.
    fn measure(&self) -> u64 {
        let CoreParts { disk, options, shared, .. } = &self.parts;
        match disk.space(&options.dir) {
            Ok(space) => {
                shared.counters.set_space(space);
                space.available
            }
            Err(err) => {
                tracing::warn!(%err, "room on the journal's disk cannot be measured");
                u64::MAX
            }
        }
    }

    /// Admits calls again once there is room, the reserve included.
    fn try_open(&mut self, available: u64) {
        let floor = self.parts.options.free_bytes_min.saturating_mul(2);
        let enough = available >= floor.saturating_add(self.parts.reserve.missing());
        if enough && self.parts.reserve.take(&*self.parts.disk).is_ok() {
            self.set_health(Health::Good);
        } else {
            self.set_health(Health::Full { available });
        }
    }

    /// Whether the disk takes and keeps bytes again.
    fn works_again(&mut self, new_segment: bool) -> bool {
        if let Err(err) = self.probe() {
            tracing::debug!(%err, "the journal's disk does not work yet");
            return false;
        }
        if !new_segment {
            return true;
        }
        match self.renew() {
            Ok(()) => true,
            Err(FileFault::Corrupt(corruption)) => {
                self.set_health(Health::Damaged { refusal: Refusal::Damaged(corruption) });
                false
            }
            Err(fault) => {
                tracing::warn!(%fault, "the journal cannot go on in a new segment yet");
                false
            }
        }
    }

    fn probe(&self) -> io::Result<()> {
        let CoreParts { disk, options, .. } = &self.parts;
        let path = options.dir.join(names::PROBE);
        let _ = disk.remove(&path);
        let file = disk.create(&path)?;
        let tried = file.write_at(0, &[0; 4096]).and_then(|()| file.sync());
        disk.remove(&path)?;
        tried
    }

    /// After a failed sync: reads back what was durable and, if it is whole,
    /// goes on in a new segment. What stands behind it was never acknowledged;
    /// the new segment's first sequence says so.
    fn renew(&mut self) -> Result<(), FileFault> {
        self.parts.segment.verify(self.parts.sequence)?;
        // The rest is ignored by sequence in any case; this only tidies up.
        let _ = self.parts.segment.cut().and_then(|()| self.parts.segment.sync());
        self.rotate()
    }

    /// Writes the outcomes that had to wait.
    fn unpark(&mut self) {
        while self.health.writes() {
            let mut batch = Vec::new();
            let mut bytes = 0;
            while let Some(item) = self.parked.front() {
                if !batch.is_empty() && bytes + item.bytes.len() > self.parts.options.batch_bytes {
                    break;
                }
                bytes += item.bytes.len();
                batch.extend(self.parked.pop_front());
            }
            if batch.is_empty() {
                return;
            }
            let frames = batch.iter().map(|item| item.frames as u64).sum();
            self.parts.shared.counters.parked.fetch_sub(frames, Relaxed);
            self.parked_bytes -= bytes;
            self.commit(batch);
        }
    }

    /// The end: a last try for what waits, and word that all is written.
    pub(crate) fn finish(mut self) {
        if !self.parked.is_empty() {
            self.check();
        }
        let mut left = 0;
        for item in std::mem::take(&mut self.parked) {
            left += item.frames;
            self.refuse(item, Refusal::Closed);
        }
        let clean = left == 0 && self.health.writes();
        if left > 0 {
            tracing::error!(frames = left, "journal closed with frames the disk did not take");
        }
        let mark = self.mark(clean);
        if clean && self.parts.segment.has_room() {
            // The next opening cuts the file where this fails.
            let _ = self.parts.segment.cut().and_then(|()| self.parts.segment.sync());
        }
        self.parts.mark.write(&mark);
        if let Err(err) = self.parts.mark.sync() {
            tracing::warn!(%err, "the journal's mark cannot be synced");
        }
    }
}

fn into_io(fault: FileFault) -> io::Error {
    match fault {
        FileFault::Disk { source, .. } => source,
        FileFault::Corrupt(_) | FileFault::Unsupported { .. } | FileFault::Key(_) => {
            io::Error::other(fault.to_string())
        }
    }
}

//! One life of the recorder: it opens, recovers, serves, and ends in order, by
//! a kill, or with the power.
//!
//! Everything runs on one thread whose clock jumps from event to event, so the
//! dice decide the order of all things.

use crate::calls::{ACCOUNT, Kind, USERS};
use crate::client;
use crate::follower;
use crate::keys::FixedKeys;
use crate::mutant::{self, Mutant};
use crate::oracle;
use crate::upstream::Cloud;
use crate::world::{JOURNAL, World};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use trailbox_gateway::{Dial, Gateway, GatewayParts, MetricsText, Mode, SharedDirectory};
use trailbox_identity::{AccessKey, Directory, Learned, Principal};
use trailbox_journal::disk::Fault;
use trailbox_journal::{Admission, FrameKind, Journal, OpenError, Recovery, Stepper};
use trailbox_service_facts::Facts;

/// A network step that never comes.
const NO_STEP: u64 = u64::MAX;
/// Longest that an orderly end may take.
const ORDERLY: Duration = Duration::from_mins(1);

/// What a life is made of; gone with it.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) world: Arc<World>,
    pub(crate) number: usize,
    pub(crate) journal: Arc<Journal>,
    pub(crate) stopping: watch::Receiver<bool>,
    gateway: OnceLock<Gateway>,
    stepper: Mutex<Option<Stepper>>,
    connections: Mutex<JoinSet<()>>,
    /// When the journal was last seen refusing calls.
    unwell: Mutex<Option<Instant>>,
    /// Whether the disk may fail in this life.
    pub(crate) faulty: bool,
}

/// How a life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It did not come to serve: the disk failed while it opened.
    StillBorn,
    /// The process was killed; the machine lives.
    Killed,
    /// The power went out, or the process was killed, at a step of the disk, of
    /// the network, or at an instant.
    PowerLoss,
    /// It was asked to stop and did.
    Orderly,
}

/// How a life is meant to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The power goes, or the process is killed, at this operation of the disk,
    /// counted from the opening.
    DiskStep(u64, Fault),
    NetworkStep(u64),
    PowerAt(Duration),
    KillAt(Duration),
    StopAt(Duration),
}

/// Lives one life; the `last` one meets no fault and must end in order.
pub(crate) fn live(world: &Arc<World>, number: usize, last: bool) {
    let fate = if last { Fate::StopAt(Duration::from_secs(6)) } else { draw_fate(world) };
    let faulty = !last && world.dice.percent(60);
    world.trace(|| format!("life {number} begins; fate {fate:?}, faults {faulty}"));
    world.power_up(if let Fate::NetworkStep(step) = fate { step } else { NO_STEP });
    let base = world.simulated.operations();
    if faulty {
        draw_faults(world, base);
    }
    if let Fate::DiskStep(step, fault) = fate {
        world.simulated.fail_at(base + step, fault);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without input and output needs nothing");
    let end = runtime.block_on(async {
        tokio::select! {
            biased;
            () = world.death() => End::PowerLoss,
            end = script(world, number, fate, faulty) => end,
        }
    });
    drop(runtime);
    world.nobody_reads();
    let end = if world.is_dead() { End::PowerLoss } else { end };
    world.trace(|| format!("life {number} ends: {end:?}"));
    if last && end != End::Orderly {
        world.ledger().violate(format!("the last, quiet life ended with {end:?}"));
    }
    let name = match end {
        End::StillBorn => "lives that failed to begin",
        End::Killed => "lives killed at an instant",
        End::PowerLoss => "lives ended by a power loss or a kill at a step",
        End::Orderly => "lives ended in order",
    };
    world.ledger().count(name, 1);
    between(world);
}

/// What happens while nobody runs.
fn between(world: &World) {
    world.simulated.set_sick(None);
    world.simulated.set_capacity(1 << 30);
    // A machine may go down behind the process.
    if world.dice.percent(20) {
        world.simulated.cut_power();
    }
    if world.simulated.is_off() {
        world.simulated.restore_power();
    }
    world.simulated.clear_faults();
    let pause = world.dice.below(600_000_000).cast_signed();
    world.clock.advance(if world.dice.percent(10) { -pause } else { pause });
    if world.mutant == Some(Mutant::CutTail) {
        mutant::cut_tail(&world.simulated, Path::new(JOURNAL));
    }
}

fn draw_fate(world: &World) -> Fate {
    let dice = &world.dice;
    match dice.below(100) {
        0..20 => Fate::DiskStep(dice.below(1500), Fault::PowerLoss),
        20..35 => Fate::DiskStep(dice.below(1500), Fault::Kill),
        35..45 => Fate::NetworkStep(dice.between(1, 900)),
        45..60 => Fate::PowerAt(dice.millis(1, 9000)),
        60..80 => Fate::KillAt(dice.millis(1, 9000)),
        _ => Fate::StopAt(dice.millis(500, 8000)),
    }
}

/// Lets some of the coming disk operations fail; opening a file is one, too.
fn draw_faults(world: &World, base: u64) {
    let dice = &world.dice;
    let kinds = [ErrorKind::StorageFull, ErrorKind::Other, ErrorKind::ReadOnlyFilesystem];
    for _ in 0..dice.between(1, 10) {
        let kind = dice.pick(&kinds);
        let fault = if dice.percent(30) { Fault::Short(kind) } else { Fault::Error(kind) };
        world.simulated.fail_at(base + dice.below(1500), fault);
    }
}

async fn script(world: &Arc<World>, number: usize, fate: Fate, faulty: bool) -> End {
    let opened = Journal::open_stepped(
        Arc::clone(&world.disk),
        Arc::new(FixedKeys),
        world.clock.clone(),
        world.random.clone(),
        world.plan.options.clone(),
    );
    let (journal, found, stepper) = match opened {
        Ok(opened) => opened,
        Err(OpenError::Disk { .. }) if faulty || world.is_dead() => return End::StillBorn,
        Err(_) if world.is_dead() => return End::StillBorn,
        Err(err) => {
            world.ledger().violate(format!("life {number}: the journal does not open: {err}"));
            return End::StillBorn;
        }
    };
    let (stop, stopping) = watch::channel(false);
    let life = Arc::new(Life {
        world: Arc::clone(world),
        number,
        journal: Arc::new(journal),
        stopping,
        gateway: OnceLock::new(),
        stepper: Mutex::new(Some(stepper)),
        connections: Mutex::default(),
        unwell: Mutex::default(),
        faulty,
    });
    tokio::spawn(write(Arc::clone(&life)));
    if !life.recover(&found).await {
        return End::StillBorn;
    }
    life.serve();
    let clients = (0..world.plan.clients)
        .map(|_| tokio::spawn(client::run(Arc::clone(&life), world.dice.between(4, 14))));
    let clients: Vec<_> = clients.collect();
    if faulty {
        tokio::spawn(trouble(Arc::clone(&life)));
    }
    let end = match fate {
        Fate::PowerAt(after) => {
            tokio::time::sleep(after).await;
            world.simulated.cut_power();
            End::PowerLoss
        }
        Fate::KillAt(after) => {
            tokio::time::sleep(after).await;
            End::Killed
        }
        Fate::StopAt(after) => {
            tokio::time::sleep(after).await;
            life.stop(&stop).await
        }
        Fate::DiskStep(..) | Fate::NetworkStep(_) => {
            tokio::time::sleep(Duration::from_secs(12)).await;
            life.stop(&stop).await
        }
    };
    drop(clients);
    end
}

impl Life {
    /// Resolves what was open, as the recorder does at its start.
    async fn recover(&self, found: &Recovery) -> bool {
        let world = &self.world;
        world.trace(|| format!("{} open intents, at {}", found.open_intents.len(), found.position));
        oracle::look(self, "after recovery");
        world.ledger().count("open intents found", found.open_intents.len());
        world.ledger().count("torn tails cut", usize::from(found.truncated_bytes > 0));
        if world.mutant == Some(Mutant::ForgetfulRecovery) {
            return true;
        }
        let times = if world.mutant == Some(Mutant::RepeatedOutcome) { 2 } else { 1 };
        for _ in 0..times {
            if let Err(err) = trailbox_gateway::resolve(&self.journal, found).await {
                if !self.faulty {
                    world.ledger().violate(format!("life {}: {err}", self.number));
                }
                return false;
            }
        }
        !world.is_dead()
    }

    /// Puts the gateway together, and whoever reads beside it.
    fn serve(self: &Arc<Self>) {
        let world = &self.world;
        let parts = GatewayParts {
            clock: world.clock.clone(),
            random: world.random.clone(),
            facts: Facts::embedded(),
            journal: self.journal.clone(),
            directory: Arc::new(SharedDirectory::new(self.directory())),
            engine_socket: "/nowhere".into(),
            config: world.plan.config.clone(),
            mode: Mode::Normal,
            account: ACCOUNT.to_owned(),
            metrics: MetricsText::default(),
        };
        let cloud: Arc<dyn Dial> = Arc::new(Cloud(Arc::downgrade(self)));
        let gateway = Gateway::over(parts, &cloud).expect("no upstream speaks TLS");
        let tended = gateway.clone();
        tokio::spawn(async move { tended.tend().await });
        // Set once, here.
        let _ = self.gateway.set(gateway);
        tokio::spawn(follower::follow(Arc::clone(self)));
    }

    /// Who is registered, and what the journal says was learned since.
    fn directory(&self) -> Directory {
        let mut directory = Directory::new();
        for (name, key, secret) in USERS {
            let user = Principal::user(ACCOUNT, "/", name, &format!("AIDASIM{name}"));
            directory.add_key(AccessKey::lasting(key, secret.into(), &user.arn));
            directory.add_principal(user);
        }
        if self.world.mutant == Some(Mutant::ForgetfulDirectory) {
            return directory;
        }
        let frames = oracle::all_frames(&self.world).unwrap_or_default();
        for frame in frames.iter().filter(|frame| frame.kind == FrameKind::Learned) {
            let fact = frame.payload.bytes().map(|bytes| Learned::from_bytes(bytes));
            if let Some(Ok(fact)) = fact {
                directory.learn(fact);
            }
        }
        directory
    }

    /// The gateway of this life.
    pub(crate) fn gateway(&self) -> &Gateway {
        self.gateway.get().expect("clients come after the gateway")
    }

    pub(crate) fn connections(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stepper(&self) -> MutexGuard<'_, Option<Stepper>> {
        self.stepper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends in order: no new calls, those under way are finished, all is written.
    async fn stop(&self, stop: &watch::Sender<bool>) -> End {
        let _ = stop.send(true);
        let deadline = Instant::now() + ORDERLY;
        loop {
            while self.connections().try_join_next().is_some() {}
            if self.connections().is_empty() || deadline < Instant::now() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let finished = self.connections().is_empty();
        if !finished {
            let number = self.number;
            self.world.ledger().violate(format!("life {number}: a connection does not end"));
        }
        // A journal that never gets well again never takes the last counts.
        let closing = tokio::time::timeout(ORDERLY, self.gateway().close());
        let closed = closing.await.is_ok_and(|closed| closed.is_ok());
        let Some(stepper) = self.stepper().take() else { return End::Killed };
        stepper.finish();
        if !self.faulty && !closed {
            self.world.ledger().violate(format!("life {}: close failed", self.number));
        }
        if !self.faulty && finished {
            self.world.ledger().clean_epochs.push(self.journal.durable().epoch);
        }
        End::Orderly
    }

    /// The whole request of call `id` reached the upstream.
    pub(crate) fn forwarded(&self, id: u64) -> Kind {
        let mut ledger = self.world.ledger();
        let Some(note) = ledger.calls.get_mut(&id) else {
            ledger.violate(format!("call {id} reached the upstream and nobody sent it"));
            return Kind::GetObject;
        };
        note.forwarded += 1;
        note.passed = self.world.plan.forwards && self.is_late(note.started);
        note.kind
    }

    /// Whether the record of a call that began at `started` may be late: the
    /// journal holds records it could not write yet or, where calls pass then,
    /// was unwell meanwhile.
    pub(crate) fn is_late(&self, started: Instant) -> bool {
        self.feel();
        let passed = self.world.plan.forwards && {
            let unwell = self.unwell.lock().unwrap_or_else(PoisonError::into_inner);
            unwell.is_some_and(|last| started <= last)
        };
        passed || self.journal.stats().parked_frames > 0
    }

    /// Notes whether the journal refuses calls.
    fn feel(&self) {
        if self.journal.admission() != Admission::Open {
            let mut unwell = self.unwell.lock().unwrap_or_else(PoisonError::into_inner);
            *unwell = Some(Instant::now());
        }
    }
}

/// The writer: one step after the other, at the pace of this life's disk.
async fn write(life: Arc<Life>) {
    let world = &life.world;
    let dice = &world.dice;
    let slow = dice.percent(20);
    let sealing = dice.pick(&[0, 1, 5, 20]);
    let mut checked = Instant::now();
    let mut now = Instant::now();
    loop {
        let pause = if slow { dice.millis(1, 60) } else { dice.millis(1, 3) };
        tokio::time::sleep(pause).await;
        let passed = i64::try_from(now.elapsed().as_micros()).unwrap_or(0);
        now = Instant::now();
        world.clock.advance(passed);
        {
            let mut stepper = life.stepper();
            let Some(stepper) = stepper.as_mut() else { return };
            life.feel();
            stepper.write();
            life.feel();
            if checked.elapsed() >= world.plan.options.check_every {
                checked = Instant::now();
                stepper.check();
                life.feel();
            }
            if dice.percent(sealing) {
                stepper.seal();
            }
        }
        if world.is_dead() {
            return;
        }
    }
}

/// Times of trouble that end: a sick disk, a full one, a clock that jumps.
async fn trouble(life: Arc<Life>) {
    let world = &life.world;
    let dice = &world.dice;
    for _ in 0..dice.between(1, 3) {
        tokio::time::sleep(dice.millis(50, 3000)).await;
        match dice.below(4) {
            0 => {
                let kind = dice.pick(&[ErrorKind::Other, ErrorKind::ReadOnlyFilesystem]);
                world.trace(|| format!("the disk is sick: {kind}"));
                world.simulated.set_sick(Some(kind));
                tokio::time::sleep(dice.millis(1, 1500)).await;
                world.simulated.set_sick(None);
            }
            1 | 2 => {
                world.trace(|| "the disk fills up".to_owned());
                world.simulated.set_capacity(world.simulated.used() + dice.below(40_000));
                tokio::time::sleep(dice.millis(1, 2500)).await;
                world.simulated.set_capacity(1 << 30);
            }
            _ => {
                let jump = dice.below(4 * 3_600_000_000).cast_signed() - 2 * 3_600_000_000;
                world.trace(|| format!("the clock jumps by {jump} µs"));
                world.clock.advance(jump);
            }
        }
        world.trace(|| "the trouble is over".to_owned());
    }
}

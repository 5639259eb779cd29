//! What outlives a restart: the disk, the clock, the dice, the ledger.

use crate::dice::Dice;
use crate::disk::Watched;
use crate::follower::Beside;
use crate::ledger::Ledger;
use crate::mutant::Mutant;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use trailbox_clock::{Clock as _, ManualClock, Micros, SeededRandom};
use trailbox_gateway::config::GatewayConfig;
use trailbox_journal::Options;
use trailbox_journal::disk::{Disk, SimulatedDisk};

/// Where the journal lies.
pub(crate) const JOURNAL: &str = "/data/journal";
/// Where the index lies.
pub(crate) const HISTORY: &str = "/data/history";
/// The node that writes.
pub(crate) const NODE: [u8; 16] = *b"simulated-node-1";

/// One world per seed.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) mutant: Option<Mutant>,
    pub(crate) dice: Dice,
    pub(crate) clock: Arc<ManualClock>,
    /// The recorder's own chance.
    pub(crate) random: Arc<SeededRandom>,
    /// The disk as the world breaks it.
    pub(crate) simulated: SimulatedDisk,
    /// The disk as the recorder sees it.
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) plan: Plan,
    pub(crate) power: Power,
    pub(crate) calls: AtomicU64,
    /// Who reads in the life that goes on.
    pub(crate) beside: Mutex<Beside>,
    tracing: bool,
    ledger: Mutex<Ledger>,
}

/// What the seed decides about the whole world.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) lives: usize,
    pub(crate) clients: u64,
    pub(crate) options: Options,
    pub(crate) config: GatewayConfig,
    /// Calls pass when the journal cannot take them.
    pub(crate) forwards: bool,
}

/// Whether this life goes on.
#[derive(Debug, Default)]
pub(crate) struct Power {
    dead: AtomicBool,
    lost: Notify,
    /// Network steps until the power goes out.
    steps: AtomicU64,
}

impl World {
    pub(crate) fn new(seed: u64, mutant: Option<Mutant>, tracing: bool) -> Arc<Self> {
        let dice = Dice::new(seed);
        let simulated = SimulatedDisk::new(seed ^ 0xd15c);
        let watched = Watched::new(simulated.clone(), mutant);
        let disk: Arc<dyn Disk> = Arc::new(watched.clone());
        let start =
            Micros::from_seconds(1_795_370_400).plus(dice.below(86_400_000_000).cast_signed());
        let world = Arc::new(Self {
            mutant,
            plan: Plan::draw(&dice, mutant),
            dice,
            clock: Arc::new(ManualClock::at(start)),
            random: Arc::new(SeededRandom::new(seed ^ 0x0041_3d04)),
            simulated,
            disk,
            power: Power::default(),
            calls: AtomicU64::new(0),
            beside: Mutex::default(),
            tracing,
            ledger: Mutex::default(),
        });
        watched.watched_by(&world);
        world
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what happens, when somebody listens.
    pub(crate) fn trace(&self, what: impl FnOnce() -> String) {
        if self.tracing {
            eprintln!("{} {}", self.clock.now().0, what());
        }
    }

    /// Begins a life that ends after `steps` steps of the network.
    pub(crate) fn power_up(&self, steps: u64) {
        self.power.dead.store(false, Ordering::SeqCst);
        self.power.steps.store(steps, Ordering::SeqCst);
    }

    /// Bytes move; false when the machine has no power any more.
    pub(crate) fn network_step(&self) -> bool {
        if self.power.steps.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.simulated.cut_power();
        }
        !self.is_dead()
    }

    /// Whether the power is out. Nothing that the recorder still says or does
    /// has happened.
    pub(crate) fn is_dead(&self) -> bool {
        if self.simulated.is_off() {
            self.die();
        }
        self.power.dead.load(Ordering::SeqCst)
    }

    /// The life is over.
    pub(crate) fn die(&self) {
        if !self.power.dead.swap(true, Ordering::SeqCst) {
            self.power.lost.notify_one();
        }
    }

    /// Resolves when the life is over.
    pub(crate) async fn death(&self) {
        // A notice of the life before may still lie there.
        while !self.power.dead.load(Ordering::SeqCst) {
            self.power.lost.notified().await;
        }
    }
}

impl Plan {
    fn draw(dice: &Dice, mutant: Option<Mutant>) -> Self {
        let mut options = Options::new(Path::new(JOURNAL), NODE);
        options.segment_bytes = dice.between(6, 60) << 10;
        options.segment_age = Duration::from_secs(dice.pick(&[2, 60, 3600]));
        options.reserve_bytes = 64 << 10;
        options.free_bytes_min = 32 << 10;
        options.check_every = Duration::from_millis(200);
        options.batch_frames = dice.pick(&[2, 64, 8192]);
        options.queue_frames = dice.pick(&[8, 64, 16_384]);
        options.seal_level = 1;
        let forwards = dice.percent(15);
        Self {
            lives: usize::try_from(dice.between(2, 5)).unwrap_or(2),
            clients: dice.between(2, 6),
            options,
            config: config(dice, forwards, mutant),
            forwards,
        }
    }
}

fn config(dice: &Dice, forwards: bool, mutant: Option<Mutant>) -> GatewayConfig {
    let verifies = dice.pick(&["false", "true", "'probe'"]);
    let on_failure = if forwards { "forward" } else { "refuse" };
    let durability =
        if mutant == Some(Mutant::EarlyAnswer) { "asynchronous" } else { "before-answer" };
    let intents = if mutant == Some(Mutant::NoIntents) { "off" } else { "mutating" };
    let text = format!(
        "default_upstream = {{ url = 'http://cloud.example', verifies_signatures = {verifies} }}
         [upstreams]
         s3 = {{ url = 'http://store.example', verifies_signatures = {verifies} }}
         [recording]
         durability = '{durability}'
         intents = '{intents}'
         on_failure = '{on_failure}'
         [limits]
         head_timeout = '2s'
         idle_timeout = '4s'
         stall_timeout = '2s'
         connect_timeout = '1s'
         response_timeout = '3s'
         pool_idle_timeout = '2s'"
    );
    toml::from_str(&text).expect("the configuration is ours")
}

//! The recorder process: journal, gateway, and the engine as its child.
//!
//! It holds the data keys and a copy of the principals in memory; it signs
//! nothing, runs no SQL and writes nothing but the journal.

mod audit;
mod child;
mod descriptors;
mod directory;
mod facts;
mod figures;
mod handover;
mod listeners;
mod repairs;
mod secrets;
mod service;
mod signals;
mod watermarks;

use crate::config::{Config, Mode};
use crate::datadir::{DataDir, Running};
use crate::engine::settings::{ConfiguredPrincipal, ConfiguredSync, EngineSettings};
use crate::ports::{SystemClock, SystemRandom};
use crate::{logging, masterkey, node, proxyca};
use anyhow::Context as _;
use audit::Audit;
use directory::Principals;
use handover::{Inherited, Kept, Program};
use listeners::Listeners;
use signals::{Asked, Signals};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::watch;
use trailbox_clock::{Clock, Random};
use trailbox_gateway::{Gateway, GatewayParts};
use trailbox_journal::disk::RealDisk;
use trailbox_journal::{DataKeys, Journal, Options};
use trailbox_keys::LocalKeys;

/// Runs until a signal says stop.
pub(crate) fn run(config: Config) -> anyhow::Result<ExitCode> {
    let inherited = Inherited::take()?;
    logging::start("recorder");
    descriptors::raise();
    let program = Program::this()?;
    let data = DataDir::open_or_create(&config.data)?;
    let held = data.lock()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(Recorder::start(config, data, inherited, program.clone()))?;
    drop(runtime);
    drop(held);
    match ended {
        Ended::Stopped => Ok(ExitCode::SUCCESS),
        Ended::Restart(sockets) => {
            Err(program.replace(&sockets).context("the restart failed; start it again"))
        }
    }
}

/// How a recorder ended, all in order.
enum Ended {
    Stopped,
    /// The next program is to take over, with these sockets.
    Restart(Vec<Kept>),
}

/// What the recorder is made of once it stands.
struct Recorder {
    audit: Audit,
    stop: watch::Sender<bool>,
    engine: tokio::task::JoinHandle<()>,
    refresh: tokio::task::JoinHandle<()>,
}

impl Recorder {
    async fn start(
        config: Config,
        data: DataDir,
        inherited: Inherited,
        program: Program,
    ) -> anyhow::Result<Ended> {
        let hang_up = signals::hear_hang_up()?;
        let mut gateway_config = config.gateway();
        secrets::fill(&mut gateway_config)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let master = masterkey::open_or_show(&data)?;
        let keys: Arc<dyn DataKeys> = Arc::new(LocalKeys::open(data.join("keys"), master.clone())?);
        let options = options(&config, &data, &*random)?;
        let (journal, found) =
            Journal::open(Arc::new(RealDisk), keys.clone(), clock.clone(), random.clone(), options)
                .context("the journal does not open")?;
        let journal = Arc::new(journal);
        trailbox_gateway::resolve(&journal, &found).await?;
        let audit = Audit::new(journal.clone(), clock.clone(), random.clone(), &config);
        audit.started(&config, &found).await?;
        repairs::record(&audit, &data.join("journal/quarantine")).await?;

        let facts = facts::load(&config.facts)?;
        let listeners = Listeners::bind(&config, &data, inherited)?;
        let (stop, stopped) = watch::channel(false);
        let authority = proxyca::of_listeners(&config, &data, &*master)?;
        let principals = Principals::load(data.clone(), master, keys)?;
        let restarts = Arc::new(AtomicU64::new(0));
        let settings = engine_settings(&config, &data, &listeners)?;
        let engine = tokio::spawn(child::supervise(
            (settings, secrets::variables(&config)),
            journal.subscribe(),
            stopped.clone(),
            restarts.clone(),
        ));
        principals.wait_for_first().await?;
        tokio::spawn(watermarks::watch(journal.clone(), stopped.clone()));
        let reload = principals.reloader();
        principals.shared().refreshed_by(move || reload());
        let refresh = tokio::spawn(principals.clone().follow(stopped.clone()));

        let gateway = Gateway::new(GatewayParts {
            clock,
            random,
            facts,
            journal: journal.clone(),
            directory: principals.shared(),
            engine_socket: data.engine_socket(),
            config: gateway_config,
            mode: gateway_mode(config.mode),
            account: config.account.clone(),
            metrics: figures::text(journal.clone(), restarts)?,
        })?;
        if let Some(authority) = authority {
            gateway.sign_with(authority);
        }
        data.announce(&running(&config, &listeners))?;
        greet(&config, &listeners);
        let recorder = Self { audit, stop, engine, refresh };
        let signals = Signals::new(hang_up)?;
        let served = recorder.serve(Arc::new(gateway), listeners, (signals, program)).await;
        if !matches!(served, Ok(Ended::Restart(_))) {
            data.retract();
        }
        served
    }

    /// Serves until a signal, then lets every call under way finish.
    async fn serve(
        self,
        gateway: Arc<Gateway>,
        listeners: Listeners,
        (mut signals, program): (Signals, Program),
    ) -> anyhow::Result<Ended> {
        let (drain, draining) = watch::channel(false);
        let mut kept = listeners.keep()?;
        let serving = tokio::spawn(listeners.run(gateway.clone(), draining));
        let mut serving = std::pin::pin!(serving);
        service::ready();
        let early = tokio::select! {
            ended = serving.as_mut() => Err(ended),
            asked = asked(&mut signals, &program, &kept) => Ok(asked),
        };
        let mut restart = matches!(early, Ok(Asked::Restart));
        if restart {
            gateway.restarts();
            service::restarting();
            tracing::info!("restarting: new calls wait; those under way are finished");
        } else {
            // Nobody is to wait for a process that does not come.
            kept.clear();
            service::stopping();
            tracing::info!("stopping: no new calls; those under way are finished");
        }
        let _ = drain.send(true);
        let ended = match early {
            Err(ended) => ended,
            Ok(_) => serving.await,
        };
        restart = restart && !signals.is_to_stop().await;
        self.audit.stopped(restart).await;
        let closed = gateway.close().await;
        let _ = self.stop.send(true);
        let _ = self.engine.await;
        self.refresh.abort();
        closed.context("the journal could not be closed")?;
        ended.context("the gateway ended")??;
        Ok(if restart { Ended::Restart(kept) } else { Ended::Stopped })
    }
}

/// What is to be done now. A restart that would not come back is none.
async fn asked(signals: &mut Signals, program: &Program, kept: &[Kept]) -> Asked {
    loop {
        let asked = signals.next().await;
        if asked == Asked::Stop {
            return asked;
        }
        match program.check(kept).await {
            Ok(()) => return asked,
            Err(err) => {
                let error = format!("{err:#}");
                tracing::error!(error, "no restart: the program on disk would not start");
            }
        }
    }
}

fn running(config: &Config, listeners: &Listeners) -> Running {
    Running {
        pid: std::process::id(),
        listen: listeners.address(),
        admin_listen: listeners.admin_address(),
        tls: listeners.tls(),
        account: config.account.clone(),
    }
}

fn options(config: &Config, data: &DataDir, random: &dyn Random) -> anyhow::Result<Options> {
    Ok(Options {
        segment_bytes: config.journal.segment_bytes,
        segment_age: config.journal.segment_age,
        reserve_bytes: config.journal.reserve_bytes,
        ..Options::new(data.join("journal"), node::of(data, random)?)
    })
}

fn gateway_mode(mode: Mode) -> trailbox_gateway::Mode {
    match mode {
        Mode::Normal => trailbox_gateway::Mode::Normal,
        Mode::Test => trailbox_gateway::Mode::Test,
    }
}

fn engine_settings(
    config: &Config,
    data: &DataDir,
    listeners: &Listeners,
) -> anyhow::Result<EngineSettings> {
    let principals = config.principal.iter().map(|entry| {
        let what = format!("principal `{}`", entry.name);
        let secret =
            secrets::read(&what, entry.secret_file.as_deref(), entry.secret_env.as_deref())?;
        Ok(ConfiguredPrincipal {
            name: entry.name.clone(),
            account: entry.account.clone().unwrap_or_else(|| config.account.clone()),
            access_key_id: entry.access_key_id.clone(),
            secret: secret.expose().to_owned(),
            administrator: entry.administrator,
        })
    });
    let syncs = config.principal_sync.iter().map(|entry| {
        let what = format!("principal_sync `{}`", entry.endpoint);
        let secret =
            secrets::read(&what, entry.secret_file.as_deref(), entry.secret_env.as_deref())?;
        Ok(ConfiguredSync {
            kind: entry.kind.name().to_owned(),
            endpoint: entry.endpoint.clone(),
            access_key_id: entry.access_key_id.clone(),
            secret: secret.expose().to_owned(),
            region: entry.region.clone().unwrap_or_else(|| config.region.clone()),
            account: entry.account.clone(),
            default_account: config.account.clone(),
            prefix: entry.prefix.clone(),
            ca_file: entry.ca_file.clone(),
            every: entry.every,
        })
    });
    Ok(EngineSettings {
        data: data.path().to_owned(),
        account: config.account.clone(),
        region: config.region.clone(),
        test_mode: config.mode == Mode::Test,
        endpoint: listeners.endpoint(),
        management_days: config.history.management_days,
        data_days: config.history.data_days,
        lookup_tps: config.limits.lookup_tps,
        principals: principals.collect::<anyhow::Result<_>>()?,
        syncs: syncs.collect::<anyhow::Result<_>>()?,
    })
}

fn greet(config: &Config, listeners: &Listeners) {
    println!(
        "# Trailbox records on {} (admin: {})",
        listeners.endpoint(),
        listeners.admin_address()
    );
    for (name, endpoint) in listeners.others() {
        println!("# Trailbox records on {endpoint} (listener {name})");
    }
    println!("export AWS_ENDPOINT_URL={}", listeners.endpoint());
    if config.mode == Mode::Test {
        println!(
            "# TEST MODE: every access key is believed to be an administrator of {}",
            config.account
        );
        tracing::warn!(account = config.account, "test mode: every access key is believed");
    }
}

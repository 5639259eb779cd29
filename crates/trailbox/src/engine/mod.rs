//! The engine process: everything that reads the journal, and the answers to
//! Trailbox's own services.
//!
//! It is started by the recorder, told its settings on standard input, woken
//! by bytes there, and stops when that input ends.

mod figures;
mod follower;
mod people;
mod server;
pub(crate) mod settings;
mod sources;
mod start;

use crate::logging;
use clap::Args;
use follower::Follower;
use settings::EngineSettings;
use std::io::BufRead as _;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;
use tokio::sync::{Notify, watch};
use trailbox_api::Engine;
use trailbox_history::History;
use trailbox_store::StoreService;

/// Not for people: `trailbox serve` starts it.
#[derive(Debug, Args)]
pub(crate) struct EngineArgs {}

/// What answers.
pub(super) struct Parts {
    pub(super) api: Engine,
    pub(super) store: StoreService,
    pub(super) history: Arc<History>,
    registry: Arc<people::Registry>,
}

/// Runs until standard input ends.
pub(crate) fn run(_args: EngineArgs) -> anyhow::Result<ExitCode> {
    logging::start("engine");
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let settings: EngineSettings = serde_json::from_str(&line)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve(settings));
    // A read of standard input may still be under way; nobody waits for it.
    runtime.shutdown_background();
    served.map(|()| ExitCode::SUCCESS)
}

async fn serve(settings: EngineSettings) -> anyhow::Result<()> {
    let started = start::start(settings).await?;
    let _held = started.held;
    let (stop, stopped) = watch::channel(false);
    let woken = Arc::new(Notify::new());
    let follower = tokio::spawn(Follower::run(started.follower, woken.clone(), stopped.clone()));
    tokio::spawn(listen_to_recorder(woken, stop));
    for sync in started.syncs {
        tokio::spawn(sources::follow(started.parts.registry.clone(), sync, stopped.clone()));
    }
    server::serve(started.listener, started.parts, stopped).await;
    follower.await?;
    Ok(())
}

/// Turns bytes on standard input into wake-ups, and its end into the order to stop.
async fn listen_to_recorder(woken: Arc<Notify>, stop: watch::Sender<bool>) {
    let mut input = tokio::io::stdin();
    let mut bytes = [0; 256];
    while matches!(input.read(&mut bytes).await, Ok(1..)) {
        woken.notify_one();
    }
    let _ = stop.send(true);
}

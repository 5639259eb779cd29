//! The engine as the recorder's child: started, woken, restarted.
//!
//! Its standard input is one line of settings, then a byte whenever there is
//! something new in the journal; its end is the order to stop. So a recorder
//! that is killed leaves no engine behind, and a killed engine is started anew
//! while recording goes on.

use crate::engine::settings::EngineSettings;
use crate::stop::told;
use anyhow::Context as _;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use trailbox_journal::Position;

/// Shortest and longest pause before an engine that died is started again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How often a wake-up byte may be written; a burst of batches needs one.
const WAKE_EVERY: Duration = Duration::from_millis(5);

/// Keeps an engine running until `stop` says true, then lets it finish.
///
/// `hidden` are variables of our environment that are not for its eyes.
/// `restarts` counts the engines that ended by themselves.
pub(super) async fn supervise(
    (settings, hidden): (EngineSettings, Vec<String>),
    durable: watch::Receiver<Position>,
    mut stop: watch::Receiver<bool>,
    restarts: Arc<AtomicU64>,
) {
    let mut pause = PAUSE.0;
    while !*stop.borrow() {
        let started = tokio::time::Instant::now();
        match run_once(&settings, &hidden, durable.clone(), &mut stop).await {
            Ok(Ended::Asked) => return,
            Ok(Ended::Itself(status)) => {
                tracing::error!(%status, "the engine ended; recording goes on, starting it again");
            }
            Err(err) => tracing::error!(error = %format!("{err:#}"), "the engine cannot start"),
        }
        restarts.fetch_add(1, Ordering::Relaxed);
        pause = if started.elapsed() > PAUSE.1 { PAUSE.0 } else { (pause * 2).min(PAUSE.1) };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.changed() => {}
        }
    }
}

enum Ended {
    Asked,
    Itself(std::process::ExitStatus),
}

async fn run_once(
    settings: &EngineSettings,
    hidden: &[String],
    mut durable: watch::Receiver<Position>,
    stop: &mut watch::Receiver<bool>,
) -> anyhow::Result<Ended> {
    let (mut child, mut input) = start(settings, hidden).await?;
    let mut journal_open = true;
    loop {
        tokio::select! {
            status = child.wait() => return Ok(Ended::Itself(status?)),
            () = told(stop) => {
                drop(input);
                if tokio::time::timeout(Duration::from_secs(10), child.wait()).await.is_err() {
                    tracing::warn!("the engine did not stop in time; it is killed");
                    child.kill().await?;
                }
                return Ok(Ended::Asked);
            }
            changed = durable.changed(), if journal_open => {
                journal_open = changed.is_ok();
                // A full pipe already holds a wake-up; an engine that died is noticed above.
                let _ = tokio::time::timeout(WAKE_EVERY, input.write_all(b"w")).await;
                tokio::time::sleep(WAKE_EVERY).await;
            }
        }
    }
}

async fn start(
    settings: &EngineSettings,
    hidden: &[String],
) -> anyhow::Result<(Child, ChildStdin)> {
    let place = std::env::current_exe().context("cannot tell where this program lies")?;
    let mut child = command(hidden)
        .arg0(place)
        .arg("engine")
        .stdin(Stdio::piped())
        // Ctrl-C is the recorder's to hear: it drains first, then ends this input.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .context("cannot start the engine process")?;
    let mut input = child.stdin.take().context("the engine has no standard input")?;
    let mut line = serde_json::to_vec(settings)?;
    line.push(b'\n');
    input.write_all(&line).await.context("the engine does not read its settings")?;
    Ok((child, input))
}

/// This very program, whatever lies at its place meanwhile: an upgrade is a
/// restart. It sees no secret of ours but what its settings hold.
fn command(hidden: &[String]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    let ours = super::handover::VARIABLES.into_iter();
    for variable in ours.chain(hidden.iter().map(String::as_str)) {
        command.env_remove(variable);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::command;

    #[tokio::test]
    async fn the_engine_does_not_see_variables_that_hold_secrets() {
        let seen = |hidden: &[String]| {
            let mut asked = tokio::process::Command::new("env");
            for (name, value) in command(hidden).as_std().get_envs() {
                assert_eq!(value, None, "{name:?} is set");
                asked.env_remove(name);
            }
            asked.output()
        };
        // One that the test runner sets stands for a secret.
        let name = "CARGO_PKG_NAME".to_owned();
        let has = |output: std::process::Output| {
            String::from_utf8(output.stdout).unwrap().contains("CARGO_PKG_NAME=")
        };
        assert!(has(seen(&[]).await.unwrap()));
        assert!(!has(seen(&[name]).await.unwrap()));
    }
}

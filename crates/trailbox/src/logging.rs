//! Structured log lines on standard error: `RUST_LOG` chooses, JSON when not a terminal.

use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// `s3s` reports every refused call of a client as an error of its own.
const DEFAULT: &str = "info,s3s=off";

/// Starts logging for this process. A second call changes nothing.
pub(crate) fn start(process: &'static str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        builder.with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    if started.is_ok() {
        tracing::debug!(process, pid = std::process::id(), "logging starts");
    }
}

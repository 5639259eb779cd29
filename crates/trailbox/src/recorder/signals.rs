//! What signals ask for: SIGTERM and SIGINT to stop, SIGHUP to restart.

use std::io::IsTerminal as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// End.
    Stop,
    /// Give way to the program on disk, with the configuration on disk.
    Restart,
}

/// Signals, from the moment this is made.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    /// Its end sends SIGHUP, too, and means that nobody is there any more.
    at_terminal: bool,
}

/// Takes SIGHUP for ourselves as early as can be: its default is the end.
pub(super) fn hear_hang_up() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}

impl Signals {
    pub(super) fn new(hang_up: Signal) -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up,
            at_terminal: std::io::stdin().is_terminal(),
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hang_up.recv() => if self.at_terminal { Asked::Stop } else { Asked::Restart },
        }
    }

    /// Whether the order to stop came meanwhile.
    pub(super) async fn is_to_stop(&mut self) -> bool {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => true,
            _ = self.interrupt.recv() => true,
            () = std::future::ready(()) => false,
        }
    }
}

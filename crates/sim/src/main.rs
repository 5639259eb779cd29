//! The recorder in a simulated world: `cargo xtask sim`.
//!
//! One seed is one world: a disk that loses what was not synced, a network that
//! delays, splits and cuts, clients, a cloud, and several lives of the real
//! recorder in it, from the bytes of a call to the event history. The oracle
//! holds what came of it against what everybody saw. The README tells the rest.
//!
//! Start reading at [`seed::play`] and [`life::live`].

// A command line talks on standard output.
#![allow(clippy::print_stdout)]

mod calls;
mod client;
mod dice;
mod disk;
mod follower;
mod keys;
mod ledger;
mod life;
mod mutant;
mod oracle;
mod seed;
mod upstream;
mod wire;
mod world;

use clap::Parser;
use mutant::Mutant;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "trailbox-sim", about = "The recorder in a simulated world")]
struct Cli {
    /// Seeds to play, the last one included.
    #[arg(long, default_value = "1..300", value_parser = seed::parse_range)]
    seeds: (u64, u64),
    /// Plays new seeds for so many hours instead.
    #[arg(long)]
    hours: Option<f64>,
    /// Plays this seed alone.
    #[arg(long)]
    seed: Option<u64>,
    /// Tells everything that happens, on standard error.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Breaks the recorder on purpose; then a caught seed is the good end.
    #[arg(long)]
    mutant: Option<Mutant>,
    /// Worlds at once. Default: one per processor.
    #[arg(long)]
    jobs: Option<usize>,
    /// Every so many seeds one is played twice and must end alike; 0: none.
    #[arg(long, default_value_t = 10)]
    twice: u64,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let well = match cli.seed {
        Some(seed) => seed::alone(seed, cli.mutant, cli.trace),
        None => seed::many(&cli),
    };
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

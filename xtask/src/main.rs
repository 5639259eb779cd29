//! Chores of the workspace: `cargo xtask <chore>`.
//!
//! `tidy` checks what no reviewer should have to check by eye, `ci` is the
//! whole gate, `codegen` derives the service facts, `vectors` compares records
//! with what AWS wrote, `shows` runs the long proof of an issue.

// A command line talks on standard output.
#![allow(clippy::print_stdout)]

mod ci;
mod codegen;
mod compat;
mod fuzz;
mod routing;
mod run;
mod shows;
mod sim;
mod tidy;
mod vectors;
mod venv;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Chores of the Trailbox workspace")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

/// What can be derived.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Generated {
    /// The table of services, from a pinned botocore.
    Facts,
    /// `docs/compat.md`, from what is answered and the differences noted in the code.
    Compat,
}

/// What vectors hold.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum VectorKind {
    /// HTTP exchanges through the gateway.
    Gateway,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Format, lints, floors, size ratchets, spelling, licences, generated files.
    ///
    /// Example: `cargo xtask tidy --update` rewrites the ratchet after files got smaller.
    Tidy {
        /// Rewrites `ratchet.toml` to the present sizes; only ever commit it smaller.
        #[arg(long)]
        update: bool,
    },
    /// The whole gate, as the continuous integration runs it.
    ///
    /// Example: `cargo xtask ci`
    Ci,
    /// Derives committed files from their sources.
    ///
    /// Example: `cargo xtask codegen facts --check`
    Codegen {
        /// What to derive.
        what: Generated,
        /// Compares instead of writing; fails on a difference.
        #[arg(long)]
        check: bool,
    },
    /// Signs the table of services, for `[facts] file` of a running Trailbox.
    ///
    /// Example: `cargo xtask seal-facts seed.hex facts.signed`
    SealFacts {
        /// File with the Ed25519 seed, 64 hex digits.
        seed: std::path::PathBuf,
        /// The signed table to write.
        out: std::path::PathBuf,
    },
    /// Compares exchanges with the records AWS wrote for them.
    ///
    /// Example: `cargo xtask vectors gateway ../shared/data/gateway`
    Vectors {
        /// Which kind of vectors.
        protocol: VectorKind,
        /// Directory of JSON files with exchanges and expected records.
        dir: std::path::PathBuf,
    },
    /// Routes the request of every operation of every service.
    ///
    /// Example: `cargo xtask routing` serialises the requests first.
    Routing {
        /// Lines that `conformance/transparency/serialise.py` wrote before.
        lines: Option<std::path::PathBuf>,
    },
    /// Every decoder of foreign bytes against bytes that learn.
    ///
    /// Example: `cargo xtask fuzz --seconds 1200 route sigv4_claim`
    Fuzz {
        /// Targets, as their files in `fuzz/fuzz_targets` are called; all when none is named.
        targets: Vec<String>,
        /// How long each may try new inputs.
        #[arg(long, default_value_t = 20)]
        seconds: u32,
    },
    /// Plays the recorder in simulated worlds, one per seed.
    ///
    /// Example: `cargo xtask sim --seeds 1..300`, `--hours 8`, `--seed 7 --trace`,
    /// `--mutant no-intents`; `cargo xtask sim --help` lists all.
    #[command(disable_help_flag = true)]
    Sim {
        /// Arguments of `trailbox-sim`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// The full "Shows" list of an issue.
    ///
    /// Example: `cargo xtask shows 1`
    Shows {
        /// The number in the order of the work: 1 is the recorder.
        number: u32,
        /// The short form that the gate runs.
        #[arg(long)]
        short: bool,
    },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().chore {
        Chore::Tidy { update } => tidy::run(update),
        Chore::Ci => ci::run(),
        Chore::Codegen { what: Generated::Facts, check } => codegen::run(check),
        Chore::Codegen { what: Generated::Compat, check } => compat::run(check),
        Chore::Vectors { protocol: VectorKind::Gateway, dir } => {
            anyhow::ensure!(vectors::run(&dir)?, "records differ from the expected ones");
            Ok(())
        }
        Chore::Routing { lines: Some(lines) } => routing::run(&lines),
        Chore::Routing { lines: None } => routing::run(&routing::requests()?),
        Chore::Sim { args } => sim::run(&args),
        Chore::SealFacts { seed, out } => codegen::seal::run(&seed, &out),
        Chore::Fuzz { targets, seconds } => fuzz::run(&targets, seconds),
        Chore::Shows { number, short } => shows::run(number, short),
    }
}

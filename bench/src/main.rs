//! Runs that compare Trailbox with its rivals and limits, both sides in one run.
//!
//! Every server is a process of its own, so that what is counted is its own.
//! The load comes from `trailbox load`. Start at [`Bench`]; `bench/README.md`
//! says what each run shows.
#![allow(clippy::print_stdout, reason = "a command line")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

mod gateway;
mod journal;
mod load;
mod machine;
mod objects;
mod process;
mod proxy;
mod seaweed;
mod servers;
mod table;
mod transfer;
mod upstream;

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use table::Table;

/// The same allocator as the product, so that the rival has no handicap.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Compares Trailbox with its rivals and limits.
#[derive(Debug, Parser)]
#[command(name = "trailbox-bench")]
struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Small signed calls: CPU, rate and latency against a plain hyper proxy and nginx.
    Gateway(Common),
    /// Large objects: speed against the plain proxy, and memory.
    Objects(Common),
    /// A mixed object load in front of SeaweedFS against SeaweedFS alone.
    Seaweed(Common),
    /// Appending with fsync against writing and syncing the same bytes.
    Journal(Common),
    /// Every run, one table.
    All(Common),
    /// A short form of every run that needs nothing else installed: does it work?
    Smoke(Common),
    /// A server under comparison; runs until it is stopped.
    #[command(hide = true)]
    Serve {
        #[command(subcommand)]
        server: Server,
    },
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Server {
    /// Answers everything at once: sink and source.
    Upstream { port: u16 },
    /// A plain hyper reverse proxy that records nothing.
    Proxy { port: u16, upstream: u16 },
}

/// What every run takes.
#[derive(Debug, Clone, Args)]
struct Common {
    /// The program under comparison, a release build.
    #[arg(long, default_value = "target/release/trailbox", env = "TRAILBOX_BIN")]
    trailbox: PathBuf,
    /// Where data directories are made; its disk is what is measured.
    #[arg(long, default_value = "target")]
    place: PathBuf,
    /// Length of one measurement.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// How often both sides are measured in turn.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// SeaweedFS.
    #[arg(long, default_value = "weed", env = "WEED")]
    weed: PathBuf,
    /// nginx.
    #[arg(long, default_value = "nginx")]
    nginx: PathBuf,
    /// MiB of one large object; one of five times the size is sent too.
    #[arg(long, default_value_t = 1024)]
    object_mib: u64,
    /// Uploads at once.
    #[arg(long, default_value_t = 64)]
    uploads: usize,
    /// Only whether it works: figures are not judged.
    #[arg(skip)]
    short: bool,
    /// Write the table to `bench/results/DATE-NAME.md`.
    #[arg(long, value_name = "NAME")]
    keep: Option<String>,
}

fn main() -> ExitCode {
    match run(Bench::parse().what) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("trailbox-bench: {err:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(what: What) -> anyhow::Result<()> {
    let mut table = Table::default();
    let common = match what {
        What::Serve { server } => return serve(server),
        What::Gateway(common) => {
            gateway::run(&common, &mut table)?;
            common
        }
        What::Objects(common) => {
            objects::run(&common, &mut table)?;
            common
        }
        What::Seaweed(common) => {
            seaweed::run(&common, &mut table)?;
            common
        }
        What::Journal(common) => {
            journal::run(&mut table)?;
            common
        }
        What::All(common) => {
            journal::run(&mut table)?;
            gateway::run(&common, &mut table)?;
            objects::run(&common, &mut table)?;
            seaweed::run(&common, &mut table)?;
            journal::lookup(&mut table);
            common
        }
        What::Smoke(common) => {
            let short =
                Common { seconds: 1, rounds: 1, object_mib: 16, uploads: 8, short: true, ..common };
            gateway::run(&short, &mut table)?;
            objects::run(&short, &mut table)?;
            short
        }
    };
    println!("\n{}", table.markdown());
    if let Some(name) = &common.keep {
        println!("kept in {}", table.keep(name)?.display());
    }
    Ok(())
}

fn serve(server: Server) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match server {
        Server::Upstream { port } => runtime.block_on(upstream::serve(port)),
        Server::Proxy { port, upstream } => runtime.block_on(proxy::serve(port, upstream)),
    }
}

//! Trailbox, the black box recorder for a cloud account.
//!
//! The binary joins the crates: command line, configuration, the two processes.
//! It alone names the system's clock and generator. Start reading at
//! [`commands::serve`]; `recorder` and `engine` are the two processes.

// A command line talks on standard output.
#![allow(clippy::print_stdout)]

mod adminkey;
mod client;
mod commands;
mod config;
mod datadir;
mod engine;
mod logging;
mod masterkey;
mod node;
mod ports;
mod proxyca;
mod recorder;
mod render;
mod snapshot;
mod stop;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Memory: the stock allocator stops scaling with threads in static builds.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The black box recorder for a cloud account.
#[derive(Debug, Parser)]
#[command(name = "trailbox", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(commands::serve::Serve),
    Demo(commands::demo::Demo),
    Lookup(commands::lookup::Lookup),
    Principal(commands::principal::PrincipalCommand),
    Config(commands::config::ConfigCommand),
    Journal(commands::journal::JournalCommand),
    ProxyCa(commands::proxy_ca::ProxyCa),
    Assert(commands::assert::Assert),
    Load(commands::load::Load),
    #[command(hide = true)]
    Engine(engine::EngineArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Serve(command) => command.run(),
        Command::Demo(command) => command.run(),
        Command::Lookup(command) => command.run(),
        Command::Principal(command) => command.run(),
        Command::Config(command) => Ok(command.run()),
        Command::Journal(command) => Ok(command.run()),
        Command::ProxyCa(command) => command.run(),
        Command::Assert(command) => Ok(command.run()),
        Command::Load(command) => Ok(command.run()),
        Command::Engine(args) => engine::run(args),
    };
    match done {
        Ok(code) => code,
        Err(err) => {
            eprintln!("trailbox: {err:#}");
            ExitCode::FAILURE
        }
    }
}

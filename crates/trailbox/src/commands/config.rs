//! `trailbox config`: every key documented, a file checked.

use crate::config::{Config, DEFAULT_TEXT, explain};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Shows, checks and explains the configuration.
#[derive(Debug, Args)]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Checks a file; names the key and the line of what is wrong.
    #[command(after_help = "Example: trailbox config check trailbox.toml")]
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Prints every key with its meaning, unit and default.
    #[command(after_help = "Example: trailbox config default > trailbox.toml")]
    Default,
    /// Says what one key means.
    #[command(after_help = "Example: trailbox config explain recording.durability")]
    Explain {
        /// The key, with or without its section.
        key: String,
    },
}

impl ConfigCommand {
    pub(crate) fn run(self) -> ExitCode {
        match self.action {
            Action::Check { file } => match Config::read(&file) {
                Ok(_) => println!("{} is fine", file.display()),
                Err(err) => {
                    eprintln!("trailbox: {err:#}");
                    return ExitCode::from(2);
                }
            },
            Action::Default => print!("{DEFAULT_TEXT}"),
            Action::Explain { key } => {
                let found = explain(&key);
                if found.is_empty() {
                    eprintln!(
                        "trailbox: no key is called `{key}`; `trailbox config default` lists all"
                    );
                    return ExitCode::from(2);
                }
                println!("{}", found.join("\n\n"));
            }
        }
        ExitCode::SUCCESS
    }
}

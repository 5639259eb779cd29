//! `trailbox serve`: the recorder, with its engine beside it.

use crate::config::{Config, Mode};
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use trailbox_gateway::config::UpstreamConfig;

/// Records every call that comes in on one port.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  trailbox serve --upstream s3=http://127.0.0.1:9000 --upstream http://127.0.0.1:5000
  trailbox serve --mode test --upstream http://127.0.0.1:5000")]
pub(crate) struct Serve {
    /// Configuration file; flags override what they name.
    #[arg(long, value_name = "FILE", env = "TRAILBOX_CONFIG")]
    config: Option<PathBuf>,
    /// The port that records [default: 127.0.0.1:4747].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The port for people and probes [default: 127.0.0.1:4748].
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<SocketAddr>,
    /// Directory of journal, index, state and keys [default: trailbox-data].
    #[arg(long, value_name = "DIR", env = "TRAILBOX_DATA")]
    data: Option<PathBuf>,
    /// Who answers a service, or with no service everything else. Repeatable.
    #[arg(long, value_name = "[SERVICE=]URL")]
    upstream: Vec<String>,
    /// Account of calls whose key says nothing else [default: 123456789012].
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// `test` believes every key, on loopback only [default: normal].
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// Not for people: only checks the configuration. A restart asks for it first.
    #[arg(long, hide = true)]
    check: bool,
}

impl Serve {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let check = self.check;
        let config = match self.settle() {
            Ok(_) if check => return Ok(ExitCode::SUCCESS),
            Ok(config) => config,
            Err(err) => {
                eprintln!("trailbox: {err:#}");
                return Ok(ExitCode::from(2));
            }
        };
        crate::recorder::run(config)
    }

    /// The file with the flags over it.
    fn settle(self) -> anyhow::Result<Config> {
        let mut config = match &self.config {
            Some(place) => Config::read(place)?,
            None => Config::default(),
        };
        for text in &self.upstream {
            let (service, upstream) = parse_upstream(text)?;
            config.upstream.insert(service, upstream);
        }
        config.listen.address = self.listen.unwrap_or(config.listen.address);
        config.listen.admin = self.admin_listen.unwrap_or(config.listen.admin);
        config.data = self.data.unwrap_or(config.data);
        config.account = self.account.unwrap_or(config.account);
        config.mode = self.mode.unwrap_or(config.mode);
        config.check()?;
        Ok(config)
    }
}

/// Reads `service=URL`, or a bare URL for everybody else.
fn parse_upstream(text: &str) -> anyhow::Result<(String, UpstreamConfig)> {
    let (service, url) = match text.split_once('=') {
        Some((service, url)) if !service.contains(['/', ':']) => (service, url),
        _ => ("default", text),
    };
    Ok((service.to_owned(), UpstreamConfig::new(url.parse()?)))
}

#[cfg(test)]
mod tests {
    use super::parse_upstream;

    #[test]
    fn an_upstream_is_for_a_service_or_for_everybody_else() {
        assert_eq!(parse_upstream("s3=http://h:1").unwrap().0, "s3");
        assert_eq!(parse_upstream("http://h:1").unwrap().0, "default");
        assert!(parse_upstream("s3=h:1").is_err());
    }
}

//! `trailbox proxy-ca`: what clients of a forward proxy are to trust.

use crate::datadir::DataDir;
use crate::proxyca;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Prints the certificate that clients of the forward proxy are to trust.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  trailbox proxy-ca > trailbox-ca.pem
  HTTPS_PROXY=http://127.0.0.1:4747 AWS_CA_BUNDLE=trailbox-ca.pem aws sts get-caller-identity")]
pub(crate) struct ProxyCa {
    /// Data directory of the server.
    #[arg(long, value_name = "DIR", default_value = "trailbox-data", env = "TRAILBOX_DATA")]
    data: PathBuf,
}

impl ProxyCa {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        print!("{}", proxyca::pem(&DataDir::open(&self.data)?)?);
        Ok(ExitCode::SUCCESS)
    }
}

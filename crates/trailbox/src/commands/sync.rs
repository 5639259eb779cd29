//! `trailbox principal sync`: users and keys from where they are kept.

use crate::client::Admin;
use crate::render::Rows;
use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::path::PathBuf;

/// What is synced, and with whose key.
#[derive(Debug, Args)]
pub(crate) struct SyncArgs {
    /// What the source speaks.
    #[arg(value_enum)]
    kind: Kind,
    /// Where it listens.
    #[arg(long, value_name = "URL")]
    endpoint: String,
    /// Key of somebody who may list users and keys there.
    #[arg(long, value_name = "ID")]
    access_key_id: String,
    #[command(flatten)]
    secret: SecretArgs,
    /// Region to sign for [default: us-east-1].
    #[arg(long)]
    region: Option<String>,
    /// Account of its users [default: what the source says, else the server's own].
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// What every user name gets in front, such as `ceph-`.
    #[arg(long, default_value = "")]
    prefix: String,
    /// PEM file, on the server, of authorities to trust instead of the system's.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<String>,
    /// Believe a source that lists nobody although it listed users before.
    #[arg(long)]
    allow_empty: bool,
    /// Say what would change and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// How the report is written.
    #[arg(long, value_enum, default_value_t)]
    output: Written,
}

/// Where the secret of `--access-key-id` is.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SecretArgs {
    /// Read the secret from standard input.
    #[arg(long = "secret-stdin")]
    stdin: bool,
    /// Read the secret from a file.
    #[arg(long = "secret-file", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Read the secret from an environment variable.
    #[arg(long = "secret-env", value_name = "NAME")]
    env: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Ceph RGW's admin API: keys come with their secrets.
    Rgw,
    /// IAM: keys come without secrets; a verifying upstream vouches for their calls.
    Iam,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Written {
    /// For people.
    #[default]
    Table,
    /// The server's answer.
    Json,
}

impl SyncArgs {
    pub(super) async fn run(self, admin: &Admin) -> anyhow::Result<String> {
        let kind = match self.kind {
            Kind::Rgw => "rgw",
            Kind::Iam => "iam",
        };
        let mut body = json!({
            "kind": kind,
            "endpoint": self.endpoint,
            "accessKeyId": self.access_key_id,
            "secretAccessKey": self.secret.read()?,
            "prefix": self.prefix,
            "allowEmpty": self.allow_empty,
            "dryRun": self.dry_run,
        });
        let optional =
            [("region", self.region), ("account", self.account), ("caFile", self.ca_file)];
        for (key, value) in optional {
            if let Some(value) = value {
                body[key] = Value::from(value);
            }
        }
        let report = admin.call("POST", "/api/v1/principals/sync", Some(&body)).await?;
        match self.output {
            Written::Json => Ok(serde_json::to_string_pretty(&report)?),
            Written::Table => Ok(table(&report)),
        }
    }
}

impl SecretArgs {
    fn read(&self) -> anyhow::Result<String> {
        let text = match (self.stdin, &self.file, &self.env) {
            (true, _, _) => return super::principal::secret(),
            (false, Some(place), _) => std::fs::read_to_string(place)
                .with_context(|| format!("cannot read {}", place.display()))?,
            (false, None, Some(name)) => {
                std::env::var(name).with_context(|| format!("{name} is not set"))?
            }
            (false, None, None) => bail!("say where the secret of `--access-key-id` is"),
        };
        let secret = text.trim();
        if secret.is_empty() {
            bail!("the secret of `--access-key-id` is empty");
        }
        Ok(secret.to_owned())
    }
}

fn table(report: &Value) -> String {
    let mut rows = Rows::new(&["", "listed", "added", "changed", "removed"]);
    let count = |key: &str| report[key].to_string();
    let dash = || "-".to_owned();
    rows.push(vec![
        "users".to_owned(),
        count("users"),
        count("usersAdded"),
        dash(),
        count("usersRemoved"),
    ]);
    rows.push(vec![
        "keys".to_owned(),
        count("keys"),
        count("keysAdded"),
        count("keysChanged"),
        count("keysRemoved"),
    ]);
    let source = report["source"].as_str().unwrap_or_default();
    let dry = if report["dryRun"] == json!(true) { " (dry run: nothing was changed)" } else { "" };
    let mut text = format!(
        "{source}{dry}\n{}\n{} keys have a secret: their calls are verified here\n\
         {} conflicts, {} left out",
        rows.table(),
        report["keysWithSecret"],
        report["conflicts"],
        report["leftOut"],
    );
    for note in report["notes"].as_array().into_iter().flatten() {
        text.extend(["\n- ", note.as_str().unwrap_or_default()]);
    }
    text
}

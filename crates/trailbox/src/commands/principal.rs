//! `trailbox principal`: who is registered, and with which keys.

use super::sync::SyncArgs;
use super::{Target, small_runtime};
use crate::client::Admin;
use crate::render::{Output, Rows, say};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Registers people, roles and the keys they have.
#[derive(Debug, Args)]
pub(crate) struct PrincipalCommand {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Registers a principal; adopts a key it has, or makes one.
    #[command(after_help = "Examples:
  printf %s \"$SECRET\" | trailbox principal add alice --access-key-id AKIA… --secret-stdin
  trailbox principal add deploy --kind role")]
    Add(Add),
    /// Lists principals and their keys.
    #[command(after_help = "Example: trailbox principal list --output json")]
    List {
        /// How the list is written.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Removes a principal with its keys.
    #[command(after_help = "Example: trailbox principal remove alice")]
    Remove {
        /// Name, or the whole ARN.
        name: String,
        /// What it is.
        #[arg(long, value_enum, default_value_t)]
        kind: Kind,
        /// Its account [default: the server's own].
        #[arg(long, value_name = "ID")]
        account: Option<String>,
    },
    /// Registers many principals with the keys people already have.
    ///
    /// CSV needs a header with `user name`, `access key id` and `secret access key`;
    /// JSON is a list of objects. All rows are taken, or none.
    #[command(after_help = "Example: trailbox principal import users.csv")]
    Import {
        /// CSV or JSON file.
        file: PathBuf,
        /// Account of rows that name none [default: the server's own].
        #[arg(long, value_name = "ID")]
        account: Option<String>,
    },
    /// Takes in the users and keys of a Ceph RGW or an IAM.
    ///
    /// What an earlier sync of the same source brought and the source lists no
    /// more is marked: its keys are refused, its records keep their names. What
    /// people registered, or another source brought, stays as it is. Put the
    /// same into `[[principal_sync]]` of the configuration to have it repeated.
    #[command(after_help = "Examples:
  trailbox principal sync rgw --endpoint http://ceph:7480 --access-key-id AK --secret-file s3.secret
  trailbox principal sync iam --endpoint https://iam.amazonaws.com --access-key-id AKIA… \
      --secret-env IAM_SECRET --dry-run")]
    Sync(Box<SyncArgs>),
    /// Switches a key off or on, or removes it.
    #[command(after_help = "Example: trailbox principal key AKIAIOSFODNN7EXAMPLE off")]
    Key {
        /// The key.
        access_key_id: String,
        /// What happens to it.
        #[arg(value_enum)]
        change: KeyChange,
    },
}

#[derive(Debug, Args)]
struct Add {
    /// Name of the user or role.
    name: String,
    /// What it is.
    #[arg(long, value_enum, default_value_t)]
    kind: Kind,
    /// Its account [default: the server's own].
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Its path, such as `/ops/`.
    #[arg(long)]
    path: Option<String>,
    /// Key it has already; the secret comes on standard input.
    #[arg(long, value_name = "ID", requires = "secret_stdin")]
    access_key_id: Option<String>,
    /// Read the secret of `--access-key-id` from standard input.
    #[arg(long, requires = "access_key_id")]
    secret_stdin: bool,
    /// Whether it may use Trailbox's own operations.
    #[arg(long)]
    administrator: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Kind {
    /// An IAM user.
    #[default]
    User,
    /// A role that others assume.
    Role,
    /// The account itself.
    Root,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KeyChange {
    /// It may be used again.
    On,
    /// It is refused.
    Off,
    /// It is forgotten.
    Remove,
}

impl PrincipalCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let done = small_runtime()?.block_on(async {
            let admin = self.target.connect()?;
            match self.action {
                Action::Add(add) => add.run(&admin).await,
                Action::List { output } => list(&admin, output).await,
                Action::Remove { name, kind, account } => {
                    let query = removal(&name, kind, account.as_deref());
                    admin.call("DELETE", &format!("/api/v1/principals?{query}"), None).await?;
                    Ok(format!("{name} is removed"))
                }
                Action::Import { file, account } => import(&admin, &file, account).await,
                Action::Sync(sync) => sync.run(&admin).await,
                Action::Key { access_key_id, change } => key(&admin, &access_key_id, change).await,
            }
        })?;
        say(&(done + "\n"))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Add {
    async fn run(self, admin: &Admin) -> anyhow::Result<String> {
        let mut body = json!({
            "name": self.name,
            "kind": self.kind.name(),
            "administrator": self.administrator,
        });
        let mut set = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                body[key] = Value::from(value);
            }
        };
        set("account", self.account);
        set("path", self.path);
        set("secretAccessKey", self.secret_stdin.then(secret).transpose()?);
        set("accessKeyId", self.access_key_id);
        let answer = admin.call("POST", "/api/v1/principals", Some(&body)).await?;
        let arn = answer["principal"]["arn"].as_str().unwrap_or_default();
        let key = &answer["accessKey"];
        Ok(match (key["accessKeyId"].as_str(), key["secretAccessKey"].as_str()) {
            (Some(id), Some(secret)) => format!(
                "{arn}\n# shown this once:\nexport AWS_ACCESS_KEY_ID={id}\n\
                 export AWS_SECRET_ACCESS_KEY={secret}"
            ),
            (Some(id), None) => format!("{arn} uses {id}"),
            (None, _) => arn.to_owned(),
        })
    }
}

/// The secret on standard input, without the line end.
pub(super) fn secret() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("cannot read the secret")?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        bail!("standard input holds no secret; pipe it in: printf %s \"$SECRET\" | trailbox …");
    }
    Ok(secret.to_owned())
}

async fn list(admin: &Admin, output: Output) -> anyhow::Result<String> {
    let answer = admin.call("GET", "/api/v1/principals", None).await?;
    if output == Output::Json {
        return Ok(serde_json::to_string_pretty(&answer["principals"])?);
    }
    let mut rows = Rows::new(&["name", "kind", "account", "id", "administrator", "keys"]);
    for principal in answer["principals"].as_array().into_iter().flatten() {
        let text = |key: &str| principal[key].as_str().unwrap_or("").to_owned();
        let keys = principal["keys"].as_array().into_iter().flatten().map(|key| {
            let state = match (key["active"] == json!(false), &key["removed"]) {
                (_, Value::String(_)) => " (removed)",
                (true, _) => " (off)",
                (false, _) => "",
            };
            format!("{}{state}", key["accessKeyId"].as_str().unwrap_or(""))
        });
        rows.push(vec![
            text("name"),
            text("kind"),
            text("account"),
            text("id"),
            principal["administrator"].to_string(),
            keys.collect::<Vec<_>>().join(" "),
        ]);
    }
    Ok(if output == Output::Csv { rows.csv() } else { rows.table() })
}

async fn import(
    admin: &Admin,
    file: &std::path::Path,
    account: Option<String>,
) -> anyhow::Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let query = account.map(|account| format!("?account={}", escape(&account)));
    let path = format!("/api/v1/principals/import{}", query.unwrap_or_default());
    let answer = admin.send("POST", &path, bytes.into()).await?;
    Ok(format!("{} principals are registered", answer["imported"]))
}

async fn key(admin: &Admin, id: &str, change: KeyChange) -> anyhow::Result<String> {
    let path = format!("/api/v1/keys/{}", escape(id));
    match change {
        KeyChange::Remove => {
            admin.call("DELETE", &path, None).await?;
            Ok(format!("{id} is removed"))
        }
        KeyChange::On | KeyChange::Off => {
            let active = change == KeyChange::On;
            let answer = admin.call("PATCH", &path, Some(&json!({ "active": active }))).await?;
            let now = answer["active"] == json!(true);
            Ok(match (active, now) {
                (true, false) => format!("{id} stays off: its source suspended or removed it"),
                (_, true) => format!("{id} is on"),
                (false, false) => format!("{id} is off"),
            })
        }
    }
}

fn removal(name: &str, kind: Kind, account: Option<&str>) -> String {
    if name.starts_with("arn:") {
        return format!("arn={}", escape(name));
    }
    let account = account.map(|account| format!("&account={}", escape(account)));
    format!("name={}&kind={}{}", escape(name), kind.name(), account.unwrap_or_default())
}

/// Percent-encodes everything that is not plain in a query or a path segment.
fn escape(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Role => "role",
            Self::Root => "root",
        }
    }
}

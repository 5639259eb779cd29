//! `trailbox demo`: everything with one command, real calls, who did what.

use crate::client::{Admin, Answer, Call, Credentials, send};
use crate::datadir::{DataDir, Running};
use crate::ports::SystemClock;
use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::process::{Child, Command};

/// How long the server may take to stand.
const START_PATIENCE: Duration = Duration::from_mins(1);

/// Starts everything embedded, makes real signed S3 and STS calls, and prints who did what.
#[derive(Debug, Args)]
#[command(after_help = "Example: trailbox demo --exit")]
pub(crate) struct Demo {
    /// End after the table instead of staying up.
    #[arg(long)]
    exit: bool,
    /// Directory to keep; by default a new one that is removed at the end.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Demo {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        super::small_runtime()?.block_on(self.show())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn show(self) -> anyhow::Result<()> {
        let temporary = tempfile::tempdir()?;
        let place = self.data.clone().unwrap_or_else(|| temporary.path().join("data"));
        let mut server = self.start(&place)?;
        let data = wait_until_ready(&place, &mut server).await?;
        let (running, admin) = (data.running()?, Admin::connect(&data)?);
        println!("Trailbox records on http://{}; making calls …\n", running.listen);
        let calls = make_calls(&running, &admin, &data).await?;
        let found = who_did_what(&admin).await?;
        println!("{}", super::lookup::rows(&found).table());
        if found.len() < calls {
            bail!("{calls} calls were made, {} records were found", found.len());
        }
        println!("\n{calls} calls were made; each was on disk before its caller heard the answer.");
        if !self.exit {
            println!("\nThe server stays up. Go on by hand:\n{}", exports(&running, &data)?);
            server.wait().await?;
            return Ok(());
        }
        stop(server).await
    }

    /// The usual ports when it stays up, free ones otherwise.
    fn start(&self, place: &std::path::Path) -> anyhow::Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").arg("--data").arg(place).kill_on_drop(true);
        if self.exit {
            command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        }
        if std::env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "warn,s3s=off");
        }
        command.stdout(std::process::Stdio::null()).spawn().context("cannot start the server")
    }
}

async fn wait_until_ready(place: &std::path::Path, server: &mut Child) -> anyhow::Result<DataDir> {
    let until = tokio::time::Instant::now() + START_PATIENCE;
    loop {
        if let Some(status) = server.try_wait()? {
            bail!("the server ended with {status}; its log above says why");
        }
        if let Ok(data) = DataDir::open(place)
            && let Ok(running) = data.running()
            && tokio::net::TcpStream::connect(running.admin_listen).await.is_ok()
        {
            return Ok(data);
        }
        if tokio::time::Instant::now() > until {
            bail!("the server does not stand after {START_PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What the demo's people do. Each line is one signed call over the wire.
async fn make_calls(running: &Running, admin: &Admin, data: &DataDir) -> anyhow::Result<usize> {
    let root = crate::adminkey::read(data)?;
    let alice = new_user(admin, "alice").await?;
    admin
        .call("POST", "/api/v1/principals", Some(&json!({"name": "auditor", "kind": "role"})))
        .await?;
    let mut stage = Stage { running, calls: 0 };
    stage.sts(&root, "Action=GetCallerIdentity&Version=2011-06-15").await?;
    stage.s3(&root, "PUT", "/demo-reports", "").await?;
    stage.s3(&alice, "PUT", "/demo-reports/budget.csv", "year,amount\n2026,42\n").await?;
    stage.s3(&alice, "GET", "/demo-reports/budget.csv", "").await?;
    stage.s3(&alice, "GET", "/demo-reports/missing.csv", "").await?;
    let role = format!("arn:aws:iam::{}:role/auditor", running.account);
    let role = role.replace(':', "%3A").replace('/', "%2F");
    let body =
        format!("Action=AssumeRole&Version=2011-06-15&RoleArn={role}&RoleSessionName=quarter-end");
    let answer = stage.sts(&root, &body).await?;
    let auditor = session(&String::from_utf8_lossy(&answer.body))?;
    stage.s3(&auditor, "GET", "/demo-reports?list-type=2", "").await?;
    stage.s3(&alice, "DELETE", "/demo-reports/budget.csv", "").await?;
    stage.s3(&root, "DELETE", "/demo-reports", "").await?;
    Ok(stage.calls)
}

/// Counts the calls that were made.
struct Stage<'a> {
    running: &'a Running,
    calls: usize,
}

impl Stage<'_> {
    async fn s3(
        &mut self,
        who: &Credentials,
        method: &str,
        target: &str,
        body: &'static str,
    ) -> anyhow::Result<Answer> {
        self.send(who, "s3", method, target, Vec::new(), Bytes::from_static(body.as_bytes())).await
    }

    async fn sts(&mut self, who: &Credentials, form: &str) -> anyhow::Result<Answer> {
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        let answer = self.send(who, "sts", "POST", "/", headers, form.to_owned().into()).await?;
        if answer.status != 200 {
            bail!("STS answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        Ok(answer)
    }

    async fn send(
        &mut self,
        who: &Credentials,
        service: &str,
        method: &str,
        target: &str,
        mut headers: Vec<(String, String)>,
        body: Bytes,
    ) -> anyhow::Result<Answer> {
        headers.push(("user-agent".to_owned(), "trailbox-demo".to_owned()));
        let call = Call { method, target, service, region: "us-east-1", headers, body };
        self.calls += 1;
        send(self.running.listen, who, &SystemClock, call).await
    }
}

async fn new_user(admin: &Admin, name: &str) -> anyhow::Result<Credentials> {
    let answer = admin.call("POST", "/api/v1/principals", Some(&json!({ "name": name }))).await?;
    let text = |key: &str| {
        answer["accessKey"][key].as_str().map(str::to_owned).with_context(|| format!("no {key}"))
    };
    Ok(Credentials {
        access_key_id: text("accessKeyId")?,
        secret: text("secretAccessKey")?,
        session_token: None,
    })
}

/// The temporary credentials in an answer of `AssumeRole`.
fn session(answer: &str) -> anyhow::Result<Credentials> {
    let between = |name: &str| {
        let (_, rest) = answer.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(text, _)| text.to_owned())
    };
    Ok(Credentials {
        access_key_id: between("AccessKeyId").context("no AccessKeyId in the answer")?,
        secret: between("SecretAccessKey").context("no SecretAccessKey in the answer")?,
        session_token: between("SessionToken"),
    })
}

/// The records of the calls above: what our own program sent, oldest first.
async fn who_did_what(admin: &Admin) -> anyhow::Result<Vec<Value>> {
    let question = json!({ "text": "trailbox-demo", "limit": 100 });
    let mut page = admin.call("POST", "/api/v1/lookup", Some(&question)).await?;
    let Value::Array(mut records) = page["records"].take() else {
        bail!("the lookup answered no list");
    };
    records.reverse();
    Ok(records)
}

fn exports(running: &Running, data: &DataDir) -> anyhow::Result<String> {
    let key = crate::adminkey::read(data)?;
    Ok(format!(
        "export AWS_ENDPOINT_URL=http://{}\nexport AWS_ACCESS_KEY_ID={}\n\
         export AWS_SECRET_ACCESS_KEY={}\nexport AWS_DEFAULT_REGION=us-east-1\n\
         export TRAILBOX_DATA={}\n\naws s3 mb s3://mine\naws cloudtrail lookup-events\n\
         trailbox lookup --last 10m",
        running.listen,
        key.access_key_id,
        key.secret,
        data.path().display(),
    ))
}

/// Asks the server to end in good order.
async fn stop(mut server: Child) -> anyhow::Result<()> {
    let pid = server.id().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
    if let Some(pid) = pid {
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    }
    let status = server.wait().await?;
    if !status.success() {
        bail!("the server ended with {status}");
    }
    Ok(())
}

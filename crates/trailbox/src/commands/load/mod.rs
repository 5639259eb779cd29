//! `trailbox load`: hammers a running server, then looks whether all of it was recorded.
//!
//! [`drive`] makes the calls that [`mix`] describes and [`sign`] signs;
//! [`ledger`] remembers what became of each in one byte; [`verify`] compares
//! with the records. Start at [`Load::run`].

mod connect;
mod drive;
mod histogram;
mod http1;
mod http2;
mod ledger;
mod mix;
mod report;
mod sign;
mod verify;

use super::Target;
use crate::client::{Admin, Credentials};
use crate::datadir::DataDir;
use crate::ports::{SystemClock, SystemRandom};
use crate::render::say;
use anyhow::{Context as _, bail};
use clap::Args;
use connect::{Endpoint, Trust};
use drive::{Run, Tally};
use mix::{Mix, Service, Sizes, Which};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use trailbox_clock::{Clock as _, Random as _};
use verify::{Search, Verdict};

/// How often the state of a run is told on standard error.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Calls a running server as hard as it can, then verifies that each acknowledged call was recorded.
///
/// Signed calls over S3, JSON, query and CBOR services, each of them unique. An error from
/// upstream is an answer like any other. Exit code 0: verified, every acknowledged call is found
/// exactly once and says what was sent. 1: the verdict names MISSING, TWICE or WRONG calls.
/// 2: nothing could be verified.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  trailbox load --duration 20s --connections 32
  trailbox load --endpoint https://localhost:4747 --rate 500 --services s3,sts")]
pub(crate) struct Load {
    #[command(flatten)]
    target: Target,
    /// Where calls go [default: the port of the server that holds --data].
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Where records are looked up [default: the admin port of that server].
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// How long it goes on.
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Calls before the measured ones; they are verified like all others.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    warm_up: Duration,
    /// Connections at once, each with one call at a time.
    #[arg(long, value_name = "COUNT", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Calls per second, whatever the server does [default: as fast as it answers].
    #[arg(long, value_name = "COUNT", value_parser = positive)]
    rate: Option<f64>,
    /// Threads that make calls.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Services to call [default: all].
    #[arg(long, value_enum, value_delimiter = ',')]
    services: Vec<Service>,
    /// Which calls are made.
    #[arg(long, value_enum, default_value_t)]
    calls: Which,
    /// Bucket of the objects; it is made first.
    #[arg(long, default_value = "trailbox-load")]
    bucket: String,
    /// Size of an object, or smallest and largest size.
    #[arg(long, value_name = "COUNT[-COUNT]", default_value = "128")]
    object_bytes: Sizes,
    /// Speak HTTP/2 [default: HTTP/1.1].
    #[arg(long)]
    http2: bool,
    /// PEM file of authorities to trust [default: tls-cert.pem of --data, else the system's].
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    tls_ca: Option<PathBuf>,
    /// Trust any certificate.
    #[arg(long)]
    insecure: bool,
    /// Sign with this key [default: the administrator key of --data].
    #[arg(long, value_name = "ID", requires = "secret_file")]
    access_key_id: Option<String>,
    /// File with the secret of that key.
    #[arg(long, value_name = "FILE", requires = "access_key_id")]
    secret_file: Option<PathBuf>,
    /// Region that calls are signed for.
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// Account in which the records are looked for [default: that of the administrator key].
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Longest wait for one answer.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Longest wait for the history to catch up.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    settle: Duration,
    /// Only make calls; no records are looked up.
    #[arg(long)]
    no_verify: bool,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t)]
    output: LoadOutput,
}

/// How the result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum LoadOutput {
    /// Lines for people.
    #[default]
    Text,
    /// One object.
    Json,
}

/// An answer that arrived whole.
#[derive(Debug)]
struct Acknowledged {
    status: u16,
    /// Its first bytes.
    body: Vec<u8>,
    /// The connection ends with it.
    close: bool,
}

/// No whole answer came: the call may or may not have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Broken;

impl From<std::io::Error> for Broken {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

impl Acknowledged {
    /// Whether the recorder turned the call away because it could not record it.
    fn is_refusal(&self) -> bool {
        let says = |text: &str| self.body.windows(text.len()).any(|part| part == text.as_bytes());
        self.status == 503 && (says("cannot be recorded now") || says("nobody vouches for"))
    }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        Ok(_) | Err(_) => Err("a rate is a number above 0".to_owned()),
    }
}

impl Load {
    pub(crate) fn run(self) -> ExitCode {
        match self.runtime().and_then(|runtime| runtime.block_on(self.all_of_it())) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(err) => {
                eprintln!("trailbox: {err:#}");
                ExitCode::from(2)
            }
        }
    }

    fn runtime(&self) -> anyhow::Result<tokio::runtime::Runtime> {
        let mut builder = if self.threads == 1 {
            tokio::runtime::Builder::new_current_thread()
        } else {
            tokio::runtime::Builder::new_multi_thread()
        };
        Ok(builder.worker_threads(self.threads.into()).enable_all().build()?)
    }

    /// Whether every acknowledged call was found, after saying so.
    async fn all_of_it(&self) -> anyhow::Result<bool> {
        let data = DataDir::open(&self.target.data);
        let run = Arc::new(self.plan(data.as_ref().ok()).await?);
        // Asked before the run: a key that may not look up would verify nothing.
        let admin = if self.no_verify { None } else { Some(self.lookup(data.as_ref())?) };
        let since = SystemClock.now();
        self.first_call(&run).await?;
        let telling = tokio::spawn(tell(Arc::clone(&run)));
        let tally = run.drive().await?;
        telling.abort();
        if tally.acknowledged == 0 {
            bail!(
                "no call was acknowledged: {} refused, {} without an answer",
                tally.refused,
                tally.unacknowledged
            );
        }
        let verdict = match &admin {
            None => None,
            Some(admin) => {
                let account = self.account.as_deref();
                let search = Search { run: &run, admin, account, since, settle: self.settle };
                Some(search.verdict().await.context("cannot verify")?)
            }
        };
        self.tell(&tally, verdict.as_ref())?;
        Ok(verdict.is_none_or(|verdict| verdict.holds()))
    }

    fn tell(&self, tally: &Tally, verdict: Option<&Verdict>) -> anyhow::Result<()> {
        let report = report::Report { tally, duration: self.duration, verdict };
        match self.output {
            LoadOutput::Text => say(&report.text())?,
            LoadOutput::Json => say(&(serde_json::to_string_pretty(&report.json())? + "\n"))?,
        }
        Ok(())
    }

    async fn plan(&self, data: Option<&DataDir>) -> anyhow::Result<Run> {
        let url = match (&self.endpoint, data) {
            (Some(url), _) => url.clone(),
            (None, Some(data)) => {
                let running = data.running()?;
                let scheme = if running.tls { "https" } else { "http" };
                format!("{scheme}://{}", running.listen)
            }
            (None, None) => bail!("name the server with --endpoint or --data"),
        };
        let own = data.map(|data| data.join("tls-cert.pem")).filter(|place| place.exists());
        let trust = match self.tls_ca.as_ref().or(own.as_ref()) {
            _ if self.insecure => Trust::Anybody,
            Some(place) => Trust::File(place),
            None => Trust::System,
        };
        let endpoint = Endpoint::new(&url, &trust, self.http2).await?;
        let credentials = match (self.given_key()?, data) {
            (Some(key), _) => key,
            (None, Some(data)) => crate::adminkey::read(data)?,
            (None, None) => bail!("name a key with --access-key-id and --secret-file, or --data"),
        };
        let mut run = [0; 4];
        SystemRandom.fill(&mut run);
        let (bucket, bytes) = (self.bucket.clone(), self.object_bytes);
        let mix = Mix::new(hex::encode(run), bucket, &self.services, self.calls, bytes)
            .context("none of --services has such --calls")?;
        Ok(Run {
            signer: sign::Signer {
                credentials,
                region: self.region.clone(),
                host: endpoint.host.clone(),
            },
            endpoint,
            mix,
            ledger: ledger::Ledger::new(),
            connections: self.connections.into(),
            rate: self.rate,
            warm_up: self.warm_up,
            duration: self.duration,
            patience: self.timeout,
            answered: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        })
    }

    fn given_key(&self) -> anyhow::Result<Option<Credentials>> {
        let (Some(id), Some(place)) = (&self.access_key_id, &self.secret_file) else {
            return Ok(None);
        };
        let secret = std::fs::read_to_string(place)
            .with_context(|| format!("cannot read the secret in {}", place.display()))?;
        let secret = secret.trim_end().to_owned();
        Ok(Some(Credentials { access_key_id: id.clone(), secret, session_token: None }))
    }

    /// The way to the records: an administrator key of the data directory, or the given one.
    fn lookup(&self, data: Result<&DataDir, &anyhow::Error>) -> anyhow::Result<Admin> {
        match (data, self.admin) {
            (Ok(data), Some(address)) => Ok(Admin::at(address, crate::adminkey::read(data)?)),
            (Ok(data), None) => Admin::connect(data),
            (Err(_), Some(address)) => {
                let key = self.given_key()?.context("looking up needs a key; name --data")?;
                Ok(Admin::at(address, key))
            }
            (Err(err), None) => bail!("{err:#}; or leave verifying out with --no-verify"),
        }
    }

    /// Makes the bucket, and finds out whether anybody answers at all.
    async fn first_call(&self, run: &Run) -> anyhow::Result<()> {
        let mut connection = run.endpoint.connect().await?;
        if run.mix.has_objects() {
            // One that is there already answers with an error, which is fine.
            let made = connection.call(run.signer.make_bucket(&self.bucket)).await;
            if made.is_err() {
                bail!("{} does not answer a call that makes a bucket", run.endpoint.host);
            }
        }
        Ok(())
    }
}

/// Says on standard error how a run goes.
async fn tell(run: Arc<Run>) {
    let mut seconds = 0;
    loop {
        tokio::time::sleep(TELL_EVERY).await;
        seconds += TELL_EVERY.as_secs();
        let answered = run.answered.load(Ordering::Relaxed);
        let lost = run.lost.load(Ordering::Relaxed);
        eprintln!("after {seconds} s: {answered} calls acknowledged, {lost} without an answer");
    }
}

#[cfg(test)]
mod tests {
    use super::{Acknowledged, positive};

    #[test]
    fn only_the_recorders_own_refusal_is_no_acknowledgement() {
        let says = |status, text: &str| {
            Acknowledged { status, body: text.into(), close: false }.is_refusal()
        };
        assert!(says(503, "<Message>it cannot be recorded now</Message>"));
        assert!(!says(500, "it cannot be recorded now"));
        assert!(!says(503, "slow down"));
    }

    #[test]
    fn a_rate_is_a_number_above_zero() {
        assert_eq!(positive("0.5"), Ok(0.5));
        for text in ["0", "-1", "NaN", "inf", "x"] {
            assert!(positive(text).is_err(), "{text}");
        }
    }
}

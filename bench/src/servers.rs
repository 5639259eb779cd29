//! The servers under comparison: upstream, plain proxy, nginx, Trailbox.

use crate::Common;
use crate::process::{Process, children, free_port};
use anyhow::Context as _;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The key that every call is signed with; a server of ours knows it.
pub(crate) const KEY: &str = "AKIABENCHMARK0000000";
/// Its secret: of no worth outside a run.
pub(crate) const SECRET: &str = "benchmark-benchmark-benchmark-benchmarks";

/// A directory for one run, and what measurements need.
#[derive(Debug)]
pub(crate) struct Bed {
    pub(crate) trailbox: PathBuf,
    pub(crate) secret: PathBuf,
    pub(crate) seconds: u64,
    directory: TempDir,
}

/// A server with its port.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) port: u16,
}

impl Bed {
    /// A fresh directory.
    pub(crate) fn new(common: &Common) -> anyhow::Result<Self> {
        let directory = TempDir::with_prefix_in("bench-", &common.place)
            .with_context(|| format!("cannot work in {}", common.place.display()))?;
        let secret = directory.path().join("secret");
        std::fs::write(&secret, SECRET)?;
        let trailbox = common.trailbox.canonicalize().with_context(|| {
            format!("{} is missing; cargo build --release -p trailbox", common.trailbox.display())
        })?;
        Ok(Self { trailbox, secret, seconds: common.seconds, directory })
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    fn log(&self, name: &str) -> PathBuf {
        self.path().join(format!("{name}.log"))
    }

    /// The trivial upstream.
    pub(crate) fn upstream(&self) -> anyhow::Result<Server> {
        let port = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "upstream", &port.to_string()]);
        let process = Process::start("upstream", command, &self.log("upstream"), port)?;
        Ok(Server { process, port })
    }

    /// The plain hyper proxy in front of a port.
    pub(crate) fn proxy(&self, upstream: u16) -> anyhow::Result<Server> {
        let port = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "proxy", &port.to_string(), &upstream.to_string()]);
        let process = Process::start("proxy", command, &self.log("proxy"), port)?;
        Ok(Server { process, port })
    }

    /// nginx in front of a port, as many workers as there are CPUs.
    ///
    /// # Errors
    ///
    /// When it is not installed, among others.
    pub(crate) fn nginx(&self, program: &Path, upstream: u16) -> anyhow::Result<Server> {
        let port = free_port()?;
        let place = self.path().join("nginx");
        std::fs::create_dir_all(&place)?;
        let at = place.display();
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "daemon off; pid {at}/pid; error_log {at}/error.log; worker_processes auto;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_max_body_size 0; keepalive_requests 1000000000;
  client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/f;
  uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
  upstream far {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://far; proxy_http_version 1.1; proxy_set_header Connection \"\";
      proxy_set_header Host $http_host; proxy_request_buffering off; proxy_buffering off;
    }}
  }}
}}
"
        );
        let config = place.join("nginx.conf");
        std::fs::write(&config, text)?;
        let mut command = Command::new(program);
        command.arg("-c").arg(&config).arg("-p").arg(&place);
        let process = Process::start("nginx", command, &self.log("nginx"), port)?;
        Ok(Server { process, port })
    }

    /// Trailbox in front of a port, with more lines of configuration.
    pub(crate) fn trailbox(&self, name: &str, upstream: u16, more: &str) -> anyhow::Result<Server> {
        let (port, admin) = (free_port()?, free_port()?);
        let place = self.path().join(name);
        std::fs::create_dir_all(&place)?;
        let config = place.join("trailbox.toml");
        let text = format!(
            "{more}\n[[principal]]\nname = \"bench\"\naccess_key_id = \"{KEY}\"\n\
             secret_file = \"{}\"\nadministrator = true\n",
            self.secret.display()
        );
        std::fs::write(&config, text)?;
        let far = format!("http://127.0.0.1:{upstream}");
        let mut command = Command::new(&self.trailbox);
        command
            .args(["serve", "--listen", &format!("127.0.0.1:{port}")])
            .args(["--admin-listen", &format!("127.0.0.1:{admin}")])
            .args(["--upstream", &far, "--upstream", &format!("s3={far}")])
            .arg("--config")
            .arg(&config)
            .arg("--data")
            .arg(place.join("data"));
        let process = Process::start(name, command, &self.log(name), port)?;
        Ok(Server { process, port })
    }
}

impl Server {
    /// The process itself.
    pub(crate) fn own(&self) -> Vec<u32> {
        vec![self.process.pid()]
    }

    /// The process and its children: nginx works in them, Trailbox's engine is one.
    pub(crate) fn all(&self) -> Vec<u32> {
        let pid = self.process.pid();
        std::iter::once(pid).chain(children(pid)).collect()
    }
}

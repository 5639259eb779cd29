//! Listening sockets that outlive a process: given by systemd or another parent,
//! and handed to the program that replaces this one at a restart.
//!
//! Both ways speak systemd's protocol (`sd_listen_fds`): the sockets stand side by
//! side, `LISTEN_FDNAMES` names them. While nobody accepts, clients wait in the
//! socket's queue; none is refused.

use anyhow::Context as _;
use listenfd::ListenFd;
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use std::convert::Infallible;
use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const NAMES: &str = "LISTEN_FDNAMES";
/// For which configured address each socket was opened: one that was changed
/// since is opened anew.
const OPENED_FOR: &str = "TRAILBOX_LISTEN_ADDRESSES";
/// Where the sockets begin when it is not at 3, which is taken.
const FIRST: &str = "LISTEN_FDS_FIRST_FD";
/// Where the search for free descriptors side by side begins: high, where files
/// that are opened one by one do not come, then low, for a small `nofile` limit.
const BEGINNINGS: [i32; 3] = [512, 128, 32];

/// Variables that are this process's own; a child must not see them.
pub(super) const VARIABLES: [&str; 5] = ["LISTEN_PID", "LISTEN_FDS", NAMES, OPENED_FOR, FIRST];

/// Longest the next program may take to read its configuration.
const CHECK_PATIENCE: Duration = Duration::from_secs(20);

/// A listening socket with its name.
#[derive(Debug)]
struct Given {
    name: String,
    socket: TcpListener,
    /// The address as its configuration wrote it, when we opened it.
    opened_for: Option<String>,
}

/// Sockets that this process was started with.
#[derive(Debug, Default)]
pub(super) struct Inherited(Vec<Given>);

impl Inherited {
    /// Takes what the environment announces. Call it before there are threads.
    ///
    /// # Errors
    ///
    /// When something announced is no listening TCP socket.
    pub(super) fn take() -> anyhow::Result<Self> {
        let list = |name: &str| std::env::var(name).unwrap_or_default();
        let (names, opened_for) = (list(NAMES), list(OPENED_FOR));
        let mut sockets = ListenFd::from_env();
        let mut names = names.split(':');
        let mut opened_for = opened_for.split(' ').filter(|text| !text.is_empty());
        let mut given = Vec::new();
        for at in 0..sockets.len() {
            let name = names.next().unwrap_or_default().to_owned();
            let socket = sockets
                .take_tcp_listener(at)
                .with_context(|| format!("socket `{name}` that was handed over"))?
                .context("a socket was handed over twice")?;
            socket.set_nonblocking(true)?;
            given.push(Given { name, socket, opened_for: opened_for.next().map(str::to_owned) });
        }
        Ok(Self(given))
    }

    /// The socket for listener `name`: by its name, else by its address.
    ///
    /// Ask for every listener before the first is bound anew, and close the rest
    /// before that, too: what nobody wants may hold an address that is wanted,
    /// as `0.0.0.0:4747` does with `127.0.0.1:4747`.
    pub(super) fn named(&mut self, name: &str, address: SocketAddr) -> Option<TcpListener> {
        let text = address.to_string();
        let fits = |given: &Given| {
            given.name == name && given.opened_for.as_ref().is_none_or(|old| *old == text)
        };
        let listens = |given: &Given| given.socket.local_addr().is_ok_and(|at| at == address);
        let at = self.0.iter().position(fits).or_else(|| self.0.iter().position(listens))?;
        Some(self.0.remove(at).socket)
    }

    /// Closes what no listener wants, and says so.
    pub(super) fn close_rest(self) {
        for Given { name, socket, .. } in self.0 {
            let address = socket.local_addr().ok().map(|address| address.to_string());
            tracing::warn!(
                name,
                address,
                "a socket was handed over for which there is no listener"
            );
        }
    }
}

#[cfg(test)]
impl Inherited {
    /// As if `socket` had been handed over for `name` at `opened_for`.
    pub(super) fn one(name: &str, socket: TcpListener, opened_for: &str) -> Self {
        let (name, opened_for) = (name.to_owned(), Some(opened_for.to_owned()));
        Self(vec![Given { name, socket, opened_for }])
    }
}

/// The program to be replaced by, as it was called.
#[derive(Debug, Clone)]
pub(super) struct Program {
    place: PathBuf,
    arguments: Vec<OsString>,
    /// Where room for the sockets is looked for.
    beginnings: &'static [i32],
}

impl Program {
    /// This very program; whatever lies at its place later is the next one.
    pub(super) fn this() -> anyhow::Result<Self> {
        let place = std::env::current_exe().context("cannot tell where this program lies")?;
        let arguments = std::env::args_os().skip(1).collect();
        Ok(Self { place, arguments, beginnings: &BEGINNINGS })
    }

    /// Whether the program at that place starts and accepts its configuration,
    /// and the sockets can be given to it.
    ///
    /// # Errors
    ///
    /// With what it said; nothing has changed then.
    pub(super) async fn check(&self, kept: &[Kept]) -> anyhow::Result<()> {
        side_by_side(self.beginnings, kept)?;
        let mut check = tokio::process::Command::new(&self.place);
        check.args(&self.arguments).arg("--check").kill_on_drop(true);
        let output = tokio::time::timeout(CHECK_PATIENCE, check.output())
            .await
            .with_context(|| format!("no verdict within {CHECK_PATIENCE:?}"))?
            .with_context(|| format!("cannot start {}", self.place.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "{}: {}", output.status, said.trim());
        Ok(())
    }

    /// Replaces this process, which keeps its number. Returns only when that fails.
    pub(super) fn replace(&self, kept: &[Kept]) -> anyhow::Error {
        let exec = || {
            let (first, held) = side_by_side(self.beginnings, kept)?;
            open_beyond_exec(&held)?;
            let failed = command(&self.place, &self.arguments, kept, first).exec();
            Err::<Infallible, anyhow::Error>(failed.into())
        };
        let Err(failed) = exec();
        failed
    }
}

/// A socket that is handed to the next program.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) name: String,
    /// As configuration writes it.
    pub(super) address: SocketAddr,
    pub(super) socket: OwnedFd,
}

/// Copies of the sockets, one behind the other. They close with this program.
fn side_by_side(beginnings: &[i32], kept: &[Kept]) -> anyhow::Result<(i32, Vec<OwnedFd>)> {
    let mut last = None;
    for &beginning in beginnings {
        match side_by_side_from(beginning, kept) {
            Ok(found) => return Ok(found),
            // Behind the limit of open files, or full up to it: look lower.
            Err(err) => last = Some(err),
        }
    }
    let why = last.map_or_else(String::new, |err| format!(": {err}"));
    let count = kept.len();
    anyhow::bail!("no room for {count} sockets side by side{why}; raise the limit of open files")
}

/// The first place at or behind `first` where all of them fit.
fn side_by_side_from(mut first: i32, kept: &[Kept]) -> rustix::io::Result<(i32, Vec<OwnedFd>)> {
    'place: loop {
        let mut copies = Vec::with_capacity(kept.len());
        for (wanted, Kept { socket, .. }) in (first..).zip(kept) {
            let copy = fcntl_dupfd_cloexec(socket, wanted)?;
            if copy.as_raw_fd() != wanted {
                // All between the two are taken.
                first = copy.as_raw_fd();
                continue 'place;
            }
            copies.push(copy);
        }
        return Ok((first, copies));
    }
}

/// Lets the copies stay open in the next program.
fn open_beyond_exec(copies: &[OwnedFd]) -> anyhow::Result<()> {
    copies.iter().try_for_each(|copy| Ok(fcntl_setfd(copy, FdFlags::empty())?))
}

fn command(program: &Path, arguments: &[OsString], kept: &[Kept], first: i32) -> Command {
    let names: Vec<&str> = kept.iter().map(|kept| kept.name.as_str()).collect();
    let opened_for: Vec<String> = kept.iter().map(|kept| kept.address.to_string()).collect();
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("LISTEN_PID", std::process::id().to_string())
        .env("LISTEN_FDS", kept.len().to_string())
        .env(FIRST, first.to_string())
        .env(NAMES, names.join(":"))
        .env(OPENED_FOR, opened_for.join(" "));
    command
}

#[cfg(test)]
mod tests {
    use super::{BEGINNINGS, Given, Inherited, Kept, Program, side_by_side};
    use std::net::TcpListener;
    use std::os::fd::AsRawFd as _;

    /// No system lets a process open so many files.
    const BEHIND: i32 = i32::MAX - 8;

    fn given(name: &str, opened_for: Option<&str>) -> Given {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        Given { name: name.to_owned(), socket, opened_for: opened_for.map(str::to_owned) }
    }

    #[test]
    fn a_socket_is_found_by_name_or_address_and_not_when_its_listener_moved() {
        let by_address = given("unit.socket", None);
        let address = by_address.socket.local_addr().unwrap();
        let free = "127.0.0.1:0".parse().unwrap();
        let mut inherited = Inherited(vec![
            given("aws", None),
            given("admin", Some("127.0.0.1:0")),
            given("moved", Some("127.0.0.1:1")),
            by_address,
        ]);
        assert!(inherited.named("aws", "127.0.0.1:9".parse().unwrap()).is_some());
        assert!(inherited.named("aws", free).is_none(), "it is given once");
        assert!(inherited.named("admin", free).is_some());
        assert!(inherited.named("moved", free).is_none());
        assert!(inherited.named("partners", address).is_some());
    }

    fn three() -> Vec<Kept> {
        let kept = (0..3).map(|number| {
            let socket = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = socket.local_addr().unwrap();
            Kept { name: number.to_string(), address, socket: socket.into() }
        });
        kept.collect()
    }

    #[test]
    fn sockets_are_handed_over_side_by_side() {
        let kept = three();
        let (first, copies) = side_by_side(&BEGINNINGS, &kept).unwrap();
        for (wanted, copy) in (first..).zip(&copies) {
            assert_eq!(copy.as_raw_fd(), wanted);
        }
        let (second, _held) = side_by_side(&BEGINNINGS, &kept).unwrap();
        assert_ne!(first, second, "a place that is taken is passed over");
    }

    #[test]
    fn a_place_behind_the_limit_of_open_files_leaves_the_lower_ones() {
        let (first, _held) = side_by_side(&[BEHIND, 64], &three()).unwrap();
        assert!((64..BEHIND).contains(&first));
    }

    #[tokio::test]
    async fn a_restart_without_room_for_its_sockets_is_refused_before_anything_ends() {
        let arguments = Vec::new();
        let mut program = Program { place: "/bin/true".into(), arguments, beginnings: &[64] };
        program.check(&three()).await.unwrap();
        program.beginnings = &[BEHIND];
        let refused = format!("{:#}", program.check(&three()).await.unwrap_err());
        assert!(refused.contains("no room for 3 sockets"), "{refused}");
    }
}

//! Accepting connections, and letting them finish.
//!
//! What stands in front of HTTP is settled here: a seat, a PROXY header, TLS.

use crate::connection;
use crate::cut::until_cut;
use crate::io::Io;
use crate::observe;
use crate::room::Seat;
use crate::settings::ListenerSettings;
use crate::shared::Shared;
use crate::wire::{ProxyStep, proxy_header};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A socket, and how it is spoken on.
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) settings: Arc<ListenerSettings>,
}

/// Pause after a failed accept, such as "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Longest that calls which broke off at the deadline may take to their records.
const CUT_GRACE: Duration = Duration::from_secs(5);

/// Serves until `shutdown`, then waits for the connections.
pub(crate) async fn run(
    shared: &Arc<Shared>,
    listener: Listener,
    shutdown: impl Future<Output = ()> + Send,
) -> std::io::Result<()> {
    let Listener { socket, settings } = listener;
    let address = socket.local_addr()?;
    shared.answerers.guard().own(address);
    let tls = settings.tls.is_some();
    observe::Listening { listener: &settings.name, address, tls }.emit();
    let (stop, stopping) = watch::channel(false);
    let (cut, cutting) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);

    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(shared, &socket, &settings) => accepted,
        };
        while connections.try_join_next().is_some() {}
        let Some((stream, peer, seat)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (shared, settings) = (Arc::clone(shared), Arc::clone(&settings));
        let orders = (stopping.clone(), cutting.clone());
        let connection = welcome(shared, stream, peer, seat, settings, orders);
        connections.spawn(until_cut(connection, cutting.clone()));
    }

    drop(socket);
    // Nobody listens only when there is no connection.
    let _ = stop.send(true);
    drain(connections, shared.drain_deadline(), &cut).await;
    Ok(())
}

/// One open connection, in the gauge until it is dropped.
struct Counted(Arc<ListenerSettings>);

impl Counted {
    fn new(listener: Arc<ListenerSettings>) -> Self {
        gauge(&listener).increment(1);
        Self(listener)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        gauge(&self.0).decrement(1);
    }
}

fn gauge(listener: &ListenerSettings) -> metrics::Gauge {
    metrics::gauge!(observe::CONNECTIONS, "listener" => Arc::clone(&listener.name))
}

/// The next connection, and a seat for it.
///
/// It is accepted first: nobody has to leave for one that does not come.
async fn accept(
    shared: &Shared,
    socket: &TcpListener,
    settings: &ListenerSettings,
) -> Option<(TcpStream, SocketAddr, Seat)> {
    let (stream, peer) = socket.accept().await.ok()?;
    let room = if settings.is_admin() { &shared.admin_room } else { &shared.room };
    Some((stream, peer, room.seat().await))
}

/// Serves one connection from its first byte.
async fn welcome(
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
    mut seat: Seat,
    settings: Arc<ListenerSettings>,
    orders: (watch::Receiver<bool>, watch::Receiver<bool>),
) {
    let _counted = Counted::new(Arc::clone(&settings));
    let patience = shared.config.limits.head_timeout;
    let asked = seat.asked_to_leave();
    let opened = tokio::select! {
        opened = Box::pin(open(stream, peer, &settings, &mut seat)) => opened,
        () = asked => Err(Ended::new("room", &"its seat is needed")),
        () = tokio::time::sleep(patience) => Err(Ended::new("slow", &"it did not open in time")),
    };
    let Ended { reason, error } = match opened {
        Ok((io, peer)) => {
            return connection::serve(&shared, io, peer, settings, seat, orders).await;
        }
        Err(ended) => ended,
    };
    let listener = &settings.name;
    observe::ConnectionEnded { listener, peer: peer.ip(), reason, error: &error }.emit();
}

/// Why a connection did not come to its first request.
struct Ended {
    reason: &'static str,
    error: String,
}

impl Ended {
    fn new(reason: &'static str, error: &dyn std::fmt::Display) -> Self {
        Self { reason, error: error.to_string() }
    }
}

/// Hears who is at the other end and agrees on keys where TLS is spoken.
async fn open(
    mut stream: TcpStream,
    peer: SocketAddr,
    settings: &ListenerSettings,
    seat: &mut Seat,
) -> Result<(Io, SocketAddr), Ended> {
    stream.set_nodelay(true).map_err(|err| Ended::new("gone", &err))?;
    let mut client = peer;
    if settings.proxy_protocol.iter().any(|network| network.contains(peer.ip())) {
        client = told_client(&mut stream).await?.unwrap_or(peer);
    }
    if !seat.is_for(client.ip().to_canonical()) {
        return Err(Ended::new("peer-limit", &"its address has as many connections as it may"));
    }
    let Some(tls) = settings.tls.clone() else {
        return Ok((Io::Tcp(stream), client));
    };
    let agreed = TlsAcceptor::from(tls).accept(stream).await;
    let agreed = agreed.map_err(|err| Ended::new("tls", &err))?;
    Ok((Io::Tls(Box::new(agreed.into())), client))
}

/// Reads the PROXY header and not a byte behind it; whom it names.
async fn told_client(stream: &mut TcpStream) -> Result<Option<SocketAddr>, Ended> {
    let mut header = Vec::new();
    loop {
        match proxy_header(&header).map_err(|err| Ended::new("proxy-header", &err))? {
            ProxyStep::Done(client) => return Ok(client),
            ProxyStep::More(count) => {
                let have = header.len();
                header.resize(have + count, 0);
                let reading = stream.read_exact(&mut header[have..]).await;
                reading.map_err(|err| Ended::new("proxy-header", &err))?;
            }
        }
    }
}

/// Waits for connections to finish their calls; lets those that do not break
/// off, and waits for their records.
async fn drain(mut connections: JoinSet<()>, deadline: Duration, cut: &watch::Sender<bool>) {
    if all(&mut connections, deadline).await {
        return;
    }
    observe::ShutdownCut { connections: connections.len(), deadline }.emit();
    let _ = cut.send(true);
    if !all(&mut connections, CUT_GRACE).await {
        observe::ShutdownLost { connections: connections.len(), grace: CUT_GRACE }.emit();
        connections.shutdown().await;
    }
}

/// Whether all of them ended within `patience`.
async fn all(connections: &mut JoinSet<()>, patience: Duration) -> bool {
    let finished = async { while connections.join_next().await.is_some() {} };
    tokio::time::timeout(patience, finished).await.is_ok()
}

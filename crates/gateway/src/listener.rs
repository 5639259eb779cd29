//! Accepting connections, and letting them finish.

use crate::connection;
use crate::gateway::ListenerRole;
use crate::io::Io;
use crate::observe;
use crate::shared::Shared;
use crate::tls;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A socket, and how it is spoken on.
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) role: ListenerRole,
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
}

/// Pause after a failed accept, such as "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `shutdown`, then waits for the connections.
pub(crate) async fn run(
    shared: &Arc<Shared>,
    listener: Listener,
    shutdown: impl Future<Output = ()> + Send,
) -> std::io::Result<()> {
    let Listener { socket, role, tls } = listener;
    let address = socket.local_addr()?;
    observe::Listening { listener: role.name(), address, tls: tls.is_some() }.emit();
    let acceptor = tls.map(|tls| TlsAcceptor::from(tls::offering(&tls, shared.config.http2)));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);

    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(shared, &socket, role) => accepted,
        };
        while connections.try_join_next().is_some() {}
        let Some((stream, peer, permit)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (shared, acceptor) = (Arc::clone(shared), acceptor.clone());
        let stopping = stopping.clone();
        connections.spawn(async move {
            let _permit = permit;
            let patience = shared.config.limits.head_timeout;
            let Some(io) = open(stream, acceptor, patience).await else { return };
            let _counted = Counted::new(role);
            connection::serve(&shared, io, peer, role, stopping).await;
        });
    }

    drop(socket);
    // Nobody listens only when there is no connection.
    let _ = stop.send(true);
    drain(connections, shared.config.limits.shutdown_deadline).await;
    Ok(())
}

/// One open connection, in the gauge until it is dropped.
struct Counted(ListenerRole);

impl Counted {
    fn new(role: ListenerRole) -> Self {
        metrics::gauge!(observe::CONNECTIONS, "listener" => role.name()).increment(1);
        Self(role)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!(observe::CONNECTIONS, "listener" => self.0.name()).decrement(1);
    }
}

/// The next connection, once there is room for it.
async fn accept(
    shared: &Shared,
    socket: &TcpListener,
    role: ListenerRole,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let room = match role {
        ListenerRole::Aws => &shared.room,
        ListenerRole::Admin => &shared.admin_room,
    };
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    let (stream, peer) = socket.accept().await.ok()?;
    Some((stream, peer, permit))
}

/// Sets the socket up and agrees on keys where TLS is spoken.
async fn open(stream: TcpStream, acceptor: Option<TlsAcceptor>, patience: Duration) -> Option<Io> {
    stream.set_nodelay(true).ok()?;
    let Some(acceptor) = acceptor else {
        return Some(Io::Tcp(stream));
    };
    let handshake = tokio::time::timeout(patience, acceptor.accept(stream)).await.ok()?;
    handshake.ok().map(|stream| Io::Tls(Box::new(stream.into())))
}

/// Waits for connections to finish their calls; cuts those that do not.
async fn drain(mut connections: JoinSet<()>, deadline: Duration) {
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(deadline, finished).await.is_err() {
        observe::ShutdownCut { connections: connections.len(), deadline }.emit();
        connections.shutdown().await;
    }
}

//! A listener as the HTTP proxy of clients that cannot set an endpoint.
//!
//! `CONNECT` to a host whose calls are recorded is answered here: TLS ends at us,
//! with a certificate of our own authority for that host, and what is inside is
//! served as on any connection. A target in absolute form follows the same rule.
//! Start reading at [`open`].
//!
//! Absent: who answers a call inside (`upstream::Answerers`), and any authority
//! over who may use the proxy: the listener's `callers` holds for each call.

mod authority;
mod guard;
mod target;
mod tunnel;

pub use authority::{ProxyAuthority, ProxyAuthorityError, make_authority};
pub(crate) use guard::Guard;
pub(crate) use target::Target;

use crate::answer::reason_phrase;
use crate::config::OtherHosts;
use crate::connection::Client;
use crate::io::{Io, Rewound, join, part};
use crate::observe;
use crate::room::Seat;
use crate::shared::Shared;
use crate::tls;
use crate::wire::RequestIn;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// First byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;

/// What is to be done with a request.
pub(crate) enum Wish {
    /// Served as it is.
    Serve,
    /// `CONNECT` to a host: what comes next is for it.
    Connect(Target),
    /// Answered with a refusal already; the connection ends.
    Refused,
}

/// Reads off `request` what a client of the proxy wants; where it stands in the
/// request itself, the client's target is set for it.
pub(crate) async fn wish(shared: &Shared, client: &mut Client, request: &RequestIn) -> Wish {
    if !client.listener.forward_proxy || client.tunnelled {
        return Wish::Serve;
    }
    client.target = None;
    if request.head.method == "CONNECT" {
        let target = Target::of_connect(&request.head.target);
        let others = shared.config.forward_proxy.others;
        return match target {
            Some(target) if others == OtherHosts::Tunnel || is_recorded(shared, &target) => {
                Wish::Connect(target)
            }
            Some(_) | None => refuse(client, 403, "this host is not proxied to").await,
        };
    }
    let Some(named) = &request.named else {
        return Wish::Serve;
    };
    match Target::of_absolute(named).filter(|target| is_recorded(shared, target)) {
        Some(target) => {
            count("forwarded");
            client.target = Some(Arc::new(target));
            Wish::Serve
        }
        None => refuse(client, 403, "this host is not proxied to").await,
    }
}

fn is_recorded(shared: &Shared, target: &Target) -> bool {
    shared.config.forward_proxy.records(&target.host)
}

/// Answers `CONNECT` and brings the client back as it is inside; `None` when
/// nothing is left to serve.
pub(crate) async fn open(
    shared: &Shared,
    mut client: Client,
    target: Target,
    seat: &Seat,
) -> Option<Client> {
    if !is_recorded(shared, &target) {
        tunnel::blind(shared, client, &target, seat).await;
        return None;
    }
    count("intercepted");
    say(&mut client, "200 Connection Established", "").await?;
    let patience = shared.config.limits.head_timeout;
    if client.inbound.buffer.is_empty() {
        tokio::select! {
            first = client.inbound.first(patience) => drop(first.ok().filter(|count| 0 < *count)?),
            () = seat.asked_to_leave() => return None,
        }
    }
    client.tunnelled = true;
    if client.inbound.buffer.first() != Some(&HANDSHAKE) {
        client.target = Some(Arc::new(Target { tls: false, ..target }));
        return Some(client);
    }
    let leaf = shared.leaf_for(&target.host);
    let leaf = leaf.map_err(|error| ended(&client, &error.to_string())).ok()?;
    let (listener, peer) = (Arc::clone(&client.listener), client.peer);
    let Client { mut inbound, outbound, draining, .. } = client;
    let first = inbound.buffer.split();
    let stream = Rewound::new(first, join(inbound, outbound));
    let agreeing = TlsAcceptor::from(leaf).accept(stream);
    let agreed = tokio::select! {
        agreed = tokio::time::timeout(patience, agreeing) => agreed,
        () = seat.asked_to_leave() => return None,
    };
    let stream = match agreed {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            let (listener, error) = (&listener.name, &error.to_string());
            observe::ConnectionEnded { listener, peer, reason: "tls", error }.emit();
            return None;
        }
        Err(_) => return None,
    };
    let details = tls::details(stream.get_ref().1);
    let io = Io::Proxied(Box::new(stream));
    let (inbound, outbound) = part(io, shared.config.limits.stall_timeout);
    let target = Some(Arc::new(Target { tls: true, ..target }));
    Some(Client {
        inbound,
        outbound,
        peer,
        tls: details,
        listener,
        draining,
        target,
        tunnelled: true,
    })
}

fn ended(client: &Client, error: &str) {
    let Client { listener, peer, .. } = client;
    observe::ConnectionEnded { listener: &listener.name, peer: *peer, reason: "tls", error }.emit();
}

async fn refuse(client: &mut Client, status: u16, text: &str) -> Wish {
    count("refused");
    let fields = format!(
        "Content-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n",
        text.len()
    );
    let line = format!("{status} {}", reason_phrase(status));
    if say(client, &line, &fields).await.is_some() {
        // A client that cannot be told is gone.
        let _ = client.outbound.write(text.as_bytes(), &[]).await;
    }
    Wish::Refused
}

async fn say(client: &mut Client, status: &str, fields: &str) -> Option<()> {
    let head = format!("HTTP/1.1 {status}\r\n{fields}\r\n");
    client.outbound.write(head.as_bytes(), &[]).await.ok()
}

fn count(what: &'static str) {
    metrics::counter!(observe::PROXIED, "what" => what).increment(1);
}

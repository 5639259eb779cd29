//! Clients: they sign, send, lose patience, vanish, and note what they are told.

use crate::calls::{Kind, Signer, USERS, request, session};
use crate::ledger::{Note, Told};
use crate::life::Life;
use crate::wire::{Answer, Wire};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;
use trailbox_clock::Clock as _;
use trailbox_gateway::ListenerRole;

/// Longer than the gateway takes for anything.
const PATIENCE: Duration = Duration::from_secs(15);

/// Calls until the life ends or nobody wants more calls.
pub(crate) async fn run(life: Arc<Life>, calls: u64) {
    let dice = &life.world.dice;
    let mut connection = None;
    for _ in 0..calls {
        tokio::time::sleep(dice.millis(0, 120)).await;
        if *life.stopping.borrow() || life.world.is_dead() {
            return;
        }
        if dice.percent(15) {
            connection = None;
        }
        let wire = match connection.take() {
            Some(wire) => wire,
            None => life.connect(),
        };
        connection = call(&life, wire).await;
    }
}

impl Life {
    /// A new connection to the gateway.
    fn connect(self: &Arc<Self>) -> Wire {
        let (ours, theirs) = tokio::io::duplex(self.world.dice.pick(&[900, 16 << 10, 64 << 10]));
        let peer = SocketAddr::from(([192, 0, 2, 7], 40_000));
        let (gateway, stopping) = (self.gateway().clone(), self.stopping.clone());
        self.connections().spawn(async move {
            gateway.serve_pipe(theirs, peer, ListenerRole::Aws, stopping).await;
        });
        Wire::new(&self.world, ours)
    }
}

/// Makes one call; the connection, if it can be used again.
async fn call(life: &Arc<Life>, mut wire: Wire) -> Option<Wire> {
    let world = &life.world;
    let dice = &world.dice;
    let kind = Kind::draw(dice);
    let id = world.calls.fetch_add(1, Ordering::SeqCst) + 1;
    let (by, by_session) = signer(life);
    let note = Note {
        kind,
        life: life.number,
        epoch: life.journal.durable().epoch,
        by_session,
        forwarded: 0,
        passed: false,
        started: Instant::now(),
        told: None,
    };
    world.ledger().calls.insert(id, note);
    world.trace(|| format!("client sends call {id}: {kind:?} by {}", by.key));
    let (head, body) = request(kind, id, &by, world.clock.now());
    let bytes = [head, body].concat();
    let vanishes = dice.percent(4);
    let sent = if vanishes { dice.index(bytes.len()) } else { bytes.len() };
    // Who answers early is heard although not everything was taken.
    let taken = wire.write(&bytes[..sent]).await;
    if vanishes || dice.percent(3) {
        world.trace(|| format!("client of call {id} vanishes"));
        return None;
    }
    let answer = tokio::time::timeout(PATIENCE, wire.answer()).await.ok()??;
    let keep = answer.keep_alive && taken;
    life.told(id, kind, answer);
    keep.then_some(wire)
}

/// A registered user, or a session somebody was shown.
fn signer(life: &Life) -> (Signer, bool) {
    let dice = &life.world.dice;
    let sessions = life.world.ledger().sessions.clone();
    if !sessions.is_empty() && dice.percent(25) {
        return (sessions[dice.index(sessions.len())].clone(), true);
    }
    let (_, key, secret) = USERS[dice.index(USERS.len())];
    (Signer { key: key.to_owned(), secret: secret.to_owned(), token: None }, false)
}

impl Life {
    /// A client has read the last byte of an answer.
    fn told(&self, id: u64, kind: Kind, answer: Answer) {
        if self.world.is_dead() {
            return;
        }
        let by_upstream = answer.headers.get("x-sim-call").is_some();
        let text = String::from_utf8_lossy(&answer.body);
        let mut ledger = self.world.ledger();
        let Some(note) = ledger.calls.get_mut(&id) else { return };
        let told = Told {
            status: answer.status,
            by_upstream,
            unrecordable: !by_upstream && text.contains("it cannot be recorded now"),
            late: self.is_late(note.started),
        };
        self.world.trace(|| {
            format!(
                "client of call {id} is told {told:?} {}",
                text.lines().last().unwrap_or_default()
            )
        });
        let shown = kind == Kind::AssumeRole && told.status == 200 && !told.late;
        note.told = Some(told);
        if by_upstream && answer.headers.get("x-sim-call") != Some(&*id.to_string()) {
            ledger.violate(format!("the client of call {id} got the answer to another call"));
        }
        if shown {
            ledger.sessions.push(session(id));
        }
    }
}

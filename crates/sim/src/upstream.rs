//! The cloud behind the gateway: it does what it is asked, late, out of order,
//! or not at all, and notes every request that reached it whole.

use crate::calls::{Kind, good_answer, number_of};
use crate::life::Life;
use crate::wire::Wire;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Weak;
use std::time::Duration;
use tokio::io::DuplexStream;
use trailbox_clock::Clock as _;
use trailbox_gateway::Dial;

/// Longer than anybody waits.
const NEVER: Duration = Duration::from_secs(20);

/// The network behind the gateway.
#[derive(Debug)]
pub(crate) struct Cloud(pub(crate) Weak<Life>);

impl Dial for Cloud {
    fn dial<'a>(
        &'a self,
        _upstream: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<DuplexStream>> + Send + 'a>> {
        Box::pin(async move {
            let life = self.0.upgrade().ok_or(io::ErrorKind::ConnectionRefused)?;
            let dice = &life.world.dice;
            life.world.network_step();
            match dice.below(100) {
                0..3 => return Err(io::ErrorKind::ConnectionRefused.into()),
                3..4 => tokio::time::sleep(NEVER).await,
                4..14 => tokio::time::sleep(dice.millis(1, 300)).await,
                _ => {}
            }
            let (ours, theirs) = tokio::io::duplex(dice.pick(&[700, 8 << 10, 64 << 10]));
            let wire = Wire::new(&life.world, theirs);
            tokio::spawn(async move { serve(&life, wire).await });
            Ok(ours)
        })
    }
}

/// How a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Well,
    Slowly,
    WithAnError,
    Closing,
    InChunks,
    UntilClose,
    Never,
    BreaksBefore,
    BreaksInHead,
    BreaksInBody,
}

/// How often each manner is met, relative to the others.
const MANNERS: [(Manner, u64); 10] = [
    (Manner::Well, 50),
    (Manner::Slowly, 18),
    (Manner::WithAnError, 8),
    (Manner::Closing, 4),
    (Manner::InChunks, 6),
    (Manner::UntilClose, 2),
    (Manner::Never, 2),
    (Manner::BreaksBefore, 4),
    (Manner::BreaksInHead, 2),
    (Manner::BreaksInBody, 4),
];

async fn serve(life: &Life, mut wire: Wire) {
    while let Some(head) = wire.request_head().await {
        let dice = &life.world.dice;
        let agent = head.head.headers.get("user-agent").unwrap_or_default();
        let number = number_of(agent);
        if let Some(id) = number.filter(|_| dice.percent(2)) {
            // A judgement before the body is here.
            let fields = format!("x-sim-call: {id}\r\nConnection: close\r\n");
            wire.write(&message(403, &fields, "<Error><Code>SimulatedError</Code></Error>")).await;
            return;
        }
        if dice.percent(3) {
            tokio::time::sleep(dice.millis(1, 400)).await;
        }
        let Some(_body) = wire.body(head.framing).await else { return };
        if life.world.is_dead() {
            return;
        }
        let goes_on = match number {
            Some(id) => {
                let kind = life.forwarded(id);
                answer(life, &mut wire, id, kind).await
            }
            // A question of the gateway's own: whether signatures are verified.
            None => {
                wire.write(&message(403, "", "<Error><Code>InvalidAccessKeyId</Code></Error>"))
                    .await
            }
        };
        if !goes_on {
            return;
        }
    }
}

async fn answer(life: &Life, wire: &mut Wire, id: u64, kind: Kind) -> bool {
    let dice = &life.world.dice;
    let manner = draw(life);
    life.world.trace(|| format!("upstream has call {id} whole and answers {manner:?}"));
    let body = good_answer(kind, id, life.world.clock.now());
    let sim = format!("x-sim-call: {id}\r\n");
    let whole = message(200, &sim, &body);
    match manner {
        Manner::Well => wire.write(&whole).await,
        Manner::Slowly => {
            tokio::time::sleep(dice.millis(5, 1500)).await;
            wire.write(&whole).await
        }
        Manner::WithAnError => {
            let status = dice.pick(&[403, 404, 500, 503]);
            let error = "<Error><Code>SimulatedError</Code><Message>no</Message></Error>";
            wire.write(&message(status, &sim, error)).await
        }
        Manner::Closing => {
            wire.write(&message(200, &format!("{sim}Connection: close\r\n"), &body)).await;
            false
        }
        Manner::InChunks => {
            let head = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{sim}\r\n");
            let end = "0\r\n\r\n";
            let text = if body.is_empty() {
                format!("{head}{end}")
            } else {
                format!("{head}{:x}\r\n{body}\r\n{end}", body.len())
            };
            wire.write(text.as_bytes()).await
        }
        Manner::UntilClose => {
            let text = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{sim}\r\n{body}");
            wire.write(text.as_bytes()).await;
            false
        }
        Manner::Never => {
            tokio::time::sleep(NEVER).await;
            false
        }
        Manner::BreaksBefore => false,
        Manner::BreaksInHead => {
            wire.write(&whole[..12]).await;
            false
        }
        Manner::BreaksInBody => {
            wire.write(&whole[..whole.len() - 1]).await;
            false
        }
    }
}

fn draw(life: &Life) -> Manner {
    let mut throw = life.world.dice.below(MANNERS.iter().map(|(_, weight)| weight).sum());
    for (manner, weight) in MANNERS {
        if throw < weight {
            return manner;
        }
        throw -= weight;
    }
    Manner::Well
}

fn message(status: u16, fields: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n{fields}\r\n{body}", body.len())
        .into_bytes()
}

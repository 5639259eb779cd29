//! Bytes of other hosts, passed both ways unseen.

use super::{Target, count, refuse, say};
use crate::connection::Client;
use crate::io::{Rewound, join};
use crate::room::Seat;
use crate::shared::Shared;

/// Connects to `target` and passes bytes until an end, or until we stop.
///
/// Whoever says nothing is the first to make room.
pub(super) async fn blind(shared: &Shared, mut client: Client, target: &Target, seat: &Seat) {
    let patience = shared.config.limits.connect_timeout;
    let guard = shared.answerers.guard();
    let connecting = guard.connect(&target.host, target.port, false);
    let Ok(Ok(mut there)) = tokio::time::timeout(patience, connecting).await else {
        refuse(&mut client, 502, "this host cannot be connected to").await;
        return;
    };
    if say(&mut client, "200 Connection Established", "").await.is_none() {
        return;
    }
    count("tunnelled");
    let Client { mut inbound, outbound, mut draining, .. } = client;
    let first = inbound.buffer.split();
    let mut here = Rewound::new(first, join(inbound, outbound));
    seat.waits();
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut here, &mut there) => {}
        _ = draining.wait_for(|draining| *draining) => {}
        () = seat.asked_to_leave() => {}
    }
}

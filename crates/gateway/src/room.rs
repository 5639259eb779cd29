//! Room for client connections: a seat for each, a bound on them, and who leaves
//! when somebody new comes.
//!
//! A connection that waits for a request costs little and is worth little: when
//! every seat is taken, the one that has waited longest is asked to leave.
//! A call under way is never cut for another.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// What a seat says while a call is under way.
const BUSY: u64 = u64::MAX;
/// Longest wait before somebody else is asked to leave.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// The seats of one or more listeners.
#[derive(Debug)]
pub(crate) struct Room {
    free: Arc<Semaphore>,
    per_peer_max: usize,
    opened: Instant,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    seats: BTreeMap<u64, Arc<Waiting>>,
    by_peer: HashMap<IpAddr, usize>,
}

/// Since when a connection waits for a request.
#[derive(Debug)]
struct Waiting {
    /// Microseconds since the room was opened, or [`BUSY`].
    since: AtomicU64,
    leave: Notify,
}

/// One connection's seat; given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    room: Arc<Room>,
    number: u64,
    waiting: Arc<Waiting>,
    peer: Option<IpAddr>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// `most` seats, and for each address `per_peer_max` (0: all of them).
    pub(crate) fn new(most: usize, per_peer_max: usize) -> Arc<Self> {
        let (free, taken) = (Arc::new(Semaphore::new(most)), Mutex::default());
        Arc::new(Self { free, per_peer_max, opened: Instant::now(), taken })
    }

    /// A seat, once there is one; whoever waits longest is asked to make room.
    pub(crate) async fn seat(self: &Arc<Self>) -> Seat {
        let permit = loop {
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                break Some(permit);
            }
            self.ask_to_leave();
            let coming = Arc::clone(&self.free).acquire_owned();
            if let Ok(permit) = tokio::time::timeout(ASK_EVERY, coming).await {
                // Closed never; then there would be no bound to keep.
                break permit.ok();
            }
        };
        self.sit(permit)
    }

    /// A seat that is not counted: for a connection of our own making.
    pub(crate) fn extra(self: &Arc<Self>) -> Seat {
        self.sit(None)
    }

    fn sit(self: &Arc<Self>, permit: Option<OwnedSemaphorePermit>) -> Seat {
        let waiting = Arc::new(Waiting { since: AtomicU64::new(BUSY), leave: Notify::new() });
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let number = taken.next;
        taken.next += 1;
        if permit.is_some() {
            taken.seats.insert(number, Arc::clone(&waiting));
        }
        drop(taken);
        let seat = Seat { room: Arc::clone(self), number, waiting, peer: None, _permit: permit };
        seat.waits();
        seat
    }

    /// Asks the connection that has waited longest, if any waits.
    fn ask_to_leave(&self) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |waiting: &Waiting| waiting.since.load(Ordering::Relaxed);
        let longest = taken.seats.values().min_by_key(|waiting| since(waiting));
        if let Some(waiting) = longest.filter(|waiting| since(waiting) != BUSY) {
            // It is asked once; if a call came meanwhile, it leaves after that.
            waiting.since.store(BUSY, Ordering::Relaxed);
            waiting.leave.notify_one();
        }
    }
}

impl Seat {
    /// Counts the connection for `peer`; false: that address has too many.
    pub(crate) fn is_for(&mut self, peer: IpAddr) -> bool {
        let most = self.room.per_peer_max;
        if most == 0 {
            return true;
        }
        let mut taken = self.room.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.by_peer.entry(peer).or_default();
        if most <= *count {
            return false;
        }
        *count += 1;
        self.peer = Some(peer);
        true
    }

    /// No call is under way.
    pub(crate) fn waits(&self) {
        let since = self.room.opened.elapsed().as_micros();
        let since = u64::try_from(since).unwrap_or(BUSY - 1);
        self.waiting.since.store(since, Ordering::Relaxed);
    }

    /// A call begins.
    pub(crate) fn works(&self) {
        self.waiting.since.store(BUSY, Ordering::Relaxed);
    }

    /// Resolves when the connection is to make room.
    pub(crate) fn asked_to_leave(&self) -> impl Future<Output = ()> + Send + use<> {
        let waiting = Arc::clone(&self.waiting);
        async move { waiting.leave.notified().await }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.room.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.seats.remove(&self.number);
        if let Some(peer) = self.peer
            && let Some(count) = taken.by_peer.get_mut(&peer)
        {
            *count -= 1;
            if *count == 0 {
                taken.by_peer.remove(&peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Room;
    use std::sync::Arc;
    use std::time::Duration;

    #[tokio::test]
    async fn who_waits_longest_leaves_and_who_works_stays() {
        let room = Room::new(3, 0);
        let working = room.seat().await;
        working.works();
        tokio::time::sleep(Duration::from_millis(5)).await;
        let longest = room.seat().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        let fresh = room.seat().await;
        let coming = tokio::spawn({
            let room = Arc::clone(&room);
            async move { room.seat().await }
        });
        longest.asked_to_leave().await;
        drop(longest);
        let come = coming.await.unwrap();
        let nobody = Duration::from_millis(200);
        for seat in [&working, &fresh, &come] {
            assert!(tokio::time::timeout(nobody, seat.asked_to_leave()).await.is_err());
        }
    }

    #[tokio::test]
    async fn one_address_has_its_share_and_gets_it_back() {
        let room = Room::new(10, 1);
        let (mut first, mut second) = (room.seat().await, room.seat().await);
        let (here, there) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        assert!(first.is_for(here));
        assert!(!second.is_for(here));
        assert!(second.is_for(there));
        drop(first);
        assert!(room.seat().await.is_for(here));
    }
}

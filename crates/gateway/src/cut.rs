//! Breaking off at a stop: a call that did not finish in time fails wherever it
//! waits for a peer, and so goes on to its record.
//!
//! The order reaches a task through [`until_cut`]; [`crate::io::Io`] obeys it.
//! Nothing else is cut: the journal is waited for.

use std::cell::Cell;
use std::error::Error;
use std::future::Future;
use std::io;
use std::task::{Poll, Waker};
use tokio::sync::watch;

thread_local! {
    /// Whether what is polled just now is to break off.
    static CUT: Cell<bool> = const { Cell::new(false) };
}

/// Drives `work`. Once `cut` says true, whatever peer it waits for is gone.
pub(crate) fn until_cut<T>(
    work: impl Future<Output = T> + Send,
    cut: watch::Receiver<bool>,
) -> impl Future<Output = T> + Send {
    let mut work = Box::pin(work);
    let mut order = cut.clone();
    let mut told = Box::pin(async move {
        // Without a sender nobody gives the order any more.
        if order.wait_for(|cut| *cut).await.is_err() {
            std::future::pending::<()>().await;
        }
    });
    let (mut is_cut, mut woken) = (false, None::<Waker>);
    std::future::poll_fn(move |context| {
        // A task has one waker: looking for the order costs next to nothing.
        let known = woken.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        if !is_cut && (!known || cut.has_changed().unwrap_or(false)) {
            is_cut = told.as_mut().poll(context).is_ready();
            woken = Some(context.waker().clone());
        }
        let _within = is_cut.then(Within::enter);
        work.as_mut().poll(context)
    })
}

/// What a peer did within a task, unless the task has to break off.
pub(crate) fn unless_cut<T>(poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
    if poll.is_pending() && CUT.get() {
        return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, Cut)));
    }
    poll
}

/// Whether it was we who broke off, not the peer.
pub(crate) fn is_cut(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<Cut>)
}

/// The order was given.
#[derive(Debug, thiserror::Error)]
#[error("Trailbox stops and waited for it as long as it may")]
struct Cut;

/// While it lives, this thread polls a task that is to break off.
struct Within {
    before: bool,
}

impl Within {
    fn enter() -> Self {
        Self { before: CUT.replace(true) }
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        CUT.set(self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::{is_cut, until_cut};
    use crate::io::Io;
    use tokio::io::AsyncReadExt as _;
    use tokio::sync::watch;

    #[tokio::test]
    async fn a_task_that_is_cut_waits_for_no_peer_and_others_do() {
        let (order, cut) = watch::channel(false);
        let wait = |cut| async move {
            let (_near, far) = tokio::io::duplex(1);
            until_cut(async move { Io::Memory(far).read_u8().await }, cut).await
        };
        let (_other, never) = watch::channel(false);
        let (ours, others) = (tokio::spawn(wait(cut.clone())), tokio::spawn(wait(never)));
        tokio::task::yield_now().await;
        order.send(true).unwrap();
        assert!(is_cut(&ours.await.unwrap().unwrap_err()));
        // One that begins after the order hears it, too.
        assert!(tokio::spawn(wait(cut)).await.unwrap().is_err());
        assert!(!others.is_finished());
        others.abort();
    }
}

//! The order to stop, as every task of a process hears it.

use tokio::sync::watch;

/// Resolves when `stop` says true, or when nobody can say it any more.
pub(crate) async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

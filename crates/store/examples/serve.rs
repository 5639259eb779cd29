//! The store alone on a port, to try a client against it:
//! `cargo run -p trailbox-store --example serve -- 127.0.0.1:9000 DIR AKID SECRET`.

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use std::sync::Arc;
use trailbox_clock::{Clock, Micros, Random, SeededRandom};
use trailbox_store::{Auth, KeyLookup, Options, service};

#[derive(Debug)]
struct OneKey {
    id: String,
    secret: String,
}

impl KeyLookup for OneKey {
    fn secret(&self, access_key_id: &str) -> Option<String> {
        (access_key_id == self.id).then(|| self.secret.clone())
    }
}

#[derive(Debug)]
struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Micros {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let mut word = |name: &str| words.next().ok_or_else(|| format!("{name} is missing"));
    let (address, root) = (word("ADDRESS")?, word("DIR")?);
    let keys = OneKey { id: word("ACCESS_KEY_ID")?, secret: word("SECRET")? };
    let seed = u64::try_from(WallClock.now().0)?;
    let chance: Arc<dyn Random> = Arc::new(SeededRandom::new(seed));
    let store =
        service(&Options::at(root), Auth::Verify(Arc::new(keys)), Arc::new(WallClock), chance)?;
    let listener = tokio::net::TcpListener::bind(&address).await?;
    loop {
        let (stream, _peer) = listener.accept().await?;
        let store = store.clone();
        tokio::spawn(async move {
            let served = Builder::new(TokioExecutor::new())
                .http1_only()
                .serve_connection(TokioIo::new(stream), store)
                .await;
            drop(served);
        });
    }
}

//! The rival: a plain reverse proxy on hyper that records nothing.
//!
//! Each client connection has one of its own to the upstream, which costs less
//! than any pool: the strongest form of the rival.

use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

/// Serves until the process is stopped.
pub(crate) async fn serve(port: u16, upstream: u16) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A peer that goes away ends its connection only.
        tokio::spawn(connection(stream, upstream));
    }
}

async fn connection(stream: TcpStream, upstream: u16) -> anyhow::Result<()> {
    let far = TcpStream::connect(("127.0.0.1", upstream)).await?;
    far.set_nodelay(true)?;
    let (sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(far)).await?;
    let driver = tokio::spawn(driver);
    let sender = Arc::new(Mutex::new(sender));
    let forward = service_fn(move |request| pass(Arc::clone(&sender), request));
    let served =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), forward);
    let ended = served.await;
    driver.abort();
    Ok(ended?)
}

async fn pass(
    sender: Arc<Mutex<SendRequest<Incoming>>>,
    request: hyper::Request<Incoming>,
) -> hyper::Result<hyper::Response<Incoming>> {
    let mut sender = sender.lock().await;
    sender.ready().await?;
    sender.send_request(request).await
}

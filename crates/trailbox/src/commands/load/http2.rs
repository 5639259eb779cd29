//! One HTTP/2 connection with one call at a time on it, through hyper.

use super::http1::Stream;
use super::sign::Signed;
use super::{Acknowledged, Broken};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinHandle;

/// A connection between two calls.
pub(super) struct Http2 {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    scheme: &'static str,
}

impl Http2 {
    /// Greets the server; over plain TCP with prior knowledge.
    pub(super) async fn new(stream: Box<dyn Stream>, secure: bool) -> anyhow::Result<Self> {
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await?;
        // Its end is seen as the failure of the call under way.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, driver, scheme: if secure { "https" } else { "http" } })
    }

    /// Sends a call and reads its answer to the end.
    ///
    /// # Errors
    ///
    /// When the connection ends before the answer does.
    pub(super) async fn call(&mut self, request: Signed) -> Result<Acknowledged, Broken> {
        let host = request.headers.first().map_or("", |(_, host)| host);
        let uri = format!("{}://{host}{}", self.scheme, request.target);
        let mut built = hyper::Request::builder().method(request.method).uri(uri);
        for (name, value) in request.headers.iter().skip(1) {
            built = built.header(name, value);
        }
        let built = built.body(Full::new(Bytes::from(request.body))).map_err(|_| Broken)?;
        let answer = self.sender.send_request(built).await.map_err(|_| Broken)?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(|_| Broken)?.to_bytes();
        Ok(Acknowledged { status, body: body.to_vec(), close: false })
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

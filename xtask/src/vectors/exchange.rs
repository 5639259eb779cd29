//! The files: one exchange with what AWS recorded of it.

use anyhow::Context as _;
use base64::Engine as _;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;
use trailbox_exchange::{Headers, RequestHead, ResponseHead};

/// One exchange.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Exchange {
    /// Name of a hand-written case.
    name: Option<String>,
    /// botocore name of the service of a vector.
    service: Option<String>,
    /// Operation of a vector.
    operation: Option<String>,
    request: Request,
    response: Response,
    /// What HTTP does not say.
    pub(super) context: Context,
    /// Fields of the record; of a hand-written case by dotted paths.
    pub(super) expected: Map<String, Value>,
    /// Where it stands.
    #[serde(skip)]
    place: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Request {
    method: String,
    uri: String,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    body_b64: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Response {
    status: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    body_b64: String,
}

/// What the harness knows beside the exchange.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Context {
    pub(super) account: Option<String>,
    pub(super) region: Option<String>,
    pub(super) tls: Option<String>,
    pub(super) cipher: Option<String>,
    pub(super) bucket_owner: Option<String>,
    pub(super) kms_key_arn: Option<String>,
}

impl Exchange {
    /// The exchanges of a file.
    pub(super) fn read(file: &Path) -> anyhow::Result<Vec<Self>> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("{} is not readable", file.display()))?;
        let mut list: Vec<Self> = serde_json::from_str(&text)
            .with_context(|| format!("{} is not a list of exchanges", file.display()))?;
        let stem = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for (at, exchange) in list.iter_mut().enumerate() {
            exchange.place = format!("{stem}[{at}]");
        }
        Ok(list)
    }

    /// Whether it is hand-written.
    pub(super) fn by_hand(&self) -> bool {
        self.service.is_none()
    }

    /// The row of the table it counts in.
    pub(super) fn group(&self) -> &str {
        self.service.as_deref().unwrap_or("protocol.json")
    }

    /// What to call it in a list of misses.
    pub(super) fn title(&self) -> String {
        let what = self.name.as_deref().or(self.operation.as_deref()).unwrap_or("?");
        format!("{} {what}", self.place)
    }

    pub(super) fn request_head(&self) -> RequestHead {
        RequestHead {
            method: self.request.method.clone(),
            target: self.request.uri.clone(),
            headers: headers(&self.request.headers),
        }
    }

    pub(super) fn response_head(&self) -> ResponseHead {
        ResponseHead { status: self.response.status, headers: headers(&self.response.headers) }
    }

    pub(super) fn request_body(&self) -> anyhow::Result<Vec<u8>> {
        decode(&self.request.body_b64)
    }

    pub(super) fn response_body(&self) -> anyhow::Result<Vec<u8>> {
        decode(&self.response.body_b64)
    }
}

fn headers(fields: &Map<String, Value>) -> Headers {
    fields
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

fn decode(text: &str) -> anyhow::Result<Vec<u8>> {
    Ok(base64::engine::general_purpose::STANDARD.decode(text)?)
}

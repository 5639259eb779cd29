//! The engine: from a request to an answer.

use crate::error::{ApiError, Code};
use crate::people::People;
use crate::request::{OwnAnswer, OwnRequest};
use crate::throttle::Throttle;
use crate::{admin, cloudtrail, sts};
use std::sync::Arc;
use std::time::Duration;
use trailbox_clock::{Clock, Random};
use trailbox_history::{History, LookupError, Page, Query};

/// How the operations behave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineOptions {
    /// `LookupEvents` calls per second, account and Region; `None` for no
    /// limit. `[limits] lookup_tps`. AWS: 2.
    pub lookup_tps: Option<u32>,
}

/// What an [`Engine`] stands on.
#[derive(Debug)]
pub struct EngineParts {
    /// The event history.
    pub history: Arc<History>,
    /// Principals and keys.
    pub people: Arc<dyn People>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for credentials.
    pub random: Arc<dyn Random>,
    /// Secret of this data directory that paging tokens are authenticated with.
    pub token_key: [u8; 32],
    /// How the operations behave.
    pub options: EngineOptions,
}

/// Answers Trailbox's own operations.
pub struct Engine {
    pub(crate) history: Arc<History>,
    pub(crate) people: Arc<dyn People>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) token_key: [u8; 32],
    pub(crate) lookups: Option<Throttle>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("history", &self.history).finish_non_exhaustive()
    }
}

/// Longest a lookup waits for records that were journalled before it came.
const FRESHNESS_PATIENCE: Duration = Duration::from_secs(1);

impl Engine {
    /// An engine on `parts`.
    #[must_use]
    pub fn new(parts: EngineParts) -> Self {
        let EngineParts { history, people, clock, random, token_key, options } = parts;
        let lookups = options.lookup_tps.map(Throttle::new);
        Self { history, people, clock, random, token_key, lookups }
    }

    /// Answers `request`; a failure is an answer too.
    pub async fn answer(&self, request: OwnRequest) -> OwnAnswer {
        match &*request.service {
            "sts" => sts::answer(self, &request),
            "trailbox" => admin::answer(self, &request).await,
            _ => cloudtrail::answer(self, &request).await,
        }
    }

    /// Waits, not for long, until the history has what was journalled before
    /// the request came.
    ///
    /// A history that is still being opened is no answer: a short list would
    /// look like a whole one. Later lag is only told to the log.
    pub(crate) async fn wait_for(&self, request: &OwnRequest) -> Result<(), ApiError> {
        if !self.history.wait_until_complete(FRESHNESS_PATIENCE).await {
            return Err(ApiError::refused(
                Code::ServiceUnavailable,
                "The event history is being opened. Calls are recorded meanwhile. Try again.",
            ));
        }
        let Some(position) = request.position else { return Ok(()) };
        if !self.history.wait_for(position.sequence, FRESHNESS_PATIENCE).await {
            let indexed = self.history.indexed();
            tracing::warn!(wanted = position.sequence, indexed, "the history lags behind");
        }
        Ok(())
    }

    /// Looks up on a thread that may block.
    pub(crate) async fn lookup(&self, query: Query) -> Result<Page, LookupError> {
        let history = Arc::clone(&self.history);
        let lookup = tokio::task::spawn_blocking(move || history.lookup(&query));
        lookup.await.unwrap_or_else(|err| {
            Err(LookupError::Damaged { file: "lookup".to_owned(), reason: err.to_string() })
        })
    }
}

//! Intents: a call that may change something is written down first.

use super::local::Stop;
use super::prepare::journal_refuses;
use super::reduced::{guarded, minimal};
use super::{Call, Recording};
use crate::config::{Intents, OnFailure};
use crate::connection::Client;
use crate::observe;
use crate::passage::Passage;
use std::sync::Arc;
use tokio::task::JoinHandle;
use trailbox_exchange::Captured;
use trailbox_journal::{AppendError, Frame, FrameKind, Position};

/// Where the intent of a call stands.
#[derive(Debug)]
pub(super) enum Intent {
    /// None is written: the call reads, or config says so, or it is too early.
    None,
    /// On its way to the disk while the body streams.
    Writing(JoinHandle<Result<Position, AppendError>>),
    /// On disk.
    Durable,
    /// The journal did not take it, or late; the record must be tried all the same.
    Failed,
}

impl Intent {
    /// Waits until the intent is durable.
    pub(super) async fn wait(&mut self) -> Result<(), AppendError> {
        let Self::Writing(task) = self else {
            return Ok(());
        };
        // The task neither panics nor is it aborted while the runtime lives.
        let closed = Err(AppendError::Refused(trailbox_journal::Refusal::Closed));
        let outcome = task.await.unwrap_or(closed);
        if outcome.is_ok() {
            metrics::counter!(observe::JOURNALLED).increment(1);
        }
        *self = if outcome.is_ok() { Self::Durable } else { Self::Failed };
        outcome.map(drop)
    }
}

impl Call<'_> {
    /// Starts the intent; waits for it when the whole request is here already.
    pub(super) async fn intend(&mut self, client: &Client, body: &mut Passage) -> Result<(), Stop> {
        let wanted = self.shared.config.recording.intents == Intents::Mutating
            && !self.read_only
            && self.recording == Recording::On;
        if !wanted {
            return Ok(());
        }
        let frame = self.intent_frame(client, body);
        // A streamed body is worth nothing to its upstream before its end, which
        // waits. Any other call might be done from its head alone.
        let streams = self.route.op().is_some_and(|operation| operation.streaming_input);
        if !body.is_done() && streams {
            let journal = Arc::clone(&self.shared.journal);
            self.intent = Intent::Writing(tokio::spawn(async move { journal.append(frame).await }));
            return Ok(());
        }
        let written = self.shared.append("intent", &self.event_id, vec![frame]).await;
        self.intent = if written.is_ok() { Intent::Durable } else { Intent::Failed };
        let refuse =
            self.shared.config.recording.on_failure_of(self.read_only) == OnFailure::Refuse;
        if written.is_err() && refuse { Err(journal_refuses().into()) } else { Ok(()) }
    }

    fn intent_frame(&self, client: &Client, body: &mut Passage) -> Frame {
        let request_body = Captured {
            bytes: bytes::Bytes::copy_from_slice(body.kept()),
            total: body.total(),
            complete: body.is_done() && body.kept_all(),
        };
        let context = self.context(client.tls.as_ref(), None, (body.total(), 0));
        let exchange = trailbox_record::Call {
            facts: &self.shared.facts,
            route: &self.route,
            request: &self.request.head,
            request_body: &request_body,
            response: None,
            context: &context,
            settings: &self.shared.settings,
        };
        let build = || trailbox_record::build_intent(&exchange);
        let record = guarded("intent", &self.event_text(), build)
            .unwrap_or_else(|| minimal(&self.route, &context, self.read_only));
        self.frame(FrameKind::Intent, record)
    }
}

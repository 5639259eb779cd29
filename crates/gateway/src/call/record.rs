//! From a finished exchange to durable frames.

use super::context::uuid_text;
use super::reduced::{guarded, minimal, plain};
use super::{Call, Recording};
use crate::config::{Durability, RESET_PATH};
use crate::connection::Client;
use crate::denial::{is_identity_code, says_nothing};
use crate::observe;
use crate::passage::Passage;
use crate::shared::Shared;
use crate::upstream::Verifies;
use bytes::Bytes;
use std::sync::Arc;
use tokio::time::Instant;
use trailbox_exchange::{Captured, ResponseHead};
use trailbox_identity::{Learned, Trust};
use trailbox_journal::{
    AppendError, DATA, Frame, FrameKind, INSIGHT, MANAGEMENT, NETWORK_ACTIVITY,
};
use trailbox_record::{Answered, Category, Failure, Record};
use trailbox_service_facts::RouteHints;
use trailbox_service_facts::decode::{Tree, decode_error, decode_request, decode_response};

/// An answer, as far as it came.
pub(super) type Answer<'a> = (&'a ResponseHead, &'a mut Passage);

impl Shared {
    /// Appends `frames` side by side and waits until they are durable.
    pub(crate) async fn append(
        &self,
        what: &'static str,
        event_id: &[u8; 16],
        mut frames: Vec<Frame>,
    ) -> Result<(), AppendError> {
        let count = frames.len() as u64;
        let started = Instant::now();
        let outcome = match frames.pop() {
            None => return Ok(()),
            Some(only) if frames.is_empty() => self.journal.append(only).await,
            Some(last) => {
                frames.push(last);
                self.journal.append_all(frames).await
            }
        };
        match outcome {
            Ok(_) => {
                self.meters.journalled.increment(count);
                let seconds = started.elapsed().as_secs_f64();
                self.meters.journal_seconds.record(seconds);
                Ok(())
            }
            Err(error) => {
                let event_id = uuid_text(event_id);
                observe::JournalFailed { event_id: &event_id, what, error: &error }.emit();
                Err(error)
            }
        }
    }
}

impl Call<'_> {
    /// Writes the record of the call, with what was learned from it. Returns
    /// when it is durable, or at once where config says so.
    ///
    /// A journal that fails does not stop the answer: the call was forwarded,
    /// and an error would make its client repeat it.
    pub(super) async fn record(
        &mut self,
        client: &Client,
        body: &mut Passage,
        mut answer: Option<Answer<'_>>,
        failure: Option<Failure>,
    ) {
        let out = answer.as_ref().map_or(0, |(_, body)| body.total());
        self.shared.meters.bytes_in.increment(body.total());
        self.shared.meters.bytes_out.increment(out);
        if !self.is_recorded() {
            self.generation(answer.map(|(head, _)| head.status)).await;
            return;
        }
        let counts = (body.total(), out);
        let request_body = body.captured();
        let response_body = answer.as_mut().map(|(_, body)| body.captured());
        let response = match (&answer, &response_body) {
            (Some((head, _)), Some(body)) => Some(Answered { head, body }),
            _ => None,
        };
        self.settle(response);
        if !self.who.is_proved() {
            metrics::counter!(observe::UNVERIFIED).increment(1);
        }
        self.shared.trusted.count(self.who.caller.trust);

        let context = self.context(client.tls.as_ref(), failure, counts);
        let exchange = trailbox_record::Call {
            facts: &self.shared.facts,
            route: &self.route,
            request: &self.request.head,
            request_body: &request_body,
            response,
            context: &context,
            settings: &self.shared.settings,
        };
        let event_id = self.event_text();
        let record = guarded("record", &event_id, || trailbox_record::build(&exchange))
            .unwrap_or_else(|| minimal(&self.route, &context, self.read_only));
        self.shared.meters.recorded.increment(1);
        if record.undecodable.is_some() {
            let service = self.route.service_name().to_owned();
            metrics::counter!(observe::UNDECODABLE, "service" => service).increment(1);
        }
        let mut records = vec![];
        if self.route.is("s3", "DeleteObjects") {
            let split = || trailbox_record::bulk_delete(&exchange, &record);
            records = guarded("deleted objects", &event_id, split).unwrap_or_default();
        }
        records.insert(0, record);
        let learned = guarded("learned facts", &event_id, || self.learn(response, &request_body));
        let reduced = || {
            let record = minimal(&self.route, &context, self.read_only);
            plain(self.frame(FrameKind::Record, record))
        };
        self.write(records, learned.unwrap_or_default(), &reduced).await;
        if self.listener.is_admin() && !self.read_only && answer.is_some() {
            let directory = self.shared.directory.clone();
            // Fails only when refreshing panicked; the next look makes up for it.
            let _ = tokio::task::spawn_blocking(move || directory.refresh()).await;
        }
    }

    /// Judges the caller by the answer.
    fn settle(&mut self, response: Option<Answered<'_>>) {
        if let Some(Answered { head, body }) = response {
            let read = || decode_error(&self.route, &self.request.head.method, head, &body.bytes);
            let error = guarded("error", &self.event_text(), read).flatten();
            // Without a body the code is guessed from the status: no evidence.
            let said = body.total != 0 || head.headers.contains("x-amzn-errortype");
            let code = error.filter(|_| said).map(|error| error.code);
            let upstream = self.upstream.as_ref();
            self.denied(code.as_deref());
            // Browsers ask with `OPTIONS` before they sign: nobody looks at it.
            // Nor does an upstream look that gets a signature of ours.
            let unsaid = says_nothing(head.status, code.as_deref(), self.is_s3());
            let judge = upstream.filter(|upstream| {
                self.request.head.method != "OPTIONS"
                    && upstream.resign.is_none()
                    && self.takes_a_signature()
                    && !unsaid
            });
            let verifies = judge.map_or(Verifies::No, |upstream| upstream.verifies());
            let said = judge.is_some_and(|upstream| upstream.is_said());
            let vouched = self.who.settle(&verifies, said, head.status, code.as_deref());
            if vouched && std::mem::take(&mut self.paid) {
                self.shared.budget.give_back();
            }
            let checks = self.upstream.as_ref().map(|upstream| upstream.verifies());
            self.federate(head, &body.bytes, matches!(checks, Some(Verifies::Yes { .. })));
        }
        self.seen.account.clone_from(&self.who.caller.account);
        self.seen.region = self.region().to_owned();
    }

    /// Whether whoever answers it looks at the signature: not where the model
    /// says that there need be none, nor at a path that no model explains, such
    /// as a health check.
    fn takes_a_signature(&self) -> bool {
        match self.route.op() {
            Some(operation) => !operation.no_auth,
            None => self.route.is_named(),
        }
    }

    /// Tells that our own key at an upstream is not believed.
    fn denied(&self, code: Option<&str>) {
        let upstream = self.upstream.as_ref().filter(|upstream| upstream.resign.is_some());
        let code = code.filter(|code| is_identity_code(code) && !self.who.is_anonymous());
        if let (Some(upstream), Some(code)) = (upstream, code) {
            let (event_id, upstream) = (&self.event_text(), &upstream.name);
            observe::KeyDenied { upstream, event_id, code }.emit();
        }
    }

    /// Names who came with an assertion instead of a signature: the answer does.
    fn federate(&mut self, head: &ResponseHead, body: &[u8], verifies: bool) {
        let federation = self.route.is("sts", "AssumeRoleWithSAML")
            || self.route.is("sts", "AssumeRoleWithWebIdentity");
        if !federation || !(200..300).contains(&head.status) || !self.is_to_a_service() {
            return;
        }
        let read = || decode_response(&self.route, head, body);
        let Some(Ok(Some(told))) = guarded("answer", &self.event_text(), read) else {
            return;
        };
        let (trust, account) = if verifies {
            (Trust::Upstream, &*self.shared.account)
        } else {
            (Trust::Claimed, self.shared.claimed_account())
        };
        let caller = trailbox_identity::federated_caller(&self.route, &told, account, trust);
        if let Some(caller) = caller {
            self.who.caller = Arc::new(caller);
        }
    }

    /// New keys, sessions and ids that the answer shows.
    fn learn(&self, response: Option<Answered<'_>>, request: &Captured) -> Vec<Learned> {
        let Some(Answered { head, body }) = response else {
            return Vec::new();
        };
        let believed = learnable(self.route.service_name()) && self.is_to_a_service();
        if !believed || !(200..300).contains(&head.status) {
            return Vec::new();
        }
        let asked = decode_request(&self.route, &self.request.head, &request.bytes);
        let told = decode_response(&self.route, head, &body.bytes);
        let (Ok(Some(asked)), Ok(told)) = (asked, told) else {
            return Vec::new();
        };
        // `DeleteAccessKey` teaches something and answers nothing.
        let told = told.unwrap_or(Tree::Null);
        let now = self.shared.clock.now();
        let caller = &self.who.caller;
        trailbox_identity::learn(&self.route, &asked, &told, caller, now, self.event_id)
    }

    /// Whether the answer can be a service's: what stands at a path or in a
    /// bucket, anybody who may write there may have written.
    fn is_to_a_service(&self) -> bool {
        let hints = RouteHints { s3_domains: &self.shared.config.s3_domains, ..Default::default() };
        hints.is_service_root(&self.request.head)
    }

    /// Hands everything to the journal in one batch.
    ///
    /// `reduced`: what is written when the journal cannot hold the record.
    async fn write(
        &self,
        records: Vec<Record>,
        learned: Vec<Learned>,
        reduced: &(impl Fn() -> Frame + Sync),
    ) {
        let mut frames: Vec<Frame> = learned.iter().map(|fact| self.learned_frame(fact)).collect();
        frames.extend(records.into_iter().map(|record| self.frame(FrameKind::Record, record)));
        let late = self.shared.config.recording.durability_of(self.read_only);
        let wait = late == Durability::BeforeAnswer || !learned.is_empty();
        if wait || self.recording == Recording::Impossible {
            self.keep(frames, reduced).await;
        } else {
            for frame in frames {
                self.submit(frame, reduced).await;
            }
        }
        if !learned.is_empty() {
            self.shared.directory.learn(learned);
        }
    }

    /// Waits for the disk. A journal that fails is told of; the answer is
    /// released all the same.
    async fn keep(&self, frames: Vec<Frame>, reduced: &(impl Fn() -> Frame + Sync)) {
        let again = frames.clone();
        let mut outcome = self.shared.append("record", &self.event_id, frames).await;
        if let Err(AppendError::Invalid { .. }) = outcome {
            outcome = self.keep_what_fits(again, reduced).await;
        }
        match outcome {
            // The journal holds a late frame until it can write it.
            Ok(()) | Err(AppendError::Delayed(_)) => {}
            Err(
                error @ (AppendError::Refused(_)
                | AppendError::Invalid { .. }
                | AppendError::Key(_)),
            ) => self.shared.outage.unrecorded(self.arrival, &error),
        }
    }

    /// One by one, after the journal did not take them together: what it cannot
    /// hold is written without its Region, or as the reduced record.
    async fn keep_what_fits(
        &self,
        frames: Vec<Frame>,
        reduced: &(impl Fn() -> Frame + Sync),
    ) -> Result<(), AppendError> {
        let mut outcome = Ok(());
        for frame in frames {
            let main = frame.kind == FrameKind::Record && frame.event_id == self.event_id;
            let mut kept = self.shared.append("record", &self.event_id, vec![plain(frame)]).await;
            if main && matches!(kept, Err(AppendError::Invalid { .. })) {
                kept = self.shared.append("record", &self.event_id, vec![reduced()]).await;
            }
            outcome = outcome.and(kept);
        }
        outcome
    }

    /// Queues a frame without waiting for the disk; a full queue makes it wait.
    async fn submit(&self, frame: Frame, reduced: &(impl Fn() -> Frame + Sync)) {
        if self.shared.journal.submit(frame.clone()).is_err() {
            self.keep(vec![frame], reduced).await;
        } else {
            self.shared.meters.journalled.increment(1);
        }
    }

    /// A finished record as a frame.
    pub(super) fn frame(&self, kind: FrameKind, record: Record) -> Frame {
        Frame {
            kind,
            category: match record.category {
                Category::Management => MANAGEMENT,
                Category::Data => DATA,
                Category::Insight => INSIGHT,
                Category::NetworkActivity => NETWORK_ACTIVITY,
            },
            read_only: record.read_only,
            event_id: record.event_id,
            arrival: self.arrival,
            extension: self.extension(),
            account: record.account,
            region: record.region,
            payload: record.json,
        }
    }

    fn learned_frame(&self, fact: &Learned) -> Frame {
        self.bare_frame(FrameKind::Learned, fact.to_bytes().into())
    }

    /// A frame of the call's account that is no record.
    fn bare_frame(&self, kind: FrameKind, payload: Bytes) -> Frame {
        Frame {
            kind,
            account: self.who.caller.account.clone(),
            region: self.region().to_owned(),
            category: MANAGEMENT,
            read_only: self.read_only,
            event_id: self.event_id,
            arrival: self.arrival,
            extension: self.extension(),
            payload,
        }
    }

    /// `POST /moto-api/reset` in test mode begins a new generation: nothing is
    /// deleted, but what came before is told apart.
    async fn generation(&mut self, status: Option<u16>) {
        let reset = self.request.head.method == "POST"
            && self.request.head.path() == RESET_PATH
            && status.is_some_and(|status| status < 300);
        if !reset || !self.shared.is_test() {
            return;
        }
        let mut frame = self.bare_frame(FrameKind::Generation, Bytes::from_static(b"{}"));
        frame.account.clone_from(&self.shared.account);
        // Told by `append`.
        let _ = self.shared.append("generation", &self.event_id, vec![frame]).await;
    }
}

/// Services whose answers show keys, sessions or ids.
fn learnable(service: &str) -> bool {
    matches!(service, "sts" | "iam")
}

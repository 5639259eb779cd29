//! To the upstream and back.

use super::Call;
use super::local::Stop;
use super::pace::Pace;
use super::prepare::journal_refuses;
use super::relay::{Incoming, Relayed, Terms, Trouble, relay};
use super::resign::Outgoing;
use super::send::{Gate, SendError, Sending, Sent, send};
use crate::answer::Refusal;
use crate::config::OnFailure;
use crate::connection::{After, Client};
use crate::engine;
use crate::io::{Inbound, Outbound, PeerError, join, part};
use crate::observe;
use crate::passage::Passage;
use crate::upstream::{ConnectError, Upstream};
use crate::wire::Framing;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use trailbox_record::Failure;

impl Call<'_> {
    /// Forwards the call, records it, and releases its answer.
    pub(super) async fn forward(mut self, client: &mut Client, mut body: Passage) -> After {
        let Some(upstream) = self.upstream.clone() else {
            return After::Close;
        };
        let leased = if self.request.upgrade {
            upstream.pool.lease_http1().await
        } else {
            upstream.pool.lease().await
        };
        let lease = match leased {
            Ok(lease) => lease,
            Err(error) => {
                upstream.doubt();
                self.report(&upstream, false, false, &error);
                let stop = Stop::Refused(unreachable(&upstream, &error));
                return self.stop(client, body, stop).await;
            }
        };
        let (reused, fate) = (lease.reused, lease.fate);
        let (mut up_in, mut up_out) = part(lease.io, self.shared.config.limits.stall_timeout);
        let mut relayed = self.exchange(client, &mut body, &mut up_in, &mut up_out).await;
        if let Some(fault) = fate.as_ref().and_then(|fate| fate.fault()) {
            relayed.blame(fault);
        }
        let waited = relayed.waited;
        if let Some(Trouble::Upstream(error) | Trouble::Broken(error)) = &relayed.trouble {
            self.report(&upstream, relayed.sent, reused, error);
        }
        let (shared, started) = (self.shared, self.started);
        let after = match relayed.answer {
            None => {
                drop((up_in, up_out));
                let stop = self.no_answer(relayed.trouble, relayed.sent);
                self.stop(client, body, stop).await
            }
            Some(_) => self.answered(client, body, relayed, (up_in, up_out), &upstream).await,
        };
        let added = started.elapsed().saturating_sub(waited).as_secs_f64();
        shared.meters.added_seconds.record(added);
        let name = upstream.name.clone();
        metrics::histogram!(observe::UPSTREAM_SECONDS, "upstream" => name)
            .record(waited.as_secs_f64());
        after
    }

    /// Sends the request and brings back all of the answer but its end.
    async fn exchange(
        &mut self,
        client: &mut Client,
        body: &mut Passage,
        up_in: &mut Inbound,
        up_out: &mut Outbound,
    ) -> Relayed {
        let mut outgoing = self.outgoing();
        let (terms, pace) = (self.terms(), self.pace());
        let pause = Notify::new();
        let gate = self.gate();
        let Client { inbound, outbound, .. } = client;
        let patience = (terms.stall_timeout, pace);
        let sending = send(&mut outgoing, inbound, up_out, body, gate, patience, &pause);
        let relayed = relay(Sending::new(sending, &pause), up_in, outbound, &terms).await;
        self.outgoing = Some(outgoing);
        relayed
    }

    /// What must hold before the end of the request is released.
    pub(super) fn gate(&mut self) -> Gate<'_> {
        Gate {
            forward_anyway: self.forwards_anyway(),
            who: &mut self.who,
            head: &self.request.head,
            route: &self.route,
            intent: &mut self.intent,
            clock: &*self.shared.clock,
        }
    }

    /// Whether a call that cannot be recorded passes all the same.
    pub(super) fn forwards_anyway(&self) -> bool {
        self.shared.config.recording.on_failure_of(self.read_only) == OnFailure::Forward
    }

    /// The request as it came, or signed anew; the engine is told who calls.
    fn outgoing(&mut self) -> Outgoing {
        let anew = self.outgoing.take();
        anew.unwrap_or_else(|| Outgoing { head: self.head_to_send(), rewrite: None })
    }

    fn head_to_send(&self) -> bytes::Bytes {
        let own = self.upstream.as_ref().is_some_and(|upstream| upstream.engine);
        if !own {
            return self.request.raw.clone();
        }
        let told = engine::Told {
            service: match self.route.service_name() {
                "" => self.route.scope_service.as_deref().unwrap_or_default(),
                name => name,
            },
            operation: self.route.operation_name(),
            caller: &self.who.caller,
            region: self.region(),
            request_id: &self.request_id,
            position: self.shared.journal.durable(),
            calls: &self.shared.trusted.text(),
        };
        engine::head(&self.request.raw, &told).into()
    }

    /// The least pace of the body. Whoever sends events may have none to send.
    fn pace(&self) -> Pace {
        let events = self.route.op().is_some_and(|operation| operation.event_stream);
        let least = self.shared.config.limits.body_bytes_per_second_min;
        Pace::new(if events || self.request.upgrade { 0 } else { least })
    }

    fn terms(&self) -> Terms {
        let limits = &self.shared.config.limits;
        Terms {
            limits: self.shared.head_limits,
            to_head: self.request.head.method == "HEAD",
            said_continue: self.taken.said_continue,
            response_timeout: limits.response_timeout,
            stall_timeout: limits.stall_timeout,
            caps: (self.plan.response_cap, self.plan.response_on_error_cap),
            // A plain object is no stream of events, whatever else the model says.
            event_stream: self.route.op().is_some_and(|operation| {
                operation.event_stream && !operation.streaming_input && !operation.streaming_output
            }),
            upgrade: self.request.upgrade,
        }
    }

    /// Records an answered call and releases what was held of the answer.
    async fn answered(
        &mut self,
        client: &mut Client,
        mut body: Passage,
        relayed: Relayed,
        (mut up_in, mut up_out): (Inbound, Outbound),
        upstream: &Upstream,
    ) -> After {
        let Relayed { answer, trouble, mut sent, paused, .. } = relayed;
        let Some(mut answer) = answer else {
            return After::Close;
        };
        let failure = match &trouble {
            Some(Trouble::Sending(error)) => sending_failure(error),
            Some(Trouble::Upstream(_) | Trouble::Broken(_)) | None => None,
        };
        // Resolve the intent after itself, whatever became of the sending.
        let _ = self.intent.wait().await;
        let told = Some((&answer.head.head, &mut answer.body));
        self.record(client, &mut body, told, failure).await;

        let switched = answer.head.head.status == 101;
        // HTTP is not left in the middle of a request.
        let mut broken = trouble.is_some() || (switched && !sent);
        if answer.stream && !broken {
            let sides = (&mut up_in, &mut up_out);
            let streamed = self.stream(client, &mut body, &mut answer, sides, paused).await;
            broken = streamed.is_err();
            sent = sent || (paused && streamed == Ok(Sent::Whole));
        } else if !broken {
            answer.release(&mut up_in, &mut client.outbound).await;
        }
        if switched {
            return After::Close;
        }
        let whole = answer.body.may_end_here() && !broken;
        self.give_back(&answer, whole && sent, (up_in, up_out), upstream).await;
        self.after(&answer, whole, sent)
    }

    /// Returns the connection to the pool, if both sides can go on with it.
    async fn give_back(
        &self,
        answer: &Incoming,
        clean: bool,
        (up_in, mut up_out): (Inbound, Outbound),
        upstream: &Upstream,
    ) {
        let reusable = clean
            && answer.body.is_done()
            && answer.head.keep_alive
            && self.request.keep_alive
            && up_in.buffer.is_empty();
        if reusable {
            let kept = answer.head.head.headers.get("keep-alive").and_then(peer_timeout);
            upstream.pool.give_back(join(up_in, up_out), kept);
        } else {
            up_out.shutdown().await;
        }
    }

    fn after(&self, answer: &Incoming, whole: bool, sent: bool) -> After {
        let until_close = answer.head.framing == Framing::UntilClose;
        if answer.client_gone || (!whole && until_close) {
            After::Cut
        } else if whole && sent && answer.head.keep_alive && self.request.keep_alive {
            After::Keep
        } else {
            After::Close
        }
    }

    /// What a call that got no answer is told, and what its record says.
    fn no_answer(&mut self, trouble: Option<Trouble>, sent: bool) -> Stop {
        match trouble {
            Some(Trouble::Sending(SendError::Client(error))) => Stop::client(error),
            Some(Trouble::Sending(SendError::Refused(refusal))) => refusal.into(),
            Some(Trouble::Sending(SendError::Intent(error))) => {
                let event_id = self.event_text();
                observe::JournalFailed { event_id: &event_id, what: "intent", error: &error }
                    .emit();
                journal_refuses().into()
            }
            Some(
                Trouble::Sending(SendError::Upstream(error))
                | Trouble::Upstream(error)
                | Trouble::Broken(error),
            ) => {
                let unknown = sent && !self.read_only;
                let slow = matches!(error, PeerError::Stalled(_));
                upstream_failed(&error.to_string(), slow, unknown).into()
            }
            None => upstream_failed("no answer", false, sent && !self.read_only).into(),
        }
    }

    fn report(
        &self,
        upstream: &Arc<Upstream>,
        forwarded: bool,
        reused: bool,
        error: &dyn std::error::Error,
    ) {
        let event_id = self.event_text();
        let upstream = &upstream.name;
        observe::UpstreamFailed { upstream, event_id: &event_id, forwarded, reused, error }.emit();
    }
}

/// What a request that broke off adds to the answer that came all the same.
fn sending_failure(error: &SendError) -> Option<Failure> {
    match error {
        SendError::Refused(refusal) => {
            Some(Failure { code: refusal.code.clone(), message: refusal.message.clone() })
        }
        // The upstream's early answer says what became of the call.
        SendError::Client(_) | SendError::Upstream(_) | SendError::Intent(_) => None,
    }
}

/// Nobody accepted a connection: nothing was sent.
fn unreachable(upstream: &Upstream, error: &ConnectError) -> Refusal {
    if upstream.engine {
        let text = "Trailbox's engine is not there at the moment; recording goes on";
        return Refusal::new("engine-down", 503, "ServiceUnavailable", text);
    }
    match error {
        ConnectError::Refused(_) => {
            let text = format!("upstream `{}` cannot be reached", upstream.name);
            Refusal::new("upstream-down", 502, "Trailbox.UpstreamUnavailable", text)
        }
        ConnectError::Timeout(patience) => {
            let seconds = patience.as_secs_f32();
            let text = format!(
                "upstream `{}` did not accept a connection within {seconds} s",
                upstream.name
            );
            Refusal::new("upstream-down", 504, "Trailbox.UpstreamTimeout", text)
        }
    }
}

/// A connection was there, an answer was not. `unknown`: the whole request was
/// sent, so a change may have happened.
fn upstream_failed(error: &str, slow: bool, unknown: bool) -> Refusal {
    let (status, code) = if slow {
        (504, "Trailbox.UpstreamTimeout")
    } else {
        (502, "Trailbox.UpstreamUnavailable")
    };
    if unknown {
        let text =
            format!("the request was sent and no answer came; it may have been done: {error}");
        return Refusal::new("upstream-lost", status, "Trailbox.OutcomeUnknown", text);
    }
    Refusal::new("upstream-lost", status, code, format!("the upstream did not answer: {error}"))
}

/// The `timeout` of a `Keep-Alive` field: seconds.
fn peer_timeout(text: &str) -> Option<Duration> {
    text.split(',')
        .find_map(|part| part.trim().strip_prefix("timeout="))
        .and_then(|seconds| seconds.parse().ok())
        .map(Duration::from_secs)
}

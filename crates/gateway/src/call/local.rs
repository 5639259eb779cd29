//! Calls that end here: refused, or left by their client.

use super::{Call, Recording};
use crate::answer::{Envelope, Refusal, Shape, render};
use crate::connection::{After, Client};
use crate::cut::is_cut;
use crate::io::PeerError;
use crate::observe;
use crate::passage::Passage;
use trailbox_record::Failure;

/// Why a call is not forwarded, or not to its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// It is answered here, and recorded.
    Refused(Refusal),
    /// It is answered here; the journal is the reason, or the budget for it.
    Unrecorded(Refusal),
    /// The client is gone; there is nobody to answer.
    Gone(Failure),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Stop {
    /// What it means that the client's side failed within the request.
    pub(super) fn client(error: PeerError) -> Self {
        match error {
            PeerError::Gone(error) if is_cut(&error) => {
                let text =
                    "Trailbox stops; the request was not whole, and its end was not forwarded";
                Refusal::new("stopping", 503, "ServiceUnavailable", text).into()
            }
            PeerError::Gone(_) => Self::Gone(Failure {
                code: "Trailbox.ClientDisconnected".to_owned(),
                message: "the client vanished before its request was whole; \
                          the rest was not forwarded"
                    .to_owned(),
            }),
            PeerError::Stalled(patience) => {
                let text = format!("nothing came for {} seconds", patience.as_secs());
                Refusal::new("stalled-body", 408, "RequestTimeout", text).into()
            }
            error @ PeerError::Slow { .. } => {
                Refusal::new("slow-body", 408, "RequestTimeout", error.to_string()).into()
            }
            PeerError::Head(error) => bad_body(&error),
            PeerError::Framing(error) => bad_body(&error),
        }
    }
}

fn bad_body(error: &dyn std::fmt::Display) -> Stop {
    Refusal::new("malformed-body", 400, "MalformedRequestBody", error.to_string()).into()
}

impl Shape {
    /// Whether request ids look like S3's.
    pub(crate) fn is_s3(self) -> bool {
        self == Self::S3
    }
}

impl Call<'_> {
    /// Ends a call before any of its answer was sent: recorded first, told then.
    pub(super) async fn stop(
        mut self,
        client: &mut Client,
        mut body: Passage,
        stop: Stop,
    ) -> After {
        let (refusal, failure) = match stop {
            Stop::Refused(refusal) => {
                let failure =
                    Failure { code: refusal.code.clone(), message: refusal.message.clone() };
                (Some(refusal), Some(failure))
            }
            Stop::Unrecorded(refusal) => (Some(refusal), None),
            Stop::Gone(failure) => (None, Some(failure)),
        };
        if let Some(refusal) = &refusal {
            observe::CallRefused {
                event_id: &self.event_text(),
                source: &self.route.event_source,
                name: &self.route.event_name,
                reason: refusal.reason,
                code: &refusal.code,
            }
            .emit();
        }
        let whole = body.is_done();
        // A request that was read to its end is taken out of the way.
        let _ = client.inbound.buffer.split_to(body.ready());
        body.forwarded(body.ready());
        if let Some(failure) = failure {
            // It may be an intent's only way to be resolved: wait for that first.
            let _ = self.intent.wait().await;
            self.record(client, &mut body, None, Some(failure)).await;
        }
        match refusal {
            None => After::Close,
            Some(refusal) => self.tell(client, &refusal, whole).await,
        }
    }

    /// Sends an answer of our own.
    async fn tell(&self, client: &mut Client, refusal: &Refusal, whole: bool) -> After {
        let keep =
            whole && self.request.keep_alive && !self.request.upgrade && !client.is_draining();
        let envelope = Envelope {
            shape: Shape::of(&self.route),
            request: Some(&self.request.head),
            request_id: &self.request_id,
            now: self.shared.clock.now(),
            close: !keep,
        };
        match client.outbound.write(&render(refusal, &envelope), &[]).await {
            Ok(()) if keep => After::Keep,
            Ok(()) | Err(_) => After::Close,
        }
    }

    /// Whether it leaves a record, if anything does.
    pub(super) fn is_recorded(&self) -> bool {
        self.recording != Recording::Configured
    }
}

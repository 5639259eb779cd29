//! Before a call is forwarded: what it is, who answers it, whether it may pass.

use super::local::Stop;
use super::{Call, Recording, own_api};
use crate::answer::Refusal;
use crate::config::OnFailure;
use crate::connection::Client;
use crate::io::READ_BYTES;
use crate::observe;
use crate::passage::Passage;
use crate::settings::{Callers, ListenerSettings};
use crate::shared::Shared;
use crate::upstream::Nobody;
use crate::wire::{Framing, RequestIn};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use trailbox_exchange::RequestHead;
use trailbox_journal::Admission;
use trailbox_service_facts::{Protocol, Route, RouteHints};

/// Most bytes of a form that are read to route it.
const FORM_MAX: usize = 4 << 20;
/// Bodies up to here are read before the head is sent on: one write, and a
/// signature over the body is proved before anything is forwarded.
const SMALL_BODY: u64 = 64 * 1024;
/// Most bytes of a body to one of our own operations. It is read whole: the
/// caller must be proved before the engine hears of the call.
const OWN_BODY_MAX: usize = 4 << 20;
/// Chunk framing may make a body larger than its payload, so much is borne.
const FRAMING_SLACK: usize = 64 * 1024;

/// Whether the operation stands in the body.
pub(super) fn is_form(head: &RequestHead) -> bool {
    const FORM: &[u8] = b"x-www-form-urlencoded";
    // Any field of the name, readable or not: some server will take it for one.
    head.headers.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case(b"content-type")
            && value.windows(FORM.len()).any(|part| part.eq_ignore_ascii_case(FORM))
    })
}

/// Whether the operation of such a call stands in a form.
pub(super) fn is_said_in_forms(route: &Route) -> bool {
    matches!(route.protocol, Protocol::Query | Protocol::Ec2)
}

/// Room taken at once, in bytes: whoever says that much more will come holds
/// nobody up until it does.
const ROOM_STEP: u64 = 9 << 20;

/// A body that is held must be there after so many of the longest pauses.
const BUFFER_STALLS: u32 = 4;

/// What taking a body in before its call is forwarded has cost.
#[derive(Debug, Default)]
pub(super) struct TakenIn {
    /// We said `100 Continue` ourselves; the upstream's is swallowed.
    pub(super) said_continue: bool,
    /// Room for the body in memory, given back when the call ends.
    room: Option<OwnedSemaphorePermit>,
}

/// Reads a form body as far as routing needs it.
pub(super) async fn form(
    shared: &Shared,
    client: &mut Client,
    request: &RequestIn,
    body: &mut Passage,
) -> (Result<(), Stop>, TakenIn) {
    let mut taken = TakenIn::default();
    let tunnel = request.head.method == "CONNECT";
    if !is_form(&request.head) || request.framing == Framing::Length(0) || tunnel {
        return (Ok(()), taken);
    }
    body.keep(FORM_MAX);
    let read = buffer(shared, client, request, body, FORM_MAX, &mut taken).await;
    (read, taken)
}

/// Which operation it is.
pub(super) fn route(
    shared: &Shared,
    listener: &ListenerSettings,
    head: &RequestHead,
    form: Option<&[u8]>,
) -> Route {
    let hints = RouteHints {
        default_service: listener.default_service.as_deref(),
        s3_domains: &shared.config.s3_domains,
        flavour: shared.answerers.flavour,
    };
    let mut route = shared.facts.route(head, form, &hints);
    own_api::name(&mut route, head);
    route
}

/// Whether config lets the path pass unrecorded.
///
/// Only unsigned requests do: the same path, signed, is somebody's call on a
/// bucket of that name.
pub(super) fn recording(
    shared: &Shared,
    head: &RequestHead,
    listener: &ListenerSettings,
    unsigned: bool,
) -> Recording {
    let listed = shared.config.recording.is_unrecorded(head.path(), shared.is_test());
    if listed && unsigned && !listener.is_admin() { Recording::Configured } else { Recording::On }
}

/// Reads the body into the client's buffer until it is whole or holds `most`
/// bytes of payload. Nothing is forwarded.
async fn buffer(
    shared: &Shared,
    client: &mut Client,
    request: &RequestIn,
    body: &mut Passage,
    most: usize,
    taken: &mut TakenIn,
) -> Result<(), Stop> {
    body.scan(&client.inbound.buffer).map_err(|error| Stop::client(error.into()))?;
    if body.is_done() {
        return Ok(());
    }
    let raw_most = most.saturating_mul(2) + FRAMING_SLACK;
    let expected = match request.framing {
        Framing::Length(length) => length.min(most as u64),
        Framing::Chunked | Framing::UntilClose => raw_most as u64,
    };
    let limits = &shared.config.limits;
    let mut room = expected.min(ROOM_STEP);
    hold_room(shared, room, taken).await?;
    if request.expects_continue && !taken.said_continue {
        taken.said_continue = true;
        let line = b"HTTP/1.1 100 Continue\r\n\r\n";
        client.outbound.write(line, &[]).await.map_err(Stop::client)?;
    }
    let end = Instant::now() + limits.stall_timeout * BUFFER_STALLS;
    while !body.is_done() && body.total() < most as u64 && body.ready() < raw_most {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let text = "the body comes too slowly to be held for so long";
            return Err(Refusal::new("slow-body", 408, "RequestTimeout", text).into());
        }
        if room < expected && room < (body.ready() + READ_BYTES) as u64 {
            room = room.saturating_mul(2).min(expected);
            hold_room(shared, room, taken).await?;
        }
        let patience = limits.stall_timeout.min(left);
        if client.inbound.fill(patience).await.map_err(Stop::client)? == 0 {
            return Err(Stop::client(crate::io::PeerError::early_end()));
        }
        body.scan(&client.inbound.buffer).map_err(|error| Stop::client(error.into()))?;
    }
    Ok(())
}

/// Waits for room in memory; small bodies need none.
async fn hold_room(shared: &Shared, bytes: u64, taken: &mut TakenIn) -> Result<(), Stop> {
    if bytes <= SMALL_BODY {
        return Ok(());
    }
    let waiting = shared.room_for(bytes, &mut taken.room);
    let patience = shared.config.limits.stall_timeout / 4;
    if tokio::time::timeout(patience, waiting).await.is_err() {
        let text = "too many bodies are held in memory; slow down";
        return Err(Refusal::new("no-room", 503, "SlowDown", text).into());
    }
    Ok(())
}

impl Call<'_> {
    /// Everything that can stop a call before a byte of it is forwarded.
    pub(super) async fn prepare(
        &mut self,
        client: &mut Client,
        body: &mut Passage,
    ) -> Result<(), Stop> {
        let chosen = self.choose();
        let own = self.upstream.as_ref().is_some_and(|upstream| upstream.engine);
        if own && self.recording == Recording::Configured {
            self.recording = Recording::On;
        }
        if self.recording == Recording::Configured {
            metrics::counter!(observe::UNRECORDED, "reason" => "configured").increment(1);
            chosen?;
            self.may_upgrade()?;
            return self.sign_anew(&client.inbound.buffer, body);
        }
        let (judge, known) = (self.judge(), self.listener.callers == Callers::Known);
        let refusal = self
            .cannot_be_signed_anew()
            .or_else(|| self.who.refusal(self.shared, &self.route, judge))
            .or_else(|| if known { self.who.stranger(&self.route) } else { None });
        self.admit()?;
        chosen?;
        self.may_upgrade()?;
        if let Some(refusal) = refusal {
            return Err(refusal.into());
        }
        self.take_in(client, body).await?;
        if body.is_done() {
            let now = self.shared.clock.now();
            self.who.prove_body(&self.request.head, &self.route, body, now)?;
        }
        self.sign_anew(&client.inbound.buffer, body)?;
        self.intend(client, body).await
    }

    /// Another protocol is its upstream's to agree to; our own services speak none,
    /// and nobody is tunnelled to.
    fn may_upgrade(&self) -> Result<(), Stop> {
        if !self.request.upgrade {
            return Ok(());
        }
        let head = &self.request.head;
        let mut fields =
            head.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"upgrade"));
        let only = fields.next().map(|(_, value)| value).filter(|_| fields.next().is_none());
        let own = self.upstream.as_ref().is_some_and(|upstream| upstream.engine);
        let websocket =
            only.is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"));
        if head.method != "CONNECT" && !own && websocket {
            return Ok(());
        }
        // Another protocol could carry calls that nobody would record.
        let text = "connections can be upgraded to `websocket` only, by one `Upgrade` field; \
                    HTTP/2 begins with its preface or is agreed on within TLS";
        Err(Refusal::new("upgrade", 501, "NotImplemented", text).into())
    }

    /// Who answers.
    fn choose(&mut self) -> Result<(), Stop> {
        let upstream = self
            .shared
            .answerers
            .pick(&self.route, &self.listener, self.target.as_deref())
            .map_err(nobody)?;
        self.upstream = Some(upstream);
        self.seen.region = self.region().to_owned();
        Ok(())
    }

    /// Whether the journal takes it, and the budget of unverified callers.
    ///
    /// Asked before anything is refused for another reason: a refusal is a
    /// record too, and nobody may fill the journal with them.
    pub(super) fn admit(&mut self) -> Result<(), Stop> {
        if !self.who.is_proved() && !self.shared.is_test() {
            if !self.shared.budget.take() {
                let text = "too many calls of callers nobody vouches for; slow down";
                let refusal = Refusal::new("unverified-budget", 503, "SlowDown", text);
                return Err(Stop::Unrecorded(refusal));
            }
            self.paid = true;
        }
        let Admission::Refusing { reason } = self.shared.journal.admission() else {
            return Ok(());
        };
        match self.shared.config.recording.on_failure_of(self.read_only) {
            OnFailure::Refuse => {
                self.shared.outage.refused(self.arrival, &reason);
                Err(Stop::Unrecorded(journal_refuses()))
            }
            OnFailure::Forward => {
                self.recording = Recording::Impossible;
                observe::PassedUnrecorded {
                    event_id: &self.event_text(),
                    name: &self.route.event_name,
                    reason: &reason.to_string(),
                }
                .emit();
                Ok(())
            }
        }
    }

    /// Reads the body first, where it is needed or small.
    async fn take_in(&mut self, client: &mut Client, body: &mut Passage) -> Result<(), Stop> {
        let expects = self.request.expects_continue;
        let small = match self.request.framing {
            Framing::Length(length) => length <= SMALL_BODY && !expects,
            Framing::Chunked | Framing::UntilClose => false,
        };
        let own = self.upstream.as_ref().is_some_and(|upstream| upstream.engine)
            && self.route.service_name() != "s3";
        let whole = if own { Some(OWN_BODY_MAX) } else { self.whole_body_max() };
        let most = if let Some(most) = whole {
            most
        } else if self.plan.request_required {
            self.plan.request_cap
        } else if small {
            usize::try_from(SMALL_BODY).unwrap_or(usize::MAX)
        } else {
            return body.scan(&client.inbound.buffer).map_err(|error| Stop::client(error.into()));
        };
        let Self { shared, request, taken, .. } = self;
        let too_long = matches!(request.framing, Framing::Length(length) if length > most as u64);
        if whole.is_none() || !too_long {
            buffer(shared, client, request, body, most, taken).await?;
        }
        if whole.is_some() && (!body.is_done() || (most as u64) < body.total()) {
            let text = if own {
                format!("the body has more than {most} bytes")
            } else {
                format!(
                    "the body has more than {most} bytes, too many for a signature that does not \
                     say its hash; send x-amz-content-sha256"
                )
            };
            return Err(Refusal::new("body-size", 413, "RequestEntityTooLarge", text).into());
        }
        Ok(())
    }
}

/// The journal cannot write, and the call was not forwarded.
pub(super) fn journal_refuses() -> Refusal {
    let text = "the call was not forwarded: it cannot be recorded now";
    Refusal::new("journal", 503, "ServiceUnavailable", text)
}

fn nobody(nobody: Nobody) -> Stop {
    match nobody {
        Nobody::Unmapped { service } => {
            let text = format!(
                "nobody answers `{service}` here; map it with `--upstream {service}=URL` or set \
                 a default with `--upstream URL`"
            );
            Refusal::new("no-upstream", 501, "Trailbox.NoUpstream", text).into()
        }
        Nobody::Origin { reason } => {
            let text = format!("the host that was named cannot be used: {reason}");
            Refusal::new("origin", 502, "Trailbox.UpstreamUnavailable", text).into()
        }
        Nobody::AdminOnly => {
            let text = "Trailbox's own API is served on the admin listener only";
            Refusal::new("admin-only", 403, "AccessDenied", text).into()
        }
        Nobody::AwsOnly => {
            let text = "this is the admin listener; AWS services are served on the other one";
            Stop::Unrecorded(Refusal::new("aws-only", 404, "NotFound", text))
        }
    }
}

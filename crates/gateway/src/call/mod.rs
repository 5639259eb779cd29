//! The life of one call (ARCHITECTURE.md): routed, identified, admitted, intended,
//! forwarded, recorded, journalled, answered.
//!
//! Start reading at [`serve`]. A connection that drops does not cancel a call:
//! reading and writing fail with a value, and the call goes on to its record.

mod context;
mod forward;
mod intent;
mod local;
mod own_api;
mod pace;
mod prepare;
mod record;
mod reduced;
mod relay;
mod resign;
mod rewrite;
mod send;
mod stream;

pub(crate) use context::new_request_id;
pub(crate) use reduced::plain;

use crate::connection::{After, Client};
use crate::forward_proxy::Target;
use crate::passage::Passage;
use crate::seen::SeenCall;
use crate::settings::ListenerSettings;
use crate::shared::Shared;
use crate::source;
use crate::upstream::Upstream;
use crate::who::{self, Who};
use crate::wire::RequestIn;
use intent::Intent;
use prepare::TakenIn;
use resign::Outgoing;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::time::Instant;
use trailbox_clock::Micros;
use trailbox_record::CapturePlan;
use trailbox_service_facts::{Route, read_only};
use trailbox_sigv4::Claim;

/// What is known of a call that is under way.
#[derive(Debug)]
pub(crate) struct Call<'g> {
    shared: &'g Shared,
    /// Which listener it came in by.
    listener: Arc<ListenerSettings>,
    /// The host it is bound for, when its client uses us as its proxy.
    target: Option<Arc<Target>>,
    request: RequestIn,
    route: Route,
    read_only: bool,
    plan: CapturePlan,
    who: Who,
    /// Drawn at arrival; the intent and the record share it.
    event_id: [u8; 16],
    arrival: Micros,
    source: IpAddr,
    /// The service principal config sees in the caller.
    principal: Option<String>,
    /// Stands in when the answer names none.
    request_id: String,
    /// Who answers, once that is decided.
    upstream: Option<Arc<Upstream>>,
    seen: SeenCall<'g>,
    intent: Intent,
    recording: Recording,
    /// It took from the budget of unverified callers.
    paid: bool,
    taken: TakenIn,
    /// What is sent instead of the request as it came, once that is decided.
    outgoing: Option<Outgoing>,
    started: Instant,
}

/// Whether a call leaves a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recording {
    /// It does.
    On,
    /// Config says that its path passes unrecorded.
    Configured,
    /// The journal cannot take it, and config says that it passes.
    Impossible,
}

/// Serves one request, from its head to the end of its answer.
pub(crate) async fn serve(shared: &Shared, client: &mut Client, request: RequestIn) -> After {
    let started = Instant::now();
    let arrival = shared.clock.now();
    let config = &shared.config;
    let listener = Arc::clone(&client.listener);
    let source = source::source_address(&request.head, client.peer, &listener.trusted_proxies);
    let principal = source::service_principal(&config.service_principals, &request.head, source);
    let claim = trailbox_sigv4::claim(&request.head);
    let unsigned = matches!(claim, Claim::Anonymous);
    let mut who = who::look_up(shared, &request.head, claim, principal, arrival);

    let mut body = Passage::new(request.framing, 0);
    who.watch(&mut body);
    let (intake, taken) = prepare::form(shared, client, &request, &mut body).await;
    let form = prepare::is_form(&request.head).then(|| body.kept());
    let mut route = prepare::route(shared, &listener, &request.head, form);
    if form.is_some() && !body.is_done() && prepare::is_said_in_forms(&route) {
        // What the rest of the form says of the operation, the upstream will know.
        route.unname();
    }
    who.routed(shared, &route);

    let read_only = own_api::read_only(&route)
        .unwrap_or_else(|| read_only(&shared.facts, &route, &request.head.method));
    let plan = trailbox_record::capture_plan(&shared.facts, &route, read_only);
    body.keep(plan.request_cap);
    let seen = shared.seen.arrival(&who.caller.account, &config.region);
    let mut call = Call {
        shared,
        read_only,
        plan,
        event_id: shared.random.uuid(),
        arrival,
        source,
        principal: principal.map(str::to_owned),
        request_id: new_request_id(shared, crate::answer::Shape::of(&route).is_s3()),
        upstream: None,
        seen,
        intent: Intent::None,
        recording: prepare::recording(shared, &request.head, &listener, unsigned),
        paid: false,
        taken,
        outgoing: None,
        listener,
        target: client.target.clone(),
        started,
        request,
        route,
        who,
    };
    let ready = match intake {
        Ok(()) => call.prepare(client, &mut body).await,
        Err(stop) => Err(call.admit().err().unwrap_or(stop)),
    };
    match ready {
        Ok(()) => call.forward(client, body).await,
        Err(stop) => call.stop(client, body, stop).await,
    }
}

//! How long one record takes: decode, build, serialise, per call on one core.
//!
//! Plays the shared vectors (`TRAILBOX_SHARED`, else `../shared`), or one call
//! of its own where they are not at hand, and prints the median over them.
//! Source of the goal (15 µs): the issue of the recorder, "Speed".

#![allow(clippy::print_stdout, reason = "a benchmark's answer")]

use base64::Engine as _;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use trailbox_exchange::{Captured, Headers, RequestHead, ResponseHead};
use trailbox_record::{Answered, Call, CallContext, RecordSettings};
use trailbox_service_facts::{Facts, RouteHints};

/// Rounds per exchange; the fastest third of them is kept.
const ROUNDS: usize = 300;

struct Exchange {
    name: String,
    request: RequestHead,
    request_body: Captured,
    response: ResponseHead,
    response_body: Captured,
}

fn main() {
    let facts = Facts::embedded();
    let exchanges = exchanges();
    let mut medians: Vec<(Duration, &str)> = exchanges
        .iter()
        .map(|exchange| (median(&facts, exchange), exchange.name.as_str()))
        .collect();
    medians.sort();
    let at = |share: usize| medians[(medians.len() - 1) * share / 100];
    println!("{} exchanges, {ROUNDS} rounds each", medians.len());
    println!("median {:?}", at(50).0);
    println!("p90    {:?}", at(90).0);
    for (time, name) in medians.iter().rev().take(5) {
        println!("slow   {time:?} {name}");
    }
}

fn median(facts: &Facts, exchange: &Exchange) -> Duration {
    let form = exchange
        .request
        .headers
        .get("content-type")
        .filter(|kind| kind.starts_with("application/x-www-form-urlencoded"))
        .map(|_| &exchange.request_body.bytes[..]);
    let route = facts.route(&exchange.request, form, &RouteHints::default());
    let context = CallContext {
        account: "123456789012".to_owned(),
        region: "us-east-1".to_owned(),
        source_ip: "203.0.113.7".to_owned(),
        user_identity: json!({
            "type": "IAMUser", "principalId": "AIDAEXAMPLE", "accountId": "123456789012",
            "arn": "arn:aws:iam::123456789012:user/ada", "accessKeyId": "AKIAEXAMPLE",
            "userName": "ada",
        }),
        ..CallContext::default()
    };
    let call = Call {
        facts,
        route: &route,
        request: &exchange.request,
        request_body: &exchange.request_body,
        response: Some(Answered { head: &exchange.response, body: &exchange.response_body }),
        context: &context,
        settings: &RecordSettings::default(),
    };
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(trailbox_record::build(std::hint::black_box(&call)));
            start.elapsed()
        })
        .collect();
    times.sort();
    times[ROUNDS / 2]
}

fn exchanges() -> Vec<Exchange> {
    let root = std::env::var_os("TRAILBOX_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let found: Vec<Exchange> = std::fs::read_dir(root.join("data/gateway/vectors"))
        .into_iter()
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok())
        .filter_map(|text| serde_json::from_str::<Vec<Value>>(&text).ok())
        .flatten()
        .map(|vector| exchange(&vector))
        .collect();
    if found.is_empty() {
        println!("no shared vectors here: one exchange of our own stands for them");
        return vec![own()];
    }
    found
}

fn exchange(vector: &Value) -> Exchange {
    let (request, response) = (&vector["request"], &vector["response"]);
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let status = response["status"].as_u64().and_then(|status| u16::try_from(status).ok());
    Exchange {
        name: format!("{} {}", text(&vector["service"]), text(&vector["operation"])),
        request: RequestHead {
            method: text(&request["method"]),
            target: text(&request["uri"]),
            headers: headers(&request["headers"]),
        },
        request_body: body(&request["body_b64"]),
        response: ResponseHead {
            status: status.unwrap_or(200),
            headers: headers(&response["headers"]),
        },
        response_body: body(&response["body_b64"]),
    }
}

fn headers(fields: &Value) -> Headers {
    let fields = fields.as_object().into_iter().flatten();
    fields.map(|(name, value)| (name.clone(), value.as_str().unwrap_or("").to_owned())).collect()
}

fn body(text: &Value) -> Captured {
    let text = text.as_str().unwrap_or("");
    Captured::whole(base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default())
}

fn own() -> Exchange {
    let signed = "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20260101/us-east-1/iam/aws4_request, \
                  SignedHeaders=host, Signature=00";
    Exchange {
        name: "iam CreateUser".to_owned(),
        request: RequestHead {
            method: "POST".to_owned(),
            target: "/".to_owned(),
            headers: [
                ("host", "localhost:4747"),
                ("content-type", "application/x-www-form-urlencoded"),
                ("authorization", signed),
            ]
            .into_iter()
            .collect(),
        },
        request_body: Captured::whole(
            &b"Action=CreateUser&Version=2010-05-08&UserName=ada&Path=%2F"[..],
        ),
        response: ResponseHead { status: 200, headers: Headers::new() },
        response_body: Captured::whole(
            &b"<CreateUserResponse><CreateUserResult><User><UserName>ada</UserName></User>\
               </CreateUserResult></CreateUserResponse>"[..],
        ),
    }
}

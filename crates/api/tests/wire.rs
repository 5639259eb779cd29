//! Plays the exchanges of `tests/wire/<Operation>/<case>.txt`.
//!
//! A file is a sentence, a `source:` line, then `> Operation [as CALLER] [in
//! REGION]` (or `> METHOD /api/v1/…`) with the body, and `< status [code]` with
//! the answer, JSON indented. `TOKEN` in a body stands for the last paging token
//! that was answered. Several pairs in one file are played in order on
//! one engine. `UPDATE_WIRE=1` rewrites the answers; review the difference.
#![allow(clippy::unwrap_used, reason = "a test may stop at what should not happen")]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use support::{World, request};
use trailbox_api::{EngineOptions, OwnAnswer};

#[tokio::test]
async fn every_exchange_is_answered_as_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire");
    let mut cases: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap())
        .map(|case| case.unwrap().path())
        .collect();
    cases.sort();
    assert!(50 <= cases.len(), "only {} exchanges found", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let text = fs::read_to_string(&case).unwrap();
        let played = play(&text).await;
        if std::env::var_os("UPDATE_WIRE").is_some() {
            fs::write(&case, played).unwrap();
        } else if played != text {
            wrong.push(format!("{}:\n{played}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "answers differ; UPDATE_WIRE=1 rewrites\n\n{}", wrong.join("\n\n"));
}

/// The file as it should be: everything but the answers as it is.
async fn play(text: &str) -> String {
    let (head, exchanges) = text.split_once("\n> ").unwrap();
    let mut lines = head.lines();
    let sentence = lines.next().unwrap();
    assert!(sentence.ends_with('.'), "{sentence:?} should be a sentence");
    assert!(lines.next().is_some_and(|line| line.starts_with("source: ")), "{sentence}: no source");
    let throttled = head.contains("\nlookup_tps: 2");
    let world = World::new(EngineOptions { lookup_tps: throttled.then_some(2) });
    let mut out = head.to_owned();
    let mut token = String::new();
    for exchange in exchanges.split("\n> ") {
        let asked = exchange.split("\n< ").next().unwrap().trim_end();
        let (line, body) = asked.split_once('\n').unwrap_or((asked, ""));
        let answer = ask(&world, line, &body.replace("\"TOKEN\"", &format!("\"{token}\""))).await;
        token = token_of(&answer).unwrap_or(token);
        let _ = write!(out, "\n> {asked}\n\n< {}\n", show(&answer));
    }
    out
}

fn token_of(answer: &OwnAnswer) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    let token = json.get("NextToken").or_else(|| json.get("nextToken"))?;
    token.as_str().map(str::to_owned)
}

async fn ask(world: &World, line: &str, body: &str) -> OwnAnswer {
    let words: Vec<&str> = line.split(' ').collect();
    let named = |word: &str| words.iter().position(|it| *it == word).map(|at| words[at + 1]);
    let caller = World::caller(named("as").unwrap_or("admin"));
    let mut asked = if words[1..].first().is_some_and(|word| word.starts_with('/')) {
        let mut asked = request(caller, "trailbox", "", body);
        words[0].clone_into(&mut asked.head.method);
        words[1].clone_into(&mut asked.head.target);
        asked
    } else if let Some(operation) = words[0].strip_prefix("sts:") {
        let body = if body.is_empty() { String::new() } else { format!("&{body}") };
        request(caller, "sts", operation, &format!("Action={operation}&Version=2011-06-15{body}"))
    } else {
        request(caller, "cloudtrail", words[0], body)
    };
    if let Some(region) = named("in") {
        region.clone_into(&mut asked.region);
    }
    world.ask(asked).await
}

fn show(answer: &OwnAnswer) -> String {
    assert_eq!(
        answer.headers.get("x-amzn-requestid"),
        Some("11111111-2222-3333-4444-555555555555")
    );
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let Ok(json) = serde_json::from_str::<serde_json::Value>(&text) else {
        assert_eq!(answer.headers.get("content-type"), Some("text/xml"));
        return format!("{}\n{}", answer.status, text.replace("><", ">\n<"));
    };
    let code = json["__type"].as_str().map(|code| format!(" {code}")).unwrap_or_default();
    format!("{}{code}\n{}", answer.status, serde_json::to_string_pretty(&json).unwrap())
}

//! Afterwards: is every acknowledged call found exactly once, saying what was sent?
//!
//! A last call is made and waited for: the history is read in the order of the
//! journal, so when that call is found, all before it can be. Then everything
//! since the start is paged through. Start at [`Search::verdict`].

use super::drive::Run;
use super::ledger::{ACKNOWLEDGED, FAILED, FOUND, SENT, TWICE, WRONG};
use super::mix::Expected;
use crate::client::Admin;
use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use trailbox_clock::{Clock as _, Micros};

/// Records of one page.
const PAGE: usize = 1000;
/// Examples kept of what is not as it should be.
const EXAMPLES: usize = 10;
/// Pause between two questions while the history catches up.
const PAUSE: Duration = Duration::from_millis(200);
/// `eventTime` has whole seconds, and clocks are set: look so far back.
const SLACK_MICROS: i64 = 5_000_000;

/// What was found.
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verdict {
    /// Records of the run.
    pub(super) found: u64,
    /// Of these, of calls whose answer never came.
    pub(super) found_unacknowledged: u64,
    /// Acknowledged calls without a record.
    pub(super) missing: u64,
    /// Calls with more than one record.
    pub(super) twice: u64,
    /// Records that do not say what was sent, or of calls nobody made.
    pub(super) wrong: u64,
    /// Records that the index knows and the journal could not give.
    pub(super) unreadable: u64,
    /// A few calls of each sort, and what is the matter with them.
    pub(super) examples: Vec<String>,
}

/// Where and since when to look.
#[derive(Debug)]
pub(super) struct Search<'a> {
    pub(super) run: &'a Run,
    pub(super) admin: &'a Admin,
    pub(super) account: Option<&'a str>,
    pub(super) since: Micros,
    /// Longest wait for the history to catch up.
    pub(super) settle: Duration,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    records: Vec<Found>,
    next_token: Option<String>,
    #[serde(default)]
    unreadable: u64,
}

/// The members of a record that are looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Found {
    event_source: String,
    event_name: String,
    read_only: Option<bool>,
    error_code: Option<String>,
    user_agent: Option<String>,
    request_parameters: Value,
    user_identity: Identity,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Identity {
    access_key_id: Option<String>,
}

impl Verdict {
    /// `verified`, or all that is against it.
    pub(super) fn text(&self) -> String {
        let against: Vec<String> =
            [("MISSING", self.missing), ("TWICE", self.twice), ("WRONG", self.wrong)]
                .iter()
                .filter(|(_, count)| *count > 0)
                .map(|(name, count)| format!("{name} {count}"))
                .collect();
        if against.is_empty() { "verified".to_owned() } else { against.join(" · ") }
    }

    /// Whether nothing is against it.
    pub(super) fn holds(&self) -> bool {
        (self.missing, self.twice, self.wrong) == (0, 0, 0)
    }

    fn example(&mut self, kind: &str, number: u64, why: &str) {
        let held = self.examples.iter().filter(|text| text.starts_with(kind)).count();
        if held < EXAMPLES {
            self.examples.push(format!("{kind} call {number}: {why}"));
        }
    }
}

impl Search<'_> {
    /// Looks through everything since the start.
    ///
    /// # Errors
    ///
    /// When the last call is not answered, the history does not catch up, or
    /// the admin API fails.
    pub(super) async fn verdict(&self) -> anyhow::Result<Verdict> {
        let last = self.last_call().await?;
        self.caught_up(last).await?;
        let verdict = self.look().await?;
        if verdict.missing == 0 {
            return Ok(verdict);
        }
        // A server that was killed writes what it was in doubt of somewhat later.
        tokio::time::sleep(PAUSE * 5).await;
        self.run.ledger.forget_found();
        self.look().await
    }

    /// Makes one more call until one is acknowledged.
    async fn last_call(&self) -> anyhow::Result<u64> {
        let run = self.run;
        let until = Instant::now() + self.settle;
        loop {
            if let Ok(mut connection) = run.endpoint.connect().await {
                let number = run.ledger.take().context("the run has no numbers left")?;
                let told = run.call(&mut connection, number).await;
                if told.is_ok() && run.ledger.get(number) & ACKNOWLEDGED != 0 {
                    return Ok(number);
                }
            }
            if Instant::now() > until {
                bail!("nothing is answered any more, so nothing can be verified");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn caught_up(&self, last: u64) -> anyhow::Result<()> {
        let until = Instant::now() + self.settle;
        let since = Micros(crate::ports::SystemClock.now().0 - SLACK_MICROS);
        loop {
            let found = self
                .page_through(since, |page| {
                    let mut numbers = page.records.iter().filter_map(|found| self.number(found));
                    numbers.any(|number| number == last)
                })
                .await;
            match found {
                Ok(true) => return Ok(()),
                Err(err) if Instant::now() > until => return Err(err),
                Ok(false) if Instant::now() > until => bail!(
                    "the history does not hold call {last} after {}; wait longer with --settle",
                    humantime::format_duration(self.settle)
                ),
                Ok(false) | Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn look(&self) -> anyhow::Result<Verdict> {
        let mut verdict = Verdict::default();
        let since = Micros(self.since.0 - SLACK_MICROS);
        self.page_through(since, |page| {
            verdict.unreadable += page.unreadable;
            for found in &page.records {
                if let Some(number) = self.number(found) {
                    self.judge(found, number, &mut verdict);
                }
            }
            false
        })
        .await?;
        self.count(&mut verdict);
        Ok(verdict)
    }

    /// Pages from the newest record back, until `enough` or the end; whether it was enough.
    async fn page_through(
        &self,
        since: Micros,
        mut enough: impl FnMut(&Page) -> bool,
    ) -> anyhow::Result<bool> {
        let mut question = json!({"start": since.to_event_time(), "limit": PAGE});
        if let Some(account) = self.account {
            question["account"] = json!(account);
        }
        loop {
            let asked = serde_json::to_vec(&question)?;
            let bytes = self.admin.bytes("POST", "/api/v1/lookup", asked.into()).await?;
            let page: Page =
                serde_json::from_slice(&bytes).context("a page of records cannot be read")?;
            if enough(&page) {
                return Ok(true);
            }
            let Some(token) = page.next_token else { return Ok(false) };
            question["nextToken"] = json!(token);
        }
    }

    /// The number in the user agent, if the record is of this run.
    ///
    /// S3's records wrap the user agent in brackets.
    fn number(&self, found: &Found) -> Option<u64> {
        let agent = found.user_agent.as_deref()?;
        let agent = agent.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(agent);
        agent.strip_prefix(&self.run.mix.agent_prefix())?.parse().ok()
    }

    fn judge(&self, found: &Found, number: u64, verdict: &mut Verdict) {
        let ledger = &self.run.ledger;
        verdict.found += 1;
        if number >= ledger.len() || ledger.get(number) & SENT == 0 {
            verdict.wrong += 1;
            return verdict.example("WRONG", number, "it was never made");
        }
        let before = ledger.set(number, FOUND);
        verdict.found_unacknowledged += u64::from(before & ACKNOWLEDGED == 0);
        if before & FOUND != 0 {
            ledger.set(number, TWICE);
        }
        let expected = self.run.mix.expected(number);
        let key = &self.run.signer.credentials.access_key_id;
        if let Some(why) = difference(found, &expected, key, before) {
            ledger.set(number, WRONG);
            verdict.example("WRONG", number, &why);
        }
    }

    fn count(&self, verdict: &mut Verdict) {
        let ledger = &self.run.ledger;
        for number in 0..ledger.len() {
            let flags = ledger.get(number);
            let name = || self.run.mix.expected(number).name;
            if flags & ACKNOWLEDGED != 0 && flags & FOUND == 0 {
                verdict.missing += 1;
                verdict.example("MISSING", number, name());
            }
            if flags & TWICE != 0 {
                verdict.twice += 1;
                verdict.example("TWICE", number, name());
            }
            verdict.wrong += u64::from(flags & WRONG != 0);
        }
    }
}

/// What a record says other than it should.
fn difference(found: &Found, expected: &Expected, key: &str, flags: u8) -> Option<String> {
    let told = |what: &str, is: &dyn std::fmt::Debug, wanted: &dyn std::fmt::Debug| {
        Some(format!("{what} of {} is {is:?}, not {wanted:?}", expected.name))
    };
    if found.event_source != expected.source {
        return told("eventSource", &found.event_source, &expected.source);
    }
    if found.event_name != expected.name {
        return told("eventName", &found.event_name, &expected.name);
    }
    if found.read_only != Some(expected.read_only) {
        return told("readOnly", &found.read_only, &expected.read_only);
    }
    let failed = flags & FAILED != 0;
    if flags & ACKNOWLEDGED != 0 && found.error_code.is_some() != failed {
        let wanted = if failed { "an error" } else { "none" };
        return told("errorCode", &found.error_code, &wanted);
    }
    if found.user_identity.access_key_id.as_deref() != Some(key) {
        return told("userIdentity.accessKeyId", &found.user_identity.access_key_id, &key);
    }
    // What the recorder refuses by its head is recorded without its body.
    let own = found.error_code.as_deref().is_some_and(|code| code.starts_with("Trailbox."));
    if own && found.request_parameters.is_null() {
        return None;
    }
    let differs =
        |(name, value): &&(&str, Value)| found.request_parameters.get(name) != Some(value);
    let (name, value) = expected.parameters.iter().find(differs)?;
    told(&format!("requestParameters.{name}"), &found.request_parameters.get(name), value)
}

#[cfg(test)]
mod tests {
    use super::{ACKNOWLEDGED, Expected, FAILED, Found, SENT, Verdict, difference};
    use serde_json::json;

    fn found(change: impl FnOnce(&mut serde_json::Value)) -> Found {
        let mut record = json!({
            "eventSource": "iam.amazonaws.com", "eventName": "GetUser", "readOnly": true,
            "errorCode": "NoSuchEntity", "requestParameters": {"userName": "load-1"},
            "userIdentity": {"accessKeyId": "AK"},
        });
        change(&mut record);
        serde_json::from_value(record).unwrap()
    }

    #[test]
    fn each_field_that_is_not_as_sent_is_named() {
        let expected = Expected {
            source: "iam.amazonaws.com",
            name: "GetUser",
            read_only: true,
            parameters: vec![("userName", json!("load-1"))],
        };
        let judge =
            |found: &Found| difference(found, &expected, "AK", SENT | ACKNOWLEDGED | FAILED);
        assert_eq!(judge(&found(|_| ())), None);
        for (name, value) in [
            ("eventSource", json!("s3.amazonaws.com")),
            ("eventName", json!("ListUsers")),
            ("readOnly", json!(false)),
            ("errorCode", json!(null)),
            ("requestParameters", json!({"userName": "load-2"})),
            ("userIdentity", json!({"accessKeyId": "other"})),
        ] {
            let told = judge(&found(|record| record[name] = value)).unwrap_or_default();
            assert!(told.starts_with(name), "{name}: {told}");
        }
        let unknown = found(|record| record["errorCode"] = json!("Trailbox.OutcomeUnknown"));
        assert_eq!(difference(&unknown, &expected, "AK", SENT), None, "its answer never came");
    }

    #[test]
    fn the_verdict_says_everything_that_is_against_it() {
        assert_eq!(Verdict::default().text(), "verified");
        let verdict = Verdict { missing: 2, wrong: 1, ..Default::default() };
        assert_eq!((verdict.text().as_str(), verdict.holds()), ("MISSING 2 · WRONG 1", false));
    }
}

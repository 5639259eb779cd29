//! One call, written down shortly.

use serde_json::{Value, json};
use trailbox_clock::Micros;
use trailbox_exchange::{Captured, Headers, RequestHead, ResponseHead};
use trailbox_record::{Answered, Call, CallContext, Record, RecordSettings, SessionTokens};
use trailbox_service_facts::{Facts, RouteHints};

/// A call and its answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exchange {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Captured,
    pub(crate) status: u16,
    pub(crate) answer_fields: Vec<(String, String)>,
    pub(crate) answer: Captured,
    pub(crate) context: CallContext,
    pub(crate) settings: RecordSettings,
}

/// A call signed for `service`, which succeeded with nothing.
pub(crate) fn signed(service: &str, method: &'static str, target: &str) -> Exchange {
    let signature = format!(
        "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20260101/eu-west-1/{service}/aws4_request, \
         SignedHeaders=host, Signature=5157"
    );
    Exchange {
        method,
        target: target.to_owned(),
        fields: vec![
            ("Host".to_owned(), "localhost:4747".to_owned()),
            ("User-Agent".to_owned(), "aws-cli/2".to_owned()),
            ("Authorization".to_owned(), signature),
        ],
        body: Captured::whole(""),
        answer: Captured::whole(""),
        status: 200,
        context: CallContext {
            event_id: [7; 16],
            arrival: Micros::from_seconds(1_700_000_000),
            account: "111122223333".to_owned(),
            region: "eu-west-1".to_owned(),
            source_ip: "192.0.2.1".to_owned(),
            user_identity: json!({"type": "IAMUser", "userName": "ada"}),
            request_id: "made-here".to_owned(),
            ..CallContext::default()
        },
        ..Exchange::default()
    }
}

impl Exchange {
    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn json(self, operation: &str, body: Value) -> Self {
        self.field("X-Amz-Target", operation)
            .field("Content-Type", "application/x-amz-json-1.1")
            .body(body.to_string())
    }

    pub(crate) fn form(self, body: &str) -> Self {
        self.field("Content-Type", "application/x-www-form-urlencoded").body(body)
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Captured::whole(body.into());
        self
    }

    pub(crate) fn answer(mut self, status: u16, body: impl Into<Vec<u8>>) -> Self {
        self.status = status;
        self.answer = Captured::whole(body.into());
        self
    }

    pub(crate) fn keep_tokens(mut self) -> Self {
        self.settings.session_tokens = SessionTokens::Keep;
        self
    }

    /// Hands the call to `use_it`.
    pub(crate) fn call<T>(&self, use_it: impl FnOnce(&Call<'_>) -> T) -> T {
        let facts = Facts::embedded();
        let headers = |fields: &[(String, String)]| -> Headers { fields.iter().cloned().collect() };
        let request = RequestHead {
            method: self.method.to_owned(),
            target: self.target.clone(),
            headers: headers(&self.fields),
        };
        let response = ResponseHead { status: self.status, headers: headers(&self.answer_fields) };
        let is_form = request.headers.get("content-type").is_some_and(|kind| kind.contains("form"));
        let form = is_form.then_some(&self.body.bytes[..]);
        let route = facts.route(&request, form, &RouteHints::default());
        use_it(&Call {
            facts: &facts,
            route: &route,
            request: &request,
            request_body: &self.body,
            response: Some(Answered { head: &response, body: &self.answer }),
            context: &self.context,
            settings: &self.settings,
        })
    }

    pub(crate) fn build(&self) -> Record {
        self.call(trailbox_record::build)
    }

    pub(crate) fn record(&self) -> Value {
        serde_json::from_slice(&self.build().json).expect("a record is JSON")
    }
}

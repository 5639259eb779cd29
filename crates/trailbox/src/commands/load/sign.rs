//! A call as it goes out: signed anew each time, since its date is part of it.

use super::mix::Mix;
use crate::client::Credentials;
use crate::ports::SystemClock;
use trailbox_clock::Clock as _;
use trailbox_sigv4::{SignRequest, presign, sign};

/// Seconds a presigned URL is good for; it is used at once.
const EXPIRES: u32 = 300;

/// Who calls, and where.
#[derive(Debug)]
pub(super) struct Signer {
    pub(super) credentials: Credentials,
    pub(super) region: String,
    /// `Host` of every call.
    pub(super) host: String,
}

/// A request with everything it carries.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) method: &'static str,
    pub(super) target: String,
    /// `host` first; lower-case names.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Signer {
    /// The call of a number.
    pub(super) fn call(&self, mix: &Mix, number: u64) -> Signed {
        let request = mix.request(number);
        let mut signed = Signed {
            method: request.method,
            target: request.target,
            headers: vec![("host".to_owned(), self.host.clone())],
            body: request.body,
        };
        let more = request.headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        signed.headers.extend(more);
        self.sign(&mut signed, request.service, request.presigned);
        signed.headers.push(("user-agent".to_owned(), mix.user_agent(number)));
        signed
    }

    /// A call that belongs to no number: it makes the bucket.
    pub(super) fn make_bucket(&self, bucket: &str) -> Signed {
        let mut signed = Signed {
            method: "PUT",
            target: format!("/{bucket}"),
            headers: vec![("host".to_owned(), self.host.clone())],
            body: Vec::new(),
        };
        self.sign(&mut signed, "s3", false);
        signed.headers.push(("user-agent".to_owned(), "trailbox-load".to_owned()));
        signed
    }

    fn sign(&self, signed: &mut Signed, service: &str, presigned: bool) {
        let request = SignRequest {
            method: signed.method,
            target: &signed.target,
            headers: &signed.headers,
            body: &signed.body,
            access_key_id: &self.credentials.access_key_id,
            secret: &self.credentials.secret,
            session_token: self.credentials.session_token.as_deref(),
            region: &self.region,
            service,
            now: SystemClock.now(),
        };
        if presigned {
            signed.target = presign(request, EXPIRES);
        } else {
            let added = sign(request);
            signed.headers.extend(added);
        }
    }
}

impl Signed {
    /// As HTTP/1.1 writes it.
    pub(super) fn to_http1(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1024 + self.body.len());
        for part in [self.method, " ", &self.target, " HTTP/1.1\r\n"] {
            bytes.extend_from_slice(part.as_bytes());
        }
        for (name, value) in &self.headers {
            for part in [name, ": ", value, "\r\n"] {
                bytes.extend_from_slice(part.as_bytes());
            }
        }
        if !self.body.is_empty() || matches!(self.method, "PUT" | "POST") {
            bytes.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::mix::{Mix, Service, Which};
    use super::Signer;
    use crate::client::Credentials;

    #[test]
    fn a_call_is_one_request_with_its_number_and_its_signature() {
        let key = Credentials {
            access_key_id: "AKIDEXAMPLE".into(),
            secret: "s".into(),
            session_token: None,
        };
        let signer = Signer { credentials: key, region: "us-east-1".into(), host: "h:1".into() };
        let mix = Mix::new(
            "00aa".into(),
            "b".into(),
            &[Service::Sts],
            Which::Reads,
            "0".parse().unwrap(),
        )
        .unwrap();
        let text = String::from_utf8(signer.call(&mix, 7).to_http1()).unwrap();
        assert!(text.starts_with("POST / HTTP/1.1\r\nhost: h:1\r\n"), "{text}");
        assert!(text.contains("\r\nuser-agent: trailbox-load/00aa/7\r\n"), "{text}");
        assert!(text.contains("Credential=AKIDEXAMPLE/"), "{text}");
        assert!(text.ends_with("\r\n\r\nAction=GetCallerIdentity&Version=2011-06-15"), "{text}");
    }
}

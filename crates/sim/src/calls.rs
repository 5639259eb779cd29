//! What clients ask for, as bytes on the wire, and what its record must say.

use crate::dice::Dice;
use trailbox_clock::Micros;
use trailbox_sigv4::SignRequest;

/// Account of the registered users.
pub(crate) const ACCOUNT: &str = "111122223333";
/// Account of callers nobody vouches for.
pub(crate) const QUARANTINE: &str = "000000000000";
/// Prefix of the user agent; the number of the call follows.
pub(crate) const AGENT: &str = "sim/";
/// Registered users: name, access key id, secret.
pub(crate) const USERS: [(&str, &str, &str); 3] = [
    ("alice", "AKIASIMULATEDALICE00", "alices-secret"),
    ("bob", "AKIASIMULATEDBOB0000", "bobs-secret"),
    ("carol", "AKIASIMULATEDCAROL00", "carols-secret"),
];

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    PutObject,
    /// Larger than what is read before the head is forwarded.
    PutLarge,
    /// The same in chunks, its length unknown.
    PutChunked,
    /// A body that is not the one signed for.
    PutForged,
    GetObject,
    DeleteObject,
    DeleteObjects,
    CreateUser,
    AssumeRole,
    GetItem,
    PutItem,
    /// Signed with another secret.
    WrongSignature,
}

/// How often each kind is called, relative to the others.
const WEIGHTS: [(Kind, u64); 12] = [
    (Kind::PutObject, 20),
    (Kind::PutLarge, 4),
    (Kind::PutChunked, 4),
    (Kind::PutForged, 2),
    (Kind::GetObject, 16),
    (Kind::DeleteObject, 10),
    (Kind::DeleteObjects, 6),
    (Kind::CreateUser, 12),
    (Kind::AssumeRole, 8),
    (Kind::GetItem, 8),
    (Kind::PutItem, 8),
    (Kind::WrongSignature, 2),
];

impl Kind {
    pub(crate) fn draw(dice: &Dice) -> Self {
        let mut throw = dice.below(WEIGHTS.iter().map(|(_, weight)| weight).sum());
        for (kind, weight) in WEIGHTS {
            if throw < weight {
                return kind;
            }
            throw -= weight;
        }
        Self::GetObject
    }

    /// `eventName` of its record.
    pub(crate) const fn event_name(self) -> &'static str {
        match self {
            Self::PutObject | Self::PutLarge | Self::PutChunked | Self::PutForged => "PutObject",
            Self::GetObject | Self::WrongSignature => "GetObject",
            Self::DeleteObject => "DeleteObject",
            Self::DeleteObjects => "DeleteObjects",
            Self::CreateUser => "CreateUser",
            Self::AssumeRole => "AssumeRole",
            Self::GetItem => "GetItem",
            Self::PutItem => "PutItem",
        }
    }

    /// Signing name of its service.
    pub(crate) const fn service(self) -> &'static str {
        match self {
            Self::CreateUser => "iam",
            Self::AssumeRole => "sts",
            Self::GetItem | Self::PutItem => "dynamodb",
            Self::PutObject
            | Self::PutLarge
            | Self::PutChunked
            | Self::PutForged
            | Self::GetObject
            | Self::WrongSignature
            | Self::DeleteObject
            | Self::DeleteObjects => "s3",
        }
    }

    /// Whether it may change something.
    pub(crate) const fn is_mutating(self) -> bool {
        match self {
            Self::PutObject
            | Self::PutLarge
            | Self::PutChunked
            | Self::PutForged
            | Self::DeleteObject
            | Self::DeleteObjects
            | Self::CreateUser
            | Self::PutItem => true,
            Self::GetObject | Self::AssumeRole | Self::GetItem | Self::WrongSignature => false,
        }
    }

    /// What its record holds among `requestParameters`: a name and its value.
    pub(crate) fn parameter(self, id: u64) -> (&'static str, String) {
        match self {
            Self::DeleteObjects => ("bucketName", "bucket".to_owned()),
            Self::CreateUser => ("userName", format!("user-{id}")),
            Self::AssumeRole => ("roleSessionName", format!("work-{id}")),
            Self::GetItem | Self::PutItem => ("tableName", format!("table-{id}")),
            Self::PutObject
            | Self::PutLarge
            | Self::PutChunked
            | Self::PutForged
            | Self::GetObject
            | Self::WrongSignature
            | Self::DeleteObject => ("key", format!("key-{id}")),
        }
    }
}

/// Whose key a call is signed with.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    pub(crate) key: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

/// The head and the body of call `id`.
pub(crate) fn request(kind: Kind, id: u64, by: &Signer, now: Micros) -> (Vec<u8>, Vec<u8>) {
    let (method, target, mut headers, body) = parts(kind, id);
    headers.insert(0, ("Host".to_owned(), "sim.example".to_owned()));
    let secret = if kind == Kind::WrongSignature { "another-secret" } else { &by.secret };
    let added = trailbox_sigv4::sign(SignRequest {
        method,
        target: &target,
        headers: &headers,
        body: &body,
        access_key_id: &by.key,
        secret,
        session_token: by.token.as_deref(),
        region: "us-east-1",
        service: kind.service(),
        now,
    });
    let mut head = format!("{method} {target} HTTP/1.1\r\nUser-Agent: {AGENT}{id}\r\n");
    for (name, value) in headers.iter().chain(&added) {
        head.extend([name, ": ", value, "\r\n"]);
    }
    let body = match kind {
        Kind::PutChunked => {
            head.push_str("Transfer-Encoding: chunked\r\n");
            chunked(&body)
        }
        Kind::PutForged => {
            head.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
            vec![b'!'; body.len()]
        }
        Kind::GetObject | Kind::WrongSignature => body,
        Kind::PutObject
        | Kind::PutLarge
        | Kind::DeleteObject
        | Kind::DeleteObjects
        | Kind::CreateUser
        | Kind::AssumeRole
        | Kind::GetItem
        | Kind::PutItem => {
            head.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
            body
        }
    };
    head.push_str("\r\n");
    (head.into_bytes(), body)
}

type Headers = Vec<(String, String)>;

fn parts(kind: Kind, id: u64) -> (&'static str, String, Headers, Vec<u8>) {
    let object = || format!("/bucket/key-{id}");
    let filler = |len: u64| {
        vec![b'a' + u8::try_from(id % 26).unwrap_or(0); usize::try_from(len).unwrap_or(0)]
    };
    let one = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let form = || one("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
    let json = |target: &str| {
        let mut headers = one("Content-Type", "application/x-amz-json-1.0");
        headers.extend(one("X-Amz-Target", target));
        headers
    };
    match kind {
        Kind::PutObject => ("PUT", object(), Vec::new(), filler(id * 37 % 900)),
        Kind::PutLarge | Kind::PutForged => {
            ("PUT", object(), Vec::new(), filler(66_000 + id * 997 % 30_000))
        }
        Kind::PutChunked => ("PUT", object(), Vec::new(), filler(1 + id * 997 % 40_000)),
        Kind::GetObject | Kind::WrongSignature => ("GET", object(), Vec::new(), Vec::new()),
        Kind::DeleteObject => ("DELETE", object(), Vec::new(), Vec::new()),
        Kind::DeleteObjects => {
            let body = format!(
                "<Delete><Object><Key>key-{id}-a</Key></Object>\
                 <Object><Key>key-{id}-b</Key></Object></Delete>"
            );
            ("POST", "/bucket?delete".to_owned(), Vec::new(), body.into_bytes())
        }
        Kind::CreateUser => {
            let body = format!("Action=CreateUser&Version=2010-05-08&UserName=user-{id}");
            ("POST", "/".to_owned(), form(), body.into_bytes())
        }
        Kind::AssumeRole => {
            let body = format!(
                "Action=AssumeRole&Version=2011-06-15&RoleSessionName=work-{id}\
                 &RoleArn=arn%3Aaws%3Aiam%3A%3A{ACCOUNT}%3Arole%2Fops"
            );
            ("POST", "/".to_owned(), form(), body.into_bytes())
        }
        Kind::GetItem => {
            let body = format!(r#"{{"TableName":"table-{id}","Key":{{"k":{{"S":"v"}}}}}}"#);
            ("POST", "/".to_owned(), json("DynamoDB_20120810.GetItem"), body.into_bytes())
        }
        Kind::PutItem => {
            let body = format!(r#"{{"TableName":"table-{id}","Item":{{"k":{{"S":"v"}}}}}}"#);
            ("POST", "/".to_owned(), json("DynamoDB_20120810.PutItem"), body.into_bytes())
        }
    }
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 64);
    for piece in body.chunks(7000) {
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// The session that call `id` shows when it succeeds.
pub(crate) fn session(id: u64) -> Signer {
    Signer {
        key: format!("ASIASIM{id:013}"),
        secret: format!("session-secret-{id}"),
        token: Some(format!("session-token-{id}")),
    }
}

/// What a good answer to call `id` says.
pub(crate) fn good_answer(kind: Kind, id: u64, now: Micros) -> String {
    match kind {
        Kind::GetObject | Kind::WrongSignature => {
            "o".repeat(usize::try_from(1 + id * 31 % 5000).unwrap_or(1))
        }
        Kind::DeleteObjects => format!(
            "<DeleteResult><Deleted><Key>key-{id}-a</Key></Deleted>\
             <Deleted><Key>key-{id}-b</Key></Deleted></DeleteResult>"
        ),
        Kind::CreateUser => format!(
            "<CreateUserResponse><CreateUserResult><User><Path>/</Path>\
             <UserName>user-{id}</UserName><UserId>AIDASIM{id}</UserId>\
             <Arn>arn:aws:iam::{ACCOUNT}:user/user-{id}</Arn></User></CreateUserResult>\
             </CreateUserResponse>"
        ),
        Kind::AssumeRole => {
            let Signer { key, secret, token } = session(id);
            format!(
                "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                 <AssumeRoleResult><Credentials><AccessKeyId>{key}</AccessKeyId>\
                 <SecretAccessKey>{secret}</SecretAccessKey>\
                 <SessionToken>{}</SessionToken><Expiration>{}</Expiration></Credentials>\
                 <AssumedRoleUser><AssumedRoleId>AROAROLE:work-{id}</AssumedRoleId>\
                 <Arn>arn:aws:sts::{ACCOUNT}:assumed-role/ops/work-{id}</Arn></AssumedRoleUser>\
                 </AssumeRoleResult></AssumeRoleResponse>",
                token.unwrap_or_default(),
                now.plus(36 * 3_600_000_000).to_event_time(),
            )
        }
        Kind::GetItem => r#"{"Item":{"k":{"S":"v"}}}"#.to_owned(),
        Kind::PutItem => "{}".to_owned(),
        Kind::PutObject
        | Kind::PutLarge
        | Kind::PutChunked
        | Kind::PutForged
        | Kind::DeleteObject => String::new(),
    }
}

/// The number of the call in a user agent of ours.
pub(crate) fn number_of(agent: &str) -> Option<u64> {
    // S3 writes it in brackets.
    let agent = agent.trim_start_matches('[').trim_end_matches(']');
    agent.strip_prefix(AGENT)?.parse().ok()
}

//! Whose call it is, and how far that is proved: trust is in the record.
//!
//! [`look_up`] reads the claim and proves what can be proved from the head;
//! [`Who::prove_body`] does the rest once the body is there; [`Who::settle`]
//! judges after the answer, when an upstream was the one to verify.

use crate::answer::{Refusal, Shape};
use crate::denial::denies_identity;
use crate::passage::Passage;
use crate::shared::Shared;
use crate::upstream::Verifies;
use crate::wrong::Wrong;
use std::sync::Arc;
use trailbox_clock::Micros;
use trailbox_exchange::RequestHead;
use trailbox_identity::{Admission, Caller, QUARANTINE_ACCOUNT, Trust};
use trailbox_record::SignatureNote;
use trailbox_service_facts::Route;
use trailbox_sigv4::refusal::{self, Dialect};
use trailbox_sigv4::{ChunkVerifier, Claim, SigningKey, V4Claim, Verified, VerifyError};

/// The caller of one call, as far as is known.
#[derive(Debug)]
pub(crate) struct Who {
    /// Whom the record names.
    pub(crate) caller: Arc<Caller>,
    standing: Standing,
    duty: BodyDuty,
    /// How the request was signed, for the record.
    pub(crate) signature: Option<SignatureNote>,
}

/// How the caller stands with us.
#[derive(Debug)]
enum Standing {
    /// The signature is proved, or config vouches.
    Proved,
    /// A key we know; its signature covers a body that has not come.
    NeedsBody(Box<Unproved>),
    /// A key we know, and it does not count or its signature is wrong.
    Refused(Wrong),
    /// No claim.
    Anonymous,
    /// A claim we cannot check: an unknown key, or a signature we do not verify.
    Unchecked {
        /// Whom the record names when a verifying upstream accepts the call.
        vouched: Arc<Caller>,
        /// The same when config says that it verifies: then the principal of a
        /// key we know.
        named: Option<Arc<Caller>>,
        /// Why Trailbox's own services do not accept it.
        wrong: Wrong,
        /// The key itself is unknown: test mode lets it in.
        unknown_key: bool,
        /// A probe tells only of Version 4 signatures: of this one nothing.
        unprobed: bool,
    },
}

/// Who judges a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judge {
    /// The upstream, if anybody.
    Upstream,
    /// We alone: Trailbox itself answers.
    Own,
    /// We alone: the upstream sees a signature of ours.
    Resigned {
        /// Calls without a signature pass.
        anonymous: bool,
    },
}

/// What a proved head promises of the body.
#[derive(Debug)]
enum BodyDuty {
    /// Nothing that could be checked.
    None,
    /// Its SHA-256.
    Hash([u8; 32]),
    /// A signature per chunk.
    Chunks(Option<Box<ChunkVerifier>>),
}

/// What is needed to prove a signature once the body is known.
#[derive(Debug)]
struct Unproved {
    claim: V4Claim,
    key: SigningKey,
    proved: Arc<Caller>,
}

/// Reads the claim of `head` and proves what can be proved without the body.
pub(crate) fn look_up(
    shared: &Shared,
    head: &RequestHead,
    claim: Claim,
    principal: Option<&str>,
    now: Micros,
) -> Who {
    let signature = note(&claim);
    if let Some(service) = principal {
        let caller = Arc::new(Caller::service(service, &shared.account));
        return Who { caller, standing: Standing::Proved, duty: BodyDuty::None, signature };
    }
    let mut duty = BodyDuty::None;
    let (caller, standing) = match claim {
        Claim::Anonymous | Claim::Foreign { .. } => {
            // Whether it is an S3 call shows when it is routed.
            (Arc::new(Caller::anonymous(false, &shared.account)), Standing::Anonymous)
        }
        Claim::V4(claim) => {
            let (caller, standing, promised) = signed(shared, head, claim, now);
            duty = promised;
            (caller, standing)
        }
        Claim::V4a(claim) => unverifiable(shared, &claim.access_key_id, Wrong::Unsupported, now),
        Claim::V2 { access_key_id, .. } => version_2(shared, head, &access_key_id, now),
        Claim::Malformed(claim) => malformed(shared, claim, now),
    };
    Who { caller, standing, duty, signature }
}

fn note(claim: &Claim) -> Option<SignatureNote> {
    let version = match claim {
        Claim::Anonymous | Claim::Foreign { .. } | Claim::Malformed(_) => return None,
        Claim::V4(_) => "SigV4",
        Claim::V4a(_) => "SigV4A",
        Claim::V2 { .. } => "SigV2",
    };
    let method = if claim.in_query() { "QueryString" } else { "AuthHeader" };
    Some(SignatureNote { version, method })
}

/// A SigV4 claim: known, refused, or somebody else's business.
fn signed(
    shared: &Shared,
    head: &RequestHead,
    claim: V4Claim,
    now: Micros,
) -> (Arc<Caller>, Standing, BodyDuty) {
    let token = claim.session_token.as_ref().map(trailbox_sigv4::SecretText::expose);
    let id = claim.access_key_id.clone();
    let directory = shared.directory.read();
    let (key, proved) = match directory.admit(&id, token, now) {
        Admission::Known(key) => {
            let (Some(proved), Some(secret)) = (directory.caller(&id, now), &key.secret) else {
                return nobody(shared, &id);
            };
            (shared.signing_keys.get(&claim, secret), proved)
        }
        Admission::Unproven(_) => {
            let (caller, standing) = unproven(shared, &id, directory.caller(&id, now));
            return (caller, standing, BodyDuty::None);
        }
        Admission::Refused(why) => {
            let caller = Arc::new(Caller::claimed(&id, shared.claimed_account()));
            return (caller, Standing::Refused(wrong_key(&why)), BodyDuty::None);
        }
        Admission::Unknown => return nobody(shared, &id),
    };
    drop(directory);
    if claim.payload.needs_body_hash() {
        let standing = Standing::NeedsBody(Box::new(Unproved { claim, key, proved }));
        let caller = Arc::new(Caller::claimed(&id, shared.claimed_account()));
        return (caller, standing, BodyDuty::None);
    }
    match trailbox_sigv4::verify_with_key(&claim, head, &key, now, None) {
        Ok(verified) => (proved, Standing::Proved, duty_of(&verified)),
        Err(error) => {
            let caller = Arc::new(Caller::claimed(&id, shared.claimed_account()));
            (caller, Standing::Refused(Wrong::Proof(error)), BodyDuty::None)
        }
    }
}

fn duty_of(verified: &Verified) -> BodyDuty {
    match (verified.body_sha256(), verified.chunks()) {
        (Some(hash), _) => BodyDuty::Hash(hash),
        (None, Some(chunks)) => BodyDuty::Chunks(Some(Box::new(chunks))),
        (None, None) => BodyDuty::None,
    }
}

fn nobody(shared: &Shared, id: &str) -> (Arc<Caller>, Standing, BodyDuty) {
    let (caller, standing) = unknown(shared, id);
    (caller, standing, BodyDuty::None)
}

fn wrong_key(why: &trailbox_identity::KeyRefusal) -> Wrong {
    use trailbox_identity::KeyRefusal;
    match why {
        KeyRefusal::Inactive { .. } => Wrong::UnknownKey,
        KeyRefusal::Expired { .. } => Wrong::Expired,
        KeyRefusal::TokenMissing { .. } | KeyRefusal::TokenWrong { .. } => Wrong::Token,
    }
}

/// A claim by Version 2: S3's form is proved, that of the query APIs is not.
fn version_2(
    shared: &Shared,
    head: &RequestHead,
    id: &str,
    now: Micros,
) -> (Arc<Caller>, Standing) {
    if head.query_value("SignatureVersion").is_some() {
        return unverifiable(shared, id, Wrong::Unsupported, now);
    }
    let token = trailbox_sigv4::v2_session_token(head);
    let token = token.as_ref().map(trailbox_sigv4::SecretText::expose);
    let directory = shared.directory.read();
    let wrong = match directory.admit(id, token, now) {
        Admission::Unknown => return unprobed(unknown(shared, id)),
        Admission::Refused(why) => wrong_key(&why),
        Admission::Unproven(_) => {
            return unprobed(unproven(shared, id, directory.caller(id, now)));
        }
        Admission::Known(key) => {
            let (Some(proved), Some(secret)) = (directory.caller(id, now), &key.secret) else {
                return unprobed(unknown(shared, id));
            };
            match trailbox_sigv4::verify_v2(head, secret.expose().as_bytes(), now) {
                Ok(()) => return (proved, Standing::Proved),
                Err(error) => Wrong::Proof(error),
            }
        }
    };
    (Arc::new(Caller::claimed(id, shared.claimed_account())), Standing::Refused(wrong))
}

/// Nobody knows the key.
fn unknown(shared: &Shared, id: &str) -> (Arc<Caller>, Standing) {
    unproven(shared, id, None)
}

/// The key is known without its secret: an upstream that verifies and accepts
/// it makes the call `owner`'s; until then it is a claim as any other.
fn unproven(shared: &Shared, id: &str, owner: Option<Arc<Caller>>) -> (Arc<Caller>, Standing) {
    let vouched = owner.unwrap_or_else(|| Arc::new(Caller::upstream(id, &shared.account)));
    let wrong = Wrong::UnknownKey;
    let standing =
        Standing::Unchecked { vouched, named: None, wrong, unknown_key: true, unprobed: false };
    (Arc::new(Caller::claimed(id, shared.claimed_account())), standing)
}

/// The same under a signature of another kind than probes have.
fn unprobed((caller, mut standing): (Arc<Caller>, Standing)) -> (Arc<Caller>, Standing) {
    if let Standing::Unchecked { unprobed, .. } = &mut standing {
        *unprobed = true;
    }
    (caller, standing)
}

/// A signature nobody verifies here. When the key is registered and an upstream
/// accepts it of which config says that it verifies, the record names its
/// principal; what a probe found says nothing of such signatures.
fn unverifiable(shared: &Shared, id: &str, wrong: Wrong, now: Micros) -> (Arc<Caller>, Standing) {
    let known = shared.directory.read().caller(id, now);
    let named =
        known.map(|known| Arc::new(Caller { trust: Trust::Upstream, ..Caller::clone(&known) }));
    let vouched = Arc::new(Caller::upstream(id, &shared.account));
    let standing =
        Standing::Unchecked { vouched, named, wrong, unknown_key: false, unprobed: true };
    (Arc::new(Caller::claimed(id, shared.claimed_account())), standing)
}

/// A broken claim under a key we know is refused, and so is one that names two
/// callers; any other is a mere claim, and its upstream's to judge.
fn malformed(
    shared: &Shared,
    claim: trailbox_sigv4::MalformedClaim,
    now: Micros,
) -> (Arc<Caller>, Standing) {
    let Some(id) = claim.access_key_id.clone() else {
        let caller = Arc::new(Caller::anonymous(false, shared.claimed_account()));
        let vouched = Arc::clone(&caller);
        let ambiguous = claim.is_ambiguous();
        let wrong = Wrong::Malformed(claim);
        if ambiguous {
            return (caller, Standing::Refused(wrong));
        }
        let standing =
            Standing::Unchecked { vouched, named: None, wrong, unknown_key: false, unprobed: true };
        return (caller, standing);
    };
    let known = claim.is_ambiguous() || shared.directory.read().key(&id).is_some();
    let (caller, standing) = unverifiable(shared, &id, Wrong::Malformed(claim.clone()), now);
    if known { (caller, Standing::Refused(Wrong::Malformed(claim))) } else { (caller, standing) }
}

impl Who {
    /// Lets `body` collect what the proof needs, from its first byte on.
    pub(crate) fn watch(&mut self, body: &mut Passage) {
        match &mut self.duty {
            BodyDuty::Hash(_) => body.hash(),
            BodyDuty::Chunks(chunks) => {
                if let Some(chunks) = chunks.take() {
                    body.check_chunks(*chunks);
                }
            }
            BodyDuty::None if matches!(self.standing, Standing::NeedsBody(_)) => body.hash(),
            BodyDuty::None => {}
        }
    }

    /// Why the call is refused before anything is forwarded.
    pub(crate) fn refusal(
        &mut self,
        shared: &Shared,
        route: &Route,
        judge: Judge,
    ) -> Option<Refusal> {
        let dialect = dialect(route);
        let (own, ours) = (judge == Judge::Own, judge != Judge::Upstream);
        let anonymous = judge == Judge::Resigned { anonymous: true };
        if ours && self.rests_on_a_claim() && !shared.is_test() {
            return Some(Wrong::UnknownKey.refusal(dialect));
        }
        match &mut self.standing {
            Standing::Refused(wrong) => Some(wrong.refusal(dialect)),
            Standing::Unchecked { unknown_key: true, .. } if own && shared.is_test() => {
                let id = self.caller.access_key_id.clone().unwrap_or_default();
                self.caller = Arc::new(Caller::test_administrator(&id, &shared.account));
                self.standing = Standing::Proved;
                None
            }
            Standing::Unchecked { unknown_key: true, .. } if shared.is_test() => None,
            Standing::Unchecked { wrong, .. } if ours => Some(wrong.refusal(dialect)),
            Standing::Proved if own && shared.is_test() => {
                Arc::make_mut(&mut self.caller).administrator = true;
                None
            }
            Standing::NeedsBody(unproved) if own && shared.is_test() => {
                Arc::make_mut(&mut unproved.proved).administrator = true;
                None
            }
            Standing::Anonymous if ours && !anonymous && !open_to_anybody(route) => {
                let found = refusal::missing_authentication(dialect);
                Some(Refusal::new("anonymous", found.status, found.code, found.message))
            }
            Standing::Proved
            | Standing::NeedsBody(_)
            | Standing::Anonymous
            | Standing::Unchecked { .. } => None,
        }
    }

    /// Whether the call carries no signature, and nobody vouches for it.
    pub(crate) fn is_anonymous(&self) -> bool {
        matches!(self.standing, Standing::Anonymous)
    }

    /// Why a caller is refused where only those pass who are verified here;
    /// `None` for one who is, or will be once the body is there.
    pub(crate) fn stranger(&self, route: &Route) -> Option<Refusal> {
        let dialect = dialect(route);
        if self.rests_on_a_claim() {
            return Some(Wrong::UnknownKey.refusal(dialect));
        }
        match &self.standing {
            Standing::Proved | Standing::NeedsBody(_) => None,
            Standing::Refused(wrong) | Standing::Unchecked { wrong, .. } => {
                Some(wrong.refusal(dialect))
            }
            Standing::Anonymous => {
                let found = refusal::missing_authentication(dialect);
                Some(Refusal::new("anonymous", found.status, found.code, found.message))
            }
        }
    }

    /// Names the caller of an unsigned call, now that it is routed.
    pub(crate) fn routed(&mut self, shared: &Shared, route: &Route) {
        if matches!(self.standing, Standing::Anonymous) {
            let s3 = route.event_source == "s3.amazonaws.com";
            self.caller = Arc::new(Caller::anonymous(s3, &shared.account));
        }
    }

    /// Whether the signature cannot be judged before the body is whole.
    pub(crate) fn needs_body(&self) -> bool {
        matches!(self.standing, Standing::NeedsBody(_))
    }

    /// Whether somebody vouches for the caller already.
    pub(crate) fn is_proved(&self) -> bool {
        matches!(self.standing, Standing::Proved | Standing::NeedsBody(_))
            && !self.rests_on_a_claim()
    }

    /// Whether the signature is right under a key that somebody got whom nobody
    /// proved: whoever can make an upstream answer can have such keys.
    fn rests_on_a_claim(&self) -> bool {
        let holder = match &self.standing {
            Standing::Proved => &self.caller,
            Standing::NeedsBody(unproved) => &unproved.proved,
            Standing::Refused(_) | Standing::Anonymous | Standing::Unchecked { .. } => {
                return false;
            }
        };
        holder.trust == Trust::Claimed
    }

    /// Proves with the body, whole or broken, what the head left open.
    pub(crate) fn prove_body(
        &mut self,
        head: &RequestHead,
        route: &Route,
        body: &mut Passage,
        now: Micros,
    ) -> Result<(), Refusal> {
        let outcome = self.check_body(head, body, now);
        outcome.map_err(|error| {
            let wrong = Wrong::Proof(error);
            let refusal = wrong.refusal(dialect(route));
            self.standing = Standing::Refused(wrong);
            refusal
        })
    }

    fn check_body(
        &mut self,
        head: &RequestHead,
        body: &mut Passage,
        now: Micros,
    ) -> Result<(), VerifyError> {
        match &self.duty {
            BodyDuty::None => {}
            BodyDuty::Hash(promised) if body.body_hash() == Some(*promised) => {}
            BodyDuty::Hash(_) => return Err(VerifyError::BodyHashMismatch),
            BodyDuty::Chunks(_) => body.chunks_verified()?,
        }
        let Standing::NeedsBody(unproved) = &self.standing else {
            return Ok(());
        };
        let Unproved { claim, key, proved } = &**unproved;
        trailbox_sigv4::verify_with_key(claim, head, key, now, body.body_hash())?;
        self.caller = Arc::clone(proved);
        self.standing = Standing::Proved;
        Ok(())
    }

    /// Judges after the answer: an upstream that verifies and did not object
    /// has vouched. Says whether the caller is vouched for now.
    ///
    /// `said`: config says that the upstream verifies.
    pub(crate) fn settle(
        &mut self,
        verifies: &Verifies,
        said: bool,
        status: u16,
        code: Option<&str>,
    ) -> bool {
        let Standing::Unchecked { vouched, named, unprobed, .. } = &self.standing else {
            return self.is_proved();
        };
        let Verifies::Yes { denial } = verifies else {
            return false;
        };
        if *unprobed && !said {
            return false;
        }
        if denies_identity(status, code, denial.as_deref()) {
            return false;
        }
        let named = named.as_ref().filter(|_| said);
        self.caller = Arc::clone(named.unwrap_or(vouched));
        self.standing = Standing::Proved;
        true
    }
}

/// Operations that take no signature. The embedded store has no public buckets.
fn open_to_anybody(route: &Route) -> bool {
    route.op().is_some_and(|operation| operation.no_auth)
}

/// The family of error codes a call's service speaks.
pub(crate) fn dialect(route: &Route) -> Dialect {
    match Shape::of(route) {
        Shape::S3 => Dialect::S3,
        Shape::Query => Dialect::Query,
        Shape::Ec2 => Dialect::Ec2,
        Shape::Json | Shape::Cbor => Dialect::Json,
        Shape::RestJson => Dialect::RestJson,
    }
}

impl Shared {
    /// Account of calls whose caller merely claims to be somebody.
    pub(crate) fn claimed_account(&self) -> &str {
        if self.is_test() { &self.account } else { QUARANTINE_ACCOUNT }
    }
}

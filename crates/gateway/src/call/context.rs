//! What a record needs to know of a call beside the exchange.

use super::Call;
use crate::shared::Shared;
use trailbox_identity::Trust;
use trailbox_journal::Extension;
use trailbox_record::{CallContext, Failure, TlsDetails};

/// A request id: 16 characters for S3, a UUID for everybody else.
pub(crate) fn new_request_id(shared: &Shared, s3: bool) -> String {
    let id = shared.random.uuid();
    if s3 { hex::encode_upper(&id[..8]) } else { uuid_text(&id) }
}

/// A UUID as everybody writes it.
pub(super) fn uuid_text(id: &[u8; 16]) -> String {
    let hex = hex::encode(id);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

impl Call<'_> {
    /// The event id as text.
    pub(super) fn event_text(&self) -> String {
        uuid_text(&self.event_id)
    }

    /// Region of the record: what the upstream is mapped to, else the one of a
    /// global service, else the one signed for, else the default.
    pub(super) fn region(&self) -> &str {
        let mapped = self.upstream.as_ref().and_then(|upstream| upstream.region.as_deref());
        mapped
            .or(self.route.global_region.as_deref())
            .or(self.route.region.as_deref())
            .unwrap_or(&self.shared.config.region)
    }

    /// The context of the record as things stand.
    pub(super) fn context(
        &self,
        tls: Option<&TlsDetails>,
        failure: Option<Failure>,
        (bytes_in, bytes_out): (u64, u64),
    ) -> CallContext {
        let caller = &self.who.caller;
        let region = self.region().to_owned();
        CallContext {
            event_id: self.event_id,
            arrival: self.arrival,
            account: caller.account.clone(),
            signed_region: self.route.region.clone().filter(|signed| *signed != region),
            region,
            source_ip: self.principal.clone().unwrap_or_else(|| self.source.to_string()),
            user_identity: caller.user_identity.clone(),
            trust: record_trust(caller.trust),
            tls: tls.filter(|_| self.principal.is_none()).cloned(),
            request_id: self.request_id.clone(),
            vpc_endpoint: self.listener.vpc_endpoint_id.clone(),
            bucket_owner: self.upstream.as_ref().and_then(|upstream| upstream.bucket_owner.clone()),
            kms_key_arn: None,
            failure,
            bytes_in,
            bytes_out,
            signature: self.who.signature,
        }
    }

    /// The private notes beside a frame.
    pub(super) fn extension(&self) -> Extension {
        let upstream = self.upstream.as_ref().map_or("", |upstream| &upstream.name);
        Extension {
            listener: self.listener.name.to_string(),
            upstream: upstream.to_owned(),
            trust: self.who.caller.trust.code(),
        }
    }
}

fn record_trust(trust: Trust) -> trailbox_record::Trust {
    match trust {
        Trust::Verified => trailbox_record::Trust::Verified,
        Trust::Upstream => trailbox_record::Trust::Upstream,
        Trust::Claimed => trailbox_record::Trust::Claimed,
        Trust::None => trailbox_record::Trust::None,
    }
}

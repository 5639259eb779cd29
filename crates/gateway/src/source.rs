//! Where a call comes from, as far as that can be believed.

use crate::config::{Network, ServicePrincipalConfig};
use std::net::IpAddr;
use trailbox_exchange::RequestHead;

/// The address of the caller: the peer, or what trusted proxies say of it.
///
/// `X-Forwarded-For` counts only when the peer is a trusted proxy, and then
/// from the right: each trusted proxy appended who spoke to it, so the first
/// untrusted address is the caller. Text that is no address ends the search at
/// the proxy that vouched last.
pub(crate) fn source_address(head: &RequestHead, peer: IpAddr, trusted: &[Network]) -> IpAddr {
    let mut source = peer.to_canonical();
    let fields: Vec<&str> = head.headers.get_all("x-forwarded-for").collect();
    for hop in fields.iter().rev().flat_map(|field| field.rsplit(',')) {
        if !trusted.iter().any(|network| network.contains(source)) {
            return source;
        }
        let Some(address) = read_hop(hop.trim()) else {
            return source;
        };
        source = address.to_canonical();
    }
    source
}

/// An address, perhaps with a port: `192.0.2.1:80`, `[::1]:80`.
fn read_hop(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse()
        .ok()
        .or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()))
}

/// The service principal that calls from there with that user agent, if config
/// names one.
pub(crate) fn service_principal<'a>(
    configured: &'a [ServicePrincipalConfig],
    head: &RequestHead,
    source: IpAddr,
) -> Option<&'a str> {
    let agent = head.headers.get("user-agent").unwrap_or_default();
    configured
        .iter()
        .find(|principal| {
            principal.networks.iter().any(|network| network.contains(source))
                && principal.user_agent.as_deref().is_none_or(|text| agent.contains(text))
        })
        .map(|principal| principal.service.as_str())
}

#[cfg(test)]
mod tests {
    use super::{service_principal, source_address};
    use crate::config::ServicePrincipalConfig;
    use trailbox_exchange::RequestHead;

    fn request(fields: &[(&'static str, &'static str)]) -> RequestHead {
        RequestHead { headers: fields.iter().copied().collect(), ..Default::default() }
    }

    #[test]
    fn forwarded_addresses_count_only_from_trusted_proxies() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let cases: [(&str, &[&str], &str); 8] = [
            ("192.0.2.1", &["203.0.113.9"], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["6.6.6.6, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", &["6.6.6.6", "203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("::ffff:10.0.0.1", &["[2001:db8::1]:80"], "2001:db8::1"),
        ];
        for (peer, fields, want) in cases {
            let fields: Vec<_> = fields.iter().map(|value| ("X-Forwarded-For", *value)).collect();
            let got = source_address(&request(&fields), peer.parse().unwrap(), &trusted);
            assert_eq!(got.to_string(), want, "{peer} {fields:?}");
        }
    }

    #[test]
    fn a_service_is_told_by_address_and_user_agent() {
        let configured = [ServicePrincipalConfig {
            service: "replication.example.com".into(),
            networks: vec!["10.9.0.0/16".parse().unwrap()],
            user_agent: Some("replicator/".into()),
        }];
        let cases = [
            ("10.9.1.1", "replicator/2", Some("replication.example.com")),
            ("10.9.1.1", "curl/8", None),
            ("10.8.1.1", "replicator/2", None),
        ];
        for (source, agent, want) in cases {
            let head = request(&[("User-Agent", agent)]);
            let got = service_principal(&configured, &head, source.parse().unwrap());
            assert_eq!(got, want, "{source} {agent}");
        }
    }
}

//! What a host name says: the service of its first labels, the bucket of a
//! virtual host.

/// `Host` in lower case without its port.
pub(super) fn bare(host: &str) -> String {
    let host = host.trim();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.to_ascii_lowercase()
}

/// Whether the host is one of a service: its endpoint prefix is the first
/// labels, or the labels behind the first one (`vpce-….sqs.…`).
pub(super) fn is_endpoint_of(host: &str, endpoint_prefix: &str) -> bool {
    let begins = |text: &str| {
        text.strip_prefix(endpoint_prefix)
            .is_some_and(|rest| rest.starts_with('.') || rest.starts_with("-fips."))
    };
    !endpoint_prefix.is_empty()
        && (begins(host) || host.split_once('.').is_some_and(|(_, rest)| begins(rest)))
}

/// The bucket of a virtual host.
///
/// A configured domain decides alone for its own names; otherwise the last
/// label `s3` divides (`b.s3.us-east-1.amazonaws.com`, `b.s3.localhost`), or
/// `s3-…` and `s3express-…` below `amazonaws.com`
/// (`b.s3-us-west-2.amazonaws.com`).
pub(super) fn bucket<'a>(host: &'a str, domains: &[String]) -> Option<&'a str> {
    for domain in domains {
        let domain = domain.trim_matches('.');
        if domain.is_empty() {
            continue;
        }
        if host.eq_ignore_ascii_case(domain) {
            return None;
        }
        let split = host.len().checked_sub(domain.len() + 1);
        let below = |rest: &str| {
            rest.strip_prefix('.').is_some_and(|rest| rest.eq_ignore_ascii_case(domain))
        };
        if let Some((bucket, rest)) = split.and_then(|at| host.split_at_checked(at))
            && below(rest)
        {
            return Some(bucket).filter(|bucket| !bucket.is_empty());
        }
    }
    let dotted = host.rfind(".s3.");
    let amazon = host.contains(".amazonaws.com");
    let dashed = |label: &str| amazon.then(|| host.rfind(label)).flatten();
    let at = dotted.max(dashed(".s3-")).max(dashed(".s3express-"))?;
    Some(&host[..at]).filter(|bucket| !bucket.is_empty())
}

/// Whether the host is one of S3 Control.
pub(super) fn is_s3_control(host: &str) -> bool {
    host.starts_with("s3-control") || host.contains(".s3-control")
}

#[cfg(test)]
mod tests {
    use super::{bare, bucket, is_endpoint_of};

    #[test]
    fn buckets_are_found_in_every_virtual_host() {
        let domains = ["gw.example".to_owned()];
        let cases = [
            ("b.s3.amazonaws.com", Some("b")),
            ("b.s3.eu-west-1.amazonaws.com", Some("b")),
            ("b.s3-us-west-2.amazonaws.com", Some("b")),
            ("my.dotted.s3.bucket.s3.amazonaws.com", Some("my.dotted.s3.bucket")),
            ("b.s3.localhost", Some("b")),
            (
                "b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com",
                Some("b--use1-az4--x-s3"),
            ),
            ("s3.amazonaws.com", None),
            ("minio.s3-prod.example.com", None),
            ("b.gw.example", Some("b")),
            ("b.s3.gw.example", Some("b.s3")),
            ("gw.example", None),
            ("127.0.0.1", None),
            ("", None),
        ];
        for (host, want) in cases {
            assert_eq!(bucket(host, &domains), want, "host {host}");
        }
    }

    #[test]
    fn a_port_is_no_part_of_the_name() {
        assert_eq!(bare("Localhost:4747"), "localhost");
        assert_eq!(bare("[::1]:80"), "::1");
    }

    #[test]
    fn endpoints_name_their_service() {
        assert!(is_endpoint_of("api.ecr.us-east-1.amazonaws.com", "api.ecr"));
        assert!(is_endpoint_of("vpce-1.sqs.us-east-1.vpce.amazonaws.com", "sqs"));
        assert!(is_endpoint_of("sts-fips.us-east-1.amazonaws.com", "sts"));
        assert!(!is_endpoint_of("localhost", "s3"));
        assert!(!is_endpoint_of("sqs", "sqs"));
    }
}

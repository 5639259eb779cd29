//! The host a client of the proxy names.

use rustls_pki_types::ServerName;

/// Where a call of a proxy's client is bound for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    /// Name or address, lower case, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Whether TLS is spoken to it.
    pub(crate) tls: bool,
}

impl Target {
    /// Reads what stands behind `CONNECT`: `host:port`, both needed.
    pub(crate) fn of_connect(authority: &str) -> Option<Self> {
        let (host, port) = authority.rsplit_once(':')?;
        Self::new(host, port.parse().ok()?, true)
    }

    /// Reads scheme and authority of a target in absolute form.
    pub(crate) fn of_absolute(named: &str) -> Option<Self> {
        let (scheme, authority) = named.split_once("://")?;
        let tls = scheme.eq_ignore_ascii_case("https");
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, if tls { 443 } else { 80 }),
        };
        Self::new(host, port, tls)
    }

    fn new(host: &str, port: u16, tls: bool) -> Option<Self> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let host = bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase();
        let name = ServerName::try_from(host.as_str()).is_ok();
        (name && port != 0).then_some(Self { host, port, tls })
    }

    /// `host:port`.
    pub(crate) fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// Whether an AWS service answers there that refuses wrong signatures.
    ///
    /// Not every name of AWS's is: behind function URLs, API gateways, load
    /// balancers and instances anybody answers as he likes, and would vouch for
    /// any key. So only names of services count, and of buckets.
    pub(crate) fn is_aws_service(&self) -> bool {
        const SUFFIXES: [&str; 3] = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"];
        let stem = SUFFIXES.iter().find_map(|suffix| self.host.strip_suffix(suffix));
        let Some(stem) = stem.filter(|_| self.tls) else {
            return false;
        };
        let labels: Vec<&str> = stem.split('.').collect();
        match labels[..] {
            [service] => is_word(service),
            [service, region] if is_region(region) => is_word(service),
            // Virtual-hosted buckets, old and new; account endpoints of two services.
            [_, "s3"] => true,
            [_, service] => service.strip_prefix("s3-").is_some_and(is_region),
            ["s3", "dualstack", region] | [_, "s3" | "s3-control" | "ddb", region] => {
                is_region(region)
            }
            [_, "s3", "dualstack", region] => is_region(region),
            _ => false,
        }
    }
}

fn is_word(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte.is_ascii_digit())
        // Names of single machines begin so.
        && !label.starts_with("ec2-") && !label.starts_with("ip-")
}

/// `us-east-1`, `us-gov-west-1`.
fn is_region(label: &str) -> bool {
    let parts: Vec<&str> = label.split('-').collect();
    let [first, middle @ .., last] = &parts[..] else {
        return false;
    };
    let letters = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase());
    first.len() == 2
        && letters(first)
        && (1..=2).contains(&middle.len())
        && middle.iter().all(|part| letters(part))
        && (1..=2).contains(&last.len())
        && last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn targets_are_a_name_and_a_port() {
        let read = |text: &str| Target::of_connect(text).map(|target| target.authority());
        assert_eq!(read("STS.amazonaws.com.:443").as_deref(), Some("sts.amazonaws.com:443"));
        assert_eq!(read("[::1]:443").as_deref(), Some("[::1]:443"));
        for text in
            ["sts.amazonaws.com", "h:0", "h:x", "h h:1", ":443", "u@h:443", "h/p:443", "h:70000"]
        {
            assert_eq!(read(text), None, "{text}");
        }
        let absolute = |text: &str| Target::of_absolute(text).map(|target| target.authority());
        assert_eq!(absolute("http://h").as_deref(), Some("h:80"));
        assert_eq!(absolute("https://[::1]").as_deref(), Some("[::1]:443"));
        assert_eq!(absolute("http://u@h"), None);
    }

    #[test]
    fn only_what_a_service_of_aws_answers_vouches_for_its_callers() {
        let cases = [
            ("sts.amazonaws.com", true),
            ("sts.us-gov-west-1.amazonaws.com", true),
            ("s3.cn-north-1.amazonaws.com.cn", true),
            ("lambda.eu-west-1.api.aws", true),
            ("logs.s3.amazonaws.com", true),
            ("logs.s3.eu-west-1.amazonaws.com", true),
            ("logs.s3-us-west-2.amazonaws.com", true),
            ("logs.s3.dualstack.us-west-2.amazonaws.com", true),
            ("123456789012.ddb.us-east-1.amazonaws.com", true),
            ("abc.execute-api.us-east-1.amazonaws.com", false),
            ("abc.lambda-url.us-east-1.on.aws", false),
            ("web.us-east-1.elb.amazonaws.com", false),
            ("ec2-1-2-3-4.compute-1.amazonaws.com", false),
            ("ec2-1-2-3-4.us-east-1.amazonaws.com", false),
            ("logs.s3-website-us-east-1.amazonaws.com", false),
            ("sts.example.com", false),
        ];
        for (host, want) in cases {
            let target = Target::of_connect(&format!("{host}:443")).unwrap();
            assert_eq!(target.is_aws_service(), want, "{host}");
            assert!(!Target { tls: false, ..target }.is_aws_service(), "{host}");
        }
    }
}

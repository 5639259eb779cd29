//! Who answers a call: the first rule that fits (ARCHITECTURE.md, "Who answers").

use super::connect::{Dial, Endpoint};
use super::origins::Origins;
use super::pool::{Pool, PoolLimits};
use super::tls::{ClientTls, ClientTlsError};
use crate::config::{
    AnonymousCalls, EMBEDDABLE, GatewayConfig, Http2, UpstreamConfig, VerifiesSignatures,
};
use crate::forward_proxy::{Guard, Target};
use crate::settings::ListenerSettings;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use trailbox_service_facts::Route;
use trailbox_sigv4::Signer;

/// Services Trailbox always answers itself.
const OWN: [&str; 2] = ["cloudtrail", "cloudtrail-data"];
/// The signing name of Trailbox's own API; admin listener only.
pub(crate) const ADMIN_SERVICE: &str = "trailbox";

/// Somebody who answers.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// Its name in logs, metrics and the journal's extension.
    pub(crate) name: String,
    /// Region its calls are recorded under, when config says one.
    pub(crate) region: Option<String>,
    /// Account that owns its buckets, when config says one.
    pub(crate) bucket_owner: Option<String>,
    /// Trailbox's own engine: it is told who calls.
    pub(crate) engine: bool,
    /// `host:port`, for requests of our own.
    pub(crate) authority: String,
    /// Its idle connections.
    pub(crate) pool: Pool,
    /// How its calls are signed anew, if they are.
    pub(crate) resign: Option<Resigning>,
    verifies: Mutex<Verifies>,
    /// Config says to find out by asking.
    probed: bool,
    /// It is to be asked, again or for the first time.
    probe_due: AtomicBool,
}

/// How the calls to an upstream are signed anew.
#[derive(Debug)]
pub(crate) struct Resigning {
    /// Its key.
    pub(crate) signer: Signer,
    /// Region to sign for, when config says one.
    pub(crate) region: Option<String>,
    /// What `Host` says to it.
    pub(crate) host: String,
    /// Calls without a signature pass as they are.
    pub(crate) anonymous: bool,
}

/// What is known about an upstream's care for signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verifies {
    /// It refuses wrong ones; `denial` is the code it does so with, when seen.
    Yes { denial: Option<String> },
    /// It does not look.
    No,
    /// Not asked yet, or it was down.
    Unknown,
}

impl Upstream {
    /// What is known now.
    pub(crate) fn verifies(&self) -> Verifies {
        self.verifies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether what is known stands in config, and no probe found it.
    pub(crate) fn is_said(&self) -> bool {
        !self.probed
    }

    /// Whether it is to be probed.
    pub(crate) fn is_probe_due(&self) -> bool {
        self.probe_due.load(Ordering::Relaxed)
    }

    /// It was down: who comes back may be another. What was known holds until
    /// it is asked again.
    pub(crate) fn doubt(&self) {
        self.probe_due.store(self.probed, Ordering::Relaxed);
    }

    /// Notes what a probe found.
    pub(crate) fn found(&self, verifies: Verifies) {
        self.probe_due.store(false, Ordering::Relaxed);
        *self.verifies.lock().unwrap_or_else(PoisonError::into_inner) = verifies;
    }
}

/// Everybody who may answer, and for what.
#[derive(Debug)]
pub(crate) struct Answerers {
    by_service: BTreeMap<String, Arc<Upstream>>,
    default: Option<Arc<Upstream>>,
    engine: Arc<Upstream>,
    embedded: Vec<String>,
    /// Hosts that clients of a proxy name.
    origins: Origins,
    /// Server family whose path tables count.
    pub(crate) flavour: Option<&'static str>,
}

/// Why nobody answers a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Nobody {
    /// The service is neither mapped nor ours, and there is no default.
    Unmapped {
        /// The service, as config would name it.
        service: String,
    },
    /// The host that a proxy's client names is none to connect to.
    Origin {
        /// Why.
        reason: String,
    },
    /// Trailbox's own API, asked for on the wrong listener.
    AdminOnly,
    /// The admin listener, asked for something else.
    AwsOnly,
}

impl Answerers {
    /// Prepares connections to everybody in `config`; connects to nobody yet.
    pub(crate) fn new(
        config: &GatewayConfig,
        engine_socket: &Path,
    ) -> Result<Self, ClientTlsError> {
        let limits = PoolLimits {
            idle_max: config.limits.pool_idle_max,
            idle_timeout: config.limits.pool_idle_timeout,
            connect_timeout: config.limits.connect_timeout,
            stall_timeout: config.limits.stall_timeout,
            head_bytes_max: config.limits.head_bytes_max,
        };
        let mut by_service = BTreeMap::new();
        for (service, upstream) in &config.upstreams {
            by_service.insert(service.clone(), Arc::new(remote(service, upstream, limits)?));
        }
        let default = match &config.default_upstream {
            Some(upstream) => Some(Arc::new(remote("default", upstream, limits)?)),
            None => None,
        };
        let flavours = [config.upstreams.get("s3"), config.default_upstream.as_ref()];
        let flavour = flavours
            .into_iter()
            .flatten()
            .chain(config.upstreams.values())
            .find_map(|upstream| upstream.flavour)
            .map(crate::config::Flavour::name);
        Ok(Self {
            by_service,
            default,
            engine: Arc::new(engine(engine_socket, limits)),
            embedded: config.embedded.clone(),
            origins: Origins::new(&config.forward_proxy, limits)?,
            flavour,
        })
    }

    /// Reaches everybody over `dial` instead of this machine's network.
    pub(crate) fn over(mut self, dial: &Arc<dyn Dial>) -> Self {
        let mapped = self.by_service.values_mut().chain(&mut self.default);
        // Nobody shares an upstream before the gateway stands.
        for upstream in mapped.chain([&mut self.engine]).filter_map(Arc::get_mut) {
            let (dial, upstream_name) = (Arc::clone(dial), upstream.name.clone());
            upstream.pool.lead_to(Endpoint::Port { dial, upstream: upstream_name });
        }
        self
    }

    /// Who answers `route` on `listener`.
    pub(crate) fn pick(
        &self,
        route: &Route,
        listener: &ListenerSettings,
        target: Option<&Target>,
    ) -> Result<Arc<Upstream>, Nobody> {
        if listener.is_admin() {
            let ours = route.scope_service.as_deref() == Some(ADMIN_SERVICE);
            return if ours { Ok(Arc::clone(&self.engine)) } else { Err(Nobody::AwsOnly) };
        }
        let names = names(route, listener);
        if names.contains(&ADMIN_SERVICE) {
            return Err(Nobody::AdminOnly);
        }
        if names.iter().any(|name| OWN.contains(name)) {
            return Ok(Arc::clone(&self.engine));
        }
        if let Some(mapped) = names.iter().find_map(|name| self.by_service.get(*name)) {
            return Ok(Arc::clone(mapped));
        }
        if names.iter().any(|name| self.is_embedded(name, target.is_some())) {
            return Ok(Arc::clone(&self.engine));
        }
        if let (None, Some(target)) = (&self.default, target) {
            let reason = |error: ClientTlsError| Nobody::Origin { reason: error.to_string() };
            return self.origins.get(target).map_err(reason);
        }
        let service = || names.first().map_or_else(String::new, |name| (*name).to_owned());
        self.default.clone().ok_or_else(|| Nobody::Unmapped { service: service() })
    }

    /// `named`: the client names a host, which answers in place of nobody.
    fn is_embedded(&self, name: &str, named: bool) -> bool {
        let listed = self.embedded.iter().any(|held| held == name);
        EMBEDDABLE.contains(&name) && (listed || (self.default.is_none() && !named))
    }

    /// What keeps clients of a proxy from leading us astray.
    pub(crate) fn guard(&self) -> &Guard {
        self.origins.guard()
    }

    /// The engine, which is always there.
    pub(crate) fn engine(&self) -> &Arc<Upstream> {
        &self.engine
    }

    /// Every upstream beside the engine, with a service to ask it for.
    pub(crate) fn remotes(&self) -> impl Iterator<Item = (&str, &Arc<Upstream>)> {
        let mapped = self.by_service.iter().map(|(service, upstream)| (service.as_str(), upstream));
        mapped.chain(self.default.iter().map(|upstream| ("sts", upstream)))
    }
}

/// Every name config may give the service, the most exact first.
fn names<'a>(route: &'a Route, listener: &'a ListenerSettings) -> Vec<&'a str> {
    let mut names = Vec::with_capacity(4);
    if let Some(service) = &route.service {
        names.extend([&*service.name, &*service.signing_name, &*service.endpoint_prefix]);
    }
    names.extend(route.scope_service.as_deref());
    if names.is_empty() {
        names.push(listener.default_service.as_deref().unwrap_or("s3"));
    }
    names
}

fn remote(
    name: &str,
    config: &UpstreamConfig,
    limits: PoolLimits,
) -> Result<Upstream, ClientTlsError> {
    let tls = if config.url.tls { Some(ClientTls::new(config)?) } else { None };
    let (host, port) = (config.url.host.clone(), config.url.port);
    let authority =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let verifies = match config.verifies_signatures {
        VerifiesSignatures::Yes => Verifies::Yes { denial: None },
        VerifiesSignatures::No => Verifies::No,
        // It sees our signature, never a caller's: there is nothing to find out.
        VerifiesSignatures::Probe if config.resign.is_some() => Verifies::No,
        VerifiesSignatures::Probe => Verifies::Unknown,
    };
    let resign = config.resign.as_ref().map(|resign| Resigning {
        signer: Signer {
            access_key_id: resign.access_key_id.clone(),
            secret: resign.secret.clone(),
            session_token: resign.session_token.clone(),
        },
        region: resign.region.clone(),
        host: resign.host.clone().unwrap_or_else(|| config.url.authority()),
        anonymous: resign.anonymous == AnonymousCalls::Pass,
    });
    Ok(Upstream {
        name: name.to_owned(),
        region: config.region.clone(),
        bucket_owner: config.bucket_owner.clone(),
        engine: false,
        authority,
        pool: Pool::new(Endpoint::Tcp { host, port, tls }, config.http2, limits),
        resign,
        probed: verifies == Verifies::Unknown,
        probe_due: AtomicBool::new(verifies == Verifies::Unknown),
        verifies: Mutex::new(verifies),
    })
}

/// The very host that a client of a proxy names.
pub(super) fn origin(target: &Target, endpoint: Endpoint, limits: PoolLimits) -> Upstream {
    let verifies =
        if target.is_aws_service() { Verifies::Yes { denial: None } } else { Verifies::No };
    Upstream {
        // One name for all of them: hosts of clients' choosing must not fill the metrics.
        name: "origin".to_owned(),
        region: None,
        bucket_owner: None,
        engine: false,
        authority: target.authority(),
        pool: Pool::new(endpoint, Http2::No, limits),
        resign: None,
        verifies: Mutex::new(verifies),
        probed: false,
        probe_due: AtomicBool::new(false),
    }
}

fn engine(socket: &Path, limits: PoolLimits) -> Upstream {
    Upstream {
        name: "engine".to_owned(),
        region: None,
        bucket_owner: None,
        engine: true,
        authority: "engine".to_owned(),
        pool: Pool::new(Endpoint::Unix(socket.to_owned()), Http2::No, limits),
        resign: None,
        verifies: Mutex::new(Verifies::No),
        probed: false,
        probe_due: AtomicBool::new(false),
    }
}

#[cfg(test)]
mod tests {
    use super::{Answerers, Nobody};
    use crate::config::GatewayConfig;
    use crate::settings::{ListenerRole, ListenerSettings};
    use trailbox_exchange::RequestHead;
    use trailbox_service_facts::{Facts, Protocol, Route, RouteHints};

    fn route(scope: Option<&str>) -> Route {
        let mut route =
            Facts::embedded().route(&RequestHead::default(), None, &RouteHints::default());
        (route.service, route.operation, route.protocol) = (None, None, Protocol::RestXml);
        route.scope_service = scope.map(str::to_owned);
        route
    }

    fn who(config: &str, scope: Option<&str>, admin: bool) -> Result<String, Nobody> {
        let config: GatewayConfig = toml::from_str(config).unwrap();
        let answerers = Answerers::new(&config, "/nowhere".as_ref()).unwrap();
        let role = if admin { ListenerRole::Admin } else { ListenerRole::Aws };
        let listener = ListenerSettings::new(role, &config);
        answerers.pick(&route(scope), &listener, None).map(|upstream| upstream.name.clone())
    }

    #[test]
    fn the_first_rule_that_fits_decides_who_answers() {
        let unmapped = |service: &str| Err(Nobody::Unmapped { service: service.into() });
        let default = "default_upstream = 'http://d'\n";
        let mapped = "upstreams.s3 = 'http://s'\n";
        let cases = [
            ("", Some("cloudtrail"), Ok("engine")),
            ("upstreams.cloudtrail = 'http://c'", Some("cloudtrail"), Ok("engine")),
            ("", Some("s3"), Ok("engine")),
            ("", Some("sts"), Ok("engine")),
            ("", None, Ok("engine")),
            ("", Some("kms"), unmapped("kms")),
            (default, Some("s3"), Ok("default")),
            (default, Some("kms"), Ok("default")),
            ("default_upstream = 'http://d'\nembedded = ['s3']", Some("s3"), Ok("engine")),
            ("default_upstream = 'http://d'\nembedded = ['s3']", Some("sts"), Ok("default")),
            (mapped, Some("s3"), Ok("s3")),
            (mapped, None, Ok("s3")),
            (mapped, Some("iam"), unmapped("iam")),
            ("", Some("trailbox"), Err(Nobody::AdminOnly)),
        ];
        for (config, scope, want) in cases {
            assert_eq!(who(config, scope, false), want.map(str::to_owned), "{config} {scope:?}");
        }
        assert_eq!(who("", Some("trailbox"), true), Ok("engine".to_owned()));
        assert_eq!(who(default, Some("s3"), true), Err(Nobody::AwsOnly));
    }
}

//! The hosts that clients of a proxy name, each an upstream of its own, made when
//! it is first called and bounded in number.

use super::answerer::{Upstream, origin};
use super::connect::Endpoint;
use super::pool::PoolLimits;
use super::tls::{ClientTls, ClientTlsError};
use crate::config::ForwardProxyConfig;
use crate::forward_proxy::{Guard, Target};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Hosts that are remembered; one more and the longest unused is forgotten with
/// its idle connections.
const ORIGINS_MAX: usize = 256;

/// Hosts by name and port.
#[derive(Debug)]
pub(crate) struct Origins {
    guard: Arc<Guard>,
    ca_file: Option<PathBuf>,
    limits: PoolLimits,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    uses: u64,
    /// The set-up of TLS, once it is needed: reading the system's roots takes time.
    tls: Option<Arc<rustls::ClientConfig>>,
    by_target: HashMap<Target, (Arc<Upstream>, u64)>,
}

impl Origins {
    /// # Errors
    ///
    /// When `ca_file` holds no certificates.
    pub(super) fn new(
        config: &ForwardProxyConfig,
        limits: PoolLimits,
    ) -> Result<Self, ClientTlsError> {
        let guard = Arc::new(Guard::new(config.private_targets));
        let mut known = Known::default();
        if let Some(place) = &config.ca_file {
            known.tls = Some(ClientTls::trusting(Some(place))?);
        }
        Ok(Self { guard, ca_file: config.ca_file.clone(), limits, known: Mutex::new(known) })
    }

    pub(super) fn guard(&self) -> &Guard {
        &self.guard
    }

    /// The upstream that is `target` itself.
    pub(super) fn get(&self, target: &Target) -> Result<Arc<Upstream>, ClientTlsError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.uses += 1;
        let now = known.uses;
        if let Some((upstream, used)) = known.by_target.get_mut(target) {
            *used = now;
            return Ok(Arc::clone(upstream));
        }
        let tls = if target.tls {
            let client = match &known.tls {
                Some(client) => Arc::clone(client),
                None => ClientTls::trusting(self.ca_file.as_deref())?,
            };
            known.tls = Some(Arc::clone(&client));
            Some(ClientTls::of(client, &target.host)?)
        } else {
            None
        };
        if ORIGINS_MAX <= known.by_target.len() {
            let oldest = known.by_target.iter().min_by_key(|(_, (_, used))| *used);
            let oldest = oldest.map(|(target, _)| target.clone());
            oldest.map(|target| known.by_target.remove(&target));
        }
        let (host, port, guard) = (target.host.clone(), target.port, Arc::clone(&self.guard));
        let endpoint = Endpoint::Origin { host, port, tls, guard };
        let upstream = Arc::new(origin(target, endpoint, self.limits));
        known.by_target.insert(target.clone(), (Arc::clone(&upstream), now));
        Ok(upstream)
    }
}

#[cfg(test)]
mod tests {
    use super::{ORIGINS_MAX, Origins};
    use crate::config::ForwardProxyConfig;
    use crate::forward_proxy::Target;
    use crate::upstream::pool::PoolLimits;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn a_host_keeps_its_connections_and_hosts_are_bounded() {
        let a_while = Duration::from_secs(1);
        let limits = PoolLimits {
            idle_max: 1,
            idle_timeout: a_while,
            connect_timeout: a_while,
            stall_timeout: a_while,
            head_bytes_max: 65_536,
        };
        let origins = Origins::new(&ForwardProxyConfig::default(), limits).unwrap();
        let get = |n: usize| {
            let target = Target::of_absolute(&format!("http://b{n}.s3.amazonaws.com")).unwrap();
            origins.get(&target).unwrap()
        };
        let first = get(0);
        for n in 1..ORIGINS_MAX + 10 {
            get(n);
            assert!(Arc::ptr_eq(&first, &get(0)), "in use is not forgotten");
        }
        assert_eq!(origins.known.lock().unwrap().by_target.len(), ORIGINS_MAX);
    }
}

//! Where a proxy's client must not lead us: to ourselves, and into the network
//! behind us.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use tokio::net::TcpStream;

/// Looks at every address before and after it is connected to.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    /// Config lets private addresses in.
    private: bool,
    /// Where we listen.
    own: Mutex<Vec<SocketAddr>>,
}

impl Guard {
    pub(crate) fn new(private: bool) -> Self {
        Self { private, own: Mutex::default() }
    }

    /// We listen there.
    pub(crate) fn own(&self, address: SocketAddr) {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).push(address);
    }

    /// Connects to `host`, to an address where that is allowed.
    ///
    /// `proved`: the peer must show a certificate for its name, so a private
    /// address is what its owner wants, such as a VPC endpoint.
    pub(crate) async fn connect(
        &self,
        host: &str,
        port: u16,
        proved: bool,
    ) -> io::Result<TcpStream> {
        let mut last = denied("it has no address that may be connected to");
        for address in tokio::net::lookup_host((host, port)).await? {
            if !self.private && !is_open(address.ip(), proved) {
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) if self.is_loop(&stream) => {
                    return Err(denied("it is a listener of this gateway"));
                }
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Whether the other end is a listener of ours: who connects to himself has
    /// the same address on both ends.
    fn is_loop(&self, stream: &TcpStream) -> bool {
        let (Ok(here), Ok(there)) = (stream.local_addr(), stream.peer_addr()) else {
            return true;
        };
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let at_home = here.ip() == there.ip();
        own.iter().any(|own| *own == there || (at_home && own.port() == there.port()))
    }
}

fn denied(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, text.to_owned())
}

/// Whether anybody on the outside could connect there, too.
fn is_open(address: IpAddr, proved: bool) -> bool {
    match address {
        IpAddr::V4(address) => is_open_v4(address, proved),
        IpAddr::V6(address) => match stands_for(address) {
            // An address is no more open than what it leads to.
            StandsFor::V4(inner) => is_open_v4(inner, proved),
            StandsFor::Unknown => false,
            StandsFor::Itself => {
                let never = address.is_loopback()
                    || address.is_unspecified()
                    || address.is_multicast()
                    || address.is_unicast_link_local();
                !never && (proved || !address.is_unique_local())
            }
        },
    }
}

fn is_open_v4(address: Ipv4Addr, proved: bool) -> bool {
    // 0.0.0.0/8 is "this network" (RFC 1122): some systems take it for loopback.
    let never = address.octets()[0] == 0
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast();
    // 100.64.0.0/10 is the carriers' private network.
    let shared = address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64;
    !never && (proved || !(address.is_private() || shared))
}

/// Where a packet to an address of IPv6 arrives.
enum StandsFor {
    Itself,
    /// A translator or a tunnel turns it into this one.
    V4(Ipv4Addr),
    /// At whatever a network made of it: a range that was withdrawn, or that a
    /// network may use for itself and in a shape of its own.
    Unknown,
}

fn stands_for(address: Ipv6Addr) -> StandsFor {
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        StandsFor::V4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // Unspecified and loopback have the shape of the next and are none.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => StandsFor::Itself,
        // IPv4-compatible (withdrawn by RFC 4291), -mapped (RFC 4291), -translated
        // (RFC 2765) and the well-known prefix of NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        // 6to4 (RFC 3056).
        | [0x2002, high, low, ..] => inner(high, low),
        // NAT64 within one network (RFC 8215), in which the IPv4 address lies
        // where that network says; Teredo (RFC 4380), where it is masked.
        [0x64, 0xff9b, ..] | [0x2001, 0, ..] => StandsFor::Unknown,
        // Site-local (withdrawn by RFC 3879).
        [first, ..] if first & 0xffc0 == 0xfec0 => StandsFor::Unknown,
        _ => StandsFor::Itself,
    }
}

#[cfg(test)]
mod tests {
    use super::{Guard, is_open};
    use tokio::net::TcpListener;

    #[test]
    fn inner_addresses_are_open_only_to_who_proves_his_name_and_some_to_nobody() {
        let cases = [
            ("192.0.2.1", true, true),
            ("10.0.0.1", false, true),
            ("100.64.0.1", false, true),
            ("fd00::1", false, true),
            ("127.0.0.1", false, false),
            ("169.254.169.254", false, false),
            ("0.0.0.0", false, false),
            ("::1", false, false),
            ("fe80::1", false, false),
        ];
        for (address, anybody, proved) in cases {
            let address = address.parse().unwrap();
            assert_eq!(
                (is_open(address, false), is_open(address, true)),
                (anybody, proved),
                "{address}"
            );
        }
    }

    #[test]
    fn an_address_is_no_more_open_than_the_one_it_is_translated_to() {
        let cases = [
            ("::ffff:169.254.169.254", false, false),
            ("::ffff:10.0.0.1", false, true),
            ("::ffff:192.0.2.1", true, true),
            ("::ffff:0:127.0.0.1", false, false),
            ("::127.0.0.1", false, false),
            ("::10.0.0.1", false, true),
            ("::192.0.2.1", true, true),
            ("::2", false, false),
            ("64:ff9b::169.254.169.254", false, false),
            ("64:ff9b::100.64.0.1", false, true),
            ("64:ff9b::192.0.2.1", true, true),
            ("64:ff9b:1::192.0.2.1", false, false),
            ("64:ff9b:1:a9fe:a9:fe00::", false, false),
            ("2002:7f00:1::1", false, false),
            ("2002:a9fe:a9fe::", false, false),
            ("2002:c0a8:101::5", false, true),
            ("2002:c000:201::5", true, true),
            ("2001:0:7f00:1::1", false, false),
            ("fec0::1", false, false),
            ("feff::1", false, false),
            ("0.0.0.1", false, false),
            ("::", false, false),
            ("2001:db8::1", true, true),
        ];
        for (address, anybody, proved) in cases {
            let address = address.parse().unwrap();
            let open = (is_open(address, false), is_open(address, true));
            assert_eq!(open, (anybody, proved), "{address}");
        }
    }

    #[tokio::test]
    async fn our_own_listeners_are_never_connected_to() {
        let (ours, other) = (
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        );
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let guard = Guard::new(true);
        // As if it listened on every address.
        guard.own(([0, 0, 0, 0], port(&ours)).into());
        assert!(guard.connect("127.0.0.1", port(&other), false).await.is_ok());
        assert!(guard.connect("127.0.0.1", port(&ours), false).await.is_err());
        assert!(guard.connect("127.0.0.2", port(&ours), true).await.is_err());
        assert!(Guard::new(false).connect("127.0.0.1", port(&other), true).await.is_err());
    }
}

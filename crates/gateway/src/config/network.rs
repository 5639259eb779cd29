//! Networks: an address, or a block of them in CIDR form.

use serde::Deserialize;
use std::net::IpAddr;

/// One address or a CIDR block, IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    /// Leading bits that count: 0 to 32, or to 128.
    bits: u8,
}

/// Why a text is not a [`Network`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The part before the slash is no IP address.
    #[error("network `{text}` does not begin with an IP address")]
    Address {
        /// The text as given.
        text: String,
    },
    /// The part behind the slash is no prefix length of that family.
    #[error("network `{text}` has no prefix length from 0 to {most} behind its slash")]
    Prefix {
        /// The text as given.
        text: String,
        /// 32 or 128.
        most: u8,
    },
}

impl Network {
    /// Whether `address` lies inside. IPv4 in IPv6 form counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.bits.min(32));
                let mask = u32::MAX.checked_shl(shift).unwrap_or(0);
                (u32::from(base) ^ u32::from(address)) & mask == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.bits.min(128));
                let mask = u128::MAX.checked_shl(shift).unwrap_or(0);
                (u128::from(base) ^ u128::from(address)) & mask == 0
            }
            _ => false,
        }
    }
}

impl std::str::FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let base: IpAddr =
            address.parse().map_err(|_| NetworkError::Address { text: text.to_owned() })?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|bits| *bits <= most)
                .ok_or_else(|| NetworkError::Prefix { text: text.to_owned(), most })?,
        };
        Ok(Self { base, bits })
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{Network, NetworkError};

    #[test]
    fn a_block_contains_its_addresses_and_no_others() {
        let cases = [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
        ];
        for (network, address, want) in cases {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), want, "{network:?} {address}");
        }
    }

    #[test]
    fn what_is_not_a_network_is_refused_with_the_rule() {
        let prefix = |text: &str, most| NetworkError::Prefix { text: text.to_owned(), most };
        assert_eq!("10.0.0.0/33".parse::<Network>(), Err(prefix("10.0.0.0/33", 32)));
        assert_eq!("::/x".parse::<Network>(), Err(prefix("::/x", 128)));
        assert!("example.com".parse::<Network>().is_err());
    }
}

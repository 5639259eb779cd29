//! The PROXY header a load balancer writes in front of a connection: versions 1
//! (a line of text) and 2 (binary). What stands behind it is nobody's business here.
//!
//! Source: `HAProxy`, "The PROXY protocol, versions 1 & 2". Type-length-values are
//! skipped. Start reading at [`proxy_header`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest header of version 1, its line end included.
const TEXT_MAX: usize = 107;
/// Longest header of version 2 that is read; a few hundred bytes are usual.
const BINARY_MAX: usize = 4096;
/// What version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2: signature, command, family, length.
const FIXED: usize = 16;

/// What is to be done about a header that is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyStep {
    /// So many more bytes belong to it for certain; at least one.
    More(usize),
    /// It is whole. The client, unless the proxy speaks for itself or does not know.
    Done(Option<SocketAddr>),
}

/// Why bytes are no PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyHeaderError {
    /// Neither version begins so.
    #[error("connection does not begin with a PROXY header; its peer is configured to send one")]
    Absent,
    /// Version 1 without an end.
    #[error("PROXY line is longer than {TEXT_MAX} bytes")]
    LineTooLong,
    /// Version 1 that is not `PROXY TCP4|TCP6 source target port port`.
    #[error("PROXY line does not say `TCP4`, `TCP6` or `UNKNOWN`, two addresses and two ports")]
    Line,
    /// A version other than 2, or a command other than LOCAL and PROXY.
    #[error("PROXY header has version and command {byte:#04x}; 0x20 and 0x21 are known")]
    Command {
        /// The byte.
        byte: u8,
    },
    /// A family that no TCP connection has.
    #[error("PROXY header has address family {byte:#04x}; it is a TCP connection")]
    Family {
        /// The byte.
        byte: u8,
    },
    /// Less than the addresses take, or more than is read.
    #[error(
        "PROXY header announces {length} bytes; its family needs {least}, {BINARY_MAX} are read"
    )]
    Length {
        /// As announced.
        length: usize,
        /// What the addresses take.
        least: usize,
    },
}

/// Looks at the first bytes of a connection.
///
/// Never asks for a byte behind the header: whoever reads exactly what
/// [`ProxyStep::More`] says leaves the rest to TLS or HTTP.
///
/// # Errors
///
/// The first broken rule.
pub fn proxy_header(bytes: &[u8]) -> Result<ProxyStep, ProxyHeaderError> {
    const WORD: &[u8] = b"PROXY ";
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(have, want)| have == want);
    if begins(&SIGNATURE) {
        return match bytes.len() {
            // Version 1 has no header that is shorter than the signature.
            0 => Ok(ProxyStep::More(SIGNATURE.len())),
            have @ 1..FIXED => Ok(ProxyStep::More(FIXED - have)),
            FIXED.. => binary(bytes),
        };
    }
    if begins(WORD) {
        return text(bytes);
    }
    Err(ProxyHeaderError::Absent)
}

fn text(bytes: &[u8]) -> Result<ProxyStep, ProxyHeaderError> {
    /// `PROXY UNKNOWN` and its line end.
    const SHORTEST: usize = 15;
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        return match bytes.len() {
            TEXT_MAX.. => Err(ProxyHeaderError::LineTooLong),
            length => Ok(ProxyStep::More(SHORTEST.saturating_sub(length).max(1))),
        };
    };
    if TEXT_MAX <= end {
        return Err(ProxyHeaderError::LineTooLong);
    }
    let line = bytes[..end].strip_suffix(b"\r").ok_or(ProxyHeaderError::Line)?;
    let line = std::str::from_utf8(line).map_err(|_| ProxyHeaderError::Line)?;
    let words: Vec<&str> = line.split(' ').collect();
    let [_, "TCP4" | "TCP6", source, target, from, to] = words[..] else {
        // What stands behind `UNKNOWN` is to be ignored.
        let unknown = words.get(1) == Some(&"UNKNOWN");
        return if unknown { Ok(ProxyStep::Done(None)) } else { Err(ProxyHeaderError::Line) };
    };
    let (source, target) = match words[1] {
        "TCP4" => (address::<Ipv4Addr>(source)?, address::<Ipv4Addr>(target)?),
        _ => (address::<Ipv6Addr>(source)?, address::<Ipv6Addr>(target)?),
    };
    let (_, _) = (target, port(to)?);
    Ok(ProxyStep::Done(Some(SocketAddr::new(source, port(from)?))))
}

fn address<A: std::str::FromStr + Into<IpAddr>>(text: &str) -> Result<IpAddr, ProxyHeaderError> {
    text.parse::<A>().map(Into::into).map_err(|_| ProxyHeaderError::Line)
}

/// Digits only, no zero in front.
fn port(text: &str) -> Result<u16, ProxyHeaderError> {
    let plain = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|_| plain).ok_or(ProxyHeaderError::Line)
}

fn binary(bytes: &[u8]) -> Result<ProxyStep, ProxyHeaderError> {
    let (command, family) = (bytes[12], bytes[13]);
    let length = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    let local = match command {
        0x20 => true,
        0x21 => false,
        byte => return Err(ProxyHeaderError::Command { byte }),
    };
    // LOCAL is a connection of the proxy's own, whatever the rest says.
    let least = match family {
        _ if local => 0,
        0x00 => 0,
        0x11 => 12,
        0x21 => 36,
        0x31 => 216,
        byte => return Err(ProxyHeaderError::Family { byte }),
    };
    if length < least || BINARY_MAX < FIXED + length {
        return Err(ProxyHeaderError::Length { length, least });
    }
    let Some(block) = bytes.get(FIXED..FIXED + length) else {
        return Ok(ProxyStep::More(FIXED + length - bytes.len()));
    };
    if local {
        return Ok(ProxyStep::Done(None));
    }
    Ok(ProxyStep::Done(match family {
        0x11 => block.first_chunk().map(|octets: &[u8; 4]| {
            SocketAddr::new(Ipv4Addr::from(*octets).into(), port_at(block, 8))
        }),
        0x21 => block.first_chunk().map(|octets: &[u8; 16]| {
            SocketAddr::new(Ipv6Addr::from(*octets).into(), port_at(block, 32))
        }),
        // A Unix socket has no address that could stand in a record.
        _ => None,
    }))
}

fn port_at(block: &[u8], at: usize) -> u16 {
    let high = block.get(at).copied().unwrap_or_default();
    u16::from_be_bytes([high, block.get(at + 1).copied().unwrap_or_default()])
}

#[cfg(test)]
mod tests {
    use super::{ProxyHeaderError, ProxyStep, SIGNATURE, proxy_header};
    use proptest::prelude::*;

    /// Reads as a connection does: never more than asked for.
    fn read(wire: &[u8]) -> Result<(ProxyStep, usize), ProxyHeaderError> {
        let mut have = 0;
        loop {
            match proxy_header(&wire[..have])? {
                ProxyStep::More(count) if have + count <= wire.len() => have += count,
                step @ (ProxyStep::More(_) | ProxyStep::Done(_)) => return Ok((step, have)),
            }
        }
    }

    fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(block.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, block].concat()
    }

    #[test]
    fn the_client_of_either_version_is_found_and_nothing_behind_it_is_touched() {
        let v4 =
            [&[192, 0, 2, 7, 10, 0, 0, 1][..], &4711_u16.to_be_bytes(), &443_u16.to_be_bytes()];
        let v4 = v4.concat();
        let with_tlv = [&v4[..], &[0x04, 0, 1, 9]].concat();
        let mut v6 = [0; 36];
        (v6[0], v6[1], v6[15]) = (0x20, 0x01, 9);
        let cases: [(Vec<u8>, Option<&str>); 9] = [
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n".to_vec(), Some("192.0.2.7:4711")),
            (b"PROXY TCP6 2001::9 ::1 0 443\r\n".to_vec(), Some("[2001::9]:0")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN what ever 1\r\n".to_vec(), None),
            (v2(0x21, 0x11, &v4), Some("192.0.2.7:4711")),
            (v2(0x21, 0x11, &with_tlv), Some("192.0.2.7:4711")),
            (v2(0x21, 0x21, &v6), Some("[2001::9]:0")),
            (v2(0x21, 0x31, &[1; 216]), None),
            (v2(0x20, 0x00, &[]), None),
        ];
        for (header, want) in cases {
            let wire = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            let want = want.map(|text| text.parse().unwrap());
            assert_eq!(read(&wire), Ok((ProxyStep::Done(want), header.len())), "{header:?}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused_with_the_rule() {
        use ProxyHeaderError::{Absent, Command, Family, Length, Line, LineTooLong};
        let long = format!("PROXY UNKNOWN {}", "x".repeat(200));
        let cases: [(Vec<u8>, ProxyHeaderError); 14] = [
            (b"GET / HTTP/1.1\r\n".to_vec(), Absent),
            (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\0".to_vec(), Absent),
            (b"PROXY  TCP4 1.1.1.1 1.1.1.1 1 1\r\n".to_vec(), Line),
            (b"PROXY TCP4 1.1.1.01 1.1.1.1 1 1\r\n".to_vec(), Line),
            (b"PROXY TCP4 ::1 ::1 1 1\r\n".to_vec(), Line),
            (b"PROXY TCP4 1.1.1.1 1.1.1.1 1 01\r\n".to_vec(), Line),
            (b"PROXY TCP4 1.1.1.1 1.1.1.1 70000 1\r\n".to_vec(), Line),
            (b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n".to_vec(), Line),
            (b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n".to_vec(), Line),
            (long.into_bytes(), LineTooLong),
            (v2(0x31, 0x11, &[0; 12]), Command { byte: 0x31 }),
            (v2(0x21, 0x12, &[0; 12]), Family { byte: 0x12 }),
            (v2(0x21, 0x11, &[0; 11]), Length { length: 11, least: 12 }),
            (v2(0x21, 0x11, &[0; 4081]), Length { length: 4081, least: 12 }),
        ];
        for (wire, want) in cases {
            assert_eq!(read(&wire), Err(want), "{wire:?}");
        }
    }

    proptest! {
        /// A header is whole at one length only, however the bytes arrive.
        #[test]
        fn reading_what_is_asked_for_ends_where_the_header_ends(
            wire in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                "PROXY (TCP4|TCP6|UNKNOWN|X)[ 0-9.:a-f]{0,120}\r?\n.{0,20}".prop_map(String::into_bytes),
                (0x1f..0x23_u8, prop_oneof![Just(0x11_u8), Just(0x21), any::<u8>()],
                    prop::collection::vec(any::<u8>(), 0..300))
                    .prop_map(|(command, family, block)| v2(command, family, &block)),
            ],
        ) {
            let outcome = read(&wire);
            for length in 0..=wire.len() {
                match (proxy_header(&wire[..length]), &outcome) {
                    (Ok(ProxyStep::Done(found)), Ok((ProxyStep::Done(want), end))) => {
                        prop_assert!(*end <= length);
                        prop_assert_eq!(found, *want);
                    }
                    (Ok(ProxyStep::More(count)), Ok((ProxyStep::Done(_), end))) => {
                        prop_assert!(0 < count && length + count <= *end);
                    }
                    (Ok(ProxyStep::More(count)), _) => prop_assert!(0 < count),
                    (Ok(ProxyStep::Done(_)), _) => prop_assert!(outcome.is_ok()),
                    // It was told earlier, or the reading waits for bytes that never come.
                    (Err(_), Ok((ProxyStep::More(_), _)) | Err(_)) => {}
                    (Err(error), _) => prop_assert!(false, "{error}"),
                }
            }
        }
    }
}

//! What the tests of this crate share.
#![allow(dead_code, clippy::unwrap_used, reason = "a test helper: not every test uses all of it")]

use trailbox_clock::Micros;
use trailbox_exchange::RequestHead;
use trailbox_sigv4::{Claim, V4Claim};

pub(crate) const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

pub(crate) fn moment(text: &str) -> Micros {
    Micros::parse_amz_date(text).unwrap()
}

pub(crate) fn head(method: &str, target: &str, fields: &[(String, String)]) -> RequestHead {
    RequestHead {
        method: method.into(),
        target: target.into(),
        headers: fields.iter().cloned().collect(),
    }
}

pub(crate) fn fields(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn v4(head: &RequestHead) -> V4Claim {
    let claim = trailbox_sigv4::claim(head);
    let Claim::V4(claim) = claim else { panic!("{claim:?}") };
    claim
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    hash.as_ref().try_into().unwrap()
}

pub(crate) fn decode_base64(text: &str) -> Vec<u8> {
    let value = |b: u8| match b {
        b'A'..=b'Z' => b - b'A',
        b'a'..=b'z' => b - b'a' + 26,
        b'0'..=b'9' => b - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.bytes().filter(|b| *b != b'=').map(value).collect();
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let bits = group.iter().fold(0u32, |bits, digit| bits << 6 | u32::from(*digit));
        let bits = bits << (6 * (4 - group.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes
}

//! Any bytes are taken as an aws-chunked body without panic, in any pieces, with one verdict.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trailbox_clock::Micros;
use trailbox_exchange::RequestHead;
use trailbox_sigv4::{Claim, SignRequest, claim, sign_streaming, verify};

fuzz_target!(|bytes: &[u8]| {
    let Some((&form, body)) = bytes.split_first() else { return };
    let mut headers = vec![("host".to_owned(), "h".to_owned())];
    let request = SignRequest {
        method: "PUT",
        target: "/b/k",
        headers: &headers.clone(),
        body: b"",
        access_key_id: "AK",
        secret: "s",
        session_token: None,
        region: "r",
        service: "s3",
        now: Micros(1_795_368_600_000_000),
    };
    let trailer = (form & 1 == 1).then_some("x-amz-checksum-crc32");
    let signed = form & 2 == 0;
    headers.extend(sign_streaming(request, u64::from(form >> 2), trailer, signed).0);
    let head = RequestHead {
        method: "PUT".into(),
        target: "/b/k".into(),
        headers: headers.into_iter().collect(),
    };
    let Claim::V4(claim) = claim(&head) else { panic!("our own claim is malformed") };
    let verified = verify(&claim, &head, b"s", request.now, None).expect("our own signature");
    let (mut whole, mut bytewise) = (verified.chunks().unwrap(), verified.chunks().unwrap());
    let first = whole.update(body).and_then(|()| whole.finish());
    let pieces = body.chunks(1).try_for_each(|piece| bytewise.update(piece));
    assert_eq!(first, pieces.and_then(|()| bytewise.finish()));
});

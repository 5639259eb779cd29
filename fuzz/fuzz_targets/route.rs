#![no_main]
//! The router: any head, with any body as its form, has one route, and asking
//! again gives the same.

use bytes::BytesMut;
use trailbox_gateway::wire::{HeadLimits, parse_request};
use trailbox_service_facts::{Facts, RouteHints, read_only};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut buffer = BytesMut::from(input);
    let Ok(Some(request)) = parse_request(&mut buffer, HeadLimits::default()) else { return };
    let facts = Facts::embedded();
    let domains = ["s3.example".to_owned(), "localhost".to_owned()];
    for flavour in [None, Some("rgw"), Some("minio"), Some("swift")] {
        let hints = RouteHints { default_service: Some("s3"), s3_domains: &domains, flavour };
        let route = facts.route(&request.head, Some(&buffer), &hints);
        let again = facts.route(&request.head, Some(&buffer), &hints);
        assert!(!route.event_source.is_empty() && !route.event_name.is_empty());
        assert_eq!(route.event_name, again.event_name);
        assert_eq!(route.labels, again.labels);
        let _ = read_only(&facts, &route, &request.head.method);
        let _ = hints.is_service_root(&request.head);
    }
});

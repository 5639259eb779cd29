#![no_main]
//! The configuration: any text is read or refused with words.

use trailbox_gateway::config::{GatewayConfig, Network, UpstreamUrl};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(error) = toml::from_str::<GatewayConfig>(text) {
        assert!(!error.to_string().is_empty());
    }
    let _ = text.parse::<Network>();
    if let Ok(url) = text.parse::<UpstreamUrl>() {
        assert_eq!(url.to_string().parse(), Ok(url));
    }
});

//! The recording proxy: one port, every AWS service.

pub mod config;
pub mod wire;

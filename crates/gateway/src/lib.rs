//! The recording proxy: one port, every AWS service.

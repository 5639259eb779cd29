//! The derived table of AWS services: routing and decoding of every protocol.

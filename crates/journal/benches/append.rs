//! Append throughput.
fn main() {}

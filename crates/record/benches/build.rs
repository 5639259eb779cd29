//! How long building a record takes.
fn main() {}

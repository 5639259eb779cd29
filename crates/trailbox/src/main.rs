//! Trailbox.
fn main() {}

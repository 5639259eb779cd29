//! Time and chance as ports, so that a simulation can own both.
//!
//! Nothing on the ground floor reads a clock or draws a random number: whoever
//! needs one is handed a [`Clock`] or a [`Random`]. The system's own clock and
//! generator live in the binary; tests use [`ManualClock`] and [`SeededRandom`].

mod chance;
mod moment;

pub use chance::{Random, SeededRandom};
pub use moment::{Clock, ManualClock, Micros, ParseMomentError};

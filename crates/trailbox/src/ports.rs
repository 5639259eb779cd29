//! The system's own clock and generator: the only place that asks for either.

use trailbox_clock::{Clock, Micros, Random};

/// The clock of the machine.
#[derive(Debug, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    // This is the adapter that every other crate is handed.
    #[allow(clippy::disallowed_methods)]
    fn now(&self) -> Micros {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let micros = match since {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
        };
        Micros(micros)
    }
}

/// The generator of the operating system.
#[derive(Debug, Default)]
pub(crate) struct SystemRandom;

impl Random for SystemRandom {
    /// # Panics
    ///
    /// When the operating system has no randomness to give: no secret may be
    /// made without it.
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the operating system gives random bytes");
    }
}
